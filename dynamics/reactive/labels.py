"""Labels: how probable each relation is for a bond, given its two words and what stands around them.

p(l | h, d) = softmax over l of the sum of the rows of the bond's features

ROOT's bonds have the label 0 and no other bond has it. Axes: `P` particles; `A` templates; `L` labels; `R` rows of the
table, a power of 2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.features import (
    BETWEEN,
    CIRCUMSTANCES,
    COUNTS,
    DISTANCE,
    SIDE,
    Weights,
    both_shares,
    circumstances,
    first_bits,
    templates_of,
)

TEMPLATES = (
    [(h, d, SIDE) for h, d in (("w", "w"), ("wx", "x"), ("x", "wx"), ("w", "x"), ("x", "w"), ("u", "w"), ("w", "u"))]
    + [(h, d, SIDE) for h, d in (("x", "ex"), ("ex", "x"), ("e", "e"), ("x", "x"), ("u", "u"), ("xs", "xs"))]
    + [(h, d, SIDE) for h, d in (("x", "Lx"), ("x", "xR"), ("Lx", "x"), ("xR", "x"), ("x", "KLx"), ("x", "xRQ"))]
    + [(h, d, SIDE) for h, d in (("x", "vx"), ("x", "xy"), ("vx", "x"), ("xy", "x"), ("", "LxR"), ("", "w"))]
    + [("x", "x", DISTANCE), ("u", "w", DISTANCE), ("u", "u", BETWEEN), ("x", "x", COUNTS), ("x", "Vv", SIDE)]
)
LABELS = templates_of(TEMPLATES, salt=5)
_VERB, _MARK = 1, 2


@compiled
def label_rows(
    h: int,
    d: int,
    heads: NDArray[np.uint64],
    dependents: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    bits: int,
    rows: NDArray[np.int64],
) -> None:
    """The rows of one bond's features.

    Args:
        h, d: head and dependent, 1..N.
        heads, dependents: [P, A] uint64, shares of the words in the templates.
        tags, kinds: [P] int64.
        bits: log2 R.
        rows: [A] int64, filled.

    Cost: O(A + distance).
    """
    around = np.empty(CIRCUMSTANCES, np.uint64)
    between, verbs, marks = 0, 0, 0
    for i in range(min(h, d) + 1, max(h, d)):
        between |= 1 << tags[i]
        verbs += kinds[i] == _VERB
        marks += kinds[i] == _MARK
    circumstances(1 if h > d else 0, abs(h - d), between, verbs, marks, around)
    runs = LABELS.runs
    for r in range(runs.shape[0]):
        same = around[runs[r, 2]]
        for t in range(runs[r, 0], runs[r, 1]):
            rows[t] = first_bits(heads[h, t] + dependents[d, t] + same, bits)


@compiled
def log_labels(
    rows: NDArray[np.int64],
    weights: Weights,
    scale: float,
    sums: NDArray[np.int32] | NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Log-probabilities of the labels of one bond that is not ROOT's.

    Args:
        rows: [A] int64.
        weights: [R, L] float32, or int8 in units of scale.
        scale: nat.
        sums: [L] room for sums of weights, int32 for those in eight bits, else float64.
        out: [L] float64, filled; -inf for label 0.
    """
    sums[:] = 0
    for t in range(rows.size):
        r = rows[t]
        for label in range(sums.size):
            sums[label] += weights[r, label]
    out[0] = -np.inf
    best = -np.inf
    for label in range(1, out.size):
        out[label] = sums[label] * scale
        best = max(best, out[label])
    whole = 0.0
    for label in range(1, out.size):
        whole += math.exp(out[label] - best)
    whole = best + math.log(whole)
    for label in range(1, out.size):
        out[label] -= whole


@compiled
def fit_labels(
    starts: NDArray[np.int64],
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    gold_heads: NDArray[np.int64],
    gold_labels: NDArray[np.int64],
    order: NDArray[np.int64],
    rate: float,
    bits: int,
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
) -> None:
    """One pass of AdaGrad over the bonds of some trees.

    Args:
        starts, codes, tags, kinds, gold_heads, gold_labels: see `dynamics.reactive.corpus`.
        order: sentences to go through.
        rate: of learning.
        bits: log2 R.
        weights, squares: [R, L] float32, changed.
    """
    chances, rows = np.empty(weights.shape[1]), np.empty(LABELS.head.shape[0], np.int64)
    for s in order:
        begin, end = starts[s], starts[s + 1]
        heads, dependents = both_shares(codes[begin:end], LABELS)
        for d in range(1, end - begin - 1):
            h, right = gold_heads[begin + d], gold_labels[begin + d]
            if h == 0 or right == 0:
                continue
            label_rows(h, d, heads, dependents, tags[begin:], kinds[begin:], bits, rows)
            log_labels(rows, weights, 1.0, chances, chances)
            for label in range(1, chances.size):
                slope = math.exp(chances[label]) - (1.0 if label == right else 0.0)
                if abs(slope) > 1e-3:
                    for t in range(rows.size):
                        squares[rows[t], label] += slope * slope
                        weights[rows[t], label] -= rate * slope / math.sqrt(squares[rows[t], label])

"""One sentence from its charges to its tree: list what may bond, let it relax, read the tree off.

Axes: `P` particles, ROOT (0) and the N words; `M` states; `K` possible heads of a word; `T` moments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.arborescence import chu_liu_edmonds, eisner, is_tree
from dynamics.compile import compiled
from dynamics.reactive.arcs import log_charges
from dynamics.reactive.bonds import relax
from dynamics.reactive.couplings import CROSSING, ROOT, bare_fields, list_pairs, strengths
from dynamics.reactive.features import Weights, word_shares
from dynamics.reactive.labels import DEPENDENT, DEPENDENT_SALT, HEAD, HEAD_SALT, label_rows, log_labels
from dynamics.reactive.states import States, list_states

# What a bond outside the states still counts, so that a repair prefers the probable ones.
_FAINT = 1e-4


@compiled
def solve(
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    coarse: tuple[Weights, float, int],
    charges: tuple[Weights, float, int],
    names: tuple[Weights, float, int],
    limits: tuple[int, int, float],
    constants: NDArray[np.float32],
    bits: int,
    switches: tuple[bool, bool, bool, bool, bool],
    stiffness: float,
    damping: float,
    tolerance: float,
    steps: int,
    projective: bool,
    record: bool,
) -> tuple[Any, ...]:
    """Parse one sentence: one call, because a call costs as much as a short sentence.

    Args:
        codes, tags, kinds: of the sentence.
        coarse, charges, names: weights, scale and bits of the coarse and fine charges and of the labels.
        limits: heads and states that a word is given at most, and how deep below the best they may be, in nat.
        constants, bits: see `dynamics.reactive.couplings`.
        switches, stiffness, damping, tolerance, steps, record: see `react`.
        projective: see `read_heads`.

    Returns:
        heads [N], labels [N] int64, whether no repair was needed, the states, and what `react` returns.
    """
    heads, kept, depth = limits
    scores = log_charges(codes, tags, kinds, coarse, charges[0], charges[1], charges[2], heads)
    states = list_states(scores, codes, tags, kinds, names[0], names[1], names[2], heads, kept, depth)
    sites = 2 * names[0].shape[1]
    shares, energies, path, made, at_rest, pairs = react(
        states, codes, constants, sites, bits, switches, stiffness, damping, tolerance, steps, record
    )
    tree, whole = read_heads(marginals(states, shares[-1]), scores, projective)
    labels = read_labels(tree, states, shares[-1], codes, tags, kinds, names[0], names[2])
    return tree, labels, whole, states, shares, energies, path, made, at_rest, pairs


@compiled
def react(
    states: States,
    codes: NDArray[np.uint64],
    constants: NDArray[np.float32],
    sites: int,
    bits: int,
    switches: tuple[bool, bool, bool, bool, bool],
    stiffness: float,
    damping: float,
    tolerance: float,
    steps: int,
    record: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int, bool, int]:
    """Relax the populations of the states of one sentence.

    Args:
        states: M states.
        codes: [N + 2, 5] uint64.
        constants, sites, bits: see `dynamics.reactive.couplings`.
        switches: siblings, up-bonds, crossing, root, votes.
        stiffness, damping, tolerance, steps: see `dynamics.reactive.bonds.relax`.
        record: keep every moment.

    Returns:
        populations [T, M], free energies [T], positions [T, P, 3] (T = 1 and no positions if nothing is recorded),
        steps made, whether it came to rest, and pairs of states that feel each other.
    """
    siblings, upbonds, crossing, root, votes = switches
    pairs, kinds = list_pairs(states, siblings, upbonds)
    strength = strengths(states, pairs, kinds, codes, constants, sites, bits)
    bare = bare_fields(states, codes, constants, sites, bits, votes)
    size = states.first.size
    shares = np.empty((steps + 1 if record else 2, bare.size))
    energies = np.empty(steps + 1 if record else 1)
    path = np.zeros((steps + 1 if record else 2 if stiffness > 0.0 else 0, size, 3))
    if path.shape[0]:
        # A straight chain one and a half levels below ROOT, wound slightly, as in the spatial mode.
        for i in range(size):
            path[:, i, 0] = i
            path[0, i, 1] = 0.2 * np.sin(2.4 * i)
            path[0, i, 2] = -1.5 if i > 0 else 0.0
    made, at_rest = relax(
        states, bare, pairs, strength,
        float(constants[CROSSING]) if crossing else 0.0, float(constants[ROOT]) if root else 0.0,
        stiffness, damping, tolerance, steps, shares, energies, path,
    )  # fmt: skip
    if record:
        return shares[: made + 1], energies[: made + 1], path[: made + 1], made, at_rest, kinds.size
    return shares[made % 2 : made % 2 + 1], energies, path[:0], made, at_rest, kinds.size


@compiled
def marginals(states: States, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """[P, P] float64, the share of each bond, whatever its label, at [head, dependent]."""
    size = states.first.size
    out = np.zeros((size, size))
    for i in range(shares.size):
        out[states.head[i], states.word[i]] += shares[i]
    return out


@compiled
def read_heads(
    bonds: NDArray[np.float64], charges: NDArray[np.float64], projective: bool
) -> tuple[NDArray[np.int64], bool]:
    """Each word's firmest bond, or, where these are no tree, the tree with the most expected right heads.

    Args:
        bonds: [P, P] float64, shares.
        charges: [P, P] float64, log p(h | d).
        projective: no bonds may cross: repair by Eisner's algorithm rather than Chu-Liu/Edmonds.

    Returns:
        heads: [N] int64.
        whole: whether the firmest bonds were a tree as they stood.

    Cost: O(N^2); O(N^3) where a repair is needed.
    """
    size = bonds.shape[0]
    heads = np.empty(size - 1, np.int64)
    for d in range(1, size):
        heads[d - 1] = bonds[:, d].argmax()
    whole = is_tree(heads)
    if whole and not (projective and crosses(heads)):
        return heads, True
    scores = bonds + _FAINT * np.exp(charges)
    return (eisner(scores) if projective else chu_liu_edmonds(scores)), whole


@compiled
def crosses(heads: NDArray[np.int64]) -> bool:
    """Whether two bonds of a tree cross: whether a word below a bond hangs from outside of it; heads is [N] int64."""
    for d in range(1, heads.size + 1):
        left, right = min(d, heads[d - 1]), max(d, heads[d - 1])
        for i in range(left + 1, right):
            if not left <= heads[i - 1] <= right:
                return True
    return False


@compiled
def read_labels(
    heads: NDArray[np.int64],
    states: States,
    shares: NDArray[np.float64],
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: Weights,
    bits: int,
) -> NDArray[np.int64]:
    """[N] int64, the label of each bond of a tree: of its firmest state, or the most probable where it has none."""
    labels = np.zeros(heads.size, np.int64)
    for d in range(1, heads.size + 1):
        h, best = heads[d - 1], 0.0
        for i in range(states.first[d - 1], states.first[d]):
            if states.head[i] == h and shares[i] > best:
                best = shares[i]
                labels[d - 1] = states.site[i] % weights.shape[1]
        if best == 0.0 and h > 0:
            labels[d - 1] = best_label(h, d, codes, tags, kinds, weights, bits)
    return labels


@compiled
def best_label(
    h: int,
    d: int,
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: Weights,
    bits: int,
) -> int:
    """The most probable label of one bond that is not ROOT's, by itself."""
    heads, dependents = word_shares(codes, HEAD, HEAD_SALT), word_shares(codes, DEPENDENT, DEPENDENT_SALT)
    rows, chances = np.empty(HEAD.shape[0], np.int64), np.empty(weights.shape[1])
    label_rows(h, d, heads, dependents, tags, kinds, bits, rows)
    log_labels(rows, weights, 1.0, chances)
    return int(np.argmax(chances))

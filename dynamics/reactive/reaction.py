"""One sentence from its charges to its tree: list what may bond, let it relax, read the tree off.

Axes: `P` particles, ROOT (0) and the N words; `M` states; `K` possible heads of a word; `T` moments.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.arborescence import chu_liu_edmonds, is_tree
from dynamics.compile import compiled
from dynamics.projective import sparse_eisner
from dynamics.reactive.bonds import list_crossings, populations
from dynamics.reactive.couplings import CROSSING, ROOT, Constants, Switches, bare_fields, list_pairs, strengths
from dynamics.reactive.features import Weights, both_shares, greatest
from dynamics.reactive.labels import LABELS, label_rows, log_labels
from dynamics.reactive.reach import Charges, Reach, log_charges
from dynamics.reactive.relaxation import link, relax
from dynamics.reactive.states import States, list_states


class Hearing(NamedTuple):
    """Which pairs of states feel each other.

    Args:
        firm: one of the two has at least this share before the first step.
        apart: words that siblings may be apart.
        longest: words that a bond which crosses others may reach over.
    """

    firm: float
    apart: int
    longest: int


# Chosen on held-out sentences, where nothing is lost.
HEARING = Hearing(0.1, 16, 32)
# What a bond outside the states still counts, so that a repair prefers the probable ones.
_FAINT = 1e-4


@compiled
def solve(
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    coarse: tuple[Weights, float, int],
    charges: tuple[Weights, float, int],
    names: tuple[NDArray[np.int8], float, int],
    reach: Reach,
    limits: tuple[int, float],
    constants: Constants,
    bits: int,
    switches: Switches,
    motion: tuple[float, float, float, int],
    projective: bool,
    record: bool,
) -> tuple[Any, ...]:
    """Parse one sentence: one call, because a call costs as much as a short sentence.

    Args:
        codes, tags, kinds: of the sentence.
        coarse, charges, names: weights, scale and bits of the coarse and fine charges and of the labels.
        reach: which heads are left to a word.
        limits: states that a word is given at most, and how deep below the best they may be, in nat.
        constants, bits: see `dynamics.reactive.couplings`.
        switches, motion, record: see `react`.
        projective: see `read_heads`.

    Returns:
        heads [N], labels [N] int64, whether no repair was needed, the states, and what `react` returns.
    """
    scores = log_charges(codes, tags, kinds, coarse, charges, reach)
    states = list_states(scores, codes, tags, kinds, names, limits[0], limits[1])
    sites = 2 * names[0].shape[1]
    shares, energies, path, made, at_rest, work = react(states, codes, constants, sites, bits, switches, motion, record)
    tree, whole = read_heads(bond_shares(states, shares[-1], scores), scores, projective)
    labels = read_labels(tree, states, shares[-1], codes, tags, kinds, names)
    return tree, labels, whole, states, shares, energies, path, made, at_rest, work


@compiled
def react(
    states: States,
    codes: NDArray[np.uint64],
    constants: Constants,
    sites: int,
    bits: int,
    switches: Switches,
    motion: tuple[float, float, float, int],
    record: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int, bool, tuple[int, int]]:
    """Relax the populations of the states of one sentence.

    Args:
        states: M states.
        codes: [N + 2, 5] uint64.
        constants, sites, bits: see `dynamics.reactive.couplings`.
        switches: see `dynamics.reactive.couplings.Couplings`.
        motion: stiffness, damping, tolerance and steps, see `dynamics.reactive.relaxation.relax`.
        record: keep every moment.

    Returns:
        populations [T, M], free energies [T], positions [T, P, 3] (T = 1 and no positions if nothing is recorded),
        steps made, whether it came to rest, and links felt along and states moved in all steps together.
    """
    siblings, upbonds, crossing, root, votes, details = switches
    stiffness, damping, tolerance, steps = motion
    bare = bare_fields(states, codes, constants, sites, bits, votes)
    size, rows = states.first.size, steps + 1 if record else 1
    shares, energies = np.empty((rows, bare.size)), np.empty(rows)
    populations(states.first, bare, shares[0])
    pairs, kinds = list_pairs(states, siblings, upbonds, shares[0], HEARING.firm, HEARING.apart)
    strength = strengths(states, pairs, kinds, codes, constants, sites, bits, details)
    crossed = list_crossings(states, shares[0], HEARING.firm if crossing else np.inf, HEARING.longest)
    links = link(bare.size, pairs, strength, crossed, float(constants.tables[CROSSING]))
    path = np.zeros((rows if record else 2 if stiffness > 0.0 else 0, size, 3))
    if path.shape[0]:
        # A straight chain one and a half levels below ROOT, wound slightly, as in the spatial mode.
        for i in range(size):
            path[:, i, 0] = i
            path[0, i, 1] = 0.2 * np.sin(2.4 * i)
            path[0, i, 2] = -1.5 if i > 0 else 0.0
    made, at_rest, used, moved = relax(
        states, bare, links, float(constants.tables[ROOT]) if root else 0.0,
        stiffness, damping, tolerance, steps, shares, energies, path,
    )  # fmt: skip
    if record:
        return shares[: made + 1], energies[: made + 1], path[: made + 1], made, at_rest, (used, moved)
    return shares, energies, path[:0], made, at_rest, (used, moved)


@compiled
def bond_shares(states: States, shares: NDArray[np.float64], charges: Charges) -> NDArray[np.float64]:
    """[P, K] float64, the share of each bond, whatever its label, in the order of the heads in charges."""
    word, head, heads = states.word, states.head, charges.head
    out = np.zeros(heads.shape)
    for i in range(shares.size):
        d, k = word[i], 0
        while heads[d, k] != head[i]:
            k += 1
        out[d, k] += shares[i]
    return out


@compiled
def read_heads(bonds: NDArray[np.float64], charges: Charges, projective: bool) -> tuple[NDArray[np.int64], bool]:
    """Each word's firmest bond, or, where these are no tree, the tree with the most expected right heads.

    Args:
        bonds: [P, K] float64, shares.
        charges: of the same bonds.
        projective: no bonds may cross: repair by Eisner's algorithm rather than Chu-Liu/Edmonds.

    Returns:
        heads: [N] int64.
        whole: whether the firmest bonds were a tree as they stood.

    Cost: O(N K); where a repair is needed see `sparse_eisner`, or O(N^3) at worst.
    """
    count, head, score = charges.kept, charges.head, charges.score
    size = count.size
    heads = np.empty(size - 1, np.int64)
    for d in range(1, size):
        best = 0
        for k in range(1, count[d]):
            if bonds[d, k] > bonds[d, best]:
                best = k
        heads[d - 1] = head[d, best]
    whole = is_tree(heads)
    if whole and not (projective and crosses(heads)):
        return heads, True
    scores, root = bonds.copy(), np.zeros(size)
    for d in range(1, size):
        for k in range(count[d]):
            scores[d, k] += _FAINT * np.exp(score[d, k])
            if head[d, k] == 0:
                root[d] = scores[d, k]
    if projective:
        return sparse_eisner(count, head, scores, root), whole
    dense = np.zeros((size, size))
    for d in range(1, size):
        for k in range(count[d]):
            dense[head[d, k], d] = scores[d, k]
    return chu_liu_edmonds(dense), whole


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
    names: tuple[NDArray[np.int8], float, int],
) -> NDArray[np.int64]:
    """[N] int64, the label of each bond of a tree: of its firmest state, or the most probable where it has none."""
    first, head, site, sites = states.first, states.head, states.site, names[0].shape[1]
    labels, bare, some = np.zeros(heads.size, np.int64), np.zeros(heads.size, np.bool_), False
    for d in range(1, heads.size + 1):
        h, best = heads[d - 1], 0.0
        for i in range(first[d - 1], first[d]):
            if head[i] == h and shares[i] > best:
                best = shares[i]
                labels[d - 1] = site[i] % sites
        bare[d - 1] = best == 0.0 and h > 0
        some |= bare[d - 1]
    if some:
        best_labels(heads, bare, codes, tags, kinds, names, labels)
    return labels


@compiled
def best_labels(
    heads: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    names: tuple[NDArray[np.int8], float, int],
    labels: NDArray[np.int64],
) -> None:
    """The most probable labels of some bonds of a tree that are not ROOT's, each by itself.

    Args:
        heads: [N] int64.
        wanted: [N] bool, of which words.
        codes, tags, kinds: of the sentence.
        names: weights, scale and bits of the labels.
        labels: [N] int64, filled where wanted.
    """
    weights, scale, bits = names
    own, others = both_shares(codes, LABELS)
    rows, chances = np.empty(LABELS.head.shape[0], np.int64), np.empty(weights.shape[1])
    sums = np.empty(chances.size, np.int32)
    for d in range(1, heads.size + 1):
        if wanted[d - 1]:
            label_rows(heads[d - 1], d, own, others, tags, kinds, bits, rows)
            log_labels(rows, weights, scale, sums, chances)
            labels[d - 1] = greatest(chances, chances.size)

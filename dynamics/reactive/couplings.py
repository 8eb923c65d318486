"""What bonds feel of one another: pairs of states with a strength, the sum of learned constants.

    siblings   two bonds at one head: its valence ("one subject, one determiner"), and the order of its dependents
    up-bonds   a word's own bond to its head, and a bond of one of its dependents to it
    votes      a state by itself: what the charges got wrong

All constants are one vector: some scalars, the two tables site by site, then a hashed table for the rest. Kernels that
only read them take the two parts by themselves, because the hashed one is read ten times as fast in eight bits.
Axes: `M` states; `B` pairs of states; `Z` bonding sites, 2 L.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.codes import FINE, UPOS, WORD
from dynamics.reactive.features import Weights, distance_class, mixed, place_of
from dynamics.reactive.states import States

# Places of the scalars; in nat, except for the first two, which are factors.
CHARGE, FIT, CROSSING, ROOT = range(4)
TABLES = 8
VOTES, SIBLINGS, UPBONDS = 9, 10, 11

# See `Couplings`.
Switches = tuple[bool, bool, bool, bool, bool, bool]


class Constants(NamedTuple):
    """The learned constants as kernels read them.

    Args:
        tables: float32 in nat, the scalars and the two tables.
        hashed: the rest, float32 or int8 in units.
        unit: nat.
    """

    tables: NDArray[np.float32]
    hashed: Weights
    unit: float


@dataclass(frozen=True)
class Couplings:
    """Which couplings are on.

    Args:
        siblings: bonds at one head.
        upbonds: a word's own bond and those of its dependents.
        crossing: bonds that cross push one another away.
        root: ROOT has room for one bond.
        votes: learned corrections of single states.
        details: what siblings and up-bonds know beyond the two sites: tags, words and order.
    """

    siblings: bool = True
    upbonds: bool = True
    crossing: bool = True
    root: bool = True
    votes: bool = True
    details: bool = True

    def for_kernels(self) -> Switches:
        """The same as a tuple, in this order."""
        return self.siblings, self.upbonds, self.crossing, self.root, self.votes, self.details


@compiled
def hashed_start(sites: int) -> int:
    """Where the hashed table begins in the vector of constants."""
    return TABLES + 2 * sites * sites


@compiled
def vote_places(
    codes: NDArray[np.uint64], h: int, d: int, s: int, sites: int, bits: int, out: NDArray[np.int64]
) -> None:
    """The constants of one state: the word d at site s of h; out is [VOTES] int64, filled."""
    start, key = hashed_start(sites), mixed(np.uint64(1), np.uint64(s + 1))
    tags = mixed(mixed(key, codes[h, UPOS]), codes[d, UPOS])
    fine = mixed(mixed(key, codes[h, FINE]), codes[d, FINE])
    apart = np.uint64(distance_class(abs(h - d)))
    out[0] = start + place_of(key, bits)
    out[1] = start + place_of(mixed(tags, np.uint64(1)), bits)
    out[2] = start + place_of(mixed(fine, np.uint64(2)), bits)
    out[3] = start + place_of(mixed(mixed(key, codes[d, WORD]), np.uint64(3)), bits)
    out[4] = start + place_of(mixed(mixed(key, codes[h, WORD]), np.uint64(4)), bits)
    out[5] = start + place_of(mixed(mixed(key, codes[d, FINE]), np.uint64(16) + apart), bits)
    out[6] = start + place_of(mixed(tags, np.uint64(32) + apart), bits)
    out[7] = start + place_of(mixed(mixed(mixed(key, codes[d, WORD]), codes[h, FINE]), np.uint64(7)), bits)
    around = mixed(mixed(mixed(key, codes[max(h - 1, 0), FINE]), codes[h, FINE]), codes[h + 1, FINE])
    out[8] = start + place_of(mixed(around, np.uint64(8)), bits)


@compiled
def sibling_places(
    codes: NDArray[np.uint64], h: int, d: int, e: int, s: int, t: int, sites: int, bits: int, out: NDArray[np.int64]
) -> None:
    """The constants of two bonds at one head: d at site s and e at site t of h, d < e; out is [SIBLINGS] int64."""
    start = hashed_start(sites)
    key = mixed(mixed(np.uint64(2), np.uint64(s + 1)), np.uint64(t + 1))
    order = np.uint64(distance_class(e - d) + (0 if e < h else 9 if h < d else 18))
    tags = mixed(mixed(mixed(np.uint64(3), codes[d, UPOS]), codes[e, UPOS]), order)
    out[0] = TABLES + min(s, t) * sites + max(s, t)
    out[1] = start + place_of(mixed(key, codes[h, UPOS]), bits)
    out[2] = start + place_of(mixed(key, np.uint64(64) + order), bits)
    out[3] = start + place_of(mixed(mixed(key, codes[d, UPOS]), codes[e, UPOS]), bits)
    out[4] = start + place_of(mixed(mixed(key, codes[h, WORD]), np.uint64(1)), bits)
    out[5] = start + place_of(mixed(tags, codes[h, UPOS]), bits)
    out[6] = start + place_of(mixed(mixed(mixed(key, codes[d, WORD]), codes[e, WORD]), np.uint64(2)), bits)
    out[7] = start + place_of(mixed(mixed(mixed(key, codes[d, FINE]), codes[e, FINE]), codes[h, FINE]), bits)
    out[8] = start + place_of(mixed(mixed(mixed(key, codes[e, WORD]), codes[d, UPOS]), np.uint64(8)), bits)
    fine = mixed(mixed(mixed(np.uint64(9), codes[d, FINE]), codes[e, FINE]), order)
    out[9] = start + place_of(fine, bits)


@compiled
def upbond_places(
    codes: NDArray[np.uint64],
    g: int,
    h: int,
    d: int,
    t: int,
    s: int,
    sites: int,
    bits: int,
    out: NDArray[np.int64],
) -> None:
    """The constants of a chain of bonds: d at site s of h, h at site t of g; out is [UPBONDS] int64."""
    start = hashed_start(sites)
    key = mixed(mixed(np.uint64(5), np.uint64(s + 1)), np.uint64(t + 1))
    # A word cannot be both: g == d is two words hanging from each other.
    order = np.uint64(0 if g == d else 1 + (g < h) + 2 * (h < d) + 4 * (g < d))
    tags = mixed(mixed(mixed(key, codes[d, UPOS]), codes[h, UPOS]), codes[g, UPOS])
    out[0] = TABLES + sites * sites + s * sites + t
    out[1] = start + place_of(mixed(key, codes[h, UPOS]), bits)
    out[2] = start + place_of(tags, bits)
    out[3] = start + place_of(mixed(mixed(key, codes[d, WORD]), np.uint64(1)), bits)
    out[4] = start + place_of(mixed(mixed(key, codes[h, WORD]), np.uint64(2)), bits)
    out[5] = start + place_of(mixed(mixed(key, np.uint64(16) + order), np.uint64(distance_class(abs(h - d)))), bits)
    out[6] = start + place_of(mixed(tags, np.uint64(32) + order), bits)
    fine = mixed(mixed(mixed(np.uint64(6), codes[d, FINE]), codes[h, FINE]), codes[g, FINE])
    out[7] = start + place_of(mixed(fine, order), bits)
    # Where a phrase attaches is told by its first word and by what it would pass on the way.
    word = mixed(mixed(key, codes[d, WORD]), order)
    out[8] = start + place_of(mixed(mixed(word, codes[g, UPOS]), np.uint64(8)), bits)
    out[9] = start + place_of(mixed(mixed(tags, codes[d, WORD]), np.uint64(9)), bits)
    out[10] = start + place_of(mixed(mixed(word, np.uint64(distance_class(abs(h - g)))), np.uint64(10)), bits)


@compiled
def list_pairs(
    states: States, siblings: bool, upbonds: bool, shares: NDArray[np.float64], firm: float, apart: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which states feel each other.

    Args:
        states: M states.
        siblings, upbonds: whether these are on.
        shares: [M] float64, populations.
        firm: at least one of the two has this share; 0 for all pairs.
        apart: words that siblings may be apart.

    Returns:
        pairs: [B, 2] int64, states; of siblings the left one first, else the dependent's first.
        kinds: [B] int64, 0 for siblings, 1 for up-bonds.

    Cost: O(B).
    """
    # Taken out of the tuple once: to count who holds an array costs more than to read a number of it.
    word, head, first = states.word, states.head, states.first
    total, size = head.size, first.size
    begin = np.zeros(size + 1, np.int64)
    for i in range(total):
        begin[head[i] + 1] += 1
    for h in range(size):
        begin[h + 1] += begin[h]
    at_head, fill = np.empty(total, np.int64), begin.copy()
    for i in range(total):
        at_head[fill[head[i]]] = i
        fill[head[i]] += 1
    count = 0
    for h in range(1, size):
        here, b = begin[h + 1] - begin[h], begin[h]
        count += here * (first[h] - first[h - 1])
        for a in range(begin[h], begin[h + 1]):
            # The states at a head are in the order of their words.
            while b < begin[h + 1] and word[at_head[b]] - word[at_head[a]] <= apart:
                b += 1
            count += b - a - 1
    pairs, kinds = np.empty((count, 2), np.int64), np.empty(count, np.int64)
    count = 0
    for h in range(1, size):
        for a in range(begin[h], begin[h + 1]):
            i = at_head[a]
            if siblings:
                for b in range(a + 1, begin[h + 1]):
                    j = at_head[b]
                    if word[j] - word[i] > apart:
                        break
                    if word[j] != word[i] and (shares[i] >= firm or shares[j] >= firm):
                        pairs[count, 0], pairs[count, 1], kinds[count] = i, j, 0
                        count += 1
            if upbonds:
                for j in range(first[h - 1], first[h]):
                    if shares[i] >= firm or shares[j] >= firm:
                        pairs[count, 0], pairs[count, 1], kinds[count] = i, j, 1
                        count += 1
    return pairs[:count], kinds[:count]


@compiled
def pair_places(
    states: States,
    i: int,
    j: int,
    kind: int,
    codes: NDArray[np.uint64],
    sites: int,
    bits: int,
    out: NDArray[np.int64],
) -> int:
    """The constants of one pair of states, i and j; fills out and returns how many."""
    if kind == 0:
        s, t = states.site[i], states.site[j]
        sibling_places(codes, states.head[i], states.word[i], states.word[j], s, t, sites, bits, out)
        return SIBLINGS
    s, t = states.site[i], states.site[j]
    upbond_places(codes, states.head[j], states.head[i], states.word[i], t, s, sites, bits, out)
    return UPBONDS


@compiled
def strengths(
    states: States,
    pairs: NDArray[np.int64],
    kinds: NDArray[np.int64],
    codes: NDArray[np.uint64],
    constants: Constants,
    sites: int,
    bits: int,
    details: bool,
) -> NDArray[np.float64]:
    """[B] float64 in nat, how much each pair likes to be together; without details, by the two sites alone."""
    out = np.zeros(kinds.size)
    places = np.empty(max(SIBLINGS, UPBONDS), np.int64)
    # Taken out of the tuple once: handing it on for every pair would cost more than the pair.
    word, head, site = states.word, states.head, states.site
    tables, hashed, unit = constants
    for b in range(kinds.size):
        i, j = pairs[b, 0], pairs[b, 1]
        if kinds[b] == 0:
            sibling_places(codes, head[i], word[i], word[j], site[i], site[j], sites, bits, places)
        else:
            upbond_places(codes, head[j], head[i], word[i], site[j], site[i], sites, bits, places)
        total = float(tables[places[0]])
        for f in range(1, (SIBLINGS if kinds[b] == 0 else UPBONDS) if details else 1):
            total += hashed[places[f] - tables.size] * unit
        out[b] = total
    return out


@compiled
def bare_fields(
    states: States, codes: NDArray[np.uint64], constants: Constants, sites: int, bits: int, votes: bool
) -> NDArray[np.float64]:
    """[M] float64 in nat, what each state is worth before any bond has heard of another.

    tables[CHARGE] log p(h | d) + tables[FIT] log p(l | h, d) + votes
    """
    word, head, site, charge, fit = states.word, states.head, states.site, states.charge, states.fit
    out = np.empty(head.size)
    places = np.empty(VOTES, np.int64)
    tables, hashed, unit = constants
    for i in range(out.size):
        out[i] = tables[CHARGE] * charge[i] + tables[FIT] * fit[i]
        if votes:
            vote_places(codes, head[i], word[i], site[i], sites, bits, places)
            for f in range(VOTES):
                out[i] += hashed[places[f] - tables.size] * unit
    return out

"""What the charge of a bond is made of: pairs of properties of head and dependent, hashed to places in one table.

A template is (properties of the head, properties of the dependent, circumstances of the bond). Each word's share in
each template is hashed and scattered once; a bond then costs two additions and one look-up per template, because
scattering, a multiplication, is linear.

Axes: `P` particles, ROOT (0) and the N words; `A` templates; `C` columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.codes import COLUMNS

# Properties of a word: its own codes and those of its neighbours. Capital letters stand to the left, small ones to
# the right: "L" the fine tag one to the left, "r" the universal tag one to the right.
PROPERTIES = {
    "w": (0, 0), "e": (0, 1), "s": (0, 2), "u": (0, 3), "x": (0, 4),
    "L": (-1, 4), "R": (1, 4), "K": (-2, 4), "Q": (2, 4), "l": (-1, 3), "r": (1, 3), "v": (-1, 0), "y": (1, 0),
    "V": (-2, 0), "Y": (2, 0), "T": (-3, 0), "k": (-2, 3), "q": (2, 3),
}  # fmt: skip
# Circumstances: the side; side and distance; side and all tags in between; side and counts of what is in between.
SIDE, DISTANCE, BETWEEN, COUNTS = range(4)
CIRCUMSTANCES = 4

# Weights while they are learned, and rounded to eight bits.
Weights = NDArray[np.float32] | NDArray[np.int8]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SALT = np.uint64(0xD6E8FEB86659FD93)
_TWENTY_NINE = np.uint64(29)


class Templates(NamedTuple):
    """Templates as kernels take them.

    In a tuple, because numba compiles what takes a constant number or array anew for each.

    Args:
        head, dependent: [A, 6] int64, indices of properties, -1 for none.
        runs: [R, 3] int64, first and last but one of neighbouring templates of one circumstance, and which: compiled
            code takes several at once.
        salt: tells heads of these templates from those of others; one more tells dependents.
        between: how many, the last and in no run, are taken once for every tag in between.
    """

    head: NDArray[np.int64]
    dependent: NDArray[np.int64]
    runs: NDArray[np.int64]
    salt: int
    between: int


def templates_of(templates: Sequence[tuple[str, str, int]], salt: int, between: int = 0) -> Templates:
    """Templates as arrays.

    Args:
        templates: A of (properties of the head, of the dependent, circumstance).
        salt, between: see `Templates`.
    """
    names = list(PROPERTIES)
    sides = np.full((2, len(templates), 6), -1, np.int64)
    for row, (head, dependent, _) in enumerate(templates):
        for side, letters in enumerate((head, dependent)):
            for column, name in enumerate(letters):
                sides[side, row, column] = names.index(name)
    kinds, once = [kind for _, _, kind in templates], len(templates) - between
    starts = [t for t in range(once) if t == 0 or kinds[t] != kinds[t - 1]]
    runs = [(t, end, kinds[t]) for t, end in zip(starts, [*starts[1:], once], strict=True)]
    return Templates(sides[0], sides[1], np.array(runs, np.int64), salt, between)


_OFFSETS = np.array([place for place, _ in PROPERTIES.values()], np.int64)
_SOURCES = np.array([column for _, column in PROPERTIES.values()], np.int64)
assert _SOURCES.max() < COLUMNS


@compiled
def mixed(value: np.uint64, more: np.uint64) -> np.uint64:
    """One number of two, spread over all 64 bits."""
    value = (value ^ more) * _MULTIPLIER
    return value ^ (value >> _TWENTY_NINE)


@compiled
def word_shares(codes: NDArray[np.uint64], templates: NDArray[np.int64], salt: int) -> NDArray[np.uint64]:
    """Each word's share in each template, as head or as dependent, scattered.

    Args:
        codes: [N + 2, 5] uint64, from `encode`.
        templates: [A, 6] int64.
        salt: tells heads from dependents.

    Returns:
        [P, A] uint64.
    """
    size = codes.shape[0]
    shares = np.empty((size - 1, templates.shape[0]), np.uint64)
    own = np.empty(_OFFSETS.size, np.uint64)
    for i in range(size - 1):
        for p in range(own.size):
            place = i + _OFFSETS[p]
            own[p] = (codes[place, _SOURCES[p]] if 0 <= place < size else np.uint64(0)) + np.uint64(p) * _SALT
        for t in range(templates.shape[0]):
            share = mixed(np.uint64(t + 1), np.uint64(salt))
            for column in range(templates.shape[1]):
                p = templates[t, column]
                if p < 0:
                    break
                share = mixed(share, own[p])
            shares[i, t] = scattered(share)
    return shares


@compiled
def both_shares(codes: NDArray[np.uint64], templates: Templates) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """[P, A] uint64 twice, each word's share as head and as dependent; see `word_shares`."""
    heads = word_shares(codes, templates.head, templates.salt)
    return heads, word_shares(codes, templates.dependent, templates.salt + 1)


@compiled
def distance_class(distance: int) -> int:
    """0..8: 1, 2, 3, 4, 5-6, 7-9, 10-14, 15-24, 25 or more words apart."""
    if distance <= 4:
        return distance - 1
    if distance <= 6:
        return 4
    if distance <= 9:
        return 5
    if distance <= 14:
        return 6
    return 7 if distance <= 24 else 8


@compiled
def circumstances(side: int, distance: int, between: int, verbs: int, marks: int, out: NDArray[np.uint64]) -> None:
    """The circumstances of one bond.

    Args:
        side: 1 where the head stands to the right, else 0.
        distance: >= 1, in words.
        between: bits of the universal tags in between.
        verbs, marks: how many of them are verbs and punctuation.
        out: [4] uint64, filled, scattered.
    """
    start = np.uint64(side + 1)
    out[SIDE] = scattered(mixed(start, np.uint64(1)))
    out[DISTANCE] = scattered(mixed(start, np.uint64(16 + distance_class(distance))))
    out[BETWEEN] = scattered(mixed(mixed(start, np.uint64(64)), np.uint64(between)))
    out[COUNTS] = scattered(mixed(start, np.uint64(128 + min(verbs, 3) * 4 + min(marks, 3))))


@compiled
def scattered(key: np.uint64) -> np.uint64:
    """A key whose first bits are its place in a table; the sum of scattered keys is the scattered sum."""
    return key * _MULTIPLIER


@compiled
def first_bits(key: np.uint64, bits: int) -> int:
    """Where in a table of 2^bits the feature of a scattered key is."""
    return int(key >> np.uint64(64 - bits))


@compiled
def place_of(key: np.uint64, bits: int) -> int:
    """Where in a table of 2^bits the feature of this key is."""
    return first_bits(scattered(key), bits)


@compiled
def greatest(numbers: NDArray[np.float64], count: int) -> int:
    """Where the greatest of the first so many numbers is, the first of equal ones."""
    best = 0
    for i in range(1, count):
        if numbers[i] > numbers[best]:
            best = i
    return best

"""Sentences of a toy world, drawn exactly from its law given their length and what they must not contain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from feasibility.toy_world.grammar import BOTH, FIRST, NO_BOND, OBJECT, SUBJECT, World

SHORTEST, LONGEST = 5, 10
# A sentence of 10 words has at most 9 rules of two children, and no chain of one-child rules is longer than 4.
_NODES = 128
_MOST_TRIES = 20_000


class NothingLeft(ValueError):
    """What is held out leaves next to no sentences."""


@dataclass(frozen=True)
class Sentences:
    """Sentences of places.

    Args:
        places: [S, 10] int64, -1 after the end.
        lengths: [S] int64, words of each.
        bonds: [2, W, W] int64, how often each selector was bonded to each noun; kinds as in `World.licensed`.
    """

    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    bonds: NDArray[np.int64]


def draw(
    world: World,
    count: int,
    seed: int,
    held_words: NDArray[np.bool_] | None = None,
    held_bonds: NDArray[np.bool_] | None = None,
) -> Sentences:
    """Independent sentences of 5 to 10 words, by rejection.

    Args:
        world: any; sentences are of places, the same in all worlds.
        count: S, how many.
        seed: same seed, same sentences; the first of a longer draw are those of a shorter one.
        held_words: [W], places that no sentence may contain.
        held_bonds: [2, W, W], pairs that no sentence may bond.

    Raises:
        NothingLeft: 20,000 tries in a row were rejected.

    Cost: about 20 us a sentence.
    """
    size = len(world.words)
    words = np.zeros(size, bool) if held_words is None else held_words
    bonds = np.zeros((2, size, size), bool) if held_bonds is None else held_bonds
    places, lengths = np.full((count, LONGEST), -1, np.int64), np.zeros(count, np.int64)
    counts = np.zeros((2, size, size), np.int64)
    rng = np.random.default_rng(seed)
    drawn = _draw(rng, *_options(world), np.cumsum(world.emission, axis=1), world.start, words, bonds, places, lengths,
                  counts)  # fmt: skip
    if drawn < count:
        raise NothingLeft(
            f"{_MOST_TRIES:,} sentences in a row contained one of the {words.sum()} words or {bonds.sum()} pairs held "
            "out; hold out less"
        )
    return Sentences(places, lengths, counts)


def _options(world: World) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Where the options of each symbol begin; [O, 4] children (-1: none), heads, bond; their cumulative probability."""
    unary = np.column_stack([world.unary, np.full((len(world.unary), 2), [-1, FIRST]), np.zeros(len(world.unary), int)])
    table = np.vstack([np.column_stack([world.binary, world.heads, world.bonds]), unary])
    p = np.concatenate([world.binary_p, world.unary_p])
    order = np.argsort(table[:, 0], kind="stable")
    begin = np.searchsorted(table[order, 0], np.arange(len(world.symbols) + 1))
    running = np.concatenate([[0.0], np.cumsum(p[order])])
    return begin, table[order, 1:], running[1:] - running[np.repeat(begin[:-1], np.diff(begin))]


@compiled
def _draw(
    rng: np.random.Generator,
    begin: NDArray[np.int64],
    options: NDArray[np.int64],
    running: NDArray[np.float64],
    emission: NDArray[np.float64],
    start: int,
    held_words: NDArray[np.bool_],
    held_bonds: NDArray[np.bool_],
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    nodes, bonds = np.zeros((_NODES, 5), np.int64), np.zeros((_NODES * 4, 3), np.int64)
    sentence = np.zeros(LONGEST, np.int64)
    for row in range(places.shape[0]):
        for tries in range(_MOST_TRIES + 1):
            if tries == _MOST_TRIES:
                return row
            length, made = _derive(rng, begin, options, running, emission, start, held_words, nodes, sentence)
            if length < SHORTEST:
                continue
            found = _bond(nodes, made, options, sentence, length, bonds)
            clean = True
            for b in range(found):
                if held_bonds[bonds[b, 0], bonds[b, 1], bonds[b, 2]]:
                    clean = False
            if clean:
                break
        lengths[row] = length
        # Not a slice: for its error message numba compiles text, which takes two seconds.
        for place in range(length):
            places[row, place] = sentence[place]
        for b in range(found):
            counts[bonds[b, 0], bonds[b, 1], bonds[b, 2]] += 1
    return len(places)


@compiled
def _derive(
    rng: np.random.Generator,
    begin: NDArray[np.int64],
    options: NDArray[np.int64],
    running: NDArray[np.float64],
    emission: NDArray[np.float64],
    start: int,
    held_words: NDArray[np.bool_],
    nodes: NDArray[np.int64],
    sentence: NDArray[np.int64],
) -> tuple[int, int]:
    """One derivation, leftmost symbol first; (0, 0) where it grows too long or meets a word that is held out.

    Columns of nodes: symbol, option (-1 for a word), first child, second child, heads as bits over word positions.
    """
    stack = np.zeros(2 * LONGEST, np.int64)
    nodes[0, 0], stack[0] = start, 0
    open_nodes, made, length = 1, 1, 0
    while open_nodes:
        # Everything still open becomes at least one word.
        if length + open_nodes > LONGEST or made + 2 > _NODES:
            return 0, 0
        open_nodes -= 1
        node = stack[open_nodes]
        symbol = nodes[node, 0]
        if symbol < emission.shape[0]:
            place = min(np.searchsorted(emission[symbol], rng.random(), side="right"), emission.shape[1] - 1)
            if held_words[place]:
                return 0, 0
            sentence[length] = place
            nodes[node, 1], nodes[node, 4] = -1, 1 << length
            length += 1
            continue
        low, high = begin[symbol], begin[symbol + 1]
        option = low + min(np.searchsorted(running[low:high], rng.random(), side="right"), high - low - 1)
        nodes[node, 1], nodes[node, 2], nodes[node, 3] = option, made, -1
        nodes[made, 0] = options[option, 0]
        if options[option, 1] >= 0:
            nodes[node, 3] = made + 1
            nodes[made + 1, 0] = options[option, 1]
            stack[open_nodes] = made + 1
            open_nodes += 1
        stack[open_nodes] = nodes[node, 2]
        open_nodes += 1
        made = nodes[node, 2] + (2 if options[option, 1] >= 0 else 1)
    return length, made


@compiled
def _bond(
    nodes: NDArray[np.int64],
    made: int,
    options: NDArray[np.int64],
    sentence: NDArray[np.int64],
    length: int,
    bonds: NDArray[np.int64],
) -> int:
    """Heads from the words up, and the bonds between them: rows of kind, selector, noun. Returns how many."""
    found = 0
    for node in range(made - 1, -1, -1):
        option = nodes[node, 1]
        if option < 0:
            continue
        first = nodes[nodes[node, 2], 4]
        second = nodes[nodes[node, 3], 4] if nodes[node, 3] >= 0 else 0
        head, bond = options[option, 2], options[option, 3]
        nodes[node, 4] = first | second if head == BOTH else first if head == FIRST else second
        if bond == NO_BOND:
            continue
        selector, noun = (second, first) if bond == SUBJECT else (first, second)
        for s in range(length):
            for n in range(length):
                if selector >> s & 1 and noun >> n & 1 and found < bonds.shape[0]:
                    bonds[found, 0] = 1 if bond == OBJECT else 0
                    bonds[found, 1], bonds[found, 2] = sentence[s], sentence[n]
                    found += 1
    return found

"""Who sees whom, as packed words, on a CPU: what `sparse_attn.words` defines, compiled by numba.

T tiles of R rows, M tokens in the stream, C classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparse_attn.impl.cpu.compile import compiled, inlined
from sparse_attn.impl.cpu.threads import share
from sparse_attn.stream import Stream

_Integers = NDArray[np.int32]
# Pairs that are worth a thread.
_WORTH_A_THREAD = 2**20


class _Tokens(NamedTuple):
    """The numbers of a `Stream`, and its tables as 0 or 1."""

    classes: _Integers
    first: _Integers
    last: _Integers
    floor: _Integers
    until: _Integers
    allow: _Integers
    is_global: _Integers


class _Tiles(NamedTuple):
    """The lists that words are made for."""

    rows: _Integers
    entries: _Integers
    meta: NDArray[np.int64]
    groups: NDArray[np.int64]


def pack_queries(stream: Stream, rows: Tensor, entries: Tensor, meta: Tensor, groups: Tensor) -> Tensor:
    """`sparse_attn.words.pack_words` for rows that ask.

    Args:
        stream: who sees whom.
        rows: [T, R] int32 flat positions, -1 for none; all of them ask.
        entries: [E] int32 flat positions of keys, -1 for none.
        meta: [T, 4] as in `TileLists`; its last column is where a tile's words begin.
        groups: [T] int64, how many words of 32 entries each row of the tile gets.

    Returns: [W, R] int32.

    Cost: O(W R) tests of 32 bits, about 16 at once.
    """
    words = torch.empty(int(groups.sum()), rows.shape[1], dtype=torch.int32)
    tables = (stream.allow, stream.is_global)
    numbers = (stream.classes, stream.first, stream.last, stream.floor, stream.until, *tables)
    tokens = _Tokens(*(x.int().contiguous().numpy() for x in numbers))
    tiles = _Tiles(*(x.contiguous().numpy() for x in (rows, entries, meta, groups)))
    rules, out = stream.rules, words.numpy()
    threads = max(1, min(torch.get_num_threads(), 32 * words.numel() // _WORTH_A_THREAD))
    cuts = torch.linspace(0, rows.shape[0], 4 * threads + 1).int().tolist()

    def some_tiles(begin: int, end: int) -> None:
        _pack(tokens, tiles, rules.window, rules.causal, begin, end, out)

    share(some_tiles, pairwise(cuts), threads)
    return words


@compiled
def _pack(tokens: _Tokens, tiles: _Tiles, window: int, causal: bool, begin: int, end: int, words: _Integers) -> None:
    """Tiles `begin` ... `end` - 1."""
    width, classes = tiles.rows.shape[1], tokens.allow.shape[0]
    # By row: position, the first key in sight, one past the last, the budget's floor.
    row = np.empty((4, width), np.int32)
    bonds, filled = np.empty((classes, width), np.int32), np.full(classes, -1, np.int64)
    for tile in range(begin, end):
        _describe(tokens, tiles.rows[tile], causal, row)
        first_entry = tiles.meta[tile, 0] + tiles.meta[tile, 1]
        for group in range(tiles.groups[tile]):
            word = words[tiles.meta[tile, 3] + group]
            word[:] = 0
            for bit in range(32):
                key = tiles.entries[first_entry + 32 * group + bit]
                theirs = tokens.classes[max(key, 0)]
                # The last class is padding.
                if key < 0 or theirs == classes - 1:
                    continue
                if filled[theirs] != tile:
                    filled[theirs] = tile
                    for r in range(width):
                        bonds[theirs, r] = tokens.allow[tokens.classes[max(tiles.rows[tile, r], 0)], theirs]
                always, until = tokens.is_global[theirs], tokens.until[key]
                _add_bit(row, bonds[theirs], key, always, until, window, np.int32(1) << np.int32(bit), word)


@inlined
def _describe(tokens: _Tokens, positions: _Integers, causal: bool, row: _Integers) -> None:
    for r in range(len(positions)):
        at = positions[r]
        row[0, r] = at
        if at < 0:
            # Nothing lies from 1 to 0.
            row[1, r], row[2, r], row[3, r] = 1, 0, 0
        else:
            row[1, r], row[3, r] = tokens.first[at], tokens.floor[at]
            row[2, r] = at + 1 if causal else tokens.last[at]


@inlined
def _add_bit(
    row: _Integers, bonds: _Integers, key: int, always: int, until: int, window: int, bit: Any, word: _Integers
) -> None:
    """`Stream.visible` of every row and one key that is a token."""
    for r in range(len(word)):
        at = row[0, r]
        itself = at == key
        bond = ((bonds[r] != 0) | itself) & (key >= row[3, r]) & ((at < until) | itself)
        near = abs(at - key) < window
        inside = (key >= row[1, r]) & (key < row[2, r])
        if (bond | near | (always != 0)) & inside:
            word[r] |= bit

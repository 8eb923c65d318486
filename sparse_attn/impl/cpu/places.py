"""What the kernels read and where it lies: tiles, their lists, and what sixteen rows need of them. Compiled by numba.

T tiles of R rows, M tokens in the stream, N tokens and Nq queries a sequence, D head dim (a multiple of 16), C classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_attn.impl.cpu.compile import inlined
from sparse_attn.impl.cpu.lanes import BLOCK, LANES

Floats = NDArray[np.floating[Any]]


class Lists(NamedTuple):
    """Tiles and their lists as in `sparse_attn.lists.TileLists`, flat; and what biases depend on.

    Args:
        rows: [T * R], R a multiple of 16.
        entries: [E].
        meta: [T, 4].
        words: [W * R].
        classes: [M].
        bias: [C, C], added to logits that are powers of two; [0, 0] for none.
    """

    rows: NDArray[np.int32]
    entries: NDArray[np.int32]
    meta: NDArray[np.int64]
    words: NDArray[np.int32]
    classes: NDArray[np.int32]
    bias: Floats


class Sizes(NamedTuple):
    """What all sequences have in common.

    Args:
        rows: R.
        keys: N.
        queries: Nq.
        depth: D.
    """

    rows: int
    keys: int
    queries: int
    depth: int


class Span(NamedTuple):
    """Some tiles of one sequence.

    Args:
        begin: the first tile.
        end: one past the last.
        first_key: flat position of the sequence's first token.
        first_query: flat position of its first token that asks.
        rows: R.
        depth: D.
    """

    begin: int
    end: int
    first_key: int
    first_query: int
    rows: int
    depth: int


class Keys(NamedTuple):
    """Entries of a list that some of sixteen rows see.

    Args:
        starts: by entry, where the key begins in its head.
        bias_at: by entry, where the biases of its class begin.
        words: by block of entries, where the words of the sixteen rows begin.
        bits: by block, the first of its bits in them.
    """

    starts: NDArray[np.int64]
    bias_at: NDArray[np.int64]
    words: NDArray[np.int64]
    bits: NDArray[np.int64]


class Rows(NamedTuple):
    """Sixteen rows of a tile and what is worked out for them; or, with one axis more, all groups of sixteen of a tile.

    Args:
        queries: [16], where the query begins in its head.
        columns: [D * 16], the queries, one row a lane.
        grads: [D * 16], the gradients by their outputs.
        sums: [D * 16], the outputs, or the gradients by the queries.
        peak: [16], the largest logit.
        shift: [16], what was subtracted from the logits.
        total: [16], the sum of the weights.
        factor: [16], what the sums are to be multiplied by.
        lse: [16], from the forward pass.
        mean: [16], the weighted mean of the gradients by the weights.
        bias: [C * 16], by class of the key and row.
        filled: [C], for which rows the biases are.
    """

    queries: NDArray[np.int64]
    columns: Floats
    grads: Floats
    sums: Floats
    peak: Floats
    shift: Floats
    total: Floats
    factor: Floats
    lse: Floats
    mean: Floats
    bias: Floats
    filled: NDArray[np.int64]


@inlined
def span_of(sizes: Sizes, cuts: NDArray[np.int64], sequence: int, part: int) -> Span:
    """Part of a sequence; it begins at tile cuts[sequence, part]."""
    first = sequence * sizes.keys
    begin, end = cuts[sequence, part], cuts[sequence, part + 1]
    return Span(begin, end, first, first + sizes.keys - sizes.queries, sizes.rows, sizes.depth)


@inlined
def aligned(groups: int, count: int, like: Floats) -> Floats:
    """[groups, count] that begins on a cache line's bound, not set: vectors across two lines take twice as long."""
    room = np.empty(groups * count + 64 // like.itemsize, like.dtype)
    skip = (-room.ctypes.data % 64) // like.itemsize
    return room[skip : skip + groups * count].reshape(groups, count)


@inlined
def room_for_keys(count: int) -> Keys:
    """Room for so many entries, a multiple of BLOCK."""
    starts, bias_at = np.empty(count, np.int64), np.zeros(count, np.int64)
    return Keys(starts, bias_at, np.empty(count // BLOCK, np.int64), np.empty(count // BLOCK, np.int64))


@inlined
def room_for_rows(lists: Lists, span: Span) -> Rows:
    """Room for the groups of a tile."""
    groups, size, classes, like = span.rows // LANES, span.depth * LANES, len(lists.bias), lists.bias
    bias = aligned(groups, max(1, classes) * LANES, like)
    # Without any, the first stands for the bias of every entry.
    bias[:] = 0
    return Rows(
        np.empty((groups, LANES), np.int64), aligned(groups, size, like), aligned(groups, size, like),
        aligned(groups, size, like), aligned(groups, LANES, like), aligned(groups, LANES, like),
        aligned(groups, LANES, like), aligned(groups, LANES, like), aligned(groups, LANES, like),
        aligned(groups, LANES, like), bias, np.full((groups, classes), -1, np.int64),
    )  # fmt: skip


@inlined
def rows_of(tile: Rows, group: int) -> Rows:
    """One group of sixteen."""
    return Rows(
        tile.queries[group], tile.columns[group], tile.grads[group], tile.sums[group], tile.peak[group],
        tile.shift[group], tile.total[group], tile.factor[group], tile.lse[group], tile.mean[group], tile.bias[group],
        tile.filled[group],
    )  # fmt: skip


@inlined
def find_queries(lists: Lists, span: Span, first_row: int, rows: Rows) -> None:
    """Look up sixteen rows; where there is no query any will do, for it sees nothing."""
    for r in range(LANES):
        rows.queries[r] = max(lists.rows[first_row + r] - span.first_query, 0) * span.depth


@inlined
def find_keys(lists: Lists, span: Span, first_row: int, begin: int, end: int, rows: Rows, keys: Keys) -> int:
    """Look up the entries of a tile's list that are in blocks of which the sixteen rows see any.

    Args:
        lists: the tiles.
        span: their sequence.
        first_row: the first of the sixteen.
        begin: the first entry, a multiple of 32.
        end: one past the last, likewise.
        rows: the sixteen; biases are filled.
        keys: filled.

    Returns: how many, a multiple of BLOCK.
    """
    first_entry, _, _, first_word = lists.meta[first_row // span.rows]
    count = 0
    for e in range(begin, end, 32):
        word = (first_word + e // 32) * span.rows + first_row % span.rows
        seen = np.uint32(0)
        for r in range(LANES):
            seen |= np.uint32(lists.words[word + r])
        for bit in range(0, 32, BLOCK):
            if (seen >> np.uint32(bit)) & np.uint32((1 << BLOCK) - 1):
                keys.words[count // BLOCK], keys.bits[count // BLOCK] = word, bit
                for i in range(BLOCK):
                    # Where the list is padded any key will do: nobody sees it.
                    key = max(lists.entries[first_entry + e + bit + i], span.first_key)
                    keys.starts[count + i] = (key - span.first_key) * span.depth
                count += BLOCK
    if len(lists.bias) > 0:
        _find_bias(lists, span, first_row, rows, keys, count)
    return count


@inlined
def _find_bias(lists: Lists, span: Span, first_row: int, rows: Rows, keys: Keys, count: int) -> None:
    last = len(lists.bias) - 1
    for e in range(count):
        theirs = min(lists.classes[span.first_key + keys.starts[e] // span.depth], last)
        keys.bias_at[e] = theirs * LANES
        if rows.filled[theirs] != first_row:
            rows.filled[theirs] = first_row
            for r in range(LANES):
                own = min(lists.classes[max(lists.rows[first_row + r], 0)], last)
                rows.bias[theirs * LANES + r] = lists.bias[own, theirs]

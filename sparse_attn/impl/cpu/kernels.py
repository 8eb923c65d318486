"""Forward and backward over tile lists, compiled by numba: sixteen rows of a tile in the lanes of vectors.

Keys and values are read where they lie, in blocks of entries that some of the sixteen rows see, and their gradients are
added up where they lie. B batch, H query heads, G key heads, N tokens and Nq queries a sequence, D head dim (a multiple
of 16); the tiles of each sequence come in P parts, and work is numbered by sequence, head, part.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sparse_attn.impl.cpu.compile import compiled, inlined
from sparse_attn.impl.cpu.lanes import (
    BLOCK,
    COLUMNS,
    HIDDEN,
    LANES,
    differentiate,
    dots,
    exponentiate,
    inner,
    into_lanes,
    mask,
    out_of_lanes,
    pull,
    push,
    weigh,
)
from sparse_attn.impl.cpu.places import (
    Floats,
    Keys,
    Lists,
    Rows,
    Sizes,
    Span,
    aligned,
    find_keys,
    find_queries,
    room_for_keys,
    room_for_rows,
    rows_of,
    span_of,
)

_LOG2_E = math.log2(math.e)
# Entries whose weights and slopes wait in the innermost cache.
_CHUNK = 128


@compiled
def attend(
    query: Floats, key: Floats, value: Floats, lists: Lists, sizes: Sizes, cuts: NDArray[np.int64], scale: float,
    out: Floats, lse: Floats, begin: int, end: int,
) -> None:  # fmt: skip
    """Attention of query heads.

    Args:
        query: [B, H, Nq * D].
        key: [B, G, N * D].
        value: [B, G, N * D].
        lists: the tiles.
        sizes: of the tensors.
        cuts: [B, P + 1], the tiles at which the parts of each sequence begin and end.
        scale: of the logits.
        out: [B, H, Nq * D], written where there is a query.
        lse: [B, H, Nq], log2 of the sum of the weights, written likewise.
        begin: the first piece of work of B * H * P.
        end: one past the last.
    """
    heads, parts = query.shape[1], cuts.shape[1] - 1
    for work in range(begin, end):
        part, h, b = work % parts, work // parts % heads, work // parts // heads
        g, span = h * key.shape[1] // heads, span_of(sizes, cuts, b, part)
        _attend(query[b, h], key[b, g], value[b, g], lists, span, scale, out[b, h], lse[b, h])


@compiled
def attend_backward(
    grad: Floats, query: Floats, key: Floats, value: Floats, out: Floats, lse: Floats, lists: Lists, sizes: Sizes,
    cuts: NDArray[np.int64], scale: float, d_query: Floats, d_key: Floats, d_value: Floats, begin: int, end: int,
) -> None:  # fmt: skip
    """Gradients of key heads and of the query heads that share them.

    Args:
        grad: [B, G, H / G * Nq * D], by the output.
        query: [B, G, H / G * Nq * D].
        key: [B, G, N * D].
        value: [B, G, N * D].
        out: [B, G, H / G * Nq * D], from `attend`.
        lse: [B, G, H / G * Nq], from `attend`.
        lists: the tiles.
        sizes: of the tensors.
        cuts: [B, P + 1], the tiles at which the parts of each sequence begin and end.
        scale: of the logits.
        d_query: [B, G, H / G * Nq * D], written where there is a query.
        d_key: [P, B, G, N * D], what each part adds to the gradients; 0 at first.
        d_value: [P, B, G, N * D], likewise.
        begin: the first piece of work of B * G * P.
        end: one past the last.
    """
    heads, parts = key.shape[1], cuts.shape[1] - 1
    for work in range(begin, end):
        part, g, b = work % parts, work // parts % heads, work // parts // heads
        span = span_of(sizes, cuts, b, part)
        _attend_backward(
            grad[b, g], query[b, g], key[b, g], value[b, g], out[b, g], lse[b, g], lists, span, scale,
            sizes.queries * sizes.depth, d_query[b, g], d_key[part, b, g], d_value[part, b, g],
        )  # fmt: skip


@inlined
def _attend(
    query: Floats, key: Floats, value: Floats, lists: Lists, span: Span, scale: float, out: Floats, lse: Floats
) -> None:
    """Some tiles of one head."""
    depth, groups = span.depth, span.rows // LANES
    tile, keys = room_for_rows(lists, span), room_for_keys(_CHUNK)
    weights = aligned(1, _CHUNK * LANES, query)[0]
    for first_row in range(span.begin * span.rows, span.end * span.rows, span.rows):
        tile.sums[:], tile.peak[:], tile.shift[:], tile.total[:] = 0, HIDDEN / 2, HIDDEN / 2, 0
        for group in range(groups):
            rows = rows_of(tile, group)
            find_queries(lists, span, first_row + group * LANES, rows)
            into_lanes(query, rows.queries, depth, rows.columns)
        # All rows take a chunk of keys before any takes the next: what they share comes from the inner caches.
        length = lists.meta[first_row // span.rows, 2]
        for begin in range(0, length, _CHUNK):
            for group in range(groups):
                rows, end = rows_of(tile, group), min(begin + _CHUNK, length)
                count = find_keys(lists, span, first_row + group * LANES, begin, end, rows, keys)
                _logits(key, lists, rows, keys, count, scale, depth, weights)
                exponentiate(weights, count, rows.peak, rows.shift, rows.total, rows.factor)
                for d in range(0, depth, COLUMNS):
                    pull(value, keys.starts, count, weights, d, rows.factor, rows.sums)
        for group in range(groups):
            rows = rows_of(tile, group)
            for r in range(LANES):
                if lists.rows[first_row + group * LANES + r] >= 0:
                    lse[rows.queries[r] // depth] = rows.shift[r] + math.log2(rows.total[r])
                    rows.factor[r] = 1 / rows.total[r]
            _write(lists, first_row + group * LANES, rows, depth, out)


@inlined
def _attend_backward(
    grad: Floats, query: Floats, key: Floats, value: Floats, out: Floats, lse: Floats, lists: Lists, span: Span,
    scale: float, size: int, d_query: Floats, d_key: Floats, d_value: Floats,
) -> None:  # fmt: skip
    """Some tiles of one key head; the query heads have so many numbers each."""
    depth, groups = span.depth, span.rows // LANES
    tile, keys = room_for_rows(lists, span), room_for_keys(_CHUNK)
    weights, slopes = aligned(2, _CHUNK * LANES, query)
    tile.factor[:] = 1
    for first_row in range(span.begin * span.rows, span.end * span.rows, span.rows):
        length = lists.meta[first_row // span.rows, 2]
        for head in range(0, query.size, size):
            q, g, o = query[head : head + size], grad[head : head + size], out[head : head + size]
            for group in range(groups):
                rows = rows_of(tile, group)
                find_queries(lists, span, first_row + group * LANES, rows)
                _prepare(g, q, o, lse[head // depth :], rows, depth)
            for begin in range(0, length, _CHUNK):
                for group in range(groups):
                    rows, end = rows_of(tile, group), min(begin + _CHUNK, length)
                    count = find_keys(lists, span, first_row + group * LANES, begin, end, rows, keys)
                    _logits(key, lists, rows, keys, count, scale, depth, weights)
                    weigh(weights, count, rows.lse)
                    _slopes(value, rows, keys, count, scale, depth, weights, slopes)
                    for d in range(0, depth, COLUMNS):
                        pull(key, keys.starts, count, slopes, d, rows.factor, rows.sums)
                    for e in range(0, count, BLOCK):
                        for d in range(0, depth, LANES):
                            push(g, rows.queries, weights, e, d, keys.starts, d_value)
                            push(q, rows.queries, slopes, e, d, keys.starts, d_key)
            for group in range(groups):
                _write(lists, first_row + group * LANES, rows_of(tile, group), depth, d_query[head : head + size])


@inlined
def _logits(
    key: Floats, lists: Lists, rows: Rows, keys: Keys, count: int, scale: float, depth: int, logits: Floats
) -> None:
    """The logits of the entries as powers of two; rows.peak = the largest so far."""
    for e in range(0, count, BLOCK):
        dots(key, keys.starts, e, rows.columns, depth, logits)
        mask(
            logits, e, scale * _LOG2_E, rows.bias, keys.bias_at, lists.words, keys.words[e // BLOCK],
            keys.bits[e // BLOCK], rows.peak,
        )  # fmt: skip


@inlined
def _slopes(
    value: Floats, rows: Rows, keys: Keys, count: int, scale: float, depth: int, weights: Floats, slopes: Floats
) -> None:
    """The gradients by the dot products of queries and keys."""
    for e in range(0, count, BLOCK):
        dots(value, keys.starts, e, rows.grads, depth, slopes)
    differentiate(slopes, weights, count, scale, rows.mean)


@inlined
def _prepare(grad: Floats, query: Floats, out: Floats, lse: Floats, rows: Rows, depth: int) -> None:
    """Queries and gradients into lanes; output times gradient is the weighted mean of the gradients by the weights."""
    into_lanes(out, rows.queries, depth, rows.sums)
    into_lanes(grad, rows.queries, depth, rows.grads)
    inner(rows.sums, rows.grads, depth, rows.mean)
    into_lanes(query, rows.queries, depth, rows.columns)
    for r in range(LANES):
        rows.lse[r] = lse[rows.queries[r] // depth]
    rows.sums[:] = 0


@inlined
def _write(lists: Lists, first_row: int, rows: Rows, depth: int, out: Floats) -> None:
    """rows.sums times rows.factor into the rows that have a query."""
    out_of_lanes(rows.sums, rows.factor, depth, rows.columns)
    for r in range(LANES):
        if lists.rows[first_row + r] >= 0:
            # Not a slice: for its error message numba compiles text, which takes two seconds.
            for k in range(depth):
                out[rows.queries[r] + k] = rows.columns[r * depth + k]

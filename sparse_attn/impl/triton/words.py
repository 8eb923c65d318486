"""Packing masks on the device: one program a word of 32 entries.

T tiles of R rows, W words a row in all, C classes.
"""

# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from sparse_attn.stream import Stream


@triton.jit
def pack_words_kernel(
    words_ptr, tile_ptr, rows_ptr, entries_ptr, meta_ptr,
    classes_ptr, first_ptr, last_ptr, floor_ptr, until_ptr, allow_ptr, global_ptr,
    num_classes, window, tokens, queries,
    ROWS_ARE_QUERIES: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """The same test as `Stream.visible`, for BLOCK_M rows and 32 entries."""
    group = tl.program_id(0).to(tl.int64)
    tile = tl.load(tile_ptr + group)
    begin = tl.load(meta_ptr + tile * 4) + tl.load(meta_ptr + tile * 4 + 1)
    begin += 32 * (group - tl.load(meta_ptr + tile * 4 + 3))
    row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))[:, None]
    entry = tl.load(entries_ptr + begin + tl.arange(0, 32))[None, :]
    real = (row >= 0) & (entry >= 0)
    query = tl.maximum(row if ROWS_ARE_QUERIES else entry, 0)
    key = tl.maximum(entry if ROWS_ARE_QUERIES else row, 0)
    query_class, key_class = tl.load(classes_ptr + query), tl.load(classes_ptr + key)
    itself = query == key
    bond = (tl.load(allow_ptr + query_class * (num_classes + 1) + key_class) != 0) | itself
    bond &= (key >= tl.load(floor_ptr + query)) & ((query < tl.load(until_ptr + key)) | itself)
    bond |= (tl.abs(query - key) < window) | (tl.load(global_ptr + key_class) != 0)
    end = query + 1 if CAUSAL else tl.load(last_ptr + query)
    inside = (key >= tl.load(first_ptr + query)) & (key < end)
    real &= (query_class < num_classes) & (key_class < num_classes) & (query % tokens >= tokens - queries)
    bits = (bond & inside & real).to(tl.int32) << tl.arange(0, 32)[None, :]
    # Each bit occurs once, so the sum is the union.
    tl.store(words_ptr + group * BLOCK_M + tl.arange(0, BLOCK_M), tl.sum(bits, 1))


def pack_on_device(
    stream: Stream, rows: Tensor, entries: Tensor, meta: Tensor, tile: Tensor, words: Tensor, rows_are_queries: bool
) -> Tensor:
    """Fill `words` [W, R]; `tile` [W] int64 names the tile of each word, the rest is as in `sparse_attn.words`."""
    if words.shape[0] > 0:
        pack_words_kernel[(words.shape[0],)](
            words, tile, rows, entries, meta, stream.classes, stream.first, stream.last, stream.floor, stream.until,
            stream.allow, stream.is_global, stream.rules.classes, stream.rules.window, stream.tokens, stream.queries,
            ROWS_ARE_QUERIES=rows_are_queries, CAUSAL=stream.rules.causal, BLOCK_M=rows.shape[1], num_warps=2,
        )  # fmt: skip
    return words

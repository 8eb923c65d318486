"""Packed masks: 32 yes-or-no answers in one integer.

T tiles of R rows, W words a row in all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attn.stream import Stream

# Bits tested at a time: bounds the scratch memory to some tens of megabytes.
_CHUNK = 2**21


def pack_words(
    stream: Stream, rows: Tensor, entries: Tensor, meta: Tensor, groups: Tensor, rows_are_queries: bool
) -> Tensor:
    """One bit for each row and listed entry: does the one see the other?

    Args:
        stream: who sees whom.
        rows: [T, R] int32 flat positions, -1 for none.
        entries: [E] int32 flat positions, -1 for none.
        meta: [T, 4] as in `TileLists`; its last column is where a tile's words begin.
        groups: [T] int64, how many words of 32 entries each row of the tile gets.
        rows_are_queries: whether rows ask and entries are keys, or the other way round.

    Returns: [W, R] int32.

    Cost: O(W R) tests of 32 bits.
    """
    total = int(groups.sum())
    words = torch.empty(total, rows.shape[1], dtype=torch.int32, device=rows.device)
    tile = torch.repeat_interleave(groups, output_size=total)
    number = torch.arange(total, device=rows.device) - meta[tile, 3]
    begin = meta[tile, 0] + meta[tile, 1] + 32 * number
    bit = torch.arange(32, device=rows.device)
    chunk = max(1, _CHUNK // (32 * rows.shape[1]))
    for at in range(0, total, chunk):
        some = slice(at, at + chunk)
        listed = entries[begin[some, None] + bit][:, :, None]
        row = rows[tile[some]][:, None, :]
        words[some] = _pack(seen_pairs(stream, row, listed, rows_are_queries))
    return words


def seen_pairs(stream: Stream, row: Tensor, entry: Tensor, rows_are_queries: bool) -> Tensor:
    """Visibility of broadcast rows and entries, False where either is -1."""
    real = (row >= 0) & (entry >= 0)
    row, entry = row.clamp(min=0), entry.clamp(min=0)
    seen = stream.visible(row, entry) if rows_are_queries else stream.visible(entry, row)
    return seen & real


def _pack(bits: Tensor) -> Tensor:
    """[W, 32, R] bool -> [W, R] int32, bit e from row e of the middle axis."""
    weight = torch.ones(32, dtype=torch.int32, device=bits.device) << torch.arange(
        32, dtype=torch.int32, device=bits.device
    )
    return (bits.int() * weight[:, None]).sum(1, dtype=torch.int32)

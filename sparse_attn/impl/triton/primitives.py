# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""What the kernels share: rows gathered by pointer, packed masks, block sizes.

BLOCK_M rows of a tile, BLOCK_N entries of its list a step, BLOCK_D the head dim padded to a power of two.
Pointer arithmetic only: no block pointers, no descriptors. Offsets are int64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attn.impl.triton.launching import Options

LOG2E = 1.4426950408889634


@dataclass(frozen=True)
class BlockSizes:
    """How a kernel is cut.

    Args:
        block_n: entries a step.
        stages: of the pipeline.
        warps: of a program.
        full_n: entries a step where every row sees them all, in the forward pass.
        registers: at most so many a thread; fewer than the compiler would take let more programs run at a time.
        ahead: whether a step reads which entries the next one wants: what these hold can then be fetched meanwhile.
    """

    block_n: int
    stages: int
    warps: int = 4
    full_n: int = 64
    registers: int | None = None
    ahead: bool = False

    @cached_property
    def options(self) -> Options:
        """What the compiler is told."""
        return Options(self.warps, self.stages, self.registers)


@cache
def block_d(head_dim: int) -> int:
    """The head dim padded to a power of two that the matrix units take."""
    return max(16, triton.next_power_of_2(head_dim))


@cache
def forward_sizes(head_dim: int, dtype: torch.dtype, full: int) -> BlockSizes:
    """Measured on an H200; float32 and wide heads take smaller steps to fit shared memory.

    Args:
        head_dim: D.
        dtype: of query, key and value.
        full: what `full_length` says.
    """
    if dtype == torch.float32:
        return _float32_sizes(head_dim)
    if head_dim <= 64 and full >= 8192:
        return BlockSizes(64, 2, full_n=128, registers=168)
    if head_dim <= 64:
        return BlockSizes(64, 2, registers=128, ahead=True)
    return BlockSizes(32, 3, full_n=32, ahead=True) if head_dim <= 128 else BlockSizes(32, 2)


@cache
def dq_sizes(head_dim: int, dtype: torch.dtype, full: int, has_bias: bool) -> BlockSizes:
    """As `forward_sizes`, for the gradient by the queries; a bias wants registers of its own."""
    if dtype == torch.float32:
        return _float32_sizes(head_dim)
    if head_dim <= 64 and full >= 4096:
        return BlockSizes(64, 3, ahead=True)
    if head_dim <= 64:
        return BlockSizes(32, 3, registers=128 if full or has_bias else 96, ahead=True)
    return BlockSizes(64, 2, ahead=True) if head_dim <= 128 else BlockSizes(32, 1)


@cache
def dkv_sizes(head_dim: int, dtype: torch.dtype) -> BlockSizes:
    """As `forward_sizes`, for the gradients by the keys and values."""
    if dtype == torch.float32:
        return _float32_sizes(head_dim)
    if head_dim <= 64:
        return BlockSizes(64, 3, ahead=True)
    return BlockSizes(64, 2) if head_dim <= 128 else BlockSizes(32, 1)


def full_length(has_full: bool, keys: int) -> int:
    """How many keys there are at least, in three steps, where lists begin with entries that all rows see; else 0."""
    return 0 if not has_full else 8192 if keys >= 8192 else 4096 if keys >= 4096 else 1


def grid_of(tiles: int, heads: int, sequences: int) -> tuple[int, int, int]:
    """A program for each tile and head, sequence by sequence, so that those of one run together.

    A GPU takes up to 65,535 along the last two axes: more sequences than that count as one.
    """
    return (tiles // sequences, heads, sequences) if sequences < 2**16 else (tiles, heads, 1)


def _float32_sizes(head_dim: int) -> BlockSizes:
    return BlockSizes(32 if head_dim <= 64 else 16, 1, full_n=32 if head_dim <= 64 else 16)


def strides_of(*tensors: Tensor) -> tuple[tuple[int, ...], bool]:
    """The strides of all but the last axis of each [B, H, N, D], and whether offsets in a sequence outgrow 32 bits."""
    strides: list[int] = []
    wide = False
    for x in tensors:
        batch, head, token, _ = x.stride()
        strides += (batch, head, token)
        _, _, tokens, dim = x.shape
        wide |= tokens * token + dim >= 2**31
    return tuple(strides), wide


@triton.jit
def tile_and_head(launch_ptr):
    """Which tile this program of a grid by `grid_of` works on (int64), and for which head."""
    place = tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)
    return tl.load(launch_ptr + place * 3).to(tl.int64), tl.program_id(1)


@triton.jit
def sequence_of(row, num_keys):
    """The sequence that a tile belongs to: all its rows and entries lie in one. int64, so that offsets are."""
    return (tl.maximum(tl.max(row, 0), 0) // num_keys).to(tl.int64)


@triton.jit
def spare_of(row, begin):
    """Position of one of a tile's own tokens, counted from `begin`; 0 where it has none there."""
    return tl.maximum(tl.max(row, 0) - begin, 0)


@triton.jit
def token_offsets(token, begin, spare, stride, WIDE: tl.constexpr):
    """Offsets of flat key positions from the token at flat position `begin`.

    What lies before it, as no token (-1) does, reads as the one `spare` positions after it (None where nothing does).
    Each program should have its own: where thousands read one row, its one place in the cache slows them all.
    """
    position = token - begin
    if spare is not None:
        position = tl.where(position < 0, spare, position)
    if WIDE:
        position = position.to(tl.int64)
    return position * stride


@triton.jit
def load_rows(ptr, offsets, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Gather rows of a [., HEAD_DIM] tensor, zero beyond the head dim. [rows, BLOCK_D]."""
    dim = tl.arange(0, BLOCK_D)
    if HEAD_DIM == BLOCK_D:
        return tl.load(ptr + offsets[:, None] + dim[None, :])
    return tl.load(ptr + offsets[:, None] + dim[None, :], mask=dim[None, :] < HEAD_DIM, other=0.0)


@triton.jit
def store_rows(ptr, offsets, values, real, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Scatter rows, leaving out those that are not real."""
    dim = tl.arange(0, BLOCK_D)
    mask = real[:, None] & (dim[None, :] < HEAD_DIM)
    tl.store(ptr + offsets[:, None] + dim[None, :], values.to(ptr.dtype.element_ty), mask=mask)


@triton.jit
def seen_bits(words_ptr, start, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """Who sees what, for BLOCK_N entries from `start` of the tile's packed words. [BLOCK_M, BLOCK_N] bool."""
    row = tl.arange(0, BLOCK_M)
    column = tl.arange(0, BLOCK_N)
    word = tl.load(words_ptr + (start // 32) * BLOCK_M + row)[:, None]
    if BLOCK_N == 64:
        second = tl.load(words_ptr + (start // 32 + 1) * BLOCK_M + row)[:, None]
        word = tl.where((column & 32)[None, :] == 0, word, second)
        # Each entry's bit moves to the sign. In the layout of the matrix units a thread's columns agree in the bits of
        # 6, so the first shift is one for all and the second a constant. As below the compiler would pack so many
        # comparisons into bits and unpack them again: a seventh of all the loop's instructions.
        return (word << (6 - (column & 6))[None, :]) << (25 - (column & 25))[None, :] < 0
    bit = column % 32 if BLOCK_N >= 32 else (start % 32 + column) % 32
    return (word & (1 << bit)[None, :]) != 0


@triton.jit
def class_bias(bias_ptr, query_class, key_class, num_classes):
    """bias[query class, key class] by table lookup; the two class vectors are already broadcast against each other."""
    return tl.load(bias_ptr + query_class * num_classes + key_class)


@triton.jit
def load_classes(classes_ptr, token, num_classes):
    """Classes of flat positions; padding, which is masked anyway, reads as the last class."""
    return tl.minimum(tl.load(classes_ptr + tl.maximum(token, 0)), num_classes - 1)


@triton.jit
def first_tokens(list_ptr, start, end, BLOCK_N: tl.constexpr):
    """The first entries of a list that may be empty."""
    at = start + tl.arange(0, BLOCK_N)
    return tl.load(list_ptr + at, mask=at < end, other=-1)


@triton.jit
def this_and_next(list_ptr, token, start, end, BLOCK_N: tl.constexpr, AHEAD: tl.constexpr):
    """The entries of this step and those of the next, whose keys can then be fetched without waiting for their list."""
    at = tl.arange(0, BLOCK_N)
    if AHEAD:
        return token, tl.load(list_ptr + tl.minimum(start + BLOCK_N, end - BLOCK_N) + at)
    return tl.load(list_ptr + start + at), token

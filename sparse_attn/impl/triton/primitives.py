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
def forward_sizes(head_dim: int, dtype: torch.dtype, is_long: bool) -> BlockSizes:
    """Measured on an H200; float32 and wide heads take smaller steps to fit shared memory.

    Args:
        head_dim: D.
        dtype: of query, key and value.
        is_long: whether lists are long and mostly of entries that every row sees.
    """
    if dtype == torch.float32:
        return _float32_sizes(head_dim)
    if head_dim <= 64:
        return BlockSizes(64, 2, full_n=128) if is_long else BlockSizes(64, 2, registers=128, ahead=True)
    return BlockSizes(32, 3, full_n=32, ahead=True) if head_dim <= 128 else BlockSizes(32, 2)


@cache
def dq_sizes(head_dim: int, dtype: torch.dtype, is_long: bool) -> BlockSizes:
    """As `forward_sizes`, for the gradient by the queries."""
    if dtype == torch.float32:
        return _float32_sizes(head_dim)
    if head_dim <= 64:
        return BlockSizes(64, 3, ahead=True) if is_long else BlockSizes(32, 3, registers=128, ahead=True)
    return BlockSizes(64, 2, ahead=True) if head_dim <= 128 else BlockSizes(32, 1)


@cache
def dkv_sizes(head_dim: int, dtype: torch.dtype) -> BlockSizes:
    """As `forward_sizes`, for the gradients by the keys and values."""
    if dtype == torch.float32:
        return _float32_sizes(head_dim)
    if head_dim <= 64:
        return BlockSizes(64, 3, ahead=True)
    return BlockSizes(64, 2) if head_dim <= 128 else BlockSizes(32, 1)


def is_long(has_full: bool, keys: int) -> bool:
    """Whether lists are long and mostly of entries that every row sees."""
    return has_full and keys >= 8192


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
def sequence_of(row, num_keys):
    """The sequence that a tile belongs to: all its rows and entries lie in one. int64, so that offsets are."""
    return (tl.maximum(tl.max(row, 0), 0) // num_keys).to(tl.int64)


@triton.jit
def token_offsets(token, begin, stride, WIDE: tl.constexpr):
    """Offsets of flat key positions from the token at flat position `begin`; what lies before it reads as it."""
    position = tl.maximum(token - begin, 0)
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
        word = tl.where(column[None, :] < 32, word, second)
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

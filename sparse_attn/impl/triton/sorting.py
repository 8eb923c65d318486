# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""The stream of tokens on a device: stable counting sorts, valences used up, budgets reached back.

B batch, N tokens, M = B * N, C classes, K sort keys. Tokens are cut into blocks that lie in one segment each (a
sequence, a stretch of it, or the whole stream); counts[s, k, b] = tokens of key k in block b of segment s. Their
running sum says where each block's tokens of each key go.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attn.impl.triton.launching import launch
from sparse_attn.rows import reach_steps
from sparse_attn.rules import ClassRules

BLOCK = 128


@dataclass(frozen=True)
class Segments:
    """Stretches of so many positions of each sequence, sorted apart from each other.

    Args:
        tokens: N; M for the whole stream as one segment.
        stretch: positions of a segment, at most N.
        count: how many there are in all.
        blocks: blocks of a segment.
    """

    tokens: int
    stretch: int
    count: int
    blocks: int

    @staticmethod
    def of(size: int, tokens: int, stretch: int) -> Segments:
        """For a stream of M = size tokens in sequences of N."""
        stretch = min(stretch, tokens)
        return Segments(tokens, stretch, size // tokens * -(-tokens // stretch), -(-stretch // BLOCK))


@triton.jit
def _block_of(tokens, stretch, blocks, BLOCK: tl.constexpr):
    """Flat positions of this program's block and whether they lie in its segment. [BLOCK] int32, bool."""
    segment, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    each = (tokens + stretch - 1) // stretch
    begin = segment % each * stretch
    end = tl.minimum(begin + stretch, tokens)
    within = begin + block * BLOCK + tl.arange(0, BLOCK)
    return segment // each * tokens + within, within < end


@triton.jit
def _count(counts_ptr, key, inside, num_keys, blocks, BLOCK: tl.constexpr):
    """Write how many tokens of each key this block holds; counts start at 0."""
    same = (key[:, None] == key[None, :]) & inside[None, :]
    earlier = tl.arange(0, BLOCK)[None, :] < tl.arange(0, BLOCK)[:, None]
    first = tl.sum((same & earlier).to(tl.int32), 1) == 0
    at = (tl.program_id(0) // blocks * num_keys + key) * blocks + tl.program_id(0) % blocks
    tl.store(counts_ptr + at, tl.sum(same.to(tl.int32), 1), mask=inside & first)


@triton.jit
def count_classes_kernel(
    ids_ptr, valid_ptr, first_ptr, last_ptr, classes_ptr, counts_ptr, bad_ptr, size, tokens, num_classes, blocks,
    HAS_VALID: tl.constexpr, HAS_BOUNDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Class ids to classes (C for padding), text bounds where none are given, counts, and whether an id is wrong."""
    at, inside = _block_of(size, size, blocks, BLOCK)
    given = tl.load(ids_ptr + at, mask=inside, other=0)
    real = inside
    if HAS_VALID:
        real &= tl.load(valid_ptr + at, mask=inside, other=0) != 0
    wrong = real & ((given < 0) | (given >= num_classes))
    tl.store(bad_ptr + tl.zeros_like(at), tl.full([BLOCK], 1, tl.int32), mask=wrong)
    # A wrong id is an error by and by; until then it must not lead out of the tables.
    key = tl.where(real & ~wrong, given, num_classes).to(tl.int32)
    tl.store(classes_ptr + at, key, mask=inside)
    if not HAS_BOUNDS:
        first = at // tokens * tokens
        tl.store(first_ptr + at, first, mask=inside)
        tl.store(last_ptr + at, first + tokens, mask=inside)
    _count(counts_ptr, key, inside, num_classes + 1, blocks, BLOCK)


@triton.jit
def count_reaches_kernel(
    order_ptr, place_ptr, classes_ptr, first_ptr, last_ptr, floor_ptr, until_ptr, keys_ptr, counts_ptr,
    size, tokens, num_classes, valence, near, middle, far, farthest, blocks,
    CAUSAL: tl.constexpr, OF_KEYS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """How far queries reach back, or keys on (and where their valence is used up), in steps."""
    at, inside = _block_of(tokens, tokens, blocks, BLOCK)
    own = tl.load(classes_ptr + at, mask=inside, other=num_classes)
    last = tl.load(last_ptr + at, mask=inside, other=0)
    if OF_KEYS:
        later = tl.load(place_ptr + at, mask=inside, other=0) + valence
        exists = inside & (later < size)
        later = tl.load(order_ptr + later, mask=exists, other=0)
        exists &= (tl.load(classes_ptr + later) == own) & (later < last)
        gone = later if CAUSAL else tl.load(first_ptr + at, mask=inside, other=0)
        until = tl.where(exists, gone, last)
        tl.store(until_ptr + at, until, mask=inside)
        reach = until - at
    else:
        end = at + 1 if CAUSAL else last
        reach = end - tl.load(floor_ptr + at, mask=inside, other=0)
    key = (reach > near).to(tl.int32) + (reach > middle).to(tl.int32)
    key += (reach > far).to(tl.int32) + (reach > farthest).to(tl.int32)
    key = tl.where(own < num_classes, key, 5)
    tl.store(keys_ptr + at, key, mask=inside)
    _count(counts_ptr, key, inside, 6, blocks, BLOCK)


@triton.jit
def count_ranks_kernel(
    classes_ptr, rank_ptr, keys_ptr, counts_ptr, tokens, stretch, num_classes, blocks, BLOCK: tl.constexpr
):
    """Tokens by their class's place in a given order of classes; padding last."""
    at, inside = _block_of(tokens, stretch, blocks, BLOCK)
    key = tl.load(rank_ptr + tl.load(classes_ptr + at, mask=inside, other=num_classes))
    tl.store(keys_ptr + at, key, mask=inside)
    _count(counts_ptr, key, inside, num_classes + 1, blocks, BLOCK)


@triton.jit
def scatter_kernel(
    keys_ptr, counts_ptr, sums_ptr, target_ptr, place_ptr, tokens, stretch, num_keys, blocks, rows,
    AS_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Put each token where its key's running sum says.

    As rows, each sequence takes `rows` places, tokens of odd keys go in falling order (see `sparse_attn.rows`), and
    those of the last key (padding) are written as -1. Else the place of each token is kept too.
    """
    at, inside = _block_of(tokens, stretch, blocks, BLOCK)
    key = tl.load(keys_ptr + at, mask=inside, other=0)
    same = (key[:, None] == key[None, :]) & inside[None, :]
    earlier = tl.arange(0, BLOCK)[None, :] < tl.arange(0, BLOCK)[:, None]
    cell = (tl.program_id(0) // blocks * num_keys + key) * blocks + tl.program_id(0) % blocks
    before = tl.load(sums_ptr + cell, mask=inside, other=0) - tl.load(counts_ptr + cell, mask=inside, other=0)
    place = before + tl.sum((same & earlier).to(tl.int32), 1)
    if AS_ROWS:
        run = (tl.program_id(0) // blocks * num_keys + key) * blocks
        begin = tl.load(sums_ptr + run - 1, mask=inside & (run > 0), other=0)
        end = tl.load(sums_ptr + run + blocks - 1, mask=inside, other=0)
        place = tl.where(key % 2 == 0, place, begin + end - 1 - place)
        sequence = at // tokens
        target = place + sequence * (rows - tokens)
        tl.store(target_ptr + target, tl.where(key < num_keys - 1, at, -1), mask=inside)
    else:
        tl.store(target_ptr + place, at, mask=inside)
        tl.store(place_ptr + at, place, mask=inside)


@dataclass(frozen=True, eq=False)
class SortedStream:
    """What the sorts leave behind. M tokens.

    Args:
        classes: [M] int32, C for padding.
        first: [M] int32.
        last: [M] int32.
        order: [M] int32, tokens by class, then position.
        place: [M] int32, its inverse.
        counts: [(C + 1) * blocks] int32, tokens by class, then block.
        sums: their running sum.
        blocks: blocks of the stream.
        bad: [1] int32, 1 where a class id lies outside [0, C).
    """

    classes: Tensor
    first: Tensor
    last: Tensor
    order: Tensor
    place: Tensor
    counts: Tensor
    sums: Tensor
    blocks: int
    bad: Tensor


def sort_by_class(
    class_ids: Tensor, valid: Tensor | None, bounds: tuple[Tensor, Tensor] | None, rules: ClassRules
) -> SortedStream:
    """Sort a batch by class. Arguments as in `sparse_attn.stream.build_stream`; without bounds a text a sequence."""
    size, tokens, device = class_ids.numel(), class_ids.shape[1], class_ids.device
    blocks = -(-size // BLOCK)
    made = torch.empty((5, size), dtype=torch.int32, device=device)
    classes, order, place = made[0], made[1], made[2]
    first, last = bounds if bounds is not None else (made[3], made[4])
    # What kernels are given begins at 16 bytes, as they like it.
    cells = (rules.classes + 1) * blocks
    filled = torch.zeros(-(-cells // 4) * 4 + 1, dtype=torch.int32, device=device)
    counts, bad = filled[:cells], filled[-1:]
    class_ids = class_ids.contiguous()
    real = class_ids if valid is None else valid.contiguous().view(torch.uint8)
    launch(
        count_classes_kernel, (blocks,), (class_ids, real, first, last, classes, counts, bad),
        (size, tokens, rules.classes, blocks),
        HAS_VALID=valid is not None, HAS_BOUNDS=bounds is not None, BLOCK=BLOCK,
    )  # fmt: skip
    sums = torch.cumsum(counts, 0, dtype=torch.int32)
    launch(
        scatter_kernel, (blocks,), (classes, counts, sums, order, place),
        (size, size, rules.classes + 1, blocks, 0), AS_ROWS=False, BLOCK=BLOCK,
    )  # fmt: skip
    return SortedStream(classes, first, last, order, place, counts, sums, blocks, bad)


def sort_by_reach(
    found: SortedStream, tokens: int, floor: Tensor, rules: ClassRules, rows: int
) -> tuple[Tensor, Tensor]:
    """The tokens in tiles by how far they reach: keys under a valence, queries under a budget.

    Args:
        found: the sorted stream.
        tokens: N.
        floor: [M] int32, the oldest key of each query; read under a budget.
        rules: with one of the two bounds.
        rows: R, tokens of a tile.

    Returns: `until` [M] int32 (meaningless under a budget) and the tiles [T, R] int32.
    """
    size = found.classes.shape[0]
    segments = Segments.of(size, tokens, tokens)
    until, keys = torch.empty((2, size), dtype=torch.int32, device=floor.device)
    counts = torch.zeros(segments.count * 6 * segments.blocks, dtype=torch.int32, device=floor.device)
    launch(
        count_reaches_kernel, (segments.count * segments.blocks,),
        (found.order, found.place, found.classes, found.first, found.last, floor, until, keys, counts),
        (size, tokens, rules.classes, rules.valence or 0, *reach_steps(rules), segments.blocks),
        CAUSAL=rules.causal, OF_KEYS=rules.valence is not None, BLOCK=BLOCK,
    )  # fmt: skip
    return until, _tiled(keys, counts, segments, 6, rows)


def sort_by_rank(found: SortedStream, tokens: int, rank: Tensor, stretch: int, rows: int) -> Tensor:
    """The tokens in tiles [T, rows], sorted within stretches of text by rank [C + 1] of their class."""
    segments = Segments.of(found.classes.shape[0], tokens, stretch)
    keys = torch.empty_like(found.classes)
    counts = torch.zeros(segments.count * rank.shape[0] * segments.blocks, dtype=torch.int32, device=keys.device)
    launch(
        count_ranks_kernel, (segments.count * segments.blocks,), (found.classes, rank, keys, counts),
        (tokens, segments.stretch, rank.shape[0] - 1, segments.blocks), BLOCK=BLOCK,
    )  # fmt: skip
    return _tiled(keys, counts, segments, rank.shape[0], rows)


def _tiled(keys: Tensor, counts: Tensor, segments: Segments, num_keys: int, rows: int) -> Tensor:
    each = -(-segments.tokens // rows) * rows
    make = torch.empty if each == segments.tokens else _nowhere
    target = make((keys.shape[0] // segments.tokens * each // rows, rows), dtype=torch.int32, device=keys.device)
    sums = torch.cumsum(counts, 0, dtype=torch.int32)
    launch(
        scatter_kernel, (segments.count * segments.blocks,), (keys, counts, sums, target, target),
        (segments.tokens, segments.stretch, num_keys, segments.blocks, each),
        AS_ROWS=True, BLOCK=BLOCK,
    )  # fmt: skip
    return target


def _nowhere(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.full(shape, -1, dtype=dtype, device=device)

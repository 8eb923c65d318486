# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""How far back a budget of k keys reaches, on a device; `sparse_attn.stream.budget_floor` defines it.

M tokens in blocks of BLOCK; C classes; sums[a, b] = tokens up to and with block b that class a may bond with.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attn.impl.triton.launching import launch
from sparse_attn.impl.triton.sorting import BLOCK, SortedStream
from sparse_attn.rules import ClassRules


@triton.jit
def _running(classes_ptr, allow_ptr, asker, block, size, num_classes, BLOCK: tl.constexpr):
    """Within the given block of each row, the running count of tokens its class may bond with. [R, BLOCK] int32."""
    at = block[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    other = tl.load(classes_ptr + at, mask=(at >= 0) & (at < size), other=num_classes)
    bond = tl.load(allow_ptr + asker[:, None] * (num_classes + 1) + other) != 0
    return tl.cumsum(bond.to(tl.int32), 1)


@triton.jit
def _before(classes_ptr, allow_ptr, sums_ptr, asker, position, size, num_classes, blocks, BLOCK: tl.constexpr):
    """How many tokens before the position the class may bond with. [R] int32."""
    block = position // BLOCK
    whole = tl.load(sums_ptr + asker * blocks + block - 1, mask=block > 0, other=0)
    running = _running(classes_ptr, allow_ptr, asker, block, size, num_classes, BLOCK)
    last = tl.arange(0, BLOCK)[None, :] == (position % BLOCK - 1)[:, None]
    return whole + tl.sum(tl.where(last, running, 0), 1)


@triton.jit
def _nth(
    classes_ptr, allow_ptr, sums_ptr, asker, wanted, least, first, size, num_classes, blocks, steps, BLOCK: tl.constexpr
):
    """The position of the wanted-th token (from 1) that the class may bond with; `first` if wanted <= least."""
    exists = wanted > least
    low = tl.zeros_like(asker)
    high = low + blocks
    for _ in range(steps):
        is_open = low < high
        middle = (low + high) // 2
        less = is_open & (tl.load(sums_ptr + asker * blocks + middle, mask=is_open, other=0) < wanted)
        high = tl.where(is_open & ~less, middle, high)
        low = tl.where(less, middle + 1, low)
    block = tl.minimum(low, blocks - 1)
    missing = wanted - tl.load(sums_ptr + asker * blocks + block - 1, mask=block > 0, other=0)
    running = _running(classes_ptr, allow_ptr, asker, block, size, num_classes, BLOCK)
    found = block * BLOCK + tl.sum((running < missing[:, None]).to(tl.int32), 1)
    return tl.where(exists, found, first)


@triton.jit
def budget_floor_kernel(
    classes_ptr, first_ptr, last_ptr, allow_ptr, sums_ptr, floor_ptr, size, num_classes, budget, blocks, steps,
    CAUSAL: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program for ROWS queries."""
    position = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = position < size
    asker = tl.minimum(tl.load(classes_ptr + position, mask=inside, other=0), num_classes - 1)
    first = tl.load(first_ptr + position, mask=inside, other=0)
    horizon = position + 1 if CAUSAL else tl.load(last_ptr + position, mask=inside, other=0)
    horizon = tl.minimum(horizon, size)
    upto = _before(classes_ptr, allow_ptr, sums_ptr, asker, horizon, size, num_classes, blocks, BLOCK)
    least = _before(classes_ptr, allow_ptr, sums_ptr, asker, first, size, num_classes, blocks, BLOCK)
    floor = _nth(
        classes_ptr,
        allow_ptr,
        sums_ptr,
        asker,
        upto - budget + 1,
        least,
        first,
        size,
        num_classes,
        blocks,
        steps,
        BLOCK,
    )
    # A token whose class may not bond with itself is a candidate beside those counted, and takes one place.
    displaced = position
    if budget > 1:
        displaced = _nth(
            classes_ptr, allow_ptr, sums_ptr, asker, upto - budget + 2, least, first, size, num_classes, blocks, steps,
            BLOCK,
        )  # fmt: skip
        displaced = tl.minimum(displaced, position)
    is_full = upto - least >= budget
    displaced = tl.where(is_full & (position < floor), floor, displaced)
    displaced = tl.where(is_full, displaced, first)
    bonds_itself = tl.load(allow_ptr + asker * (num_classes + 1) + asker) != 0
    tl.store(floor_ptr + position, tl.where(bonds_itself, floor, displaced), mask=inside)


def budget_floor(found: SortedStream, allow: Tensor, rules: ClassRules) -> Tensor:
    """The oldest key that each query's budget reaches. [M] int32; `allow` [C + 1, C + 1] bool.

    Cost: O(M log M) besides one product [C, C] @ [C, M / BLOCK].
    """
    size, classes = found.classes.shape[0], rules.classes
    blocks = -(-size // BLOCK)
    # Counts up to BLOCK and zeros and ones: exact in every precision of a matrix product.
    held = found.counts.view(classes + 1, blocks)[:-1].float()
    sums = torch.cumsum(allow[:-1, :-1].float() @ held, 1).int()
    floor = torch.empty_like(found.classes)
    rows = 32
    launch(
        budget_floor_kernel, (-(-size // rows),), (found.classes, found.first, found.last, allow, sums, floor),
        (size, classes, rules.budget or 1, blocks, blocks.bit_length()), CAUSAL=rules.causal, ROWS=rows, BLOCK=BLOCK,
    )  # fmt: skip
    return floor

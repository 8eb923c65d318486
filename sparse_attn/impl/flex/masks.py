"""A plan as FlexAttention wants it: a mask over pairs of places, and a table of the blocks to visit.

B batch, N tokens, Nq queries, C classes, T tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from sparse_attn.errors import ShapeError, UnsupportedError
from sparse_attn.impl.flex.blocks import Places, block_table, places_of
from sparse_attn.plan import ClassPlan
from sparse_attn.rules import ClassRules

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def to_block_mask(plan: ClassPlan, block: int = 128, order: Tensor | None = None) -> BlockMask:
    """The plan as a BlockMask: which blocks to visit, which of them need no mask, and the mask of the others.

    Made from the extremes of each block (its classes, its first and last token, how far back its queries and how far
    on its keys reach), never from an N x N mask. A visited block may hold no visible pair; none that does is left out.

    Args:
        plan: from `plan_classes`.
        block: tokens of a block on either side, a power of two >= 16.
        order: [B, N] integer, which token stands at each place where query, key and value are permuted alike (by
            class, say); None for reading order.

    Returns: a BlockMask [B, 1, Nq, N]; its `mask_mod` decides each pair exactly.

    Raises:
        ShapeError: an order that is not [B, N].
        UnsupportedError: an order where fewer tokens ask than are seen.

    Cost: O(B (N / block)^2 C) for the table of blocks.
    """
    places = _places(plan, order)
    needed, full = block_table(places, plan.rules, plan.num_queries, block)
    # Without full blocks the kernel is compiled without the loop for them.
    full_count, full_index = _ordered(full) if bool(full.any()) else (None, None)
    return BlockMask.from_kv_blocks(
        *_ordered(needed & ~full),
        full_kv_num_blocks=full_count,
        full_kv_indices=full_index,
        BLOCK_SIZE=block,
        mask_mod=_mask_mod(plan, places, order is not None),
        seq_lengths=(plan.num_queries, plan.num_keys),
    )


def to_mask_mod(plan: ClassPlan, order: Tensor | None = None) -> MaskMod:
    """Who sees whom as a `mask_mod(b, h, q, k)` for FlexAttention; `order` as in `to_block_mask`.

    It holds only the look-ups that these rules need, for FlexAttention pays for each at every score: up to 64 classes
    are one bit each of a word per query.
    """
    return _mask_mod(plan, _places(plan, order), order is not None)


def score_mod(plan: ClassPlan) -> Any:
    """The rules' bias as a `score_mod` in reading order; None where they have none."""
    if plan.bias is None:
        return None
    table, classes = plan.bias, plan.class_ids.clamp(0, plan.rules.classes - 1).int()
    missing = plan.num_keys - plan.num_queries

    def add_bias(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return score + table[classes[b, q + missing], classes[b, k]]

    return add_bias


def _places(plan: ClassPlan, order: Tensor | None) -> Places:
    if order is not None:
        if tuple(order.shape) != (plan.batch, plan.num_keys):
            raise ShapeError(f"order must be [{plan.batch}, {plan.num_keys}] as the plan, got {tuple(order.shape)}")
        if plan.num_queries != plan.num_keys:
            raise UnsupportedError(
                f"an order permutes queries and keys alike, but {plan.num_queries} of {plan.num_keys} tokens ask; "
                "plan without num_queries"
            )
    return places_of(plan, order)


def _ordered(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """[B, Tq, Tk] bool -> how many in each row, and which come first, as FlexAttention wants them."""
    count = blocks.sum(-1, dtype=torch.int32)[:, None]
    return count, blocks.int().argsort(dim=-1, descending=True, stable=True).int()[:, None]


def _mask_mod(plan: ClassPlan, places: Places, permuted: bool) -> MaskMod:
    """`Stream.visible` with only the look-ups that these rules need."""
    rules, missing = plan.rules, plan.num_keys - plan.num_queries
    causal, window, budget, valence = rules.causal, rules.window, rules.budget, rules.valence
    position, floor, until, segment = places.position, places.floor, places.until, places.segment
    one_text = bool((segment == 0).all())
    bond, nothing = _bond_test(rules, places), not rules.allows_any
    # Within a window a token sees itself anyway; of its own class's last w it is one, unless counted from the end.
    alone = window == 0 and (not bool(rules.allow.diagonal().all()) or (valence is not None and not causal))
    is_global = _is_global(rules, places) if rules.global_classes else None

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        q = q + missing
        i, j = (position[b, q], position[b, k]) if permuted else (q, k)
        near = (i - j if causal else (i - j).abs()) < max(window, 1)
        if nothing:
            seen = near
        else:
            seen = j >= 0 if bond is None else bond(b, q, k)
            if valence is not None:
                seen = seen & (i < until[b, k])
            if alone:
                seen = seen | (i == j)
            if budget is not None:
                seen = seen & (j >= floor[b, q])
            if window > 0:
                seen = seen | near
        if is_global is not None:
            seen = seen | is_global[b, k]
        if causal:
            seen = seen & (j <= i)
        if not one_text:
            seen = seen & (segment[b, q] == segment[b, k]) & (segment[b, q] >= 0)
        return seen

    return mask_mod


def _bond_test(rules: ClassRules, places: Places) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """Whether the two classes may bond, by the cheapest look-up there is; None where all may."""
    if bool(rules.allow.all()):
        return None
    classes = places.classes.clamp(max=rules.classes - 1)
    if rules.classes > 64:
        width, allow = rules.classes, rules.allow.flatten().to(classes.device)
        return lambda b, q, k: allow[classes[b, q] * width + classes[b, k]]
    # Bit c of a query's word: may it bond with class c? The top bit is the sign, and shifts as well as any other.
    dtype, top = (torch.int32, 31) if rules.classes <= 32 else (torch.int64, 63)
    weight = torch.tensor([2**c if c < top else -(2**c) for c in range(rules.classes)], dtype=dtype)
    bits = (rules.allow * weight).sum(1, dtype=dtype).to(classes.device)[classes.long()]
    return lambda b, q, k: ((bits[b, q] >> classes[b, k]) & 1) != 0


def _is_global(rules: ClassRules, places: Places) -> Tensor:
    """[B, N] bool: whether everyone sees the token at this place."""
    table = torch.zeros(rules.classes + 1, dtype=torch.bool)
    table[list(rules.global_classes)] = True
    return table.to(places.classes.device)[places.classes.long()]

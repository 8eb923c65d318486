"""The same attention through torch's FlexAttention: interop, and an honest baseline.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from sparse_attn.errors import UnsupportedError
from sparse_attn.plan import ClassPlan
from sparse_attn.rows import TileShape


def to_block_mask(plan: ClassPlan, block: int = 128) -> BlockMask:
    """The plan as a BlockMask in reading order, built from the tile lists without an n x n mask.

    Args:
        plan: from `plan_classes`.
        block: tokens of a block on either side, a power of two >= 16.

    Returns: a BlockMask [B, 1, Nq, N]; its `mask_mod` decides each pair exactly.

    Cost: O(B (N / block)^2) for the table of blocks, O(E) for the listed keys.
    """
    lists = plan.key_lists(TileShape(block, 0, packed=False))
    tokens, queries = plan.num_keys, plan.num_queries
    blocks_q, blocks_k = -(-queries // block), -(-tokens // block)
    length = lists.meta[:, 2]
    tile = torch.repeat_interleave(length, output_size=lists.entries.shape[0])
    key = lists.entries.long()
    tile, key = tile[key >= 0], key[key >= 0]
    needed = torch.zeros(plan.batch, blocks_q, blocks_k, dtype=torch.bool, device=plan.device)
    needed[tile // blocks_q, tile % blocks_q, key % tokens // block] = True
    count = needed.sum(-1, dtype=torch.int32)[:, None]
    index = needed.int().argsort(dim=-1, descending=True, stable=True).int()[:, None]

    return BlockMask.from_kv_blocks(
        count, index, BLOCK_SIZE=block, mask_mod=_mask_mod(plan), seq_lengths=(queries, tokens)
    )


def _mask_mod(plan: ClassPlan) -> Any:
    """`Stream.visible` with only the look-ups that these rules need: FlexAttention pays for each at every score."""
    stream, rules, tokens = plan.stream, plan.rules, plan.num_keys
    missing, width, allow = tokens - plan.num_queries, stream.allow.shape[0], stream.allow.flatten()
    packed = bool((stream.first % tokens != 0).any())

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        query, key = b * tokens + q + missing, b * tokens + k
        seen = allow[stream.classes[query] * width + stream.classes[key]]
        itself = query == key
        if rules.valence is not None:
            seen = seen & (query < stream.until[key])
        seen = seen | itself
        if rules.budget is not None:
            seen = seen & (key >= stream.floor[query])
        if rules.window > 0:
            seen = seen | ((query - key).abs() < rules.window)
        if rules.global_classes:
            seen = seen | stream.is_global[stream.classes[key]]
        if rules.causal:
            seen = seen & (key <= query)
        if packed:
            seen = seen & (stream.first[query] == stream.first[key])
        if plan.has_blind:
            seen = seen & (stream.classes[query] < width - 1) & (stream.classes[key] < width - 1)
        return seen

    return mask_mod


def attend(query: Tensor, key: Tensor, value: Tensor, plan: ClassPlan, scale: float) -> Tensor:
    """Attention of [B, H, Nq, D] over [B, G, N, D] by compiled FlexAttention.

    Raises:
        UnsupportedError: a gradient is wanted on a CPU, where FlexAttention has no backward.
    """
    wants_gradient = query.requires_grad or key.requires_grad or value.requires_grad
    if query.device.type == "cpu" and torch.is_grad_enabled() and wants_gradient:
        raise UnsupportedError('FlexAttention has no backward on the CPU; use backend="cpu", or torch.no_grad()')
    out: Tensor = _compiled()(
        query,
        key,
        value,
        score_mod=_score_mod(plan),
        block_mask=to_block_mask(plan),
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return out


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=False)


def _score_mod(plan: ClassPlan) -> Any:
    if plan.bias is None:
        return None
    table, classes = plan.bias, plan.stream.classes.clamp(max=plan.rules.classes - 1)
    tokens, missing = plan.num_keys, plan.num_keys - plan.num_queries

    def add_bias(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return score + table[classes[b * tokens + q + missing], classes[b * tokens + k]]

    return add_bias

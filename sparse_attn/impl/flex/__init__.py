"""The same attention through torch's FlexAttention: interop, and an honest baseline."""

from __future__ import annotations

from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch._dynamo.exc import FailOnRecompileLimitHit
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from sparse_attn.errors import UnsupportedError
from sparse_attn.impl.flex.masks import score_mod, to_block_mask, to_mask_mod
from sparse_attn.plan import ClassPlan

__all__ = ["attend", "to_block_mask", "to_mask_mod"]

_masks: WeakKeyDictionary[ClassPlan, BlockMask] = WeakKeyDictionary()


def attend(query: Tensor, key: Tensor, value: Tensor, plan: ClassPlan, scale: float) -> Tensor:
    """Attention of [B, H, Nq, D] over [B, G, N, D] by compiled FlexAttention.

    The BlockMask is made at the plan's first call and kept as long as the plan.

    Raises:
        UnsupportedError: a gradient is wanted on a CPU, where FlexAttention has no backward; or torch has compiled
            so many shapes and rules that it refuses another.
    """
    wants_gradient = query.requires_grad or key.requires_grad or value.requires_grad
    if query.device.type == "cpu" and torch.is_grad_enabled() and wants_gradient:
        raise UnsupportedError('FlexAttention has no backward on the CPU; use backend="cpu", or torch.no_grad()')
    if plan not in _masks:
        _masks[plan] = to_block_mask(plan)
    try:
        out: Tensor = _compiled()(
            query,
            key,
            value,
            score_mod=score_mod(plan),
            block_mask=_masks[plan],
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    except FailOnRecompileLimitHit as error:
        raise UnsupportedError(
            "FlexAttention is compiled anew for each shape and kind of rules, and torch stops at "
            f"{torch._dynamo.config.recompile_limit}; raise torch._dynamo.config.recompile_limit, or call "
            "torch._dynamo.reset()"
        ) from error
    return out


@cache
def _compiled() -> Any:
    # Without fullgraph torch would, beyond its limit of recompilations, quietly run it uncompiled, with N x N scores.
    return torch.compile(flex_attention, dynamic=False, fullgraph=True)

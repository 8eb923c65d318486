"""The operators that torch sees: schemas, shapes without data, and who differentiates whom.

Plans reach them as plain tensors, so `torch.compile` traces through without looking inside. A second derivative and
vmap have no formula and are refused by torch. B batch, H query heads, G key/value heads, N tokens, Nq queries, D head
dim.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_attn.plan import Schedule


@torch.library.custom_op("sparse_attn::cpu_forward", mutates_args=())
def cpu_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: list[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp on a CPU; see `sparse_attn.impl.cpu.forward`."""
    from sparse_attn.impl import cpu

    return cpu.forward(query, key, value, lists, classes, bias, scale)


@torch.library.custom_op("sparse_attn::cpu_backward", mutates_args=())
def cpu_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    lists: list[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by query, key and value on a CPU; see `sparse_attn.impl.cpu.backward`."""
    from sparse_attn.impl import cpu

    return cpu.backward(grad, query, key, value, out, lse, lists, classes, bias, scale)


@torch.library.custom_op("sparse_attn::triton_forward", mutates_args=())
def triton_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: list[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
    has_blind: bool,
    has_full: bool,
) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp by Triton; `lists` holds the five key lists, then the five query lists if training."""
    from sparse_attn.impl import triton

    query, key, value = (_last_contiguous(x) for x in (query, key, value))
    return triton.forward(query, key, value, lists[:5], classes, bias, scale, has_blind, has_full)


@torch.library.custom_op("sparse_attn::triton_backward", mutates_args=())
def triton_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    lists: list[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
    has_blind: bool,
    has_full: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by query, key and value by Triton; `lists` holds all ten."""
    from sparse_attn.impl import triton

    grad, query, key, value = (_last_contiguous(x) for x in (grad, query, key, value))
    return triton.backward(
        grad, query, key, value, out, lse, lists[:5], lists[5:], classes, bias, scale, has_blind, has_full
    )


def _last_contiguous(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _forward_shapes(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(query.dtype, torch.float32)
    out = torch.empty_like(query)
    return out, torch.empty(query.shape[:3], dtype=dtype, device=query.device)


def _backward_shapes(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(x) for x in (query, key, value))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, value, lists, classes, bias, *rest = inputs
    ctx.save_for_backward(query, key, value, *output, classes, bias, *lists)
    ctx.mark_non_differentiable(output[1])
    ctx.rest = rest


def _differentiate_with(operator: Any) -> Any:
    def differentiate(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
        query, key, value, out, lse, classes, bias, *lists = ctx.saved_tensors
        grads = operator(grad, query, key, value, out, lse, lists, classes, bias, *ctx.rest)
        return (*grads, [None] * len(lists), None, None, *[None for _ in ctx.rest])

    return differentiate


class TritonAttention(torch.autograd.Function):
    """What `triton_forward` and its gradient do, without torch.library's dispatch.

    Outside of `torch.compile` nobody needs the dispatch, and it takes longer than the kernels of a short text.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, schedule: Schedule, scale: float) -> Tensor:
        """The output alone; arguments as in `triton_forward`."""
        from sparse_attn.impl import triton

        query, key, value = (_last_contiguous(x) for x in (query, key, value))
        keys, _, *rest, has_blind, has_full = schedule
        out, lse = triton.forward(query, key, value, keys, *rest, scale, has_blind, has_full)
        ctx.save_for_backward(query, key, value, out, lse)
        # Constants that only the plan holds: nobody can have changed them since.
        ctx.schedule, ctx.scale = schedule, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by query, key and value; a second derivative is refused."""
        # Grad mode is on here only where a second derivative may follow.
        return _refusing_gradients(ctx, grad) if torch.is_grad_enabled() else _gradients(ctx, grad)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    from sparse_attn.impl import triton

    keys, queries, *rest, has_blind, has_full = ctx.schedule
    saved = (_last_contiguous(grad), *ctx.saved_tensors)
    return (*triton.backward(*saved, keys, queries, *rest, ctx.scale, has_blind, has_full), None, None)


_refusing_gradients = once_differentiable(_gradients)


for _forward, _backward in ((cpu_forward, cpu_backward), (triton_forward, triton_backward)):
    _forward.register_fake(_forward_shapes)
    _backward.register_fake(_backward_shapes)
    _forward.register_autograd(_differentiate_with(_backward), setup_context=_save)

"""The operators that torch sees: schemas, shapes without data, and who differentiates whom.

Plans reach them as plain tensors, so `torch.compile` traces through without looking inside. A second derivative and
vmap have no formula and are refused by torch. B batch, H query heads, G key/value heads, N tokens, Nq queries, D head
dim.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparse_attn.errors import UnsupportedError
from sparse_attn.memory import empty_as, last_contiguous
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

    query, key, value = (last_contiguous(x) for x in (query, key, value))
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

    grad, query, key, value = (last_contiguous(x) for x in (grad, query, key, value))
    return triton.backward(
        grad, query, key, value, out, lse, lists[:5], lists[5:], classes, bias, scale, has_blind, has_full
    )


def _cpu_forward_shapes(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(query.dtype, torch.float32)
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    return out, torch.empty(query.shape[:3], dtype=dtype, device=query.device)


def _cpu_backward_shapes(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (query, key, value))


def _triton_forward_shapes(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return empty_as(last_contiguous(query)), query.new_empty(query.shape[:3], dtype=torch.float32)


def _triton_backward_shapes(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(empty_as(last_contiguous(x)) for x in (query, key, value))


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


class Attention(torch.autograd.Function):
    """What the operators do, without torch.library's dispatch.

    Outside of `torch.compile` nobody needs the dispatch, and it takes longer than the kernels of a short text.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, steps: CpuSteps | TritonSteps) -> Tensor:
        """The output alone; `steps` know all but the three tensors."""
        out, lse = steps.forward(query, key, value)
        ctx.save_for_backward(query, key, value, out, lse)
        # Constants that only the plan holds: nobody can have changed them since.
        ctx.steps = steps
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by query, key and value; a second derivative is refused."""
        # Grad mode is on here only where a second derivative may follow.
        work = _Gradients.apply if torch.is_grad_enabled() else _gradients
        return (*work(ctx.steps, grad, *ctx.saved_tensors), None)


def _gradients(steps: CpuSteps | TritonSteps, *saved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return steps.backward(*saved)


class _Gradients(torch.autograd.Function):
    """The gradients as a node of their own, so that whoever asks for a second derivative is told that there is none."""

    @staticmethod
    def forward(ctx: Any, steps: CpuSteps | TritonSteps, *saved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return steps.backward(*saved)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, ...]:
        raise UnsupportedError(
            'autograd wants a second derivative of class_attention, which has none; use backend="reference"'
        )


class CpuSteps(NamedTuple):
    """The CPU's forward and backward pass under one plan; the fields are arguments of `cpu_forward`."""

    lists: list[Tensor]
    classes: Tensor
    bias: Tensor | None
    scale: float

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp."""
        from sparse_attn.impl import cpu

        return cpu.forward(query, key, value, *self)

    def backward(
        self, grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, lse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients, from that of the output, what went in and what came out."""
        from sparse_attn.impl import cpu

        return cpu.backward(grad, query, key, value, out, lse, *self)


@cache
def _triton() -> Any:
    """The kernels, imported where they are first asked for: an import statement costs something at every call."""
    from sparse_attn.impl import triton

    return triton


class TritonSteps(NamedTuple):
    """As `CpuSteps`, for the kernels."""

    schedule: Schedule
    scale: float

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp."""
        triton = _triton()
        keys, _, classes, bias, has_blind, has_full = self.schedule
        query, key, value = last_contiguous(query), last_contiguous(key), last_contiguous(value)
        out, lse = triton.forward(query, key, value, keys, classes, bias, self.scale, has_blind, has_full)
        return out, lse

    def backward(
        self, grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, lse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients, from that of the output, what went in and what came out."""
        triton = _triton()
        lists, (classes, bias, has_blind, has_full) = self.schedule[:2], self.schedule[2:]
        grad, query, key, value = (last_contiguous(x) for x in (grad, query, key, value))
        dq, dk, dv = triton.backward(
            grad, query, key, value, out, lse, *lists, classes, bias, self.scale, has_blind, has_full
        )
        return dq, dk, dv


for _forward, _backward in ((cpu_forward, cpu_backward), (triton_forward, triton_backward)):
    _forward.register_autograd(_differentiate_with(_backward), setup_context=_save)
cpu_forward.register_fake(_cpu_forward_shapes)
cpu_backward.register_fake(_cpu_backward_shapes)
triton_forward.register_fake(_triton_forward_shapes)
triton_backward.register_fake(_triton_backward_shapes)

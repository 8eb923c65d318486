"""The public call: checks its arguments and hands them to the backend that was named. No arithmetic lives here.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Hashable
from typing import Literal

import torch
from torch import Tensor

from sparse_attn import ops
from sparse_attn.errors import (
    BackendUnavailable,
    DeviceError,
    DtypeError,
    NonFiniteError,
    ShapeError,
    UnsupportedError,
)
from sparse_attn.plan import HAS_TRITON, ClassPlan
from sparse_attn.rows import cpu_shape

Backend = Literal["auto", "reference", "cpu", "flex", "triton"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_told: set[str] = set()


def class_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    plan: ClassPlan,
    scale: float | None = None,
    backend: Backend = "auto",
) -> Tensor:
    """Attend from each token to those that the plan lets it see.

    out_i = sum_j softmax_j(scale * q_i . k_j + bias[c_i, c_j], j in visible(i)) v_j, exactly; a row that sees
    nothing is 0 and gives no gradient.

    Args:
        query: [B, H, Nq, D], float16, bfloat16, float32 or float64 (the last not on triton).
        key: [B, G, N, D] with H % G == 0, of the query's dtype and device.
        value: [B, G, N, D].
        plan: from `plan_classes`, for B sequences of N tokens and Nq queries, on the same device.
        scale: multiplies the logits, > 0; D ** -0.5 by default.
        backend: "reference" (dense, float64, the definition), "cpu", "flex", "triton", or "auto": triton on a GPU,
            cpu on a CPU. A backend that was named never falls back to another.

    Returns: [B, H, Nq, D], dtype and device of the query.

    Raises:
        ShapeError, DtypeError, DeviceError: arguments that do not fit each other or the plan.
        NonFiniteError: NaN or infinity in an input on a CPU; of keys and values only the last Nq are searched, those
            before them come from a cache and were searched when they were new. On a GPU the check would stall the
            device at every call, so there NaN is not looked for; it reaches the output of every row that sees it.
        BackendUnavailable: the named backend cannot run here.
        UnsupportedError: it cannot compute this (a head dim over 256 on triton).

    Cost: O(Nq k D H) for k visible keys a query.
    """
    call = _name_of_call(query, key, value, plan, scale, backend)
    if call is not None and call in plan.served:
        return _run_triton(query, key, value, plan, plan.served[call])
    query, key, value = as_autocast(query, key, value)
    check_tensors(query, key, value, new_keys=plan.num_queries if isinstance(plan, ClassPlan) else None)
    _check_plan(query, key, plan)
    scale = checked_scale(scale, query.shape[-1])
    name = _resolve(backend, query.device)
    if name == "reference":
        return _run_reference(query, key, value, plan, scale)
    if name == "cpu":
        return _run_cpu(query, key, value, plan, scale)
    if name == "triton":
        _check_kernels(query)
        if call is not None:
            plan.served[call] = scale
        return _run_triton(query, key, value, plan, scale)
    from sparse_attn.impl import flex

    out: Tensor = flex.attend(query, key, value, plan, scale)
    return out


def _run_reference(query: Tensor, key: Tensor, value: Tensor, plan: ClassPlan, scale: float) -> Tensor:
    from sparse_attn.impl import reference

    visible = reference.visible_matrix(plan.class_ids, plan.segments, plan.rules)[:, -plan.num_queries :]
    bias = None
    if plan.rules.bias is not None:
        classes = plan.class_ids.long().clamp(0, plan.rules.classes - 1)
        table = plan.rules.bias.to(query.device)
        bias = table[classes[:, -plan.num_queries :, None], classes[:, None, :]]
    return reference.masked_attention(query, key, value, visible, bias, scale)


def _run_cpu(query: Tensor, key: Tensor, value: Tensor, plan: ClassPlan, scale: float) -> Tensor:
    if query.device.type != "cpu":
        raise BackendUnavailable(f'backend "cpu" needs tensors on the CPU, got {query.device}; call .cpu()')
    given = (plan.key_lists(cpu_shape(plan.rules)).tensors(), plan.stream.classes, plan.bias, scale)
    out: Tensor
    if torch.compiler.is_compiling():
        out = ops.cpu_forward(query, key, value, *given)[0]
    else:
        out = ops.Attention.apply(query, key, value, ops.CpuSteps(*given))  # type: ignore[no-untyped-call]
    return out


def _check_kernels(query: Tensor) -> None:
    if query.dtype == torch.float64:
        raise DtypeError('backend "triton" takes float16, bfloat16, float32, got float64; use "reference" or "cpu"')
    if query.shape[-1] > 256:
        raise UnsupportedError(f'backend "triton" takes head dims up to 256, got {query.shape[-1]}')


def _run_triton(query: Tensor, key: Tensor, value: Tensor, plan: ClassPlan, scale: float) -> Tensor:
    trains = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
    schedule = plan.schedule(trains)
    out: Tensor
    if torch.compiler.is_compiling():
        keys, queries, classes, bias, has_blind, has_full = schedule
        out = ops.triton_forward(query, key, value, keys + queries, classes, bias, scale, has_blind, has_full)[0]
    else:
        out = ops.Attention.apply(query, key, value, ops.TritonSteps(schedule, scale))  # type: ignore[no-untyped-call]
    return out


def _name_of_call(
    query: Tensor, key: Tensor, value: Tensor, plan: ClassPlan, scale: float | None, backend: str
) -> Hashable:
    """All that the checks of a call look at, so that the layers of a model need not be checked one by one.

    None where every call must be looked at: while compiling, on a CPU, where inputs are searched for NaN, under an
    autocast that changes the inputs, and where something is not what it should be.
    """
    if torch.compiler.is_compiling() or not (
        isinstance(query, Tensor)
        and isinstance(key, Tensor)
        and isinstance(value, Tensor)
        and isinstance(plan, ClassPlan)
        and isinstance(backend, str)
        and (scale is None or isinstance(scale, float))
    ):
        return None
    kinds = (query.dtype, key.dtype, value.dtype)
    if _is_searched(query.device):
        return None
    if query.is_cuda and torch.is_autocast_enabled("cuda") and kinds != (torch.get_autocast_dtype("cuda"),) * 3:
        return None
    return query.shape, key.shape, value.shape, kinds, query.device, key.device, value.device, scale, backend


def _is_searched(device: torch.device) -> bool:
    """Whether inputs are searched for NaN: where that does not stall the device."""
    return device.type == "cpu"


def _resolve(backend: str, device: torch.device) -> str:
    if backend == "auto":
        return _best_for(device)
    if backend == "triton":
        if not HAS_TRITON:
            raise BackendUnavailable('backend "triton" needs the package triton; pip install triton')
        if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            raise BackendUnavailable(
                f'backend "triton" needs a GPU, the tensors are on {device}; call .cuda(), or use backend="cpu"'
            )
    elif backend not in ("reference", "cpu", "flex"):
        raise BackendUnavailable(f"unknown backend {backend!r}; expected reference, cpu, flex, triton or auto")
    return backend


def _best_for(device: torch.device) -> str:
    if device.type == "cpu":
        return "cpu"
    if device.type == "cuda" and HAS_TRITON:
        return "triton"
    _tell_once(
        f"sparse_attn has no fast backend for {device.type} here (on a GPU it needs triton): "
        'using backend="reference", which is dense and slow'
    )
    return "reference"


def _tell_once(message: str) -> None:
    if message not in _told:
        _told.add(message)
        warnings.warn(message, stacklevel=4)


def as_autocast(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Under torch.autocast the three are cast as torch's own attention casts them."""
    _check_types(query, key, value)
    device = query.device.type
    # Compiled graphs cannot ask whether autocast is available; on these it is.
    if device not in ("cpu", "cuda") and not torch.amp.is_autocast_available(device):
        return query, key, value
    if not torch.is_autocast_enabled(device):
        return query, key, value
    dtype = torch.get_autocast_dtype(device)
    return query.to(dtype), key.to(dtype), value.to(dtype)


def _check_types(query: Tensor, key: Tensor, value: Tensor) -> None:
    for name, x in (("query", query), ("key", key), ("value", value)):
        if not isinstance(x, Tensor):
            raise DtypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")


def check_tensors(query: Tensor, key: Tensor, value: Tensor, new_keys: int | None = None) -> None:
    """Refuse a query [B, H, Nq, D] and a key and value [B, G, N, D] that do not fit; see `class_attention`.

    Only the last `new_keys` keys and values are searched for NaN: those before them come from a cache, and were
    searched when they were new. All by default.
    """
    _check_types(query, key, value)
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.dim() != 4:
            raise ShapeError(f"{name} must be [B, heads, tokens, D], got shape {tuple(x.shape)}")
        if x.dtype not in _DTYPES:
            raise DtypeError(f"{name} must be float16, bfloat16, float32 or float64, got {x.dtype}")
        if x.dtype != query.dtype:
            raise DtypeError(f"{name} is {x.dtype}, query {query.dtype}; cast them to one dtype")
        if x.device != query.device:
            raise DeviceError(f"{name} is on {x.device}, query on {query.device}; move them to one device")
    if key.shape != value.shape:
        raise ShapeError(f"key and value must have one shape, got {tuple(key.shape)} and {tuple(value.shape)}")
    if 0 in (key.shape[1], query.shape[1], query.shape[3]):
        raise ShapeError(
            f"query and key need at least one head and D >= 1, got {tuple(query.shape)} and {tuple(key.shape)}"
        )
    if key.shape[0] != query.shape[0] or key.shape[3] != query.shape[3] or query.shape[1] % key.shape[1]:
        raise ShapeError(
            f"query [B, H, Nq, D] and key [B, G, N, D] must agree in B and D and H be a multiple of G, got "
            f"{tuple(query.shape)} and {tuple(key.shape)}"
        )
    if _is_searched(query.device) and not torch.compiler.is_compiling():
        _check_finite(query, key, value, new_keys)


def _check_finite(query: Tensor, key: Tensor, value: Tensor, new_keys: int | None) -> None:
    first = 0 if new_keys is None else max(0, key.shape[2] - new_keys)
    for name, x in (("query", query), ("key", key[:, :, first:]), ("value", value[:, :, first:])):
        if not bool(torch.isfinite(x.detach()).all()):
            raise NonFiniteError(f"{name} holds NaN or infinity; find where it comes from before attending")


def _check_plan(query: Tensor, key: Tensor, plan: ClassPlan) -> None:
    if not isinstance(plan, ClassPlan):
        raise DtypeError(f"plan must be a ClassPlan from plan_classes, got {type(plan).__name__}")
    expected = (plan.batch, plan.num_queries, plan.num_keys)
    got = (query.shape[0], query.shape[2], key.shape[2])
    if got != expected:
        raise ShapeError(
            f"the plan is for (B, Nq, N) = {expected}, query and key have {got}; plan these class ids again, with "
            "num_queries where fewer tokens ask than are seen"
        )
    if plan.device != query.device:
        raise DeviceError(f"the plan is on {plan.device}, query on {query.device}; plan from class ids moved there")


def checked_scale(scale: float | None, head_dim: int) -> float:
    """The scale of the logits: as given, refused unless finite and > 0, or D ** -0.5."""
    if scale is None:
        return float(head_dim**-0.5)
    if not (isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0):
        raise ShapeError(f"scale must be a finite number > 0, got {scale!r}")
    return float(scale)

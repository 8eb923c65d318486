"""Attention over arbitrary lists of keys, one list a query: the general case that class rules make fast.

B batch, H query heads, G key/value heads, N tokens, Nq queries, K keys a query lists, D head dim.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_attn.api import as_autocast, check_tensors, checked_scale
from sparse_attn.errors import DeviceError, DtypeError, ShapeError

# Elements of gathered keys at a time: bounds the scratch memory to some tens of megabytes.
_CHUNK = 2**22


def sparse_attention(query: Tensor, key: Tensor, value: Tensor, indices: Tensor, scale: float | None = None) -> Tensor:
    """Attend from each token to the tokens that it lists.

    out_i = sum_j softmax_j(scale * q_i . k_j, j in indices_i) v_j; a query that lists nothing is exactly 0. A key
    listed twice counts once. Causality is the caller's: list no later token.

    Args:
        query: [B, H, Nq, D].
        key: [B, G, N, D] with H % G == 0.
        value: [B, G, N, D].
        indices: [B, Nq, K] integers in [0, N), -1 for none; shared by the heads.
        scale: multiplies the logits, > 0; D ** -0.5 by default.

    Returns: [B, H, Nq, D] in the query's dtype. Differentiable once; sums are taken in a fixed order, so runs repeat.

    Raises:
        ShapeError, DtypeError, DeviceError, NonFiniteError: as `class_attention`; also for an index outside [-1, N).

    Cost: O(Nq K D H) time, O(Nq K) memory for the indices and a constant scratch.
    """
    query, key, value = as_autocast(query, key, value)
    check_tensors(query, key, value)
    _check_indices(query, key, indices)
    scale = checked_scale(scale, query.shape[-1])
    # The inputs are cast; the sums over them stay in float32.
    with torch.autocast(query.device.type, enabled=False):
        out: Tensor = _Indexed.apply(query, key, value, _unique(indices), scale)  # type: ignore[no-untyped-call]
    return out


def _check_indices(query: Tensor, key: Tensor, indices: Tensor) -> None:
    if not isinstance(indices, Tensor):
        raise DtypeError(f"indices must be a torch.Tensor, got {type(indices).__name__}")
    if indices.dtype not in (torch.int32, torch.int64):
        raise DtypeError(f"indices must be int32 or int64, got {indices.dtype}")
    if indices.dim() != 3 or indices.shape[:2] != (query.shape[0], query.shape[2]) or indices.shape[2] == 0:
        raise ShapeError(
            f"indices must be [B, Nq, K] = [{query.shape[0]}, {query.shape[2]}, K >= 1], got {tuple(indices.shape)}"
        )
    if indices.device != query.device:
        raise DeviceError(f"indices are on {indices.device}, query on {query.device}; move them to one device")
    low, high = int(indices.min()), int(indices.max())
    if low < -1 or high >= key.shape[2]:
        raise ShapeError(f"indices must lie in [-1, {key.shape[2]}), got values from {low} to {high}")


def _unique(indices: Tensor) -> Tensor:
    """Sorted, with every repetition turned into -1."""
    ordered = indices.long().sort(dim=-1).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[..., 1:] = ordered[..., 1:] == ordered[..., :-1]
    return ordered.masked_fill(again, -1)


class _Indexed(torch.autograd.Function):
    """Gathers keys for some queries at a time, and gathers them again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, indices: Tensor, scale: float) -> Tensor:
        out = torch.empty_like(query)
        for rows, q, k, hidden, listed in _gathered(query, key, indices):
            weights = _weights(q, k, hidden, scale)
            v = _take(value, listed)
            out[:, :, rows] = _to_heads(torch.einsum("bngck,bngkd->bngcd", weights, v)).to(query.dtype)
        ctx.save_for_backward(query, key, value, indices)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, indices = ctx.saved_tensors
        dq = torch.empty_like(query)
        wide = torch.promote_types(query.dtype, torch.float32)
        # Tokens first, so that one index names one row.
        dk, dv = (torch.zeros_like(x.transpose(1, 2), dtype=wide) for x in (key, value))
        for rows, q, k, hidden, listed in _gathered(query, key, indices):
            weights = _weights(q, k, hidden, ctx.scale)
            do, v = _to_groups(grad[:, :, rows], key.shape[1]), _take(value, listed)
            dp = torch.einsum("bngcd,bngkd->bngck", do, v)
            ds = weights * (dp - (weights * dp).sum(-1, keepdim=True)) * ctx.scale
            dq[:, :, rows] = _to_heads(torch.einsum("bngck,bngkd->bngcd", ds, k)).to(query.dtype)
            batch = torch.arange(query.shape[0], device=query.device)[:, None, None].expand_as(listed)
            # Accumulating index_put sorts its indices on a GPU: no atomics, so runs repeat.
            for total, parts in ((dk, (ds, q)), (dv, (weights, do))):
                piece = torch.einsum("bngck,bngcd->bnkgd", *parts)
                total.index_put_((batch, listed), piece, accumulate=True)
        return dq, dk.transpose(1, 2).to(key.dtype), dv.transpose(1, 2).to(value.dtype), None, None


def _gathered(query: Tensor, key: Tensor, indices: Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor, Tensor]]:
    """Some queries at a time: which, grouped by key head, their keys, which of those are none, and all indices."""
    batch, key_heads, _, dim = key.shape
    step = max(1, _CHUNK // (batch * indices.shape[2] * key_heads * dim))
    for begin in range(0, query.shape[2], step):
        rows = slice(begin, begin + step)
        listed = indices[:, rows]
        hidden = (listed < 0)[:, :, None, None, :]
        listed = listed.clamp(min=0)
        yield rows, _to_groups(query[:, :, rows], key_heads), _take(key, listed), hidden, listed


def _to_groups(x: Tensor, key_heads: int) -> Tensor:
    """[B, H, Nq, D] -> [B, Nq, G, H / G, D] in float32 or wider."""
    grouped = x.transpose(1, 2).reshape(x.shape[0], x.shape[2], key_heads, -1, x.shape[3])
    return grouped.to(torch.promote_types(x.dtype, torch.float32))


def _to_heads(x: Tensor) -> Tensor:
    """[B, Nq, G, H / G, D] -> [B, H, Nq, D]."""
    return x.flatten(2, 3).transpose(1, 2)


def _take(x: Tensor, listed: Tensor) -> Tensor:
    """The listed rows of [B, G, N, D] as [B, Nq, G, K, D] in float32 or wider."""
    batch = torch.arange(x.shape[0], device=x.device)[:, None, None]
    rows = x.transpose(1, 2)[batch, listed].transpose(2, 3)
    return rows.to(torch.promote_types(x.dtype, torch.float32))


def _weights(q: Tensor, k: Tensor, hidden: Tensor, scale: float) -> Tensor:
    """Softmax over the listed keys, 0 where there is none. [B, Nq, G, H / G, K]."""
    logits = torch.einsum("bngcd,bngkd->bngck", q, k) * scale
    blind = hidden.all(dim=-1, keepdim=True)
    logits = logits.masked_fill(hidden & ~blind, float("-inf"))
    return torch.softmax(logits, dim=-1).masked_fill(hidden, 0.0)

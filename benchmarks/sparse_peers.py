"""Everything that is timed: ours, dense attention, and the same function by others.

B batch, H heads, N tokens, D head dim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.sparse_patterns import Pattern
from benchmarks.sparse_timing import Run
from sparse_attn import ClassPlan, class_attention
from sparse_attn.impl.flex import to_block_mask, to_mask_mod

# Peers of the same function are slow to compile and to run: these patterns, these lengths, the first ones first.
PEERED = ("full/17", "budget256/17", "window64+valence4/64", "window256")
PEER_LENGTHS = (4096, 16384, 1024)
# Settings of FlexAttention are tried on these patterns, at these lengths.
TUNED = ("full/17", "budget256/17", "window64+valence4/64")
TUNE_LENGTHS = (4096, 16384)
# Other settings of FlexAttention than its defaults, as arguments of `flex_peer`.
FLEX_SETTINGS: dict[str, dict[str, Any]] = {
    "forward 64 x 64": {
        "options": {"fwd_BLOCK_M": 64, "fwd_BLOCK_N": 64, "fwd_num_warps": 4, "fwd_num_stages": 2},
    },
    "forward 128 x 64": {
        "options": {"fwd_BLOCK_M": 128, "fwd_BLOCK_N": 64, "fwd_num_warps": 4, "fwd_num_stages": 3},
    },
}
# torch's own search, over forward and backward; it takes up to a minute each.
_AUTOTUNE = "max-autotune-no-cudagraphs"
FLEX_AUTOTUNED: dict[str, dict[str, Any]] = {
    "autotuned": {"mode": _AUTOTUNE},
    "autotuned, sorted": {"mode": _AUTOTUNE, "by_class": True},
    "autotuned, blocks of 64": {"mode": _AUTOTUNE, "block": 64},
}
# Attention with every matrix in memory: no longer than this.
EAGER_LENGTH = 4096
_PAIRS_AT_ONCE = 2**24


@dataclass(frozen=True)
class Peer:
    """One way to compute a pattern.

    Args:
        run: the attention.
        prepare: makes again what `run` was given ready-made (the block mask, the written-out mask), for its time.
        trains: whether it has a backward pass here.
        compiles: whether torch.compile must have made a graph of it at the first call.
    """

    run: Run
    prepare: Callable[[], object] | None = None
    trains: bool = True
    compiles: bool = False


class Uncompiled(RuntimeError):
    """torch.compile left a peer uncompiled: its time would not be FlexAttention's."""


def planned_run(plan: ClassPlan) -> Run:
    """Ours, by the backend that the device asks for."""
    return lambda q, k, v: class_attention(q, k, v, plan)


def dense_peers(device: str) -> dict[str, Peer]:
    """Dense causal attention: cuDNN and flash on a GPU, torch's own on a CPU."""
    if device == "cpu":
        return {"dense": _dense(SDPBackend.FLASH_ATTENTION)}
    return {"dense cudnn": _dense(SDPBackend.CUDNN_ATTENTION), "dense flash": _dense(SDPBackend.FLASH_ATTENTION)}


def masked_peers(pattern: Pattern, n: int, device: str) -> dict[str, Callable[[ClassPlan, int], Peer]]:
    """How others compute the same function: for each a maker from the plan and the number of heads."""
    makers: dict[str, Callable[[ClassPlan, int], Peer]] = {"flex": flex_peer}
    if pattern.rules.classes > 1:
        makers["flex sorted"] = lambda plan, heads: flex_peer(plan, heads, by_class=True)
    if device == "cuda":
        makers["sdpa+mask cudnn"] = lambda plan, heads: _masked(plan, SDPBackend.CUDNN_ATTENTION)
        makers["sdpa+mask efficient"] = lambda plan, heads: _masked(plan, SDPBackend.EFFICIENT_ATTENTION)
    else:
        makers["sdpa+mask"] = lambda plan, heads: _masked(plan, SDPBackend.FLASH_ATTENTION)
    if n <= EAGER_LENGTH:
        makers["eager"] = lambda plan, heads: Peer(eager_run(written_mask(plan)), lambda: written_mask(plan))
    return makers


def flex_peer(
    plan: ClassPlan,
    heads: int,
    by_class: bool = False,
    block: int = 128,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
) -> Peer:
    """FlexAttention over the plan's block mask, in reading order or with the tokens sorted by class.

    The block mask is built from per-block extremes, never N x N (see `sparse_attn.impl.flex`), from what the plan
    knows of each token; finding that out is not counted against Flex. Sorting query, key and value and putting the
    output back, forward and backward, is part of the time.
    """
    # A graph for each shape and mask. Past torch's limit of graphs Flex would run uncompiled, with N x N scores: so we
    # start afresh for each, with fullgraph the limit is an error, and `Uncompiled` is the last resort.
    torch._dynamo.reset()
    counters.clear()
    compiled: Any = torch.compile(flex_attention, dynamic=False, fullgraph=True, mode=mode)
    trains = plan.device.type == "cuda"
    if not by_class:
        mask = to_block_mask(plan, block)
        run: Run = lambda q, k, v: compiled(q, k, v, block_mask=mask, kernel_options=options)  # noqa: E731
        return Peer(run, lambda: to_block_mask(plan, block), trains, compiles=True)

    def prepare() -> tuple[Any, Tensor, Tensor]:
        order = plan.class_ids.argsort(dim=1, stable=True)
        return to_block_mask(plan, block, order), _rows(order, heads), _rows(order.argsort(dim=1), heads)

    sorted_mask, there, back = prepare()

    def run_sorted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (_Reorder.apply(x, there, back) for x in (q, k, v))  # type: ignore[no-untyped-call]
        out = compiled(q, k, v, block_mask=sorted_mask, kernel_options=options)
        result: Tensor = _Reorder.apply(out, back, there)  # type: ignore[no-untyped-call]
        return result

    return Peer(run_sorted, prepare, trains, compiles=True)


def check_compiled() -> None:
    """After a first call: refuse a peer that torch.compile has left as it was."""
    if counters["stats"]["unique_graphs"] == 0:
        raise Uncompiled("torch.compile made no graph of FlexAttention")


def written_mask(plan: ClassPlan) -> Tensor:
    """[B, 1, N, N] bool, written out in stripes; for peers that cannot do without."""
    seen = torch.empty(plan.batch, 1, plan.num_keys, plan.num_keys, dtype=torch.bool, device=plan.device)
    for begin, stripe in _stripes(plan):
        seen[:, 0, begin : begin + stripe.shape[1]] = stripe
    return seen


def mean_keys(plan: ClassPlan) -> float:
    """How many keys a token sees, on average."""
    total = sum(int(stripe.sum()) for _, stripe in _stripes(plan))
    return total / (plan.batch * plan.num_keys)


def eager_run(seen: Tensor) -> Run:
    """softmax(q k^T, masked) v with every matrix in memory; rows that see nothing are 0. seen: [B, 1, N, N] bool."""
    hidden = ~seen
    blind = hidden.all(dim=-1, keepdim=True)
    some_blind = bool(blind.any())

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        logits = logits.masked_fill(hidden, -torch.inf)
        if not some_blind:
            return torch.softmax(logits, dim=-1) @ v
        return torch.softmax(logits.masked_fill(blind, 0.0), dim=-1).masked_fill(blind, 0.0) @ v

    return run


def _dense(backend: SDPBackend) -> Peer:
    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, is_causal=True)

    return Peer(run)


def _masked(plan: ClassPlan, backend: SDPBackend) -> Peer:
    """SDPA with the mask as logits to add, ready in the dtype of the inputs, so that no call has to convert it."""
    dtype = torch.bfloat16 if plan.device.type == "cuda" else torch.float32

    def prepare() -> Tensor:
        return torch.zeros((), dtype=dtype, device=plan.device).masked_fill(~written_mask(plan), -torch.inf)

    added = prepare()

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, attn_mask=added)

    return Peer(run, prepare)


def _stripes(plan: ClassPlan) -> Iterator[tuple[int, Tensor]]:
    """The visible pairs [B, rows, N] from each first row on, some millions of pairs at a time."""
    visible, device = to_mask_mod(plan), plan.device
    sequence = torch.arange(plan.batch, device=device)[:, None, None]
    key = torch.arange(plan.num_keys, device=device)
    step = max(1, _PAIRS_AT_ONCE // (plan.batch * plan.num_keys))
    for begin in range(0, plan.num_keys, step):
        query = key[begin : begin + step, None]
        yield begin, visible(sequence, sequence, query, key).expand(plan.batch, -1, -1)


def _rows(order: Tensor, heads: int) -> Tensor:
    """Which row of [B * H * N, D] goes to each row when every head is permuted alike. order: [B, N]."""
    batch, tokens = order.shape
    base = torch.arange(batch * heads, device=order.device).view(batch, heads, 1) * tokens
    return (base + order[:, None]).flatten()


class _Reorder(torch.autograd.Function):
    """Rows of [B, H, N, D] in another order. Its gradient is the way back: a gather too, not torch's scatter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(there, back)
        return x.reshape(-1, x.shape[-1]).index_select(0, there).view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        _, back = ctx.saved_tensors
        return grad.reshape(-1, grad.shape[-1]).index_select(0, back).view(grad.shape), None, None

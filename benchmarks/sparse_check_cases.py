"""The problems of `benchmarks.sparse_checks`: rules, dtypes, head dims and layouts, with attention to compare with.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparse_attn import ClassPlan, ClassRules, class_attention, plan_classes
from sparse_attn.impl.reference import masked_attention, visible_matrix


@dataclass(frozen=True)
class Case:
    """One problem; the fields are those of the public calls, and what is special about its inputs."""

    name: str
    rules: str = "window and valence"
    dtype: torch.dtype = torch.bfloat16
    head_dim: int = 64
    heads: int = 4
    key_heads: int = 4
    padded: bool = False
    packed: bool = False
    queries: int | None = None
    by_token: bool = False


CASES = (
    Case("bf16"),
    Case("fp16", dtype=torch.float16),
    Case("fp32", dtype=torch.float32),
    Case("fp32, D = 128", dtype=torch.float32, head_dim=128),
    Case("D = 16", head_dim=16),
    Case("D = 40", head_dim=40),
    Case("D = 128", head_dim=128),
    Case("D = 256", head_dim=256),
    Case("4 heads on 2", key_heads=2),
    Case("4 heads on 1", key_heads=1),
    Case("padding", padded=True),
    Case("packed texts", packed=True),
    Case("queries are the last 100 tokens", queries=100),
    Case("held by token", by_token=True),
    Case("budget", "budget"),
    Case("budget, D = 128, fp16, 4 heads on 2", "budget", torch.float16, 128, key_heads=2),
    Case("budget, packed texts, padding", "budget", packed=True, padded=True),
    Case("budget, queries are the last 100 tokens", "budget", queries=100),
    Case("no bound", "no bound"),
    Case("no bound, D = 40, 4 heads on 2", "no bound", head_dim=40, key_heads=2),
    Case("no bound, padding, packed texts", "no bound", padded=True, packed=True),
    Case("no bound, fp32", "no bound", torch.float32),
    Case("bias", "bias"),
    Case("bias, D = 128, 4 heads on 1", "bias", head_dim=128, key_heads=1),
    Case("both directions, global classes", "both directions"),
    Case("both directions, padding", "both directions", padded=True),
    Case("a mere window", "window"),
)


def rules_of(kind: str) -> ClassRules:
    """The rules that cases name."""
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(17, 17, generator=generator) < 0.6
    if kind == "budget":
        return ClassRules(table, budget=48)
    if kind == "no bound":
        return ClassRules(table)
    if kind == "bias":
        return ClassRules(table, torch.randn(17, 17, generator=generator), valence=8, window=16)
    if kind == "both directions":
        return ClassRules(table, causal=False, valence=4, window=8, global_classes=(3,))
    if kind == "window":
        return ClassRules(torch.zeros(1, 1, dtype=torch.bool), window=40)
    return ClassRules(torch.ones(64, 64, dtype=torch.bool), window=32, valence=2)


def backend_of(device: str) -> str:
    """The kernels where they run: on a GPU, or interpreted."""
    return "triton" if device == "cuda" or os.environ.get("TRITON_INTERPRET") == "1" else "cpu"


def tokens_of(device: str) -> int:
    """N of the cases, two texts each."""
    return 1000 if device == "cuda" else 130


@dataclass(frozen=True, eq=False)
class Problem:
    """A case with its tensors.

    Args:
        plan: the plan.
        inputs: query, key, value and the gradient of the output.
    """

    plan: ClassPlan
    inputs: list[Tensor]

    def run(self, attend: Callable[..., Tensor], dtype: torch.dtype | None = None) -> list[Tensor]:
        """The output and the gradients by query, key and value."""
        *leaves, grad = (x.detach() if dtype is None else x.detach().to(dtype) for x in self.inputs)
        leaves = [x.requires_grad_() for x in leaves]
        out = attend(*leaves)
        return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def problem_of(case: Case, device: str, seed: int = 1) -> Problem:
    """Draw a problem on the device."""
    generator = torch.Generator().manual_seed(seed)
    rules, tokens = rules_of(case.rules), tokens_of(device)
    # Triton's interpreter gets products of bfloat16 wrong.
    is_interpreted = device == "cpu" and backend_of(device) == "triton"
    dtype = torch.float16 if is_interpreted and case.dtype == torch.bfloat16 else case.dtype
    batch = 1 if case.packed else 2
    weights = 1.0 / torch.arange(1, rules.classes + 1)
    ids = torch.multinomial(weights, batch * tokens, replacement=True, generator=generator).view(batch, tokens)
    valid = None
    if case.padded:
        valid = torch.rand(batch, tokens, generator=generator) > 0.2
        valid[0, 0] = valid[-1, -1] = False
        valid = valid.to(device)
    bounds = torch.tensor([0, tokens // 3, tokens // 3 + 1, tokens], device=device) if case.packed else None
    queries = None if case.queries is None else min(case.queries, tokens // 2)
    plan = plan_classes(ids.to(device), rules, valid=valid, cu_seqlens=bounds, num_queries=queries)
    shapes = [(case.heads, queries or tokens), (case.key_heads, tokens), (case.key_heads, tokens)]
    inputs = []
    for heads, n in [*shapes, shapes[0]]:
        held = (batch, n, heads, case.head_dim) if case.by_token else (batch, heads, n, case.head_dim)
        x = torch.randn(held, generator=generator).to(device, dtype)
        inputs.append(x.transpose(1, 2) if case.by_token else x)
    return Problem(plan, inputs)


def dense(plan: ClassPlan) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Attention with every matrix in memory, in the precision of its inputs."""
    seen = visible_matrix(plan.class_ids, plan.segments, plan.rules)[:, -plan.num_queries :]
    bias = None
    if plan.bias is not None:
        own = plan.class_ids.long().clamp(0, plan.rules.classes - 1)
        bias = plan.bias[own[:, -plan.num_queries :, None], own[:, None, :]]

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if q.dtype == torch.float64:
            return masked_attention(q, k, v, seen, bias, q.shape[-1] ** -0.5)
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
        logits = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        if bias is not None:
            logits = logits + bias[:, None].to(logits.dtype)
        hidden = ~seen[:, None]
        return torch.softmax(logits.masked_fill(hidden, -1e4), -1).masked_fill(hidden, 0.0) @ v

    return run


def ours(plan: ClassPlan, device: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Class attention by the kernels, where they run."""
    backend: Any = backend_of(device)
    return lambda q, k, v: class_attention(q, k, v, plan, backend=backend)

"""Inputs, the fp64 truth and the error that eager attention makes itself: what the sparse tests compare with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_attn import ClassPlan, ClassRules, class_attention, plan_classes
from sparse_attn.impl.reference import visible_matrix

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PATTERNS = ("skewed", "empty", "single", "uniform")


def draw_classes(pattern: str, batch: int, tokens: int, classes: int, generator: torch.Generator) -> Tensor:
    """Class ids: falling frequencies, half of the classes absent, one class only, or all alike. [B, N]."""
    weight = {
        "skewed": 1.0 / torch.arange(1, classes + 1) ** 1.5,
        "empty": (torch.arange(classes) % 2 == 0).float(),
        "single": (torch.arange(classes) == classes - 1).float(),
        "uniform": torch.ones(classes),
    }[pattern]
    return torch.multinomial(weight, batch * tokens, replacement=True, generator=generator).view(batch, tokens)


def draw_allow(classes: int, generator: torch.Generator) -> Tensor:
    """A table with about 60% of the pairs allowed, the diagonal not always. [C, C] bool."""
    return torch.rand(classes, classes, generator=generator) < 0.6


@dataclass
class Case:
    """One attention problem on one device."""

    query: Tensor
    key: Tensor
    value: Tensor
    grad: Tensor
    plan: ClassPlan

    def run(self, backend: str, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Output and the gradients by query, key and value."""
        dtype = dtype or self.query.dtype
        leaves = [x.detach().to(dtype).requires_grad_() for x in (self.query, self.key, self.value)]
        out = class_attention(*leaves, self.plan, backend=backend)
        return [out.detach(), *torch.autograd.grad(out, leaves, self.grad.to(dtype))]

    def run_eager(self) -> list[Tensor]:
        """The same by plain masked softmax in the inputs' own precision."""
        leaves = [x.detach().clone().requires_grad_() for x in (self.query, self.key, self.value)]
        group = self.query.shape[1] // self.key.shape[1]
        k, v = (x.repeat_interleave(group, dim=1) for x in leaves[1:])
        logits = (leaves[0] @ k.transpose(-1, -2)) * self.query.shape[-1] ** -0.5
        plan = self.plan
        seen = visible_matrix(plan.class_ids, plan.segments, plan.rules)[:, None, -plan.num_queries :]
        if plan.bias is not None:
            classes = plan.class_ids.clamp(0, plan.rules.classes - 1)
            table = plan.bias.to(logits.dtype)
            logits = logits + table[classes[:, -plan.num_queries :, None], classes[:, None, :]][:, None]
        weights = torch.softmax(logits.masked_fill(~seen, -1e4), dim=-1).masked_fill(~seen, 0.0)
        out = weights @ v
        return [out.detach(), *torch.autograd.grad(out, leaves, self.grad)]


def make_case(
    rules: ClassRules,
    tokens: int,
    *,
    pattern: str = "skewed",
    batch: int = 2,
    heads: int = 2,
    key_heads: int = 2,
    head_dim: int = 16,
    dtype: torch.dtype = torch.float32,
    padded: bool = False,
    queries: int | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> Case:
    """Draw a problem; with `padded` about a fifth of the tokens, first and last ones too, are padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = draw_classes(pattern, batch, tokens, rules.classes, generator)
    valid = None
    if padded:
        valid = torch.rand(batch, tokens, generator=generator) > 0.2
        valid[0, 0] = valid[-1, -1] = False
        valid = valid.to(device)
    shapes = [(heads, queries or tokens), (key_heads, tokens), (key_heads, tokens), (heads, queries or tokens)]
    tensors = [torch.randn(batch, h, n, head_dim, generator=generator).to(device, dtype) for h, n in shapes]
    plan = plan_classes(ids.to(device), rules, valid=valid, num_queries=queries)
    return Case(tensors[0], tensors[1], tensors[2], tensors[3], plan)


def relative_error(got: Tensor, truth: Tensor) -> float:
    """|got - truth| / |truth| in float64; NaN where anything is NaN.

    Inputs are of unit size, so a truth that vanishes (the gradient of a softmax over one key) is measured against 1.
    """
    truth = truth.double()
    scale = max(float(truth.norm()), truth.numel() ** 0.5)
    return float((got.double() - truth).norm()) / scale


def assert_as_good_as_eager(case: Case, backend: str) -> None:
    """Forward and every gradient at most 1.5 times as far from the fp64 truth as eager's own low-precision error."""
    truth = case.run("reference", torch.float64)
    # Eager is exact here and there (one key, or float64, in which it is the truth): allow for a few roundings.
    floor = (8 if case.query.dtype in (torch.float32, torch.float64) else 0.25) * torch.finfo(case.query.dtype).eps
    names = ("output", "dq", "dk", "dv")
    for name, got, eager, right in zip(names, case.run(backend), case.run_eager(), truth, strict=True):
        assert got.dtype == case.query.dtype
        error, bound = relative_error(got, right), 1.5 * relative_error(eager, right) + floor
        # A NaN anywhere makes the error NaN, which is not below any bound.
        assert error <= bound, f"{name}: error {error:.2e} against a bound of {bound:.2e}"

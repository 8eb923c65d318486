"""Is it right? Output and all gradients against float64, before anything is timed.

B batch, H heads, N tokens, D head dim, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.sparse_patterns import Pattern
from benchmarks.sparse_peers import eager_run, planned_run
from benchmarks.sparse_timing import gradients
from sparse_attn import plan_classes
from sparse_attn.impl.reference import masked_attention, visible_matrix

GATE_LENGTHS = (1, 63, 100, 257, 1000, 4096)
# On a CPU the definition's own N x N matrix for 256 classes would take minutes at 4,096.
CPU_GATE_LENGTHS = GATE_LENGTHS[:-1]
# Besides running text: one class far ahead of all, one class only, padding (rows that see nothing), at these lengths.
CASES = ("skewed", "single", "blind")
CASE_LENGTHS = (257, 1000)
DIM = 64


def gate_checks(pattern: Pattern, device: str, lengths: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One check for each length and case; see `check`."""
    for n in lengths:
        for case in ("text", *CASES) if n in CASE_LENGTHS else ("text",):
            yield check(pattern, case, n, device)


def check(pattern: Pattern, case: str, n: int, device: str) -> dict[str, Any]:
    """Ours and eager attention against float64, on one problem.

    Returns: the errors |x - truth| / |truth| of output, dq, dk and dv; `share`, the largest part that ours take of what
        is allowed, 1.5 times eager's in the same precision; `passed`: it is at most 1, and the rows of padding are
        exactly 0.
    """
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    batch = 2 if n < 4096 else 1
    ids, valid = _problem(pattern, case, batch, n)
    ids, valid = ids.to(device), valid.to(device)
    plan = plan_classes(ids, pattern.rules, valid=None if case != "blind" else valid)
    seen = visible_matrix(ids, torch.where(valid, 0, -1), pattern.rules)
    generator = torch.Generator().manual_seed(n)
    inputs = [torch.randn(batch, 2, n, DIM, generator=generator).to(device, dtype) for _ in range(4)]
    truth = gradients(
        lambda q, k, v: masked_attention(q, k, v, seen, None, q.shape[-1] ** -0.5), *(x.double() for x in inputs)
    )
    found = {
        "ours": gradients(planned_run(plan), *inputs),
        "eager": gradients(eager_run(seen[:, None]), *inputs),
    }
    errors = {
        name: [relative_error(x, right) for x, right in zip(got, truth, strict=True)] for name, got in found.items()
    }
    # Eager may be exact where a token sees one key: a thousandth of the precision is for the order of summation.
    slack = max(1e-6, torch.finfo(dtype).eps / 1000)
    shares = [a / (1.5 * b + slack) for a, b in zip(errors["ours"], errors["eager"], strict=True)]
    blind = ~seen.any(dim=-1)
    # Padding neither sees nor is seen: its rows are exactly 0 in the output and in every gradient.
    silent = all(bool((x.transpose(1, 2)[blind] == 0).all()) for x in found["ours"])
    # A NaN makes its share NaN, which is not at most 1.
    passed = silent and all(share <= 1 for share in shares)
    return {"pattern": pattern.name, "case": case, "n": n, "D": DIM, **errors, "share": max(shares), "passed": passed}


def relative_error(got: Tensor, truth: Tensor) -> float:
    """|got - truth| / |truth| in float64, NaN where anything is NaN.

    Inputs are of unit size; a truth that vanishes (the gradient of a softmax over one key) counts as that large.
    """
    truth = truth.double()
    size, unit = float(truth.norm()), truth.numel() ** 0.5
    return float((got.double() - truth).norm()) / (size if size > 1e-3 * unit else unit)


def _problem(pattern: Pattern, case: str, batch: int, n: int) -> tuple[Tensor, Tensor]:
    """Class ids and which tokens are real, [B, N]."""
    ids = pattern.class_ids[torch.arange(batch * n) % len(pattern.class_ids)].view(batch, n)
    generator = torch.Generator().manual_seed(n)
    if case == "single":
        ids = torch.full_like(ids, pattern.rules.classes - 1)
    elif case == "skewed":
        ids = torch.where(torch.rand(batch, n, generator=generator) < 0.97, pattern.rules.classes // 2, ids)
    valid = torch.ones(batch, n, dtype=torch.bool)
    if case == "blind":
        # Padding before the first text, after the second, and here and there.
        valid = torch.rand(batch, n, generator=generator) > 0.1
        valid[0, : n // 4] = valid[-1, -n // 4 :] = False
    return ids, valid

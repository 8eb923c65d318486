from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sparse_attn import ClassRules, class_attention, plan_classes
from sparse_attn.errors import (
    BackendUnavailable,
    ClassRangeError,
    DeviceError,
    DtypeError,
    NonFiniteError,
    ShapeError,
)

RULES = ClassRules(torch.ones(3, 3, dtype=torch.bool), valence=2)
IDS = torch.tensor([[0, 1, 2, 1, 0, 0]])


def tensors(heads: int = 2, tokens: int = 6, dim: int = 8, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(1, heads, tokens, dim, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize(
    ("ids", "options", "error", "message"),
    [
        (torch.tensor([[0, 3]]), {}, ClassRangeError, r"class id 3 at \(0, 1\) lies outside \[0, 3\)"),
        (torch.tensor([[0, -1]]), {}, ClassRangeError, "class id -1"),
        (torch.tensor([0, 1]), {}, ShapeError, r"must be \[B, N\]"),
        (torch.zeros(1, 0, dtype=torch.long), {}, ShapeError, "B, N >= 1"),
        (torch.tensor([[0.0]]), {}, DtypeError, "must be integers, got torch.float32"),
        ([[0]], {}, DtypeError, "must be a torch.Tensor, got list"),
        (torch.zeros(1, 2, dtype=torch.uint64), {}, DtypeError, "must be integers, got torch.uint64"),
        (IDS, {"num_queries": 7}, ShapeError, r"\[1, 6\].*got 7"),
        (IDS, {"num_queries": 2.5}, ShapeError, "must be an integer in .*got 2.5"),
        (IDS, {"valid": [[True] * 6]}, DtypeError, "valid must be a torch.Tensor, got list"),
        (IDS, {"cu_seqlens": [0, 6]}, DtypeError, "cu_seqlens must be a torch.Tensor, got list"),
        (IDS, {"valid": torch.ones(1, 6)}, DtypeError, "valid must be bool"),
        (IDS, {"valid": torch.ones(1, 5, dtype=torch.bool)}, ShapeError, r"valid must be \(1, 6\)"),
        (IDS, {"cu_seqlens": torch.tensor([0, 4])}, ShapeError, "rise from 0 to N=6"),
        (IDS, {"cu_seqlens": torch.tensor([0, 4, 2, 6])}, ShapeError, "rise from 0"),
        (IDS.expand(2, -1), {"cu_seqlens": torch.tensor([0, 6])}, ShapeError, "packs texts into one row"),
        (IDS, {"cu_seqlens": torch.tensor([0, 6], device="meta")}, DeviceError, "cu_seqlens is on meta"),
    ],
)
def test_bad_plans_say_what_is_wrong(ids: object, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plan_classes(ids, RULES, **options)  # type: ignore[arg-type]


def test_padding_may_carry_any_class_id() -> None:
    plan = plan_classes(torch.tensor([[0, -100]]), RULES, valid=torch.tensor([[True, False]]))
    assert plan.segments.tolist() == [[0, -1]]


def test_a_plan_keeps_its_own_class_ids() -> None:
    ids = IDS.int()
    rules = ClassRules(torch.ones(3, 3, dtype=torch.bool), bias=torch.eye(3))
    plan = plan_classes(ids, rules)
    before = class_attention(tensors(), tensors(), tensors(), plan)
    ids.zero_()
    for backend in ("cpu", "reference"):
        torch.testing.assert_close(class_attention(tensors(), tensors(), tensors(), plan, backend=backend), before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"query": tensors()[0]}, ShapeError, r"query must be \[B, heads, tokens, D\]"),
        ({"key": tensors(tokens=5), "value": tensors(tokens=5)}, ShapeError, "the plan is for"),
        ({"value": tensors(dim=4)}, ShapeError, "key and value must have one shape"),
        ({"key": tensors(3), "value": tensors(3)}, ShapeError, "H be a multiple of G"),
        ({"key": tensors(dtype=torch.float64)}, DtypeError, "key is torch.float64, query torch.float32"),
        ({"query": tensors().int()}, DtypeError, "query must be float16"),
        ({"query": tensors().numpy()}, DtypeError, "query must be a torch.Tensor, got ndarray"),
        (dict.fromkeys(("query", "key", "value"), tensors(dim=0)), ShapeError, "D >= 1"),
        ({"key": tensors().to("meta")}, DeviceError, "key is on meta, query on cpu"),
        ({"query": tensors() * float("nan")}, NonFiniteError, "query holds NaN"),
        ({"value": tensors() / 0}, NonFiniteError, "value holds NaN or infinity"),
        ({"scale": -1.0}, ShapeError, "scale must be a finite number > 0"),
        ({"backend": "gpu"}, BackendUnavailable, "unknown backend 'gpu'"),
        ({"plan": RULES}, DtypeError, "plan must be a ClassPlan"),
    ],
)
def test_bad_calls_say_what_is_wrong(change: dict, error: type[Exception], message: str) -> None:
    arguments = {"query": tensors(), "key": tensors(), "value": tensors(), "plan": plan_classes(IDS, RULES)}
    with pytest.raises(error, match=message):
        class_attention(**{**arguments, **change})


def test_a_plan_of_another_device_is_refused() -> None:
    meta = [tensors().to("meta") for _ in range(3)]
    with pytest.raises(DeviceError, match="the plan is on cpu, query on meta"):
        class_attention(*meta, plan_classes(IDS, RULES))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_naming_triton_without_a_gpu_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(BackendUnavailable, match="triton"):
        class_attention(tensors(), tensors(), tensors(), plan_classes(IDS, RULES), backend="triton")


def test_autocast_lowers_the_precision() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = class_attention(tensors(), tensors(), tensors(), plan_classes(IDS, RULES))
    assert out.dtype == torch.bfloat16


def test_scale_multiplies_the_logits() -> None:
    plan = plan_classes(IDS, RULES)
    plain = class_attention(2 * tensors(), tensors(), tensors(), plan, scale=0.25)
    torch.testing.assert_close(class_attention(tensors(), tensors(), tensors(), plan, scale=0.5), plain)


def test_a_second_derivative_is_refused() -> None:
    q = tensors().requires_grad_()
    out = class_attention(q, tensors(), tensors(), plan_classes(IDS, RULES))
    (first,) = torch.autograd.grad(out.square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="autograd"):
        torch.autograd.grad(first.sum(), q)


def test_vmap_is_refused() -> None:
    plan = plan_classes(IDS, RULES)
    batched = torch.randn(2, 1, 2, 6, 8)
    with pytest.raises(RuntimeError, match="vmap"):
        torch.vmap(lambda q: class_attention(q, q, q, plan))(batched)


def test_the_package_imports_without_triton_and_without_touching_it() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch, sparse_attn as s\n"
        "assert len(s.__all__) <= 10 and all(hasattr(s, name) for name in s.__all__)\n"
        "plan = s.plan_classes(torch.tensor([[0, 0]]), s.ClassRules(torch.ones(1, 1, dtype=torch.bool)))\n"
        "x = torch.randn(1, 1, 2, 4); print(tuple(s.class_attention(x, x, x, plan).shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 1, 2, 4)"

"""The Triton kernels against float64, forward and every gradient: on a GPU where there is one, else interpreted."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from sparse_cases import DEVICE, assert_as_good_as_eager, draw_allow, make_case

from sparse_attn import ClassRules, class_attention, ops
from sparse_attn.rows import kernel_key_shape, kernel_query_shape

if find_spec("triton") is None:
    pytest.skip("triton is not installed: pip install triton", allow_module_level=True)


def rules_of(classes: int = 5, biased: bool = False, **options: object) -> ClassRules:
    generator = torch.Generator().manual_seed(1)
    allow = draw_allow(classes, generator)
    bias = torch.randn(classes, classes, generator=generator) if biased else None
    return ClassRules(allow, bias=bias, **options)


@pytest.mark.parametrize("tokens", [1, 63, 100, 257])
def test_window_and_valence(tokens: int) -> None:
    case = make_case(rules_of(window=8, valence=2), tokens, batch=1, heads=1, key_heads=1, device=DEVICE)
    assert_as_good_as_eager(case, "triton")


@pytest.mark.parametrize("pattern", ["empty", "single"])
def test_absent_classes_and_one_giant_class(pattern: str) -> None:
    case = make_case(rules_of(valence=3), 100, pattern=pattern, batch=1, heads=1, key_heads=1, device=DEVICE)
    assert_as_good_as_eager(case, "triton")


@pytest.mark.parametrize("causal", [True, False])
def test_unbounded_rules_use_full_entries(causal: bool) -> None:
    rules = ClassRules(torch.tensor([[True, True], [True, False]]), causal=causal)
    case = make_case(rules, 200, batch=1, heads=1, key_heads=1, device=DEVICE)
    assert_as_good_as_eager(case, "triton")


def test_budget_with_bias_and_grouped_heads() -> None:
    case = make_case(rules_of(budget=9, biased=True), 80, heads=4, key_heads=2, batch=1, device=DEVICE)
    assert_as_good_as_eager(case, "triton")


def test_axes_in_another_order_come_back_in_that_order() -> None:
    case = make_case(rules_of(valence=2), 70, heads=2, key_heads=2, batch=2, device=DEVICE)

    def held_by_token(x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2).contiguous().transpose(1, 2)

    other = replace(case, **{name: held_by_token(getattr(case, name)) for name in ("query", "key", "value", "grad")})
    for one, right in zip(other.run("triton"), case.run("triton"), strict=True):
        assert torch.equal(one, right)
        assert one.stride() == held_by_token(right).stride()


def test_a_compiled_graph_gives_what_the_eager_path_gives() -> None:
    torch._dynamo.reset()
    case = make_case(rules_of(valence=2, window=4), 70, batch=1, heads=2, key_heads=1, device=DEVICE)
    compiled = torch.compile(class_attention, fullgraph=True, backend="aot_eager")
    leaves = [x.clone().requires_grad_() for x in (case.query, case.key, case.value)]
    # Plans made on a GPU hold what the kernels take; others make it at the first call, which no graph can.
    case.plan.schedule(True)
    out = compiled(*leaves, case.plan, backend="triton")
    got = [out.detach(), *torch.autograd.grad(out, leaves, case.grad)]
    for one, other in zip(got, case.run("triton"), strict=True):
        assert torch.equal(one, other)


def test_operators_pass_torchs_own_checks() -> None:
    case = make_case(rules_of(valence=2), 20, batch=1, heads=2, key_heads=1, device=DEVICE)
    keys, queries, *rest, has_blind, has_full = case.plan.schedule(True)
    leaves = [x.clone().requires_grad_() for x in (case.query, case.key, case.value)]
    given = (*leaves, keys + queries, *rest, 0.25, has_blind, has_full)
    torch.library.opcheck(ops.triton_forward, given)
    out, lse = ops.triton_forward(*given)
    detached = [x.detach() for x in (torch.ones_like(out), *leaves, out, lse)]
    torch.library.opcheck(ops.triton_backward, (*detached, *given[3:]))


def test_padding_fewer_queries_and_global_classes() -> None:
    rules = rules_of(valence=2, window=3, global_classes=(1,))
    case = make_case(rules, 80, padded=True, queries=30, device=DEVICE)
    assert_as_good_as_eager(case, "triton")


@pytest.mark.parametrize(("head_dim", "dtype"), [(24, torch.float16), (64, torch.float16), (256, torch.float32)])
def test_head_dims_and_half_precision(head_dim: int, dtype: torch.dtype) -> None:
    case = make_case(
        rules_of(valence=2), 70, heads=1, key_heads=1, batch=1, head_dim=head_dim, dtype=dtype, device=DEVICE
    )
    assert_as_good_as_eager(case, "triton")


def test_memory_that_was_never_written_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.empty

    def poisoned(*args: object, **kwargs: object) -> torch.Tensor:
        made = real(*args, **kwargs)
        return made.fill_(float("nan")) if made.is_floating_point() else made

    case = make_case(rules_of(budget=7), 70, padded=True, heads=1, key_heads=1, device=DEVICE)
    monkeypatch.setattr(torch, "empty", poisoned)
    out, dq, dk, dv = case.run("triton")
    blind = (case.plan.segments < 0)[:, None, :]
    for x in (out, dq, dk, dv):
        assert bool(torch.isfinite(x).all())
        assert bool((x[blind] == 0).all())


def test_the_operator_of_compiled_graphs_is_the_eager_path() -> None:
    case = make_case(rules_of(budget=5), 70, batch=1, heads=1, key_heads=1, device=DEVICE)
    plan = case.plan
    lists = plan.key_lists(kernel_key_shape(plan.rules, plan.num_keys)).tensors()
    lists += plan.query_lists(kernel_query_shape(plan.rules, plan.num_keys)).tensors()
    leaves = [x.clone().requires_grad_() for x in (case.query, case.key, case.value)]
    out = ops.triton_forward(*leaves, lists, plan.stream.classes, None, 0.25, False, False)[0]
    got = [out.detach(), *torch.autograd.grad(out, leaves, case.grad)]
    for one, other in zip(got, case.run("triton"), strict=True):
        assert torch.equal(one, other)


def test_runs_repeat_exactly() -> None:
    case = make_case(rules_of(valence=2, window=4), 100, batch=1, heads=2, key_heads=1, device=DEVICE)
    for first, second in zip(case.run("triton"), case.run("triton"), strict=True):
        assert torch.equal(first, second)


def test_several_programs_share_a_list() -> None:
    rules = ClassRules(torch.ones(4, 4, dtype=torch.bool), valence=1, window=2)
    case = make_case(rules, 100, batch=1, heads=2, key_heads=1, device=DEVICE)
    shape = kernel_query_shape(rules, 100)
    whole = case.plan.query_lists(shape)
    # The longest list in stretches of 64 entries, the others as they are.
    tile, _, length = whole.launch[0].tolist()
    parts = [[tile, first, min(first + 64, length)] for first in range(0, length, 64)]
    assert len(parts) > 1
    launch = torch.tensor([*parts, *whole.launch[1:].tolist()], dtype=torch.int32, device=DEVICE)
    case.plan._lists["queries", shape] = replace(whole, launch=launch)
    assert_as_good_as_eager(case, "triton")

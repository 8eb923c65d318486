"""Plans made by kernels equal the plans that torch makes, number by number; interpreted where there is no GPU."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from sparse_cases import DEVICE, draw_allow, draw_classes

from sparse_attn import ClassRules, plan_classes
from sparse_attn.lists import TileLists, list_keys, list_queries
from sparse_attn.plan import ClassPlan
from sparse_attn.rows import TileShape, kernel_key_shape, kernel_query_shape
from sparse_attn.stream import build_stream

if find_spec("triton") is None:
    pytest.skip("triton is not installed: pip install triton", allow_module_level=True)

from sparse_attn.impl.triton.planning import DevicePlan, Sizes, plan_on_device

BOUNDS = [{"valence": 3}, {"budget": 9}, {}]


def both(
    rules: ClassRules, batch: int, tokens: int, padded: bool = False, packed: bool = False, queries: int | None = None
) -> tuple[DevicePlan, ClassPlan]:
    generator = torch.Generator().manual_seed(tokens)
    ids = draw_classes("skewed", batch, tokens, rules.classes, generator)
    valid = torch.rand(batch, tokens, generator=generator) > 0.2 if padded else None
    ends = torch.tensor([0, tokens // 3, tokens // 3, tokens]) if packed else None
    plan = plan_classes(ids, rules, valid=valid, cu_seqlens=ends, num_queries=queries)
    bounds = (plan.stream.first.to(DEVICE), plan.stream.last.to(DEVICE)) if packed else None
    valid = None if valid is None else valid.to(DEVICE)
    return plan_on_device(ids.to(DEVICE), rules, valid, bounds, queries or tokens, with_gradient=True), plan


def assert_same(got: TileLists | None, expected: TileLists) -> None:
    assert got is not None
    for name in ("rows", "meta", "launch"):
        assert torch.equal(getattr(got, name).cpu(), getattr(expected, name)), name
    # Behind entries and words there is room.
    for name in ("entries", "words"):
        right = getattr(expected, name)
        assert torch.equal(getattr(got, name)[: right.shape[0]].cpu(), right), name


def assert_equal_plans(made: DevicePlan, plan: ClassPlan) -> None:
    stream, rules = plan.stream, plan.rules
    real = stream.classes < rules.classes
    for name in ("classes", "first", "last", "order"):
        assert torch.equal(getattr(made.stream, name).cpu(), getattr(stream, name)), name
    assert torch.equal(made.stream.floor.cpu()[real], stream.floor[real])
    assert torch.equal(made.stream.until.cpu()[real], stream.until[real])
    assert_same(made.keys, list_keys(stream, kernel_key_shape(rules, stream.tokens)))
    assert_same(made.queries, list_queries(stream, kernel_query_shape(rules, stream.tokens)))


@pytest.mark.parametrize(
    ("bound", "causal"), [*((bound, True) for bound in BOUNDS), ({"budget": 1}, True), ({"valence": 1}, False)]
)
def test_bounds(bound: dict, causal: bool) -> None:
    allow = draw_allow(5, torch.Generator().manual_seed(3))
    assert_equal_plans(*both(ClassRules(allow, causal=causal, **bound), 2, 70))


@pytest.mark.parametrize(("bound", "causal"), [(BOUNDS[0], True), (BOUNDS[1], False), (BOUNDS[2], False)])
def test_windows_global_classes_and_padding(bound: dict, causal: bool) -> None:
    allow = draw_allow(4, torch.Generator().manual_seed(4))
    rules = ClassRules(allow, causal=causal, window=7, global_classes=(1,), **bound)
    assert_equal_plans(*both(rules, 2, 70, padded=True))


@pytest.mark.parametrize("bound", BOUNDS[:2])
def test_packed_texts(bound: dict) -> None:
    allow = draw_allow(4, torch.Generator().manual_seed(5))
    assert_equal_plans(*both(ClassRules(allow, window=3, **bound), 1, 90, packed=True))


@pytest.mark.parametrize("bound", BOUNDS)
def test_fewer_queries_than_keys(bound: dict) -> None:
    allow = draw_allow(4, torch.Generator().manual_seed(6))
    assert_equal_plans(*both(ClassRules(allow, **bound), 2, 80, queries=30))


def test_a_mere_window_and_many_classes() -> None:
    assert_equal_plans(*both(ClassRules(torch.zeros(1, 1, dtype=torch.bool), window=20), 1, 140))
    assert_equal_plans(*both(ClassRules(torch.ones(100, 100, dtype=torch.bool), valence=1, window=8), 1, 140))


def test_room_from_the_plan_before_is_used_and_outgrown() -> None:
    allow = draw_allow(4, torch.Generator().manual_seed(7))
    rules = ClassRules(allow, valence=2, window=4)
    short, _ = both(rules, 1, 90)
    again, plan = both(rules, 1, 90)
    assert_equal_plans(again, plan)
    # A room that is too small is noticed, and nothing is written beyond it.
    rules.rooms.update({shape: Sizes((64, 64), (2, 2), 1) for shape in rules.rooms})
    assert_equal_plans(*both(rules, 1, 90))
    assert short is not again
    assert all(room.entries[0] > 64 for room in rules.rooms.values())


def test_long_lists_are_left_to_several_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(rules: ClassRules, tokens: int) -> TileShape:
        return replace(kernel_query_shape(rules, tokens), longest=64)

    monkeypatch.setattr("sparse_attn.impl.triton.planning.kernel_query_shape", shared)
    rules = ClassRules(torch.ones(4, 4, dtype=torch.bool), valence=1, window=2)
    at = torch.arange(700)
    ids = torch.stack([1 + at % 3, torch.where(at < 3, 0, 1 + at % 3)])
    plan = plan_classes(ids, rules)
    made = plan_on_device(ids.to(DEVICE), rules, None, None, 700, with_gradient=True)
    assert made is not None
    expected = list_queries(plan.stream, shared(rules, 700))
    assert_same(made.queries, expected)
    assert_same(made.keys, list_keys(plan.stream, kernel_key_shape(rules, 700)))
    # What is shared comes first, then sequence by sequence (eleven tiles each) first the longer lists, in order.
    order = [11, 11, 21, 21, *range(1, 10), 0, 10, *range(12, 21)]
    assert expected.launch[:, 0].tolist() == order
    assert expected.meta[order[4:], 2].tolist() == [128] * 9 + [64] * 2 + [128] * 9


def test_a_single_token() -> None:
    assert_equal_plans(*both(ClassRules(torch.ones(1, 1, dtype=torch.bool), valence=1), 1, 1))


def test_wrong_class_ids_are_seen() -> None:
    ids = torch.tensor([[0, 1, 2, -1, 9]], device=DEVICE)
    rules = ClassRules(torch.ones(3, 3, dtype=torch.bool), valence=1)
    assert plan_on_device(ids, rules, None, None, 5, with_gradient=True) is None
    real = torch.tensor([[True, True, True, False, False]], device=DEVICE)
    assert plan_on_device(ids, rules, real, None, 5, with_gradient=True) is not None


def test_the_streams_of_both_ways_are_one() -> None:
    rules = ClassRules(draw_allow(5, torch.Generator().manual_seed(3)), budget=4)
    made, plan = both(rules, 2, 64)
    again = build_stream(plan.class_ids, plan.stream.first, plan.stream.last, None, rules, 64)
    assert torch.equal(again.ranks, plan.stream.ranks)
    assert torch.equal(made.stream.ranks.cpu(), plan.stream.ranks)

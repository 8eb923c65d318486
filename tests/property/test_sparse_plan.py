"""A plan's lists cover exactly the visible pairs, whatever the rules, the tiles and the padding."""

from __future__ import annotations

import pytest
import torch
from causality import assert_causal
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_cases import draw_allow, draw_classes, make_case

from sparse_attn import ClassPlan, ClassRules, class_attention, plan_classes
from sparse_attn.impl.reference import visible_matrix
from sparse_attn.lists import TileLists
from sparse_attn.rows import TileShape


@st.composite
def plans(draw: st.DrawFn) -> ClassPlan:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    classes, batch, tokens = draw(st.integers(1, 5)), draw(st.integers(1, 2)), draw(st.integers(1, 40))
    bound = draw(st.sampled_from([{}, {"budget": 1}, {"budget": 5}, {"valence": 1}, {"valence": 3}]))
    rules = ClassRules(
        draw_allow(classes, generator),
        causal=draw(st.booleans()),
        window=draw(st.sampled_from([0, 1, 6])),
        global_classes=draw(st.sampled_from([(), (0,)])),
        **bound,
    )
    ids = draw_classes(draw(st.sampled_from(["skewed", "uniform"])), batch, tokens, classes, generator)
    options: dict = {}
    if draw(st.booleans()):
        options["valid"] = torch.rand(batch, tokens, generator=generator) > 0.3
    if batch == 1 and draw(st.booleans()):
        options["cu_seqlens"] = torch.tensor([0, tokens // 3, tokens // 3, tokens])
    return plan_classes(ids, rules, num_queries=draw(st.integers(1, tokens)), **options)


def listed_pairs(lists: TileLists, size: int, rows_are_queries: bool) -> torch.Tensor:
    """The pairs (query, key) that the lists and their words say are visible. [M, M] bool."""
    pairs = torch.zeros(size, size, dtype=torch.bool)
    for rows, (begin, full, length, word) in zip(lists.rows, lists.meta.tolist(), strict=True):
        entries = lists.entries[begin : begin + length].long()
        assert entries[entries >= 0].unique().numel() == (entries >= 0).sum(), "an entry is listed twice"
        group = torch.arange(length - full) // 32 + word
        bits = lists.words[group] >> (torch.arange(length - full) % 32)[:, None] & 1
        seen = torch.cat([torch.ones(full, rows.numel(), dtype=torch.bool), bits.bool()])
        seen &= rows >= 0
        assert not seen[entries < 0].any(), "a row sees the padding of a list"
        entry, row = seen.nonzero(as_tuple=True)
        query, key = (rows[row].long(), entries[entry]) if rows_are_queries else (entries[entry], rows[row].long())
        assert not pairs[query, key].any(), "two tiles list the same pair"
        pairs[query, key] = True
    return pairs


@settings(max_examples=60, deadline=None)
@given(plans(), st.sampled_from([0, 16, 2**31 - 1]))
def test_lists_cover_exactly_the_visible_pairs(plan: ClassPlan, stretch: int) -> None:
    seen = visible_matrix(plan.class_ids, plan.segments, plan.rules)
    seen[:, : plan.num_keys - plan.num_queries] = False
    expected = torch.block_diag(*seen.int()).bool()
    shape = TileShape(8, stretch, step=32, full_step=32)
    assert torch.equal(listed_pairs(plan.key_lists(shape), expected.shape[0], True), expected)
    assert torch.equal(listed_pairs(plan.query_lists(shape), expected.shape[0], False), expected)


@settings(max_examples=25, deadline=None)
@given(st.permutations(list(range(5))), st.sampled_from([{"budget": 4}, {"valence": 2}, {}]))
def test_names_of_classes_do_not_matter(new_name: list[int], bound: dict) -> None:
    case = make_case(ClassRules(draw_allow(5, torch.Generator().manual_seed(2)), **bound), 50)
    rename = torch.tensor(new_name)
    allow = torch.empty(5, 5, dtype=torch.bool)
    allow[rename[:, None], rename[None, :]] = case.plan.rules.allow
    plan = plan_classes(rename[case.plan.class_ids], ClassRules(allow, **bound))
    expected = class_attention(case.query, case.key, case.value, case.plan)
    torch.testing.assert_close(class_attention(case.query, case.key, case.value, plan), expected)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    "options", [{}, {"budget": 6}, {"valence": 2, "window": 4}, {"window": 3, "global_classes": (1,)}]
)
def test_the_future_never_shows(options: dict, backend: str) -> None:
    rules = ClassRules(draw_allow(4, torch.Generator().manual_seed(5)), **options)
    case = make_case(rules, 90, pattern="uniform")

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return class_attention(q, k, v, plan_classes(ids, rules), backend=backend)

    def redraw(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if x.is_floating_point():
            return torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return torch.randint(0, 4, x.shape, generator=generator)

    inputs = (case.query, case.key, case.value, case.plan.class_ids)
    # Lists in reading order (a valence, a mere window) are causal to the last bit, as the definition is. The tiles of
    # the other rules are sorted by class: there later tokens change the order of summation, and nothing but that.
    exact = backend == "reference" or rules.valence is not None
    assert_causal(
        attend, inputs, input_dims=(2, 2, 2, 1), output_dim=2, cuts=(0, 31, 63, 70), redraw=redraw,
        tolerance=0.0 if exact else 2e-6,
    )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"budget": 6}])
def test_with_one_plan_later_vectors_never_show_in_a_single_bit(options: dict) -> None:
    case = make_case(ClassRules(draw_allow(4, torch.Generator().manual_seed(5)), **options), 90)
    assert_causal(
        lambda q, k, v: class_attention(q, k, v, case.plan),
        (case.query, case.key, case.value),
        input_dims=(2, 2, 2),
        output_dim=2,
        cuts=(0, 31, 63, 70),
        redraw=lambda x, generator: torch.randn(x.shape, generator=generator),
    )


def test_packed_texts_equal_texts_apart() -> None:
    rules = ClassRules(draw_allow(4, torch.Generator().manual_seed(6)), valence=2, window=3)
    case = make_case(rules, 70, batch=1)
    packed = plan_classes(case.plan.class_ids, rules, cu_seqlens=torch.tensor([0, 21, 70]))
    together = class_attention(case.query, case.key, case.value, packed)
    for span in (slice(0, 21), slice(21, 70)):
        plan = plan_classes(case.plan.class_ids[:, span], rules)
        apart = class_attention(case.query[:, :, span], case.key[:, :, span], case.value[:, :, span], plan)
        torch.testing.assert_close(together[:, :, span], apart)

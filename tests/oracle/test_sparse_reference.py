"""The reference against the issue's definition, spelled out pair by pair in plain Python."""

from __future__ import annotations

import itertools

import pytest
import torch
from sparse_cases import draw_allow, draw_classes

from sparse_attn import ClassRules, class_attention, plan_classes
from sparse_attn.impl.reference import visible_matrix


def visible_by_hand(classes: list[int], text: list[int], rules: ClassRules, i: int) -> set[int]:
    """The definition in words: candidates, then the bound, then window and global classes."""
    if text[i] < 0:
        return set()
    inside = [j for j in range(len(classes)) if text[j] == text[i] and (j <= i or not rules.causal)]
    candidates = [j for j in inside if bool(rules.allow[classes[i], classes[j]]) or j == i]
    if rules.budget is not None:
        kept = set(candidates[-rules.budget :])
    elif rules.valence is not None:
        kept = {i}
        for c in range(rules.classes):
            kept |= set([j for j in candidates if classes[j] == c][-rules.valence :])
    else:
        kept = set(candidates)
    return kept | {j for j in inside if abs(i - j) < rules.window or classes[j] in rules.global_classes}


BOUNDS = ({}, {"budget": 1}, {"budget": 4}, {"valence": 1}, {"valence": 3})
OTHERS = ({}, {"window": 3}, {"global_classes": (1,)}, {"window": 1, "global_classes": (0, 3)})


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("bound", "other"), list(itertools.product(BOUNDS, OTHERS)))
def test_visible_matrix_is_the_definition(bound: dict, other: dict, causal: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    rules = ClassRules(draw_allow(4, generator), causal=causal, **bound, **other)
    ids = draw_classes("skewed", 2, 23, 4, generator)
    text = torch.tensor([[0] * 9 + [1] * 14, [-1] * 2 + [0] * 10 + [-1] + [0] * 8 + [-1] * 2])
    seen = visible_matrix(ids, text, rules)
    for b, i in itertools.product(range(2), range(23)):
        expected = visible_by_hand(ids[b].tolist(), text[b].tolist(), rules, i)
        assert set(seen[b, i].nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("bound", "other"), list(itertools.product(BOUNDS, OTHERS)))
def test_stream_agrees_with_the_reference(bound: dict, other: dict, causal: bool) -> None:
    generator = torch.Generator().manual_seed(4)
    rules = ClassRules(draw_allow(4, generator), causal=causal, **bound, **other)
    ids = draw_classes("uniform", 1, 40, 4, generator)
    valid = torch.rand(1, 40, generator=generator) > 0.2
    plan = plan_classes(ids, rules, valid=valid, cu_seqlens=torch.tensor([0, 1, 1, 17, 40]))
    position = torch.arange(40)
    seen = plan.stream.visible(position[:, None], position[None, :])
    assert torch.equal(seen, visible_matrix(ids, plan.segments, rules)[0])


def test_reference_is_plain_softmax_where_everything_is_visible() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 20, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    plan = plan_classes(torch.zeros(1, 20, dtype=torch.long), ClassRules(torch.ones(1, 1, dtype=torch.bool)))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(class_attention(q, k, v, plan, backend="reference"), expected)


def test_reference_adds_the_bias_to_the_scaled_logits() -> None:
    bias = torch.tensor([[0.0, 2.0], [-1.0, 0.5]])
    rules = ClassRules(torch.ones(2, 2, dtype=torch.bool), bias=bias)
    ids = torch.tensor([[0, 1, 1, 0, 1]])
    q = torch.zeros(1, 1, 5, 4, dtype=torch.float64)
    v = torch.eye(5, 4, dtype=torch.float64)[None, None]
    out = class_attention(q, q, v, plan_classes(ids, rules), backend="reference")
    weights = torch.softmax(bias.double()[ids[0, 3], ids[0, :4]], dim=0)
    torch.testing.assert_close(out[0, 0, 3], weights)

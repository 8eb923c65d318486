"""The CPU backend against float64: forward and every gradient."""

from __future__ import annotations

import pytest
import torch
from sparse_cases import PATTERNS, assert_as_good_as_eager, draw_allow, make_case
from torch.nn.functional import scaled_dot_product_attention

from sparse_attn import ClassRules, class_attention
from sparse_attn.impl.reference import visible_matrix

RULES = {
    "unbounded": {},
    "bidirectional": {"causal": False},
    "budget": {"budget": 9},
    "valence": {"valence": 2},
    "window and valence": {"window": 8, "valence": 1},
    "window, globals and budget": {"window": 5, "global_classes": (2,), "budget": 6},
    "bidirectional window and globals": {"causal": False, "window": 4, "global_classes": (1,)},
}


def rules_of(name: str, classes: int = 5, biased: bool = False, seed: int = 1) -> ClassRules:
    generator = torch.Generator().manual_seed(seed)
    allow = draw_allow(classes, generator)
    bias = torch.randn(classes, classes, generator=generator) if biased else None
    return ClassRules(allow, bias=bias, **RULES[name])


@pytest.mark.parametrize("tokens", [1, 63, 100, 257])
@pytest.mark.parametrize("name", RULES)
def test_sizes_and_rules(name: str, tokens: int) -> None:
    assert_as_good_as_eager(make_case(rules_of(name, biased=True), tokens), "cpu")


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["unbounded", "budget", "window and valence"])
def test_class_patterns(name: str, pattern: str) -> None:
    assert_as_good_as_eager(make_case(rules_of(name), 100, pattern=pattern), "cpu")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("head_dim", [16, 40, 64, 256])
def test_dtypes_and_head_dims(dtype: torch.dtype, head_dim: int) -> None:
    assert_as_good_as_eager(make_case(rules_of("valence"), 70, head_dim=head_dim, dtype=dtype), "cpu")


@pytest.mark.parametrize(("heads", "key_heads"), [(4, 1), (6, 2), (3, 3)])
def test_grouped_heads(heads: int, key_heads: int) -> None:
    case = make_case(rules_of("budget", biased=True), 100, heads=heads, key_heads=key_heads)
    assert_as_good_as_eager(case, "cpu")


@pytest.mark.parametrize("name", RULES)
def test_padding_and_fewer_queries(name: str) -> None:
    assert_as_good_as_eager(make_case(rules_of(name), 90, padded=True, queries=33), "cpu")


def test_a_thousand_tokens() -> None:
    assert_as_good_as_eager(make_case(rules_of("window and valence"), 1000, batch=1, heads=1, key_heads=1), "cpu")


def test_four_thousand_tokens_forward() -> None:
    case = make_case(rules_of("budget"), 4096, batch=1, heads=1, key_heads=1)
    seen = visible_matrix(case.plan.class_ids, case.plan.segments, case.plan.rules)
    expected = scaled_dot_product_attention(case.query, case.key, case.value, attn_mask=seen[:, None])
    got = class_attention(case.query, case.key, case.value, case.plan, backend="cpu")
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_blind_rows_are_zero_and_give_no_gradient() -> None:
    case = make_case(rules_of("unbounded"), 50, padded=True)
    out, dq, dk, dv = case.run("cpu")
    blind = (case.plan.segments < 0)[:, None, :].expand(-1, 2, -1)
    for x in (out, dq, dk, dv):
        assert bool((x[blind] == 0).all())
        assert bool(x[~blind].abs().sum() > 0)


def test_memory_that_was_never_written_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.empty

    def poisoned(*args: object, **kwargs: object) -> torch.Tensor:
        made = real(*args, **kwargs)
        return made.fill_(float("nan")) if made.is_floating_point() else made

    case = make_case(rules_of("budget"), 100, padded=True)
    monkeypatch.setattr(torch, "empty", poisoned)
    assert all(bool(torch.isfinite(x).all()) for x in case.run("cpu"))


def test_runs_repeat_exactly() -> None:
    case = make_case(rules_of("window and valence"), 257)
    for first, second in zip(case.run("cpu"), case.run("cpu"), strict=True):
        assert torch.equal(first, second)


def test_transposed_memory_gives_the_same() -> None:
    case = make_case(rules_of("budget"), 64)
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (case.query, case.key, case.value)]
    expected = class_attention(case.query, case.key, case.value, case.plan)
    assert torch.equal(class_attention(*strided, case.plan), expected)

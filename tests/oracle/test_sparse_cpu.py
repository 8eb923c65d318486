"""The CPU backend against float64: forward and every gradient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from causality import assert_causal
from sparse_cases import PATTERNS, Case, assert_as_good_as_eager, draw_allow, make_case
from torch.nn.functional import scaled_dot_product_attention

from sparse_attn import ClassRules, class_attention, ops, plan_classes
from sparse_attn.errors import ShapeError
from sparse_attn.impl import cpu
from sparse_attn.impl.cpu import threads
from sparse_attn.impl.cpu.packing import pack_queries
from sparse_attn.impl.reference import visible_matrix
from sparse_attn.rows import TileShape
from sparse_attn.words import seen_pairs

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


def by_shape(case: Case, rows: int, stretch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and log-sum-exp with the queries in other tiles."""
    lists = case.plan.key_lists(TileShape(rows, stretch, step=32, full_step=2**30)).tensors()
    return ops.cpu_forward(case.query, case.key, case.value, lists, case.plan.stream.classes, case.plan.bias, 0.25)


def test_the_company_of_a_row_does_not_show_in_a_single_bit() -> None:
    case = make_case(rules_of("budget", biased=True), 400, padded=True)
    expected = by_shape(case, 16, 1024)
    for rows, stretch in ((16, 64), (32, 0), (64, 2**31 - 1), (128, 200)):
        assert all(torch.equal(*pair) for pair in zip(by_shape(case, rows, stretch), expected, strict=True))


@pytest.mark.parametrize("name", ["budget", "valence", "window, globals and budget"])
def test_later_vectors_and_classes_never_show_in_a_single_bit(name: str) -> None:
    rules = rules_of(name)
    case = make_case(rules, 90, pattern="uniform")

    def redraw(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if x.is_floating_point():
            return torch.randn(x.shape, generator=generator)
        return torch.randint(0, rules.classes, x.shape, generator=generator)

    assert_causal(
        lambda q, k, v, ids: class_attention(q, k, v, plan_classes(ids, rules), backend="cpu"),
        (case.query, case.key, case.value, case.plan.class_ids),
        input_dims=(2, 2, 2, 1), output_dim=2, cuts=(0, 31, 63, 70), redraw=redraw,
    )  # fmt: skip


def test_logits_of_any_size() -> None:
    case = make_case(rules_of("unbounded", biased=True), 300)
    case.query *= torch.logspace(-3, 3, 300)[:, None]
    assert_as_good_as_eager(case, "cpu")


def test_nan_reaches_every_row_that_sees_it() -> None:
    # In a compiled graph nobody looks for NaN among the inputs.
    case = make_case(rules_of("valence"), 60, batch=1)
    seen = visible_matrix(case.plan.class_ids, case.plan.segments, case.plan.rules)[0, :, 20]
    for broken in (case.key, case.value):
        before = broken[:, :, 20].clone()
        broken[:, :, 20] = float("nan")
        assert bool(by_shape(case, 16, 0)[0][0, :, seen].isnan().all())
        broken[:, :, 20] = before


@pytest.fixture
def many_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cpu, "_WORTH_A_THREAD", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("many_threads")
@pytest.mark.parametrize("has_openmp", [True, False])
@pytest.mark.parametrize(("batch", "heads", "key_heads"), [(1, 1, 1), (2, 4, 2)])
def test_threads(monkeypatch: pytest.MonkeyPatch, has_openmp: bool, batch: int, heads: int, key_heads: int) -> None:
    if not has_openmp:
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    case = make_case(rules_of("budget"), 257, batch=batch, heads=heads, key_heads=key_heads)
    assert_as_good_as_eager(case, "cpu")
    for one, other in zip(case.run("cpu"), case.run("cpu"), strict=True):
        assert torch.equal(one, other)
    alone = by_shape(case, 16, 1024)[0]
    torch.set_num_threads(1)
    assert torch.equal(by_shape(case, 16, 1024)[0], alone)


@pytest.mark.parametrize("has_openmp", [True, False])
def test_what_a_thread_raises_arrives(monkeypatch: pytest.MonkeyPatch, has_openmp: bool) -> None:
    if not has_openmp:
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    done: list[int] = []

    def work(item: int) -> None:
        if item == 2:
            raise ValueError(f"no {item}")
        done.append(item)

    with pytest.raises(ValueError, match="no 2"):
        threads.share(work, [(i,) for i in range(5)], 2)
    assert {0, 1} <= set(done)


def test_refuses_tiles_that_fill_no_vector() -> None:
    case = make_case(rules_of("budget"), 40)
    with pytest.raises(ShapeError, match="multiple of 16 rows, got 24"):
        by_shape(case, 24, 0)


@pytest.mark.parametrize("name", RULES)
def test_packed_words_are_what_is_visible(name: str) -> None:
    plan = make_case(rules_of(name), 300, padded=True, queries=170).plan
    lists = plan.key_lists(TileShape(32, 64, step=32, full_step=2**30))
    words = pack_queries(plan.stream, lists.rows, lists.entries, lists.meta, lists.meta[:, 2] // 32)
    for tile, (begin, _, length, word) in enumerate(lists.meta.tolist()):
        listed = lists.entries[begin : begin + length]
        seen = seen_pairs(plan.stream, lists.rows[tile][:, None], listed[None], rows_are_queries=True)
        bits = words[word : word + length // 32].T[:, :, None] >> torch.arange(32) & 1
        assert torch.equal(bits.flatten(1).bool(), seen)

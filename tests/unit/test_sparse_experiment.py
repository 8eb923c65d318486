"""The experiment `sparse_attention`: a small run from end to end, and what each of its parts must be able to notice."""

from __future__ import annotations

import dataclasses
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from causality import assert_causal
from scipy.stats import ttest_1samp

from feasibility.harness import Metric, Outcome, judge, silent
from feasibility.sparse_attention import figures, measure
from feasibility.sparse_attention.experiment import CRITERIA, EXPERIMENT, BadConfig, Config, run
from feasibility.sparse_attention.memory import Growth, allocated, growth, memory_of
from feasibility.sparse_attention.model import KINDS, TEST, TRAIN, Kind, TinyModel, attention, draw_text, perplexity
from feasibility.sparse_attention.patterns import (
    EWT_COUNTS,
    HEADLINE,
    TABLE,
    UPOS,
    argument_bias,
    english_tags,
    modes,
    patterns,
    tag_record,
    upos_table,
)
from feasibility.sparse_attention.scores import break_even, over_seeds, unsigned
from sparse_attn import plan_classes

CPU = measure.Bench("cpu", torch.float32, 1, 1, 0)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(dataclasses.replace(EXPERIMENT.smoke, device="cpu"), silent)


def test_a_small_run_can_be_judged_on_every_criterion(outcome: Outcome) -> None:
    record = judge(EXPERIMENT, EXPERIMENT.smoke, outcome, smoke=True, started_utc="", wall_s=0.0)
    judged = {criterion["roadmap"]: criterion for criterion in record["criteria"]}
    assert list(judged) == ["C1.1", "C1.2", "C1.3", "C1.4", "C2.1", "C2.3", "C2.4"]
    # What does not depend on how fast the machine is.
    assert judged["C1.1"]["passed"]
    assert judged["C1.4"]["passed"]
    assert {data.name for data in outcome.data} == {"toy-grammar", "ud-english-ewt-tag-counts"}


def test_opponents_are_the_strongest_that_were_measured(outcome: Outcome) -> None:
    rows = outcome.baselines
    for metric in ("speedup_over_masked", "memory_saved", "context_gain"):
        of_same_function = [rows[name][metric] for name in ("sdpa_masked", "eager_masked")]
        # The opponent is measured against itself; in a close race another may win more rounds.
        assert (0.0 if metric == "memory_saved" else 1.0) in [pytest.approx(value) for value in of_same_function]
    over_dense = [rows[name]["speedup_over_dense"] for name in ("dense", "sdpa_masked", "eager_masked")]
    assert 1.0 in [pytest.approx(value) for value in over_dense]
    assert HEADLINE not in rows


def test_every_pattern_and_length_is_reported_beside_the_headline(outcome: Outcome) -> None:
    for name in (*patterns(64, 0).keys() - {HEADLINE}, "dense", "sdpa_masked", "eager_masked"):
        for n in EXPERIMENT.smoke.lengths:
            assert outcome.baselines[name][f"speedup_{n}"] > 0
            assert outcome.metrics[f"ms_{n}"].value > 0
    assert {f"mode_error_{mode}" for mode in modes()} <= outcome.metrics.keys()


def test_the_words_that_are_printed_are_finished_sentences(outcome: Outcome) -> None:
    for text in (outcome.finding, *outcome.caveats):
        assert text.endswith(".")
        assert "{" not in text
        assert "  " not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"short": 256}, r"lengths are \(128, 512\), short is 256, long is 512; expected both among the lengths"),
        ({"long": 128}, "two different ones"),
        ({"rounds": 0}, "rounds is 0, expected at least 1"),
        ({"seeds": 1}, "seeds is 1, expected at least 2"),
        ({"sentences": 10}, "sentences is 10, expected at least 100"),
        ({"heads": 0}, "heads is 0"),
        ({"memory_gib": 0.0}, "memory-gib is 0.0, expected more than 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        run(dataclasses.replace(EXPERIMENT.smoke, **change), silent)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_not_replaced_by_a_cpu() -> None:
    with pytest.raises(BadConfig, match="no GPU can be used here"):
        run(Config(device="cuda"), silent)


def test_criteria_name_the_roadmap_and_no_threshold_is_soft() -> None:
    bars = {criterion.roadmap: (criterion.op, criterion.threshold) for criterion in CRITERIA}
    assert bars["C1.1"] == ("<=", 0.5)
    assert bars["C1.2"] == (">", 1.5)
    assert bars["C1.3"] == (">=", 20)
    assert bars["C2.3"] == (">=", 2)


def test_the_table_forbids_a_third_of_english() -> None:
    table, share = upos_table(), torch.tensor(EWT_COUNTS) / sum(EWT_COUNTS)
    assert sum(EWT_COUNTS) == 204_577
    assert torch.equal(table, table.T)
    assert float(share @ table.float() @ share) == pytest.approx(0.674, abs=0.001)
    assert len(torch.unique(table, dim=0)) == len(UPOS)
    assert argument_bias().nonzero().shape == (3, 2)
    assert tag_record().licence == "CC BY-SA 4.0"


def test_tags_are_drawn_with_the_frequencies_and_from_the_seed() -> None:
    tags = english_tags(50_000, 3)
    assert torch.equal(tags, english_tags(50_000, 3))
    assert not torch.equal(tags, english_tags(50_000, 4))
    share = torch.bincount(tags, minlength=17) / 50_000
    assert torch.allclose(share, torch.tensor(EWT_COUNTS) / sum(EWT_COUNTS), atol=0.01)


def test_the_modes_are_the_originals_four_and_three_bounds() -> None:
    found = modes()
    table = upos_table()
    has_table = {name: bool(torch.equal(rules.allow, table)) for name, rules in found.items()}
    has_bias = {name: rules.bias is not None for name, rules in found.items()}
    assert [name for name in found if not has_table[name]] == ["features_only", "none"]
    assert [name for name in found if not has_bias[name]] == ["pos_only", "none"]
    assert (found["valence"].valence, found["budget"].budget, found["window"].window) == (4, 32, 32)


def test_a_mode_that_computes_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = measure.planned_run

    def wrong(plan: Any, backend: str = "auto") -> measure.Run:
        return right(plan, backend) if backend == "reference" else measure.dense_run

    monkeypatch.setattr(measure, "planned_run", wrong)
    errors = measure.mode_errors(CPU, 1, silent)
    # Without table and bias, causal attention is what was asked for.
    assert errors.pop("none")[0] < 1.5
    assert min(ratio for ratios in errors.values() for ratio in ratios) > 1e4


def test_eager_attention_is_exact_with_and_without_a_bias() -> None:
    inputs = [x.double() for x in CPU.inputs(40, 1)]
    for rules in (modes()["full"], modes()["window"], modes()["pos_only"]):
        plan = plan_classes(english_tags(40, 0)[None], rules)
        runs = [measure.gradients(r, inputs) for r in (measure.eager_run(plan), measure.planned_run(plan, "reference"))]
        assert all(measure.relative_error(a, b) < 1e-13 for a, b in zip(*runs, strict=True))


def test_the_fused_opponent_computes_the_same_function() -> None:
    plan = plan_classes(english_tags(100, 0)[None], modes()["pos_only"])
    inputs = CPU.inputs(100, 1)
    fused, eager = (measure.gradients(r, inputs) for r in (measure.masked_run(plan), measure.eager_run(plan)))
    assert all(measure.relative_error(a, b) < 1e-5 for a, b in zip(fused, eager, strict=True))


def test_long_texts_are_left_to_those_who_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measure.LIMITS, "cpu", {"eager_masked": 64, "sdpa_masked": 128, TABLE: 128})
    times = measure.time_all(CPU, (64, 128, 192), {}, 2, silent)
    assert {n for name, n in times.total if name == "eager_masked"} == {64}
    assert {n for name, n in times.total if name == TABLE} == {64, 128}
    assert {n for name, n in times.total if name == HEADLINE} == {64, 128, 192}
    assert {len(row) for row in times.total.values()} == {2}
    assert {name for name, _ in times.plan} == {*patterns(64, 0)}
    # The plan's share is counted.
    assert all(row[0] > times.plan[cell][0] / measure.LAYERS for cell, row in times.total.items() if cell in times.plan)


def test_only_optional_peers_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(error: type[RuntimeError]) -> measure.Run:
        def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            raise error("no kernel")

        return run

    kept = {
        "dense_cudnn": broken(RuntimeError),
        "eager_masked": broken(torch.OutOfMemoryError),
        "dense": measure.dense_run,
    }
    monkeypatch.setattr(measure, "_peers", lambda *_: kept)
    assert {"dense"} == {name for name, _ in measure.time_all(CPU, (64,), {}, 1, silent).total} - {*patterns(64, 0)}
    kept["sdpa_masked"] = broken(RuntimeError)
    with pytest.raises(RuntimeError, match="no kernel"):
        measure.time_all(CPU, (64,), {}, 1, silent)


def test_allocations_are_counted_wherever_they_happen() -> None:
    kept, peak, left = allocated(CPU, lambda: torch.empty(2**18))
    assert (peak, left, kept.numel()) == (2**20, 2**20, 2**18)
    _, peak, left = allocated(CPU, lambda: float((torch.ones(2**18) + 1).sum()))
    assert peak >= 2**21
    assert left == 0


def test_memory_of_a_written_out_mask_is_quadratic_and_dense_attention_has_none() -> None:
    eager = {n: memory_of(CPU, "eager_masked", n) for n in (256, 512)}
    assert eager[256] > 2 * 4 * 256**2
    assert 3.8 < eager[512] / eager[256] < 4.5
    assert memory_of(CPU, "dense", 512) < memory_of(CPU, "sdpa_masked", 512) < eager[512]


def test_memory_counts_the_plan() -> None:
    plain = memory_of(CPU, HEADLINE, 256)
    _, _, kept = allocated(
        CPU, lambda: plan_classes(patterns(256, 0)[HEADLINE].ids(1, 256, "cpu"), patterns(256, 0)[HEADLINE].rules)
    )
    assert plain > kept > 256 * 4


def test_a_curve_through_two_lengths_is_inverted() -> None:
    curve = growth({n: 5 * n * n + 300 * n for n in (1024, 2048, 4096)})
    assert curve == pytest.approx(Growth(5.0, 300.0))
    assert curve.at(curve.longest(2**30)) == pytest.approx(2**30)
    # A constant part must not bend the curve downwards.
    assert growth({100: 10_000, 200: 15_000}) == Growth(0.0, 75.0)
    assert Growth(0.0, 75.0).longest(7500) == pytest.approx(100)


@pytest.mark.parametrize(
    ("gains", "expected"),
    [((0.5, 2.0, 4.0), 2**10.5), ((1.5, 2.0, 3.0), 1024), ((0.2, 0.5, 0.9), None), ((2.0, 0.5, 2.0), 2**11.5)],
)
def test_break_even_is_the_last_crossing(gains: tuple[float, ...], expected: float | None) -> None:
    assert break_even((1024, 2048, 4096), gains) == (None if expected is None else pytest.approx(expected))


def test_intervals_over_seeds_are_students() -> None:
    values = [1.0, 1.5, 0.7, 1.1]
    metric, interval = over_seeds(values, "%"), ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert metric.ci95 == pytest.approx((interval.low, interval.high))
    assert over_seeds([2.0, 2.0], "%").ci95 == (2.0, 2.0)


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [(-0.2, (-0.5, 0.1), (0.2, 0.0, 0.5)), (-0.3, (-0.4, -0.2), (0.3, 0.2, 0.4)), (0.3, (0.1, 0.5), (0.3, 0.1, 0.5))],
)
def test_a_gap_counts_in_either_direction(
    value: float, interval: tuple[float, float], expected: tuple[float, float, float]
) -> None:
    found = unsigned(Metric(value, "%", 5, interval, "t"))
    assert (found.value, *found.ci95) == expected


def test_the_text_tells_the_class_by_the_word_alone() -> None:
    train, test = draw_text(60, 0, TRAIN), draw_text(60, 0, TEST)
    pairs = {(int(w), int(c)) for text in (train, test) for w, c in zip(text.words, text.classes, strict=True)}
    assert len(pairs) == len({word for word, _ in pairs}) == 21
    assert UPOS.index("PUNCT") in {c for _, c in pairs}
    assert not torch.equal(train.words[:100], test.words[:100])


def test_equal_seeds_train_equal_models_and_the_mask_matters() -> None:
    train, test = draw_text(100, 0, TRAIN), draw_text(25, 0, TEST)
    scores = {kind: perplexity(kind, train, test, 2, 0, "cpu") for kind in KINDS}
    assert scores["class_attention"] == perplexity("class_attention", train, test, 2, 0, "cpu")
    assert scores["class_attention"] == pytest.approx(scores["eager_masked"], rel=1e-5)
    assert abs(scores["dense"] / scores["eager_masked"] - 1) > 1e-4
    before = torch.random.get_rng_state()
    perplexity("dense", train, test, 1, 0, "cpu")
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_does_not_see_the_next_word_whoever_attends(kind: Kind) -> None:
    torch.manual_seed(0)
    model, rules = TinyModel(21), modes()["full"]
    assert_causal(
        # Classes follow from the words alone, as in the text.
        lambda words: model(words, attention(kind, words % len(UPOS), rules)).detach(),
        [torch.randint(21, (1, 64))],
        input_dims=[1],
        output_dim=1,
        cuts=(0, 20, 62),
        redraw=lambda x, generator: torch.randint(21, x.shape, generator=generator),
        # Tiles of the bare table are sorted by class: later classes may change the order in which is summed.
        tolerance=1e-5 if kind == "class_attention" else 0.0,
    )


def test_figures_are_drawn_whole_and_the_same_for_the_same_numbers(outcome: Outcome) -> None:
    for artifact in outcome.artifacts:
        root = ElementTree.fromstring(artifact.content)
        assert root.tag.endswith("svg")
        assert "<dc:date>" not in str(artifact.content)
    gains = {name: {64: 0.5, 128: 1.5} for name in figures.LOOKS}
    drawn = figures.speed_chart(gains, {HEADLINE: 90.0})
    assert drawn == figures.speed_chart(gains, {HEADLINE: 90.0})
    assert "pays from 90" in drawn
    assert "pays from" not in figures.speed_chart(gains, {})
    weights = {name: {n: float(n) for n in (64, 128, 256)} for name in figures.LOOKS}
    assert "3,000" in figures.memory_chart(weights, 1024.0, {"sdpa_masked": 3000.0, "dense": 9e5}, 256)
    seen = np.tril(np.ones((4, 4), dtype=bool))
    assert "100 % of the causal pairs" in figures.mask_chart({"one": seen, "two": np.eye(4, dtype=bool)})

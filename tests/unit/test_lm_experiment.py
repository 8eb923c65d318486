"""The experiment `language_model`: its checks can fail, and its comparisons follow from the recorded scores."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feasibility.environment import ROOT
from feasibility.harness import Metric
from feasibility.language_model.caveats import caveats
from feasibility.language_model.compared import (
    TARGETS,
    best_on_dev,
    by_position,
    difference,
    in_percent,
    lead,
    over_seeds,
    seed_by_seed,
    steps_to,
    time_to_target,
)
from feasibility.language_model.experiment import CRITERIA, SIZES
from feasibility.language_model.figures import curve_chart, difference_chart, step_chart
from feasibility.language_model.measure import (
    CAUSAL,
    HEADLINE,
    Lab,
    backend_losses,
    changed_rows,
    largest_gap,
    mode_gap,
    open_lab,
    resume_gap,
    sample_record,
)
from feasibility.language_model.record import HEADLINE as SIZE
from feasibility.language_model.record import Size, keep, read_record, read_steps
from feasibility.language_model.recorded import held_out, prefix, whole_steps
from feasibility.lm.controls import SCHEMA
from feasibility.lm.patterns import Spec

BIG = Size(640, 10, 512)
HARD = {part: np.random.default_rng(1).normal(400, 40, 60) for part in ("dev", "test")}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return open_lab(48, 0)


def line(
    name: str, seed: int, over: dict[str, float], tuning: bool = False, rate: float = 1.0, size: Size = SIZE
) -> dict[str, Any]:
    """A run whose chunks of 100 tokens need so many nats a token more than `HARD`."""
    parts = {}
    for part, hard in HARD.items():
        nats = hard + 100 * over[part] + np.random.default_rng([seed, len(name)]).normal(0, 0.1, len(hard))
        parts[part] = {
            "per_token": float(nats.sum()) / 6000,
            "nats": nats.tolist(),
            "tokens": 100,
            "by_position": [4.0] * 16,
        }
    return {
        "schema": SCHEMA,
        "is_tuning": tuning,
        "spec": dataclasses.asdict(Spec(name)),
        "seed": seed,
        "rate": rate,
        "key": f"{name} {seed} {rate}",
        "model": {"dim": size.dim, "layers": size.layers, "max_length": size.length},
        "parameters": 5e6,
        "losses": {"50": 5.0 + over["dev"], "100": 4.0 + 2 * over["dev"]},
        **parts,
    }


@pytest.fixture
def record(tmp_path: Path) -> Path:
    over = {"dense": (0.0, 0.0), "a": (0.01, -0.02), "b": (-0.01, -0.01), "r0": (0.02, 0.03), "r1": (0.02, 0.05)}
    lines = [line(name, seed, dict(zip(HARD, o, strict=True))) for name, o in over.items() for seed in (0, 1)]
    bad = dict.fromkeys(HARD, 9.0)
    # Rates that are worse on dev at the first seed do not count, nor do runs that only chose one.
    lines += [line("r1", 2, bad), line("a", 0, bad, tuning=True), line("b", 0, bad, rate=2.0)]
    # Another size is a record of its own, with a rate of its own.
    others = [line(name, 0, dict.fromkeys(HARD, 0.5), rate=2.0, size=BIG) for name in ("dense", "b")]
    others.append(line("b", 0, bad, rate=1.0, size=BIG))
    for name, some in (("runs", lines), ("others", others)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in some))
    kept = keep([tmp_path / "others.jsonl", tmp_path / "runs.jsonl"], tmp_path / "record.xz")
    assert kept == len(lines) - 2 + len(others) - 1
    return tmp_path / "record.xz"


def test_differences_follow_from_the_recorded_scores(record: Path) -> None:
    runs = read_record(record)[SIZE]
    found = difference(runs, ["b"], ["dense"])
    assert found.value == pytest.approx(-0.01, abs=0.001)
    assert found.ci95[1] < 0
    assert by_position(runs, "b", "dense") == [0.0] * 16
    assert np.mean(seed_by_seed(runs, "b", "dense")) == pytest.approx(found.value)
    assert over_seeds(runs, "b", "dense").value == pytest.approx(found.value)
    assert lead(runs, "b", "dense") == pytest.approx({50: -0.01, 100: -0.02})


def test_sizes_stand_side_by_side_the_headline_first(record: Path) -> None:
    found = read_record(record)
    assert list(found) == [SIZE, BIG]
    assert found[BIG]["b"][0]["rate"] == 2.0
    assert difference(found[BIG], ["b"], ["dense"]).value == pytest.approx(0.0, abs=0.01)
    assert [prefix(size, runs) for size, runs in found.items()] == ["", "5m_512_"]


def test_a_run_that_is_there_twice_is_named(record: Path) -> None:
    source = record.with_name("others.jsonl")
    with pytest.raises(ValueError, match=r"'dense 0 2.0' of Size\(.*length=512\) is there twice"):
        keep([source, source], record)


def test_one_seed_has_no_interval(record: Path) -> None:
    with pytest.raises(ValueError, match="needs two seeds that both have, got 1"):
        over_seeds(read_record(record)[BIG], "b", "dense")


def test_the_best_is_chosen_on_dev(record: Path) -> None:
    runs = read_record(record)[SIZE]
    # On test it would be a.
    assert best_on_dev(runs | {"window": runs["dense"]}, ["a", "b"]) == "b"


def test_draws_of_one_kind_count_as_their_mean_over_shared_seeds(record: Path) -> None:
    found = difference(read_record(record)[SIZE], ["r0", "r1"], ["dense"])
    assert found.value == pytest.approx(0.04, abs=0.001)
    assert "2 training seeds" in found.method


def test_a_record_of_another_schema_is_named(record: Path, tmp_path: Path) -> None:
    other = line("dense", 0, dict.fromkeys(HARD, 0.0)) | {"schema": "other"}
    (tmp_path / "runs.jsonl").write_text(json.dumps(other) + "\n")
    keep([tmp_path / "runs.jsonl"], tmp_path / "bad.xz")
    with pytest.raises(ValueError, match=r"bad.xz does not have the schema asa.lm-run.v1"):
        read_record(tmp_path / "bad.xz")


def test_sparse_and_mask_have_one_loss_curve_and_dense_another(lab: Lab) -> None:
    typed, window = lab.pattern(HEADLINE, 16.0), lab.pattern("window", 8.0)
    sparse, mask = (backend_losses(lab, typed, backend, 3) for backend in ("cpu", "reference"))
    assert largest_gap(sparse, mask) < 1e-5
    assert largest_gap(backend_losses(lab, window, "cpu", 3), mask) > 1e-5


def test_a_run_that_broke_off_goes_on(lab: Lab) -> None:
    resumed, other = resume_gap(lab, lab.pattern("window", 8.0), 6)
    assert resumed < 1e-6 < other


def test_rows_change_only_where_classes_look_ahead(lab: Lab) -> None:
    changed, peeked, rows = changed_rows(lab, [0, 20, 40])
    assert changed == 0
    assert peeked > 0
    assert rows == len(CAUSAL) * 2 * (1 + 21 + 41)


def test_every_mode_is_the_dense_mask(lab: Lab) -> None:
    assert mode_gap(lab, "original/full/soft", 2) < 1e-5
    assert mode_gap(lab, "window|predetermined/64", 2) < 1e-5


def test_steps_to_a_target_lie_between_entries() -> None:
    losses = {"losses": {"50": 7.0, "100": 5.0, "150": 4.0}}
    assert steps_to(losses, 4.5) == 125
    assert steps_to(losses, 7.5) == 50
    assert steps_to(losses, 3.9) == float("inf")


def test_time_to_target_is_paired_by_seed() -> None:
    def at(step: int, seed: int) -> dict[str, Any]:
        return line("x", seed, dict.fromkeys(HARD, 0.0)) | {"losses": {"0": 5.0, str(step): 4.0}}

    runs = {"x": {0: at(90, 0), 1: at(80, 1)}, "dense": {0: at(100, 0), 1: at(100, 1), 2: at(10, 2)}}
    found = time_to_target(runs, "x", "dense", 4.0)
    assert found is not None
    assert found.value == pytest.approx(15.0)
    assert found.n == 2
    assert found.ci95[0] < 0 < found.ci95[1]
    assert time_to_target(runs, "x", "dense", 3.0) is None


def test_nats_as_perplexity() -> None:
    found = in_percent(Metric(0.01, "nats", 5, (-0.01, 0.02), "m"))
    assert found.value == pytest.approx(1.005, abs=1e-3)
    assert found.ci95 == pytest.approx((-0.995, 2.02), abs=1e-3)


def test_whole_steps_are_compared_length_by_length() -> None:
    def row(way: str, n: int, ms: float, peak: int) -> dict[str, Any]:
        return {"way": way, "n": n, "ms": ms, "p20": ms - 1, "p80": ms + 1, "steps": 9, "peak_mb": peak}

    rows = [row("dense", 8, 20, 100), row("typed", 8, 10, 90), row("dense", 16, 40, 100), row("typed", 16, 10, 110)]
    deep = [row(way, 8, ms, 100) | {"shape": "28x512"} for way, ms in (("dense", 30), ("typed", 10))]
    metrics, baselines = whole_steps({"rows": [*rows, *deep, {"way": "typed", "n": 32, "error": "no memory"}]})
    assert metrics["step_speedup_8"].value == 2
    assert metrics["step_speedup_16"].ci95 == (39 / 11, 41 / 9)
    assert metrics["step_memory"].value == pytest.approx(110)
    assert metrics["deep_step_speedup_8"].value == 3
    assert baselines["dense"].keys() == metrics.keys()


def test_the_shipped_record_holds_runs_that_may_be_compared() -> None:
    record = read_record()
    for size, runs in record.items():
        lines = [one for seeds in runs.values() for one in seeds.values()]
        assert len({(one["steps"], one["batch"], len(one["test"]["nats"])) for one in lines}) == 1
        assert {one["batch"] * size.length for one in lines} == {32768}
        assert len({one["parameters"] for one in lines if one["spec"]["name"] != "linear"}) == 1
        assert all(len({one["rate"] for one in seeds.values()}) == 1 for seeds in runs.values())
        assert all(len(seeds) >= 3 for seeds in runs.values())
        for one in lines:
            total = sum(one["test"]["nats"]) / (len(one["test"]["nats"]) * one["test"]["tokens"])
            assert one["test"]["per_token"] == pytest.approx(total, abs=1e-6)
    assert [prefix(size, runs) for size, runs in record.items()] == list(SIZES)


@pytest.fixture(scope="module")
def judged() -> dict[str, Metric]:
    metrics, baselines = held_out(read_record())
    for criterion in CRITERIA:
        if "nats" in criterion.metric and criterion.metric in metrics:
            assert criterion.metric in baselines[criterion.baseline]
    return metrics


def test_every_recorded_criterion_has_its_metric(judged: dict[str, Metric]) -> None:
    known = judged | whole_steps(read_steps())[0]
    assert {one.metric for one in CRITERIA if one.why.startswith("Recorded")} <= known.keys()
    for size in SIZES:
        assert judged[f"{size}nats_over_window"].value == pytest.approx(
            judged[f"{size}nats_over_dense"].value - judged[f"{size}window_nats_over_dense"].value
        )
    assert all(f"window_steps_saved_to_{target:g}" in judged for target in TARGETS)


def test_tags_that_see_the_future_are_worth_less_than_they_tell(judged: dict[str, Metric]) -> None:
    # What they tell of the next piece beyond the piece itself, counted (feasibility.lm.tags).
    assert -0.195 < judged["leak_nats"].value < 0


def test_the_caveats_say_what_was_left_out_and_what_was_not_learnt() -> None:
    said = " ".join(caveats(read_record()))
    assert "3 of 643 (17 million, n = 2,048), 0 of 160 (17 million, n = 8,192)" in said
    assert "60 million, n = 2,048: window 0.001, dense 0.002" in said
    assert "only 4 chunks a step" in said


@pytest.mark.parametrize(
    ("record", "published"), [("controls", "lm_controls.h200.jsonl"), ("steps", "lm_steps.h200.json")]
)
def test_the_shipped_records_are_the_published_ones(record: str, published: str, tmp_path: Path) -> None:
    path = ROOT / "benchmarks" / "results" / published
    if record == "controls":
        keep([path], tmp_path / "record.xz")
        assert read_record(tmp_path / "record.xz") == read_record()
    else:
        assert read_steps(path) == read_steps()


def test_steps_of_another_schema_are_named(tmp_path: Path) -> None:
    (tmp_path / "steps.json").write_text("{}")
    with pytest.raises(ValueError, match=r"steps.json does not have the schema asa.lm-steps.v1"):
        read_steps(tmp_path / "steps.json")


def test_the_sample_says_what_it_is() -> None:
    found = sample_record()
    assert found.licence == "public domain"
    assert len(found.sha256) == 64
    assert open_lab(8, 0).corpus.facts["books"] == {
        "train": ["Hardy_Madding_1874"],
        "dev": ["Galsworthy_Man_1906"],
        "test": ["Haggard_She_1887"],
    }
    assert torch.equal(open_lab(8, 0).ids["train"][:2], open_lab(8, 1).ids["train"][:2])


def test_charts_name_every_pattern() -> None:
    metrics = {
        name: Metric(0.01, "nats", 9, (0.0, 0.02), "made up") for name in ("window", "random/64.0", "endings/64")
    }
    metrics["original"] = Metric(0.345, "nats", 9, (0.3, 0.4), "made up")
    panels = {"small": metrics, "large": {"linear": metrics["window"]}}
    keys = {"small": dict.fromkeys(metrics, 12.0), "large": {"linear": 0.0}}
    chart = difference_chart(panels, keys)
    assert all(f"{name}  (12)" in chart for name in metrics)
    assert "linear  (a state)" in chart
    # What is off the scale says where it lies.
    assert "+0.345" in chart
    assert chart == difference_chart(panels, keys)
    assert "separators" in curve_chart({"small": {"separators": ([0, 1], [0.1, -0.1])}}, "position", "nats")


def test_the_chart_of_steps_names_both_ways() -> None:
    rows = [
        {"shape": shape, "way": way, "n": n, "ms": 9.0, "p20": 8.0, "p80": 10.0}
        for shape in ("12x768", "28x512")
        for way in ("dense", "typed")
        for n in (4, 8)
    ]
    chart = step_chart(rows)
    assert "dense attention" in chart
    assert "last of each class, 28x512" in chart

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import feasibility
from feasibility.cli import perform
from feasibility.harness import Criterion, Metric, Outcome, exact, judge, judge_criterion, silent, verdict_of

SCHEMA = json.loads((Path(feasibility.__file__).parent / "result.v1.schema.json").read_text(encoding="utf-8"))


def outcome(value: float, low: float, high: float) -> Outcome:
    return Outcome({"uas": Metric(value, "%", 10, (low, high), "by hand")}, {"greedy": {"uas": 90.0}})


AT_LEAST_80 = Criterion("uas", ">=", 80.0, "a bar", baseline="greedy")
BELOW_80 = replace(AT_LEAST_80, op="<")


@pytest.mark.parametrize(
    ("criterion", "value", "low", "high", "passed"),
    [
        (AT_LEAST_80, 85, 81, 89, True),
        (AT_LEAST_80, 80, 80, 80, True),
        (AT_LEAST_80, 85, 79, 89, None),
        (AT_LEAST_80, 75, 71, 79, False),
        (AT_LEAST_80, 75, 71, 80, None),
        (BELOW_80, 75, 71, 79, True),
        (BELOW_80, 80, 80, 80, False),
        (BELOW_80, 79, 71, 80, None),
    ],
)
def test_the_interval_decides(criterion: Criterion, value: float, low: float, high: float, passed: bool | None) -> None:
    assert judge_criterion(criterion, outcome(value, low, high))["passed"] is passed


def test_margin_is_positive_on_the_good_side() -> None:
    assert judge_criterion(AT_LEAST_80, outcome(85, 81, 89))["margin"] == 5
    assert judge_criterion(BELOW_80, outcome(85, 81, 89))["margin"] == -5


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        ([True, True], "GO"),
        ([True, False, None], "NO-GO"),
        ([True, None], "INCONCLUSIVE"),
        ([], "INCONCLUSIVE"),
    ],
)
def test_verdict_of(votes: list[bool | None], verdict: str) -> None:
    assert verdict_of(votes) == verdict


def test_a_criterion_without_its_metric_or_baseline_is_refused() -> None:
    with pytest.raises(KeyError, match=r"criterion on 'las', but the run gave \['uas'\]"):
        judge_criterion(replace(AT_LEAST_80, metric="las"), outcome(1, 1, 1))
    with pytest.raises(KeyError, match="names the baseline 'eisner', which has no such value"):
        judge_criterion(replace(AT_LEAST_80, baseline="eisner"), outcome(1, 1, 1))


@pytest.mark.parametrize("bad", [(math.nan, 1, 1), (1, -math.inf, 2), (5, 1, 2)])
def test_metrics_that_are_not_finite_or_outside_their_interval_are_refused(toy, bad) -> None:
    with pytest.raises(ValueError, match="must be finite and lie in its interval"):
        judge(
            replace(toy, criteria=(AT_LEAST_80,)),
            toy.config(),
            outcome(*bad),
            smoke=False,
            started_utc="",
            wall_s=0.0,
        )


def test_a_baseline_that_is_not_finite_is_refused(toy) -> None:
    bad = Outcome({"uas": Metric(85, "%", 10, (81, 89), "by hand")}, {"greedy": {"uas": math.nan}})
    with pytest.raises(ValueError, match=r"baseline 'greedy' must be finite, got \{'uas': nan\}"):
        judge(replace(toy, criteria=(AT_LEAST_80,)), toy.config(), bad, smoke=False, started_utc="", wall_s=0.0)


def test_a_changed_configuration_is_written_down_and_seed_and_presentation_are_not(toy) -> None:
    assert toy.changed(toy.config(seed=5), smoke=False) == []
    assert toy.changed(toy.config(half_width=2.0), smoke=False) == ["--half-width 2.0"]
    assert replace(toy, presentation=("half_width",)).changed(toy.config(half_width=2.0), smoke=False) == []
    assert toy.changed(toy.smoke, smoke=True) == []


def test_exact_has_no_width() -> None:
    assert exact(3, "steps").ci95 == (3.0, 3.0)


def test_the_record_satisfies_the_published_schema(toy) -> None:
    record, artifacts = perform(toy, toy.config(), silent, smoke=False)
    jsonschema.validate(record, SCHEMA)
    assert record["verdict"] == "GO"
    assert [artifact.name for artifact in artifacts] == ["box.svg"]

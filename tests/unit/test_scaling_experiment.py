"""The experiment `scaling`: laws and trends found again in made-up runs, and the small trainings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feasibility.harness import judge, silent
from feasibility.language_model.record import HEADLINE, Record, Size
from feasibility.lm import records
from feasibility.lm.patterns import Spec
from feasibility.lm.records import RecordMissing
from feasibility.scaling import controls
from feasibility.scaling.experiment import EXPERIMENT, Config
from feasibility.scaling.jobs import SCHEMA
from feasibility.scaling.measure import TINY, tiny_lines
from feasibility.scaling.record import TYPED, Runs, gains, law_of, lead, leads, points, read_runs, runs_of, trend

SIZES = (5_000_000, 17_000_000, 60_000_000, 119_000_000, 337_000_000)
HARD = np.random.default_rng(0).normal(0, 0.2, 80)


def line(name: str, size: int, seed: int = 0, over: float = 0.0, quicker: float = 1.0) -> dict[str, Any]:
    """A run whose loss follows 3 + (N / 10^8)^-0.2, of chunks of 100 tokens that are unequally hard."""
    loss = 3 + (size / 1e8) ** -0.2 + over
    part = {"per_token": float(loss + HARD.mean()), "nats": (100 * (loss + HARD)).tolist(), "tokens": 100}
    part |= {"by_position": [4.0] * 16}
    steps = np.arange(10, 310, 10)
    return {
        "schema": SCHEMA, "key": f"{name} {size} {seed}", "spec": dataclasses.asdict(Spec(name, keys=1.0)),
        "seed": seed, "parameters": size, "dev": part, "test": part, "steps": 300, "tokens": 300 * 2048, "batch": 1,
        "model": {"max_length": 2048}, "device": "none", "tokens_per_second": 1000,
        "losses": {str(step): float(8 - np.log(step * quicker)) for step in steps},
    }  # fmt: skip


def lines(slope: float = 0.0) -> list[dict[str, Any]]:
    return [
        line(name, size, over=over + (slope * np.log10(size / 1e8) if name == TYPED else 0), quicker=quicker)
        for size in SIZES
        for name, over, quicker in (("dense", 0.0, 1.0), ("window", -0.02, 1.0), (TYPED, -0.03, 1.25))
    ]


@pytest.fixture
def runs() -> Runs:
    return runs_of(lines())


def control(over: dict[str, float]) -> Record:
    """Controls of three sizes and three seeds: each pattern is so much above dense attention, seeds 0.01 apart."""
    sizes = {HEADLINE: SIZES[1], Size(640, 10, 2048): SIZES[2], Size(192, 4, 2048): SIZES[0]}
    return {
        size: {
            name: {
                seed: line(
                    name, parameters, seed, more + (0.01 * seed if name != "dense" else 0), 1 + (name != "dense")
                )
                for seed in range(3)
            }
            for name, more in {"dense": 0.0, **over}.items()
        }
        for size, parameters in sizes.items()
    }


def test_the_law_that_was_put_in_is_found(runs: Runs) -> None:
    law = law_of(runs["dense"])
    assert law.exponent == pytest.approx(0.2, abs=0.01)
    assert law.floor == pytest.approx(3 + HARD.mean(), abs=0.05)
    assert law.ci95[0] <= law.exponent <= law.ci95[1]
    assert law.at.value == pytest.approx(4 + HARD.mean(), abs=1e-3)
    assert law.loss(SIZES[0]) == pytest.approx(runs["dense"][SIZES[0]][0]["test"]["per_token"], abs=1e-3)


def test_few_sizes_have_a_law_without_a_floor(runs: Runs) -> None:
    by_size = dict(list(runs["dense"].items())[:3])
    law = law_of(by_size)
    assert law.floor == 0.0
    assert 0 < law.exponent < 0.2


def test_gains_and_their_trend(runs: Runs) -> None:
    assert [metric.value for metric in gains(runs).values()] == pytest.approx([-0.03] * 5)
    height, slope = trend(*points(runs_of(lines(slope=0.02))), "nats")
    assert height.value == pytest.approx(-0.03)
    assert slope.value == pytest.approx(0.02)
    more = [line(name, size, 1, over) for name, over in ((TYPED, 0.02), ("dense", 0.0)) for size in SIZES]
    noisy = trend(*points(runs_of([*lines(), *more])), "nats")
    assert noisy[0].ci95[0] < noisy[0].value < noisy[0].ci95[1]
    assert noisy[0].n == 10


def test_controls_are_compared_by_size_and_seed() -> None:
    over = {"window": -0.03, TYPED: -0.05, "distributional/64": -0.02}
    # A size whose texts are longer, and one that lacks a pattern, are left out.
    other = {
        Size(640, 10, 8192): control(over)[HEADLINE],
        Size(16, 1, 2048): {"dense": control(over)[HEADLINE]["dense"]},
    }
    runs = controls.controls_of({**control(over), **other})
    assert list(runs[TYPED]) == list(SIZES[:3])
    assert [metric.value for metric in controls.gains(runs).values()] == pytest.approx([-0.04] * 3)
    assert controls.gains(runs, TYPED, "window")[SIZES[0]].value == pytest.approx(-0.02)
    assert controls.each(runs)[SIZES[1]] == pytest.approx([-0.05, -0.04, -0.03])
    x, y = controls.points(runs)
    assert sorted(set(x)) == pytest.approx([np.log10(size / 1e8) for size in SIZES[:3]])
    height, slope = trend(x, y, "nats")
    assert height.value == pytest.approx(-0.04)
    assert slope.value == pytest.approx(0.0, abs=1e-9)
    assert height.n == 9
    assert slope.ci95[0] < -0.005 < 0.005 < slope.ci95[1]
    assert controls.leads(runs)[1] == pytest.approx([100.0] * 9, abs=5)
    with pytest.raises(RecordMissing, match="at two sizes or more, got \\[17000000\\]"):
        controls.controls_of({HEADLINE: control(over)[HEADLINE]})


def test_a_lead_is_counted_in_steps(runs: Runs) -> None:
    assert leads(runs)[1] == pytest.approx([25.0] * 5, abs=1.5)
    one, other = runs[TYPED][SIZES[0]][0], runs["dense"][SIZES[0]][0]
    assert lead(other, one) == pytest.approx(-20.0, abs=1.5)
    assert lead(one, one) == 0.0


def test_too_little_to_go_by_is_said(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(RecordMissing, match="three sizes or more"):
        runs_of(lines()[:6])
    with pytest.raises(RecordMissing, match="three points"):
        trend(np.zeros(2), np.zeros(2), "nats")
    with pytest.raises(RecordMissing, match="got 3 at 1"):
        trend(np.zeros(3), np.arange(3.0), "nats")
    with pytest.raises(RecordMissing, match="is not here; make it"):
        records.read(SCHEMA, tmp_path / "x.xz")


def test_records_keep_what_did_not_break(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.xz"
    kept = records.keep([*lines(), {"schema": SCHEMA, "key": "a", "failed": "..."}, {"key": "b"}], SCHEMA, path)
    assert kept == 15
    assert {line["key"] for line in records.read(SCHEMA, path)} == {line["key"] for line in lines()}
    with pytest.raises(RecordMissing, match="does not have the schema"):
        records.read("asa.long-context-run.v1", path)


def test_a_whole_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.xz"
    records.keep(lines(), SCHEMA, path)
    monkeypatch.setattr(records, "path_of", lambda schema: path)
    over = {"window": 0.0, TYPED: -0.05, "distributional/64": 0.0}
    monkeypatch.setattr(controls, "read_controls", lambda: controls.controls_of(control(over)))
    outcome = EXPERIMENT.run(EXPERIMENT.smoke, silent)
    result = judge(EXPERIMENT, Config(), outcome, smoke=True, started_utc="", wall_s=0.0)
    passed = {criterion["metric"]: criterion["passed"] for criterion in result["criteria"]}
    # Seeds 0.01 apart leave the slope open by as much as may be lost.
    assert passed.pop("gain_per_tenfold") is None
    assert list(passed.values()) == [True] * 4
    assert outcome.baselines["window"]["gain_at_100M"] == pytest.approx(0.01)
    assert outcome.baselines["window"]["one_seed_gain_at_100M"] == pytest.approx(-0.02)
    assert "-0.040" in outcome.finding
    assert [artifact.name for artifact in outcome.artifacts] == ["controls.svg", "gains.svg", "laws.svg"]
    assert all("<svg" in artifact.content for artifact in outcome.artifacts)


def test_tiny_models_have_the_same_start_and_learn() -> None:
    found = tiny_lines(TINY[:1], 4, 40.0, 0, silent)
    assert [line["spec"]["name"] for line in found] == ["dense", TYPED]
    first = [line["losses"]["1"] for line in found]
    # At the start all attend nearly evenly, so the kinds differ only a little.
    assert first[0] == pytest.approx(first[1], abs=1e-3)
    assert all(line["losses"]["4"] < line["losses"]["1"] for line in found)


def test_the_shipped_controls_have_two_sizes_and_three_seeds() -> None:
    runs = controls.read_controls()
    assert len(runs[TYPED]) >= 2
    assert all(len(seeds) >= 3 for by_size in runs.values() for seeds in by_size.values())
    tokens = {
        line["steps"] * line["batch"] for by_size in runs.values() for s in by_size.values() for line in s.values()
    }
    assert len(tokens) == 1


def test_the_shipped_record_has_three_sizes_and_one_text() -> None:
    runs = read_runs()
    lines = [line for by_size in runs.values() for seeds in by_size.values() for line in seeds.values()]
    assert len({line["tokens"] for line in lines}) == 1
    assert set(runs) >= {"dense", "window", TYPED}
    assert min(map(len, runs.values())) >= 3

"""Timing whole training steps: every way at every length has a row, and what fails says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feasibility.language_model.measure import SAMPLE
from feasibility.lm import steps
from feasibility.lm.steps import SCHEMA, WAYS, Options, run

SMALL = {
    "data": SAMPLE, "tokens": 64, "dim": 16, "layers": 1, "heads": 2, "window": 4, "valence": 1, "steps": 3,
    "warmup": 1,
}  # fmt: skip


def test_every_way_at_every_length(tmp_path: Path) -> None:
    found = run(Options(tmp_path / "steps.json", lengths=(16, 32), **SMALL))  # type: ignore[arg-type]
    assert found["schema"] == SCHEMA
    assert [(row["way"], row["n"]) for row in found["rows"]] == [(way.name, n) for way in WAYS for n in (16, 32)]
    assert all(0 < row["p20"] <= row["ms"] <= row["p80"] for row in found["rows"])
    assert len({row["parameters"] for row in found["rows"]}) == 1
    assert json.loads((tmp_path / "steps.json").read_text()) == json.loads(json.dumps(found))


def test_one_failure_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = steps.measure

    def fails(options: Options, length: int, way: steps.Way, sdpa: str | None) -> dict[str, object]:
        if way.name == "dense":
            raise RuntimeError("out of memory")
        return measure(options, length, way, sdpa)

    monkeypatch.setattr(steps, "measure", fails)
    rows = run(Options(tmp_path / "steps.json", lengths=(16,), **SMALL))["rows"]  # type: ignore[arg-type]
    assert rows[0]["error"] == "RuntimeError: out of memory"
    assert all("ms" in row for row in rows[1:])


def test_the_time_is_kept(tmp_path: Path) -> None:
    assert run(Options(tmp_path / "steps.json", lengths=(16,), seconds=-1.0, **SMALL))["rows"] == []  # type: ignore[arg-type]

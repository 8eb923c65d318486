"""Timing whole training steps: every way at every length has a row, and what fails says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feasibility.language_model.measure import SAMPLE
from feasibility.lm import steps
from feasibility.lm.data import Corpus
from feasibility.lm.model import ModelConfig
from feasibility.lm.steps import BESIDES, SCHEMA, WAYS, Options, run

SMALL = {
    "data": SAMPLE, "tokens": 64, "shapes": ("1x16",), "head": 8, "window": 4, "valence": 1, "steps": 3, "warmup": 1,
}  # fmt: skip


def test_every_way_with_every_shape_at_every_length(tmp_path: Path) -> None:
    shapes = ("1x16", "2x8")
    found = run(Options(tmp_path / "steps.json", lengths=(16, 32), **SMALL | {"shapes": shapes}))  # type: ignore[arg-type]
    assert found["schema"] == SCHEMA
    assert [(row["shape"], row["way"], row["n"]) for row in found["rows"]] == [
        (shape, way.name, n) for ways in (WAYS, BESIDES) for shape in shapes for way in ways for n in (16, 32)
    ]
    assert all(0 < row["p20"] <= row["ms"] <= row["p80"] for row in found["rows"])
    assert len({(row["shape"], row["parameters"]) for row in found["rows"]}) == 2
    assert json.loads((tmp_path / "steps.json").read_text()) == json.loads(json.dumps(found))


def test_one_failure_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = steps.measure

    def fails(options: Options, corpus: Corpus, sizes: ModelConfig, way: steps.Way, sdpa: str | None) -> object:
        if way.name == "dense":
            raise RuntimeError("out of memory")
        return measure(options, corpus, sizes, way, sdpa)

    monkeypatch.setattr(steps, "measure", fails)
    rows = run(Options(tmp_path / "steps.json", lengths=(16,), **SMALL))["rows"]  # type: ignore[arg-type]
    assert rows[0]["error"] == "RuntimeError: out of memory"
    assert all("ms" in row for row in rows[1:])


def test_the_two_shapes_have_about_as_many_parameters() -> None:
    options = Options()
    blocks = [12 * sizes.layers * sizes.dim**2 for sizes in (options.sizes(shape, 9, 64) for shape in options.shapes)]
    assert blocks[1] / blocks[0] == pytest.approx(1.0, abs=0.05)
    assert options.sizes("12x768", 9, 64).heads == 12


@pytest.mark.parametrize("shape", ["12", "12x", "x768", "12x700", "ax64"])
def test_a_shape_that_cannot_be_is_named(shape: str) -> None:
    with pytest.raises(ValueError, match=rf"blocks x width, such as 12x768, in heads of 64; got '{shape}'"):
        Options().sizes(shape, 9, 64)


def test_the_time_is_kept(tmp_path: Path) -> None:
    assert run(Options(tmp_path / "steps.json", lengths=(16,), seconds=-1.0, **SMALL))["rows"] == []  # type: ignore[arg-type]

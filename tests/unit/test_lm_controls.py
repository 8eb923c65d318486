"""The controls on a tiny text: tuning, skipping, stopping in time, and the summary."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from lm_cases import tiny_corpus, write_lab

from feasibility.lm.controls import SCHEMA, Job, Options, run_controls, summarise, table
from feasibility.lm.patterns import Spec
from feasibility.lm.tags import save_tags

NAMES = ("dense", "window", "random/8.0")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    write_lab(tmp_path)
    return Options(
        tmp_path / "lm.npz", tmp_path / "patterns.json", tmp_path / "tags.npz", tmp_path / "runs",
        patterns=NAMES, seeds=(0, 1), steps=6, rates=(1e-3, 3e-2), tune_steps=4,
        minutes=2.0, length=32, batch=4, dim=16, layers=1, heads=2, held_out=400, compiled=False,
    )  # fmt: skip


def test_tune_train_skip_and_summarise(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    summary = run_controls(options)
    lines = [json.loads(line) for line in (options.out / "runs.jsonl").read_text().splitlines()]
    assert len(lines) == 3 * 2 + 3 * 2
    assert {line["schema"] for line in lines} == {SCHEMA}
    assert all("test" not in line for line in lines if line["is_tuning"])
    row = summary["test"]["random/8.0"]
    # In so few steps the large rate gets further.
    assert row["rate"] == 3e-2
    assert len(row["per_token"]) == 2
    low, high = row["against_window"]["ci95"]
    assert low <= row["against_window"]["value"] <= high
    assert row["against_window"]["value"] == pytest.approx(row["mean"] - summary["test"]["window"]["mean"], abs=1e-4)
    assert "against_dense" not in summary["test"]["dense"]
    assert json.loads((options.out / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert table(summary).count("\n") == 4
    capsys.readouterr()

    more = run_controls(dataclasses.replace(options, seeds=(0, 1, 2)))
    assert capsys.readouterr().err.count("seed=2") == 3
    assert more["test"]["dense"]["per_token"][:2] == summary["test"]["dense"]["per_token"]


def test_a_linear_memory_and_tags_of_the_text_are_trained_alike(options: Options) -> None:
    names = ("linear", "full-context:predetermined/17")
    options = dataclasses.replace(options, patterns=names, seeds=(0,), rates=(1e-2,))
    save_tags(options.tags, {part: (ids % 17).astype(np.uint8) for part, ids in tiny_corpus().ids.items()})
    summary = run_controls(options)
    assert summary["test"].keys() == set(names)
    assert all(3.0 < row["mean"] < 3.8 for row in summary["test"].values())
    lines = [json.loads(line) for line in (options.out / "runs.jsonl").read_text().splitlines()]
    assert [line["model"]["mixer"] for line in lines] == ["linear", "attention"]


def test_no_time_means_no_run(options: Options) -> None:
    assert run_controls(dataclasses.replace(options, minutes=0.0)) == {"dev": {}, "test": {}}
    assert not (options.out / "runs.jsonl").exists()


def test_a_pattern_without_numbers_is_named(options: Options) -> None:
    with pytest.raises(KeyError, match="random/64"):
        run_controls(dataclasses.replace(options, patterns=("random/64",)))


def test_a_folder_is_for_one_size(options: Options) -> None:
    options = dataclasses.replace(options, patterns=("dense",), seeds=(0,), rates=(1e-2,))
    run_controls(options)
    with pytest.raises(ValueError, match=r"runs holds runs of .*'max_length': 32.* not of .*'max_length': 16.*--out"):
        run_controls(dataclasses.replace(options, length=16))


def test_only_shared_seeds_are_compared() -> None:
    def line(name: str, seed: int, score: float) -> dict[str, object]:
        entry = {"per_token": score, "nats": [10 * score, 10 * score], "tokens": 10, "by_position": []}
        spec = dataclasses.asdict(Spec(name, keys=9.0))
        return {"spec": spec, "seed": seed, "rate": 1.0, "tokens_per_second": 1, "dev": entry, "test": entry}

    summary = summarise([line("dense", 0, 4.0), line("dense", 1, 9.0), line("x", 0, 3.5)])
    assert summary["test"]["x"]["against_dense"]["value"] == pytest.approx(-0.5)
    assert summary["test"]["x"]["against_dense"]["seeds"] == 1


def test_runs_are_named_by_what_decides_them() -> None:
    job = Job(Spec("window", 8), 2e-3, 1, 100, False)
    assert job.key == "run window lr=0.002 seed=1 steps=100"
    assert dataclasses.replace(job, is_tuning=True).key.startswith("tune ")


def test_long_tuning_runs_count_as_runs_of_the_first_seed(options: Options) -> None:
    run_controls(dataclasses.replace(options, tune_steps=options.steps))
    lines = [json.loads(line) for line in (options.out / "runs.jsonl").read_text().splitlines()]
    # Two rates at seed 0, and the better one at seed 1.
    assert len(lines) == 3 * 2 + 3
    assert all("test" in line and not line["is_tuning"] for line in lines)

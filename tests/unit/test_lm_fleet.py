"""Jobs on several devices: order, what breaks, what is there already, and time that runs out."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from feasibility.lm.fleet import Save, attempt, lines_of, read_lines, run_all


@dataclass(frozen=True)
class Say:
    """A job that says its name, or breaks."""

    key: str
    breaks: bool = False
    takes: float = 0.0

    def run(self, device: str, deadline: float, save: Save) -> None:
        time.sleep(self.takes)
        save({"key": f"{self.key} first"})
        if self.breaks:
            raise RuntimeError(f"{self.key} is broken")
        save({"key": self.key, "finished": True})


def test_each_job_leaves_its_lines_and_what_breaks_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_all([Say("a"), Say("b", breaks=True), Say("c")], tmp_path, 1.0)
    assert list(found) == ["a first", "a", "b first", "c first", "c"]
    assert found["a"]["device"] == "cpu"
    assert "RuntimeError: b is broken" in (tmp_path / "failures.txt").read_text()
    assert lines_of([tmp_path / "lines.jsonl"]) == found
    assert capsys.readouterr().err.count("\n") >= 5

    # Again: what is finished stays, what broke is tried once more, what is known from elsewhere is left.
    capsys.readouterr()
    again = run_all([Say("a"), Say("b"), Say("d")], tmp_path, 1.0, known={"d": {"finished": True}})
    assert set(again) - set(found) == {"b"}
    assert "  a\n" not in capsys.readouterr().err


def test_no_time_means_no_job(tmp_path: Path) -> None:
    assert run_all([Say("a")], tmp_path, 0.0) == {}
    found = run_all([Say("a", takes=0.2), Say("b")], tmp_path, 0.1 / 60)
    assert list(found) == ["a first", "a"]


@pytest.mark.timeout(120)
def test_devices_work_in_processes_of_their_own(tmp_path: Path) -> None:
    from feasibility.lm.patterns import Spec
    from feasibility.lm.recipe import Recipe
    from feasibility.scaling.jobs import ScalingJob

    # They cannot even begin: there is no text.
    jobs = [ScalingJob("x", Recipe(tmp_path / "none.npz", Spec("dense"), 16, 1, 2, 8, 1, 1, seed)) for seed in (0, 1)]
    assert run_all(jobs, tmp_path, 1.5, devices=["cpu:0", "cpu:1"]) == {}
    noted = (tmp_path / "failures.txt").read_text()
    assert noted.count("none.npz is not here") == 2


def test_a_part_that_breaks_does_not_take_the_others_with_it() -> None:
    lines: list[dict[str, object]] = []
    assert attempt(lines.append, "x", lambda: {"key": "x"})
    assert not attempt(lines.append, "y", lambda: {}["no"])
    assert lines[0] == {"key": "x"}
    assert "KeyError" in str(lines[1]["failed"])


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"key": "a", "n": 1}) + "\n" + '{"key": "b", "n"')
    (tmp_path / "b.jsonl").write_text(json.dumps({"key": "a", "n": 2}) + "\n")
    assert read_lines(tmp_path) == {"a": {"key": "a", "n": 2}}

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from feasibility.cli import guarded, main
from feasibility.harness import Experiment
from feasibility.store import BadResult


def run(experiment: Experiment, *words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(experiment, [str(word) for word in words])
    return int(caught.value.code or 0)


def test_a_run_writes_its_result_and_prints_the_verdict(toy, tmp_path, capsys) -> None:
    assert run(toy, "--out", tmp_path, "--json", tmp_path / "x.json", "--seed", 3) == 0
    printed = capsys.readouterr()
    assert "verdict: GO" in printed.out
    assert "measuring" in printed.err
    record = json.loads((tmp_path / "x.json").read_text())
    assert (record["seed"], record["smoke"], record["metrics"]["uas"]["value"]) == (3, False, 95.0)


def test_smoke_changes_the_defaults_and_explicit_flags_win(toy, tmp_path) -> None:
    run(toy, "--smoke", "--out", tmp_path, "--half-width", 2)
    record = json.loads((tmp_path / "md_parser.json").read_text())
    assert record["smoke"] is True
    assert record["config"] == {"value": 85.0, "half_width": 2.0, "seed": 0}


def test_a_no_go_is_data_and_fails_only_under_strict(toy, tmp_path) -> None:
    assert run(toy, "--value", 50, "--out", tmp_path) == 0
    assert json.loads((tmp_path / "md_parser.json").read_text())["verdict"] == "NO-GO"
    assert run(toy, "--value", 50, "--out", tmp_path, "--strict") == 1
    assert run(toy, "--value", 80.5, "--out", tmp_path, "--strict") == 0, "inconclusive is no NO-GO"


@pytest.mark.parametrize("words", [["--nonsense"], ["--value", "high"]])
def test_misuse_exits_with_2(toy, tmp_path, capsys, words) -> None:
    assert run(toy, *words) == 2
    assert words[0] in capsys.readouterr().err


def test_help_comes_from_the_field_docs(toy, capsys) -> None:
    assert run(toy, "--help") == 0
    printed = capsys.readouterr().out
    assert "The accuracy that it reports." in printed
    for flag in ("--seed", "--smoke", "--json", "--out", "--strict"):
        assert flag in printed


@dataclass(frozen=True)
class _Raises:
    error: BaseException

    def __call__(self, config, track):
        raise self.error


def test_errors_a_user_can_mend_are_one_line(toy, tmp_path, capsys) -> None:
    broken = replace(toy, run=_Raises(BadResult("the file is half; delete it")))
    assert run(broken, "--out", tmp_path) == 2
    assert capsys.readouterr().err == "error: BadResult: the file is half; delete it\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_exits_with_130_and_leaves_nothing(toy, tmp_path) -> None:
    assert run(replace(toy, run=_Raises(KeyboardInterrupt())), "--out", tmp_path) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)

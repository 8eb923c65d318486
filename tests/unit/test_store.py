from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from feasibility import store
from feasibility.cli import perform
from feasibility.harness import Artifact, silent


@pytest.fixture
def saved(toy, tmp_path) -> Path:
    record, artifacts = perform(toy, toy.config(), silent, smoke=False)
    return store.save(record, artifacts, tmp_path, tmp_path / "copy" / "mine.json")


def test_save_and_load_round_trip(saved, tmp_path) -> None:
    record = store.load(saved)
    assert record["artifacts"][0]["path"] == "md_parser/box.svg"
    assert (tmp_path / "md_parser" / "box.svg").is_file()
    assert (tmp_path / "copy" / "mine.json").read_text() == saved.read_text()
    assert store.load_all(tmp_path) == {"md_parser": record}


def test_an_artifact_goes_where_the_user_asked(toy, tmp_path) -> None:
    record, _ = perform(toy, toy.config(), silent, smoke=False)
    wanted = tmp_path / "elsewhere" / "a.gif"
    store.save(record, [Artifact("a.gif", b"GIF89a", "An animation.", destination=wanted)], tmp_path / "results")
    assert wanted.read_bytes() == b"GIF89a"
    assert not (tmp_path / "results" / "md_parser").exists()


def test_a_full_disk_leaves_the_older_file_and_no_scratch(saved, tmp_path, monkeypatch) -> None:
    before = saved.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left for 5 bytes; free some or choose another --out"):
        store.write_atomic(saved, "12345")
    assert saved.read_bytes() == before
    assert not list(tmp_path.rglob("*.tmp"))


def test_ctrl_c_while_writing_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write_atomic(tmp_path / "a.json", "12345")
    assert list(tmp_path.iterdir()) == []


def test_sweep_takes_the_scratch_of_the_dead_and_spares_the_living(tmp_path) -> None:
    dead, living = tmp_path / ".a.json.999999999.tmp", tmp_path / f".b.json.{os.getpid()}.tmp"
    for path in (dead, living):
        path.touch()
    store.sweep(tmp_path)
    assert not dead.exists()
    assert living.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{half", "is not a JSON file"),
        ("[]", "has schema 'list'"),
        ('{"schema": "asa.result.v0"}', "has schema 'asa.result.v0', expected 'asa.result.v1'"),
        ('{"schema": "asa.result.v1"}', "lacks experiment, config"),
    ],
)
def test_bad_result_files_are_named_with_the_remedy(tmp_path, text, message) -> None:
    path = tmp_path / "md_parser.json"
    path.write_text(text)
    with pytest.raises(store.BadResult, match=message) as caught:
        store.load_all(tmp_path)
    assert "run `python -m feasibility.md_parser` again" in str(caught.value)


def test_nan_never_reaches_a_file(toy, tmp_path) -> None:
    record, _ = perform(toy, toy.config(), silent, smoke=False)
    record["baselines"]["greedy"]["uas"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.save(record, [], tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_folder_that_does_not_exist_has_no_results(tmp_path) -> None:
    assert store.load_all(tmp_path / "nowhere") == {}


def test_results_are_readable_json(saved) -> None:
    assert json.loads(saved.read_text())["experiment"] == "md_parser"

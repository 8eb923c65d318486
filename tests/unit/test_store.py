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
    path = store.save(record, [Artifact("a.gif", b"GIF89a", "An animation.", destination=wanted)], tmp_path / "results")
    assert wanted.read_bytes() == b"GIF89a"
    assert store.load(path)["artifacts"] == [], "a file of the user's may move away"
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


def test_other_files_in_the_folder_are_not_results(saved, tmp_path) -> None:
    (tmp_path / "scorecard.json").write_text('{"schema": "asa.scorecard.v1"}')
    (tmp_path / "backup.json").write_text(saved.read_text())
    assert set(store.load_all(tmp_path)) == {"md_parser"}


def test_a_result_under_another_experiments_name_is_refused(saved, tmp_path) -> None:
    saved.rename(tmp_path / "hyperbolic_embeddings.json")
    with pytest.raises(store.BadResult, match="is a result of 'md_parser'"):
        store.load_all(tmp_path)


def test_what_cannot_be_written_is_found_beforehand(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(store.NotWritable, match=r"--out: cannot write .*; name a place that can be written"):
        store.check_writable(tmp_path / "file" / "below.json", "--out")
    with pytest.raises(store.NotWritable, match=r"--json: .*is a folder, expected a file"):
        store.check_writable(tmp_path, "--json")
    store.check_writable(tmp_path / "new" / "a.json", "--out")
    assert list((tmp_path / "new").iterdir()) == []


def test_sweep_takes_the_scratch_of_the_dead_and_spares_the_living(tmp_path) -> None:
    dead, living = tmp_path / ".a.json.999999999.tmp", tmp_path / f".b.json.{os.getpid()}.tmp"
    for path in (dead, living):
        path.touch()
    below = tmp_path / "below" / ".c.json.999999999.tmp"
    below.parent.mkdir()
    below.touch()
    store.sweep(tmp_path, ".b.json")
    assert dead.exists(), "only scratch of the named file"
    store.sweep(tmp_path)
    assert not dead.exists()
    assert below.exists(), "folders below may be somebody else's"
    assert living.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{half", "is not a JSON file"),
        ("[]", "has schema 'list'"),
        ('{"schema": "asa.result.v0"}', "has schema 'asa.result.v0', expected 'asa.result.v1'"),
        ('{"schema": "asa.result.v1"}', "lacks experiment, title"),
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

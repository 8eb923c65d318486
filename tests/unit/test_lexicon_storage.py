from __future__ import annotations

import errno
import os
import shutil
import time
import zipfile

import numpy as np
import pytest

from periodic_table import LexiconCorrupt, LexiconMissing
from periodic_table.lexicon.snapshot import read_snapshot
from periodic_table.lexicon.storage import SHIPPED, pack_arrays, read_arrays, read_manifest, write_snapshot

ARRAYS = {"a": np.arange(5, dtype="<i4"), "b": np.frombuffer(b"dog\ncat", dtype=np.uint8)}
ABOUT = {
    "version": "3.0",
    "licence": "WordNet 3.0 licence",
    "licence_text": "WordNet Release 3.0 ...",
    "source": "a test",
}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "small.npz"
    write_snapshot(path, pack_arrays(ARRAYS), **ABOUT)
    return path


@pytest.fixture
def copy(tmp_path):
    for file in (SHIPPED, SHIPPED.with_suffix(".toml")):
        shutil.copy(file, tmp_path)
    return tmp_path / SHIPPED.name


def test_what_was_written_is_read_back(written) -> None:
    manifest, arrays = read_arrays(written)
    assert manifest.name == "small"
    assert {name: array.tobytes() for name, array in arrays.items()} == {n: a.tobytes() for n, a in ARRAYS.items()}
    assert not any(array.flags.writeable for array in arrays.values())
    assert (written.parent / "WORDNET_LICENSE").read_text() == ABOUT["licence_text"]
    assert sorted(file.name for file in written.parent.iterdir()) == ["WORDNET_LICENSE", "small.npz", "small.toml"]


def test_the_same_arrays_give_the_same_bytes_at_any_time(monkeypatch) -> None:
    first = pack_arrays(ARRAYS)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    assert pack_arrays(ARRAYS) == first


@pytest.mark.parametrize("place", [0, 1_000_000, -1])
def test_a_flipped_byte_is_found(copy, place) -> None:
    content = bytearray(copy.read_bytes())
    content[place] ^= 1
    copy.write_bytes(content)
    expected = read_manifest().sha256
    with pytest.raises(
        LexiconCorrupt, match=rf"has sha256 [0-9a-f]{{64}}, expected {expected}; build it anew: python -m"
    ):
        read_snapshot(copy)


@pytest.mark.parametrize("length", [0, 1, 2_000_000])
def test_a_truncated_file_is_found(copy, length) -> None:
    with copy.open("rb+") as file:
        file.truncate(length)
    with pytest.raises(LexiconCorrupt, match=f"{length:,} bytes"):
        read_snapshot(copy)


def test_a_new_file_beside_an_old_manifest_is_found(written) -> None:
    written.write_bytes(pack_arrays({**ARRAYS, "a": np.arange(6, dtype="<i4")}))
    with pytest.raises(LexiconCorrupt):
        read_arrays(written)


@pytest.mark.parametrize("missing", [".npz", ".toml"])
def test_a_missing_file_is_named_with_the_command(copy, missing) -> None:
    copy.with_suffix(missing).unlink()
    with pytest.raises(
        LexiconMissing, match=r"is not there; build it anew: python -m periodic_table.lexicon.build --out"
    ):
        read_snapshot(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = ", "is not a TOML file"),
        ('schema = "lexicon.v0"\n', "is not a manifest of schema 'lexicon.v1'"),
        ('schema = "lexicon.v1"\nname = "x"\n', "is not a manifest of schema 'lexicon.v1'"),
    ],
)
def test_a_manifest_that_is_none_is_refused(copy, text, message) -> None:
    copy.with_suffix(".toml").write_text(text)
    with pytest.raises(LexiconCorrupt, match=message):
        read_snapshot(copy)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_older_snapshot(written, monkeypatch, failure) -> None:
    def fail(descriptor: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(failure)):
        write_snapshot(written, b"half", **ABOUT)
    assert read_arrays(written)[0].name == "small"
    assert not list(written.parent.glob("*.tmp"))


def test_a_full_disk_says_what_where_and_how_much(written, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device \(\d+ bytes to write\).*WORDNET_LICENSE"):
        write_snapshot(written, b"half", **ABOUT)


def test_the_shipped_file_holds_plain_arrays_and_its_licence_lies_beside_it() -> None:
    with zipfile.ZipFile(SHIPPED) as archive:
        assert all(entry.filename.endswith(".npy") for entry in archive.infolist())
    licence = (SHIPPED.parent / "WORDNET_LICENSE").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in licence
    assert "Permission to use, copy, modify and distribute" in licence
    assert SHIPPED.stat().st_size < 6_000_000

from __future__ import annotations

import errno
import hashlib
import lzma
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from feasibility import datasets
from feasibility.datasets import DATASETS, Dataset, DatasetCorrupt, DatasetMissing, locate, record
from feasibility.harness import DataRecord

CONTENT = b"1\tDogs\tdog\tNOUN\n" * 1000
OTHER = CONTENT.replace(b"dog", b"cat")


def probe(**origins: str) -> Dataset:
    return Dataset("probe", "1", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "CC0", "a test", **origins)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch) -> Path:
    """An empty local folder and an empty cache; one dataset that may lie in either."""
    (tmp_path / "data" / "ud").mkdir(parents=True)
    monkeypatch.setenv("ASA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ASA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "_CHECKED", set())
    monkeypatch.setitem(DATASETS, "probe", probe(local="ud/probe.conllu", url="https://example.org/probe.conllu"))
    return tmp_path


@pytest.fixture
def plain(folders) -> Path:
    path = folders / "data" / "ud" / "probe.conllu"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def packed(folders) -> Path:
    path = folders / "data" / "ud" / "probe.conllu.xz"
    path.write_bytes(lzma.compress(CONTENT))
    return path


@pytest.fixture
def cached(folders) -> Path:
    path = folders / "cache" / f"probe-{hashlib.sha256(CONTENT).hexdigest()[:12]}" / "probe.conllu"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


def test_a_plain_local_file_is_used_where_it_lies(plain, cached) -> None:
    assert locate("probe") == plain
    assert record("probe") == DataRecord("probe", "1", hashlib.sha256(CONTENT).hexdigest(), "CC0", "local")


def test_a_packed_local_file_is_unpacked_into_the_cache(packed, folders) -> None:
    path = locate("probe")
    assert path.is_relative_to(folders / "cache")
    assert path.read_bytes() == CONTENT
    assert record("probe").origin == "local"
    assert [file.name for file in (folders / "cache").rglob("*") if file.is_file()] == ["probe.conllu"]


def test_the_plain_form_is_preferred_to_the_packed(plain, packed) -> None:
    assert locate("probe") == plain


def test_the_cache_comes_last(cached, monkeypatch) -> None:
    assert (locate("probe"), record("probe").origin) == (cached, "cache")
    monkeypatch.delenv("ASA_DATA")
    assert (locate("probe"), record("probe").origin) == (cached, "cache")


def test_shipped_comes_first(plain, monkeypatch, folders) -> None:
    monkeypatch.setattr(datasets, "ROOT", folders)
    (folders / "own.txt").write_bytes(CONTENT)
    monkeypatch.setitem(DATASETS, "probe", probe(shipped="own.txt", local="ud/probe.conllu"))
    assert DATASETS["probe"].ships
    assert (locate("probe"), record("probe").origin) == (folders / "own.txt", "shipped")


def test_missing_data_name_the_command_and_the_folder() -> None:
    with pytest.raises(DatasetMissing) as caught:
        locate("probe")
    assert str(caught.value) == (
        "probe is not here; get it with: python -m feasibility.datasets get probe (16,000 bytes, CC0), "
        "or set ASA_DATA to a folder that has ud/probe.conllu or ud/probe.conllu.xz"
    )
    assert isinstance(caught.value, LookupError)


def test_what_cannot_be_downloaded_does_not_name_the_command(monkeypatch) -> None:
    monkeypatch.setitem(DATASETS, "probe", probe(local="ud/probe.conllu"))
    for ask in (locate, datasets.fetch):
        with pytest.raises(
            DatasetMissing, match=r"^probe is not here; set ASA_DATA to a folder that has ud/probe.conllu"
        ):
            ask("probe")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        DatasetMissing, match=r"no dataset 'ewt'; there are: wordnet-3.0-extract, toy-grammar, ud-english"
    ):
        record("ewt")


def test_a_folder_that_is_not_there_is_an_error_even_where_the_cache_has_it(cached, monkeypatch, folders) -> None:
    monkeypatch.setenv("ASA_DATA", str(folders / "typo"))
    for ask in (locate, record, datasets.fetch):
        with pytest.raises(
            DatasetMissing, match=r"ASA_DATA is '.*typo', which is not a folder; correct it or unset it"
        ):
            ask("probe")


@pytest.mark.parametrize("content", [OTHER, CONTENT[:-1], b""])
def test_a_damaged_local_file_is_an_error_even_where_the_cache_has_it(plain, cached, content) -> None:
    plain.write_bytes(content)
    actual, expected = (hashlib.sha256(data).hexdigest() for data in (content, CONTENT))
    with pytest.raises(DatasetCorrupt, match=f"sha256 {actual}, expected {expected}; put the right file there"):
        locate("probe")


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30], lambda data: lzma.compress(OTHER)])
def test_a_damaged_packed_file_is_an_error_even_where_the_cache_has_it(packed, cached, damage) -> None:
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(DatasetCorrupt, match=r"probe.conllu.xz is not .*; put the right file there"):
        locate("probe")
    assert cached.read_bytes() == CONTENT


def test_a_damaged_cache_says_how_to_replace_it(cached) -> None:
    cached.write_bytes(OTHER)
    with pytest.raises(DatasetCorrupt, match=r"replace it: python -m feasibility.datasets get probe"):
        locate("probe")


def test_a_damaged_unpacked_file_is_unpacked_anew(packed, cached) -> None:
    cached.write_bytes(OTHER)
    assert locate("probe") == cached
    assert cached.read_bytes() == CONTENT


def test_a_damaged_shipped_file_asks_for_a_new_install(monkeypatch, folders) -> None:
    monkeypatch.setattr(datasets, "ROOT", folders)
    (folders / "own.txt").write_bytes(OTHER)
    monkeypatch.setitem(DATASETS, "probe", probe(shipped="own.txt"))
    with pytest.raises(DatasetCorrupt, match="reinstall atomic-semantic-attention"):
        locate("probe")


def test_content_is_read_once_in_a_process_and_again_when_it_changed(plain, monkeypatch) -> None:
    reads = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: reads.append(1) or digest(*a))
    for _ in range(3):
        locate("probe")
    assert len(reads) == 1
    plain.write_bytes(OTHER)
    os.utime(plain, ns=(1, 1))
    with pytest.raises(DatasetCorrupt):
        locate("probe")


def test_an_unpacked_file_that_was_deleted_comes_back(packed) -> None:
    locate("probe").unlink()
    assert locate("probe").read_bytes() == CONTENT


def test_threads_that_unpack_at_once_get_the_same_file(packed) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: locate("probe"), range(16)))
    assert len(paths) == 1
    assert paths.pop().read_bytes() == CONTENT


def test_ctrl_c_while_unpacking_leaves_nothing(packed, folders, monkeypatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            locate("probe")
    assert not [file for file in (folders / "cache").rglob("*") if file.is_file()]
    assert locate("probe").read_bytes() == CONTENT


def test_a_full_disk_says_what_where_and_how_much(packed, folders, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"no space left for probe \(16,000 bytes\).*set ASA_CACHE elsewhere") as caught:
        locate("probe")
    assert caught.value.errno == errno.ENOSPC
    assert str(folders / "cache") in str(caught.value)


def test_a_cache_that_cannot_be_written_says_so(packed, folders, monkeypatch) -> None:
    (folders / "file").touch()
    monkeypatch.setenv("ASA_CACHE", str(folders / "file"))
    with pytest.raises(OSError, match=r"cannot write probe \(.*\); set ASA_CACHE to a folder that can be written"):
        locate("probe")

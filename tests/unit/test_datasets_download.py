"""Downloads from a server on this machine: whole, broken off, altered, refused, interrupted, killed."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from feasibility import datasets
from feasibility.datasets import (
    DATASETS,
    Dataset,
    DatasetCorrupt,
    DatasetMissing,
    DownloadFailed,
    fetch,
    locate,
    record,
)

ROOT = Path(__file__).resolve().parents[2]
CONTENT = b"The dog sees a child.\n" * 20_000


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every path, as the path tells it, and counts the requests."""

    requests = 0
    may_end = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path == "/refused":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/broken":
            self.wfile.write(CONTENT[:1000])
        elif self.path == "/altered":
            self.wfile.write(CONTENT.replace(b"dog", b"cat"))
        elif self.path == "/stalled":
            self.wfile.write(CONTENT[: len(CONTENT) // 2])
            self.wfile.flush()
            self.server.may_end.wait(30)
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.may_end = threading.Event()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.may_end.set()
        running.shutdown()
        thread.join(10)


@pytest.fixture
def offer(server, tmp_path, monkeypatch):
    """Register a dataset "probe" at a path of the server; the cache is empty and there is no local folder."""
    monkeypatch.setenv("ASA_CACHE", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ASA_DATA", raising=False)
    monkeypatch.setattr(datasets, "_CHECKED", set())

    def register(path: str) -> Dataset:
        url = f"http://127.0.0.1:{server.server_port}/{path}"
        dataset = Dataset(
            "probe", "1", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "CC0", "a test", local="p.txt", url=url
        )
        monkeypatch.setitem(DATASETS, "probe", dataset)
        return dataset

    return register


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_is_checked_kept_and_not_repeated(offer, server, tmp_path, capsys) -> None:
    offer("good")
    with pytest.raises(DatasetMissing):
        locate("probe")
    assert server.requests == 0
    first = fetch("probe")
    assert first.read_bytes() == CONTENT
    assert files(tmp_path) == [first]
    assert fetch("probe") == locate("probe") == first
    assert server.requests == 1
    assert record("probe").origin == "cache"
    assert "probe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (
            "broken",
            DownloadFailed,
            r"/broken could not be read \(.*\); try again later, or put the file into your ASA_DATA",
        ),
        ("refused", DownloadFailed, r"/refused could not be read \(404"),
        ("altered", DatasetCorrupt, r"/altered gave has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}, and was not kept"),
    ],
)
def test_what_is_not_whole_and_right_is_not_kept(offer, tmp_path, path, error, message) -> None:
    offer(path)
    with pytest.raises(error, match=message) as caught:
        fetch("probe")
    assert files(tmp_path) == []
    if error is DatasetCorrupt:
        assert hashlib.sha256(CONTENT.replace(b"dog", b"cat")).hexdigest() in str(caught.value)
    with pytest.raises(DatasetMissing):
        locate("probe")
    offer("good")
    assert fetch("probe").read_bytes() == CONTENT


def test_no_answer_is_an_error_that_says_so(offer, tmp_path, server) -> None:
    dataset = offer("good")
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadFailed, match=f"probe: {dataset.url} could not be read"):
        fetch("probe")
    assert files(tmp_path) == []


def test_get_replaces_a_damaged_file_of_the_cache(offer) -> None:
    offer("good")
    path = fetch("probe")
    path.write_bytes(b"half")
    with pytest.raises(DatasetCorrupt):
        locate("probe")
    assert fetch("probe").read_bytes() == CONTENT


def test_nothing_is_downloaded_where_the_local_folder_has_it(offer, server, tmp_path, monkeypatch) -> None:
    offer("good")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "p.txt").write_bytes(CONTENT)
    monkeypatch.setenv("ASA_DATA", str(folder))
    assert fetch("probe") == folder / "p.txt"
    assert server.requests == 0


class Stops:
    """An answer that gives one part of the content and then fails on this side."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def __enter__(self) -> Stops:
        return self

    def __exit__(self, *args: object) -> None:
        """Nothing to close."""

    def raise_for_status(self) -> None:
        """All is well so far."""

    def iter_content(self, chunk_size: int) -> Iterator[bytes]:
        yield CONTENT[:chunk_size]
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (KeyboardInterrupt("Ctrl-C"), "Ctrl-C"),
        (OSError(errno.ENOSPC, "No space left on device"), r"no space left for probe \(440,000 bytes\)"),
    ],
)
def test_a_download_that_stops_half_way_leaves_nothing(offer, tmp_path, monkeypatch, failure, message) -> None:
    offer("good")
    with monkeypatch.context() as patch:
        patch.setattr(requests, "get", lambda *args, **kwargs: Stops(failure))
        with pytest.raises(type(failure), match=message):
            fetch("probe")
    assert files(tmp_path) == []
    assert fetch("probe").read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_says_so(offer, tmp_path, monkeypatch) -> None:
    offer("good")
    (tmp_path / "file").touch()
    monkeypatch.setenv("ASA_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot write probe \(.*\); set ASA_CACHE to a folder that can be written"):
        fetch("probe")


def test_a_cache_without_permission_is_said_once(offer, monkeypatch) -> None:
    offer("good")

    def refuse(path: str, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    # Where pooch makes its folder; permissions do not stop a superuser.
    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(PermissionError) as caught:
        fetch("probe")
    assert str(caught.value).startswith(
        "[Errno 13] cannot write probe (Permission denied); set ASA_CACHE to a folder that can be written: "
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_download_leaves_nothing_that_is_ever_used(offer, server, tmp_path) -> None:
    dataset = offer("stalled")
    code = f"from feasibility.datasets import *; DATASETS['probe'] = {dataset!r}; fetch('probe')"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in files(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait(10)
    server.may_end.set()
    left = files(tmp_path)
    assert left
    assert all(file.read_bytes() != CONTENT for file in left)
    with pytest.raises(DatasetMissing):
        locate("probe")
    offer("good")
    assert fetch("probe").read_bytes() == CONTENT
    assert fetch("probe") not in left

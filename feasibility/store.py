"""Results on disk: `<out>/<experiment>.json` and its artifacts in `<out>/<experiment>/`.

Everything is written to a temporary file beside its destination and then renamed; the JSON comes last, so a result
file that exists is complete and its artifacts are there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feasibility import EXPERIMENTS
from feasibility.harness import SCHEMA, Artifact

RESULT_SCHEMA = Path(__file__).with_name("result.v1.schema.json")


class BadResult(ValueError):
    """A result file that cannot be used: not JSON, another schema, or a field missing."""


class NotWritable(OSError):
    """A folder or file that a flag names and that cannot be written."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: temporary file in the same folder, fsync, rename.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind and an older file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, f"no space left for {len(data):,} bytes; free some or choose another --out", str(path)
            ) from error
        raise
    finally:
        # Also on Ctrl-C: a half-written scratch file never survives this process.
        scratch.unlink(missing_ok=True)


def check_writable(path: Path, flag: str) -> None:
    """Find out before a long run whether its results can be written.

    Args:
        path: a file that is to be written.
        flag: of the command line that named it.

    Raises:
        NotWritable: says which flag, which path, and why.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder, expected a file")
        write_atomic(path.with_name(f"{path.name}.probe"), "")
        path.with_name(f"{path.name}.probe").unlink()
    except OSError as error:
        raise NotWritable(
            f"{flag}: cannot write {path} ({error.strerror}); name a place that can be written"
        ) from error


def sweep(folder: Path, stem: str = ".*") -> None:
    """Remove scratch files that killed processes left in a folder; those of living processes stay.

    Args:
        folder: of ours; folders below it are not looked into.
        stem: only scratch of files of this name; all by default.
    """
    for scratch in folder.glob(f".{stem.lstrip('.')}.*.tmp"):
        owner = scratch.name.split(".")[-2]
        if owner.isdecimal() and not _alive(int(owner)):
            scratch.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if os.name == "nt":
        # There a signal 0 is Ctrl-C; better to leave a file than to interrupt a process.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def save(record: dict[str, Any], artifacts: Iterable[Artifact], out: Path, json_path: Path | None = None) -> Path:
    """Write a result with its artifacts and return the path of the JSON.

    Args:
        record: an `asa.result.v1` record; its `artifacts` list is filled here.
        artifacts: written to `<out>/<experiment>/<name>`, or to their own destination.
        out: results folder.
        json_path: a second copy of the JSON for the user (`--json`).
    """
    written = []
    for artifact in artifacts:
        path = artifact.destination or out / record["experiment"] / artifact.name
        write_atomic(path, artifact.content)
        if artifact.destination is not None:
            continue
        data = artifact.content.encode() if isinstance(artifact.content, str) else artifact.content
        written.append(
            {
                "path": path.relative_to(out).as_posix(),
                "kind": path.suffix.lstrip("."),
                "caption": artifact.caption,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    text = json.dumps({**record, "artifacts": written}, indent=1, allow_nan=False) + "\n"
    path = out / f"{record['experiment']}.json"
    write_atomic(path, text)
    if json_path is not None:
        write_atomic(json_path, text)
    return path


def load(path: Path) -> dict[str, Any]:
    """Read and check one result file.

    Raises:
        BadResult: it is not JSON, has another schema, or lacks a field; the message names the file and the remedy.
    """
    remedy = f"delete it and run `python -m feasibility.{path.stem}` again"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadResult(f"{path} is not a JSON file ({error}); {remedy}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise BadResult(f"{path} has schema {found!r}, expected {SCHEMA!r}; {remedy}")
    missing = [name for name in json.loads(RESULT_SCHEMA.read_text(encoding="utf-8"))["required"] if name not in record]
    if missing:
        raise BadResult(f"{path} lacks {', '.join(missing)}; {remedy}")
    if record["experiment"] != path.stem:
        raise BadResult(f"{path} is a result of {record['experiment']!r}; give it its own name, or {remedy}")
    return record


def load_all(folder: Path) -> dict[str, dict[str, Any]]:
    """The results of a folder by experiment name; files that are not named after an experiment are not read.

    Raises:
        BadResult: see `load`.
    """
    paths = {name: folder / f"{name}.json" for name in EXPERIMENTS}
    return {name: load(path) for name, path in paths.items() if path.is_file()}

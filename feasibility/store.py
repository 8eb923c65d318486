"""Results on disk: `<out>/<experiment>.json` and its artifacts in `<out>/<experiment>/`.

Everything is written to a temporary file beside its destination and then renamed; the JSON comes last, so a result
file that exists is complete and its artifacts are there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feasibility.harness import SCHEMA, Artifact

REQUIRED = ("schema", "experiment", "config", "seed", "metrics", "baselines", "criteria", "verdict", "environment")


class BadResult(ValueError):
    """A result file that cannot be used: not JSON, another schema, or a field missing."""


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


def sweep(folder: Path) -> None:
    """Remove scratch files that killed processes left in a results folder; those of living processes stay."""
    for scratch in folder.rglob(".*.tmp"):
        owner = scratch.name.split(".")[-2]
        if owner.isdecimal() and not _alive(int(owner)):
            scratch.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
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
        data = artifact.content.encode() if isinstance(artifact.content, str) else artifact.content
        written.append(
            {
                "path": str(path if artifact.destination else path.relative_to(out)),
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
    missing = [name for name in REQUIRED if name not in record]
    if missing:
        raise BadResult(f"{path} lacks {', '.join(missing)}; {remedy}")
    return record


def load_all(folder: Path) -> dict[str, dict[str, Any]]:
    """All results of a folder, by experiment name. A folder that does not exist has none.

    Raises:
        BadResult: see `load`.
    """
    records = {}
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.glob("*.json")):
            record = load(path)
            records[str(record["experiment"])] = record
    return records

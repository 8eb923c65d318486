"""Arrays with a description in one .npz file: written whole or not at all, read without unpickling anything."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_META = "description"


class BadFile(ValueError):
    """A file that is not what it should be: not .npz, another kind, a version from the future, or damaged."""


def write_npz(path: str | Path, arrays: Mapping[str, Array], description: Mapping[str, Any]) -> None:
    """Write arrays and a JSON description: to a temporary file beside `path`, which is then renamed.

    Raises:
        OSError: the folder cannot be written; an older file of that name stays as it was.
    """
    path = Path(path)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = np.frombuffer(json.dumps(description, ensure_ascii=False, allow_nan=False).encode(), dtype=np.uint8)
    try:
        with scratch.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_META: text}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read_npz(path: str | Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what `write_npz` wrote.

    Args:
        path: of the file.
        kind: the "kind" that its description must have, such as "hyperbolic.embedding.v1".

    Raises:
        BadFile: see there; the message names the file.
        FileNotFoundError: there is none.
    """
    try:
        # Opened here: numpy does not close a file that it cannot read.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        description = json.loads(arrays.pop(_META).tobytes().decode())
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, AttributeError, TypeError) as error:
        raise BadFile(f"{path} is no file of this package ({error}); expected one of kind {kind!r}") from error
    if not isinstance(description, dict) or description.get("kind") != kind:
        came = description.get("kind") if isinstance(description, dict) else type(description).__name__
        raise BadFile(f"{path} is of kind {came!r}, expected {kind!r}; it was written by another function or version")
    return arrays, description

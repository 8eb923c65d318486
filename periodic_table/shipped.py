"""Shipped files of numbers: plain arrays in an .npz, and beside it a manifest with its checksum and its licence."""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
from pathlib import Path

import numpy as np

from periodic_table.lexicon.storage import Arrays, pack_arrays
from periodic_table.storage import write_atomic

DATA = Path(__file__).parent / "data"


class ModelMissing(LookupError):
    """A shipped file that is not there."""


class ModelCorrupt(ValueError):
    """A shipped file whose content is not what its manifest says."""


def read_model(name: str, schema: str, rebuild: str, folder: Path = DATA) -> Arrays:
    """The arrays of a shipped file, after every byte of it was checked.

    Args:
        name: of the file, without ".npz".
        schema: that it must have, such as "tags.v1".
        rebuild: the command that makes it, for the error messages.
        folder: where it lies.

    Raises:
        ModelMissing: the file or its manifest is not there.
        ModelCorrupt: its bytes differ from its checksum, or it is of another schema.
    """
    path, manifest = folder / f"{name}.npz", folder / f"{name}.toml"
    try:
        content, table = path.read_bytes(), tomllib.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissing(f"{error.filename} is not there; build it with: {rebuild}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{manifest} is not a TOML file ({error}); build it anew with: {rebuild}") from error
    if table.get("schema") != schema:
        raise ModelCorrupt(f"{manifest} has schema {table.get('schema')!r}, expected {schema!r}; run: {rebuild}")
    found = hashlib.sha256(content).hexdigest()
    if found != table.get("sha256"):
        raise ModelCorrupt(f"{path} has sha256 {found}, expected {table.get('sha256')}; build it anew with: {rebuild}")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def read_lines(path: Path, rebuild: str) -> list[str]:
    """The lines of a shipped text file, comments left out.

    Raises:
        ModelMissing: it is not there.
        ModelCorrupt: it is not UTF-8, or its last line has no end: it was cut.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelMissing(f"{path} is not there; build it with: {rebuild}") from error
    except UnicodeDecodeError as error:
        raise ModelCorrupt(f"{path} is not UTF-8 ({error}); build it anew with: {rebuild}") from error
    if not text.endswith("\n"):
        raise ModelCorrupt(f"{path} ends in the middle of a line: it was cut; build it anew with: {rebuild}")
    return [line for line in text.splitlines() if not line.startswith("#")]


def write_model(name: str, arrays: Arrays, schema: str, source: str, licence: str, folder: Path = DATA) -> Path:
    """Write arrays and their manifest, each whole or not at all; equal arrays give equal bytes.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    content = pack_arrays(arrays)
    rows = {"schema": schema, "source": source, "licence": licence, "sha256": hashlib.sha256(content).hexdigest()}
    # A JSON string is a TOML basic string too; the standard library writes no TOML.
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in rows.items())
    path = folder / f"{name}.npz"
    write_atomic(path, content)
    write_atomic(path.with_suffix(".toml"), text.encode())
    return path

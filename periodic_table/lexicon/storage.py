"""The snapshot as files: plain arrays in one .npz, and beside it a manifest that states its checksum.

The .npz is stored, not compressed: the same bytes on every machine whatever its zlib, and nothing to unpack at load.
Wheels and git compress it anyway.
"""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.protocol import LexiconCorrupt, LexiconMissing
from periodic_table.storage import write_atomic

SCHEMA = "lexicon.v1"
SHIPPED = Path(__file__).parent / "data" / "wordnet-3.0-extract.npz"
REBUILD = "python -m periodic_table.lexicon.build"

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Manifest:
    """What a snapshot file claims to be.

    Args:
        name: of the lexicon, "wordnet-3.0-extract".
        version: of its content, "3.0".
        sha256: of the .npz file, lower-case hexadecimal.
        licence: one line; the full text lies beside the file.
        source: what it was built from.
    """

    name: str
    version: str
    sha256: str
    licence: str
    source: str


def read_manifest(path: Path = SHIPPED) -> Manifest:
    """Read the manifest of a snapshot (the .toml of the same name).

    Raises:
        LexiconMissing: there is none.
        LexiconCorrupt: it is not such a manifest, or of another schema.
    """
    manifest = path.with_suffix(".toml")
    try:
        table = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LexiconMissing(f"{manifest} is not there; {_remedy(path)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LexiconCorrupt(f"{manifest} is not a TOML file ({error}); {_remedy(path)}") from error
    if table.pop("schema", None) != SCHEMA or set(table) != set(Manifest.__dataclass_fields__):
        raise LexiconCorrupt(f"{manifest} is not a manifest of schema {SCHEMA!r}; {_remedy(path)}")
    return Manifest(**table)


def read_arrays(path: Path = SHIPPED) -> tuple[Manifest, Arrays]:
    """Read a snapshot's arrays after checking every byte of the file against its manifest.

    Raises:
        LexiconMissing: the file or its manifest is not there.
        LexiconCorrupt: the checksum does not fit (truncated, altered, half-written).
    """
    manifest = read_manifest(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise LexiconMissing(f"{path} is not there; {_remedy(path)}") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != manifest.sha256:
        raise LexiconCorrupt(
            f"{path} ({len(content):,} bytes) has sha256 {actual}, expected {manifest.sha256}; {_remedy(path)}"
        )
    # From the bytes that were checked, not from the file, which could change in between.
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for array in arrays.values():
        array.setflags(write=False)
    return manifest, arrays


def pack_arrays(arrays: Arrays) -> bytes:
    """Arrays as the bytes of an .npz file; equal arrays give equal bytes, at any time and on any system."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def write_snapshot(
    path: Path, content: bytes, *, version: str, licence: str, licence_text: str, source: str
) -> Manifest:
    """Write a snapshot, its manifest and the licence text; each whole or not at all.

    A process that dies between the files leaves a snapshot whose checksum does not fit, which no reader accepts.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    manifest = Manifest(path.stem, version, hashlib.sha256(content).hexdigest(), licence, source)
    rows = {"schema": SCHEMA, **vars(manifest)}
    # A JSON string is a TOML basic string too; the standard library writes no TOML.
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in rows.items())
    write_atomic(path.with_name("WORDNET_LICENSE"), licence_text.encode())
    write_atomic(path, content)
    write_atomic(path.with_suffix(".toml"), text.encode())
    return manifest


def _remedy(path: Path) -> str:
    if path == SHIPPED:
        return f"reinstall atomic-semantic-attention, or build the file anew: {REBUILD}"
    return f"build it anew: {REBUILD} --out {path}"

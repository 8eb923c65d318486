"""UD English EWT as the build commands read it: from a folder that holds it, plain or compressed."""

from __future__ import annotations

import lzma
import os
import tempfile
from pathlib import Path

from periodic_table.treebank import Token, read_conllu

SOURCE = "UD English EWT (Silveira et al. 2014), commit 15d613d"
LICENCE = "CC BY-SA 4.0, as the treebank it was counted in"


class TreebankMissing(LookupError):
    """The treebank is not where it was looked for."""


def sentences(part: str, data: Path | None = None) -> list[list[Token]]:
    """The sentences of one part of the treebank.

    Args:
        part: "train", "dev" or "test".
        data: folder with ud/en_ewt-ud-PART.conllu in it, plain or with .xz appended; by default $ASA_DATA.

    Raises:
        TreebankMissing: there is none; the message says what to do.
        periodic_table.treebank.MalformedTreebank: it is not CoNLL-U.
    """
    folder = data or (Path(os.environ["ASA_DATA"]) if os.environ.get("ASA_DATA") else None)
    if folder is None:
        raise TreebankMissing("no source: name a folder with --data, or set ASA_DATA to it")
    path = folder / "ud" / f"en_ewt-ud-{part}.conllu"
    if path.is_file():
        return list(read_conllu(path))
    packed = path.with_name(f"{path.name}.xz")
    if not packed.is_file():
        raise TreebankMissing(f"neither {path} nor {packed.name} is there; see docs/data.md for how to get {SOURCE}")
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / path.name
        plain.write_bytes(lzma.decompress(packed.read_bytes()))
        return list(read_conllu(plain))

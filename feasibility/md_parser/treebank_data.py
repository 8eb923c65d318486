"""Treebanks for the experiment `md_parser_treebank`, and what was trained on them, kept outside the repository."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from dynamics.conllu import Sentence, Skipped, read_conllu
from feasibility import datasets
from feasibility.harness import DataRecord
from feasibility.store import write_atomic

SPLITS = ("train", "dev", "test")
_NAME = re.compile(r"(?P<stem>.*?)(?P<split>train|dev|test)\.conllu(\.gz|\.xz)?")
Model = TypeVar("Model")


class TreebankMissing(LookupError):
    """A folder without the treebank that was asked for; the message says what was found and what is needed."""


class Treebank(NamedTuple):
    """A treebank in its parts.

    Args:
        splits: "train", and "dev" or "test" or both, in this order.
        skipped: sentences of each part that were left out.
        data: what was read.
        english: whether it is UD English EWT, for which the bars were fixed.
    """

    splits: dict[str, list[Sentence]]
    skipped: dict[str, list[Skipped]]
    data: tuple[DataRecord, ...]
    english: bool


def load_treebank(folder: Path | None, skip_bad: bool = False) -> Treebank:
    """Read a treebank.

    Args:
        folder: holds *train.conllu and *dev.conllu or *test.conllu of the same name, plain, .gz or .xz; or the path of
            the training file itself. UD English EWT of `feasibility.datasets` if None.
        skip_bad: leave malformed sentences out.

    Raises:
        TreebankMissing: no such folder, no training part in it or several, neither dev nor test part.
        DatasetMissing: no folder was named and UD English EWT is not here.
        MalformedTreebank: see `dynamics.conllu.read_conllu`.
    """
    paths = find_parts(folder) if folder is not None else _english()
    splits, skipped = {}, {}
    for split, path in paths.items():
        skipped[split] = list[Skipped]()
        splits[split] = list(read_conllu(path, skip_bad, skipped[split]))
        if not splits[split]:
            raise TreebankMissing(f"{path}: no well-formed sentence; expected a {split} part with gold trees")
    english = {datasets.DATASETS[f"ud-english-ewt-{split}"].sha256: split for split in SPLITS}
    data = tuple(_record(path, split, english, folder is None) for split, path in paths.items())
    return Treebank(splits, skipped, data, all(record.name.startswith("ud-english-ewt-") for record in data))


def find_parts(folder: Path) -> dict[str, Path]:
    """The files of a treebank's parts.

    Raises:
        TreebankMissing: see `load_treebank`.
    """
    if folder.is_file():
        folder, wanted = folder.parent, folder.name
    elif folder.is_dir():
        wanted = ""
    else:
        raise TreebankMissing(f"{folder} is no folder; expected one that holds *train.conllu and *dev.conllu")
    found = {path: match for path in sorted(folder.iterdir()) if (match := _NAME.fullmatch(path.name))}
    train = [path for path, match in found.items() if match["split"] == "train" and wanted in ("", path.name)]
    if len(train) != 1:
        names = ", ".join(path.name for path in train) or ", ".join(path.name for path in found) or "no .conllu file"
        raise TreebankMissing(
            f"{folder}: {len(train)} training parts ({names}); expected one *train.conllu (.gz, .xz), or its own path"
        )
    stem = found[train[0]]["stem"]
    parts = {match["split"]: path for path, match in reversed(found.items()) if match["stem"] == stem}
    if len(parts) < 2:
        raise TreebankMissing(f"{folder}: {train[0].name} has neither a dev nor a test part beside it; expected one")
    return {split: parts[split] for split in SPLITS if split in parts}


def _english() -> dict[str, Path]:
    return {split: datasets.locate(f"ud-english-ewt-{split}") for split in SPLITS}


def _record(path: Path, split: str, english: dict[str, str], named: bool) -> DataRecord:
    """What a result says of a part; UD English EWT is known by its content, wherever it lies."""
    if named:
        return datasets.record(f"ud-english-ewt-{split}")
    digest = hashlib.sha256(_plain(path)).hexdigest()
    if digest in english:
        known = datasets.DATASETS[f"ud-english-ewt-{english[digest]}"]
        return DataRecord(known.name, known.version, digest, known.licence, "user")
    return DataRecord(path.name, "unknown", digest, "unknown", "user")


def _plain(path: Path) -> bytes:
    import gzip
    import lzma

    content = path.read_bytes()
    unpack = {".xz": lzma.decompress, ".gz": gzip.decompress}.get(path.suffix)
    return unpack(content) if unpack else content


def trained(
    kind: str,
    train: Callable[[], Model],
    save: Callable[[Path, Model], None],
    load: Callable[[Path], Model],
    *what: object,
    sources: Iterable[Path],
) -> tuple[Model, float]:
    """A model from the cache, or trained now and put there.

    Args:
        kind: for the name of the file.
        train: makes it.
        save: writes it to a path.
        load: reads it.
        what: all that decides what it becomes: checksum of the data, settings, seed.
        sources: the code that trains it; another code never meets an older model.

    Returns:
        The model, and the CPU seconds that its training took when it was trained.

    Raises:
        OSError: the cache cannot be written.
    """
    digest = hashlib.sha256(repr(what).encode())
    for source in sorted(sources):
        digest.update(source.read_bytes())
    folder = datasets.cache_folder() / "md_parser_treebank"
    path = folder / f"{kind}-{digest.hexdigest()[:20]}.npz"
    note = path.with_suffix(".json")
    if note.is_file() and path.is_file():
        return load(path), float(json.loads(note.read_text(encoding="utf-8"))["cpu_s"])
    start = time.process_time()
    model = train()
    spent = time.process_time() - start
    folder.mkdir(parents=True, exist_ok=True)
    save(path, model)
    # The note comes last: a model with a note is complete.
    write_atomic(note, json.dumps({"cpu_s": spent}))
    return model, spent

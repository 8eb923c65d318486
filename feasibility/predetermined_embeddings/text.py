"""Novels as words: the 1,000 most frequent of the train part, and UNK for all others.

    python -m feasibility.predetermined_embeddings.text --out .lab/words.npz    # all novels below $ASA_DATA; a minute

Without $ASA_DATA the three shipped novels are read. Parts are those of `feasibility.lm.data`: no author stands on two
sides. W words, n stretches of text.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feasibility.environment import ROOT
from feasibility.harness import DataRecord
from feasibility.lm.data import PARTS, BooksMissing, Corpus, Part, read_books
from feasibility.store import write_atomic

SCHEMA = "asa.word-stretches.v1"
SAMPLE = ROOT / "feasibility" / "data" / "novels-sample.npz"
WORDS = 1_000
# A stretch is read but for its last token, and asked but for its first.
STRETCH = 33
# Stretches that are kept of each part, drawn evenly.
KEPT: dict[Part, int] = {"train": 100_000, "dev": 2_000, "test": 4_000}
_TOKEN = re.compile(r"[a-z]+(?:['\u2019][a-z]+)*|[.,;:!?]")


class TextCorrupt(ValueError):
    """A file that is not text of this schema."""


@dataclass(frozen=True)
class Text:
    """Running text in words.

    Args:
        words: W, in order of frequency; marks are words, too.
        pos: W, the likeliest part of speech of each by itself.
        stretches: part -> uint16 [n, 33]; number W is any other word.
        facts: source, books of each part, licence, checksum.
    """

    words: tuple[str, ...]
    pos: tuple[str, ...]
    stretches: dict[Part, NDArray[np.uint16]]
    facts: dict[str, Any]

    @property
    def digest(self) -> str:
        """Checksum of words and stretches."""
        rows = [self.stretches[part].astype("<u2").tobytes() for part in PARTS]
        return hashlib.sha256(b"\0".join([" ".join(self.words).encode(), *rows])).hexdigest()

    def record(self) -> DataRecord:
        """Which text it is."""
        origin = "shipped" if self.facts["source"] == "novels-sample" else "local"
        return DataRecord("novels-in-words", "143e601", self.digest, "public domain", origin)  # type: ignore[arg-type]

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        said = {"schema": SCHEMA, "words": self.words, "pos": self.pos, "facts": self.facts}
        content = io.BytesIO()
        arrays: dict[str, Any] = {f"stretches/{part}": rows for part, rows in self.stretches.items()}
        np.savez_compressed(content, said=np.array(json.dumps(said)), **arrays)
        write_atomic(path, content.getvalue())

    @staticmethod
    def load(path: Path) -> Text:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            TextCorrupt: it is something else.
        """
        make = f"make it: python -m {__spec__.name} --out {path}"
        try:
            with np.load(path, allow_pickle=False) as file:
                said = json.loads(str(file["said"]))
                stretches = {part: file[f"stretches/{part}"] for part in PARTS}
            if said["schema"] != SCHEMA:
                raise KeyError(said["schema"])
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is not here; {make}") from None
        except (KeyError, ValueError, OSError) as error:
            raise TextCorrupt(f"{path} is not text of schema {SCHEMA} ({error}); {make}") from error
        return Text(tuple(said["words"]), tuple(said["pos"]), stretches, said["facts"])


def tokens_of(text: str) -> list[str]:
    """Words in small letters, and marks; figures and everything else are left out."""
    return _TOKEN.findall(text.lower().replace("\u2019", "'"))


def cut(texts: dict[Part, dict[str, str]], source: str, words: int = WORDS) -> Text:
    """Choose the words, and cut the text into stretches.

    Args:
        texts: part -> name -> text.
        source: what a result says of it.
        words: W.

    Cost: a minute for 55 MB.
    """
    from periodic_table import load_tagger

    read = {part: [tokens_of(text) for text in books.values()] for part, books in texts.items()}
    counts = Counter(token for book in read["train"] for token in book)
    # By name where two are equally frequent, so that the order is one.
    chosen = sorted(counts, key=lambda word: (-counts[word], word))[:words]
    number = {word: place for place, word in enumerate(chosen)}
    stretches = {part: _stretches(read[part], number, KEPT[part]) for part in PARTS}
    facts = {
        "source": source,
        "books": {part: list(books) for part, books in texts.items()},
        "tokens": {part: sum(map(len, books)) for part, books in read.items()},
        "unknown": {part: float((rows == words).mean()) for part, rows in stretches.items()},
        "licence": "public domain",
    }
    return Text(tuple(chosen), tuple(load_tagger("type-level").tag(chosen)), stretches, facts)


def _stretches(books: Sequence[Sequence[str]], number: dict[str, int], kept: int) -> NDArray[np.uint16]:
    other, rows = len(number), []
    for book in books:
        ids = np.array([number.get(token, other) for token in book], np.uint16)
        rows.append(ids[: len(ids) // STRETCH * STRETCH].reshape(-1, STRETCH))
    every = np.concatenate(rows)
    chosen = np.random.default_rng(0).permutation(len(every))[:kept]
    return every[np.sort(chosen)]


@cache
def sample_text() -> Text:
    """The three shipped novels.

    Cost: three seconds.
    """
    corpus = Corpus.load(SAMPLE)
    return cut({part: {name: text} for part, (name, text) in _sample(corpus)}, "novels-sample")


def _sample(corpus: Corpus) -> Iterator[tuple[Part, tuple[str, str]]]:
    # Byte-level pieces: every character of an entry stands for a byte.
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in shown]
    byte_of = {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(others)}
    pieces = [bytes(byte_of[character] for character in entry) for entry in corpus.vocab]
    pieces[0] = b"\n"
    for part in PARTS:
        text = b"".join(pieces[piece] for piece in corpus.ids[part]).decode("utf-8", "replace")
        yield part, (corpus.facts["books"][part][0], text)


@dataclass(frozen=True)
class Options:
    """Where the text goes."""

    out: Path = Path(".lab/words.npz")
    """File to write."""
    data: Path | None = None
    """Folder that has books/*.txt.xz; by default $ASA_DATA, and without it the three shipped novels."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where there are no books."""
    import tyro

    options = tyro.cli(
        Options, prog="python -m feasibility.predetermined_embeddings.text", description=__doc__, args=argv
    )
    folder = options.data or (Path(os.environ["ASA_DATA"]) if "ASA_DATA" in os.environ else None)
    try:
        text = cut(read_books(folder), "100_english_novels") if folder else sample_text()
    except BooksMissing as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    text.save(options.out)
    print(f"{options.out}: {', '.join(f'{len(rows):,} stretches of {part}' for part, rows in text.stretches.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

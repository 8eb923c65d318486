"""Novels as one line of token ids: split by author, cut into pieces by a byte-level BPE that saw the train part alone.

    python -m feasibility.lm.data --out .lab/lm.npz      # needs ASA_DATA and the package tokenizers; two minutes

    corpus = Corpus.load(Path(".lab/lm.npz"))            # needs numpy alone
    corpus.ids["train"], corpus.tables["predetermined/64"]

T tokens of a part, V entries of the vocabulary.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from feasibility.store import write_atomic

SCHEMA = "asa.lm-corpus.v1"
VOCAB = 8192
END_OF_TEXT = "<|endoftext|>"

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")

# Chosen once, before anything was trained, and not to be changed: learning rates and budgets may look at dev, nothing
# but final figures at test. No author stands on two sides. Each side has Victorian and later novels.
DEV_AUTHORS = frozenset({"Cbronte", "Galsworthy"})
TEST_AUTHORS = frozenset({"Dickens", "Forster", "Haggard"})
TRAIN_AUTHORS = frozenset(
    {
        "Anon", "Barclay", "Blackmore", "Braddon", "Corelli", "Doyle", "Eliot", "Gaskell", "Gissing", "Hardy", "James",
        "Lawrence", "Lytton", "Meredith", "Morris", "Thackeray", "Trollope", "Ward", "Wcollins",
    }
)  # fmt: skip


class BooksMissing(LookupError):
    """There is no folder of books, or one of an author whom no part has."""


class CorpusCorrupt(ValueError):
    """A file that is not a corpus of this schema."""


@dataclass(frozen=True)
class Corpus:
    """Text as integers, and classes of these integers.

    Args:
        ids: part -> uint16 [T], the books of the part one after the other, each closed by the id of `END_OF_TEXT`.
        vocab: V entries as the tokeniser writes them (byte-level: a space in front is written as U+0120).
        tables: name -> uint8 [V], the class of each entry; see `feasibility.lm.classes`.
        tokeniser: JSON of the package tokenizers, for text that is not in here.
        facts: about the source: books, words and bytes of each part, checksum of the texts, licence.
    """

    ids: dict[Part, NDArray[np.uint16]]
    vocab: tuple[str, ...]
    tables: dict[str, NDArray[np.uint8]]
    tokeniser: str
    facts: dict[str, Any]

    def counts(self) -> NDArray[np.int64]:
        """How often each entry occurs in the train part. int64 [V]."""
        return np.bincount(self.ids["train"], minlength=len(self.vocab))

    def encode(self, texts: Iterable[str]) -> NDArray[np.uint16]:
        """Other texts as ids, each closed by the end of text.

        Raises:
            ImportError: the package tokenizers is not installed.
        """
        from tokenizers import Tokenizer

        return _encode(Tokenizer.from_str(self.tokeniser), texts)

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {f"ids/{part}": ids for part, ids in self.ids.items()}
        arrays |= {f"table/{name}": table for name, table in self.tables.items()}
        words = {"schema": SCHEMA, "vocab": self.vocab, "facts": self.facts, "tokeniser": self.tokeniser}
        content = io.BytesIO()
        np.savez_compressed(content, words=np.array(json.dumps(words)), **arrays)  # type: ignore[arg-type]
        write_atomic(path, content.getvalue())

    @staticmethod
    def load(path: Path) -> Corpus:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            CorpusCorrupt: it is something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                words = json.loads(str(file["words"]))
                arrays = {name: file[name] for name in file.files if name != "words"}
            if words["schema"] != SCHEMA:
                raise KeyError(words["schema"])
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path} is not here; make it: python -m feasibility.lm.data --out {path}"
            ) from None
        except (KeyError, ValueError, OSError) as error:
            raise CorpusCorrupt(
                f"{path} is not a corpus of schema {SCHEMA} ({error}); make it: python -m feasibility.lm.data"
            ) from error
        ids = {part: arrays[f"ids/{part}"] for part in PARTS}
        tables = {name.removeprefix("table/"): x for name, x in arrays.items() if name.startswith("table/")}
        return Corpus(ids, tuple(words["vocab"]), tables, words["tokeniser"], words["facts"])


def part_of(author: str) -> Part:
    """On which side an author's books are.

    Raises:
        BooksMissing: no side has that author.
    """
    for part, authors in zip(PARTS, (TRAIN_AUTHORS, DEV_AUTHORS, TEST_AUTHORS), strict=True):
        if author in authors:
            return part
    raise BooksMissing(f"no part has the author {author!r}; add new authors to TRAIN_AUTHORS in {__name__}")


def read_books(folder: Path, names: Sequence[str] = ()) -> dict[Part, dict[str, str]]:
    """The novels of a folder, by part and by name.

    Args:
        folder: that has `books/<Author>_<Title>_<year>.txt.xz` (or .txt).
        names: the ones to take, without suffix; all by default.

    Returns: part -> name -> text, in alphabetical order; without byte-order marks, with plain line ends, and without
        lines in another script.

    Raises:
        BooksMissing: no such folder, or an author whom no part has.
    """
    paths = sorted({*folder.glob("books/*.txt.xz"), *folder.glob("books/*.txt")})
    missing = set(names) - {path.name.split(".")[0] for path in paths}
    if not paths or missing:
        what = ", ".join(sorted(missing)) or "novels (*.txt.xz)"
        raise BooksMissing(
            f"{folder / 'books'} has no {what}; set ASA_DATA to a folder with texts of "
            "computationalstylistics/100_english_novels below books/"
        )
    books: dict[Part, dict[str, str]] = {part: {} for part in PARTS}
    for path in paths:
        if names and path.name.split(".")[0] not in names:
            continue
        raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        text = "".join(line for line in _lines(text) if is_latin(line))
        books[part_of(path.name.split("_")[0])][path.name.split(".")[0]] = text
    return books


def is_latin(line: str) -> bool:
    """Whether at least half of a line's letters are Latin.

    In these novels only 107 lines are not: inscriptions in Greek capitals in Haggard's "She". A model of English needs
    up to four times as many nats for them, so that 0.7 % of the test part would outweigh all the rest.
    """
    if line.isascii():
        return True
    letters = [character for character in line if character.isalpha()]
    return 2 * sum("LATIN" in unicodedata.name(character, "") for character in letters) >= len(letters)


def train_tokeniser(texts: Iterable[str], vocab: int = VOCAB) -> Any:
    """Byte-level BPE, as GPT-2 has it, on these texts; entry 0 is `END_OF_TEXT`.

    Cost: half a minute for 50 MB.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokeniser.train_from_iterator((line for text in texts for line in _lines(text)), trainer)
    return tokeniser


def build(books: dict[Part, dict[str, str]], vocab: int = VOCAB) -> Corpus:
    """From texts to ids; the class tables are still to come (`feasibility.lm.classes.class_tables`).

    Cost: two minutes for 55 MB on one core.
    """
    tokeniser = train_tokeniser(books["train"].values(), vocab)
    ids: dict[Part, NDArray[np.uint16]] = {part: _encode(tokeniser, books[part].values()) for part in PARTS}
    entries = sorted(tokeniser.get_vocab().items(), key=lambda item: item[1])
    digest = hashlib.sha256("\0".join(text for part in PARTS for text in books[part].values()).encode())
    facts = {
        "books": {part: list(books[part]) for part in PARTS},
        "words": {part: sum(len(text.split()) for text in books[part].values()) for part in PARTS},
        "bytes": {part: sum(len(text.encode()) for text in books[part].values()) for part in PARTS},
        "tokens": {part: len(ids[part]) for part in PARTS},
        "sha256": digest.hexdigest(),
        "licence": "public domain",
        "source": "computationalstylistics/100_english_novels @ 143e601, novels of 1929 or before",
    }
    return Corpus(ids, tuple(entry for entry, _ in entries), {}, tokeniser.to_str(), facts)


def _encode(tokeniser: Any, texts: Iterable[str]) -> NDArray[np.uint16]:
    end = tokeniser.token_to_id(END_OF_TEXT)
    found: list[int] = []
    for text in texts:
        for coded in tokeniser.encode_batch(list(_lines(text))):
            found.extend(coded.ids)
        found.append(end)
    return np.array(found, dtype=np.uint16)


def _lines(text: str) -> Iterator[str]:
    """Paragraphs with the line ends that close them: no piece reaches over one."""
    yield from text.splitlines(keepends=True)


@dataclass(frozen=True)
class Options:
    """Where the corpus goes."""

    out: Path = Path(".lab/lm.npz")
    """File to write."""
    data: Path | None = None
    """Folder that has books/*.txt.xz; by default $ASA_DATA."""
    vocab: int = VOCAB
    """Entries of the vocabulary."""
    books: tuple[str, ...] = ()
    """Names of the books to take, such as Hardy_Madding_1874; all by default."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where there are no books."""
    import dataclasses

    import tyro

    from feasibility.lm.classes import class_tables

    options = tyro.cli(Options, prog="python -m feasibility.lm.data", description=__doc__, args=argv)
    try:
        folder = options.data or Path(os.environ.get("ASA_DATA", "."))
        corpus = build(read_books(folder, options.books), options.vocab)
    except (BooksMissing, ImportError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    corpus = dataclasses.replace(corpus, tables=class_tables(corpus))
    corpus.save(options.out)
    print(f"{options.out}: {corpus.facts['tokens']} tokens, {len(corpus.tables)} class tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Chunks of text whose pieces know their words and parts of speech: what attention is compared with.

    python -m feasibility.h6.text --data .lab/lm.npz --out .lab/h6.npz      # for the machine with the GPU

The original's rules speak of words. Here a piece has the tag and the features of its whole word, which a tagger found
that sees the whole text. In a model that would leak the future; here it only sorts the attention of a finished model
that never saw a tag, so there is nothing to leak into. White space and the end of text are X, as in the original, and
belong to no word.

A *type* is all that the original's rules know of a word: its tag; of a pronoun, what it asks for; of a noun or name,
whether it has what pronouns ask for. N pieces of a chunk, T types, V entries of the vocabulary.
"""

from __future__ import annotations

import io
import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feasibility.lm.data import END_OF_TEXT, Corpus, CorpusCorrupt
from feasibility.store import write_atomic

SCHEMA = "asa.h6-texts.v1"

Bools = NDArray[np.bool_]
# Tag, and the features that matter beside it.
Type = tuple[str, frozenset[str]]

# Words as Universal Dependencies have them: clitics and marks are words of their own, "Mr." and "3.5" are one.
_WORD = re.compile(
    r"(?:Mrs?|Dr|St|Messrs)\.|\w+?(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|\w+(?:[.,:]\d+)*|([^\w\s])\1*",
    re.IGNORECASE,
)
_NOUNS = ("NOUN", "PROPN")


@dataclass(frozen=True, eq=False)
class Texts:
    """Chunks of text, and the original's rules over the types of their pieces.

    Args:
        ids: uint16 [chunks, N + 1]; the last piece is only a target.
        types: uint8 [chunks, N], type of each piece's word.
        words: uint16 [chunks, N], number of each piece's word in its chunk, from 1; 0 for what belongs to no word.
        counts: int64 [V], how often each entry occurs in the train part.
        compatible: bool [17, 17], the original's table of tags.
        tags: uint8 [T], the tag of each type, as a row of `compatible`.
        lacking: bool [T, T], where the row is a pronoun that asks for what the column, a noun or name, does not have.
    """

    ids: NDArray[np.uint16]
    types: NDArray[np.uint8]
    words: NDArray[np.uint16]
    counts: NDArray[np.int64]
    compatible: Bools
    tags: NDArray[np.uint8]
    lacking: Bools

    def table(self, compatible: Bools | None = None) -> Bools:
        """Which type sees which, bool [T, T]; another table of tags may stand in the place of the original's."""
        compatible = self.compatible if compatible is None else compatible
        allowed: Bools = compatible[np.ix_(self.tags, self.tags)] & ~self.lacking
        return allowed

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        content = io.BytesIO()
        np.savez_compressed(content, schema=np.array(SCHEMA), **vars(self))
        write_atomic(path, content.getvalue())

    @staticmethod
    def load(path: Path) -> Texts:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            feasibility.lm.data.CorpusCorrupt: it is something else.
        """
        remedy = f"make it: python -m feasibility.h6.text --out {path}"
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file["schema"]) != SCHEMA:
                    raise KeyError(str(file["schema"]))
                return Texts(**{name: file[name] for name in file.files if name != "schema"})
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is not here; {remedy}") from None
        except (KeyError, ValueError, OSError, TypeError) as error:
            raise CorpusCorrupt(f"{path} does not hold texts of schema {SCHEMA} ({error}); {remedy}") from error


def read_texts(corpus: Corpus, part: str, chunks: int, length: int) -> Texts:
    """Chunks that lie evenly over a part of a corpus, tagged.

    Args:
        corpus: where from.
        part: "dev" or "test".
        chunks: how many.
        length: N.

    Raises:
        ValueError: the part is too short for so many chunks side by side.

    Cost: about 20,000 words a second.
    """
    from periodic_table.bonding.original import load_facts
    from periodic_table.tagging.tagger import TAGS

    ids = corpus.ids[part]  # type: ignore[index]
    if chunks < 1 or length < 2 or chunks * length >= len(ids):
        raise ValueError(
            f"{chunks} chunks of {length} pieces need {chunks * length + 1}, but the {part} part has {len(ids)}"
        )
    starts = np.linspace(0, len(ids) - length - 1, chunks).astype(np.int64)
    found = ids[starts[:, None] + np.arange(length + 1)]
    known: dict[Type, int] = {}
    words, types = zip(*(_words_and_types(corpus, row[:-1], known) for row in found), strict=True)
    return Texts(
        found,
        np.array(types, dtype=np.uint8),
        np.array(words, dtype=np.uint16),
        corpus.counts(),
        load_facts().compatible,
        np.array([TAGS.index(tag) for tag, _ in known], dtype=np.uint8),
        lacking(list(known)),
    )


def _words_and_types(
    corpus: Corpus, ids: NDArray[np.uint16], known: dict[Type, int]
) -> tuple[NDArray[np.int64], list[int]]:
    """The word and the type of each piece; types that are new are added to the known ones."""
    from periodic_table.align import align
    from periodic_table.tagging import load_tagger

    text, pieces = decode([corpus.vocab[place] for place in ids])
    spans = [match.span() for match in _WORD.finditer(text)]
    forms = [text[start:end] for start, end in spans]
    tags = load_tagger("full-context").tag(forms)
    numbers = [known.setdefault(type_of(form, tag), len(known)) for form, tag in zip(forms, tags, strict=True)]
    # How many bytes stand before each character: pieces are counted in bytes, words in characters.
    before = np.cumsum([0, *(len(character.encode("utf-8", "surrogateescape")) for character in text)])
    owner = align([(int(before[start]), int(before[end])) for start, end in spans], pieces)
    space = known.setdefault(("X", frozenset()), len(known))
    types = [space if word < 0 else numbers[word] for word in owner]
    return owner + 1, types


def decode(entries: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Entries of a byte-level vocabulary as text, and where each stands in it.

    Returns: the text, in which bytes that make no character are lone surrogates (as Python's "surrogateescape" has it);
        spans in bytes of its UTF-8.
    """
    from periodic_table.word_classes.vocabulary import _byte_of

    byte_of = _byte_of()
    parts = [b"\n" if entry == END_OF_TEXT else bytes(byte_of[character] for character in entry) for entry in entries]
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    return b"".join(parts).decode("utf-8", "surrogateescape"), list(itertools.pairwise(ends))


def type_of(word: str, tag: str) -> Type:
    """All that the original's mask knows of a word."""
    from periodic_table.bonding.original import has_and_asks, load_facts
    from periodic_table.tagging.looks import normal

    has, asks = has_and_asks(normal(word), tag)
    if tag == "PRON":
        return tag, asks
    if tag in _NOUNS:
        return tag, has & frozenset[str]().union(*load_facts().pronouns.values())
    return tag, frozenset()


def lacking(types: Sequence[Type]) -> Bools:
    """Where the first is a pronoun that asks for what the second, a noun or name, does not have. -> bool [T, T]"""
    return np.array(
        [[one == "PRON" and other in _NOUNS and not asks <= has for other, has in types] for one, asks in types]
    )


def allowed_types(types: Sequence[Type]) -> Bools:
    """Which type sees which under the original's rules in mode "full", a word itself aside. -> bool [T, T]"""
    from periodic_table.bonding.original import load_facts
    from periodic_table.tagging.tagger import TAGS

    tags = [TAGS.index(tag) for tag, _ in types]
    allowed: Bools = load_facts().compatible[np.ix_(tags, tags)] & ~lacking(types)
    return allowed


@dataclass(frozen=True)
class Options:
    """Which chunks are tagged."""

    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    out: Path = Path(".lab/h6.npz")
    """File to write."""
    part: str = "test"
    """Part of the corpus."""
    chunks: int = 128
    """How many."""
    length: int = 512
    """Pieces of a chunk."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.h6.text", description=__doc__, args=argv)
    texts = read_texts(Corpus.load(options.data), options.part, options.chunks, options.length)
    texts.save(options.out)
    print(f"{options.out}: {options.chunks} chunks of {options.length} pieces, {len(texts.tags)} types")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Build the shipped file of WordNet's relations, verb frames and gloss terms from NLTK's copy of WordNet.

    python -m periodic_table.lexicon.relations_build [--source DIR] [--out DIR]

Takes twenty seconds and gives the same bytes every time.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from periodic_table.isotopes import load_isotopes
from periodic_table.lexicon.glosses import FUNCTION_WORDS, lemmatizer, phrases
from periodic_table.lexicon.protocol import LexiconMissing
from periodic_table.lexicon.relations import FOLDER, NAME, NAMES, SCHEMA, SYMMETRIC
from periodic_table.lexicon.storage import Arrays
from periodic_table.lexicon.verbnet_build import corpora
from periodic_table.lexicon.wordnet_files import Record, open_wordnet, records
from periodic_table.morphology import morphy
from periodic_table.shipped import write_model

# Rarer words of glosses say too little to be kept.
LEAST = 4


@dataclass(frozen=True)
class Options:
    """Where to read WordNet, and where to write the file."""

    source: Path | None = None
    """NLTK data folder with corpora/wordnet.zip in it; by default $ASA_DATA/nltk_data."""
    out: Path = FOLDER
    """Folder for the file and its manifest."""


def pack(synsets: Sequence[Record], lemma: Callable[[str], str]) -> Arrays:
    """Records of WordNet as the arrays that `periodic_table.lexicon.relations` documents."""
    return {**_pointers(synsets), **_terms(synsets, lemma)}


def read_records(source: Path | None) -> list[Record]:
    """All synsets of an NLTK data folder's WordNet.

    Raises:
        LexiconMissing: it is not there.
    """
    with open_wordnet(corpora(source) / "wordnet.zip") as archive:
        return list(records(archive))


def gloss_lemma() -> Callable[[str], str]:
    """The base form of a word of a gloss, by WordNet's own rules."""
    return lemmatizer(partial(morphy, isotopes=load_isotopes()))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the source or the disk does not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.lexicon.relations_build", description=__doc__, args=argv)
    try:
        arrays = pack(read_records(options.source), gloss_lemma())
        path = write_model(
            NAME,
            arrays,
            SCHEMA,
            source="WordNet 3.0 as distributed by NLTK (corpora/wordnet): pointers, verb frames, lemmas of the glosses",
            licence="WordNet 3.0 licence (Princeton University), WORDNET_LICENSE",
            folder=options.out,
        )
    except (LexiconMissing, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{path}: {len(arrays['pointers']):,} pointers, {path.stat().st_size:,} bytes")
    return 0


def _pointers(synsets: Sequence[Record]) -> Arrays:
    symbols = sorted(NAMES)
    place = {(synset.file, synset.offset): index for index, synset in enumerate(synsets)}
    found = {
        (symbols.index(pointer.symbol), index, place["a" if pointer.file == "s" else pointer.file, pointer.offset])
        for index, synset in enumerate(synsets)
        for pointer in synset.pointers
        if pointer.symbol in NAMES
    }
    # Both ways count as one, and 29 derivations have no pointer back in WordNet.
    rows = sorted(
        {(kind, *(sorted((a, b)) if symbols[kind] in SYMMETRIC else (a, b))) for kind, a, b in found if a != b}
    )
    frames = sorted((index, word, frame) for index, synset in enumerate(synsets) for frame, word in synset.frames)
    return {
        "symbols": _text(symbols),
        "pointer_symbol": np.array([kind for kind, _, _ in rows], dtype="u1"),
        "pointers": np.array([ends for _, *ends in rows], dtype="<i4"),
        "frames": np.array(frames, dtype="<i4"),
    }


def _terms(synsets: Sequence[Record], lemma: Callable[[str], str]) -> Arrays:
    glosses = [list(phrases(synset.gloss, lemma)) for synset in synsets]
    frequency = Counter(word for gloss in glosses for _, phrase in gloss for word in phrase)
    terms = sorted(word for word, number in frequency.items() if number >= LEAST and word not in FUNCTION_WORDS)
    index = {term: place for place, term in enumerate(terms)}
    arrays: Arrays = {"terms": _text(terms)}
    for name, wanted in (("definition", False), ("example", True)):
        rows = [
            [index[word] for example, phrase in gloss if example == wanted for word in phrase if word in index]
            for gloss in glosses
        ]
        arrays[f"{name}_size"] = np.array([len(row) for row in rows], dtype="u1")
        arrays[name] = np.array([place for row in rows for place in row], dtype="<u2")
    return arrays


def _text(lines: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode("utf-8"), dtype=np.uint8)


if __name__ == "__main__":
    sys.exit(main())

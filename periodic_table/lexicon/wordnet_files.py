"""WordNet's own database files, read from NLTK's archive: what the extract of words and is-a edges leaves out.

Source: WordNet 3.0, wndb(5WN), senseidx(5WN) and morphy(7WN). Only the builders use this.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from periodic_table.lexicon.protocol import LexiconMissing

FILES = ("noun", "verb", "adj", "adv")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A relation of a synset, or of one of its words, to another.

    Args:
        symbol: WordNet's, such as "!" for antonym.
        file: part of speech of the target: n, v, a or r.
        offset: of the target in its data file.
        source: number of the word from 1; 0 for the whole synset.
        target: the same in the target.
    """

    symbol: str
    file: str
    offset: int
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a data file.

    Args:
        file: n, v, a or r.
        offset: its place in the file, in bytes.
        pointers: its relations.
        frames: (frame number 1-35, word number, 0 for all words); verbs only.
        gloss: definition and examples as written.
    """

    file: str
    offset: int
    pointers: tuple[Pointer, ...]
    frames: tuple[tuple[int, int], ...]
    gloss: str


def open_wordnet(path: Path) -> zipfile.ZipFile:
    """NLTK's archive of WordNet.

    Raises:
        LexiconMissing: it is not there.
    """
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise LexiconMissing(f"{path} is not there; get it with: python -m nltk.downloader wordnet") from error


def records(archive: zipfile.ZipFile) -> Iterator[Record]:
    """All synsets in the order of the data files, nouns first, as in the extract."""
    for file in FILES:
        for line in _lines(archive, f"data.{file}"):
            if not line.startswith(" "):
                yield _record(line)


def exceptions(archive: zipfile.ZipFile) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Irregular forms: (part of speech n, v, a or r, form, base forms)."""
    for file, pos in zip(FILES, "nvar", strict=True):
        for line in _lines(archive, f"{file}.exc"):
            form, *bases = line.split()
            yield pos, form, tuple(bases)


def sense_keys(path: Path) -> dict[str, str]:
    """WordNet sense key without its head word ("give%2:40:00") -> name of the synset in the shipped extract.

    Raises:
        LexiconMissing: the archive is not there.
    """
    from periodic_table.isotopes import load_isotopes

    isotopes = load_isotopes()
    with open_wordnet(path) as archive:
        places = {(record.file, record.offset): place for place, record in enumerate(records(archive))}
        names = {}
        for line in _lines(archive, "index.sense"):
            key, offset, _, _ = line.split()
            # The type of the synset: 1 noun, 2 verb, 3 adjective, 4 adverb, 5 satellite.
            file = "nvara"[int(key.partition("%")[2][0]) - 1]
            names[key.rstrip(":")] = isotopes.name(places[file, int(offset)])
    return names


def _lines(archive: zipfile.ZipFile, name: str) -> list[str]:
    return archive.read(f"wordnet/{name}").decode("utf-8").splitlines()


def _record(line: str) -> Record:
    head, _, gloss = line.partition("|")
    fields = head.split()
    words = int(fields[3], 16)
    at = 4 + 2 * words
    pointers = []
    for place in range(at + 1, at + 1 + 4 * int(fields[at]), 4):
        symbol, offset, file, ends = fields[place : place + 4]
        pointers.append(Pointer(symbol, file, int(offset), int(ends[:2], 16), int(ends[2:], 16)))
    rest = fields[at + 1 + 4 * len(pointers) :]
    frames = tuple((int(rest[place + 1]), int(rest[place + 2], 16)) for place in range(1, len(rest), 3))
    file = "a" if fields[2] == "s" else fields[2]
    return Record(file, int(fields[0]), tuple(pointers), frames, gloss.strip())

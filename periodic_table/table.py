"""The table: elements by word, in groups, periods and blocks.

    table = PeriodicTable.load("v1.0")
    table["dogs"]                       # inflected forms find their word
    table["love", "NOUN"]
    "dogs" in table, len(table), list(table)
    table.at(group=">det", period=1, block="NOUN")

The *block* is the part of speech, the *period* the abstraction from 1 to 5, the *group* the leading bonding site. v0.1
is annotated by hand, v1.0 by `annotate`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from periodic_table.element import UPOS, Element, Isotope, Site, check_upos
from periodic_table.hand import read_hand
from periodic_table.morphology import cell, lemma
from periodic_table.shipped import DATA, ModelCorrupt, ModelMissing
from periodic_table.storage import write_atomic

SCHEMA = "periodic_table.v1"
VERSIONS = ("v0.1", "v1.0")
REBUILD = "python -m periodic_table.build"
# An element with no bonding site at all.
NO_GROUP = "none"


class UnknownVersion(LookupError):
    """A version of the table that there is not."""


class NotInTable(KeyError):
    """A word that the table does not have."""


def group_of(element: Element) -> str:
    """The group of an element: its leading bonding site.

    Returns:
        ">obj" for a word that mostly takes an object, "<amod" for one that mostly is an adjectival modifier.
    """
    if not element.valence:
        return NO_GROUP
    leading = element.valence[0]
    return f"{'>' if leading.role == 'head' else '<'}{leading.relation}"


class PeriodicTable:
    """Elements by word.

    Args:
        version: of the table.
        elements: in the order in which they are to be listed; one for each (lemma, part of speech).

    Raises:
        ValueError: two elements of the same lemma and part of speech.
    """

    def __init__(self, version: str, elements: Iterable[Element]) -> None:
        self.version = version
        self._elements = tuple(elements)
        self._by_key = {(element.lemma, element.pos): element for element in self._elements}
        if len(self._by_key) != len(self._elements):
            raise ValueError(
                f"{len(self._elements)} elements, but {len(self._by_key)} pairs of lemma and part of speech"
            )
        self._by_lemma: dict[str, list[Element]] = {}
        for element in self._elements:
            self._by_lemma.setdefault(element.lemma.lower(), []).append(element)

    @classmethod
    def load(cls, version: str = "v1.0", folder: Path | str = DATA) -> PeriodicTable:
        """A shipped table, or one that `save` wrote.

        Args:
            version: "v0.1", 100 words by hand, or "v1.0", 1,000 words by the pipeline.
            folder: where the tables lie.

        Raises:
            UnknownVersion: there is no such version.
            ModelMissing: its file is not there.
            ModelCorrupt: it is not a table of this schema; the message names the line.
        """
        folder = Path(folder)
        if version not in VERSIONS and not (folder / _file(version)).exists():
            raise UnknownVersion(f"no table {version!r}; there are {', '.join(VERSIONS)}")
        if version == "v0.1":
            return cls(version, (word.element for word in read_hand(folder)))
        return cls(version, _read(folder / _file(version), version))

    def save(self, folder: Path | str) -> Path:
        """Write the table as a file that `load` reads: a head line, then one element a line, all in JSON.

        Raises:
            ValueError: v0.1 is written by hand, never by a program.
            OSError: the file cannot be written.
        """
        if self.version == "v0.1":
            raise ValueError("v0.1 is annotated by hand; give the table another version to save it")
        head = {"schema": SCHEMA, "version": self.version, "elements": len(self)}
        lines = [json.dumps(head), *(json.dumps(_record(element), ensure_ascii=False) for element in self)]
        path = Path(folder) / _file(self.version)
        write_atomic(path, ("\n".join(lines) + "\n").encode())
        return path

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[Element]:
        return iter(self._elements)

    def __contains__(self, word: object) -> bool:
        return self.get(word) is not None

    def __getitem__(self, word: str | tuple[str, str]) -> Element:
        """The element of a word, or of (word, part of speech): see `lookup`."""
        return self.lookup(*word) if isinstance(word, tuple) else self.lookup(word)

    def lookup(self, word: str, upos: str | None = None) -> Element:
        """The element of a word, see `get`.

        Raises:
            NotInTable: there is none; the message says what parts of speech there are of the word.
        """
        found = self.get(word if upos is None else (word, upos))
        if found is None:
            near = [element.pos for element in self._by_lemma.get(str(word).lower(), ())]
            hint = f"it has the word as {', '.join(near)}" if near else "annotate() answers for any word"
            raise NotInTable(f"the table {self.version} has no {word!r}{f' as {upos}' if upos else ''}; {hint}")
        return found

    def get(self, word: object) -> Element | None:
        """The element of a word, or None.

        Args:
            word: a word in any inflected form, or (word, part of speech). Of several parts of speech the one that is
                listed first, the most frequent, is taken. Any number in digits is the element "0".
        """
        if isinstance(word, tuple) and len(word) == 2 and all(isinstance(part, str) for part in word):
            form, tags = word[0], [check_upos(word[1])]
        elif isinstance(word, str):
            form, tags = word, list(UPOS)
        else:
            return None
        exact = [element for element in self._by_lemma.get(form.lower(), ()) if element.pos in tags]
        if exact:
            return exact[0]
        found = (self._by_key.get((cell(lemma(form, tag), tag), tag)) for tag in tags)
        return next((element for element in found if element is not None), None)

    def group(self, word: str | tuple[str, str]) -> str:
        """The group of a word: its leading bonding site, such as ">obj".

        Raises:
            NotInTable: see `__getitem__`.
        """
        return group_of(self[word])

    def period(self, word: str | tuple[str, str]) -> int:
        """The period of a word: its abstraction, 1 to 5.

        Raises:
            NotInTable: see `__getitem__`.
        """
        return self[word].abstraction

    def block(self, word: str | tuple[str, str]) -> str:
        """The block of a word: its universal part of speech.

        Raises:
            NotInTable: see `__getitem__`.
        """
        return self[word].pos

    def groups(self) -> dict[str, int]:
        """Each group and how many elements it has, the largest first."""
        sizes: dict[str, int] = {}
        for element in self._elements:
            sizes[group_of(element)] = sizes.get(group_of(element), 0) + 1
        return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))

    def at(self, group: str | None = None, period: int | None = None, block: str | None = None) -> list[Element]:
        """The elements of a group, a period and a block, each where given, in the order of the table."""
        return [
            element
            for element in self._elements
            if (group is None or group_of(element) == group)
            and (period is None or element.abstraction == period)
            and (block is None or element.pos == block)
        ]


def _file(version: str) -> str:
    return "table-v0.1.tsv" if version == "v0.1" else f"table-{version}.jsonl"


def _read(path: Path, version: str) -> Iterator[Element]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ModelMissing(f"{path} is not there; build it with: {REBUILD}") from error
    number = 1
    try:
        head = json.loads(lines[0])
        if (head["schema"], head["version"], head["elements"]) != (SCHEMA, version, len(lines) - 1):
            raise ModelCorrupt(
                f"{path} has the head {head} and {len(lines) - 1} elements, expected schema {SCHEMA!r}; run: {REBUILD}"
            )
        for line in lines[1:]:
            number += 1
            yield _element(json.loads(line))
    except ModelCorrupt:
        raise
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelCorrupt(f"{path}, line {number}, is not an element ({error!r}); run: {REBUILD}") from error


def _record(element: Element) -> dict[str, Any]:
    return {
        **{name: getattr(element, name) for name in _PLAIN},
        "valence": [[site.relation, site.role, site.expected] for site in element.valence],
        "senses": [[sense.synset, sense.supersense, sense.probability] for sense in element.senses],
    }


def _element(record: dict[str, Any]) -> Element:
    check_upos(record["pos"])
    return Element(
        **{name: record[name] for name in _PLAIN},
        valence=tuple(Site(*site) for site in record["valence"]),
        senses=tuple(Isotope(*sense) for sense in record["senses"]),
    )


_PLAIN = ("lemma", "pos", "supersense", "verb_class", "abstraction")

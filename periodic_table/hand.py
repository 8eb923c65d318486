"""The hand annotation, v0.1: 100 words as a linguist sees them, in one readable file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from periodic_table.element import Element, Isotope, Site, check_upos
from periodic_table.shipped import DATA, ModelCorrupt, ModelMissing
from periodic_table.slots import SLOT

FILE = "table-v0.1.tsv"
# The annotator marks a site that a word has in at least one in ten of its uses.
VOUCHED = 0.1
_EMPTY = "-"


@dataclass(frozen=True, slots=True)
class HandWord:
    """A line of the file.

    Args:
        element: the word as an element. Its sites all have the expected number 0.1, the least that the annotator
            vouches for; its isotopes are supersenses, without synsets.
        arguments: thematic roles and frames, or complements, in words; empty for none.
        example: the words of a sentence.
        place: which of them it is.
    """

    element: Element
    arguments: str
    example: tuple[str, ...]
    place: int


def read_hand(folder: Path = DATA) -> Iterator[HandWord]:
    """The words of the hand annotation in the order of the file.

    Raises:
        ModelMissing: the file is not there.
        ModelCorrupt: a line is not as the head of the file says; the message names it.
    """
    path = folder / FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ModelMissing(f"{path} is not there; reinstall atomic-semantic-attention") from error
    for number, line in enumerate(lines, 1):
        if not line.startswith("#"):
            try:
                yield _word(line.split("\t"))
            except (ValueError, KeyError) as error:
                raise ModelCorrupt(f"{path}, line {number}: {error}") from error


def _word(columns: list[str]) -> HandWord:
    if len(columns) != 9:
        raise ValueError(f"{len(columns)} columns, expected 9")
    lemma, upos, supersense, verb_class, arguments, abstraction, valence, senses, example = columns
    if abstraction not in {"1", "2", "3", "4", "5"}:
        raise ValueError(f"abstraction {abstraction!r}, expected 1 to 5")
    element = Element(
        lemma=lemma,
        pos=check_upos(upos),
        supersense=_given(supersense),
        verb_class=_given(verb_class),
        abstraction=int(abstraction),
        valence=tuple(_site(mark) for mark in valence.split()),
        senses=tuple(_isotope(text) for text in senses.split(", ")) if _given(senses) else (),
    )
    total = sum(isotope.probability for isotope in element.senses)
    if element.senses and abs(total - 1) > 1e-9:
        raise ValueError(f"the shares of the senses of {lemma!r} add up to {total}, expected 1")
    words = example.split()
    marked = [place for place, word in enumerate(words) if len(word) > 2 and word[0] == word[-1] == "*"]
    if len(marked) != 1:
        raise ValueError(f"the example of {lemma!r} has {len(marked)} words between stars, expected 1")
    return HandWord(element, _given(arguments) or "", tuple(word.strip("*") for word in words), marked[0])


def _given(text: str) -> str | None:
    return None if text == _EMPTY else text


def _site(mark: str) -> Site:
    relation = mark[1:]
    match mark[0]:
        case ">" if (relation, "head") in SLOT:
            return Site(relation, "head", VOUCHED)
        case "<" if (relation, "dependent") in SLOT:
            return Site(relation, "dependent", VOUCHED)
        case _:
            raise ValueError(f"{mark!r} is no bonding site, expected one such as '>obj' or '<amod'")


def _isotope(text: str) -> Isotope:
    supersense, _, share = text.rpartition(" ")
    return Isotope(None, supersense, float(share))

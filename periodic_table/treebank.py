"""Counts of a dependency treebank: how often each word took each slot, and which tag and lemma its forms had.

Only `periodic_table.build` and experiments use it; the shipped counts are read by `periodic_table.valence`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from periodic_table.element import OPEN, check_upos
from periodic_table.morphology import cell, lemma
from periodic_table.slots import SLOT, relation


class MalformedTreebank(ValueError):
    """A file that is not CoNLL-U."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a sentence; `head` counts from 1, 0 is the root."""

    form: str
    lemma: str
    upos: str
    head: int
    relation: str


@dataclass
class Counts:
    """What was counted.

    Args:
        occurrences: of each (lemma, tag).
        slots: of each (lemma, tag), how often it had each slot of `periodic_table.slots.SLOTS`.
        tags: of each form in lower case, how often it had each tag.
        lemmas: of each (form in lower case, tag), how often it had each lemma.
    """

    occurrences: Counter[tuple[str, str]] = field(default_factory=Counter)
    slots: defaultdict[tuple[str, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    tags: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    lemmas: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def read_conllu(path: Path) -> Iterator[list[Token]]:
    """The sentences of a CoNLL-U file, without multiword tokens and empty nodes.

    Raises:
        MalformedTreebank: a line has not ten columns, or a head is no number; the message gives its number.
    """
    sentence: list[Token] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            columns = line.rstrip("\n").split("\t")
            if line.startswith("#"):
                continue
            if line == "\n":
                yield sentence
                sentence = []
            elif len(columns) != 10:
                raise MalformedTreebank(f"{path}, line {number}: {len(columns)} columns, expected 10")
            elif columns[0].isdigit():
                _, form, lemma, upos, _, _, head, label, _, _ = columns
                if not head.isdigit():
                    raise MalformedTreebank(f"{path}, line {number}: the head is {head!r}, expected a number")
                sentence.append(Token(form, lemma, upos, int(head), label))
    if sentence:
        yield sentence


def base(lemma: str, upos: str) -> str:
    """A treebank's lemma as the table has it: in lower case except for names."""
    return lemma if upos == "PROPN" else lemma.lower()


def counted(token: Token) -> str:
    """What a word is counted as: the table's own base form, not the treebank's, so that look-ups find it.

    Of closed classes it is the treebank's, which the table's are made from.
    """
    if token.upos in OPEN or token.upos == "PUNCT":
        return lemma(token.form, token.upos)
    return cell(base(token.lemma, token.upos), token.upos)


def count(sentences: Iterable[list[Token]]) -> Counts:
    """Count slots, tags and lemmas.

    Raises:
        periodic_table.element.UnknownTag: a tag is not universal.
        periodic_table.shipped.ModelMissing: the irregular forms are not there.
    """
    counts = Counts()
    for sentence in sentences:
        keys = [(counted(token), check_upos(token.upos)) for token in sentence]
        for token, key in zip(sentence, keys, strict=True):
            counts.occurrences[key] += 1
            form = token.form.lower()
            counts.tags[form][token.upos] += 1
            if token.upos not in OPEN:
                counts.lemmas[form, token.upos][base(token.lemma, token.upos)] += 1
            label = relation(token.relation)
            if label is None:
                continue
            counts.slots[key][SLOT[label, "dependent"]] += 1
            if token.head:
                counts.slots[keys[token.head - 1]][SLOT[label, "head"]] += 1
    return counts

"""Words by how much use they are: a vocabulary of any size for a table that is annotated on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from periodic_table.annotation import annotate
from periodic_table.company import load_company
from periodic_table.element import WORDNET_POS
from periodic_table.isotopes import load_isotopes
from periodic_table.morphology import cell, lemma
from periodic_table.resolve import read
from periodic_table.table import PeriodicTable
from periodic_table.valence import load_valence


def useful_words(size: int) -> tuple[str, ...]:
    """The base forms that cover most text, in lower case, the most useful first.

    First the words of EWT train by their number; then those of WordNet by their occurrences in its tagged texts and in
    its glosses; then the rest of WordNet, short words first (Zipf's law of abbreviation). Expressions of several words
    are left out.

    Args:
        size: how many, at most 86,511.

    Raises:
        ValueError: less than one is wanted.
    """
    if size < 1:
        raise ValueError(f"a vocabulary of {size} words; expected 1 or more")
    return _ranked()[:size]


def table_of(words: Sequence[str], version: str = "on-the-fly") -> PeriodicTable:
    """A table of any words: each in its likeliest part of speech.

    Cost: 6 s for 50,000 words.
    """
    elements = {(element.lemma, element.pos): element for element in annotate(list(dict.fromkeys(words)))}
    return PeriodicTable(version, elements.values())


@cache
def _ranked() -> tuple[str, ...]:
    valence, isotopes, company = load_valence(), load_isotopes(), load_company()
    counted: dict[str, float] = {}
    for (word, _), number in zip(valence.entries, valence.occurrences.tolist(), strict=True):
        counted[word.lower()] = counted.get(word.lower(), 0.0) + number
    used: dict[str, float] = {}
    for entry in range(len(isotopes.start) - 1):
        word = isotopes.lemma(entry)
        if "_" not in word and word not in counted:
            used[word] = used.get(word, 0.0) + float(isotopes.tagged[entry])
    for word in used:
        place = company.term.get(word)
        used[word] += 0.0 if place is None else float(company.frequency[place])
    first = sorted(counted, key=lambda word: (-counted[word], word))
    return (*first, *sorted(used, key=lambda word: (-used[word], len(word), word)))


def covers(vocabulary: frozenset[str], form: str, upos: str, *, classes: bool = True) -> bool:
    """Whether a table of a vocabulary has an element of its own for a word of a text, in whatever inflected form.

    Args:
        vocabulary: base forms.
        form, upos: the word.
        classes: whether what no list can hold counts too, its element being that of a class: names, numbers in digits,
            and words plainly made from a word of the list ("noncombatants").
    """
    base = cell(lemma(form, upos), upos).lower()
    if base in vocabulary or (upos == "PROPN" and any(lemma(form, tag) in vocabulary for tag in WORDNET_POS)):
        return True
    if not classes:
        return False
    made_from = read(form, upos).entry
    return upos == "PROPN" or (made_from >= 0 and load_isotopes().lemma(made_from) in vocabulary)

"""From the form in the text to the base form: WordNet's own rules, its lists of exceptions, and counted closed classes.

Source: WordNet 3.0, morphy(7WN), for nouns, verbs, adjectives and adverbs; UD English EWT for the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from periodic_table.element import OPEN, WORDNET_POS
from periodic_table.isotopes import Isotopes, load_isotopes
from periodic_table.shipped import read_lines

EXCEPTIONS = Path(__file__).parent / "data" / "morphology-exceptions.tsv"
CLOSED = Path(__file__).parent / "data" / "morphology-closed.tsv"

# Endings and what stands for them in the base form, tried in this order.
_ENDINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "n": (("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
          ("ies", "y")),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}  # fmt: skip
# Comparatives that morphy does not know: it has none of adverbs.
_MORE_ENDINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "a": (("ier", "y"), ("iest", "y")),
    "r": (("er", ""), ("est", ""), ("er", "e"), ("est", "e"), ("ier", "y"), ("iest", "y")),
}
# Longer ones are no words, and every candidate costs a copy.
LONGEST = 60


@functools.cache
def load_exceptions() -> dict[tuple[str, str], str]:
    """Irregular forms: (part of speech n, v, a or r, form) -> base form.

    Raises:
        ModelMissing, ModelCorrupt: the file is not there, or was cut.
    """
    return _read(EXCEPTIONS)


@functools.cache
def load_closed() -> dict[tuple[str, str], str]:
    """Forms of closed classes: (universal tag, form) -> base form, such as ("PRON", "me") -> "i".

    Raises:
        ModelMissing, ModelCorrupt: the file is not there, or was cut.
    """
    return _read(CLOSED)


def _read(path: Path) -> dict[tuple[str, str], str]:
    rows = (line.split("\t") for line in read_lines(path, "python -m periodic_table.build"))
    return {(tag, form): lemma for tag, form, lemma in rows}


def lemma(form: str, upos: str) -> str:
    """The base form of a word as the table has it: in lower case except for names.

    Args:
        form: as in the text.
        upos: its universal part of speech.

    Returns:
        the base form that WordNet lists; where WordNet has none, a regular ending is cut off, or the form is left. Of
        "bones", the percussion instrument, and "bone", whichever has more tagged uses. A mark that is repeated ("!!!")
        is the mark.
    """
    if upos == "PROPN":
        return str(form)
    word = form.lower().replace("’", "'")
    if upos == "PUNCT":
        return _unrepeated(word)
    if upos not in OPEN:
        return load_closed().get((upos, word), word)
    pos = WORDNET_POS.get(upos)
    if pos is None or len(word) > LONGEST:
        return word
    isotopes = load_isotopes()
    base = morphy(word, pos, isotopes)
    if base is None:
        return _regular(word, pos)
    if base == word:
        shorter = _detached(word, pos, isotopes, _ENDINGS[pos] + _MORE_ENDINGS.get(pos, ()))
        if shorter and isotopes.tagged[isotopes.entry(shorter, pos)] > isotopes.tagged[isotopes.entry(word, pos)]:
            return shorter
    return base


def cell(lemma: str, upos: str) -> str:
    """The word that stands for a base form where words are counted: "0" for all numbers in digits, else itself."""
    return "0" if upos == "NUM" and any(character.isdigit() for character in lemma) else lemma


# A word is asked for by the tagger, for its base form, and as a part of others.
@functools.lru_cache(maxsize=200_000)
def morphy(word: str, pos: str, isotopes: Isotopes) -> str | None:
    """The base form of a word of WordNet's parts of speech; None where WordNet has no such word.

    Args:
        word: in lower case.
        pos: n, v, a or r.
        isotopes: the words that there are.
    """
    known = load_exceptions().get((pos, word))
    if known is not None and isotopes.entry(known, pos) >= 0:
        return known
    if isotopes.entry(word, pos) >= 0:
        return word
    return _detached(word, pos, isotopes, _ENDINGS[pos])


def _detached(word: str, pos: str, isotopes: Isotopes, endings: Sequence[tuple[str, str]]) -> str | None:
    for ending, base in endings:
        if word.endswith(ending):
            candidate = word[: -len(ending)] + base
            if candidate and isotopes.entry(candidate, pos) >= 0:
                return candidate
    return None


def _unrepeated(mark: str) -> str:
    if len(mark) < 2 or mark != mark[0] * len(mark):
        return mark
    # Three dots are one mark; two dots or five are three badly typed.
    return "..." if mark[0] == "." else mark[0]


def _regular(word: str, pos: str) -> str:
    # A word that WordNet does not have: only what cannot well be anything else.
    if pos == "n" and len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word

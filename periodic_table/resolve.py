"""Which entry of the lexicon speaks for a word: its own, or that of a word it is plainly made from.

"blogger" has no entry and is made from "blog" (to blog); "roadsweeper" is a kind of sweeper; "unhelpfully" comes from
"unhelpful". What is made from another word takes its place in the space of coordinates from it, but has no senses.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from periodic_table.element import WORDNET_POS, check_upos
from periodic_table.isotopes import Isotopes, load_isotopes
from periodic_table.morphology import LONGEST, lemma, morphy

# (part of speech of the word, its ending, what stands for it in the base, part of speech of the base), longest first.
_SUFFIXES = (
    ("n", "fulness", "ful", "a"), ("n", "ousness", "ous", "a"), ("n", "iness", "y", "a"), ("n", "ness", "", "a"),
    ("n", "ability", "able", "a"), ("n", "ibility", "ible", "a"), ("n", "icity", "ic", "a"),
    ("n", "ality", "al", "a"), ("n", "ity", "", "a"), ("n", "ity", "e", "a"), ("n", "ization", "ize", "v"),
    ("n", "isation", "ise", "v"), ("n", "ation", "e", "v"), ("n", "ation", "", "v"), ("n", "ion", "e", "v"),
    ("n", "ion", "", "v"), ("n", "ment", "", "v"), ("n", "er", "", "v"), ("n", "er", "e", "v"), ("n", "or", "e", "v"),
    ("n", "or", "", "v"), ("n", "er", "", "n"), ("n", "ship", "", "n"), ("n", "hood", "", "n"), ("n", "ist", "", "n"),
    ("n", "ism", "", "a"), ("n", "ism", "", "n"), ("n", "ette", "", "n"), ("n", "let", "", "n"), ("n", "ie", "", "n"),
    ("a", "ably", "able", "a"), ("a", "iest", "y", "a"), ("a", "ier", "y", "a"), ("a", "like", "", "n"),
    ("a", "less", "", "n"), ("a", "ish", "", "n"), ("a", "ish", "", "a"), ("a", "ful", "", "n"),
    ("a", "able", "", "v"), ("a", "able", "e", "v"), ("a", "ic", "", "n"), ("a", "ical", "ic", "a"),
    ("a", "al", "", "n"), ("a", "ed", "", "n"), ("a", "ed", "e", "n"), ("a", "y", "", "n"), ("a", "y", "e", "n"),
    ("a", "ive", "e", "v"), ("a", "ive", "", "v"), ("r", "ically", "ic", "a"), ("r", "ily", "y", "a"),
    ("r", "ably", "able", "a"), ("r", "ibly", "ible", "a"), ("r", "ly", "", "a"), ("r", "ly", "le", "a"),
    ("r", "wise", "", "n"), ("r", "ward", "", "n"), ("r", "wards", "", "n"), ("v", "ize", "", "n"),
    ("v", "ise", "", "n"), ("v", "ify", "", "n"),
)  # fmt: skip
_PREFIXES = (
    "counter", "electro", "pseudo", "cyber", "hydro", "hyper", "inter", "micro", "multi", "photo", "psycho", "socio",
    "super", "trans", "ultra", "under", "anti", "auto", "fore", "mega", "mini", "over", "post", "self", "semi", "tele",
    "bio", "dis", "eco", "geo", "mid", "mis", "neo", "non", "out", "pre", "sub", "co", "de", "im", "in", "re", "un",
)  # fmt: skip
# Shorter parts of a compound are too often no parts.
_PART = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """A word as the lexicon reads it.

    Args:
        lemma: its base form.
        upos: its universal part of speech.
        entry: row in `Isotopes`; -1 where nothing speaks for it.
        exact: whether the entry is that of the word itself, not of one it is made from.
        same: whether the entry is of the word's own part of speech.
    """

    lemma: str
    upos: str
    entry: int
    exact: bool
    same: bool


def check_word(word: object) -> str:
    """A word, or an error.

    Raises:
        TypeError: it is not text.
    """
    if not isinstance(word, str):
        raise TypeError(f"{word!r} is not text, expected a word such as 'dog'")
    return word


@functools.lru_cache(maxsize=200_000)
def read(word: str, upos: str) -> Reading:
    """What the lexicon has for a word.

    Args:
        word: any form of it ("dogs"), or anything else that a text may hold.
        upos: its universal part of speech.

    Raises:
        periodic_table.element.UnknownTag: the tag is not universal.
        TypeError: the word is not text.
    """
    base = lemma(check_word(word), check_upos(upos))
    pos = WORDNET_POS.get(upos)
    if pos is None:
        return Reading(base, upos, -1, False, False)
    isotopes = load_isotopes()
    entry = isotopes.entry(base, pos)
    if entry >= 0:
        return Reading(base, upos, entry, True, True)
    if upos != "PROPN" and len(base) <= LONGEST:
        for other, made_from in _made_from(base, pos, isotopes):
            found = isotopes.entry(made_from, other)
            if found >= 0:
                return Reading(base, upos, found, False, other == pos)
    return Reading(base, upos, -1, False, False)


def _made_from(word: str, pos: str, isotopes: Isotopes) -> Iterator[tuple[str, str]]:
    """Words that this one may be made from, the likeliest first: (part of speech, base form)."""
    for part in ("-", "_", " ", "/"):
        head = word.rpartition(part)[2]
        if head != word and head:
            yield pos, morphy(head, pos, isotopes) or head
    for own, ending, instead, other in _SUFFIXES:
        if own == pos and word.endswith(ending) and len(word) - len(ending) >= _PART:
            yield other, word[: len(word) - len(ending)] + instead
    # Conversion: participles as adjectives, gerunds as nouns, adjectives as nouns.
    for other in {"n": "va", "a": "vn", "r": "an", "v": "n"}[pos]:
        yield other, morphy(word, other, isotopes) or ""
    for prefix in _PREFIXES:
        rest = word[len(prefix) :].lstrip("-")
        if word.startswith(prefix) and len(rest) >= _PART:
            yield pos, morphy(rest, pos, isotopes) or rest
    # Compounds: the longest last part after a first part that is a word too.
    for at in range(_PART, len(word) - _PART + 1):
        if word[:at] in isotopes:
            yield pos, morphy(word[at:], pos, isotopes) or ""

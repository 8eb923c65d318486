"""Glosses as words: definition and examples of a synset, in base forms, with breaks where a phrase ends."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

# A semicolon, a colon, a bracket or a quotation mark ends a phrase: words on its two sides do not keep company.
_TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*|[;:()]")
_QUOTED = re.compile(r'"([^"]*)"?')

FUNCTION_WORDS = frozenset({
    "a", "an", "the", "of", "to", "in", "or", "and", "for", "that", "is", "with", "by", "as", "on", "from", "be",
    "been", "am", "are", "was", "were", "at", "it", "not", "which", "who", "whom", "whose", "one", "its", "having",
    "his", "into", "being", "you", "he", "she", "they", "this", "their", "i", "her", "had", "has", "have", "can",
    "could", "do", "does", "did", "will", "would", "there", "than", "but", "so", "s", "my", "we", "our", "us", "me",
    "him", "them", "all", "some", "any", "no", "if", "when", "where", "while", "these", "those", "up", "out", "then",
    "such", "i.e", "e.g", "used", "often", "usually", "especially", "also", "etc", "very", "more", "most", "other",
    "another",
})  # fmt: skip


def phrases(gloss: str, lemma: Callable[[str], str]) -> Iterator[tuple[bool, list[str]]]:
    """The phrases of a gloss: whether it is from an example, and its words in base form, function words included.

    Args:
        gloss: as WordNet writes it: a definition, then examples in double quotes.
        lemma: word in lower case -> base form.
    """
    text = gloss.lower()
    for example, part in ((False, _QUOTED.sub(" ; ", text)), (True, " ; ".join(_QUOTED.findall(text)))):
        phrase: list[str] = []
        for token in [*_TOKEN.findall(part), ";"]:
            if token[0].isalpha():
                phrase.append(lemma(token))
            elif phrase:
                yield example, phrase
                phrase = []


def lemmatizer(morphy: Callable[[str, str], str | None]) -> Callable[[str], str]:
    """A function from a form to the base form that the first part of speech (n, v, a, r) has; function words stay.

    Args:
        morphy: (form, part of speech) -> base form, or None where there is no such word.
    """

    @functools.cache
    def lemma(form: str) -> str:
        if form in FUNCTION_WORDS:
            return form
        return next((base for pos in "nvar" if (base := morphy(form, pos))), form)

    return lemma

"""How often each written form had each part of speech in the treebank that the taggers were trained on."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.storage import Arrays
from periodic_table.tagging.looks import case, listed, normal
from periodic_table.tagging.tagger import PUNCT, SYM, TAGS, X

# A word that was seen this often is described by the parts of speech that it had, any other by what it looks like.
FREQUENT = 4
SHARE = 0.04


class FormCounts:
    """Counts of forms and, over all spellings, of words in lower case.

    Args:
        forms: as `looks.normal` gives them.
        counts: [len(forms), 17].
    """

    def __init__(self, forms: list[str], counts: NDArray[np.int64]) -> None:
        self.forms = dict(zip(forms, counts, strict=True))
        self.words: dict[str, NDArray[np.int64]] = {}
        for form, row in self.forms.items():
            word = form.lower()
            self.words[word] = self.words[word] + row if word in self.words else row

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> FormCounts:
        """Count (form, tag) pairs."""
        counted = Counter((normal(form), TAGS.index(tag)) for form, tag in pairs)
        forms = sorted({form for form, _ in counted})
        counts = np.zeros((len(forms), len(TAGS)), dtype=np.int64)
        place = {form: row for row, form in enumerate(forms)}
        for (form, tag), number in counted.items():
            counts[place[form], tag] = number
        return cls(forms, counts)

    def times(self, word: str) -> int:
        """How often a word in lower case was seen."""
        row = self.words.get(word)
        return 0 if row is None else int(row.sum())

    def certain(self, form: str) -> int | None:
        """The tag that needs no evidence: X for what is blank; PUNCT or SYM for signs that were never seen."""
        if not form or form.isspace():
            return X
        if form in self.forms or any(character.isalnum() for character in form):
            return None
        return PUNCT if all(unicodedata.category(character)[0] == "P" for character in form) else SYM

    def kind(self, form: str) -> str:
        """What a neighbour needs to know of a word: the parts of speech that it can have, or else how it looks."""
        word, star = form.lower(), "*" if case(form) != "l" else ""
        row = self.words.get(word)
        if row is not None and (total := row.sum()) >= FREQUENT:
            return "|".join(TAGS[tag] for tag in np.flatnonzero(row > SHARE * total).tolist()) + star
        return f"? {listed(word)} -{word[-2:]}{star}"

    def pack(self) -> Arrays:
        """As arrays to store."""
        rows, tags = np.nonzero(np.stack(list(self.forms.values())))
        counts = np.stack(list(self.forms.values()))[rows, tags]
        return {
            "forms": np.frombuffer("\n".join(self.forms).encode("utf-8"), dtype=np.uint8),
            "form_size": np.bincount(rows).astype(np.uint8),
            "form_tags": tags.astype(np.uint8),
            "form_counts": counts.astype(np.uint16),
        }

    @classmethod
    def unpack(cls, arrays: Arrays) -> FormCounts:
        """The inverse of `pack`."""
        forms = arrays["forms"].tobytes().decode("utf-8").split("\n")
        counts = np.zeros((len(forms), len(TAGS)), dtype=np.int64)
        rows = np.repeat(np.arange(len(forms)), arrays["form_size"].astype(np.int64))
        counts[rows, arrays["form_tags"].astype(np.int64)] = arrays["form_counts"]
        return cls(forms, counts)

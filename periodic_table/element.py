"""An element: one word in one part of speech, with what is known of it before any sentence is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The 17 universal parts of speech, in the order of the Universal Dependencies documentation (open, closed, other).
UPOS = (
    "ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB",
    "ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ",
    "PUNCT", "SYM", "X",
)  # fmt: skip
OPEN = frozenset(UPOS[:6])

# UD tags as WordNet's parts of speech; words of the other tags have no senses.
WORDNET_POS: dict[str, Literal["n", "v", "a", "r"]] = {
    "NOUN": "n", "PROPN": "n", "VERB": "v", "ADJ": "a", "ADV": "r",
}  # fmt: skip

Role = Literal["head", "dependent"]


class UnknownTag(ValueError):
    """A part-of-speech tag that is not one of the 17 universal ones."""


@dataclass(frozen=True, slots=True)
class Site:
    """One bonding site: a relation that the word takes part in, the end it takes, and how often.

    Args:
        relation: universal dependency relation, such as "obj"; a few subtypes are kept ("nmod:poss").
        role: "head", the word has such a dependent; "dependent", the word hangs on its head by it.
        expected: expected number of such bonds of one occurrence of the word, >= 0; of all sites with the role
            "dependent", at most 1 together.
    """

    relation: str
    role: Role
    expected: float


@dataclass(frozen=True, slots=True)
class Isotope:
    """One sense of a word, and how likely it is.

    Args:
        synset: name of the WordNet synset, such as "dog.n.01"; None in the table made by hand, which tells senses by
            their supersense.
        supersense: its lexicographer file, such as "noun.animal".
        probability: between 0 and 1; over all isotopes of an element they add up to 1.
    """

    synset: str | None
    supersense: str
    probability: float

    @property
    def name(self) -> str:
        """The synset, or the supersense where there is none."""
        return self.synset or self.supersense


@dataclass(frozen=True, slots=True)
class Element:
    """A word as an element of the table.

    Args:
        lemma: base form, in lower case except for names.
        pos: one of the 17 universal parts of speech: the block.
        supersense: the likeliest WordNet lexicographer file; None where the word has no sense in WordNet.
        verb_class: the likeliest VerbNet class, such as "give-13.1"; None for all but verbs.
        abstraction: 1 (a thing that can be touched) to 5 (grammar, or a thought of a thought): the period.
        valence: bonding sites, the fullest first: the group.
        senses: senses with their probabilities, the likeliest first; empty where WordNet has none.
    """

    lemma: str
    pos: str
    supersense: str | None
    verb_class: str | None
    abstraction: int
    valence: tuple[Site, ...]
    senses: tuple[Isotope, ...]


def check_upos(tag: object) -> str:
    """A universal tag, or an error.

    Raises:
        UnknownTag: it is not one; the message lists the 17.
    """
    if not isinstance(tag, str) or tag not in UPOS:
        raise UnknownTag(f"{tag!r} is not a universal part of speech; expected one of {', '.join(UPOS)}")
    return str(tag)

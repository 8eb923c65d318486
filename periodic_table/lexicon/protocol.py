"""What a lexicon can be asked, whatever it is read from.

WordNet's vocabulary: a *synset* is a set of words that share one meaning, and a *sense* is one word in one synset. A
synset is named by its first word, its part of speech and a number ("dog.n.01"). A *lexname* is the lexicographer file
it was written in ("noun.animal"), one of 45 coarse classes that the field also calls supersenses.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Pos = Literal["n", "v", "a", "s", "r"]

# Noun, verb, adjective, adjective satellite, adverb: the order in which the parts of speech are listed everywhere.
POS: tuple[Pos, ...] = ("n", "v", "a", "s", "r")


class LexiconMissing(LookupError):
    """A lexicon whose files, or whose library, are not there."""


class LexiconCorrupt(ValueError):
    """A lexicon file whose content is not what its checksum, its format or its known size says."""


class UnknownSynset(KeyError):
    """A synset name that the lexicon does not have."""


@dataclass(frozen=True, slots=True)
class Sense:
    """One meaning of one word.

    Args:
        lemma: the word, lower case, with underscores for spaces.
        pos: part of speech of the synset; "s" is an adjective satellite.
        number: WordNet's sense number of the lemma, from 1; never against the counts, and by the lexicographers' choice
            where these are equal. Adjectives and satellites are numbered together.
        count: how often the sense occurs in WordNet's sense-tagged texts (mostly SemCor); 0 for most.
        synset: name of the synset.
        lexname: its lexicographer file.
    """

    lemma: str
    pos: Pos
    number: int
    count: int
    synset: str
    lexname: str


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning, the words that have it, and what it is a kind of.

    Args:
        name: as in NLTK 3.9.2 and later, such as "dog.n.01". The number of a satellite counts the satellites of its
            first word only.
        pos: "s" is an adjective satellite.
        lexname: lexicographer file, such as "noun.animal".
        lemmas: the words as they are written ("Canis_familiaris"), in WordNet's order.
        hypernyms: names of the synsets that this is a kind of, sorted.
        instance_hypernyms: names of the synsets that this is a single case of (a city of "city.n.01"), sorted.
    """

    name: str
    pos: Pos
    lexname: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]
    instance_hypernyms: tuple[str, ...]


class Lexicon(Protocol):
    """Read access to the words and meanings of one version of one lexicon.

    Args:
        name: which lexicon and which reader ("wordnet-3.0-extract").
        version: version of the lexicon's content ("3.0").
        lexnames: all lexicographer files, in WordNet's numbering.
    """

    name: str
    version: str
    lexnames: tuple[str, ...]

    def lemmas(self) -> Sequence[str]:
        """All words in lower case, sorted, each once."""

    def synsets(self, pos: Pos | None = None) -> Iterator[Synset]:
        """All synsets, or those of one part of speech ("a" with its satellites), in the order of WordNet's files."""

    def sizes(self) -> dict[Pos, int]:
        """How many synsets each part of speech has; "a" here without the satellites, which are under "s"."""

    def senses(self, lemma: str, pos: Pos | None = None) -> tuple[Sense, ...]:
        """The meanings of a word in the order of their sense numbers; an unknown word has none.

        Args:
            lemma: a base form ("dog", not "dogs"); case and the choice of space or underscore do not matter.
            pos: one part of speech ("a" with its satellites); without it, nouns, verbs, adjectives, adverbs in turn.

        Raises:
            ValueError: `pos` is not a part of speech.
            TypeError: `lemma` is not text.
        """

    def synset(self, name: str) -> Synset:
        """The synset of a name: its own, or any of its words with the number of that word's sense.

        Raises:
            UnknownSynset: there is none; the message lists near matches.
            TypeError: `name` is not text.
        """

    def hyponyms(self, name: str) -> tuple[str, ...]:
        """Names of the synsets that are a kind of this one, sorted; one step down.

        Raises:
            UnknownSynset: see `synset`.
        """

    def instance_hyponyms(self, name: str) -> tuple[str, ...]:
        """Names of the synsets that are single cases of this one, sorted; one step down.

        Raises:
            UnknownSynset: see `synset`.
        """

    def subtree(self, root: str) -> list[tuple[str, str]]:
        """Everything below a synset, as edges.

        edges = {(child, parent): parent a direct or instance hypernym of child, both the root or below it}

        Args:
            root: name of a synset.

        Returns:
            (child, parent) pairs of names, sorted, each once. A child may have several parents.

        Raises:
            UnknownSynset: see `synset`.

        Cost: O(edges log edges); half a second for all nouns in the snapshot.
        """
        inside = {self.synset(root).name}
        frontier = list(inside)
        while frontier:
            name = frontier.pop()
            below = {*self.hyponyms(name), *self.instance_hyponyms(name)} - inside
            inside |= below
            frontier.extend(below)
        return sorted((child, parent) for child in inside for parent in self._parents(child) if parent in inside)

    def _parents(self, name: str) -> set[str]:
        synset = self.synset(name)
        return {*synset.hypernyms, *synset.instance_hypernyms}


def check_pos(pos: str | None) -> None:
    """Refuse a part of speech that WordNet does not have.

    Raises:
        ValueError: says what came and what there is.
    """
    if pos is not None and pos not in POS:
        raise ValueError(f"part of speech {pos!r}, expected one of {', '.join(POS)} or None for all")


def covers(wanted: str | None, pos: Pos) -> bool:
    """Whether a request for `wanted` includes synsets of `pos`: None wants all, "a" wants satellites too."""
    return wanted is None or wanted == pos or (wanted, pos) == ("a", "s")


def normal(word: str) -> str:
    """A word as lexicons list it: lower case, underscores for spaces.

    Raises:
        TypeError: it is not text.
    """
    if not isinstance(word, str):
        raise TypeError(f"{word!r} is not text, expected a word such as 'dog' or a synset such as 'dog.n.01'")
    return word.lower().replace(" ", "_")


def unknown_synset(lexicon: Lexicon, name: str) -> UnknownSynset:
    """The error for a name that is not there, with near matches: other senses of the word, or words like it."""
    lemma = normal(name).rsplit(".", 2)[0]
    near = [sense.synset for sense in lexicon.senses(lemma)]
    if not near:
        # Only words that begin alike: comparing with all 147,306 takes seconds.
        candidates = [word for word in lexicon.lemmas() if word[:2] == lemma[:2]]
        near = [lexicon.senses(word)[0].synset for word in difflib.get_close_matches(lemma, candidates)]
    # Two words may share a synset.
    hint = f"near matches: {', '.join(list(dict.fromkeys(near))[:8])}" if near else "expected a name such as 'dog.n.01'"
    return UnknownSynset(f"no synset {name!r} in {lexicon.name}; {hint}")

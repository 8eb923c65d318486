"""The rules of the original ASA (v2.2), rebuilt to be compared with.

    sees(i, j) = i = j, or compatible[tag_i, tag_j] and not (i is PRON, j is NOUN or PROPN, and j lacks what i asks for)
    bias(i, j) = ALPHA * sees(i, j) * <asked_i, has_j> / (number asked_i + 1e-6)

What they take for granted stands in data/bonds-original.toml. Their known faults are kept: a name is concrete and
nothing else, so "she" never sees "Mary"; adjectives and verbs have no features; only the word that looks asks for
anything.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from periodic_table.bonding.rules import (
    Block,
    Bonds,
    ClassTables,
    Rules,
    UnknownRules,
    blocked,
    check_class,
    near,
    tagged,
)
from periodic_table.lexicon import load_lexicon
from periodic_table.morphology import lemma
from periodic_table.shipped import DATA, ModelCorrupt, ModelMissing
from periodic_table.tagging.looks import normal
from periodic_table.tagging.tagger import TAGS

Mode = Literal["full", "pos_only", "features_only", "none"]

FACTS = DATA / "bonds-original.toml"
ALPHA = 1.0
_NOUNS = ("NOUN", "PROPN")


@dataclass(frozen=True, eq=False)
class Facts:
    """The content of the data file.

    Args:
        compatible: bool[17, 17], tags in the order of `TAGS`.
        features: the 15 features.
        of_synset: synset -> features.
        pronouns, verbs: word -> features that it asks for.
    """

    compatible: NDArray[np.bool_]
    features: tuple[str, ...]
    of_synset: Mapping[str, frozenset[str]]
    pronouns: Mapping[str, frozenset[str]]
    verbs: Mapping[str, frozenset[str]]


@functools.cache
def load_facts() -> Facts:
    """Read the data file.

    Raises:
        ModelMissing: it is not there.
        ModelCorrupt: it is not such a file.
    """
    try:
        table = tomllib.loads(FACTS.read_text(encoding="utf-8"))
        compatible = np.eye(len(TAGS), dtype=bool)
        for tag, others in {**table["compatible"], "PUNCT": TAGS}.items():
            for other in others:
                compatible[TAGS.index(tag), TAGS.index(other)] = compatible[TAGS.index(other), TAGS.index(tag)] = True
        features = table["features"]
        names = {synset for synsets in features.values() for synset in synsets}
        return Facts(
            compatible,
            tuple(features),
            {name: frozenset(feature for feature in features if name in features[feature]) for name in names},
            _asked(table["pronouns"]),
            _asked(table["verbs"]),
        )
    except FileNotFoundError as error:
        raise ModelMissing(f"{FACTS} is not there; reinstall atomic-semantic-attention") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ModelCorrupt(
            f"{FACTS} is not a file of facts ({error!r}); reinstall atomic-semantic-attention"
        ) from error


def _asked(groups: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    return {
        word: frozenset() if group == "none" else frozenset(group.split("-"))
        for group, words in groups.items()
        for word in words
    }


class OriginalRules(Rules):
    """The original's rules in one of its four modes.

    Args:
        mode: "full"; "pos_only", the table of tags alone; "features_only", the bias alone; "none", everything sees
            everything.
        block: "hard", or "soft" for a penalty of 10 nats.

    Raises:
        UnknownRules: there is no such mode, or no such way of blocking.
    """

    causal = True

    def __init__(self, mode: Mode = "full", block: Block = "hard") -> None:
        if mode not in get_args(Mode):
            raise UnknownRules(f"no mode {mode!r}; there are: {', '.join(get_args(Mode))}")
        blocked(np.ones((1, 1), dtype=bool), np.zeros((1, 1), dtype=np.float32), block)
        self.mode, self.block, self.name = mode, block, f"original {mode}"

    def bonds(self, words: Sequence[str], upos: Sequence[str] | None = None) -> Bonds:
        """The bonds of a text: see `Rules`."""
        words, tags = tagged(words, upos)
        facts = load_facts()
        tag = np.array([TAGS.index(name) for name in tags], dtype=np.int64)
        everything = np.ones((len(words), len(words)), dtype=bool)
        compatible = facts.compatible[np.ix_(tag, tag)] if self.mode in ("full", "pos_only") else everything
        has, asks = self._features(words, tags)
        met = asks @ has.T
        number = asks.sum(axis=1, keepdims=True)
        lacking = everything & False
        if self.mode == "full":
            pairs = np.outer(tag == TAGS.index("PRON"), np.isin(tag, [TAGS.index(name) for name in _NOUNS]))
            lacking = pairs & (met < number)
        allow = (compatible & ~lacking) | near(len(words), 1)
        share = met / (number + 1e-6) if self.mode in ("full", "features_only") else np.zeros(allow.shape)
        bias = (ALPHA * share * allow).astype(np.float32)

        def reason(i: int, j: int) -> str:
            if not compatible[i, j]:
                return f"the tags {tags[i]} and {tags[j]} are not compatible"
            wanted = _listed(words[i], facts.features, asks[i])
            if lacking[i, j]:
                return f"the pronoun {wanted}, and {_listed(words[j], facts.features, has[j], 'is')}"
            why = (
                f"the tags {tags[i]} and {tags[j]} are compatible"
                if compatible is not everything
                else "nothing is blocked"
            )
            return f"{why}; {wanted}, which gives {bias[i, j]:+.2f}" if bias[i, j] else why

        return Bonds(words, tags, *blocked(allow, bias, self.block), reason)

    def tables(self) -> ClassTables:
        """The rules as a table over the 17 tags, in alphabetical order, as `classes(..., size=17)` numbers them.

        Raises:
            UnknownRules: the mode is not a matter of tags alone.
        """
        if self.mode in ("full", "features_only"):
            raise UnknownRules(f"mode {self.mode!r} looks at words, not only at tags; use bonds(), or mode 'pos_only'")
        allow = load_facts().compatible if self.mode == "pos_only" else np.ones((len(TAGS), len(TAGS)), dtype=bool)
        return ClassTables(*blocked(allow, np.zeros(allow.shape, dtype=np.float32), self.block), TAGS)

    def explain(self, later: int, earlier: int) -> str:
        """Why a word with one tag sees one with another, or not: see `Rules`; `tables` says of which modes."""
        allow = self.tables().allow
        pair = check_class(later, len(TAGS)), check_class(earlier, len(TAGS))
        if self.mode == "none":
            return "nothing is blocked"
        soft = ", which costs 10 nats" if allow[pair] and not load_facts().compatible[pair] else ""
        verb = "are" if load_facts().compatible[pair] else "are not"
        return f"the tags {TAGS[pair[0]]} and {TAGS[pair[1]]} {verb} compatible{soft}"

    def _features(self, words: Sequence[str], tags: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        names = load_facts().features
        both = [has_and_asks(normal(word), tag) for word, tag in zip(words, tags, strict=True)]
        rows = [[[name in side for name in names] for side in pair] for pair in both]
        has, asks = np.array(rows, dtype=np.float64).reshape(len(words), 2, len(names)).swapaxes(0, 1)
        return has, asks


@functools.lru_cache(maxsize=100_000)
def has_and_asks(word: str, upos: str) -> tuple[frozenset[str], frozenset[str]]:
    """The features that a word has, and those that it asks for."""
    nothing, facts = frozenset[str](), load_facts()
    if upos == "VERB":
        return nothing, facts.verbs.get(lemma(word, upos), nothing)
    if upos == "PRON":
        asked = facts.pronouns.get(word.lower(), nothing)
        return asked, asked
    if upos not in _NOUNS:
        return nothing, nothing
    base = lemma(word, upos).lower()
    senses = load_lexicon().senses(base, "n")
    return (_features_of(senses[0].synset) if senses else nothing) or frozenset({"concrete"}), nothing


@functools.cache
def _features_of(synset: str) -> frozenset[str]:
    found = load_facts().of_synset.get(synset, frozenset())
    return found.union(*(_features_of(above) for above in load_lexicon().synset(synset).hypernyms))


def _listed(word: str, names: Sequence[str], row: NDArray[np.float64], verb: str = "asks for") -> str:
    return f"{word!r} {verb} {' and '.join(np.array(names)[row > 0]) or 'nothing'}"

"""What lexicons say of verbs: WordNet's sentence frames, VerbNet's roles, restrictions and predicates."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from periodic_table.isotopes import load_isotopes
from periodic_table.lexicon.relations import load_relations
from periodic_table.lexicon.verbnet import VerbClass, load_verbnet

# WordNet's 35 sentence frames, wnframes(5WN), shortened: SB somebody, STH something.
FRAMES = (
    "STH --s", "SB --s", "it is --ing", "STH is --ing PP", "STH --s STH ADJ/N", "STH --s ADJ/N", "SB --s ADJ",
    "SB --s STH", "SB --s SB", "STH --s SB", "STH --s STH", "STH --s to SB", "SB --s on STH", "SB --s SB STH",
    "SB --s STH to SB", "SB --s STH from SB", "SB --s SB with STH", "SB --s SB of STH", "SB --s STH on SB",
    "SB --s SB PP", "SB --s STH PP", "SB --s PP", "SB's body --s", "SB --s SB to INF", "SB --s SB INF",
    "SB --s that CLAUSE", "SB --s to SB", "SB --s to INF", "SB --s whether INF", "SB --s SB into V-ing STH",
    "SB --s STH with STH", "SB --s INF", "SB --s V-ing", "it --s that CLAUSE", "STH --s INF",
)  # fmt: skip
# A feature of fewer classes would stand for these classes alone.
LEAST = 8


@functools.cache
def class_features() -> tuple[str, ...]:
    """What at least `LEAST` of VerbNet's classes have in common: roles, restrictions on roles, and predicates."""
    verbnet = load_verbnet()
    number = Counter(feature for name in verbnet.names() for feature in _features(verbnet.verb_class(name)))
    return tuple(sorted(feature for feature, classes in number.items() if classes >= LEAST))


def class_weights(verb: str, senses: Mapping[str, float]) -> dict[str, float]:
    """How likely each VerbNet class of a verb is.

    Args:
        verb: base form.
        senses: name of a synset -> its probability.

    Returns:
        class -> weight, proportional to the probability of the senses that VerbNet lists for it; weights add up to 1. A
        class without known senses counts as one of the least likely senses.
    """
    classes = load_verbnet().classes(verb)
    least = min(senses.values(), default=1.0)
    weights = {
        name: max(least, sum(senses.get(synset, 0.0) for synset in synsets)) for name, synsets in classes.items()
    }
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def class_profile(verb: str, senses: Mapping[str, float]) -> NDArray[np.float64]:
    """How likely a verb has each of `class_features`, [features]; zeros for a verb that VerbNet does not have."""
    index = _index()
    out = np.zeros(len(index))
    for name, weight in class_weights(verb, senses).items():
        out[_columns(name)] += weight
    return out


def frame_features(entries: NDArray[np.int64]) -> NDArray[np.float64]:
    """How likely each entry of `Isotopes` is used in each of WordNet's frames, [len(entries), 35].

    A frame that WordNet gives to one word of a synset alone counts for all its words.
    """
    isotopes = load_isotopes()
    out = np.zeros((len(entries), len(FRAMES)))
    verbs = np.flatnonzero(isotopes.are_verbs(entries))
    out[verbs] = isotopes.spread(entries[verbs], _allowed())
    return out


@functools.cache
def _allowed() -> NDArray[np.float32]:
    allowed = np.zeros((len(load_isotopes().synset_pos), len(FRAMES)), dtype=np.float32)
    synset, _, frame = load_relations().frames.T
    allowed[synset, frame - 1] = 1.0
    return allowed


@functools.cache
def _index() -> dict[str, int]:
    return {feature: place for place, feature in enumerate(class_features())}


@functools.cache
def _columns(name: str) -> list[int]:
    index = _index()
    return sorted({index[feature] for feature in _features(load_verbnet().verb_class(name)) if feature in index})


def _features(verb_class: VerbClass) -> set[str]:
    roles = {f"role {role}" for role in verb_class.roles}
    restrictions = {f"{role} {what}" for role, restricted in verb_class.roles.items() for what in restricted}
    return roles | restrictions | {f"predicate {predicate}" for predicate in verb_class.predicates}

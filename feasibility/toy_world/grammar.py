"""A toy world as a probabilistic context-free grammar whose symbols carry features: noun class and number.

    world = build_world(alignment=1.0)      # words stand where a speaker of English would put them
    world = build_world(alignment=0.0)      # the same grammar, every noun, verb and adjective in another's place

The grammar speaks of *places*, 100 of them, each with its selection and its frequency. A world deals words out to the
places. All worlds are thus the same law with other names: whatever does not know the names cannot tell them apart, and
the entropy is the same to the last digit. Only what is known of a word beforehand helps in one and misleads in another.

Axes: `X` symbols (preterminals first), `P` preterminals, `W` places, `R` binary rules, `U` unary rules.
"""

from __future__ import annotations

import itertools
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from periodic_table import PeriodicTable

FORMAT = "toy_world.v1"
OPEN = ("NOUN", "VERB", "ADJ")
NUMBERS = {"sg": 0.7, "pl": 0.3}
# Frequencies of the places of one part of speech fall as 1 / rank.
ZIPF = 1.0
# Of the ranks: part of what the world is, and so the same for every experiment.
RANK_SEED = 2026
# Whose words head a phrase of two.
FIRST, SECOND, BOTH = 0, 1, 2
# What a rule bonds: nothing; the first phrase as what the second is said of; the second as object of the first; a noun
# after its adjective.
NO_BOND, SUBJECT, OBJECT, MODIFIER = 0, 1, 2, 3


# Compared and hashed as the one object that it is: arrays have no equality of their own.
@dataclass(frozen=True, eq=False)
class World:
    """A grammar over places, and the words that stand in them.

    Args:
        alignment: share of the open-class words that stand in their own place.
        words: [W] (lemma, universal part of speech) of the word in each place.
        pos: [W] the part of speech that a place asks for; that of its word, too.
        own: [W] int64, which place is the word's own: the identity where the alignment is 1.
        symbols: names; preterminals first, the start symbol last.
        binary: [R, 3] int64, left side and two children.
        binary_p: [R] float64, probability given the left side.
        heads, bonds: [R] int64, whose words head the whole, and what the rule bonds.
        unary: [U, 2] int64, left side and child; a child's rules come before its parent's.
        unary_p: [U] float64.
        emission: [P, W] float64, probability of each place given the preterminal.
        licensed: [2, W, W] bool, [kind, selector, noun]: kind 0 for subjects and for nouns of adjectives, 1 for
            objects; whether the grammar can ever bond the two so.
    """

    alignment: float
    words: tuple[tuple[str, str], ...]
    pos: tuple[str, ...]
    own: NDArray[np.int64]
    symbols: tuple[str, ...]
    binary: NDArray[np.int64]
    binary_p: NDArray[np.float64]
    heads: NDArray[np.int64]
    bonds: NDArray[np.int64]
    unary: NDArray[np.int64]
    unary_p: NDArray[np.float64]
    emission: NDArray[np.float64]
    licensed: NDArray[np.bool_]

    @property
    def start(self) -> int:
        """The symbol of a whole sentence."""
        return len(self.symbols) - 1

    def text(self, sentence: Iterable[int]) -> str:
        """A sentence of places as words."""
        return " ".join(self.words[place][0] for place in sentence)


@cache
def build_world(alignment: float = 1.0, seed: int = 0) -> World:
    """The shipped world with its words dealt out.

    Args:
        alignment: share of the nouns, verbs and adjectives that keep their place; the others go round in one circle
            for each part of speech, so that none of them keeps it.
        seed: of which words move, and where to.

    Raises:
        ValueError: alignment outside [0, 1].
    """
    if not 0.0 <= alignment <= 1.0:
        raise ValueError(f"alignment must lie in [0, 1], got {alignment}")
    grammar = _grammar()
    own = _deal(grammar["pos"], alignment, np.random.default_rng(seed))
    return World(alignment=alignment, own=own, words=tuple(grammar["words"][w] for w in own),
                 **{name: grammar[name] for name in grammar if name != "words"})  # fmt: skip


def _deal(pos: tuple[str, ...], alignment: float, rng: np.random.Generator) -> NDArray[np.int64]:
    own = np.arange(len(pos))
    for tag in OPEN:
        members = np.flatnonzero(np.array(pos) == tag)
        moved = rng.permutation(members)[: round((1.0 - alignment) * len(members))]
        own[moved] = np.roll(moved, 1)
    return own


@cache
def _grammar() -> dict[str, Any]:
    """Everything of a world that does not depend on how the words are dealt out."""
    plan = tomllib.loads(files(__package__).joinpath("world.toml").read_text(encoding="utf-8"))
    if plan["format"] != FORMAT:
        raise ValueError(f"world.toml has format {plan['format']!r}, expected {FORMAT!r}")
    words = tuple((element.lemma, element.pos) for element in PeriodicTable.load("v0.1"))
    lexicon = _lexicon(plan)
    rules = [*_clauses(plan), *_verb_phrases(plan), *_noun_phrases(plan)]
    symbols, index = _symbols(rules, lexicon)
    total: defaultdict[str, float] = defaultdict(float)
    for left, _, weight, *_ in rules:
        total[left] += weight
    two = [rule for rule in rules if len(rule[1]) == 2]
    one = sorted((rule for rule in rules if len(rule[1]) == 1), key=lambda rule: index[rule[0]])
    return {
        "words": words,
        "pos": tuple(pos for _, pos in words),
        "symbols": symbols,
        "binary": np.array([[index[left], *(index[s] for s in right)] for left, right, *_ in two]),
        "binary_p": np.array([weight / total[left] for left, _, weight, *_ in two]),
        "heads": np.array([head for *_, head, _ in two]),
        "bonds": np.array([bond for *_, bond in two]),
        "unary": np.array([[index[left], index[right[0]]] for left, right, *_ in one]),
        "unary_p": np.array([weight / total[left] for left, _, weight, *_ in one]),
        "emission": _emission(words, lexicon),
        "licensed": _licensed(plan, words),
    }


# A rule: left side, right side, weight, whose words head it, what it bonds.
Rule = tuple[str, tuple[str, ...], float, int, int]


def _rule(left: str, right: str, weight: float, head: int = FIRST, bond: int = NO_BOND) -> Rule:
    return left, tuple(right.split()), weight, head, bond


def _clauses(plan: Mapping[str, Any]) -> list[Rule]:
    rules = [
        _rule("S", "CL", 8),
        _rule("S", "CL IFC", 1),
        _rule("S", "yes YC", 1),
        _rule("IFC", "if CL", 1),
        _rule("YC", ", CL", 1),
        _rule("CL", "it RAIN", 2),
        _rule("RAIN", "be V.weather", 3),
        _rule("RAIN", "can V.weather", 1),
    ]
    for noun, weight in plan["weights"].items():
        for number, share in NUMBERS.items():
            rules.append(_rule("CL", f"NP.{noun}.{number} VP.{noun}.{number}", 2 * weight * share, SECOND, SUBJECT))
    return rules


def _verb_phrases(plan: Mapping[str, Any]) -> list[Rule]:
    rules = []
    for noun in plan["nouns"]:
        vp, vb = f"VP.{noun}", f"VB.{noun}"
        # Agreement: a singular subject asks for an auxiliary, which "be" is where nothing else is meant.
        rules += [
            _rule(f"{vp}.sg", f"be {vb}", 6, SECOND),
            _rule(f"{vp}.sg", f"be NV.{noun}", 1, SECOND),
            _rule(f"{vp}.sg", f"be AP.{noun}", 2, SECOND),
            _rule(f"{vp}.pl", vb, 6),
        ]
        for number, (said, weight) in itertools.product(NUMBERS, {"VB": 2, "NV": 1, "CP": 1}.items()):
            rules.append(_rule(f"{vp}.{number}", f"can {said}.{noun}", weight, SECOND))
        rules += [
            _rule(f"NV.{noun}", f"not {vb}", 1, SECOND),
            _rule(f"CP.{noun}", f"be AP.{noun}", 1, SECOND),
            _rule(vb, f"{vb} ADV", 1),
            _rule(vb, f"never {vb}", 0.5, SECOND),
            *(_rule(vb, f"{vb} PP.{p}", 1) for p, of in plan["prepositions"].items() if of["verbal"]),
        ]
    for name, frame in plan["verbs"].items():
        rules += _frame(name, frame, plan)
    return rules


def _frame(name: str, frame: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Rule]:
    """A verb's frame: T is the verb with all that it asks for but the subject."""
    verb, full = f"V.{name}", f"T.{name}"
    rules: list[Rule] = []
    for noun in frame.get("subjects", ()):
        if frame.get("adjective"):
            # What seems happy is what is happy: both words head the phrase and bond to its subject.
            rules.append(_rule(f"VB.{noun}", f"{verb} AP.{noun}", 1, BOTH))
        else:
            rules.append(_rule(f"VB.{noun}", full if len(frame) > 2 else verb, 2))
    if "objects" in frame:
        inner = f"U.{name}" if "second" in frame or frame.get("goal") else full
        for phrase, weight in _phrases(frame["objects"], plan):
            rules.append(_rule(inner, f"{verb} {phrase}", weight, FIRST, OBJECT))
        for phrase, weight in _phrases(frame.get("second", ()), plan):
            rules.append(_rule(full, f"{inner} {phrase}", weight, FIRST, OBJECT))
        if frame.get("goal"):
            rules.append(_rule(full, f"{inner} PP.in", 1))
    if frame.get("clause"):
        rules.append(_rule(full, f"{verb} CL", 1))
    return rules


def _noun_phrases(plan: Mapping[str, Any]) -> list[Rule]:
    rules = [_rule("NP.measure.pl", "$ two", 1), _rule("NP.person.sg", "she", 2), _rule("NP.person.pl", "i", 4)]
    rules += [_rule("NP.person.sg", "Mary", 2), _rule("NP.place.sg", "Paris", 2)]
    rules += [_rule(f"NP.{noun}.sg", "it", 1) for noun in ("animal", "thing")]
    for number in NUMBERS:
        rules.append(_rule(f"NP.person.{number}", f"NP.person.{number} RC.{number}", 1, FIRST, SUBJECT))
        rules.append(_rule(f"RC.{number}", f"who VP.person.{number}", 1, SECOND))
    for noun in plan["nouns"]:
        rules += [
            _rule(f"NP.{noun}.sg", f"DET NB.{noun}", 10, SECOND),
            _rule(f"NP.{noun}.pl", f"two NB.{noun}", 6, SECOND),
            _rule(f"NB.{noun}", f"N.{noun}", 3),
            _rule(f"NB.{noun}", f"AP.{noun} NB.{noun}", 1, SECOND, MODIFIER),
            _rule(f"AP.{noun}", f"very AP.{noun}", 0.3, SECOND),
            *(_rule(f"AP.{noun}", f"A.{a}", 1) for a, of in plan["adjectives"].items() if noun in of["nouns"]),
            _rule(f"LC.{noun}", f", LE.{noun}", 1, SECOND),
        ]
        for number, share in NUMBERS.items():
            phrase = f"NP.{noun}.{number}"
            rules += [_rule(phrase, f"{phrase} PP.{p}", 0.7) for p in plan["prepositions"]]
            rules += [
                _rule(f"NP.{noun}.pl", f"{phrase} AC.{noun}", 2 * share, BOTH),
                _rule(f"NP.{noun}.pl", f"{phrase} LC.{noun}", share, BOTH),
                _rule(f"AC.{noun}", f"and {phrase}", share, SECOND),
                _rule(f"LE.{noun}", f"{phrase} etc.", share),
            ]
    for p, of in plan["prepositions"].items():
        rules += [_rule(f"PP.{p}", f"{p} {phrase}", weight) for phrase, weight in _phrases(of["nouns"], plan)]
    return rules


def _phrases(nouns: Iterable[str], plan: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Noun phrases of these classes in both numbers, with their weights."""
    return [(f"NP.{c}.{n}", plan["weights"][c] * share) for c in nouns for n, share in NUMBERS.items()]


def _lexicon(plan: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """Preterminal -> part of speech, and its words. A word of the closed classes is mostly a preterminal of its own."""
    closed = {"she": "PRON", "i": "PRON", "it": "PRON", "who": "PRON", "Mary": "PROPN", "Paris": "PROPN",
              "of": "ADP", "in": "ADP", "with": "ADP", "be": "AUX", "can": "AUX", "and": "CCONJ", "if": "SCONJ",
              "not": "PART", "two": "NUM", "yes": "INTJ", ",": "PUNCT", "$": "SYM", "etc.": "X", "never": "ADV",
              "very": "ADV"}  # fmt: skip
    return {
        **{f"N.{name}": ("NOUN", words) for name, words in plan["nouns"].items()},
        **{f"V.{name}": ("VERB", frame["words"]) for name, frame in plan["verbs"].items()},
        **{f"A.{name}": ("ADJ", of["words"]) for name, of in plan["adjectives"].items()},
        "DET": ("", ["the", "every", "my"]),
        "ADV": ("ADV", ["here", "quickly"]),
        **{word: (pos, [word]) for word, pos in closed.items()},
    }


def _symbols(rules: list[Rule], lexicon: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Preterminals, then the others, each after those that it can become through a rule of one child; S last."""
    graph: dict[str, dict[str, None]] = {left: {} for left, *_ in rules}
    for left, right, *_ in rules:
        if len(right) == 1 and right[0] in graph:
            graph[left][right[0]] = None
    order = [symbol for symbol in TopologicalSorter(graph).static_order() if symbol != "S"]
    symbols = (*lexicon, *order, "S")
    return symbols, {symbol: number for number, symbol in enumerate(symbols)}


def _emission(words: tuple[tuple[str, str], ...], lexicon: Mapping[str, Any]) -> NDArray[np.float64]:
    """Zipfian by a rank that is drawn once for each part of speech and knows nothing of the words."""
    rng, place = np.random.default_rng(RANK_SEED), {word: number for number, word in enumerate(words)}
    frequency = np.zeros(len(words))
    for pos in dict.fromkeys(pos for _, pos in words):
        members = [number for number, word in enumerate(words) if word[1] == pos]
        frequency[members] = (1.0 + rng.permutation(len(members))) ** -ZIPF
    emission = np.zeros((len(lexicon), len(words)))
    for row, (pos, names) in enumerate(lexicon.values()):
        places = [place[name, pos or ("PRON" if name == "my" else "DET")] for name in names]
        emission[row, places] = frequency[places] / frequency[places].sum()
    return emission


def _licensed(plan: Mapping[str, Any], words: tuple[tuple[str, str], ...]) -> NDArray[np.bool_]:
    place = {word: number for number, word in enumerate(words)}
    nouns = {name: [place[noun, "NOUN"] for noun in members] for name, members in plan["nouns"].items()}
    licensed = np.zeros((2, len(words), len(words)), bool)
    frames = [("VERB", frame, frame.get("subjects", ())) for frame in plan["verbs"].values()]
    for pos, of, subjects in [*frames, *(("ADJ", of, of["nouns"]) for of in plan["adjectives"].values())]:
        for selector in (place[name, pos] for name in of["words"]):
            for kind, classes in enumerate((subjects, [*of.get("objects", ()), *of.get("second", ())])):
                licensed[kind, selector, [noun for name in classes for noun in nouns[name]]] = True
    return licensed

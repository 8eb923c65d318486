"""The blocks of coordinates that grammar, lexicons and spelling decide: each a list of axes, and how to fill them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from periodic_table.charge import charges
from periodic_table.company import load_company
from periodic_table.element import UPOS
from periodic_table.form import MEASURES, NAMES, spelled
from periodic_table.hierarchy import load_hierarchy, load_kinds
from periodic_table.isotopes import load_isotopes
from periodic_table.rows import weighted
from periodic_table.verbs import FRAMES, class_features, class_profile, frame_features
from periodic_table.words import Words

WORDNET_FILES = "nvar"
# The two blocks of the company that words keep are scaled to about this length, so that they weigh what the
# probabilities of the other blocks do.
LENGTH = 2.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the space.

    Args:
        name: unique within its block.
        block: the block it belongs to.
        low, high: bounds of its values.
        unit: what it is measured in.
    """

    name: str
    block: str
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Block:
    """A named group of axes.

    Args:
        name: such as "kind".
        source: "lexicon", known before any text is read, or "counted", read off a treebank.
        axes: makes the axes.
        fill: the values for a batch of W words, [W, axes].
    """

    name: str
    source: str
    axes: Callable[[], Sequence[Axis]]
    fill: Callable[[Words], NDArray[np.float64]]


def _axes(block: str, names: Sequence[str], low: float, high: float, unit: str) -> list[Axis]:
    return [Axis(name, block, low, high, unit) for name in names]


def _of_tag(words: Words) -> NDArray[np.float64]:
    return np.eye(len(UPOS))[[UPOS.index(reading.upos) for reading in words.readings]]


def _period(words: Words) -> NDArray[np.float64]:
    hierarchy, senses = load_hierarchy(), words.senses
    return np.stack(
        [
            words.abstraction,
            weighted(senses, hierarchy.depth.astype(np.float64)) / 10.0,
            weighted(senses, _breadth()),
            weighted(senses, hierarchy.instance.astype(np.float64)),
        ],
        axis=1,
    )


def _isotopes(words: Words) -> NDArray[np.float64]:
    isotopes, senses = load_isotopes(), words.senses
    number = np.diff(senses.start)
    surprise = -np.log(np.maximum(senses.value, 1e-12))
    entropy = np.bincount(senses.row(), senses.value * surprise, len(words))
    leading = np.zeros(len(words))
    np.maximum.at(leading, senses.row(), senses.value)
    files = isotopes.supersenses(words.entries)
    spread = -(files * np.log(np.maximum(files, 1e-12))).sum(axis=1)
    shares = np.array([isotopes.shares(reading.lemma) for reading in words.readings]).reshape(-1, len(WORDNET_FILES))
    return np.column_stack([np.log1p(number), entropy, leading, spread, shares])


def _verb(words: Words) -> NDArray[np.float64]:
    isotopes = load_isotopes()
    profiles = np.zeros((len(words), len(class_features())))
    for row, reading in enumerate(words.readings):
        if reading.upos == "VERB" and reading.same:
            senses = {str(isotope.synset): isotope.probability for isotope in isotopes.of(reading.entry)}
            profiles[row] = class_profile(isotopes.lemma(reading.entry), senses)
    return np.hstack([frame_features(words.entries), profiles])


def _use(words: Words) -> NDArray[np.float64]:
    isotopes, company = load_isotopes(), load_company()
    rows = []
    for reading in words.readings:
        place = company.term.get(reading.lemma)
        rows.append(
            (
                np.log1p(isotopes.tagged[reading.entry]) if reading.exact else 0.0,
                np.log1p(company.frequency[place]) if place is not None else 0.0,
                float(reading.exact),
                float(reading.entry >= 0),
            )
        )
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _definition(words: Words) -> NDArray[np.float64]:
    total = np.bincount(words.spread.row(), np.abs(words.spread.value), len(words))
    scale = LENGTH / np.maximum(total, 1e-12)
    rows: NDArray[np.float64] = scale[:, None] * load_company().of_rows(words.spread)
    return rows


def _company(words: Words) -> NDArray[np.float64]:
    company = load_company()
    found = [company.of_word(reading.lemma) for reading in words.readings]
    return LENGTH * np.array(found, dtype=np.float64).reshape(-1, company.size)


def _form(words: Words) -> NDArray[np.float64]:
    pairs = zip(words.forms, words.readings, strict=True)
    return np.array([spelled(form, reading.lemma) for form, reading in pairs]).reshape(-1, len(NAMES))


@functools.cache
def _breadth() -> NDArray[np.float64]:
    hierarchy = load_hierarchy()
    breadth: NDArray[np.float64] = np.log(hierarchy.below(np.ones(hierarchy.size))) / np.log(hierarchy.size)
    return breadth


@functools.cache
def _kinds() -> NDArray[np.float32]:
    isotopes = load_isotopes()
    return load_hierarchy().under([isotopes.place(name) for name in load_kinds()]).astype(np.float32)


@functools.cache
def _files() -> NDArray[np.float32]:
    isotopes = load_isotopes()
    return np.eye(len(isotopes.lexnames), dtype=np.float32)[isotopes.synset_lexname]


LEXICAL: tuple[Block, ...] = (
    Block("block", "lexicon", lambda: _axes("block", UPOS, 0, 1, "1 for the part of speech"), _of_tag),
    Block(
        "period",
        "lexicon",
        lambda: [
            Axis("abstraction", "period", 1, 5, "level"),
            Axis("depth", "period", 0, 1.9, "ten steps below the root of the is-a hierarchy"),
            Axis("breadth", "period", 0, 1, "ln(meanings at or below) / ln(117,659)"),
            Axis("instance", "period", 0, 1, "probability of naming a single thing"),
        ],
        _period,
    ),
    Block(
        "isotopes",
        "lexicon",
        lambda: [
            Axis("senses", "isotopes", 0, 4.4, "ln(1 + number)"),
            Axis("entropy", "isotopes", 0, 4.4, "nats"),
            Axis("leading sense", "isotopes", 0, 1, "probability"),
            Axis("supersense entropy", "isotopes", 0, 3.3, "nats"),
            *_axes(
                "isotopes", [f"as {pos}" for pos in WORDNET_FILES], 0, 1, "share of the form's uses in WordNet's files"
            ),
        ],
        _isotopes,
    ),
    Block(
        "supersense",
        "lexicon",
        lambda: _axes("supersense", load_isotopes().lexnames, 0, 1, "probability"),
        lambda words: load_isotopes().supersenses(words.entries),
    ),
    Block(
        "kind",
        "lexicon",
        lambda: _axes("kind", load_kinds(), 0, 1, "probability of being a kind of it"),
        lambda words: weighted(words.senses, _kinds()),
    ),
    Block(
        "kin",
        "lexicon",
        lambda: _axes("kin", load_isotopes().lexnames, -2.5, 2.5, "share of the neighbourhood, antonyms negative"),
        lambda words: weighted(words.spread, _files()),
    ),
    Block(
        "verb",
        "lexicon",
        lambda: _axes("verb", (*FRAMES, *class_features()), 0, 1, "probability"),
        _verb,
    ),
    Block(
        "definition",
        "lexicon",
        lambda: _axes("definition", [str(n) for n in range(load_company().size)], -LENGTH, LENGTH, "direction"),
        _definition,
    ),
    Block(
        "company",
        "lexicon",
        lambda: _axes("company", [str(n) for n in range(load_company().size)], -LENGTH, LENGTH, "direction"),
        _company,
    ),
    Block(
        "form",
        "lexicon",
        lambda: [
            *_axes("form", NAMES[: -len(MEASURES)], 0, 1, "1 if spelled so"),
            *_axes("form", MEASURES[:2], 0, 10, "ln"),
            *_axes("form", MEASURES[2:], 0, 1, "1 if so"),
        ],
        _form,
    ),
    Block(
        "use",
        "lexicon",
        lambda: [
            *_axes("use", ("tagged", "in glosses"), 0, 10, "ln(1 + occurrences in WordNet's own texts)"),
            *_axes("use", ("listed", "read"), 0, 1, "1 if so"),
        ],
        _use,
    ),
    Block(
        "charge",
        "lexicon",
        lambda: [Axis("charge", "charge", -1, 1, "cosine with good against bad")],
        lambda words: charges(words.spread)[:, None],
    ),
)

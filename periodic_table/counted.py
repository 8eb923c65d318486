"""The blocks of coordinates that are read off a treebank: valence, and how common a word is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from periodic_table.blocks import Axis, Block
from periodic_table.slots import SLOTS
from periodic_table.valence import load_valence
from periodic_table.words import Words


def _valence_axes() -> list[Axis]:
    names = (f"{'>' if role == 'head' else '<'}{relation}" for relation, role in SLOTS)
    return [Axis(name, "valence", 0, np.inf, "expected bonds of one occurrence") for name in names]


def _valence(words: Words) -> NDArray[np.float64]:
    entries = np.array([reading.entry if reading.same else -1 for reading in words.readings], dtype=np.int64)
    lemmas, tags = [r.lemma for r in words.readings], [r.upos for r in words.readings]
    return load_valence().expected(lemmas, tags, entries)


def _frequency(words: Words) -> NDArray[np.float64]:
    valence = load_valence()
    counts = [valence.count(reading.lemma, reading.upos) for reading in words.readings]
    return np.log1p(np.array(counts, dtype=np.float64))[:, None]


COUNTED: tuple[Block, ...] = (
    Block("valence", "counted", _valence_axes, _valence),
    Block(
        "frequency",
        "counted",
        lambda: [Axis("in EWT", "frequency", 0, 12, "ln(1 + occurrences in EWT train)")],
        _frequency,
    ),
)

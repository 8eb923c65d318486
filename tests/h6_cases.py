"""Chunks of made-up text for the tests of H6: words of one or two pieces with types at random."""

from __future__ import annotations

import numpy as np

from feasibility.h6.text import Texts, lacking
from periodic_table.bonding.original import load_facts
from periodic_table.tagging.tagger import TAGS

TYPES = [
    *((tag, frozenset[str]()) for tag in ("NOUN", "VERB", "DET", "ADP", "PUNCT", "X", "PRON", "ADJ", "PROPN")),
    ("NOUN", frozenset({"animate"})),
    ("PRON", frozenset({"animate"})),
]
ENTRIES = 40


def made_up(chunks: int = 3, length: int = 24, seed: int = 0) -> Texts:
    """Entry 0 is white space, which belongs to no word."""
    generator = np.random.default_rng(seed)
    words = np.zeros((chunks, length), dtype=np.uint16)
    types = np.zeros((chunks, length), dtype=np.uint8)
    for row in range(chunks):
        number = np.cumsum(generator.random(length) < 0.7) + 1
        words[row], types[row] = number, generator.integers(len(TYPES), size=length + 2)[number]
    ids = generator.integers(1, ENTRIES, size=(chunks, length + 1)).astype(np.uint16)
    words[:, 5], ids[:, 5], types[:, 5] = 0, 0, TYPES.index(("X", frozenset()))
    tags = np.array([TAGS.index(tag) for tag, _ in TYPES], dtype=np.uint8)
    counts = np.sort(generator.integers(1, 1000, size=ENTRIES))[::-1].copy()
    return Texts(ids, types, words, counts, load_facts().compatible, tags, lacking(TYPES))

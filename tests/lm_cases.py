"""A text of forty entries in which each says what the next one is likely to be, for tests that train models."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from feasibility.lm.data import Corpus
from feasibility.lm.patterns import Spec, write_specs

SPECS = [
    Spec("dense", keys=16.5),
    Spec("window", 8, keys=7.1),
    Spec("random/8.0", 4, 1, keys=8.0),
    Spec("linear", keys=0.0),
    Spec("full-context:predetermined/17", 4, 1, keys=8.0),
]


def tiny_corpus() -> Corpus:
    """3,000 pieces a part, and two tables of classes."""
    generator = np.random.default_rng(0)
    ids = {
        part: (np.cumsum(generator.integers(1, 3, 3000)) % 40).astype(np.uint16) for part in ("train", "dev", "test")
    }
    tables = {f"{name}": (np.arange(40) % size).astype(np.uint8) for name, size in TABLES.items()}
    return Corpus(ids, tuple(map(str, range(40))), tables, "{}", {})  # type: ignore[arg-type]


TABLES = {"random/8.0": 8, "predetermined/17": 17}


def write_lab(folder: Path) -> Path:
    """The text and the patterns as files of a folder, which is returned."""
    tiny_corpus().save(folder / "lm.npz")
    write_specs(folder / "patterns.json", SPECS)
    return folder

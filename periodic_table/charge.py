"""The charge of a word: whether it is good or bad, as far as it stands near good or bad words in WordNet.

    charge = cos(root(w), root(w_good - w_bad)),   root(x) = sign(x) sqrt(|x|)

w is the word's neighbourhood (`periodic_table.walk`), in which antonyms count negatively.

Source: the fourteen seeds are those of Turney and Littman (2003), Measuring Praise and Criticism.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from periodic_table.isotopes import load_isotopes
from periodic_table.rows import Rows, signed_root
from periodic_table.walk import load_walk

GOOD = ("good", "nice", "excellent", "positive", "fortunate", "correct", "superior")
BAD = ("bad", "nasty", "poor", "negative", "unfortunate", "wrong", "inferior")


def charges(neighbourhoods: Rows) -> NDArray[np.float64]:
    """The charge of each neighbourhood, between -1 and 1; 0 for an empty one."""
    value = signed_root(neighbourhoods.value)
    rows, row = len(neighbourhoods.start) - 1, neighbourhoods.row()
    length = np.sqrt(np.bincount(row, value**2, rows))
    product = np.bincount(row, value * _poles()[neighbourhoods.column], rows)
    charge: NDArray[np.float64] = product / np.maximum(length, 1e-12)
    return charge


@functools.cache
def _poles() -> NDArray[np.float64]:
    walk, isotopes = load_walk(), load_isotopes()
    poles = np.zeros(walk.synsets)
    for sign, words in ((1.0, GOOD), (-1.0, BAD)):
        rows = walk.spread(walk.senses([isotopes.entry(word, "a") for word in words]))
        np.add.at(poles, rows.column, sign * rows.value)
    poles = signed_root(poles)
    scaled: NDArray[np.float64] = poles / np.linalg.norm(poles)
    return scaled

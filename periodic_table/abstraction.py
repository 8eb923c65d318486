"""The period of a word: from 1, a thing that can be touched, to 5, thought or grammar.

    score(meaning) = score(its lexicographer file) + 0.5 ln(1 + kinds below it) / ln(all meanings)
    score(word)    = mean over its senses

The files' scores are a linguist's judgement and fitted to nothing. A meaning with many kinds below it is more abstract:
"animal" than "dog". Adjectives and adverbs, which WordNet has in one file each, take theirs from the nouns and verbs in
their neighbourhood (`periodic_table.walk`).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from periodic_table.hierarchy import Hierarchy
from periodic_table.isotopes import Isotopes
from periodic_table.rows import Rows, weighted
from periodic_table.shipped import read_model
from periodic_table.walk import Walk

SCHEMA = "periods.v1"
NAME = "table-periods"
REBUILD = "python -m periodic_table.build"

OF_SUPERSENSE = {
    "noun.animal": 1.0, "noun.plant": 1.0, "noun.food": 1.0, "noun.body": 1.0, "noun.artifact": 1.0, "noun.person": 1.2,
    "noun.object": 1.2, "noun.substance": 1.2, "noun.location": 2.0, "noun.group": 2.5, "noun.shape": 2.5,
    "noun.phenomenon": 2.5, "noun.event": 3.0, "noun.act": 3.0, "noun.possession": 3.0, "noun.quantity": 3.0,
    "noun.communication": 3.0, "noun.process": 3.5, "noun.time": 3.5, "noun.state": 3.8, "noun.feeling": 4.2,
    "noun.attribute": 4.0, "noun.relation": 4.2, "noun.cognition": 4.5, "noun.motive": 4.5,
    "verb.body": 2.0, "verb.consumption": 2.0, "verb.contact": 2.0, "verb.motion": 2.0, "verb.weather": 2.0,
    "verb.creation": 2.5, "verb.perception": 2.8, "verb.change": 3.0, "verb.competition": 3.0, "verb.possession": 3.0,
    "verb.communication": 3.0, "verb.social": 3.5, "verb.emotion": 4.2, "verb.stative": 4.2, "verb.cognition": 4.5,
}  # fmt: skip
# What the senses perceive is less abstract than the rest of its file, and so is what it is written on.
OF_KIND = {
    "visual_property.n.01": 2.0, "tactile_property.n.01": 2.0, "taste_property.n.01": 2.0,
    "olfactory_property.n.01": 2.0, "sound_property.n.01": 2.0, "temperature.n.01": 2.0, "sensation.n.01": 2.5,
    "size.n.01": 3.0, "print_media.n.01": 2.0, "document.n.01": 2.0,
}  # fmt: skip
# Where the lexicon has no sense. Pronouns and numerals point at something, other function words only relate.
OF_UPOS = {
    "NOUN": 2.5, "PROPN": 1.5, "VERB": 3.0, "ADJ": 3.5, "ADV": 4.0, "INTJ": 4.0, "PRON": 4.0, "NUM": 4.0, "SYM": 4.0,
    "X": 4.0, "ADP": 5.0, "AUX": 5.0, "CCONJ": 5.0, "DET": 5.0, "PART": 5.0, "SCONJ": 5.0, "PUNCT": 5.0,
}  # fmt: skip
SPECIFIC = 0.5
# Scores are shipped as bytes of this size.
UNIT = 0.02


def level(score: float) -> int:
    """A score as a period: the nearest whole number from 1 to 5."""
    return int(min(5, max(1, np.floor(score + 0.5))))


def scores(isotopes: Isotopes, hierarchy: Hierarchy, walk: Walk) -> NDArray[np.float64]:
    """The score of each synset, [S].

    Cost: 10 s for WordNet, nearly all of it for the neighbourhoods of adjectives and adverbs.
    """
    of_file = np.array([OF_SUPERSENSE.get(name, np.nan) for name in isotopes.lexnames])[isotopes.synset_lexname]
    one = np.ones(hierarchy.size)
    # noun.Tops holds the roots of the other files: the mean of what lies below.
    known = ~np.isnan(of_file)
    number = hierarchy.below(known.astype(np.float64))
    mean = hierarchy.below(np.nan_to_num(of_file)) / np.maximum(1.0, number)
    of_file = np.where(known, of_file, np.where(number > 0, mean, OF_UPOS["NOUN"]))
    for name, score in OF_KIND.items():
        of_file[hierarchy.under([isotopes.place(name)])[:, 0]] = score
    own: NDArray[np.float64] = of_file + SPECIFIC * np.log(hierarchy.below(one)) / np.log(hierarchy.size)
    classed = np.isin(isotopes.synset_pos, (0, 1))
    others = np.flatnonzero(~classed)
    for at in range(0, len(others), 1000):
        part = others[at : at + 1000]
        around = walk.spread(Rows(np.arange(len(part) + 1), part, np.ones(len(part))))
        around = Rows(around.start, around.column, np.abs(around.value))
        weight = weighted(around, classed.astype(np.float64))
        own[part] = np.where(
            weight > 0, weighted(around, np.where(classed, own, 0.0)) / np.maximum(weight, 1e-12), OF_UPOS["ADJ"]
        )
    return own


@functools.cache
def load_periods() -> NDArray[np.float64]:
    """The shipped scores of all synsets, [S], from 1 to 5.

    Raises:
        periodic_table.shipped.ModelMissing, ModelCorrupt: the file is not there, or is not the released one.
    """
    return read_model(NAME, SCHEMA, REBUILD)["scores"].astype(np.float64) * UNIT

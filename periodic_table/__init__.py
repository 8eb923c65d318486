"""Words as elements: what is known of a word before any sentence is read.

from periodic_table import annotate, coordinates, similarity, PeriodicTable
annotate(["the", "dog", "sleeps"])             # [Element(lemma="the", pos="DET", ...), ...]
coordinates("dog", "NOUN")                     # a vector; coordinates.AXES names and explains its axes
similarity("dog", "cat", "NOUN")
PeriodicTable.load("v1.0")["dog"]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from periodic_table.annotation import annotate as annotate
    from periodic_table.axes import coordinates as coordinates
    from periodic_table.bonding import load_rules as load_rules
    from periodic_table.element import Element as Element
    from periodic_table.element import Isotope as Isotope
    from periodic_table.element import Site as Site
    from periodic_table.element import UnknownTag as UnknownTag
    from periodic_table.lexicon import Lexicon as Lexicon
    from periodic_table.lexicon import LexiconCorrupt as LexiconCorrupt
    from periodic_table.lexicon import LexiconMissing as LexiconMissing
    from periodic_table.lexicon import Sense as Sense
    from periodic_table.lexicon import Synset as Synset
    from periodic_table.lexicon import UnknownSynset as UnknownSynset
    from periodic_table.lexicon import load_lexicon as load_lexicon
    from periodic_table.likeness import affinity as affinity
    from periodic_table.likeness import similarity as similarity
    from periodic_table.table import PeriodicTable as PeriodicTable
    from periodic_table.tagging import load_tagger as load_tagger
    from periodic_table.word_classes import class_table as class_table
    from periodic_table.word_classes import classes as classes

# Public name -> module that defines it, imported when the name is first asked for. No module may have the name of a
# function here: importing it would put the module in the function's place.
_HOME = {
    "Element": "element",
    "Isotope": "element",
    "Site": "element",
    "UnknownTag": "element",
    "annotate": "annotation",
    "coordinates": "axes",
    "similarity": "likeness",
    "affinity": "likeness",
    "PeriodicTable": "table",
    "classes": "word_classes",
    "class_table": "word_classes",
    "load_rules": "bonding",
    "load_tagger": "tagging",
    "Lexicon": "lexicon",
    "LexiconCorrupt": "lexicon",
    "LexiconMissing": "lexicon",
    "Sense": "lexicon",
    "Synset": "lexicon",
    "UnknownSynset": "lexicon",
    "load_lexicon": "lexicon",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Words as elements: what a lexicon says of a word before any training.

So far: `periodic_table.lexicon`, the meanings of English words and what each of them is a kind of.
"""

from periodic_table.lexicon import (
    Lexicon,
    LexiconCorrupt,
    LexiconMissing,
    Sense,
    Synset,
    UnknownSynset,
    load_lexicon,
)

__all__ = [
    "Lexicon",
    "LexiconCorrupt",
    "LexiconMissing",
    "Sense",
    "Synset",
    "UnknownSynset",
    "load_lexicon",
]

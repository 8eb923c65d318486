"""A lexicon: which meanings a word has, and what each meaning is a kind of.

    from periodic_table.lexicon import load_lexicon
    lexicon = load_lexicon()                    # WordNet 3.0, shipped; no network, no NLTK
    lexicon.synset("dog.n.01").hypernyms        # ("canine.n.02", "domestic_animal.n.01")
    [sense.lexname for sense in lexicon.senses("dog", "n")]
    lexicon.subtree("mammal.n.01")              # [(child, parent), ...]

`python -m periodic_table.lexicon.build` makes the shipped file anew from NLTK's WordNet.
"""

from __future__ import annotations

import functools
import threading

from periodic_table.lexicon.protocol import (
    Lexicon,
    LexiconCorrupt,
    LexiconMissing,
    Pos,
    Sense,
    Synset,
    UnknownSynset,
)

__all__ = [
    "Lexicon",
    "LexiconCorrupt",
    "LexiconMissing",
    "Pos",
    "Sense",
    "Synset",
    "UnknownSynset",
    "load_lexicon",
]

_LOADING = threading.Lock()


def load_lexicon(name: str = "snapshot") -> Lexicon:
    """The lexicon of that name, read once in a process and then shared by all threads.

    Args:
        name: "snapshot", the shipped extract of WordNet 3.0, or "nltk", the same through an installed NLTK and its
            data (slow to load, and NLTK's own reader is not safe to share among threads).

    Raises:
        LexiconMissing: there is no such lexicon, or its files or its library are not there; the message says which
            command gets them.
        LexiconCorrupt: the shipped file is not the one that was released.

    Cost: 0.1 to 0.2 s and 50 MB for the snapshot; for NLTK about 5 s, and 10 s more at its first pass over all synsets.
    """
    # Without the lock two threads that come first would each read the file and hold different objects.
    with _LOADING:
        return _load(name)


@functools.cache
def _load(name: str) -> Lexicon:
    match name:
        case "snapshot":
            from periodic_table.lexicon.snapshot import read_snapshot

            return read_snapshot()
        case "nltk":
            from periodic_table.lexicon.nltk_reader import NltkLexicon

            return NltkLexicon()
        case _:
            raise LexiconMissing(f"no lexicon {name!r}; there are 'snapshot' (shipped) and 'nltk'")

"""From words to elements: the one entry point."""

from __future__ import annotations

import functools
import gc
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from periodic_table.abstraction import level
from periodic_table.element import Element, Isotope, Site
from periodic_table.isotopes import load_isotopes
from periodic_table.slots import SLOTS, TYPED
from periodic_table.tagging import load_tagger
from periodic_table.tagging.tagger import check_one_tag_each, check_tokens
from periodic_table.valence import load_valence
from periodic_table.verbs import class_weights
from periodic_table.words import Words

# A site that a word has in fewer of its uses is none of its own.
LEAST = 0.05
# Elements of words seen before; all of them are dropped when there are more, which bounds the memory.
REMEMBERED = 200_000
_KNOWN: dict[tuple[str, str], Element] = {}


def annotate(tokens: Iterable[str], upos: Iterable[str] | None = None) -> list[Element]:
    """The elements of some words, one for each.

    Every word has an answer. A number, a mark or a symbol has what its part of speech gives; a word that no lexicon
    has, an empty string and a blank have no senses, and "X" for a part of speech where nothing else is likelier.

    Args:
        tokens: words as in a text; any iterable.
        upos: their universal parts of speech; without it, the likeliest of each word taken by itself, whatever stands
            around it (`periodic_table.tagging`, "type-level").

    Returns:
        one element for each word; the same object for the same word and tag.

    Raises:
        TypeError: the words are one text or have no order, or one of them is not text; the tags are one text.
        ValueError: not one tag for each word.
        periodic_table.element.UnknownTag: a tag is not universal; the message lists the 17.
        LexiconMissing, LexiconCorrupt, ModelMissing, ModelCorrupt: a shipped file is not there, or is not the released
            one; the message says which command makes it.

    Cost: O(N); 40 us for each word and tag that is new to the process, under 1 us for the others; 0.5 s for the first.
    """
    words = check_tokens(tokens)
    with _uncollected():
        tags = load_tagger("type-level").tag(words) if upos is None else check_one_tag_each(words, upos)
        keys = list(zip(words, tags, strict=True))
        new = [key for key in dict.fromkeys(keys) if key not in _KNOWN]
        if new:
            if len(_KNOWN) + len(new) > REMEMBERED:
                # Words of this text that were known go with the others.
                _KNOWN.clear()
                new = list(dict.fromkeys(keys))
            _KNOWN.update(zip(new, _elements(new), strict=True))
        return [_KNOWN[key] for key in keys]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for cycles: elements have none, and the search takes half as long as making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _elements(keys: Sequence[tuple[str, str]]) -> list[Element]:
    words = Words([word for word, _ in keys], [tag for _, tag in keys])
    isotopes = load_isotopes()
    lexnames = isotopes.lexnames
    own = np.array([reading.entry if reading.same else -1 for reading in words.readings], dtype=np.int64)
    files = isotopes.supersenses(own).argmax(axis=1).tolist()
    levels = words.abstraction.tolist()
    sites = _sites(words, own)
    elements = []
    for row, reading in enumerate(words.readings):
        senses = isotopes.of(reading.entry) if reading.exact else ()
        elements.append(
            Element(
                lemma=reading.lemma,
                pos=reading.upos,
                supersense=lexnames[files[row]] if reading.same else None,
                verb_class=_verb_class(reading.lemma, senses) if reading.upos == "VERB" else None,
                abstraction=level(levels[row]),
                valence=sites[row],
                senses=senses,
            )
        )
    return elements


def _verb_class(lemma: str, senses: tuple[Isotope, ...]) -> str | None:
    weights = class_weights(lemma, {str(sense.synset): sense.probability for sense in senses})
    return max(weights, key=lambda name: weights[name]) if weights else None


def _sites(words: Words, own: NDArray[np.int64]) -> list[tuple[Site, ...]]:
    lemmas, tags = [reading.lemma for reading in words.readings], [reading.upos for reading in words.readings]
    expected = np.round(100 * load_valence().expected(lemmas, tags, own)[:, TYPED]).astype(np.int64)
    rows, columns = np.nonzero(expected >= 100 * LEAST)
    hundredths = expected[rows, columns]
    order = np.lexsort((columns, -hundredths, rows))
    ends = np.cumsum(np.bincount(rows, minlength=len(expected))).tolist()
    sites = list(map(_site, np.asarray(TYPED)[columns[order]].tolist(), hundredths[order].tolist()))
    return [tuple(sites[first:end]) for first, end in itertools.pairwise([0, *ends])]


@functools.cache
def _site(slot: int, hundredths: int) -> Site:
    # Few differ, and a million equal objects would cost as much time and memory as all the rest.
    return Site(*SLOTS[slot], hundredths / 100)

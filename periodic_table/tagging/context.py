"""What the neighbours of a word say of its tag: features that join up to three words.

Each word is known to its neighbours by three symbols: itself (rare words by their ending alone), its kind (which parts
of speech it can have) and its ending. A template joins symbols at fixed distances: `("kind", -1), ("word", 0)` is "what
the last word can be, and this word".
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from periodic_table.tagging.counts import FormCounts
from periodic_table.tagging.log_linear import Hashes
from periodic_table.tagging.looks import hashed, inner

Template = tuple[tuple[str, int], ...]

SYMBOLS = ("word", "kind", "ending")
REACH = 2

LEFT: tuple[Template, ...] = (
    (("word", -1),),
    (("word", -2),),
    (("kind", -1),),
    (("kind", -2),),
    (("ending", -1),),
    (("word", -1), ("word", 0)),
    (("kind", -1), ("word", 0)),
    (("kind", -1), ("kind", 0)),
    (("kind", -1), ("ending", 0)),
    (("word", -1), ("kind", 0)),
    (("kind", -2), ("kind", -1)),
    (("kind", -2), ("kind", -1), ("kind", 0)),
)
BOTH: tuple[Template, ...] = (
    (("kind", -1), ("kind", 0), ("kind", 1)),
    (("kind", -1), ("word", 0), ("kind", 1)),
    (("kind", -1), ("kind", 1)),
)
RIGHT: tuple[Template, ...] = tuple(tuple((name, -place) for name, place in template) for template in LEFT)


def own_features(form: str, counts: FormCounts) -> list[int]:
    """Hashes of all features of a word that need no neighbour, its name among them if it was seen twice."""
    word = form.lower()
    features = inner(form)
    if counts.times(word) >= 2:
        features.append(f"word {word}")
        if form != word and form in counts.forms:
            features.append(f"form {form}")
    return list(map(hashed, features))


def symbols(form: str, counts: FormCounts) -> tuple[int, int, int]:
    """What a word is to its neighbours, in the order of `SYMBOLS`."""
    word = form.lower()
    name = word if counts.times(word) >= 2 else f"-{word[-2:]}"
    return hashed(f"word {name}"), hashed(f"kind {counts.kind(form)}"), hashed(f"ending {word[-3:]}")


def joined(of_word: Hashes, templates: tuple[Template, ...]) -> Hashes:
    """The features that templates make of a text.

    Args:
        of_word: uint64[N, 3], the symbols of its words.
        templates: T of them, none of which reaches further than `REACH`, those of more symbols after those of fewer.

    Returns:
        uint64[N, T]. Before the first word and after the last stand two symbols that no word has.

    Cost: O(N T).
    """
    count = len(of_word)
    padded = np.zeros((count + 2 * REACH, len(SYMBOLS)), dtype=np.uint64)
    padded[REACH : REACH + count] = of_word
    padded[REACH + count :] = 1
    seeds, steps = _schedule(templates)
    words = np.arange(REACH, REACH + count)[:, None]
    out = np.repeat(seeds[None], count, axis=0)
    for first, offsets, names in steps:
        out[:, first:] = _mixed(out[:, first:] ^ padded[words + offsets, names])
    return out


@functools.cache
def _schedule(
    templates: tuple[Template, ...],
) -> tuple[Hashes, list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]]:
    """The number that each template starts from; for each step the first template that takes it, and what it adds."""
    seeds = [hashed(" ".join(f"{name}{offset:+d}" for name, offset in template)) for template in templates]
    steps = []
    for step in range(len(templates[-1])):
        first = next(place for place, template in enumerate(templates) if len(template) > step)
        added = [template[step] for template in templates[first:]]
        names = np.array([SYMBOLS.index(name) for name, _ in added])
        steps.append((first, np.array([offset for _, offset in added]), names))
    return np.array(seeds, dtype=np.uint64), steps


def _mixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # Stafford's thirteenth variant of the finaliser of MurmurHash3, as in SplitMix64.
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))

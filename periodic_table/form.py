"""What the spelling of a word says of its meaning: derivational endings and beginnings, length, parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Derivational morphemes of English that turn things into qualities, acts into things, and so on.
ENDINGS = (
    "ness", "ity", "ty", "y", "tion", "sion", "ment", "ance", "ence", "ancy", "ency", "ship", "hood", "dom", "ism",
    "ist", "er", "or", "ian", "ess", "ee", "ette", "let", "ling", "ing", "ed", "able", "ible", "al", "ial", "ic",
    "ical", "ous", "ious", "ful", "less", "ish", "ive", "ly", "ary", "ory", "ate", "ize", "ise", "fy", "en", "age",
    "ure", "th", "ward", "wise", "like", "proof", "some", "man", "woman", "logy", "graphy", "metry", "cracy", "cy",
    "ery", "ics",
)  # fmt: skip
BEGINNINGS = (
    "un", "in", "im", "dis", "non", "re", "pre", "mis", "over", "under", "anti", "inter", "super", "sub", "out",
    "fore", "self", "counter",
)  # fmt: skip
MEASURES = ("log length", "parts", "hyphen", "upper case", "digit")
NAMES = (*(f"-{ending}" for ending in ENDINGS), *(f"{beginning}-" for beginning in BEGINNINGS), *MEASURES)
# What is left without the morpheme must be able to be a stem.
_STEM = 3


def spelled(word: str, lemma: str) -> NDArray[np.float64]:
    """The form of a word.

    Args:
        word: as in the text, for its capitals.
        lemma: its base form.

    Returns:
        [len(NAMES)]: 1 for each morpheme that it may have, then ln of its length in letters, ln of its number of parts,
        and whether it has a hyphen, a capital letter, a digit.
    """
    base = lemma.lower()
    parts = 1 + base.count("_") + base.count(" ") + base.count("-")
    return np.array(
        [
            *(base.endswith(ending) and len(base) >= len(ending) + _STEM for ending in ENDINGS),
            *(base.startswith(beginning) and len(base) >= len(beginning) + _STEM for beginning in BEGINNINGS),
            np.log(max(1, len(base))),
            np.log(parts),
            "-" in base,
            any(character.isupper() for character in word),
            any(character.isdigit() for character in base),
        ],
        dtype=np.float64,
    )

"""What a word looks like on its own: the evidence for its tag that is in the word itself.

A *feature* is a 64-bit number, the hash of a short text such as "ends in -ing". Hashes are the same in every process
and on every machine (BLAKE2b; Python's own hash is not).
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata

from periodic_table.isotopes import load_isotopes
from periodic_table.morphology import morphy

# Of longer words only the two ends are looked at.
LONGEST = 40
_POS = "nvar"


# A few thousand endings, shapes and the like are most of the features of any text.
@functools.lru_cache(maxsize=2**16)
def hashed(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def normal(form: str) -> str:
    """A word as tables of this package list it: one kind of apostrophe, and no more than both ends of what is too long.

    Raises:
        TypeError: it is not text.
    """
    if not isinstance(form, str):
        raise TypeError(f"{form!r} is not text, expected a word such as 'dog'")
    if len(form) > LONGEST:
        form = form[: LONGEST // 2] + form[-LONGEST // 2 :]
    return form.replace("’", "'") if "’" in form else form


def shape(form: str) -> str:
    """The kinds of its characters, runs of three and more cut to two: "Xxdd" for "Ab12", "xx-xx" for "state-owned"."""
    kinds: list[str] = []
    for character in form:
        kind = _kind(character)
        if kinds[-2:] != [kind, kind]:
            kinds.append(kind)
    return "".join(kinds[:10])


@functools.cache
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Ll":
        return "x"
    if category in ("Lu", "Lt"):
        return "X"
    if category[0] == "P" and character.isascii():
        return character
    return {"L": "o", "N": "d", "P": "p", "S": "s"}.get(category[0], "?")


def case(form: str) -> str:
    """How it is written: "U" in capitals, "C" with a capital in front, "l" otherwise."""
    if form.isupper() and len(form) > 1:
        return "U"
    return "C" if form[:1].isupper() else "l"


def listed(word: str) -> str:
    """As which parts of speech WordNet lists a word, and whether only with a capital.

    Args:
        word: in lower case.

    Returns:
        of n, v, a, r those that it may be, in upper case where the word is the base form; then "+" where WordNet writes
        it with a capital, too, and "!" where always; "" where WordNet has no such word.
    """
    isotopes = load_isotopes()
    bases = [(pos, morphy(word, pos, isotopes)) for pos in _POS]
    out = "".join(pos.upper() if base == word else pos for pos, base in bases if base is not None)
    capital, small = _spellings()
    return out + ("" if word not in capital else "+" if word in small else "!")


@functools.cache
def _spellings() -> tuple[frozenset[str], frozenset[str]]:
    forms = load_isotopes().forms
    names = frozenset(form.lower() for form in forms if form[:1].isupper())
    return names, names & frozenset(forms)


def inner(form: str) -> list[str]:
    """The features of a word that do not name it: endings, beginnings, shape, and what WordNet knows of it.

    Args:
        form: as `normal` gives it, not blank.
    """
    word, how = form.lower(), case(form)
    known = listed(word)
    features = [f"shape {shape(form)}", f"listed {known} {how}", f"listed {known} {word[-2:]}", "any", f"case {how}"]
    features += [f"-{word[-size:]}" for size in range(1, 6) if len(word) > size]
    features += [f"{word[:size]}-" for size in range(1, 4) if len(word) > size]
    features += [f"{how} -{word[-size:]}" for size in (2, 3)]
    if "-" in word[1:-1]:
        features.append(f"after - {word.rpartition('-')[2][-3:]}")
    return features

"""Where a word stands in the grammar: from its part of speech down to the word itself, in a few steps.

    paths_of(["the", "dogs"], ["DET", "NOUN"])   # [("definite", "the"), ("animal", "plural", "dogs")]

Steps below the part of speech:
    NOUN     supersense, number, word
    VERB     supersense, VerbNet class by its number (Levin's families lie together), word
    ADJ      degree, formation, word
    PROPN    what WordNet says it names, or else what it looks like; word
    NUM      notation, word
    ADV      kind (adverbs in -ly apart), word
    ADP AUX CCONJ DET PART PRON PUNCT SCONJ   kind, word
    INTJ SYM X   word

Only the word and its tag are looked at, never its neighbours: nothing here can leak.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from periodic_table.annotation import annotate
from periodic_table.element import Element, check_upos
from periodic_table.shipped import DATA, ModelCorrupt, ModelMissing
from periodic_table.tagging.looks import normal

Path = tuple[str, ...]

WORDS = DATA / "classes-words.toml"
REBUILD = "reinstall atomic-semantic-attention"
REMEMBERED = 300_000
_KNOWN: dict[tuple[str, str], Path] = {}

_ENDINGS = {
    "ing": "-ing", "ed": "-ed", "able": "-able", "ible": "-able", "ful": "-ful", "less": "-ful", "ous": "-ous",
    "ive": "-ive", "al": "-al", "ic": "-al", "ary": "-al", "an": "-al", "y": "-y", "ish": "-y",
}  # fmt: skip
_IRREGULAR = {"more": "comparative", "less": "comparative", "most": "superlative", "least": "superlative"}


@dataclass(frozen=True)
class Inventory:
    """The names of all steps, and the words of the closed classes.

    Args:
        order: list name -> names in order. A tag stands for its first step; "number" and so on for the others.
        kinds: tag -> word -> kind, for the tags whose words are listed.
    """

    order: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, Mapping[str, str]]


@functools.cache
def load_inventory() -> Inventory:
    """The shipped inventory.

    Raises:
        ModelMissing: the file is not there.
        ModelCorrupt: it is not such a file, or lists a word twice.
    """
    try:
        table = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissing(f"{WORDS} is not there; {REBUILD}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{WORDS} is not a TOML file ({error}); {REBUILD}") from error
    if table.pop("schema", None) != "classes-words.v1":
        raise ModelCorrupt(f"{WORDS} is not of schema 'classes-words.v1'; {REBUILD}")
    order = {name: tuple(names) for name, names in table.pop("order").items()}
    kinds: dict[str, dict[str, str]] = {}
    for tag, groups in table.items():
        order[tag] = (*groups, "manner", "other") if tag == "ADV" else (*groups, "other")
        kinds[tag] = {word: kind for kind, words in groups.items() for word in words}
        if len(kinds[tag]) != sum(len(words) for words in groups.values()):
            raise ModelCorrupt(f"{WORDS} lists a word of {tag} twice; {REBUILD}")
    return Inventory(order, kinds)


def paths_of(forms: Sequence[str], upos: Sequence[str]) -> list[Path]:
    """For each word the steps below its part of speech, from the widest down to the word in lower case.

    Args:
        forms: as in the text.
        upos: universal parts of speech.

    Raises:
        TypeError: a form is not text.
        periodic_table.element.UnknownTag: a tag is not one of the 17.

    Cost: O(N); 0.1 ms for each pair that is new to the process.
    """
    pairs = [(normal(form), check_upos(tag)) for form, tag in zip(forms, upos, strict=True)]
    new = list(dict.fromkeys(pair for pair in pairs if pair not in _KNOWN))
    if len(_KNOWN) > REMEMBERED:
        _KNOWN.clear()
        new = list(dict.fromkeys(pairs))
    for pair, element in zip(new, annotate([form for form, _ in new], [tag for _, tag in new]), strict=True):
        _KNOWN[pair] = _path(*pair, element)
    return [_KNOWN[pair] for pair in pairs]


def _path(form: str, upos: str, element: Element) -> Path:
    word = form.lower()
    kinds = load_inventory().kinds
    match upos:
        case "NOUN":
            return _supersense(element), "singular" if element.lemma == word else "plural", word
        case "VERB":
            return _supersense(element), _levin(element), word
        case "ADJ":
            return _degree(element, word), _formation(form), word
        case "PROPN":
            return _named(element, form), word
        case "NUM":
            return _notation(form), word
        case _ if upos in kinds:
            other = "manner" if upos == "ADV" and word.endswith("ly") else "other"
            return kinds[upos].get(word, other), word
        case _:
            return (word,)


def rank(upos: str, step: int, name: str) -> tuple[int, str]:
    """Sorting key of a name within a step: its place in the inventory; the number of a VerbNet class; else the name.

    Args:
        upos: part of speech.
        step: from 0.
        name: as `paths_of` gives it.
    """
    lists = {("NOUN", 1): "number", ("ADJ", 0): "degree", ("ADJ", 1): "formation", ("NUM", 0): "notation"}
    order = load_inventory().order
    listed = order.get(lists.get((upos, step), upos if step == 0 else ""), ())
    if name in listed:
        return listed.index(name), name
    return (int(name), "") if name.isascii() and name.isdigit() else (10_000, name)


def _supersense(element: Element) -> str:
    return "unlisted" if element.supersense is None else element.supersense.partition(".")[2]


def _levin(element: Element) -> str:
    found = re.search(r"-(\d+)", element.verb_class or "")
    return found[1] if found else "none"


def _degree(element: Element, word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if element.lemma == word:
        return "positive"
    return "superlative" if word.endswith("st") else "comparative"


def _formation(form: str) -> str:
    if any(character.isdigit() for character in form):
        return "digit"
    if "-" in form:
        return "compound"
    if form[:1].isupper():
        return "capital"
    word = form.lower()
    return next((name for end, name in _ENDINGS.items() if word.endswith(end) and len(word) > len(end) + 2), "simple")


def _named(element: Element, form: str) -> str:
    kind = _supersense(element)
    if kind in load_inventory().order["PROPN"]:
        return kind
    if len(form) <= 2 or form.endswith("."):
        return "initials"
    if form.isupper():
        return "acronym"
    return "name" if kind == "unlisted" else "other"


def _notation(form: str) -> str:
    digits = sum(character.isdigit() for character in form)
    if digits == 0:
        return "word"
    if digits == len(form) <= 2:
        return ("one-digit", "two-digit")[digits - 1]
    if digits == len(form) == 4 and form[0] in "12":
        return "year"
    return "number" if all(character.isdigit() or character in ".," for character in form) else "mixed"

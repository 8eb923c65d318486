"""What sets words of one part of speech apart: the columns of the poster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from periodic_table.element import Element, Site

# From left to right: the bonding site that decides (">" takes such a dependent, "<" is one), whether it must be there
# or be missing, and the column's name. The first that fits is taken.
COLUMNS: Mapping[str, Sequence[tuple[str, bool, str]]] = {
    "VERB": (
        (">iobj", True, "gives someone"),
        (">ccomp", True, "says that"),
        (">xcomp", True, "wants to"),
        (">obj", True, "takes an object"),
        ("", True, "goes alone"),
    ),
    "NOUN": (
        (">nmod:poss", True, "is someone's"),
        ("<compound", True, "builds compounds"),
        (">nmod", True, "is of something"),
        ("", True, "is itself"),
    ),
    "PROPN": (("", True, "names"),),
    "ADJ": (
        ("<amod", False, "after be"),
        (">cop", True, "both ways"),
        ("", True, "before a noun"),
    ),
    "ADV": (("", True, "how, when, where"),),
}
NAMES = tuple(name for columns in COLUMNS.values() for _, _, name in columns)
# A bond that a word has in fewer than one of ten uses decides nothing; those of the table made by hand all count.
USUAL = 0.1


def column(element: Element) -> str:
    """The column of a noun, name, verb, adjective or adverb: how its bonds set it apart from others of its kind.

    Raises:
        KeyError: words of that part of speech stand below the columns.
    """
    usual = {mark(site) for site in element.valence if site.expected >= USUAL}
    return next(name for site, wanted, name in COLUMNS[element.pos] if not site or (site in usual) == wanted)


def mark(site: Site) -> str:
    """A bonding site in short: ">obj" takes an object, "<obj" is one."""
    return f"{'>' if site.role == 'head' else '<'}{site.relation}"


def valence(element: Element) -> int:
    """How many kinds of dependent a word takes in at least one of ten uses."""
    return sum(site.role == "head" and site.expected >= USUAL for site in element.valence)

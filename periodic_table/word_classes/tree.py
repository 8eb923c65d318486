"""A tree of yes-or-no questions about a word's path, whose leaves are the classes.

The first 17 leaves are the parts of speech. Each split asks whether the name at one step is one of some listed names
and makes two leaves out of one, so the first `size - 17` splits give `size` classes, for any size. A name that no list
has, such as a word never seen, answers no: every word has a class.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from periodic_table.shipped import DATA, ModelCorrupt, ModelMissing
from periodic_table.tagging.tagger import TAGS
from periodic_table.word_classes.paths import Path

SHIPPED = DATA / "classes-tree.toml"
SCHEMA = "classes-tree.v1"
REBUILD = "python -m periodic_table.word_classes.build"
LEAST = len(TAGS)


class ClassSizeError(ValueError):
    """A number of classes that the shipped tree does not have."""


@dataclass(frozen=True)
class Split:
    """One question.

    Args:
        leaf: which leaf is split, in the order in which leaves came about: 0 to 16 are the tags in alphabetical order;
            the "yes" half keeps the number, the "no" half gets the next free one.
        step: of the path.
        names: that answer yes.
    """

    leaf: int
    step: int
    names: frozenset[str]


class ClassTree:
    """The classes that some splits make.

    Args:
        splits: in the order in which they were made.
    """

    def __init__(self, splits: Sequence[Split]) -> None:
        upos = list(range(LEAST))
        order = list(range(LEAST))
        ways: list[tuple[tuple[Split, bool], ...]] = [()] * LEAST
        self._asked: list[list[tuple[int, Split]]] = [[] for _ in TAGS]
        for new, split in enumerate(splits, LEAST):
            upos.append(upos[split.leaf])
            order.insert(order.index(split.leaf) + 1, new)
            ways.append((*ways[split.leaf], (split, False)))
            ways[split.leaf] = (*ways[split.leaf], (split, True))
            self._asked[upos[new]].append((new, split))
        self.number = {leaf: place for place, leaf in enumerate(order)}
        """From leaves, in the order in which they came about, to class ids."""
        self.ways = tuple((TAGS[upos[leaf]], ways[leaf]) for leaf in order)
        """For each class its part of speech, and the questions on the way down to it with the answers."""

    def __len__(self) -> int:
        return len(self.ways)

    def class_of(self, upos: str, path: Path) -> int:
        """The class of a word: those of one part of speech stand together, "yes" before "no"."""
        leaf = TAGS.index(upos)
        for new, split in self._asked[leaf]:
            if split.leaf == leaf and path[split.step] not in split.names:
                leaf = new
        return self.number[leaf]


@functools.cache
def fingerprint() -> NDArray[np.uint8]:
    """32 bytes that change whenever the splits do: what is counted over classes keeps them, to go with no others."""
    rows = [[split.leaf, split.step, sorted(split.names)] for split in load_splits()]
    return np.frombuffer(hashlib.sha256(json.dumps(rows).encode()).digest(), dtype=np.uint8)


@functools.cache
def load_tree(size: Any) -> ClassTree:
    """The shipped classes of one size.

    Raises:
        ClassSizeError: there is no such size.
        ModelMissing, ModelCorrupt: see `load_splits`.
    """
    splits = load_splits()
    most = LEAST + len(splits)
    if isinstance(size, bool) or not isinstance(size, Integral) or int(size) not in range(LEAST, most + 1):
        raise ClassSizeError(f"size is {size!r}, expected 17, 64, 256 or any other whole number from {LEAST} to {most}")
    return ClassTree(splits[: int(size) - LEAST])


@functools.cache
def load_splits() -> tuple[Split, ...]:
    """The shipped splits, read once in a process.

    Raises:
        ModelMissing: the file is not there.
        ModelCorrupt: it is not such a file.
    """
    try:
        table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA:
            raise ModelCorrupt(f"{SHIPPED} has schema {table['schema']!r}, expected {SCHEMA!r}; run: {REBUILD}")
        return tuple(Split(row["leaf"], row["step"], frozenset(row["names"])) for row in table["split"])
    except FileNotFoundError as error:
        raise ModelMissing(f"{SHIPPED} is not there; build it with: {REBUILD}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ModelCorrupt(f"{SHIPPED} is not a tree of classes ({error!r}); build it anew with: {REBUILD}") from error


@functools.cache
def ancestors(size: int, wider: int) -> NDArray[np.int64]:
    """Of each class of one size the class of a smaller size that it is a part of: int64[size].

    Raises:
        ClassSizeError: there is no such size, or `wider` is more than `size`.
    """
    fine, coarse = load_tree(size), load_tree(wider)
    if wider > size:
        raise ClassSizeError(f"{wider} classes are not wider than {size}; expected wider <= size")
    splits = load_splits()
    out = np.zeros(size, dtype=np.int64)
    for leaf, number in fine.number.items():
        while leaf not in coarse.number:
            leaf = splits[leaf - LEAST].leaf
        out[number] = coarse.number[leaf]
    return out

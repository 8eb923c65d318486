"""What bond rules answer, whichever they are: which words of a text may see which, how much, and why.

Axes: N words of a text, C classes. Rows are the word that looks (the query), columns the word that is looked at (the
    key).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.storage import Arrays
from periodic_table.shipped import ModelCorrupt, read_model
from periodic_table.tagging import load_tagger
from periodic_table.tagging.tagger import check_one_tag_each, check_tokens
from periodic_table.word_classes.tree import fingerprint

Block = Literal["hard", "soft"]
# Which tags rules were counted with: use those that the rules will be given.
Tags = Literal["gold", "type-level"]

SCHEMA = "bonds.v1"
REBUILD = "python -m periodic_table.bonding.build"

# The original takes 10 nats from the logit of a pair that it blocks softly.
PENALTY = 10.0


class UnknownRules(LookupError):
    """Rules, or a mode of them, that there are not."""


class UnknownBond(IndexError):
    """A pair of words that the text does not have, or of classes that there are not."""


@dataclass(frozen=True, eq=False)
class Bonds:
    """The bonds of one text.

    Args:
        words: N words.
        upos: their parts of speech.
        allow: bool[N, N].
        bias: float32[N, N], to be added to attention logits, in nats; 0 where there is nothing to say.
        reason: gives a sentence for a pair.
    """

    words: tuple[str, ...]
    upos: tuple[str, ...]
    allow: NDArray[np.bool_]
    bias: NDArray[np.float32]
    reason: Callable[[int, int], str]

    def explain(self, i: int, j: int) -> str:
        """Why word i may, or may not, see word j, in one sentence.

        Args:
            i: place of the word that looks, from 0.
            j: place of the word that is looked at.

        Raises:
            UnknownBond: the text has no such word.
        """
        for place in (i, j):
            if place not in range(len(self.words)):
                raise UnknownBond(f"no word {place!r}: the text has words 0 to {len(self.words) - 1}")
        i, j = int(i), int(j)
        verb = "sees" if self.allow[i, j] else "does not see"
        pair = f"{self.words[i]!r} ({self.upos[i]}) {verb} {self.words[j]!r} ({self.upos[j]})"
        return f"{pair}: {'every word sees itself' if i == j else self.reason(i, j)}."


@dataclass(frozen=True, eq=False)
class ClassTables:
    """Rules as tables over classes, which is what `sparse_attn.ClassRules` takes.

    Args:
        allow: bool[C, C].
        bias: float32[C, C], in nats.
        names: of the C classes.
    """

    allow: NDArray[np.bool_]
    bias: NDArray[np.float32]
    names: tuple[str, ...]


class Rules(Protocol):
    """Which words may see which.

    Args:
        name: of the rules, with what distinguishes them from others of their kind.
        causal: whether what a word sees of the words before it depends on it and the words before it alone, tags that
            are given with the words aside.
    """

    name: str
    causal: bool

    def bonds(self, words: Sequence[str], upos: Sequence[str] | None = None) -> Bonds:
        """The bonds of a text.

        Args:
            words: of a sentence or of running text.
            upos: their parts of speech; without them, the likeliest one of each form, whatever stands around it.

        Raises:
            TypeError: `words` is one text, or holds something that is not text.
            ValueError: another number of tags than of words.
            periodic_table.element.UnknownTag: a tag is not one of the 17.

        Cost: O(N^2).
        """

    def tables(self) -> ClassTables:
        """The rules as tables over classes.

        Raises:
            UnknownRules: these rules look at more than classes.
        """
        raise UnknownRules(f"{self.name!r} rules look at more than classes; use bonds(), or load_rules('counted')")

    def explain(self, later: int, earlier: int) -> str:
        """Why a word of one class sees a word of another before it, or not, in half a sentence.

        For a pair of words in a text there is `Bonds.explain`.

        Args:
            later, earlier: class ids as in `tables`.

        Raises:
            UnknownRules: these rules look at more than classes.
            UnknownBond: there is no such class.
        """
        raise UnknownRules(
            f"{self.name!r} rules look at more than classes; use bonds(words).explain(i, j), or load_rules('counted')"
        )


def tagged(words: Sequence[str], upos: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words and their tags, checked; see `Rules.bonds`."""
    checked = check_tokens(words)
    tags = load_tagger().tag(checked) if upos is None else check_one_tag_each(checked, upos)
    return tuple(checked), tuple(tags)


def blocked(
    allow: NDArray[np.bool_], bias: NDArray[np.float32], block: Block, penalty: float = PENALTY
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Apply a way of blocking: "hard" as it is; "soft" lets everything through, what was blocked at a penalty in nats.

    Raises:
        UnknownRules: `block` is neither.
    """
    if block == "hard":
        return allow, bias
    if block == "soft":
        return np.ones_like(allow), np.where(allow, bias, bias - np.float32(penalty))
    raise UnknownRules(f"no way of blocking {block!r}; there are 'hard' and 'soft'")


def check_window(window: int) -> int:
    """A number of places, or an error.

    Raises:
        UnknownRules: it is not a whole number >= 0.
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 0:
        raise UnknownRules(f"window is {window!r}, expected a whole number of words >= 0")
    return window


def check_class(number: int, size: int) -> int:
    """A class id, or an error.

    Raises:
        UnknownBond: there is no such class.
    """
    if number not in range(size):
        raise UnknownBond(f"no class {number!r}: there are classes 0 to {size - 1}")
    return int(number)


def check_tags(tags: str) -> None:
    """Refuse tags that no rules were counted with.

    Raises:
        UnknownRules: says which there are.
    """
    if tags not in get_args(Tags):
        raise UnknownRules(f"no rules counted with tags={tags!r}; there are 'gold' and 'type-level'")


def read_bonds(name: str) -> Arrays:
    """Shipped counts or weights over classes of words.

    Raises:
        ModelMissing, ModelCorrupt: see `periodic_table.shipped.read_model`; also where they belong to other classes
            than the shipped ones.
    """
    arrays = read_model(name, SCHEMA, REBUILD)
    if not np.array_equal(arrays["tree"], fingerprint()):
        raise ModelCorrupt(f"{name} was made with another tree of classes than the shipped one; run: {REBUILD}")
    return arrays


def near(count: int, window: int) -> NDArray[np.bool_]:
    """bool[N, N]: pairs less than `window` apart, and every word with itself."""
    place = np.arange(count)
    pairs: NDArray[np.bool_] = np.abs(place[:, None] - place[None]) < max(window, 1)
    return pairs

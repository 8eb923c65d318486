"""Rules counted in a treebank: how much more often than by chance words of two classes are bonded.

    s(q, k) = log (arcs(q, k) + KAPPA * exp s'(q, k)) / (expected(q, k) + KAPPA)
    s'(q, k) = s(q, tag of k) + s(tag of q, k) - s(tag of q, tag of k)

over pairs of a later word of class q and an earlier one of class k. `arcs` of them are bonded; `expected` would be if
only the distance of two words mattered. s' is what each of the two classes says of the tag of the other, so where there
is little evidence the wider classes decide; between two tags it is 0. A pair of classes is open where s reaches a
threshold.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.bonding.rules import (
    Block,
    Bonds,
    ClassTables,
    Rules,
    Tags,
    UnknownRules,
    blocked,
    check_class,
    check_tags,
    check_window,
    near,
    read_bonds,
    tagged,
)
from periodic_table.lexicon.storage import Arrays
from periodic_table.word_classes import classes, names
from periodic_table.word_classes.tree import ancestors

# Of 3, 6, 10 and 20 about the best on the development part of the treebank; between 3 and 10 it hardly matters.
KAPPA = 6.0
SIZES = (17, 64, 256)
# Log-odds further from 0 than this are counts of next to nothing.
MOST = 6.0

Table = NDArray[np.float64]


class Evidence:
    """What was counted, over the finest classes.

    Args:
        arrays: "later", "earlier", "relation", "count": one row for each combination that occurs, of the classes of the
            two words, and of the relation with the side of its head; "expected": [256, 256]; "relations": their names,
            as text; "keep": shares; "thresholds": [3 sizes, shares], chosen on the development part of the treebank.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.relations = tuple(arrays["relations"].tobytes().decode().split("\n"))
        self.expected: Table = arrays["expected"].astype(np.float64)
        self.keep, self.thresholds = arrays["keep"].astype(np.float64), arrays["thresholds"].astype(np.float64)
        self._rows = tuple(arrays[name].astype(np.int64) for name in ("later", "earlier", "relation"))
        self._count = arrays["count"].astype(np.float64)

    def arcs(self, size: int, later: int, earlier: int) -> NDArray[np.float64]:
        """[relations]: how many arcs of each there are between words of two classes."""
        wider = ancestors(SIZES[-1], size)
        found = (wider[self._rows[0]] == later) & (wider[self._rows[1]] == earlier)
        return np.bincount(self._rows[2][found], self._count[found], len(self.relations)).astype(np.float64)

    def widths(self) -> dict[int, NDArray[np.int64]]:
        """For each size the class of that size that each of the finest classes is a part of."""
        return {size: ancestors(SIZES[-1], size) for size in SIZES}

    def usual(self) -> NDArray[np.float64]:
        """[relations]: the share of each among all arcs."""
        arcs: NDArray[np.float64] = np.bincount(self._rows[2], self._count, len(self.relations)) / self._count.sum()
        return arcs

    def totals(self, size: int, other: int) -> tuple[Table, Table]:
        """[size, other] each: how many arcs there are, and how many there would be if only distance mattered.

        Args:
            size, other: numbers of classes of the later and of the earlier word.
        """
        later, earlier = ancestors(SIZES[-1], size), ancestors(SIZES[-1], other)
        pair = later[self._rows[0]] * other + earlier[self._rows[1]]
        arcs = np.bincount(pair, self._count, minlength=size * other).astype(np.float64).reshape(size, other)
        return arcs, np.eye(size)[later].T @ self.expected @ np.eye(other)[earlier]

    @functools.cache  # noqa: B019 - there is one object a process
    def score(self, size: int) -> Table:
        """[size, size]: s(q, k)."""
        tags = SIZES[0]
        tag = ancestors(size, tags)
        wide = self._smoothed(tags, tags, np.zeros((tags, tags)))
        by_later = self._smoothed(size, tags, wide[tag])
        by_earlier = self._smoothed(tags, size, wide[:, tag])
        return self._smoothed(size, size, by_later[:, tag] + by_earlier[tag] - wide[np.ix_(tag, tag)])

    def _smoothed(self, size: int, other: int, prior: Table) -> Table:
        arcs, expected = self.totals(size, other)
        score: Table = np.log((arcs + KAPPA * np.exp(prior)) / (expected + KAPPA))
        return score

    def threshold(self, size: int, keep: float) -> float:
        """The lowest s that is open, for a share of arcs to be licensed.

        Raises:
            UnknownRules: no threshold was chosen for that share.
        """
        found = np.flatnonzero(np.isclose(self.keep, keep))
        if not len(found):
            raise UnknownRules(f"no threshold for keep={keep!r}; there are: {', '.join(f'{x:g}' for x in self.keep)}")
        return float(self.thresholds[SIZES.index(size), found[0]])


@functools.cache
def load_evidence(tags: Tags = "gold") -> Evidence:
    """The shipped counts, with the tags of the treebank or with those that the forms alone have.

    Raises:
        UnknownRules: there are no such counts.
        ModelMissing, ModelCorrupt: see `periodic_table.bonding.rules.read_bonds`.
    """
    check_tags(tags)
    return Evidence(read_bonds(f"bonds-counted-{tags}"))


class CountedRules(Rules):
    """Which classes of words are bonded, graded and directional, as counted in UD English EWT.

    Args:
        size: number of classes: 17, 64 or 256.
        keep: the share of a treebank's arcs that the threshold was chosen to license.
        window: words less than this many places apart see each other whatever their classes; 0 for none.
        escape: pairs of classes of which fewer than this many arcs would be expected are open: too little evidence to
            forbid anything.
        block: "hard", or "soft" for a penalty of 10 nats.
        tags: "gold" for tags as good as a treebank's; "type-level" for those that each form has by itself, which
            `periodic_table.word_classes.class_table` is made of. Where `bonds` is given no tags, the latter decide.

    Raises:
        UnknownRules: another size, share, way of blocking or kind of tags than there are; a window or an escape that
            is no number >= 0.
    """

    causal = True

    def __init__(
        self,
        size: int = 256,
        keep: float = 0.98,
        window: int = 0,
        escape: float = 0.0,
        block: Block = "hard",
        tags: Tags = "gold",
    ) -> None:
        if size not in SIZES:
            raise UnknownRules(f"no counts for size={size!r}; there are: {', '.join(map(str, SIZES))}")
        self.size, self.window, self.block, self.name = size, check_window(window), block, f"counted {size} {tags}"
        self._by_form = functools.partial(CountedRules, size, keep, window, escape, block, "type-level")
        self.tags = tags
        self._evidence = evidence = load_evidence(tags)
        self.threshold = evidence.threshold(size, keep)
        self._score = evidence.score(size)
        self._arcs, self._expected = evidence.totals(size, size)
        if not isinstance(escape, int | float) or not escape >= 0:
            raise UnknownRules(f"escape is {escape!r}, expected a number of arcs >= 0")
        self._scarce = self._expected < escape
        self._open = (self._score >= self.threshold) | self._scarce
        blocked(self._open, self._score.astype(np.float32), block)

    def bonds(self, words: Sequence[str], upos: Sequence[str] | None = None) -> Bonds:
        """The bonds of a text: see `Rules`. The bias is s of the pair, the same both ways."""
        if upos is None and self.tags == "gold":
            return self._by_form().bonds(words)
        words, tags = tagged(words, upos)
        ids = classes(words, tags, self.size)
        place = np.arange(len(ids))
        later = np.maximum(place[:, None], place[None])
        earlier = np.minimum(place[:, None], place[None])
        pair = ids[later], ids[earlier]
        close = near(len(ids), self.window)
        bias = np.clip(self._score[pair], -MOST, MOST).astype(np.float32)
        np.fill_diagonal(bias, 0.0)

        def reason(i: int, j: int) -> str:
            if close[i, j]:
                return f"it is less than {self.window} words away"
            return self.explain(int(ids[max(i, j)]), int(ids[min(i, j)]))

        return Bonds(words, tags, *blocked(self._open[pair] | close, bias, self.block), reason)

    def tables(self) -> ClassTables:
        """The rules as tables over `classes(..., size)`: row = class of the later word, which looks back.

        `sparse_attn.ClassRules(allow, bias, window=...)` takes them; the window is its own affair.
        """
        bias = np.clip(self._score, -MOST, MOST).astype(np.float32)
        return ClassTables(*blocked(self._open, bias, self.block), names(self.size))

    def explain(self, later: int, earlier: int) -> str:
        """Why words of two classes are bonded or not, in half a sentence.

        Args:
            later, earlier: class ids.

        Raises:
            UnknownBond: there is no such class.
        """
        kinds, pair = names(self.size), (check_class(later, self.size), check_class(earlier, self.size))
        ratio = np.exp(self._score[pair])
        text = f"{kinds[earlier]} before {kinds[later]} is bonded {ratio:.2g} times as often as by chance"
        text += f" ({self._arcs[pair]:.0f} arcs, {self._expected[pair]:.1f} expected)"
        if self._arcs[pair]:
            by_relation = self._evidence.arcs(self.size, later, earlier)
            relation, _, side = self._evidence.relations[int(by_relation.argmax())].partition(" ")
            text += f", most often by {relation} with the head on the {side}"
        if self._score[pair] < self.threshold:
            limit = f"open from {np.exp(self.threshold):.2g} on"
            text += f"; {limit}, but there is too little evidence to forbid it" if self._scarce[pair] else f"; {limit}"
        return text

    def relation_odds(self, later: int, earlier: int) -> dict[str, float]:
        """How much more likely each relation is between words of two classes than between any two words, in nats.

        Args:
            later, earlier: class ids.

        Returns:
            "nsubj right" and so on, the side being that of the head, to log P(relation | classes) / P(relation), for
            the relations that the classes were seen with; smoothed with `KAPPA` arcs of the average kind.
        """
        usual = self._evidence.usual()
        found = self._evidence.arcs(self.size, later, earlier)
        odds = np.log((found + KAPPA * usual) / (found.sum() + KAPPA) / usual)
        return {self._evidence.relations[place]: float(odds[place]) for place in np.flatnonzero(found).tolist()}

"""Rules that look at the pair in its text: its classes and distance, what stands between, and who stands beside.

    s(i, j) = sum of weights of the pair's features;   P(bond) = sigmoid(s + log-odds of a bond at that distance)

Weights are by maximum likelihood on a treebank. A pair is open where s, how much likelier a bond is than at that
distance in general, reaches a threshold. Nothing here fits into a table over classes: `CountedRules.tables` is for
that.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from periodic_table.bonding.pairs import CLASSES, LAYOUTS, Context, Text
from periodic_table.bonding.rules import (
    Block,
    Bonds,
    Rules,
    Tags,
    UnknownRules,
    blocked,
    check_tags,
    check_window,
    near,
    read_bonds,
    tagged,
)
from periodic_table.lexicon.storage import Arrays
from periodic_table.tagging.tagger import TAGS
from periodic_table.word_classes import classes

MOST = 6.0
# Pairs that are scored at once, to bound the memory.
BLOCK = 200_000


class GradedRules(Rules):
    """Which pairs of words are bonded, from all that the text says of them.

    Args:
        context: "left": what a word sees of the words before it depends on these and on it alone; "both": on the two
            words after it, too, and is **not causal**.
        keep: the share of a treebank's arcs that the threshold was chosen to license.
        window: words less than this many places apart see each other in any case; 0 for none.
        block: "hard", or "soft" for a penalty of 10 nats.
        tags: "gold" for tags as good as a treebank's; "type-level" for those that each form has by itself. Where
            `bonds` is given no tags, the latter decide.

    Raises:
        UnknownRules: another context, share, way of blocking or kind of tags than there are; a window that is no whole
            number >= 0.
    """

    def __init__(
        self,
        context: Context = "left",
        keep: float = 0.98,
        window: int = 0,
        block: Block = "hard",
        tags: Tags = "gold",
    ) -> None:
        if context not in get_args(Context):
            raise UnknownRules(f"no context {context!r}; there are: {', '.join(get_args(Context))}")
        self.context, self.window, self.block = context, check_window(window), block
        self.name, self.causal = f"graded {context} {tags}", context == "left"
        self._by_form = functools.partial(GradedRules, context, keep, window, block, "type-level")
        self.tags = tags
        arrays = _load(context, tags)
        self.weights = arrays["weights"].astype(np.float32) * arrays["step"].astype(np.float32)
        found = np.flatnonzero(np.isclose(arrays["keep"].astype(np.float64), keep))
        if not len(found):
            raise UnknownRules(
                f"no threshold for keep={keep!r}; there are: {', '.join(f'{x:g}' for x in arrays['keep'])}"
            )
        self.threshold = float(arrays["thresholds"][found[0]])
        blocked(np.ones((1, 1), dtype=bool), np.zeros((1, 1), dtype=np.float32), block)

    def bonds(self, words: Sequence[str], upos: Sequence[str] | None = None) -> Bonds:
        """The bonds of a text: see `Rules`. The bias is s, the same both ways."""
        if upos is None and self.tags == "gold":
            return self._by_form().bonds(words)
        words, tags = tagged(words, upos)
        text = Text(np.array([TAGS.index(tag) for tag in tags], dtype=np.int64), classes(words, tags, CLASSES))
        score = scores(text, self.weights, self.context)
        close = near(len(words), self.window)

        def reason(i: int, j: int) -> str:
            if close[i, j]:
                return f"it is less than {self.window} words away"
            return self._explained(text, min(i, j), max(i, j), float(score[i, j]))

        bias = np.clip(score, -MOST, MOST).astype(np.float32)
        return Bonds(words, tags, *blocked((score >= self.threshold) | close, bias, self.block), reason)

    def _explained(self, text: Text, i: int, j: int, score: float) -> str:
        places = text.features(np.array([i]), np.array([j]), self.context)[0]
        kinds: dict[str, float] = {}
        for kind, weight in zip(LAYOUTS[self.context].names, self.weights[places].tolist(), strict=True):
            kinds[kind] = kinds.get(kind, 0.0) + weight
        parts = ", ".join(f"{kind} {weight:+.1f}" for kind, weight in kinds.items())
        return f"{parts}: {score:+.1f} nats against any two words {j - i} apart, open from {self.threshold:+.1f} on"


@functools.lru_cache(maxsize=2)
def _load(context: Context, tags: Tags) -> Arrays:
    check_tags(tags)
    return read_bonds(f"bonds-graded-{context}-{tags}")


def scores(text: Text, weights: NDArray[np.float32], context: Context) -> NDArray[np.float32]:
    """[N, N]: s of all pairs of words, both ways the same, 0 on the diagonal."""
    count = len(text.tags)
    out = np.zeros((count, count), dtype=np.float32)
    i, j = np.triu_indices(count, 1)
    for start in range(0, len(i), BLOCK):
        a, b = i[start : start + BLOCK], j[start : start + BLOCK]
        out[a, b] = out[b, a] = weights[text.features(a, b, context)].sum(axis=1)
    return out

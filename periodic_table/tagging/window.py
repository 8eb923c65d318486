"""The two taggers that look at neighbours: to the left only, or to both sides.

P(tag | words around) = softmax of summed weights: of the word itself, of its neighbours, and of what they are together.
No tag depends on another tag, so a text is tagged in one sweep and a tag never changes once its window is full.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.tagging.context import BOTH, LEFT, REACH, RIGHT, Template, joined, own_features, symbols
from periodic_table.tagging.counts import FormCounts
from periodic_table.tagging.log_linear import Hashes, Scores, Weights, softmax
from periodic_table.tagging.looks import normal
from periodic_table.tagging.tagger import TAGS, Tagger, check_tokens

BLOCK = 4096
REMEMBERED = 100_000


class WindowTagger(Tagger):
    """A log-linear tagger over a window of words.

    Args:
        counts: of the training treebank.
        weights: trained with `periodic_table.tagging.train`.
    """

    templates: tuple[Template, ...]

    def __init__(self, counts: FormCounts, weights: Weights) -> None:
        self.counts, self.weights = counts, weights
        self._known: dict[str, tuple[Scores, Hashes]] = {}

    def probabilities(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """How likely each part of speech is for each word: see `Tagger`.

        Cost: O(N); about 10 us a word, and 40 us for each form that is new to this object.
        """
        forms = [normal(token) for token in check_tokens(tokens)]
        if not forms:
            return np.zeros((0, len(TAGS)))
        own, of_word = self._looked_up(forms)
        features = joined(of_word, self.templates)
        for start in range(0, len(forms), BLOCK):
            own[start : start + BLOCK] += self.weights.score(features[start : start + BLOCK])
        rows = softmax(own)
        for place, form in enumerate(forms):
            certain = self.counts.certain(form)
            if certain is not None:
                rows[place] = np.eye(len(TAGS))[certain]
        return rows

    def _looked_up(self, forms: list[str]) -> tuple[Scores, Hashes]:
        if len(self._known) > REMEMBERED:
            self._known.clear()
        new = list(dict.fromkeys(form for form in forms if form not in self._known))
        for at in range(0, len(new), BLOCK):
            some = new[at : at + BLOCK]
            own = self.weights.score_each([own_features(form, self.counts) for form in some])
            of_word = np.array([symbols(form, self.counts) for form in some], dtype=np.uint64)
            self._known.update(zip(some, zip(own, of_word, strict=True), strict=True))
        found = [self._known[form] for form in forms]
        return np.stack([own for own, _ in found]), np.stack([of_word for _, of_word in found])


class LeftToRightTagger(WindowTagger):
    """The tag of a word from itself and the two words before it: strictly causal, and final as soon as it is read."""

    name, causal, reach = "left-to-right", True, (REACH, 0)
    templates = LEFT


class FullContextTagger(WindowTagger):
    """The tag of a word from itself and two words on either side. **Not causal**: never for a language model."""

    name, causal, reach = "full-context", False, (REACH, REACH)
    templates = tuple(sorted(LEFT + RIGHT + BOTH, key=len))

"""The tag of a word form, whatever stands around it: as leak-free as a dictionary.

    P(tag | form) = (count(form, tag) + KAPPA * P0(tag | looks of form)) / (count(form) + KAPPA)

Counts are of the training treebank; P0 sees endings, beginnings, shape and what WordNet lists, never the word itself,
and was trained on the words that the treebank has at most ten times. It alone speaks for a form that was never seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.tagging.counts import FormCounts
from periodic_table.tagging.log_linear import Hashes, Weights, softmax
from periodic_table.tagging.looks import hashed, inner, normal
from periodic_table.tagging.tagger import TAGS, Tagger, check_tokens

# Of 0.3, 1 and 3 the best on the development part of the treebank.
KAPPA = 3.0
RARE = 10
REMEMBERED = 100_000


class TypeLevelTagger(Tagger):
    """P(tag | word form).

    Args:
        counts: of the training treebank.
        looks: weights of the features of `periodic_table.tagging.looks.inner`.
    """

    name, causal, reach = "type-level", True, (0, 0)

    def __init__(self, counts: FormCounts, looks: Weights) -> None:
        self.counts, self.looks = counts, looks
        self._known: dict[str, NDArray[np.float64]] = {}

    def probabilities(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """How likely each part of speech is for each word: see `Tagger`.

        Cost: O(N); 60 us for each form that is new to this object, next to nothing for the others.
        """
        forms = [normal(token) for token in check_tokens(tokens)]
        if len(self._known) > REMEMBERED:
            self._known.clear()
        for form in forms:
            if form not in self._known:
                self._known[form] = self._of(form)
        return np.array([self._known[form] for form in forms]).reshape(len(forms), len(TAGS))

    def _of(self, form: str) -> NDArray[np.float64]:
        certain = self.counts.certain(form)
        if certain is not None:
            return np.asarray(np.eye(len(TAGS))[certain])
        prior = softmax(self.looks.score(look_features(form)[None]))[0]
        seen = self.counts.forms.get(form)
        return prior if seen is None else np.asarray((seen + KAPPA * prior) / (seen.sum() + KAPPA))


def look_features(form: str) -> Hashes:
    """What a word looks like, as hashes."""
    return np.array([hashed(feature) for feature in inner(form)], dtype=np.uint64)

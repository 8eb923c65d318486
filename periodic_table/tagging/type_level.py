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
from periodic_table.tagging.log_linear import Weights, softmax
from periodic_table.tagging.looks import hashed, inner, normal
from periodic_table.tagging.tagger import TAGS, Tagger, check_tokens

# Of 0.3, 1 and 3 the best on the development part of the treebank.
KAPPA = 3.0
RARE = 10
REMEMBERED = 100_000
# Forms that are scored at once, which bounds the memory.
BLOCK = 4096


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

        Cost: O(N); 30 us for each form that is new to this object, next to nothing for the others.
        """
        forms = [normal(token) for token in check_tokens(tokens)]
        if len(self._known) > REMEMBERED:
            self._known.clear()
        new = list(dict.fromkeys(form for form in forms if form not in self._known))
        for at in range(0, len(new), BLOCK):
            some = new[at : at + BLOCK]
            self._known.update(zip(some, self._of(some), strict=True))
        return np.array([self._known[form] for form in forms]).reshape(len(forms), len(TAGS))

    def _of(self, forms: list[str]) -> NDArray[np.float64]:
        rows = np.zeros((len(forms), len(TAGS)))
        certain = [self.counts.certain(form) for form in forms]
        open_ = [place for place, tag in enumerate(certain) if tag is None]
        for place, tag in enumerate(certain):
            if tag is not None:
                rows[place, tag] = 1.0
        rows[open_] = softmax(self.looks.score_each([look_features(forms[place]) for place in open_]))
        for place in open_:
            seen = self.counts.forms.get(forms[place])
            if seen is not None:
                rows[place] = (seen + KAPPA * rows[place]) / (seen.sum() + KAPPA)
        return rows


def look_features(form: str) -> list[int]:
    """What a word looks like, as hashes."""
    return list(map(hashed, inner(form)))

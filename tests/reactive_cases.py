"""A treebank small enough to train on in a test: a grammar with agreement of words that tags alone do not show."""

from __future__ import annotations

import itertools
from functools import cache

from dynamics.conllu import Sentence
from dynamics.reactive.model import Model
from dynamics.reactive.train import Settings, train

SMALL = Settings(charge_bits=14, coarse_bits=10, label_bits=10, tag_bits=10, coupling_bits=12, coupling_epochs=3)


def small_treebank(xpos: bool = True) -> list[Sentence]:
    """Trees of the form "the dog saw a cat with the eyes", where the noun says what the phrase belongs to."""
    sentences = []
    for subject, verb, noun, last in itertools.product(
        ("dog", "woman", "boy"), ("saw", "liked"), ("cat", "man"), ("eyes", "hat", "")
    ):
        tokens = ["The", subject, verb, "a", noun] + (["with", "the", last] if last else []) + ["."]
        upos = ["DET", "NOUN", "VERB", "DET", "NOUN"] + (["ADP", "DET", "NOUN"] if last else []) + ["PUNCT"]
        fine = (
            ["DT", "NN", "VBD", "DT", "NN"] + (["IN", "DT", "NNS" if last == "eyes" else "NN"] if last else []) + ["."]
        )
        heads = [2, 3, 0, 5, 3] + ([8, 8, 3 if last == "eyes" else 5] if last else []) + [3]
        labels = ["det", "nsubj", "root", "det", "obj"]
        labels += (["case", "det", "obl" if last == "eyes" else "nmod"] if last else []) + ["punct"]
        sentences.append(Sentence(tuple(tokens), tuple(upos), tuple(fine) if xpos else (), tuple(heads), tuple(labels)))
    return sentences


@cache
def small_model() -> Model:
    """What is learned from it."""
    return train(small_treebank(), SMALL)

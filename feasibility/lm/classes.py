"""A class for every entry of the vocabulary: a table, so that a text's classes are `table[ids]` and nothing can leak.

    predetermined/17 /64 /256    parts of speech, supersenses, VerbNet: `periodic_table`, without any training
    endings/64 /256              the same, but a piece that goes on with a word as an unknown word that ends so
    distributional/64 /256       k-means of PPMI-SVD vectors of the train part
    frequency/64                 entries of like frequency, every class with an equal share of the text
    random/64.0 .1 .2            every entry drawn alike
    permuted/64.0 .1 .2          predetermined/64, dealt out anew among entries of like frequency
    punctuation                  1 for entries of punctuation marks and line ends alone
    original/words               entries of which the original's rules know the same; original/facts, [C, 31], says what

A piece that goes on with a word, a fifth of the text, has the class of X in the first three. V entries, C classes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from feasibility.lm.data import Corpus

Table = NDArray[np.uint8]

SIZES = (17, 64, 256)
DRAWS = 3
# Entries of like frequency: so many ranks in a row.
STRATUM = 16
DIMENSIONS, REACH = 100, 4
UNKNOWN_STEM = "glorb"


def class_tables(corpus: Corpus, seed: int = 0) -> dict[str, Table]:
    """All tables named above.

    Args:
        corpus: its vocabulary and its train part are used, no other.
        seed: of clustering and of the draws.

    Returns: name -> uint8 [V], and for "original/facts" [C, 31], see `feasibility.lm.rules`.

    Cost: a minute for 8,192 entries and 12 million tokens.
    """
    from feasibility.lm.rules import FACTS, WORDS, word_facts
    from periodic_table.word_classes import class_table

    counts = corpus.counts()
    tables = {f"predetermined/{size}": class_table(corpus.vocab, size) for size in SIZES}
    for size in (64, 256):
        tables[f"endings/{size}"] = with_endings(corpus.vocab, tables[f"predetermined/{size}"], size)
    vectors = distributional_vectors(corpus.ids["train"], len(corpus.vocab))
    for size in (64, 256):
        tables[f"distributional/{size}"] = cluster(vectors, size, seed)
    tables["frequency/64"] = frequency_classes(counts, 64)
    for draw in range(DRAWS):
        generator = np.random.default_rng([seed, draw])
        tables[f"random/64.{draw}"] = generator.integers(0, 64, len(counts))
        tables[f"permuted/64.{draw}"] = permuted(tables["predetermined/64"], counts, generator)
    tables["punctuation"] = np.array([is_punctuation(entry) for entry in corpus.vocab])
    words, facts = word_facts(corpus.vocab)
    return {name: table.astype(np.uint8) for name, table in tables.items()} | {WORDS: words, FACTS: facts}


def with_endings(vocab: Sequence[str], table: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Letters that go on with a word, classed by what they would make of a word that nobody knows: "ing", "ness".

    Args:
        vocab: V entries of a byte-level vocabulary.
        table: int64 [V], predetermined classes; kept for all other entries.
        size: their number.
    """
    from periodic_table import classes
    from periodic_table.word_classes.vocabulary import words_of

    inside = [
        place
        for place, word in enumerate(words_of(vocab))
        if word is None and vocab[place].isascii() and vocab[place].isalpha()
    ]
    out = table.copy()
    out[inside] = classes([UNKNOWN_STEM + vocab[place] for place in inside], size=size)
    return out


def distributional_vectors(ids: NDArray[np.uint16], vocab: int) -> NDArray[np.float32]:
    """What each entry keeps company with: positive pointwise mutual information, the 100 strongest directions.

    A pair counts 1 / distance, up to four places apart; left and right neighbours are told apart.

    Args:
        ids: [T], the text.
        vocab: V.

    Returns: float32 [V, 100], rows of length 1 (0 for entries that do not occur).

    Source: Levy and Goldberg (2014); square roots of the singular values as weights, Levy et al. (2015).
    """
    from scipy.sparse import coo_array, hstack
    from scipy.sparse.linalg import svds

    text = ids.astype(np.int64)
    pairs = np.zeros(vocab * vocab, dtype=np.float64)
    for distance in range(1, REACH + 1):
        pairs += np.bincount(text[:-distance] * vocab + text[distance:], minlength=vocab * vocab) / distance
    before = coo_array(pairs.reshape(vocab, vocab))
    company = hstack([before, before.T]).tocoo()
    total = company.sum()
    here, there = (np.asarray(company.sum(axis=axis)).ravel() for axis in (1, 0))
    # Frequencies of contexts to the power 3/4, so that rare contexts do not rule.
    smooth = there**0.75 / (there**0.75).sum()
    strength = np.log(company.data / total / (here[company.row] / total * smooth[company.col]))
    matrix = coo_array((np.maximum(strength, 0), (company.row, company.col)), company.shape).tocsr()
    dimensions = min(DIMENSIONS, vocab - 1)
    left, sizes, _ = svds(matrix, k=dimensions, rng=np.random.default_rng(0))
    vectors = left * np.sqrt(sizes)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit


def cluster(vectors: NDArray[np.float32], size: int, seed: int) -> NDArray[np.int64]:
    """k-means. [V, E] -> int64 [V] in [0, size)."""
    from scipy.cluster.vq import kmeans2

    return np.asarray(kmeans2(vectors, size, iter=30, minit="++", rng=np.random.default_rng(seed))[1], dtype=np.int64)


def frequency_classes(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Entries in order of frequency, cut so that every class has an equal share of the text, where entries allow it."""
    order = np.argsort(-counts, kind="stable")
    passed = np.cumsum(counts[order]) - counts[order] / 2
    classes = np.empty(len(counts), dtype=np.int64)
    classes[order] = np.minimum(passed / counts.sum() * size, size - 1).astype(np.int64)
    return classes


def permuted(table: NDArray[np.int64], counts: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """The same classes dealt out anew among entries of like frequency, so that their shares of the text stay alike."""
    order = np.argsort(-counts, kind="stable")
    shuffled = table.copy()
    for start in range(0, len(order), STRATUM):
        stratum = order[start : start + STRATUM]
        shuffled[stratum] = table[generator.permutation(stratum)]
    return shuffled


def is_punctuation(entry: str) -> bool:
    """Whether an entry of a byte-level vocabulary is made of punctuation marks and line ends alone."""
    from periodic_table.word_classes.vocabulary import words_of

    if entry.strip("\u010a\u0120") == "":
        return "\u010a" in entry
    # An entry that begins with a mark for a space shows that the vocabulary is byte-level.
    word = words_of([entry, "\u0120"])[0]
    return bool(word) and all(unicodedata.category(character)[0] == "P" for character in word or "")

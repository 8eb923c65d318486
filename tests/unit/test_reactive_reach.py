"""Which heads a word is left, and what stands between words, against plain definitions."""

import numpy as np
import pytest
from reactive_cases import small_model, small_treebank

from dynamics import Parser
from dynamics.reactive.arcs import keep_best
from dynamics.reactive.reach import Reach, heads_in_reach, log_charges
from dynamics.reactive.spans import span_tables, tags_between


@pytest.mark.parametrize("size", [1, 2, 7, 16, 33])
def test_spans_hold_what_stands_between(size):
    rng = np.random.default_rng(size)
    tags, kinds = rng.integers(0, 62, size), rng.integers(0, 3, size)
    masks, verbs, marks = span_tables(tags, kinds)
    for low in range(size):
        for high in range(low, size + 1):
            expected = 0
            for tag in tags[low:high].tolist():
                expected |= 1 << tag
            assert tags_between(masks, low, high) == expected
            assert verbs[high] - verbs[low] == (kinds[low:high] == 1).sum()
            assert marks[high] - marks[low] == (kinds[low:high] == 2).sum()


def test_the_best_are_kept_in_their_order():
    chosen, kept = np.array([0, 3, 4, 7, 9]), np.empty(5, np.int64)
    scores = np.array([1.0, -2.0, 3.0, 1.2, 2.5])
    assert kept[: keep_best(chosen, scores, 3, np.inf, kept)].tolist() == [4, 7, 9]
    assert kept[: keep_best(chosen, scores, 5, 2.0, kept)].tolist() == [0, 4, 7, 9]
    assert kept[: keep_best(chosen, scores, 9, np.inf, kept)].tolist() == chosen.tolist()


def test_reach_is_root_the_neighbours_and_the_far_list():
    out = np.empty(30, np.int64)
    far = np.array([[0, 2, 5], [17, 20, 0]])
    assert out[: heads_in_reach(10, 22, 3, far, out)].tolist() == [0, 2, 5, 7, 8, 9, 11, 12, 13, 17, 20]


def test_far_heads_are_those_that_a_full_search_likes_best():
    model = Parser.load().model
    words = ["I", "think", ",", "that"] + ["the", "very", "old", "red", "dog", ",", "of", "Bob", ","] * 4 + ["barks"]
    upos = ["PRON", "VERB", "PUNCT", "SCONJ"] + [
        "DET", "ADV", "ADJ", "ADJ", "NOUN", "PUNCT", "ADP", "PROPN", "PUNCT"
    ] * 4 + ["VERB"]  # fmt: skip
    sentence = model.encode(words, upos)
    tables = model.coarse.for_kernels(), model.charges.for_kernels()
    every = log_charges(*sentence, *tables, Reach(6, np.inf, 99, 0))
    some = log_charges(*sentence, *tables, Reach(6, np.inf, 8, 8))
    best = every[1][np.arange(1, len(words) + 1), every[2][1:].argmax(axis=1)]
    found = [best[d - 1] in some[1][d, : some[0][d]] for d in range(1, len(words) + 1)]
    far = np.abs(best - np.arange(1, len(words) + 1)) > 8
    assert far.sum() > 5
    assert np.mean(np.array(found)[far]) > 0.8
    np.testing.assert_allclose(np.exp(some[2][1:]).sum(axis=1), 1.0)


def test_who_reaches_everything_sees_all_heads_ascending():
    model, one = small_model(), small_treebank()[0]
    sentence = model.encode(one.tokens, one.upos)
    count, head, score = log_charges(
        *sentence, model.coarse.for_kernels(), model.charges.for_kernels(), Reach(20, np.inf, 99, 0)
    )
    size = len(one.tokens) + 1
    assert count.tolist() == [0] + [size - 1] * (size - 1)
    for d in range(1, size):
        assert head[d, : size - 1].tolist() == [h for h in range(size) if h != d]
    assert np.isneginf(score[:, size - 1 :]).all()

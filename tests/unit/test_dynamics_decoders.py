from __future__ import annotations

import numpy as np
import pytest

from dynamics import MalformedScores, chu_liu_edmonds, eisner, greedy, is_tree

NAN = np.full((4, 4), np.nan)


@pytest.mark.parametrize("decoder", [greedy, chu_liu_edmonds, eisner])
@pytest.mark.parametrize(
    ("score", "message"),
    [
        (np.zeros((1, 1)), r"got shape \(1, 1\)"),
        (np.zeros((3, 4)), r"got shape \(3, 4\)"),
        (np.zeros(4), r"got shape \(4,\)"),
        (NAN, r"score\[0, 1\] is nan"),
        (np.full((3, 3), -np.inf), r"score\[0, 1\] is -inf"),
    ],
)
def test_scores_without_a_tree_are_refused_before_compiled_code_sees_them(decoder, score, message) -> None:
    with pytest.raises(MalformedScores, match=message):
        decoder(score)


@pytest.mark.parametrize("decoder", [greedy, chu_liu_edmonds, eisner])
def test_what_is_never_read_may_be_anything(decoder) -> None:
    score = [[np.nan, 5.0, 0.0], [np.nan, np.nan, 3.0], [np.nan, 0.0, np.inf]]
    assert decoder(score).tolist() == [0, 1]


@pytest.mark.parametrize("heads", [[70_000_000, 0], [-5, 0], [0.0, 1.0], [], [[0]]])
def test_heads_out_of_range_are_refused(heads) -> None:
    with pytest.raises(MalformedScores, match="expected N >= 1 whole heads"):
        is_tree(heads)


def test_trees_are_told_from_others() -> None:
    assert is_tree([2, 0, 2])
    assert not is_tree([2, 1])
    assert not is_tree([0, 0])

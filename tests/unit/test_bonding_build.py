from __future__ import annotations

import numpy as np
import pytest

from periodic_table.bonding.build import KEEP, chance, count, main, pairs_of, thresholds, train_graded
from periodic_table.bonding.counted import Evidence
from periodic_table.bonding.pairs import LAYOUTS
from periodic_table.tagging import TAGS, load_tagger
from periodic_table.treebank import Token


def sentence(*rows: tuple[str, str, int, str]) -> list[Token]:
    return [Token(form, form, upos, head, relation) for form, upos, head, relation in rows]


TREEBANK = [
    sentence(("the", "DET", 2, "det"), ("dog", "NOUN", 3, "nsubj:pass"), ("slept", "VERB", 0, "root")),
    sentence(("she", "PRON", 2, "nsubj"), ("saw", "VERB", 0, "root"), ("cats", "NOUN", 2, "obj")),
] * 30


def test_pairs_know_their_relation_and_the_side_of_the_head() -> None:
    pairs = pairs_of(TREEBANK[:2], None)
    assert [pairs.names[relation] for relation in pairs.relation] == [
        "det right",
        "",
        "nsubj right",
        "nsubj right",
        "",
        "obj left",
    ]
    assert pairs.by_sentence() == [slice(0, 3), slice(3, 6)]
    np.testing.assert_allclose(chance(pairs)[1:4], [1 - 1e-6, 1e-6, 1e-6])


def test_counts_are_those_of_the_treebank() -> None:
    pairs = pairs_of(TREEBANK, None)
    arrays = count(pairs, pairs)
    evidence = Evidence(arrays)
    arcs, expected = evidence.totals(17, 17)
    verb, noun, det = (TAGS.index(tag) for tag in ("VERB", "NOUN", "DET"))
    assert (arcs[noun, det], arcs[verb, noun], arcs[noun, verb], arcs.sum()) == (30, 30, 30, 120)
    assert expected[noun, det] == pytest.approx(30, rel=1e-4)
    assert evidence.relations == ("det right", "nsubj right", "obj left")
    again = count(pairs, pairs)
    assert all(arrays[name].tobytes() == again[name].tobytes() for name in arrays)
    by_form = pairs_of(TREEBANK, load_tagger())
    assert by_form.relation.tolist() == pairs.relation.tolist()


@pytest.mark.parametrize("context", ["left", "both"])
def test_graded_rules_learn_and_give_the_same_bytes_again(context) -> None:
    pairs = pairs_of(TREEBANK, None)
    arrays, again = (train_graded(pairs, pairs, context, seed=1) for _ in range(2))
    assert all(arrays[name].tobytes() == again[name].tobytes() for name in arrays)
    assert arrays["weights"].shape == (LAYOUTS[context].starts[-1],)
    assert np.abs(arrays["weights"]).max() == 127


def test_a_threshold_loses_no_more_than_it_may() -> None:
    scores = np.arange(1000.0)
    for keep, threshold in zip(KEEP, thresholds(scores), strict=True):
        assert (scores >= threshold).mean() == pytest.approx(keep)


def test_a_build_without_a_treebank_says_so(tmp_path, capsys) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "TreebankMissing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

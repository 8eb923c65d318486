"""The shipped force field on a real treebank, where one is at hand: what docs/dynamics.md says of it."""

import lzma

import conllu
import numpy as np
import pytest

from dynamics import Parser, eisner, greedy
from dynamics.system import pair_charges, type_indices


def uas(trees, gold) -> float:
    return 100 * sum((a == b).sum() for a, b in zip(trees, gold, strict=True)) / sum(map(len, gold))


def test_hand_set_charges_on_english(asa_data):
    with lzma.open(asa_data / "ud" / "en_ewt-ud-dev.conllu.xz", "rt", encoding="utf-8") as file:
        parsed = [[t for t in s if isinstance(t["id"], int)] for s in conllu.parse(file.read())]
    tags = [tuple(t["upos"] for t in s) for s in parsed]
    gold = [np.array([t["head"] for t in s]) for s in parsed]
    parser = Parser()
    relaxed = [parser.parse(t, t) for t in tags]
    scores = [pair_charges(parser.field, type_indices(parser.field, t)) for t in tags]
    assert uas([parse.heads for parse in relaxed], gold) == pytest.approx(58.8, abs=0.3)
    assert uas([eisner(s) for s in scores], gold) == pytest.approx(57.8, abs=0.3)
    assert uas([greedy(s) for s in scores], gold) == pytest.approx(51.0, abs=0.3)
    assert np.mean([parse.converged for parse in relaxed]) > 0.88

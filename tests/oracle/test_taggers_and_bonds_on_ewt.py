"""The figures that the documentation quotes, on the test part of UD English EWT. Nothing was chosen by it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from periodic_table.bonding import licensing, load_rules
from periodic_table.tagging import load_tagger
from periodic_table.tagging.build import accuracy
from periodic_table.treebank import Token
from periodic_table.treebank_files import sentences
from periodic_table.word_classes.build import as_toml, grow
from periodic_table.word_classes.tree import SHIPPED


@pytest.fixture(scope="module")
def test_part() -> list[list[Token]]:
    import os

    folder = os.environ.get("ASA_DATA")
    if not folder:
        pytest.skip("ASA_DATA is not set: this test compares with data that the project does not ship")
    return sentences("test", Path(folder))


@pytest.mark.parametrize(("name", "least"), [("type-level", 0.903), ("left-to-right", 0.930), ("full-context", 0.955)])
def test_accuracy_of_the_shipped_taggers(name: str, least: float, test_part: list[list[Token]]) -> None:
    texts = [[(token.form, token.upos) for token in sentence] for sentence in test_part]
    assert accuracy(load_tagger(name), texts) >= least


@pytest.mark.parametrize(
    ("name", "options", "licensed", "rejected", "unbonded"),
    [
        ("original", {"mode": "pos_only"}, 0.898, 0.32, 0.40),
        ("counted", {"size": 256}, 0.978, 0.45, 0.61),
        ("graded", {"context": "left"}, 0.978, 0.54, 0.73),
        ("graded", {"context": "both"}, 0.978, 0.59, 0.79),
        ("counted", {"tags": "type-level"}, 0.978, 0.37, 0.50),
        ("graded", {"tags": "type-level", "keep": 0.97}, 0.970, 0.50, 0.67),
    ],
)
def test_what_the_shipped_rules_license(name, options, licensed, rejected, unbonded, test_part) -> None:
    tagger = load_tagger() if "tags" in options else None
    found = licensing(load_rules(name, **options), test_part, tagger=tagger)
    assert found.licensed >= licensed
    assert found.rejected >= rejected
    assert found.rejected_unbonded >= unbonded
    assert name != "original" or (found.licensed < 0.90 and found.rejected < 0.35), "it must not get better by accident"


def test_the_tree_of_classes_is_built_anew_byte_for_byte(asa_data: Path) -> None:
    words = Counter((token.form, token.upos) for sentence in sentences("train", asa_data) for token in sentence)
    assert as_toml(grow(words)) == SHIPPED.read_text(encoding="utf-8"), (
        "run: python -m periodic_table.word_classes.build"
    )

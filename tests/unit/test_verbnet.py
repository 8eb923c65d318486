from __future__ import annotations

from pathlib import Path

import pytest

from periodic_table.lexicon import LexiconCorrupt, LexiconMissing
from periodic_table.lexicon.verbnet import SHIPPED, as_json, load_verbnet
from periodic_table.verbs import FRAMES, class_features, class_weights


def test_sizes_are_those_of_verbnet_3_3() -> None:
    verbnet = load_verbnet()
    assert (verbnet.version, len(verbnet), len(verbnet.verbs())) == ("3.3", 594, 4562)
    assert (SHIPPED.with_name("VERBNET_LICENSE")).read_text().startswith("VerbNet 3.0 License")


def test_a_subclass_has_what_its_parents_have() -> None:
    verbnet = load_verbnet()
    child = verbnet.verb_class("give-13.1-1")
    assert child.roles["Recipient"] == ("+animate", "+organization")
    assert "NP V NP PP.recipient" in child.frames
    assert set(verbnet.verb_class("give-13.1").frames) <= set(child.frames)
    assert "give.v.03" in child.members["give"]
    assert "give-13.1-1" in verbnet.classes("Give")
    assert verbnet.classes("xyzzy") == {}
    with pytest.raises(KeyError, match="no class 'give'"):
        verbnet.verb_class("give")


def test_classes_weigh_what_their_senses_do() -> None:
    weights = class_weights("give", {"give.v.03": 0.9, "hold.v.03": 0.1})
    assert sum(weights.values()) == pytest.approx(1)
    assert max(weights, key=lambda name: weights[name]) == "give-13.1-1"
    assert class_weights("xyzzy", {}) == {}
    assert len(FRAMES) == 35
    assert "role Agent" in class_features()


def test_files_that_are_no_extract_are_named_errors(tmp_path: Path) -> None:
    path = tmp_path / "verbnet.json"
    with pytest.raises(LexiconMissing, match="verbnet_build"):
        load_verbnet(path)
    for content, message in (
        ("{", "is not a VerbNet extract"),
        ('{"schema": "x"}', "has schema 'x'"),
        ("[]", "is not"),
    ):
        path.write_text(content)
        with pytest.raises(LexiconCorrupt, match=message):
            load_verbnet(path)
    path.write_text(as_json("3.3", "here", (load_verbnet().verb_class("give-13.1-1"),)))
    assert load_verbnet(path).names() == ("give-13.1-1",)

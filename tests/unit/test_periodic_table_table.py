from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from periodic_table import PeriodicTable, annotate
from periodic_table.agreement import compare
from periodic_table.hand import FILE, read_hand
from periodic_table.shipped import DATA, ModelCorrupt, ModelMissing
from periodic_table.table import NotInTable, UnknownVersion, group_of
from periodic_table.vocabulary import covers, table_of, useful_words


@pytest.fixture(scope="module")
def table() -> PeriodicTable:
    return PeriodicTable.load("v1.0")


def test_sizes_are_as_named(table: PeriodicTable) -> None:
    assert len(table) == len(list(table)) == len({element.lemma.lower() for element in table}) == 1000
    assert len(PeriodicTable.load("v0.1")) == 100


def test_inflected_forms_find_their_word(table: PeriodicTable) -> None:
    assert table["dogs"] is table["dog"] is table["DOG", "NOUN"] is table.lookup("dogs", "NOUN")
    assert table["went"].lemma == "go"
    assert table["1,999"] is table["0"]
    assert table["!!!"].lemma == "!"
    assert "was" in table
    assert "xyzzy" not in table
    assert 3 not in table


def test_a_word_that_is_not_there_is_a_named_error(table: PeriodicTable) -> None:
    with pytest.raises(NotInTable, match="has no 'xyzzy'; annotate"):
        table["xyzzy"]
    with pytest.raises(NotInTable, match="has no 'dog' as VERB; it has the word as NOUN"):
        table["dog", "VERB"]


def test_group_period_and_block(table: PeriodicTable) -> None:
    assert (table.block("dog"), table.period("dog")) == ("NOUN", 1)
    assert table.group("give") == ">obj"
    assert table.group("of") == "<case"
    found = table.at(group=">obj", block="VERB")
    assert table["give"] in found
    assert all(element.pos == "VERB" and group_of(element) == ">obj" for element in found)
    assert sum(table.groups().values()) == 1000
    assert {element.abstraction for element in table} == {1, 2, 3, 4, 5}


def test_the_shipped_table_is_what_the_pipeline_says(table: PeriodicTable) -> None:
    some = list(table)[::37]
    again = annotate([element.lemma for element in some], [element.pos for element in some])
    assert [element for element, other in zip(some, again, strict=True) if element != other] == []


def test_all_parts_of_speech_and_supersenses_are_in_it(table: PeriodicTable) -> None:
    assert {element.pos for element in table} == {element.pos for element in PeriodicTable.load("v0.1")}
    supersenses = {element.supersense for element in table if element.supersense}
    assert len(supersenses) >= 40


def test_a_folder_may_be_named_by_its_text(tmp_path: Path) -> None:
    made = PeriodicTable("mine", annotate(["dog"], ["NOUN"]))
    made.save(str(tmp_path))
    assert list(PeriodicTable.load("mine", str(tmp_path))) == list(made)


def test_a_table_is_written_and_read(tmp_path: Path) -> None:
    own = table_of(["dog", "dogs", "the", "\U0001f600"], "mine")
    assert own.save(tmp_path).name == "table-mine.jsonl"
    again = PeriodicTable.load("mine", tmp_path)
    assert list(again) == list(own)
    assert [element.lemma for element in own] == ["dog", "the", "\U0001f600"]


def test_damaged_tables_are_named_errors(tmp_path: Path, table: PeriodicTable) -> None:
    with pytest.raises(UnknownVersion, match=r"no table 'v2'; there are v0.1, v1.0"):
        PeriodicTable.load("v2")
    with pytest.raises(ModelMissing, match="build it with"):
        PeriodicTable.load("v1.0", tmp_path)
    path = table_of(["dog", "cat"], "mine").save(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ModelCorrupt, match="1 elements"):
        PeriodicTable.load("mine", tmp_path)
    path.write_text("\n".join([lines[0], lines[1], lines[2][:40]]) + "\n")
    with pytest.raises(ModelCorrupt, match="line 3, is not an element"):
        PeriodicTable.load("mine", tmp_path)
    record = json.loads(lines[1]) | {"pos": "NN"}
    path.write_text("\n".join([lines[0], json.dumps(record), lines[2]]) + "\n")
    with pytest.raises(ModelCorrupt, match=r"line 2, .*'NN'"):
        PeriodicTable.load("mine", tmp_path)
    with pytest.raises(ValueError, match="2 elements, but 1 pairs"):
        PeriodicTable("mine", [table["dog"], table["dog"]])
    with pytest.raises(ValueError, match=r"v0\.1 is annotated by hand"):
        PeriodicTable.load("v0.1").save(tmp_path)


def test_the_hand_file_says_which_line_is_wrong(tmp_path: Path) -> None:
    text = (DATA / FILE).read_text(encoding="utf-8")
    for old, new, message in (
        ("\t>nsubj >obl\t", "\t>nsubj >place\t", "'>place' is no bonding site"),
        ("noun.animal 0.96", "noun.animal 0.9", "add up to 0.9"),
        ("A black *cat* slept", "A black cat slept", "has 0 words between stars"),
        ("\t-\t-\t1\t", "\t-\t-\t7\t", "abstraction '7'"),
    ):
        assert old in text
        (tmp_path / FILE).write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ModelCorrupt, match=message):
            list(read_hand(tmp_path))
    with pytest.raises(ModelMissing):
        list(read_hand(tmp_path / "none"))


def test_hand_and_pipeline_agree_as_far_as_the_bars_ask() -> None:
    result = compare()
    assert {axis.name for axis in result.axes if axis.bar} == {
        "upos",
        "supersense",
        "abstraction within 1",
        "valence",
    }
    assert [axis.name for axis in result.axes if axis.bar is not None and axis.share < axis.bar] == []
    assert all(axis.kappa is None or axis.kappa > 0.7 for axis in result.axes)


def test_a_changed_annotation_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from periodic_table import agreement

    shutil.copy(DATA / FILE, tmp_path)
    changed = (tmp_path / FILE).read_text(encoding="utf-8").replace("dog\tNOUN\tnoun.animal", "dog\tNOUN\tnoun.food", 1)
    (tmp_path / FILE).write_text(changed, encoding="utf-8")
    monkeypatch.setattr(agreement, "read_hand", lambda: read_hand(tmp_path))
    found = [item for item in compare().disagreements if (item.word, item.axis) == ("dog", "supersense")]
    assert [(item.hand, item.automatic) for item in found] == [("noun.food", "noun.animal")]


def test_vocabularies_are_nested_and_cover_inflected_forms() -> None:
    words = useful_words(3000)
    assert words[:1000] == useful_words(1000)
    assert len(set(words)) == 3000
    some = frozenset(words)
    assert covers(some, "Dogs", "NOUN")
    assert covers(some, "1,234.5", "NUM")
    assert not covers(some, "Xyzzy", "NOUN")
    assert covers(some, "Xyzzy", "PROPN")
    assert not covers(some, "Xyzzy", "PROPN", classes=False)
    with pytest.raises(ValueError, match="0 words"):
        useful_words(0)

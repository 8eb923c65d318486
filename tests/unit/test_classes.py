from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from causality import assert_causal

from periodic_table.element import UnknownTag
from periodic_table.shipped import ModelCorrupt, ModelMissing
from periodic_table.tagging import TAGS
from periodic_table.word_classes import ClassSizeError, class_table, classes, describe, names, paths, tree
from periodic_table.word_classes.build import as_toml, best_split, grow, main
from periodic_table.word_classes.paths import paths_of, rank
from periodic_table.word_classes.tree import ClassTree, Split, ancestors, load_splits, load_tree
from periodic_table.word_classes.vocabulary import words_of

SIZES = (17, 64, 256)
ODD = ["", " ", "😀", "x" * 10_000, "привет", "日本語", "\ud800", "qwzrt", "Qwzrt", "3.5x"]


def test_seventeen_classes_are_the_tags_in_alphabetical_order() -> None:
    ids = classes(["word"] * 17, list(TAGS), 17)
    assert ids.dtype == np.int64
    assert ids.tolist() == list(range(17))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("upos", TAGS)
def test_every_word_has_a_class_within_its_part_of_speech(size: int, upos: str) -> None:
    ids = classes(ODD, [upos] * len(ODD), size)
    assert all(load_tree(size).ways[number][0] == upos for number in ids.tolist())


@pytest.mark.parametrize("size", SIZES)
def test_any_word_has_a_class_without_tags(size: int) -> None:
    ids = classes(ODD, size=size)
    assert ((ids >= 0) & (ids < size)).all()
    assert names(size)[ids[0]] == names(size)[ids[1]] == "X"
    assert classes([], size=size).shape == (0,)


def test_like_words_share_a_class_and_unlike_ones_do_not() -> None:
    nouns = classes(["teacher", "doctors", "house", "idea"], ["NOUN"] * 4, 64)
    assert nouns[0] == nouns[1]
    assert len(set(nouns.tolist())) == 3
    verbs = classes(["say", "told", "walk", "went"], ["VERB"] * 4, 64)
    assert verbs[0] == verbs[1] != verbs[2] == verbs[3]
    the, a, an = classes(["the", "a", "an"], ["DET"] * 3, 64)
    assert a == an != the


@pytest.mark.parametrize("size", SIZES)
def test_classes_have_different_names_and_stand_by_part_of_speech(size: int) -> None:
    assert len(names(size)) == len(set(names(size))) == size
    order = [upos for upos, _ in load_tree(size).ways]
    assert order == sorted(order)
    assert names(64)[classes(["the"], ["DET"], 64)[0]] == "DET definite"


def test_finer_classes_are_parts_of_wider_ones() -> None:
    words = ["the", "dogs", "quickly", "Paris", "ran", "of", "qwzrt", "7", "better"]
    tags = ["DET", "NOUN", "ADV", "PROPN", "VERB", "ADP", "NOUN", "NUM", "ADJ"]
    fine = classes(words, tags, 256)
    for size in (17, 64, 100, 256):
        np.testing.assert_array_equal(ancestors(256, size)[fine], classes(words, tags, size))
    with pytest.raises(ClassSizeError, match="64 classes are not wider than 17"):
        ancestors(17, 64)


@pytest.mark.parametrize("size", [16, 257, 0, -1, 64.0, True, "64", None])
def test_other_sizes_are_refused(size: object) -> None:
    with pytest.raises(ClassSizeError, match="expected 17, 64, 256 or any other whole number from 17 to 256"):
        classes(["the"], size=size)  # type: ignore[arg-type]


def test_bad_input_is_named() -> None:
    with pytest.raises(TypeError, match="one text"):
        classes("the dog")
    with pytest.raises(TypeError, match="7"):
        classes(["the", 7])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="2 words and 1 tags"):
        classes(["the", "dog"], ["DET"])
    with pytest.raises(UnknownTag, match="'NN'"):
        classes(["dog"], ["NN"])
    with pytest.raises(
        TypeError, match=r"got a dict.*of a vocabulary \{entry: id\} pass sorted\(vocab, key=vocab.get\)"
    ):
        class_table({"dog": 1, "the": 0})


def test_any_iterable_and_integers_of_numpy_will_do() -> None:
    expected = classes(["the", "dog"])
    np.testing.assert_array_equal(classes(word for word in ("the", "dog")), expected)
    np.testing.assert_array_equal(class_table(iter(["the", "dog"])), expected)
    np.testing.assert_array_equal(classes(np.array(["the", "dog"]), size=np.int64(64)), expected)
    assert sum(found.tokens for found in describe(64, iter(["the", "dog"]))) == 2


def test_without_tags_no_class_depends_on_another_word() -> None:
    words = ["the", "run", "can", "Paris", "un", ".", "is", "green"]

    def ids(places: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(classes([words[place] for place in places.tolist()], size=256))

    def redraw(places: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.randint(len(words), places.shape, generator=generator)

    start = redraw(torch.zeros(40), torch.Generator().manual_seed(1))
    assert_causal(ids, [start], input_dims=[0], output_dim=0, cuts=[0, 5, 38], redraw=redraw)


def test_the_table_of_a_vocabulary() -> None:
    vocab = ["<|endoftext|>", "Ġthe", "the", "The", "Ġdog", "ing", ".", "Ċ", "ĠâĢ", "Ġ12", "Ġna\u00c3\u00afve", "Ġ"]
    assert words_of(vocab) == [None, "the", None, "The", "dog", None, ".", "", None, "12", "naïve", ""]
    table = class_table(vocab, size=17)
    expected = ["X", "DET", "X", "DET", "NOUN", "X", "PUNCT", "X", "X", "NUM"]
    assert [TAGS[number] for number in table.tolist()[:10]] == expected
    assert words_of(["[CLS]", "dog", "##gy", "##"]) == [None, "dog", None, "##"]
    assert words_of(["\u2581the", "ing", "\u2581"]) == ["the", None, ""]
    np.testing.assert_array_equal(class_table(["the", "dog"]), classes(["the", "dog"]))


def test_describe_counts_a_text() -> None:
    found = describe(64, ["the", "The", "dog"], ["DET", "DET", "NOUN"])
    assert len(found) == 64
    the = found[classes(["the"], ["DET"])[0]]
    assert (the.upos, the.name, the.tokens, the.members) == ("DET", "DET definite", 2, ("the",))


def test_paths_are_read_off_the_elements() -> None:
    pairs = {
        ("dogs", "NOUN"): ("animal", "plural", "dogs"),
        ("the", "DET"): ("definite", "the"),
        ("quickly", "ADV"): ("manner", "quickly"),
        ("12", "NUM"): ("two-digit", "12"),
        ("Xyzzy", "PROPN"): ("name", "xyzzy"),
        ("IBMX", "PROPN"): ("acronym", "ibmx"),
    }
    words, tags = zip(*pairs, strict=True)
    assert paths_of(words, tags) == list(pairs.values())
    ((supersense, levin, word),) = paths_of(["went"], ["VERB"])
    assert (supersense, word) == ("motion", "went")
    assert levin.isdigit()
    degrees = [path[0] for path in paths_of(["bigger", "best", "big"], ["ADJ"] * 3)]
    assert degrees == ["comparative", "superlative", "positive"]
    assert sorted(["51", "9", "none"], key=lambda name: rank("VERB", 1, name)) == ["9", "51", "none"]


def test_the_tree_takes_the_split_that_adds_most_to_the_entropy() -> None:
    words = Counter({("the", "DET"): 100, ("a", "DET"): 60, ("an", "DET"): 10, ("of", "ADP"): 90, ("on", "ADP"): 5})
    splits = grow(words, most=20)
    # 170 tokens * H(100/170) = 166 bits; then 70 * H(10/70) = 41 for "a" and "an"; then 95 * H(5/95) = 28.
    assert [(split.leaf, sorted(split.names)) for split in splits] == [
        (TAGS.index("DET"), ["definite"]), (17, ["a"]), (TAGS.index("ADP"), ["part"]),
    ]  # fmt: skip
    assert grow(words, most=256) == splits, "it stops where nothing is left to split"
    gain, step, first = best_split("DET", {("definite", "the"): 3, ("indefinite", "a"): 1})
    assert gain == pytest.approx(4 * 0.8112781)
    assert (step, first) == (0, {"definite"})


def test_the_shipped_tree_is_whole() -> None:
    splits = load_splits()
    assert len(splits) == 256 - 17
    assert all(split.leaf < 17 + number for number, split in enumerate(splits))
    assert as_toml(list(splits)).count("[[split]]") == len(splits)
    cut = ClassTree([Split(TAGS.index("DET"), 0, frozenset({"definite"}))])
    assert cut.class_of("DET", ("definite", "the")) + 1 == cut.class_of("DET", ("never", "heard")) == 6


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, ModelMissing, "is not there; build it with: python -m periodic_table.word_classes.build"),
        ("x = [", ModelCorrupt, "is not a tree of classes"),
        ('schema = "classes-tree.v0"', ModelCorrupt, "has schema 'classes-tree.v0', expected 'classes-tree.v1'"),
        ('schema = "classes-tree.v1"\n[[split]]\nleaf = 1', ModelCorrupt, r"KeyError\('step'\)"),
    ],
)
def test_a_bad_tree_file_is_named(text, error, message, tmp_path, monkeypatch) -> None:
    path = tmp_path / "classes-tree.toml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(tree, "SHIPPED", path)
    with pytest.raises(error, match=message):
        load_splits.__wrapped__()


def test_a_bad_word_file_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(paths, "WORDS", tmp_path / "classes-words.toml")
    with pytest.raises(ModelMissing, match=r"classes-words.toml is not there; reinstall"):
        paths.load_inventory.__wrapped__()
    (tmp_path / "classes-words.toml").write_text(
        'schema = "classes-words.v1"\n[order]\n[DET]\na = ["the"]\nb = ["the"]\n'
    )
    with pytest.raises(ModelCorrupt, match="lists a word of DET twice"):
        paths.load_inventory.__wrapped__()


def test_a_build_without_a_treebank_says_so(tmp_path, capsys) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "x.toml")]) == 2
    assert "TreebankMissing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""The corpus: authors on one side only, a faithful tokeniser, tables that are functions of the entry alone."""

from __future__ import annotations

import dataclasses
import lzma
from pathlib import Path

import numpy as np
import pytest

from feasibility.lm.classes import (
    class_tables,
    distributional_vectors,
    frequency_classes,
    is_punctuation,
    permuted,
)
from feasibility.lm.data import (
    DEV_AUTHORS,
    END_OF_TEXT,
    PARTS,
    TEST_AUTHORS,
    TRAIN_AUTHORS,
    BooksMissing,
    Corpus,
    CorpusCorrupt,
    build,
    is_latin,
    main,
    part_of,
    read_books,
)

pytest.importorskip("tokenizers")

WORDS = "the old captain walked slowly to his house, and she said nothing. a dog slept! we were running home"
TEXT = "\n".join(WORDS.replace("old", old) for old in ("old", "young", "tired", "unhappy", "little") * 30)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    made = build(
        {"train": {"a": TEXT, "b": TEXT[:900]}, "dev": {"c": "The captain — é!\n"}, "test": {"d": TEXT[:200]}}, 330
    )
    return dataclasses.replace(made, tables=class_tables(made))


def test_no_author_is_on_two_sides() -> None:
    assert not TRAIN_AUTHORS & DEV_AUTHORS
    assert not TRAIN_AUTHORS & TEST_AUTHORS
    assert not DEV_AUTHORS & TEST_AUTHORS
    assert part_of("Dickens") == "test"
    with pytest.raises(BooksMissing, match="no part has the author 'Shakespeare'"):
        part_of("Shakespeare")


def test_the_splits_cover_the_books(asa_data: Path) -> None:
    names = {path.name.split("_")[0] for path in asa_data.glob("books/*.txt.xz")}
    assert names == TRAIN_AUTHORS | DEV_AUTHORS | TEST_AUTHORS


def test_books_are_read_plainly(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "Hardy_Jude_1895.txt.xz").write_bytes(
        lzma.compress("\ufeffOne\r\ntwo\r\nΑΜΕΝΑΡΤΑΣ é\r\n".encode())
    )
    (tmp_path / "books" / "Dickens_Bleak_1853.txt").write_text("Fog.\n", encoding="utf-8")
    assert read_books(tmp_path) == {
        "train": {"Hardy_Jude_1895": "One\ntwo\n"},
        "dev": {},
        "test": {"Dickens_Bleak_1853": "Fog.\n"},
    }
    assert read_books(tmp_path, ["Hardy_Jude_1895"])["test"] == {}
    with pytest.raises(BooksMissing, match="has no novels"):
        read_books(tmp_path / "books")
    with pytest.raises(BooksMissing, match="has no Hardy_Tess_1891; set ASA_DATA"):
        read_books(tmp_path, ["Hardy_Tess_1891"])


@pytest.mark.parametrize(
    ("line", "answer"), [("\u201cCaf\u00e9\u201d 5\n", True), ("\u03b1\u03b2 a\n", False), ("\u2014\n", True)]
)
def test_lines_in_other_scripts_are_told_apart(line: str, answer: bool) -> None:
    assert is_latin(line) is answer


def test_text_survives_and_books_are_closed(corpus: Corpus) -> None:
    from tokenizers import Tokenizer

    tokeniser = Tokenizer.from_str(corpus.tokeniser)
    ids = corpus.ids["dev"].tolist()
    assert corpus.vocab[ids[-1]] == END_OF_TEXT
    assert tokeniser.decode(ids[:-1]) == "The captain — é!\n"
    assert (corpus.ids["train"] == ids[-1]).sum() == 2
    assert corpus.encode(["The captain — é!\n"]).tolist() == ids
    assert corpus.facts["words"]["dev"] == 4
    assert len(corpus.vocab) <= 330
    assert corpus.counts().sum() == len(corpus.ids["train"])


def test_a_corpus_survives_a_file(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "lm.npz")
    again = Corpus.load(tmp_path / "lm.npz")
    assert again.vocab == corpus.vocab
    assert again.facts == corpus.facts
    for part in PARTS:
        np.testing.assert_array_equal(again.ids[part], corpus.ids[part])
    for name, table in corpus.tables.items():
        np.testing.assert_array_equal(again.tables[name], table)


def test_a_bad_corpus_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK nonsense")
    with pytest.raises(CorpusCorrupt, match=r"bad.npz is not a corpus of schema asa.lm-corpus.v1"):
        Corpus.load(tmp_path / "bad.npz")
    with pytest.raises(FileNotFoundError, match=r"make it: python -m feasibility.lm.data"):
        Corpus.load(tmp_path / "none.npz")


def test_no_books_is_exit_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "x.npz")]) == 2
    assert "error: BooksMissing" in capsys.readouterr().err


def test_every_entry_has_a_class_in_every_table(corpus: Corpus) -> None:
    facts = corpus.tables["original/facts"]
    sizes = {"punctuation": 2, "original/words": len(facts)}
    sizes |= {name: int(name.split("/")[1].split(".")[0]) for name in corpus.tables if name[-1].isdigit()}
    assert sizes.keys() | {"original/facts"} == corpus.tables.keys()
    for name, size in sizes.items():
        table = corpus.tables[name]
        assert table.shape == (len(corpus.vocab),), name
        assert table.dtype == np.uint8, name
        assert table.max() < size, name
    # What the original knows of an entry includes its part of speech.
    assert np.array_equal(facts[corpus.tables["original/words"], 0], corpus.tables["predetermined/17"])


def test_predetermined_classes_look_at_the_entry_alone(corpus: Corpus) -> None:
    from periodic_table.word_classes import class_table

    for place in np.random.default_rng(0).choice(len(corpus.vocab), 20, replace=False):
        # A vocabulary of this entry and a mark for a space, which shows that it is byte-level.
        alone = class_table([corpus.vocab[place], "\u0120"], 64)
        assert alone[0] == corpus.tables["predetermined/64"][place]


@pytest.mark.parametrize("entry", [",", '."', "\u0120;", "\u010a", "\u00e2\u0122\u0136"])
def test_punctuation(entry: str) -> None:
    assert is_punctuation(entry)


@pytest.mark.parametrize("entry", ["\u0120", "\u0120the", "s", "5", END_OF_TEXT, "\u00e2\u0122"])
def test_no_punctuation(entry: str) -> None:
    assert not is_punctuation(entry)


def test_frequency_classes_share_the_text_alike() -> None:
    counts = np.array([5, 5, 5, 5, 1, 1, 1, 1, 1, 0])
    classes = frequency_classes(counts, 5)
    assert [int(counts[classes == number].sum()) for number in range(5)] == [5, 5, 5, 5, 5]
    assert classes[-1] == 4


def test_permuted_classes_stay_among_their_likes() -> None:
    counts = np.arange(320)[::-1].copy()
    table = np.arange(320) // 16
    assert np.array_equal(permuted(table, counts, np.random.default_rng(0)), table)
    mixed = permuted(np.arange(320) % 16, counts, np.random.default_rng(0))
    assert not np.array_equal(mixed, np.arange(320) % 16)
    assert all(sorted(mixed[start : start + 16]) == list(range(16)) for start in range(0, 320, 16))


def test_entries_in_like_places_have_like_vectors() -> None:
    generator = np.random.default_rng(0)
    # 0 and 1 both stand between 2 and 3; 4 to 9 stand anywhere.
    text = np.concatenate([[2, generator.integers(0, 2), 3, *generator.integers(4, 10, 6)] for _ in range(2000)])
    vectors = distributional_vectors(text.astype(np.uint16), 11)
    alike = vectors @ vectors[0]
    assert alike[1] == alike[1:].max()
    assert alike[1] > 0.9
    np.testing.assert_allclose(np.linalg.norm(vectors[:10], axis=1), 1, rtol=1e-5)

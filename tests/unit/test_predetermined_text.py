"""Real text in 1,000 words, and what its models are asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from feasibility.harness import silent
from feasibility.lm.data import Corpus
from feasibility.predetermined_embeddings.jobs import Kept, collect, jobs_of, train_all
from feasibility.predetermined_embeddings.runs import Cell
from feasibility.predetermined_embeddings.tables import CODE_SHARE, CONDITIONS, SCALE, UnknownTable
from feasibility.predetermined_embeddings.text import SAMPLE, STRETCH, Text, TextCorrupt, _sample, cut, tokens_of
from feasibility.predetermined_embeddings.text_runs import RANK, TextBench, TextGroup, TextStudent, hold_words
from feasibility.predetermined_embeddings.train import Recipe

# Two sentences of common words; 80 words in all, so that coordinates differ in more than 64 directions.
WORDS = tuple(
    word
    for line in (
        "the a this every my he she it they we see give take find make know think say tell hear hold keep leave bring",
        "dog cat man woman child house door hand eye head heart day night year time life world water fire tree stone",
        "old young good bad great small dark bright cold warm true false strange quiet quickly slowly here there never",
        "king always and or but if when because in on with from under of to not . , ?",
    )
    for word in line.split()
)


def story(seed: int, length: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice([*WORDS, "zyx"], length))


@pytest.fixture(scope="module")
def text() -> Text:
    books = {part: {part: story(n, 33 * 40)} for n, part in enumerate(("train", "dev", "test"))}
    return cut(books, "made up", words=len(WORDS))  # type: ignore[arg-type]


def two_nouns(text: Text) -> Text:
    """So that all others are too common to be held out."""
    return dataclasses.replace(text, pos=tuple("NOUN" if w in ("dog", "cat") else "DET" for w in text.words))


def student(text: Text, condition: str) -> TextStudent:
    rows = text.stretches["train"]
    return TextStudent(condition, "learned", text, rows, rows[:4], np.zeros(len(text.words), bool), 0)


def test_words_are_small_letters_and_marks() -> None:
    expected = ["he", "isn't", "here", ",", "is", "he", "?", "o'clock", "!"]
    assert tokens_of("He isn\u2019t here, is he? 12 O'CLOCK!") == expected


def test_the_most_frequent_words_have_numbers_and_the_rest_is_one(text: Text) -> None:
    few = cut({"train": {"a": "b b b a a c " * 20}, "dev": {"d": "a x " * 40}, "test": {"t": "b " * 40}}, "made up", 2)
    assert few.words == ("b", "a")
    assert few.stretches["train"][0, :6].tolist() == [0, 0, 0, 1, 1, 2]
    assert few.stretches["dev"][0, :2].tolist() == [1, 2]
    assert all(rows.shape[1] == STRETCH for rows in few.stretches.values())
    assert len(text.words) == len(text.pos) == len(WORDS)


def test_text_is_saved_and_read(text: Text, tmp_path: Path) -> None:
    text.save(tmp_path / "x.npz")
    again = Text.load(tmp_path / "x.npz")
    assert again.digest == text.digest
    assert (again.words, again.pos, again.facts) == (text.words, text.pos, text.facts)
    with pytest.raises(FileNotFoundError, match=r"y.npz is not here; make it: python -m feasibility.predetermined_emb"):
        Text.load(tmp_path / "y.npz")
    (tmp_path / "z.npz").write_bytes(b"no")
    with pytest.raises(TextCorrupt, match=r"z.npz is not text of schema asa.word-stretches.v1"):
        Text.load(tmp_path / "z.npz")


def test_the_shipped_novels_can_be_read_back() -> None:
    corpus = Corpus.load(SAMPLE)
    short = dataclasses.replace(corpus, ids={part: ids[:300] for part, ids in corpus.ids.items()})
    read = {part: (name, text) for part, (name, text) in _sample(short)}
    assert read["test"][0] == "Haggard_She_1887"
    assert "the" in tokens_of(read["test"][1])
    assert "\ufffd" not in read["train"][1]


def test_held_words_are_content_words_and_no_student_reads_them(text: Text) -> None:
    held = hold_words(text, 1)
    assert held.any()
    assert {text.pos[word] for word in np.flatnonzero(held)} <= {"NOUN", "VERB", "ADJ", "ADV"}
    held = hold_words(two_nouns(text), 0)
    group = TextGroup(330, "words", (Cell("learned"),), (0,))
    one = group.student(Cell("learned"), 0, bench(two_nouns(text)))
    assert not np.append(held, False)[one.rows].any()
    assert not np.append(held, False)[one.dev].any()
    assert one.mute.sum() == held.sum() == 2


@pytest.mark.parametrize("condition", ["predetermined", "shuffled", "gaussian", "ppmi"])
def test_tables_have_one_size_and_spectrum(text: Text, condition: str) -> None:
    table = student(text, condition).table(0, 80)
    assert table is not None
    assert table.shape == (len(WORDS) + 1, 80)
    assert np.sqrt(np.square(table[:-1]).mean()) == pytest.approx(SCALE, rel=1e-5)
    values = np.linalg.svd(table[:-1] - table[:-1].mean(0), compute_uv=False)
    share = np.square(values[:RANK]).sum() / np.square(values).sum()
    assert share > 1 - CODE_SHARE


def test_tables_that_text_has_not_are_named(text: Text) -> None:
    assert student(text, "learned").table(0, 80) is None
    with pytest.raises(UnknownTable, match="no table 'world' of real text"):
        student(text, "world").table(0, 80)


def bench(text: Text) -> TextBench:
    recipe = Recipe(dim=64, layers=1, heads=1, checks=1, batch=4)
    return TextBench({"text": dict.fromkeys(CONDITIONS, recipe)}, 0.02, 4, 6, text, text.digest, "cpu", 4)


def test_models_of_text_are_trained_and_asked(text: Text) -> None:
    cells = (Cell("learned"), Cell("predetermined"), Cell("predetermined", "predetermined"))
    kept = Kept(None)
    for held in ("", "words"):
        group = TextGroup(330, held, cells, (0, 1))  # type: ignore[arg-type]
        of = bench(two_nouns(text))
        train_all(jobs_of(group, of, kept), kept, 1, silent)
        found = collect(group, of, kept)
        assert found is not None
        assert all(np.isfinite(values).all() for values in found.values())
        if held:
            assert {"learned|after, ridge", "learned|auc, class_mean", "predetermined > predetermined|auc"} <= {*found}
        else:
            # Words drawn evenly: nobody can do better than their number, and an untrained model does as well.
            assert found["learned|nats"].shape == (2, 6)
            assert found["learned|nats"].mean() / 32 == pytest.approx(np.log(len(WORDS) + 1), rel=0.1)
            assert (found["learned|nats, words"] <= found["learned|nats"]).all()
            assert (found["learned|nats, words"] < found["learned|nats"]).any()

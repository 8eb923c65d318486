"""Pieces know their words: the mask over pieces is the original's mask over words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from h6_cases import made_up

from feasibility.h6.text import _WORD, Texts, allowed_types, decode, read_texts, type_of
from feasibility.language_model.measure import SAMPLE
from feasibility.lm.data import END_OF_TEXT, Corpus, CorpusCorrupt
from periodic_table.bonding import load_rules
from periodic_table.tagging.tagger import TAGS


def test_words_are_cut_as_in_a_treebank() -> None:
    text = "Mr. Fox didn't say \"it's 3.5\" -- well... he can\u2019t."
    assert [match[0] for match in _WORD.finditer(text)] == [
        "Mr.", "Fox", "did", "n't", "say", '"', "it", "'s", "3.5", '"', "--", "well", "...", "he", "ca",
        "n\u2019t", ".",
    ]  # fmt: skip


def test_entries_become_text_and_spans_in_bytes() -> None:
    text, spans = decode(["\u0120the", "\u010a", "caf", "\u00c3", "\u00a9", END_OF_TEXT, "x"])
    assert text == " the\ncaf\u00e9\nx"
    assert spans == [(0, 4), (4, 5), (5, 8), (8, 9), (9, 10), (10, 11), (11, 12)]


def test_half_a_character_is_no_error() -> None:
    text, spans = decode(["\u00c3", "a"])
    assert len(text) == 2
    assert spans == [(0, 1), (1, 2)]


def test_types_allow_what_the_original_allows() -> None:
    words = ["she", "saw", "Mary", "and", "the", "dog", "near", "it", ",", "they", "slept", "today", "teacher"]
    tags = ["PRON", "VERB", "PROPN", "CCONJ", "DET", "NOUN", "ADP", "PRON", "PUNCT", "PRON", "VERB", "NOUN", "NOUN"]
    kinds = [type_of(word, tag) for word, tag in zip(words, tags, strict=True)]
    found = allowed_types(kinds) | np.eye(len(words), dtype=bool)
    assert np.array_equal(found, load_rules("original").bonds(words, tags).allow)
    assert not found[words.index("she"), words.index("Mary")]


def test_chunks_of_the_shipped_novel() -> None:
    corpus = Corpus.load(SAMPLE)
    texts = read_texts(corpus, "test", 2, 60)
    assert texts.ids.shape == (2, 61)
    space = np.array([corpus.vocab[place].strip("\u0120\u010a") == "" for place in texts.ids[:, :-1].ravel()])
    assert np.array_equal(texts.words.ravel() == 0, space)
    assert {TAGS[tag] for tag in texts.tags} >= {"NOUN", "VERB", "DET", "PUNCT"}
    # One word, one type.
    for words, types in zip(texts.words, texts.types, strict=True):
        assert len(set(zip(words.tolist(), types.tolist(), strict=True))) == len(set(words.tolist()))


def test_too_many_chunks_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 chunks of 600 pieces need 600001, but the test part has 234392"):
        read_texts(Corpus.load(SAMPLE), "test", 1000, 600)


def test_texts_come_back_from_disk(tmp_path: Path) -> None:
    texts = made_up()
    texts.save(tmp_path / "h6.npz")
    back = Texts.load(tmp_path / "h6.npz")
    for field in dataclasses.fields(Texts):
        assert np.array_equal(getattr(back, field.name), getattr(texts, field.name))
    assert np.array_equal(back.table(), texts.table())


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"python -m feasibility.h6.text --out"):
        Texts.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", schema=np.array("other"))
    with pytest.raises(CorpusCorrupt, match=r"does not hold texts of schema asa.h6-texts.v1"):
        Texts.load(tmp_path / "other.npz")

"""Tags of pieces: each piece has the tag of its whole word, as the whole text has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lm_cases import tiny_corpus

from feasibility.lm.data import END_OF_TEXT, Corpus, CorpusCorrupt
from feasibility.lm.tags import WORD, load_tags, piece_bytes, piece_tags, save_tags, told_of_next
from periodic_table.tagging import load_tagger
from periodic_table.tagging.tagger import TAGS

# Pieces of a byte-level vocabulary; the dash is one sign of three bytes, cut in two.
PIECES = (
    "They", "\u0120want", "\u0120to", "\u0120wa", "l", "k", "\u0120to", "\u0120the", "\u0120wa", "l", "k", ".",
    "\u010a", "Don", "'t", "\u00e2\u0122", "\u0136", "stop", END_OF_TEXT,
)  # fmt: skip
VOCAB = tuple(dict.fromkeys(PIECES))
IDS = np.array([VOCAB.index(piece) for piece in PIECES], dtype=np.uint16)
CORPUS = Corpus(dict.fromkeys(("train", "dev", "test"), IDS), VOCAB, {}, "{}", {})  # type: ignore[arg-type]


def test_pieces_are_bytes() -> None:
    assert b"".join(piece_bytes(PIECES)).decode() == "They want to walk to the walk.\nDon't\u2014stop"


def test_words_are_those_of_the_taggers() -> None:
    text = "Don't he's 3.5 well-known, naïve\u2014no"
    expected = ["Do", "n't", "he", "'s", "3.5", "well", "-", "known", ",", "naïve", "\u2014", "no"]
    assert [found.group() for found in WORD.finditer(text)] == expected


def test_every_piece_has_the_tag_of_its_word() -> None:
    words = ["They", "want", "to", "walk", "to", "the", "walk", ".", "Do", "n't", "\u2014", "stop"]
    # The last byte of "Don" is the n of "n't".
    of_piece = [0, 1, 2, 3, 3, 3, 4, 5, 6, 6, 6, 7, None, 9, 9, 10, 10, 11, None]
    tags = load_tagger("full-context").tag(words)
    found = [TAGS[tag] for tag in piece_tags(CORPUS, "dev")]
    assert found == ["X" if word is None else tags[word] for word in of_piece]
    # The whole text is seen: the same pieces, a verb and a noun.
    assert [found[3], found[8]] == ["VERB", "NOUN"]


def test_what_tags_tell_of_the_next_piece() -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 4, 40_000).astype(np.uint16)
    # The next piece is one of two, which the tag knows.
    peeking, blind = np.roll(ids, -1) // 2, generator.integers(0, 2, len(ids))
    told, dealt = told_of_next(ids, peeking.astype(np.uint8))
    assert told - dealt == pytest.approx(np.log(2), abs=0.01)
    told, dealt = told_of_next(ids, blind.astype(np.uint8))
    assert told - dealt == pytest.approx(0, abs=0.001)
    # A tag that follows from the piece tells nothing more.
    assert told_of_next(ids, (ids % 3).astype(np.uint8)) == pytest.approx((0, 0), abs=1e-9)


def test_tags_survive_a_file_and_belong_to_a_corpus(tmp_path: Path) -> None:
    tags = {part: IDS.astype(np.uint8) for part in CORPUS.ids}
    save_tags(tmp_path / "tags.npz", tags)
    again = load_tags(tmp_path / "tags.npz", CORPUS)
    assert again.keys() == tags.keys()
    assert all(np.array_equal(again[part], tags[part]) for part in tags)
    with pytest.raises(CorpusCorrupt, match="tags of another corpus"):
        load_tags(tmp_path / "tags.npz", tiny_corpus())
    with pytest.raises(FileNotFoundError, match=r"make it: python -m feasibility\.lm\.tags"):
        load_tags(tmp_path / "none.npz", CORPUS)
    (tmp_path / "bad.npz").write_bytes(b"PK nonsense")
    with pytest.raises(CorpusCorrupt, match="does not hold tags"):
        load_tags(tmp_path / "bad.npz", CORPUS)

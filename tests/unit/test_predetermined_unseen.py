"""What models are asked, tried on one that knows the law and on one that knows nothing."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from feasibility.predetermined_embeddings import unseen
from feasibility.predetermined_embeddings.measure import excess, make_exam
from feasibility.predetermined_embeddings.tables import BOUNDARY, PLACES, UNKNOWN, VOCABULARY, features
from feasibility.predetermined_embeddings.train import Class
from feasibility.toy_world.exact import Law, NotInWorld
from feasibility.toy_world.grammar import build_world
from feasibility.toy_world.sampling import draw

WORLD = build_world()


class Oracle:
    """Says the exact law, or the same about everything: as much of `Class` as is asked of one model."""

    start = (None,)

    def __init__(self, *, knows: bool) -> None:
        self.knows = knows

    def pick(self, _: int) -> Oracle:
        return self

    def logits(self, tokens: Tensor) -> Tensor:
        law = np.full((*tokens.shape, VOCABULARY), 1e-12)
        for row, sentence in enumerate(tokens.numpy()[:, 1:]):
            places = np.where(sentence < PLACES, sentence, -1)[None]
            try:
                found = Law(WORLD).next_word(places, (places >= 0).sum(axis=1))[0] if self.knows else 1.0
            except NotInWorld:
                continue
            law[row, :, : BOUNDARY + 1] += found
        return torch.as_tensor(law).log()[None]

    @property
    def judged(self) -> Class:
        return cast(Class, self)


def test_who_knows_the_law_has_no_excess() -> None:
    exam = make_exam(WORLD, 6, 0)
    assert np.abs(excess(Oracle(knows=True).judged, exam, WORLD)["excess"]).max() < 1e-6
    ignorant = excess(Oracle(knows=False).judged, exam, WORLD)
    assert ignorant["excess"].sum() / exam.tokens.sum() == pytest.approx(np.log(BOUNDARY + 1) - exam.floor, abs=1e-6)
    parts = [ignorant[f"excess, {part}"] for part in ("part of speech", "class", "word")]
    assert np.allclose(sum(parts), ignorant["excess"])
    assert all((part > 0).all() for part in parts)


@pytest.mark.parametrize("seed", range(5))
def test_held_words_leave_every_class_and_frame_with_seen_ones(seed: int) -> None:
    held = unseen.hold_words(WORLD, seed)
    assert held.sum() == 20
    assert not ((WORLD.emission > 0) <= held).all(axis=1).any()


def test_contexts_end_in_their_only_new_word() -> None:
    held = unseen.hold_words(WORLD, 0)
    asked = unseen.new_words(WORLD, held, 20, 1)
    assert asked.after.sum(axis=1) == pytest.approx(1.0)
    assert asked.before.sum(axis=1) == pytest.approx(1.0)
    for row, at in zip(asked.places, asked.at, strict=True):
        assert held[row[at]]
        assert not held[row[:at]].any()
        assert (row[at + 1 :] == -1).all()
    assert not asked.after[:, :PLACES][:, held].any()


def test_new_words_and_pairs_for_who_knows_the_law_and_for_who_knows_nothing() -> None:
    asked = unseen.new_words(WORLD, unseen.hold_words(WORLD, 0), 8, 1)
    assert unseen.choose_new_words(Oracle(knows=True).judged, asked, WORLD) == 1.0
    assert unseen.choose_new_words(Oracle(knows=False).judged, asked, WORLD) == 0.5
    assert unseen.after_new_words(Oracle(knows=False).judged, asked) > 1.0
    pairs = unseen.new_pairs(WORLD, 0)
    assert unseen.choose_new_pairs(Oracle(knows=True).judged, pairs) == 1.0
    assert unseen.choose_new_pairs(Oracle(knows=False).judged, pairs) == 0.5


def test_after_a_new_word_the_law_of_seen_words_is_asked() -> None:
    """A model of the law with all words pays nothing for the new ones that it would also have expected."""
    asked = unseen.new_words(WORLD, unseen.hold_words(WORLD, 0), 8, 1)
    assert unseen.after_new_words(Oracle(knows=True).judged, asked) < 0.2


def test_unknown_is_read_in_the_place_of_the_new_word() -> None:
    asked = unseen.new_words(WORLD, unseen.hold_words(WORLD, 0), 4, 1)
    read = []

    class Listener(Oracle):
        def logits(self, tokens: Tensor) -> Tensor:
            read.append(tokens)
            return super().logits(tokens)

    unseen.after_new_words(Listener(knows=False).judged, asked, unknown=True)
    assert (read[0] == UNKNOWN).sum() == 4
    assert (read[0][np.arange(4), asked.at + 1] == UNKNOWN).all()


def test_held_pairs_are_licensed_and_no_sentence_has_them() -> None:
    held = unseen.new_pairs(WORLD, 3).held
    assert 0.15 < held.sum() / WORLD.licensed.sum() < 0.25
    assert not (held & ~WORLD.licensed).any()
    assert not draw(WORLD, 3_000, 0, None, held).bonds[held].any()


def test_the_ridge_map_finds_a_linear_one() -> None:
    rng = np.random.default_rng(0)
    known = features(WORLD)
    truth = rng.standard_normal((known.shape[1], 5))
    seen = np.arange(PLACES) % 5 > 0
    found = unseen._ridge(known[seen], known[seen] @ truth, known[~seen])
    error = (
        np.square(found - known[~seen] @ truth).sum()
        / np.square((known @ truth)[~seen] - (known @ truth)[seen].mean(0)).sum()
    )
    assert error < 0.7
    assert unseen._ridge(known[seen], np.ones((80, 2)), known[~seen]) == pytest.approx(1.0)


def test_shots_have_each_new_word_so_often_and_alone() -> None:
    held = unseen.hold_words(WORLD, 0)
    rows = unseen.shots(WORLD, held, 2, 9)
    assert len(rows) == 2 * held.sum()
    assert (((rows >= 0) & held[np.maximum(rows, 0)]).sum(axis=1) == 1).all()
    words = np.flatnonzero(held)
    assert all((rows[2 * n : 2 * n + 2] == word).any(axis=1).all() for n, word in enumerate(words))
    one = unseen.shots(WORLD, held, 1, 9)
    assert np.array_equal(one, rows[::2])


def test_ties_count_half() -> None:
    tally = unseen.Tally()
    assert tally.area == 0.5
    tally.compare(np.array([1.0, 2.0]), np.array([1.0]))
    assert tally.area == 0.75

"""The controls match what they say they match, and differ in the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from h6_cases import TYPES, made_up

from feasibility.h6.masks import (
    CONTROLS,
    STRATA,
    banded,
    by_frequency,
    draw,
    exchanged,
    fit_row_distance,
    from_others,
    make_masks,
    mean_mask,
    nearest,
    population_of,
    rewired,
)
from periodic_table.tagging.tagger import PUNCT

TEXTS = made_up(chunks=4, length=40)
DRAWN = draw(TEXTS, seed=0, draws=20)


def test_the_population_has_pairs_of_different_words_after_the_first_piece() -> None:
    pairs = population_of(torch.tensor([1, 2, 2, 0, 3]))
    assert pairs.nonzero().tolist() == [[4, 1], [4, 2]]


def test_strata_begin_where_they_say() -> None:
    stratum = banded(300, STRATA, torch.device("cpu"))
    for number, first in enumerate(STRATA):
        assert stratum[299, 299 - first] == number
        assert stratum[299, 299 - first + 1] == max(0, number - 1)


def test_row_and_distance_keep_both_sums() -> None:
    generator = torch.Generator().manual_seed(0)
    population = torch.ones(60, 60, dtype=torch.bool).tril(-1)
    # More is allowed nearby and in late rows, and one row allows all, one nothing.
    inside = population & (
        torch.rand(60, 60, generator=generator) < 0.3 + 0.5 * torch.exp(-torch.arange(60) / 9).flip(0)
    )
    inside[30], inside[31] = population[30], False
    p = fit_row_distance(inside, population)
    assert (p[~population] == 0).all()
    assert torch.allclose(p.sum(1), inside.sum(1).float(), atol=0.02)
    distance = torch.arange(60)[:, None] - torch.arange(60)
    for gap in range(1, 16):
        assert float(p[distance == gap].sum()) == pytest.approx(float(inside[distance == gap].sum()), abs=0.05)


def test_a_window_takes_the_nearest_of_the_population() -> None:
    population = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]], dtype=torch.bool)
    assert nearest(torch.tensor([0, 0, 1, 1]), population).tolist() == [[0] * 4, [0] * 4, [1, 0, 0, 0], [0, 1, 0, 0]]


def test_rewired_tables_keep_partners_and_density() -> None:
    generator = np.random.default_rng(0)
    is_word = TEXTS.words > 0
    share = np.bincount(TEXTS.types[is_word], minlength=len(TYPES)) / is_word.sum()
    old = share @ TEXTS.table() @ share
    tables = [rewired(TEXTS, share, generator) for _ in range(5)]
    assert all(abs(share @ table @ share - old) <= 0.005 for table in tables)
    assert len({table.tobytes() for table in tables}) > 1
    for table in tables:
        # PUNCT goes with all, every type with itself; pronouns ask for what they asked for.
        assert table[TEXTS.tags == PUNCT].all()
        assert table.diagonal().all()
        assert not table[TEXTS.lacking].any()


def test_types_by_frequency_are_runs_of_like_frequency() -> None:
    counts = np.full(200, 5) + np.arange(200)[::-1]
    share = np.full(4, 0.25)
    table = np.eye(4, dtype=bool)
    types = by_frequency(counts, share, table, np.random.default_rng(0))
    assert (np.diff(types) != 0).sum() == 3
    assert np.bincount(types, counts) / counts.sum() == pytest.approx(share, abs=0.02)


def test_words_of_as_many_pieces_exchange_types() -> None:
    words = torch.from_numpy(TEXTS.words[0].astype(np.int64))
    types = torch.from_numpy(TEXTS.types[0].astype(np.int64))
    rows = exchanged(types, words, 30, np.random.default_rng(0))
    assert not torch.equal(rows[0], rows[1])
    for row in rows:
        assert torch.equal(row.bincount(minlength=len(TYPES)), types.bincount(minlength=len(TYPES)))
        assert len(set(zip(words.tolist(), row.tolist(), strict=True))) == len(words.unique())
        assert row[5] == types[5]


def test_other_texts_are_laid_over_the_words() -> None:
    rows = from_others(TEXTS, 1)
    assert rows.shape == (3, 40)
    kept = TEXTS.types[0][TEXTS.words[0] > 0]
    assert np.array_equal(rows[0].numpy()[TEXTS.words[1] > 0], kept[: (TEXTS.words[1] > 0).sum()])
    assert (rows[:, 5] == int(TEXTS.types[1, 5])).all()


def test_the_mean_of_masks_is_the_mean_of_masks() -> None:
    types = torch.tensor([[0, 1, 2], [2, 2, 1]])
    table = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 0]], dtype=torch.bool)
    plain = torch.stack([table[row[:, None], row].float() for row in types]).mean(0)
    assert torch.equal(mean_mask(types, table), plain)


def test_every_control_is_as_dense_as_the_mask() -> None:
    masks = make_masks(TEXTS, 2, DRAWN, seed=0)
    inside = masks.allowed & masks.population
    assert masks.controls.sum((1, 2)).tolist() == pytest.approx([float(inside.sum())] * len(CONTROLS), rel=1e-4)
    assert (masks.controls[:, ~masks.population] == 0).all()
    by_row = dict(zip(CONTROLS, masks.controls.sum(-1), strict=True))
    for name in ("row", "row_distance", "window"):
        assert torch.allclose(by_row[name], inside.sum(1).float(), atol=0.02)
    bare = (inside & masks.unmarked).sum()
    assert masks.unmarked_controls.sum((1, 2)).tolist() == pytest.approx([float(bare)] * 2, rel=1e-4)


def test_the_same_seed_gives_the_same_masks() -> None:
    again = make_masks(TEXTS, 1, draw(TEXTS, seed=0, draws=20), seed=0)
    assert torch.equal(again.controls, make_masks(TEXTS, 1, DRAWN, seed=0).controls)
    other = make_masks(TEXTS, 1, draw(TEXTS, seed=1, draws=20), seed=1)
    assert not torch.equal(again.controls[2], other.controls[2])

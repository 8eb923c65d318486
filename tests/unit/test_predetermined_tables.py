"""Tables of word vectors: matched in size and spectrum, and the module in which any part can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from causality import assert_causal
from scipy.stats import spearmanr

from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.predetermined_embeddings.measure import _ranks, likeness
from feasibility.predetermined_embeddings.sides import Output, Table
from feasibility.predetermined_embeddings.tables import (
    BOUNDARY,
    CONDITIONS,
    LEARNED_SCALE,
    PLACES,
    RANK,
    SCALE,
    VOCABULARY,
    UnknownTable,
    features,
    word_table,
)
from feasibility.toy_world.grammar import build_world
from feasibility.toy_world.sampling import draw

WORLD = build_world()
SHAPE = (VOCABULARY, 48)
KINDS = sorted({condition.table for condition in CONDITIONS.values()} - {""})


def table(kind: str, alignment: float = 1.0, dim: int = 48) -> np.ndarray:
    sentences = draw(WORLD, 300, 0).places if kind == "ppmi" else None
    return word_table(kind, build_world(alignment), dim, 1, sentences)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_same_size_and_tells_all_words_apart(kind: str) -> None:
    rows = table(kind)
    assert rows.shape == (VOCABULARY, 48)
    assert rows.dtype == np.float32
    assert np.sqrt(np.square(rows[:PLACES]).mean()) == pytest.approx(SCALE, rel=1e-5)
    assert np.array_equal(rows, table(kind))
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2) + np.eye(VOCABULARY)
    assert distances.min() > 0.1


@pytest.mark.parametrize("kind", ["shuffled", "gaussian", "binary", "ppmi"])
def test_controls_have_the_spectrum_of_the_coordinates(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the code, which is the same Gaussian in all of them.
    monkeypatch.setattr("feasibility.predetermined_embeddings.tables.CODE_SHARE", 0.0)
    ours, theirs = (np.linalg.svd(table(k)[:PLACES], compute_uv=False) for k in ("coordinates", kind))
    assert ours[:RANK] == pytest.approx(theirs[:RANK], rel=1e-3)
    assert ours[RANK] < 1e-3 * ours[0]


def test_shuffled_rows_are_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feasibility.predetermined_embeddings.tables.CODE_SHARE", 0.0)
    ours, theirs = table("coordinates")[:PLACES], table("shuffled")[:PLACES]
    assert np.sort(np.linalg.norm(ours, axis=1)) == pytest.approx(np.sort(np.linalg.norm(theirs, axis=1)), rel=1e-4)
    assert not np.allclose(ours, theirs)


def test_a_misaligned_world_moves_the_rows_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feasibility.predetermined_embeddings.tables.CODE_SHARE", 0.0)
    right, wrong = table("coordinates")[:PLACES], table("coordinates", 0.0)[:PLACES]
    assert np.array_equal(wrong, right[build_world(0.0).own])
    assert np.array_equal(features(build_world(0.0)), features(WORLD)[build_world(0.0).own])


def test_only_the_right_table_is_like_the_world() -> None:
    assert likeness(table("coordinates"), WORLD) > 0.2
    for kind, alignment in (("coordinates", 0.0), ("shuffled", 1.0), ("gaussian", 1.0)):
        assert abs(likeness(table(kind, alignment), WORLD)) < 0.12


def test_likeness_is_spearman_s_rho() -> None:
    values = np.array([[0.3, 0.1, 0.1, 0.9, 0.3, 0.3], [1.0, 2.0, 2.0, 2.0, 5.0, 0.0]])
    ours = np.corrcoef([_ranks(row) for row in values])[0, 1]
    assert ours == pytest.approx(spearmanr(*values).statistic)


def test_wrong_kinds_and_sizes_are_named() -> None:
    with pytest.raises(UnknownTable, match="no table 'glove'; there are coordinates, world, shuffled, pos"):
        word_table("glove", WORLD, 48, 0)
    with pytest.raises(UnknownTable, match="with sentences, ppmi"):
        word_table("ppmi", WORLD, 48, 0)
    with pytest.raises(ValueError, match="a table of rank 32 needs dim >= 32, got 16"):
        word_table("coordinates", WORLD, 16, 0)


@pytest.mark.parametrize("name", CONDITIONS)
def test_training_changes_what_a_condition_says_and_no_more(name: str) -> None:
    condition = CONDITIONS[name]
    fixed = table(condition.table) if condition.table else None
    module = Table(condition, fixed, SHAPE, generator())
    before = module.rows().detach().clone()
    if fixed is not None:
        assert torch.equal(before, torch.as_tensor(fixed))
    module(torch.arange(VOCABULARY)[None]).square().sum().backward()
    with torch.no_grad():
        for p in module.parameters():
            assert p.grad is not None
            p -= 0.1 * p.grad
    frozen = condition.scale == 0.0 and not condition.adapter
    assert torch.equal(module.rows(), before) == frozen


def test_a_learned_table_can_be_bounded_in_rank() -> None:
    rows = Table(CONDITIONS["learned_rank"], None, SHAPE, generator()).rows().detach()
    values = torch.linalg.svdvals(rows)
    assert values[RANK - 1] > 1e-3
    assert values[RANK] < 1e-6


def test_outputs_learn_even_from_a_frozen_table() -> None:
    fixed = table("coordinates")
    output = Output(CONDITIONS["predetermined"], fixed, SHAPE, generator())
    states = torch.randn(2, 3, 48, generator=generator())
    small = LEARNED_SCALE / SCALE
    assert torch.allclose(output(states), small * states @ torch.as_tensor(fixed).T, atol=1e-5)
    output(states).square().sum().backward()
    assert output.table.adapter.grad is not None
    assert output.table.adapter.grad.abs().max() > 0
    assert output.table.free.grad is not None
    assert output.table.free.grad.abs().max() == 0


def test_a_model_with_known_rows_is_causal() -> None:
    sides = (
        Table(CONDITIONS["residual"], table("coordinates"), SHAPE, generator()),
        Output(CONDITIONS["predetermined"], table("coordinates"), SHAPE, generator()),
    )
    model = LanguageModel(ModelConfig(VOCABULARY, 48, 2, 2, max_length=11), *sides).eval()
    tokens = torch.randint(BOUNDARY, (2, 11), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_causal(
            model,
            [tokens],
            input_dims=[1],
            output_dim=1,
            cuts=[0, 4, 9],
            redraw=lambda x, g: torch.randint(BOUNDARY, x.shape, generator=g),
        )

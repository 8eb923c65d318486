"""Attention patterns: what each sees, equal budgets, and that nothing sees the future."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from causality import assert_causal
from torch import Tensor

from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import (
    BY_POSITION,
    ORIGINAL,
    Pattern,
    Spec,
    UnknownPattern,
    fit,
    make_pattern,
    read_specs,
    sample_chunks,
    visible_keys,
    write_specs,
)
from sparse_attn import ClassPlan
from sparse_attn.impl.reference import visible_matrix

VOCAB, LENGTH = 60, 192
GENERATOR = np.random.default_rng(0)
TABLES = {
    "predetermined/17": GENERATOR.integers(0, 17, VOCAB).astype(np.uint8),
    "random/8.0": (np.arange(VOCAB) % 8).astype(np.uint8),
    "punctuation": (np.arange(VOCAB) < 6).astype(np.uint8),
}
IDS = GENERATOR.integers(0, VOCAB, 5000).astype(np.uint16)
CHUNKS = sample_chunks(IDS, LENGTH, 2)
TYPED = ("predetermined/17", "random/8.0")
ALL = (*BY_POSITION, *ORIGINAL, *TYPED)


def pattern(name: str, window: int = 8, valence: int | None = 2) -> Pattern:
    bounded = name in TYPED or name in ("dilated", "log-sparse", "original+valence")
    return make_pattern(Spec(name, window, valence if bounded else None), TABLES, LENGTH)


def seen(name: str, window: int = 8, valence: int | None = 2) -> Tensor:
    """[N, N] bool of the first chunk."""
    plan = pattern(name, window, valence).plan(CHUNKS[:1])
    assert isinstance(plan, ClassPlan)
    return visible_matrix(plan.class_ids, plan.segments, plan.rules)[0]


@pytest.mark.parametrize("name", ALL)
def test_no_pattern_sees_the_future(name: str) -> None:
    torch.manual_seed(0)
    config = ModelConfig(VOCAB, dim=16, layers=2, heads=2, max_length=LENGTH, backend="reference")
    model, chosen = LanguageModel(config).eval(), pattern(name)

    def redraw(x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randint(VOCAB, x.shape, generator=generator)

    with torch.no_grad():
        assert_causal(
            lambda ids: model(ids, chosen.plan(ids)),
            [CHUNKS],
            input_dims=[1],
            output_dim=1,
            cuts=[0, 70, LENGTH - 2],
            redraw=redraw,
        )


def test_every_pattern_sees_itself_and_its_window() -> None:
    recent = torch.ones(LENGTH, LENGTH).tril().triu(-7).bool()
    for name in ALL:
        if name not in ("dense", "original"):
            assert seen(name)[recent].all(), name
            assert not seen(name).triu(1).any(), name


def test_sinks_and_separators() -> None:
    sinks = torch.zeros(LENGTH, dtype=torch.bool)
    sinks[:4] = True
    outside = torch.ones(LENGTH, LENGTH).tril(-8).bool()
    assert torch.equal(seen("sinks")[outside], sinks.expand(LENGTH, -1)[outside])
    marks = sinks | (CHUNKS[0] < 6)
    assert torch.equal(seen("separators")[outside], marks.expand(LENGTH, -1)[outside])


def test_strided_sees_every_eighth() -> None:
    row = seen("strided")[100]
    assert torch.equal(row[:93].nonzero()[:, 0], torch.arange(4, 93, 8))


def test_dilated_sees_the_last_of_every_fourth() -> None:
    row = seen("dilated", window=1, valence=5)[100]
    assert torch.equal(row.nonzero()[:, 0], torch.arange(84, 101, 4))


def test_log_sparse_thins_the_past() -> None:
    row = seen("log-sparse", window=1, valence=4)[LENGTH - 1].nonzero()[:, 0]
    distance = (LENGTH - 1 - row).flip(0)
    near, far = (distance < 32).sum(), (distance >= 96).sum()
    assert near >= 12
    assert 2 <= far <= 6


def test_big_bird_sees_two_blocks_and_the_first_sixteen() -> None:
    row = seen("big-bird")[LENGTH - 1]
    assert row[:16].all()
    blocks = row.view(-1, 64)[:2, 16:]
    assert all(bool(block.all()) or not bool(block.any()) for block in blocks)


def test_typed_memory_keeps_the_last_two_of_each_class() -> None:
    classes = TABLES["random/8.0"][CHUNKS[0].numpy()]
    row = seen("random/8.0", window=1)[LENGTH - 1].numpy()
    for number in range(8):
        members = np.flatnonzero(classes == number)
        assert set(np.flatnonzero(row & (classes == number))) == set(members[-2:])


@pytest.mark.parametrize("name", [*TYPED, "log-sparse", "dilated", "window", "sinks", "strided", "separators"])
def test_fitted_patterns_have_equal_budgets(name: str) -> None:
    spec = fit(Spec(name), 45.0, TABLES, CHUNKS)
    plan = make_pattern(spec, TABLES, LENGTH).plan(CHUNKS)
    assert isinstance(plan, ClassPlan)
    counted = visible_matrix(plan.class_ids, plan.segments, plan.rules).sum() / CHUNKS.numel()
    assert spec.keys == pytest.approx(float(counted)) == pytest.approx(visible_keys(plan))
    assert abs(spec.keys - 45.0) < 1


def test_fixed_and_dense_patterns_are_only_counted() -> None:
    assert fit(Spec("dense"), 45.0, TABLES, CHUNKS).keys == (LENGTH + 1) / 2
    fixed = fit(Spec("random/8.0@16x3"), 45.0, TABLES, CHUNKS)
    assert (fixed.window, fixed.valence) == (16, 3)
    assert fixed.keys == pytest.approx(visible_keys(make_pattern(fixed, TABLES, LENGTH).plan(CHUNKS)))  # type: ignore[arg-type]
    assert fit(Spec("original"), 45.0, TABLES, CHUNKS[:1]).keys == pytest.approx(float(seen("original").sum()) / LENGTH)


def test_specs_survive_a_file(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "patterns.json"
    specs = [Spec("window", 7, None, 7.0), Spec("random/8.0", 64, 4, 9.5)]
    write_specs(path, specs)
    assert list(read_specs(path).values()) == specs


def test_errors_are_named() -> None:
    with pytest.raises(UnknownPattern, match="no pattern 'windows'; there are dense, window"):
        make_pattern(Spec("windows"), TABLES, LENGTH)
    with pytest.raises(ValueError, match="strided has more than 5 visible keys even without a window"):
        fit(Spec("strided"), 5, TABLES, CHUNKS)

"""Attention is what the model computes; planted attention is found, attention at random is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from h6_cases import ENTRIES, made_up
from torch import Tensor

from feasibility.h6 import measure as h6_measure
from feasibility.h6 import train as h6_train
from feasibility.h6.attention import attention_weights, masked_losses
from feasibility.h6.findings import auc, lift_over, loss_added, mask_effect, raw_share
from feasibility.h6.masks import CONTROLS, STRATA
from feasibility.h6.measure import Prepared, measure, prepare
from feasibility.h6.record import by_size
from feasibility.language_model.measure import SAMPLE
from feasibility.lm.model import LanguageModel, ModelConfig

TEXTS = made_up(chunks=12, length=48)


def tiny(seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    model = LanguageModel(ModelConfig(ENTRIES, 16, 2, 2, max_length=64)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8.0)
    return model


@pytest.fixture(scope="module")
def prepared() -> list[Prepared]:
    return prepare(TEXTS, seed=0)


def planted(monkeypatch: pytest.MonkeyPatch, prepared: list[Prepared], strength: float) -> dict[str, Any]:
    """A model whose first head likes allowed pairs, e^strength times as much, and whose second attends at random."""
    generator = torch.Generator().manual_seed(0)
    chunks = iter(prepared)

    def weights(model: LanguageModel, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        masks = next(chunks).masks
        later = torch.ones_like(masks.allowed).triu(1)
        noise = torch.randn(2, *later.shape, generator=generator)
        noise[0] += strength * (masks.allowed & masks.population)
        yield noise.masked_fill(later, -torch.inf).softmax(-1), torch.ones(2, len(tokens))

    monkeypatch.setattr(h6_measure, "attention_weights", weights)
    return measure(tiny(), prepared)


@torch.no_grad()
def test_weights_are_those_that_the_model_uses() -> None:
    model, tokens = tiny(), torch.arange(20)
    layers = list(attention_weights(model, tokens))
    assert len(layers) == 2
    weights, carried = layers[0]
    assert weights.shape == (2, 20, 20)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 20))
    assert (weights.triu(1) == 0).all()
    # What each key carries, spelt out: the head's values through its part of the map.
    block: Any = model.blocks[0]
    x = model.input_table(tokens[None])
    _, _, value = block.project(x, model.cosine[:20], model.sine[:20])
    spelt = (value[0, 1] @ block.mix.weight[:, 8:].T).norm(dim=-1)
    assert torch.allclose(carried[1], spelt, atol=1e-4)


@torch.no_grad()
def test_a_mask_that_allows_everything_gives_the_models_own_loss() -> None:
    model, tokens, targets = tiny(), torch.arange(20), torch.arange(1, 21)
    everything = torch.ones(20, 20, dtype=torch.bool).tril()
    itself = torch.eye(20, dtype=torch.bool)
    found = masked_losses(model, tokens, targets, torch.stack([everything, itself]))
    own = torch.nn.functional.cross_entropy(model(tokens[None])[0], targets, reduction="sum")
    assert float(found[0]) == pytest.approx(float(own), rel=1e-5)
    assert abs(float(found[1] - found[0])) > 1e-3


def test_cuts_keep_what_is_not_asked_about_and_never_look_ahead(prepared: list[Prepared]) -> None:
    for chunk in prepared[:3]:
        population = chunk.masks.population
        earlier = torch.ones_like(population).tril()
        assert set(chunk.cuts) == {"dense", "asa", *CONTROLS}
        for visible in chunk.cuts.values():
            assert (visible[:, earlier & ~population]).all()
            assert not visible[:, ~earlier].any()
        inside = (chunk.masks.allowed & population).sum(1)
        for name in ("asa", "row", "window"):
            assert ((chunk.cuts[name] & population).sum(-1) == inside).all()


def test_planted_attention_is_found_in_its_head_alone(
    monkeypatch: pytest.MonkeyPatch, prepared: list[Prepared]
) -> None:
    found = planted(monkeypatch, prepared, strength=2.0)
    planted_head, other = found["heads"]
    assert planted_head["lift row_distance"] > 0.3
    assert planted_head["lift row_distance"] > 20 * planted_head["se row_distance"]
    assert abs(other["lift row_distance"]) < 4 * other["se row_distance"]
    assert planted_head["auc"] > 0.8
    assert other["auc"] == pytest.approx(0.5, abs=0.03)
    assert planted_head["beta"] == pytest.approx(2.0, abs=0.1)
    assert other["beta"] == pytest.approx(0.0, abs=0.1)
    assert lift_over([found], "row_distance").ci95[0] > 0
    assert lift_over([found], "window").ci95[0] > 0
    assert auc([found])[1].ci95[0] > 0.5


def test_random_attention_has_no_lift_but_a_high_raw_share(
    monkeypatch: pytest.MonkeyPatch, prepared: list[Prepared]
) -> None:
    found = [planted(monkeypatch, prepared, strength=0.0)]
    for control in ("row", "row_distance", "window"):
        low, high = lift_over(found, control).ci95
        assert low < 0 < high
    low, high = mask_effect(found).ci95
    assert low < 0 < high
    # The original's comparison finds a gap where there is nothing to find.
    assert raw_share(found, "asa").ci95[0] > raw_share(found, "published").ci95[1] + 10
    assert raw_share(found, "asa").value == pytest.approx(raw_share(found, "row").value, abs=1.0)


def test_auc_counts_pairs(monkeypatch: pytest.MonkeyPatch, prepared: list[Prepared]) -> None:
    found = planted(monkeypatch, prepared, strength=1.0)["chunks"]
    masks = prepared[0].masks
    yes = int((masks.allowed & masks.population).sum())
    assert found["auc of"][0] == yes * (int(masks.population.sum()) - yes)
    assert len(found["strata of"][0]) == len(STRATA)
    assert all(0 <= won <= of for won, of in zip(found["strata won"][0], found["strata of"][0], strict=True))


def test_a_model_is_measured_the_same_twice(prepared: list[Prepared]) -> None:
    one = measure(tiny(), prepared[:3])
    assert one == measure(tiny(), prepared[:3])
    assert loss_added([one], "asa").value != 0
    assert "NaN" not in json.dumps(one)


def test_models_are_trained_recorded_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h6_train, "SIZES", {"a": (16, 1, 2), "b": (32, 1, 2)})
    texts = made_up(chunks=3, length=16)
    texts.save(tmp_path / "h6.npz")
    options = h6_train.Options(SAMPLE, tmp_path / "h6.npz", tmp_path, 60.0, ("b", "a"), (0, 1), steps=2, batch=2)
    # The made-up text knows fewer entries than the novel's vocabulary has.
    wide = np.resize(texts.counts, 1024)
    monkeypatch.setattr(h6_train.Texts, "load", lambda path: made_up_wide(texts, wide))
    assert h6_train.run_models(options) == 4
    lines = json.loads((tmp_path / "h6-0.json").read_text())["models"]
    assert [(line["size"], line["seed"]) for line in lines] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert {size: len(models) for size, models in by_size(lines).items()} == {"a": 2, "b": 2}
    assert lines[0]["chunks"]["asa"] != lines[1]["chunks"]["asa"]


def made_up_wide(texts: Any, counts: np.ndarray) -> Any:
    return type(texts)(**{**vars(texts), "counts": counts})


def test_no_model_is_begun_when_the_time_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up(chunks=2, length=16).save(tmp_path / "h6.npz")
    options = h6_train.Options(SAMPLE, tmp_path / "h6.npz", tmp_path, 0.0, ("5M",), (0,), steps=2, batch=2)
    assert h6_train.run_models(options) == 0
    assert "5M seed 0: the time was up" in capsys.readouterr().err


def test_work_is_dealt_out_evenly() -> None:
    hands = h6_train.dealt(h6_train.Options(), 2)
    assert sorted(job for hand in hands for job in hand) == sorted(h6_train.dealt(h6_train.Options(), 1)[0])
    assert len(hands[0]) == 2
    assert hands[1][0] == ("5M", 0)

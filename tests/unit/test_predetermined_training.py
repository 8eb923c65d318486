"""Many small models trained in one batch are the models that each would be alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from feasibility.predetermined_embeddings.students import IGNORED, Student, encode
from feasibility.predetermined_embeddings.tables import BOUNDARY, PLACES, UNKNOWN
from feasibility.predetermined_embeddings.train import OutOfTime, Recipe, _AdamW, _Text, teach
from feasibility.toy_world.grammar import build_world
from feasibility.toy_world.sampling import draw

WORLD = build_world()
NOTHING = np.zeros(PLACES, bool)
RECIPE = Recipe(dim=32, layers=1, heads=2, dropout=0.0, batch=16, checks=2)
SENTENCES, DEV = draw(WORLD, 48, 0).places, draw(WORLD, 10, 1).places


def student(condition: str, seed: int = 0) -> Student:
    return Student(condition, "learned", WORLD, SENTENCES, DEV, NOTHING, seed)


def read(sentences: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(encode(sentences)[0])


def test_sentences_become_inputs_and_targets() -> None:
    inputs, targets = encode(np.array([[5, 6, 7, 8, 9, -1, -1, -1, -1, -1]]))
    assert inputs[0, :6].tolist() == [BOUNDARY, 5, 6, 7, 8, 9]
    assert targets[0].tolist() == [5, 6, 7, 8, 9, BOUNDARY, *[IGNORED] * 5]


def test_a_batch_of_models_trains_each_as_alone() -> None:
    both = teach([student("learned"), student("predetermined", 1)], RECIPE, 2, "cpu")
    for number, one in enumerate((student("learned"), student("predetermined", 1))):
        alone = teach([one], RECIPE, 2, "cpu")
        assert both.dev[:, number] == pytest.approx(alone.dev[:, 0], abs=1e-4)
        for name, p in alone.parameters.items():
            assert torch.allclose(both.parameters[name][number], p[0], atol=2e-3), name


def test_training_repeats_and_learns() -> None:
    recipe = replace(RECIPE, dropout=0.1, checks=5, lr=1e-2)
    first, second = (teach([student("learned")], recipe, 8) for _ in range(2))
    assert np.array_equal(first.dev, second.dev)
    assert first.dev[-1, 0] < first.dev[0, 0] - 0.3
    assert first.tokens.tolist() == sorted(first.tokens.tolist())


def test_the_best_state_on_dev_sentences_is_kept() -> None:
    trained = teach([student("learned"), student("gaussian")], replace(RECIPE, lr=0.05, checks=6), 8)
    logits = trained.logits(read(DEV))
    logits[..., UNKNOWN] = -torch.inf
    targets = torch.as_tensor(encode(DEV)[1]).long().expand(2, -1, -1)
    loss = (
        torch.nn.functional.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none").view(2, -1).sum(1)
    )
    assert (loss / (targets[0] != IGNORED).sum()).numpy() == pytest.approx(trained.dev.min(axis=0), abs=1e-5)


def test_frozen_rows_stay_and_learned_rows_move() -> None:
    trained = teach([student("learned"), student("predetermined")], RECIPE, 2)
    moved = (trained.rows() - trained.start).abs().amax(dim=(1, 2))
    assert moved[0] > 1e-3
    assert moved[1] == 0


def test_one_model_and_its_rows_can_be_taken_out() -> None:
    trained = teach([student("learned"), student("predetermined")], RECIPE, 1)
    tokens = read(DEV)
    one = trained.pick(0)
    assert torch.allclose(one.logits(tokens)[0], trained.logits(tokens)[0], atol=1e-5)
    other = one.with_rows("input_table", torch.zeros_like(one.parameters["input_table.free"][0]))
    assert not torch.allclose(other.logits(tokens), one.logits(tokens))
    assert torch.allclose(trained.logits(tokens)[0], one.logits(tokens)[0], atol=1e-5)


def test_silent_places_are_not_learned_against() -> None:
    silent = NOTHING.copy()
    silent[3] = True
    sentences, dev = draw(WORLD, 48, 0, silent).places, draw(WORLD, 10, 1, silent).places
    trained = teach([replace(student("learned"), sentences=sentences, dev=dev, silent=silent)], RECIPE, 2)
    bias = trained.parameters["output.bias"][0]
    assert bias[3] == 0
    assert bias[0] != 0


def test_models_of_one_seed_read_the_same_in_the_same_order() -> None:
    text = _Text([student("learned"), student("gaussian"), student("learned_unknown")], "cpu")
    inputs, targets = text.batch(16)
    assert text.read == int((targets[0] != IGNORED).sum())
    assert torch.equal(inputs[0], inputs[1])
    unknown = inputs[2] == UNKNOWN
    assert 0 < unknown.float().mean() < 0.2
    assert torch.equal(inputs[2][~unknown], inputs[0][~unknown])


def test_the_optimiser_is_torch_s() -> None:
    start = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    mine = _AdamW({"blocks.x": ours}, 0.1, torch.tensor([0.02, 0.02]))
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.98), weight_decay=0.1)
    for _ in range(5):
        (ours**3).sum().backward()
        (theirs**3).sum().backward()
        mine.step(0.5)
        reference.step()
        reference.zero_grad()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_each_model_may_have_a_rate_of_its_own() -> None:
    trained = teach([student("learned"), student("learned")], RECIPE, 1, rates=[1e-2, 1e-9])
    moved = (trained.rows() - trained.start).abs().amax(dim=(1, 2))
    assert moved[0] > 1e-3
    assert moved[1] < 1e-6


def test_a_tied_output_has_the_rows_of_the_input() -> None:
    tied = [replace(student(name), output="tied") for name in ("learned", "predetermined")]
    trained = teach([*tied, student("learned")], RECIPE, 1)
    assert trained.buffers["output.tied"].tolist() == [1.0, 1.0, 0.0]
    assert trained.buffers["output.table.adapted"].tolist() == [0.0, 1.0, 0.0], "frozen rows need a map"
    own = trained.parameters["output.table.free"]
    assert (own[0] - own[2]).abs().max() > 0
    for number, matters in ((0, False), (2, True)):
        one = trained.pick(number)
        other = one.with_rows("output.table", torch.zeros_like(own[0]))
        assert torch.allclose(one.logits(read(DEV)), other.logits(read(DEV)), atol=1e-6) != matters


def test_after_the_deadline_no_step_is_begun() -> None:
    with pytest.raises(OutOfTime, match="step 1 of 3 when the time was over"):
        teach([student("learned")], RECIPE, 1, deadline=0.0)


def test_where_a_silent_place_is_next_nothing_is_scored() -> None:
    silent = NOTHING.copy()
    silent[SENTENCES[0, 2]] = True
    inputs, targets = replace(student("learned"), silent=silent).reading()
    assert targets[0, 2] == IGNORED
    assert inputs[0, 3] == SENTENCES[0, 2]


def test_unequal_data_are_an_error() -> None:
    with pytest.raises(ValueError, match="students need equally many sentences"):
        teach([student("learned"), replace(student("learned"), sentences=SENTENCES[:20])], RECIPE, 1)

"""The protocol of the experiment: what is trained, what --full adds, and that an interrupted run goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from feasibility.harness import silent
from feasibility.predetermined_embeddings import BadConfig, Config, _check, _completed
from feasibility.predetermined_embeddings_findings import contrast
from feasibility.predetermined_embeddings_measure import make_exam
from feasibility.predetermined_embeddings_protocol import EVERY, KNOWN, LEARNED, plan
from feasibility.predetermined_embeddings_runs import Bench, Cell, Group, run_group, tune
from feasibility.predetermined_embeddings_tables import CONDITIONS
from feasibility.predetermined_embeddings_train import Recipe
from feasibility.toy_world.grammar import build_world

RECIPE = Recipe(dim=32, layers=1, heads=1, checks=2)


def bench(keep: Path | None = None) -> Bench:
    return Bench(dict.fromkeys(CONDITIONS, RECIPE), 0.2, 6, 5, make_exam(build_world(), 4, 0), "cpu", 3, keep)


def test_labels_say_condition_world_and_output() -> None:
    assert Cell("predetermined", "learned", 0.0).label == "predetermined, misaligned"
    assert Cell("learned", "predetermined").label == "learned > predetermined"
    assert len({cell.label for cell in EVERY}) == len(EVERY)


def test_full_adds_seeds_and_conditions_but_no_flag_is_overruled() -> None:
    full = _completed(Config(full=True, test=50))
    assert (full.seeds, full.dim, full.test) == (10, 144, 50)
    assert _completed(Config()) == Config()
    groups = {(group.sentences, group.held): group for group in plan(full)}
    assert groups[10_000, ""].cells == EVERY
    assert groups[100_000, ""].cells == (LEARNED, KNOWN)
    assert {group.seeds for group in groups.values()} == {tuple(range(10))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "seeds is 1, expected at least 2"),
        ({"dim": 50, "heads": 4}, r"dim is 50, expected a multiple of 2 \* heads = 8"),
        ({"passes": float("nan")}, "passes is nan, expected a number above 0"),
        ({"device": "tpu"}, "device is 'tpu', expected auto, cpu or cuda"),
    ],
)
def test_impossible_configurations_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        _check(dataclasses.replace(Config(), **change))  # type: ignore[arg-type]


def test_a_finished_group_is_read_and_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(20, "", (LEARNED, KNOWN), (0, 1))
    first = run_group(group, bench(tmp_path), silent)
    assert first["learned|excess"].shape == (2, 4)
    monkeypatch.setattr("feasibility.predetermined_embeddings_runs.teach", None)
    again = run_group(group, bench(tmp_path), silent)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    with pytest.raises(TypeError):
        run_group(dataclasses.replace(group, seeds=(0, 2)), bench(tmp_path), silent)


def test_answers_belong_to_their_seed_whatever_the_batch() -> None:
    group = Group(20, "", (LEARNED, KNOWN), (0, 1))
    together = run_group(group, bench(), silent)
    alone = run_group(dataclasses.replace(group, seeds=(1,)), bench(), silent)
    assert together["predetermined|likeness"][1] == alone["predetermined|likeness"][0]
    assert together["learned|excess"][1] == pytest.approx(alone["learned|excess"][0], rel=0.05)


def test_tuning_chooses_for_each_condition_by_dev_loss() -> None:
    lame = dataclasses.replace(RECIPE, lr=1e-9)
    chosen = tune(["learned", "gaussian"], [lame, RECIPE], 40, 5, bench(), silent)
    assert chosen == {"learned": RECIPE, "gaussian": RECIPE}


def test_contrasts_are_paired_and_signed() -> None:
    found = {"a|excess": np.full((3, 5), 2.0), "b|excess": np.full((3, 5), 1.0)}
    assert contrast(found, "a", "b", np.full(5, 2.0)).mean == 0.5

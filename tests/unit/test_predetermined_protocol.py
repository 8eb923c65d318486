"""The protocol of the experiment: what is trained, what --full adds, and that an interrupted run goes on."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from feasibility.harness import silent
from feasibility.predetermined_embeddings.experiment import BadConfig, Config, _check, completed
from feasibility.predetermined_embeddings.jobs import Kept, Unfinished, chosen, collect, jobs_of, train_all, trials_of
from feasibility.predetermined_embeddings.measure import make_exam
from feasibility.predetermined_embeddings.protocol import FEW, KNOWN, LEARNED, OTHERS, plan
from feasibility.predetermined_embeddings.runs import Bench, Cell, Group
from feasibility.predetermined_embeddings.tables import CONDITIONS
from feasibility.predetermined_embeddings.train import Recipe
from feasibility.toy_world.grammar import build_world

RECIPE = Recipe(dim=32, layers=1, heads=1, checks=2)
GROUP = Group(20, "", (LEARNED, KNOWN), (0, 1))


def bench() -> Bench:
    recipes = {stage: dict.fromkeys(CONDITIONS, RECIPE) for stage in ("few", "many")}
    return Bench(recipes, 0.2, 6, 5, make_exam(build_world(), 4, 0), "cpu", 3)


def run(group: Group, kept: Kept, workers: int = 1) -> dict[str, np.ndarray]:
    train_all(jobs_of(group, bench(), kept), kept, workers, silent)
    found = collect(group, bench(), kept)
    assert found is not None
    return found


def test_labels_say_condition_world_and_output() -> None:
    assert Cell("predetermined", "learned", 0.0).label == "predetermined, misaligned"
    assert Cell("learned", "predetermined").label == "learned > predetermined"
    every = (*FEW, *OTHERS)
    assert len({cell.label for cell in every}) == len(every)


def test_full_adds_seeds_and_conditions_but_no_flag_is_overruled() -> None:
    full = completed(Config(full=True, test=50))
    assert (full.seeds, full.dim, full.test) == (10, 144, 50)
    assert completed(Config()) == Config()
    groups = plan(full)
    assert groups["curve 100000"].sentences == 100_000
    assert [groups[f"shots {k}"].shots for k in (1, 16)] == [1, 16]
    judged = [groups[name] for name in ("few", "many", "words", "pairs")]
    assert {group.seeds for group in judged} == {tuple(range(10))}
    assert groups["many, others"].seeds == (0, 1, 2)
    assert plan(Config()).keys() == {"few", "many", "words", "pairs", "shots 4"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "seeds is 1, expected at least 2"),
        ({"dim": 50, "heads": 4}, r"dim is 50, expected a multiple of 2 \* heads = 8"),
        ({"passes": float("nan")}, "passes is nan, expected a number above 0"),
        ({"device": "tpu"}, "device is 'tpu', expected auto, cpu or cuda"),
        ({"workers": -1}, "workers is -1, expected at least 0"),
        ({"minutes": -1.0}, "minutes is -1.0, expected at least 0"),
    ],
)
def test_impossible_configurations_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        _check(dataclasses.replace(Config(), **change))  # type: ignore[arg-type]


def test_finished_models_are_read_and_not_trained_again(tmp_path: Path) -> None:
    first = run(GROUP, Kept(tmp_path / "parts", tmp_path / "moved" / "all.npz"))
    assert first["learned|excess"].shape == (2, 4)
    bundled = Kept(tmp_path / "parts", tmp_path / "moved" / "all.npz")
    bundled.close()
    for folder in ("parts", "moved"):
        kept = Kept(tmp_path / folder)
        assert jobs_of(GROUP, bench(), kept) == []
        again = collect(GROUP, bench(), kept)
        assert again is not None
        assert all(np.array_equal(first[name], again[name]) for name in first)
        more = dataclasses.replace(GROUP, seeds=(0, 1, 2))
        assert [part for job in jobs_of(more, bench(), kept) for part in job.part] == [(LEARNED, 2), (KNOWN, 2)]


def test_a_run_that_is_out_of_time_says_so_and_goes_on() -> None:
    kept = Kept(None)
    jobs = jobs_of(GROUP, bench(), kept)
    with pytest.raises(Unfinished, match="4 models are not trained; run again with the same --keep to go on"):
        train_all(jobs, kept, 1, silent, deadline=time.monotonic() - 1)
    assert collect(GROUP, bench(), kept) is None
    assert run(GROUP, kept)["learned|dev"].shape == (2,)


def test_workers_give_the_answers_of_one_process() -> None:
    alone, together = (run(GROUP, Kept(None), workers) for workers in (1, 2))
    assert all(alone[name] == pytest.approx(together[name], rel=1e-5) for name in alone)


def test_answers_belong_to_their_seed_whatever_the_batch() -> None:
    together = run(GROUP, Kept(None))
    alone = run(dataclasses.replace(GROUP, seeds=(1,)), Kept(None))
    assert together["predetermined|likeness"][1] == alone["predetermined|likeness"][0]
    assert together["learned|excess"][1] == pytest.approx(alone["learned|excess"][0], rel=0.05)


def test_tuning_chooses_for_each_condition_by_dev_loss() -> None:
    lame, kept = dataclasses.replace(RECIPE, lr=1e-9), Kept(None)
    group = Group(40, "", (LEARNED, Cell("gaussian")), (5,))
    with pytest.raises(Unfinished, match="recipes are not chosen yet"):
        chosen(group, bench(), [lame, RECIPE], kept)
    train_all(trials_of(group, bench(), [lame, RECIPE], kept), kept, 1, silent)
    assert chosen(group, bench(), [lame, RECIPE], kept) == {"learned": RECIPE, "gaussian": RECIPE}

"""Train many models in worker processes; what is finished is kept on disk, so that a long run can go on.

A job is a batch of models of one group with one dropout. Which models share a batch is decided by what is still
missing, so that a run without interruption is the same whatever the number of workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from feasibility.harness import Track
from feasibility.predetermined_embeddings.measure import Floats
from feasibility.predetermined_embeddings.runs import Answers, Cell, Part
from feasibility.predetermined_embeddings.train import Class, Learner, OutOfTime, Recipe, teach
from feasibility.store import write_atomic

SCHEMA = "predetermined_embeddings.models.v3"
# "label|measure" -> one number a seed [S], or [S, T].
Found = dict[str, Floats]
Bench = TypeVar("Bench", contravariant=True)


class Unfinished(RuntimeError):
    """The time was over before all models were trained."""


class GroupOf(Protocol[Bench]):
    """Models that learn from equally much and are asked the same."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Kinds of model."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Each kind is trained with every one of them."""

    @property
    def name(self) -> str:
        """As progress shows it."""

    @property
    def stage(self) -> str:
        """Which of the bench's recipes it is trained with."""

    @property
    def sentences(self) -> int:
        """How much each model reads in a pass."""

    def epochs(self, bench: Bench) -> float:
        """Passes over what is read."""

    def facts(self, bench: Bench) -> list[object]:
        """What answers depend on, beside the cell, the seed and the recipe."""

    def student(self, cell: Cell, seed: int, bench: Bench) -> Learner:
        """One model before training."""

    def ask(self, trained: Class, part: Part, bench: Bench) -> Iterator[Answers]:
        """What each model of a batch answers."""


@dataclass(frozen=True)
class Job:
    """A batch of models.

    Args:
        group, bench: theirs.
        part: the models, by kind and seed.
        recipes: of each; they differ in the learning rate alone.
    """

    group: Any
    bench: Any
    part: tuple[tuple[Cell, int], ...]
    recipes: tuple[Recipe, ...]

    def keys(self) -> list[str]:
        """A name for each model that says what its answers depend on."""
        models = zip(self.part, self.recipes, strict=True)
        return [_key(self.group, self.bench, cell, seed, recipe) for (cell, seed), recipe in models]

    @property
    def cost(self) -> float:
        """Passes over sentences, all models together."""
        return float(len(self.part) * self.group.epochs(self.bench) * self.group.sentences)

    def answers(self, deadline: float) -> list[Answers]:
        """Train and ask the models.

        Raises:
            OutOfTime: the deadline passed.
        """
        students = [self.group.student(cell, seed, self.bench) for cell, seed in self.part]
        rates = [recipe.lr for recipe in self.recipes]
        trained = teach(students, self.recipes[0], self.group.epochs(self.bench), device(self.bench), rates, deadline)
        return list(self.group.ask(trained, self.part, self.bench))


class Kept:
    """Answers of finished models, in memory and, where a folder is given, on disk: one .npz for each job.

    Args:
        folder: of ours; every .npz in it is read.
        bundle: file into which everything is written once a minute, and by `close`; it can be put into another folder.
    """

    def __init__(self, folder: Path | None, bundle: Path | None = None) -> None:
        self._folder, self._bundle, self._bundled = folder, bundle, time.monotonic()
        self._answers: dict[str, Answers] = {}
        for path in sorted(folder.glob("*.npz")) if folder else ():
            self._read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Answers:
        return self._answers[key]

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, keys: Sequence[str], answers: Sequence[Answers]) -> None:
        """Keep the answers of a job."""
        new = {key: _rounded(row) for key, row in zip(keys, answers, strict=True)}
        self._answers |= new
        if self._folder:
            write_atomic(self._folder / f"{keys[0]}.npz", _packed(new))
        if time.monotonic() > self._bundled + 60:
            self.close()

    def close(self) -> None:
        """Write the bundle, if there is to be one."""
        if self._bundle:
            write_atomic(self._bundle, _packed(self._answers))
        self._bundled = time.monotonic()

    def _read(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                key, measure = name.split("|", 1)
                self._answers.setdefault(key, {})[measure] = file[name]


def _rounded(answers: Answers) -> Answers:
    # So many sums over sentences need no more digits, and half the space.
    return {name: np.asarray(x, np.float32 if np.ndim(x) else np.float64) for name, x in answers.items()}


def _packed(answers: dict[str, Answers]) -> bytes:
    content = io.BytesIO()
    flat = {f"{key}|{measure}": np.asarray(x) for key, row in answers.items() for measure, x in row.items()}
    np.savez_compressed(content, **flat)  # type: ignore[arg-type]
    return content.getvalue()


def train_all(jobs: Sequence[Job], kept: Kept, workers: int, track: Track, deadline: float = math.inf) -> None:
    """Carry out jobs and keep their answers.

    Args:
        jobs: the most important first.
        kept: is added to.
        workers: processes of one thread each; 1 for this process alone.
        track: shows progress, in jobs.
        deadline: of `time.monotonic()`; jobs in progress then are given up.

    Raises:
        Unfinished: the deadline passed; what is finished is kept.
        Exception: whatever a job raised first, after all others have ended.
    """
    if math.isinf(deadline):
        # The longest first, so that no worker is left alone with it at the end.
        jobs = sorted(jobs, key=lambda job: -job.cost)
    errors: list[Exception] = []
    late = 0
    label = f"{sum(len(job.part) for job in jobs)} models"
    for job, outcome in track(_carried_out(jobs, workers, deadline), label, len(jobs)):
        try:
            kept.add(job.keys(), outcome())
        except OutOfTime:
            late += len(job.part)
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    if late:
        raise Unfinished(f"{late} models are not trained; run again with the same --keep to go on")


def _carried_out(
    jobs: Sequence[Job], workers: int, deadline: float
) -> Iterator[tuple[Job, Callable[[], list[Answers]]]]:
    """Jobs as they end, each with a function that returns its answers or raises what it raised."""
    left = deadline - time.monotonic()
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, lambda job=job: _carry_out(job, deadline - time.monotonic())  # type: ignore[misc]
        return
    end = time.time() + left
    with ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"), _one_thread) as pool:
        futures = {pool.submit(_carry_out_until, job, end): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _carry_out_until(job: Job, end: float) -> list[Answers]:
    return _carry_out(job, end - time.time())


def _carry_out(job: Job, seconds: float) -> list[Answers]:
    if seconds <= 0:
        raise OutOfTime("no time was left")
    return job.answers(time.monotonic() + seconds)


def device(bench: Any) -> str:
    """Of torch, for this process: workers take the GPUs in turn."""
    import torch

    if bench.device != "cuda":
        return str(bench.device)
    identity = multiprocessing.current_process()._identity
    return f"cuda:{(identity[0] - 1 if identity else 0) % torch.cuda.device_count()}"


def jobs_of(group: GroupOf[Any], bench: Any, kept: Kept) -> list[Job]:
    """Models of a group that are not kept, in batches; seeds of a cell in order."""
    recipes = bench.recipes[group.stage]
    return _batched(group, bench, [(c, seed, recipes[c.recipe]) for seed in group.seeds for c in group.cells], kept)


def collect(group: GroupOf[Any], bench: Any, kept: Kept) -> Found | None:
    """The answers of a group by label and measure, or None where some are missing."""
    rows: dict[str, list[Floats]] = {}
    recipes = bench.recipes[group.stage]
    for cell in group.cells:
        for seed in group.seeds:
            key = _key(group, bench, cell, seed, recipes[cell.recipe])
            if key not in kept:
                return None
            for measure, value in kept[key].items():
                rows.setdefault(f"{cell.label}|{measure}", []).append(np.asarray(value, np.float64))
    return {name: np.array(values) for name, values in rows.items()}


def trials_of(group: GroupOf[Any], bench: Any, grid: Sequence[Recipe], kept: Kept) -> list[Job]:
    """Every kind of model of a group with every recipe of a grid, as far as they are not kept."""
    return _batched(group, bench, [(c, s, recipe) for recipe in grid for c in group.cells for s in group.seeds], kept)


def chosen(group: GroupOf[Any], bench: Any, grid: Sequence[Recipe], kept: Kept) -> dict[str, Recipe]:
    """For each condition the recipe of the grid with the least dev loss: the same budget for all.

    Raises:
        Unfinished: a trial is missing.
    """
    losses: dict[str, list[float]] = {}
    for cell in group.cells:
        keys = [[_key(group, bench, cell, seed, recipe) for seed in group.seeds] for recipe in grid]
        if any(key not in kept for row in keys for key in row):
            raise Unfinished("recipes are not chosen yet; run again with the same --keep to go on")
        losses[cell.condition] = [float(np.mean([kept[key]["dev"] for key in row])) for row in keys]
    return {name: grid[int(np.argmin(row))] for name, row in losses.items()}


def _batched(group: GroupOf[Any], bench: Any, models: Sequence[tuple[Cell, int, Recipe]], kept: Kept) -> list[Job]:
    """Models of one dropout side by side, at most `at_once`."""
    alike: dict[Recipe, list[tuple[Cell, int, Recipe]]] = {}
    for cell, seed, recipe in models:
        if _key(group, bench, cell, seed, recipe) not in kept:
            alike.setdefault(dataclasses.replace(recipe, lr=0.0), []).append((cell, seed, recipe))
    return [
        Job(group, bench, tuple((c, s) for c, s, _ in part), tuple(recipe for *_, recipe in part))
        for same in alike.values()
        for part in (same[at : at + bench.at_once] for at in range(0, len(same), bench.at_once))
    ]


def _key(group: GroupOf[Any], bench: Any, cell: Cell, seed: int, recipe: Recipe) -> str:
    facts = [SCHEMA, group.facts(bench), cell.facts(), seed, dataclasses.asdict(recipe)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]

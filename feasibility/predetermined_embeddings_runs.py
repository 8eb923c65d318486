"""Which models are trained on what: the groups of the protocol, run one by one and kept, so that a long run can go on.

Axes: `S` seeds, `T` test sentences.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from feasibility.harness import Track
from feasibility.predetermined_embeddings_measure import Exam, Floats, excess, likeness
from feasibility.predetermined_embeddings_tables import BLOCKS, CONDITIONS, PLACES
from feasibility.predetermined_embeddings_train import Class, Recipe, Student, teach
from feasibility.predetermined_embeddings_unseen import (
    NewWords,
    after_new_words,
    choose_new_pairs,
    choose_new_words,
    given_afterwards,
    hold_words,
    new_pairs,
    new_words,
)
from feasibility.store import write_atomic
from feasibility.toy_world.exact import Law
from feasibility.toy_world.grammar import World, build_world
from feasibility.toy_world.sampling import draw

SCHEMA = "predetermined_embeddings.group.v2"
# Of dev sentences and of contexts; far from those of training, which are the seeds themselves.
DEV_SEED, CONTEXT_SEED = 10**6, 2 * 10**6
# How far above the floor a model is said to have arrived, in nats a token.
ARRIVALS = (0.2, 0.1, 0.05)
Held = Literal["", "words", "pairs"]


@dataclass(frozen=True)
class Cell:
    """One kind of model: the condition of its input, that of its output, and the world it lives in."""

    condition: str
    output: str = "learned"
    alignment: float = 1.0

    @property
    def label(self) -> str:
        """As in results: condition, world, output: "predetermined, misaligned", "learned > predetermined"."""
        worlds = {1.0: "", 0.0: ", misaligned"}
        name = self.condition + worlds.get(self.alignment, f", {self.alignment:g} aligned")
        return name if self.output == "learned" else f"{name} > {self.output}"


@dataclass(frozen=True)
class Group:
    """Models that learn from equally many sentences and are asked the same.

    Args:
        sentences: each learns from.
        held: "" (nothing; excess over the floor), "words" or "pairs" that are held out and asked for.
        cells: kinds of model; each is trained with every seed.
        seeds: S of them.
    """

    sentences: int
    held: Held
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Bench:
    """What all groups share.

    Args:
        recipes: condition -> how it is trained.
        passes: over 500 sentences; over n it is passes * sqrt(500 / n), so that more sentences are also read longer.
        dev: sentences that choose a model's state.
        contexts: of new words.
        exam: test sentences with their laws.
        device: of torch.
        at_once: models in one batch.
        keep: folder of finished groups, or None.
    """

    recipes: dict[str, Recipe]
    passes: float
    dev: int
    contexts: int
    exam: Exam
    device: str
    at_once: int
    keep: Path | None

    def epochs(self, sentences: int) -> float:
        """Passes over so many sentences."""
        return float(self.passes * math.sqrt(500 / sentences))


# measure -> number, or [T], of one model.
Answers = dict[str, Floats | float]
# "label|measure" -> one number a seed [S], or [S, T].
Found = dict[str, Floats]


def run_group(group: Group, bench: Bench, track: Track) -> Found:
    """Train and ask every model of a group; what `bench.keep` has is read and not trained again."""
    rows: dict[str, list[Floats]] = {}
    name = f"{len(group.cells)} kinds of model, {group.sentences:,} sentences"
    parts = list(_classes(group, bench))
    for part in track(parts, f"{name}, new {group.held}" if group.held else name):
        for (cell, _), answers in zip(part, _kept(part, group, bench), strict=True):
            for measure, value in answers.items():
                rows.setdefault(f"{cell.label}|{measure}", []).append(np.asarray(value))
    return {name: np.array(values) for name, values in rows.items()}


def tune(
    conditions: Sequence[str], grid: Sequence[Recipe], sentences: int, seed: int, bench: Bench, track: Track
) -> dict[str, Recipe]:
    """For each condition the recipe of the grid with the least dev loss: the same budget for all, a seed of its own."""
    group = Group(sentences, "", tuple(Cell(name) for name in conditions), (seed,))
    trials = [replace(bench, recipes=dict.fromkeys(conditions, recipe)) for recipe in grid]
    found = [run_group(group, trial, track) for trial in trials]
    losses = {name: [float(answers[f"{name}|dev"][0]) for answers in found] for name in conditions}
    return {name: grid[int(np.argmin(row))] for name, row in losses.items()}


def _kept(part: list[tuple[Cell, int]], group: Group, bench: Bench) -> list[Answers]:
    """The answers of one batch of models."""
    file = None if bench.keep is None else bench.keep / f"{_key(part, group, bench)}.npz"
    if file is not None and file.is_file():
        with np.load(file, allow_pickle=False) as kept:
            numbered = [(name.split("|", 1), kept[name]) for name in kept.files]
        return [{m: value for (n, m), value in numbered if int(n) == number} for number in range(len(part))]
    students = [_student(cell, seed, group, bench) for cell, seed in part]
    trained = teach(students, bench.recipes[part[0][0].condition], bench.epochs(group.sentences), bench.device)
    answers = list(_ask(trained, part, group, bench))
    if file is not None:
        content = io.BytesIO()
        flat = {f"{number}|{m}": np.asarray(value) for number, row in enumerate(answers) for m, value in row.items()}
        np.savez(content, **flat)  # type: ignore[arg-type]
        write_atomic(file, content.getvalue())
    return answers


def _classes(group: Group, bench: Bench) -> Iterator[list[tuple[Cell, int]]]:
    """Models with one recipe, at most `at_once`; seeds of a cell in order, whatever the batch."""
    for recipe in dict.fromkeys(bench.recipes[cell.condition] for cell in group.cells):
        same = [(c, seed) for seed in group.seeds for c in group.cells if bench.recipes[c.condition] == recipe]
        for at in range(0, len(same), bench.at_once):
            yield same[at : at + bench.at_once]


def _student(cell: Cell, seed: int, group: Group, bench: Bench) -> Student:
    world = build_world(cell.alignment)
    words = hold_words(world, seed) if group.held == "words" else np.zeros(PLACES, bool)
    pairs = new_pairs(world, seed).held if group.held == "pairs" else None
    sentences = draw(world, group.sentences, seed, words, pairs).places
    dev = draw(world, bench.dev, DEV_SEED + seed, words, pairs).places
    return Student(cell.condition, cell.output, world, sentences, dev, words, seed)


def _ask(trained: Class, part: list[tuple[Cell, int]], group: Group, bench: Bench) -> Iterator[Answers]:
    above = excess(trained, bench.exam, build_world()) if not group.held else {}
    rows = trained.rows().cpu().double().numpy()
    for number, (cell, seed) in enumerate(part):
        world, one = build_world(cell.alignment), trained.pick(number)
        if group.held == "words":
            yield _ask_words(one, cell, seed, world, bench)
        elif group.held == "pairs":
            yield {"auc": choose_new_pairs(one, new_pairs(world, seed))}
        else:
            start = one.start[0].cpu().double().numpy()
            drift = np.linalg.norm(rows[number, :PLACES] - start[:PLACES]) / np.linalg.norm(start[:PLACES])
            arrived = _arrivals(one, world, seed, bench)
            like, dev = likeness(rows[number], world), float(one.dev.min())
            parts = {name: values[number] for name, values in above.items()}
            yield {**parts, "likeness": like, "drift": float(drift), "dev": dev, **arrived}


@cache
def _contexts(seed: int, count: int) -> NewWords:
    """All worlds have the same law, and so the same contexts."""
    world = build_world()
    return new_words(world, hold_words(world, seed), count, CONTEXT_SEED + seed)


def _ask_words(one: Class, cell: Cell, seed: int, world: World, bench: Bench) -> Answers:
    asked = _contexts(seed, bench.contexts)
    answers: Answers = {
        "after": after_new_words(one, asked),
        "auc": choose_new_words(one, asked, world),
    }
    if not CONDITIONS[cell.condition].table:
        answers["after, unknown"] = after_new_words(one, asked, unknown=True)
        for name, other in given_afterwards(one, asked, world, "input_table"):
            answers[f"after, {name}"] = after_new_words(other, asked)
    if not CONDITIONS[cell.output].table:
        for name, other in given_afterwards(one, asked, world, "output.table"):
            answers[f"auc, {name}"] = choose_new_words(other, asked, world)
    return answers


def _arrivals(one: Class, world: World, seed: int, bench: Bench) -> dict[str, float]:
    """Tokens until the dev loss is within so much of the dev sentences' own code length; infinite where it never is."""
    dev = draw(world, bench.dev, DEV_SEED + seed)
    floor = -Law(world).log_probability(dev.places, dev.lengths).sum() / (dev.lengths + 1).sum()
    above, answers = one.dev[:, 0] - floor, {}
    for distance in ARRIVALS:
        first = int(np.argmax(above <= distance))
        answers[f"tokens to {distance:g}"] = float(one.tokens[first]) if above[first] <= distance else np.inf
    return answers


def _key(part: list[tuple[Cell, int]], group: Group, bench: Bench) -> str:
    """Everything that the answers depend on, as a file name."""
    exam = hashlib.sha256(bench.exam.places.tobytes()).hexdigest()
    recipe = asdict(bench.recipes[part[0][0].condition])
    models = [[asdict(cell), asdict(CONDITIONS[cell.condition]), seed] for cell, seed in part]
    facts = [
        SCHEMA,
        BLOCKS,
        models,
        group.sentences,
        group.held,
        recipe,
        bench.epochs(group.sentences),
        bench.dev,
        bench.contexts,
        exam,
    ]
    return f"{group.sentences}-{group.held or 'all'}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}"

"""Groups of models of the toy world: what each kind learns from, and what it is asked.

Axes: `S` seeds, `T` test sentences.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from feasibility.predetermined_embeddings.measure import Exam, Floats, excess, likeness
from feasibility.predetermined_embeddings.students import Student
from feasibility.predetermined_embeddings.tables import BLOCKS, CONDITIONS, PLACES, TIED, features
from feasibility.predetermined_embeddings.train import Class, Recipe
from feasibility.predetermined_embeddings.unseen import (
    NewWords,
    after_new_words,
    choose_new_pairs,
    choose_new_words,
    given_afterwards,
    hold_words,
    new_pairs,
    new_words,
    shots,
)
from feasibility.toy_world.exact import Law
from feasibility.toy_world.grammar import World, build_world
from feasibility.toy_world.sampling import draw

# Of dev sentences, contexts and sentences with new words; far from those of training, which are the seeds themselves.
DEV_SEED, CONTEXT_SEED, SHOT_SEED = 10**6, 2 * 10**6, 5 * 10**6
# How far above the floor a model is said to have arrived, in nats a token.
ARRIVALS = (0.2, 0.1, 0.05)
# From so many sentences on, models are trained with the recipe that was chosen at the roadmap's 10,000.
MANY = 2_000
Held = Literal["", "words", "pairs"]
# Measure -> number, or [T], of one model.
Answers = dict[str, Floats | float]
Part = Sequence[tuple["Cell", int]]


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

    @property
    def recipe(self) -> str:
        """The condition whose recipe it is trained with."""
        return CONDITIONS[self.condition].like or self.condition

    def facts(self) -> list[object]:
        """What its answers depend on."""
        sides = [name for name in (self.condition, self.output) if name != TIED]
        return [dataclasses.asdict(self), *(dataclasses.asdict(CONDITIONS[name]) for name in sides)]


@dataclass(frozen=True)
class Bench:
    """What all groups of the toy world share.

    Args:
        recipes: "few", "many" -> condition -> how it is trained.
        passes: over 500 sentences; over n it is passes * sqrt(500 / n), so that more sentences are also read longer.
        dev: sentences that choose a model's state.
        contexts: of new words.
        exam: test sentences with their laws.
        device: of torch; "cuda" for the GPUs in turn.
        at_once: models in one batch.
    """

    recipes: Mapping[str, Mapping[str, Recipe]]
    passes: float
    dev: int
    contexts: int
    exam: Exam
    device: str
    at_once: int


@dataclass(frozen=True)
class Group:
    """Models that learn from equally many sentences and are asked the same.

    Args:
        sentences: each learns from.
        held: "" (nothing; excess over the floor), "words" or "pairs" that are held out and asked for.
        cells: kinds of model; each is trained with every seed.
        seeds: S of them.
        shots: how often each new word occurs in training after all.
    """

    sentences: int
    held: Held
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    shots: int = 0

    @property
    def name(self) -> str:
        """As progress shows it."""
        about = f", new {self.held}" if self.held else ""
        return f"{len(self.cells)} kinds of model, {self.sentences:,} sentences{about}" + f", {self.shots} shots" * (
            self.shots > 0
        )

    @property
    def stage(self) -> str:
        """Which of the bench's recipes it is trained with."""
        return "few" if self.sentences < MANY else "many"

    def epochs(self, bench: Bench) -> float:
        """Passes over what is read."""
        return float(bench.passes * math.sqrt(500 / self.sentences))

    def facts(self, bench: Bench) -> list[object]:
        """What answers depend on, beside the cell, the seed and the recipe."""
        exam = hashlib.sha256(bench.exam.places.tobytes()).hexdigest()
        return [BLOCKS, self.sentences, self.held, self.shots, self.epochs(bench), bench.dev, bench.contexts, exam]

    def student(self, cell: Cell, seed: int, bench: Bench) -> Student:
        """One model before training."""
        world = build_world(cell.alignment)
        words = hold_words(world, seed) if self.held == "words" else np.zeros(PLACES, bool)
        pairs = new_pairs(world, seed).held if self.held == "pairs" else None
        sentences = draw(world, self.sentences, seed, words, pairs).places
        if self.shots:
            sentences = np.concatenate([sentences, shots(world, words, self.shots, SHOT_SEED + seed)])
        dev = draw(world, bench.dev, DEV_SEED + seed, words, pairs).places
        return Student(cell.condition, cell.output, world, sentences, dev, words, seed)

    def ask(self, trained: Class, part: Part, bench: Bench) -> Iterator[Answers]:
        """What each model of a batch answers."""
        above = excess(trained, bench.exam, build_world()) if not self.held else {}
        rows = trained.rows().cpu().double().numpy()
        for number, (cell, seed) in enumerate(part):
            world, one = build_world(cell.alignment), trained.pick(number)
            if self.held == "words":
                yield _ask_words(one, cell, seed, world, bench)
            elif self.held == "pairs":
                yield {"auc": choose_new_pairs(one, new_pairs(world, seed))}
            else:
                start = one.start[0].cpu().double().numpy()
                drift = np.linalg.norm(rows[number, :PLACES] - start[:PLACES]) / np.linalg.norm(start[:PLACES])
                parts = {name: values[number] for name, values in above.items()}
                yield {
                    **parts,
                    "likeness": likeness(rows[number], world),
                    "drift": float(drift),
                    "dev": float(one.dev.min()),
                    **_arrivals(one, world, seed, bench),
                }


@cache
def _contexts(seed: int, count: int) -> NewWords:
    """All worlds have the same law, and so the same contexts."""
    world = build_world()
    return new_words(world, hold_words(world, seed), count, CONTEXT_SEED + seed)


def _ask_words(one: Class, cell: Cell, seed: int, world: World, bench: Bench) -> Answers:
    asked, known = _contexts(seed, bench.contexts), features(world)
    answers: Answers = {
        "after": after_new_words(one, asked),
        "auc": choose_new_words(one, asked, world),
    }
    if not CONDITIONS[cell.condition].table:
        answers["after, unknown"] = after_new_words(one, asked, unknown=True)
        for name, other in given_afterwards(one, asked.held, world.pos, known, "input_table"):
            answers[f"after, {name}"] = after_new_words(other, asked)
    if cell.output == "learned":
        for name, other in given_afterwards(one, asked.held, world.pos, known, "output.table"):
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

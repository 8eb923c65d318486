"""The protocol: which kinds of model, on how many sentences, with how many seeds; and how it is carried out."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feasibility.harness import Track
from feasibility.predetermined_embeddings_measure import Exam, Floats, make_exam
from feasibility.predetermined_embeddings_runs import Bench, Cell, Found, Group, Held, run_group, tune
from feasibility.predetermined_embeddings_tables import CONDITIONS, PLACES
from feasibility.predetermined_embeddings_train import Recipe
from feasibility.toy_world.counting import counting_excess, trigram_law
from feasibility.toy_world.grammar import build_world
from feasibility.toy_world.sampling import draw

if TYPE_CHECKING:
    from feasibility.predetermined_embeddings import Config

TEST_SEED, TUNE_SEED = 3 * 10**6, 4 * 10**6
LEARNED, KNOWN = Cell("learned"), Cell("predetermined")
WRONG, HALF = Cell("predetermined", alignment=0.0), Cell("predetermined", alignment=0.5)
CONTROLS = (Cell("gaussian"), Cell("shuffled"))
# The grammar's own knowledge as a table: what the experiment shows of a table that could not be better.
BEST = Cell("world")
HYBRIDS = (Cell("residual"), Cell("initialised"), Cell("adapter"))
# Both sides of the model: learned or known, input or output.
FACTORIAL = (Cell("learned", "predetermined"), Cell("predetermined", "predetermined"), Cell("gaussian", "gaussian"))
EVERY = (LEARNED, KNOWN, BEST, *HYBRIDS, HALF, WRONG, *CONTROLS, Cell("orthonormal"), Cell("binary"), Cell("pos"),
         Cell("ppmi"), Cell("learned_rank"), *FACTORIAL)  # fmt: skip
FEW = (LEARNED, KNOWN, BEST, *HYBRIDS, HALF, WRONG, *CONTROLS, Cell("pos"))
# A learned table needs a row for unknown words before it can be asked about one.
WORDS = (Cell("learned_unknown"), KNOWN, BEST, Cell("shuffled"), WRONG, Cell("predetermined", "predetermined"))
PAIRS = (LEARNED, KNOWN, BEST, Cell("shuffled"))
# Recipes among which --full chooses for each condition; without it all have the first.
GRID = tuple(itertools.product((6e-3, 3e-3), (0.1, 0.0, 0.2)))


@dataclass(frozen=True)
class Results:
    """What the models of all groups answered.

    Args:
        groups: (sentences, what was held out) -> the group's answers.
        counted: sentences -> [S, T] excess of trigrams counted in the same sentences.
        tokens: [T] of the test sentences.
        floor: nats a token, of the test sentences.
        recipes: condition -> how it was trained.
    """

    groups: dict[tuple[int, Held], Found]
    counted: dict[int, Floats]
    tokens: Floats
    floor: float
    recipes: dict[str, Recipe]

    def curve(self) -> dict[int, Found]:
        """Sentences -> answers, where nothing was held out."""
        return {size: found for (size, held), found in sorted(self.groups.items()) if not held}


def plan(config: Config) -> list[Group]:
    """The groups of a run, the quickest first."""
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    sizes: dict[int, tuple[Cell, ...]] = dict.fromkeys(config.curve, (LEARNED, KNOWN))
    sizes[config.few] = EVERY if config.full else FEW
    sizes[config.sentences] = EVERY if config.full else (LEARNED, KNOWN, *CONTROLS)
    words = (*WORDS, Cell("gaussian"), Cell("shuffled", "shuffled")) if config.full else WORDS
    groups = [Group(size, "", cells, seeds) for size, cells in sorted(sizes.items())]
    return [Group(config.unseen, "words", words, seeds), Group(config.unseen, "pairs", PAIRS, seeds), *groups]


def carry_out(config: Config, track: Track) -> Results:
    """Train and ask all models of the protocol."""
    import torch

    device = config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    exam = make_exam(build_world(), config.test, TEST_SEED)
    usual = Recipe(config.dim, config.layers, config.heads, *GRID[0])
    bench = Bench(
        recipes=dict.fromkeys(CONDITIONS, usual),
        passes=config.passes,
        dev=min(200, 4 * config.test),
        contexts=min(300, config.test),
        exam=exam,
        device=device,
        at_once=48 if device == "cuda" else 10,
        keep=config.keep,
    )
    groups = plan(config)
    if config.full:
        grid = [dataclasses.replace(usual, lr=lr, dropout=dropout) for lr, dropout in GRID]
        bench = dataclasses.replace(bench, recipes=tune(list(CONDITIONS), grid, config.few, TUNE_SEED, bench, track))
    found = {(group.sentences, group.held): run_group(group, bench, track) for group in groups}
    counted = {size: _count(size, groups[0].seeds, exam) for size in (config.few, config.sentences)}
    return Results(found, counted, exam.tokens, exam.floor, bench.recipes)


def _count(size: int, seeds: tuple[int, ...], exam: Exam) -> Floats:
    tables = (trigram_law(draw(build_world(), size, seed).places, PLACES) for seed in seeds)
    return np.array([counting_excess(table, exam.places, exam.law) for table in tables])

"""The protocol: which kinds of model, on how many sentences, with how many seeds; and how it is carried out."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feasibility.harness import DataRecord, Track
from feasibility.predetermined_embeddings.jobs import (
    Found,
    Kept,
    Unfinished,
    chosen,
    collect,
    jobs_of,
    train_all,
    trials_of,
)
from feasibility.predetermined_embeddings.measure import Exam, Floats, make_exam
from feasibility.predetermined_embeddings.runs import Bench, Cell, Group
from feasibility.predetermined_embeddings.tables import BLOCKS, CONDITIONS, PLACES, TIED
from feasibility.predetermined_embeddings.text import Text, sample_text
from feasibility.predetermined_embeddings.text_runs import TextBench, TextGroup
from feasibility.predetermined_embeddings.train import Recipe
from feasibility.toy_world.counting import counting_excess, trigram_law
from feasibility.toy_world.grammar import build_world
from feasibility.toy_world.sampling import draw

if TYPE_CHECKING:
    from feasibility.predetermined_embeddings.experiment import Config

TEST_SEED, TUNE_SEED = 3 * 10**6, 4 * 10**6
LEARNED, KNOWN = Cell("learned"), Cell("predetermined")
WRONG, HALF = Cell("predetermined", alignment=0.0), Cell("predetermined", alignment=0.5)
CONTROLS = (Cell("gaussian"), Cell("shuffled"))
# The grammar's own knowledge as a table: what the experiment shows of a table that could not be better.
BEST = Cell("world")
RESIDUAL, INITIALISED = Cell("residual"), Cell("initialised")
# Both sides of the model: learned or known, input or output, or one table for both.
FACTORIAL = (Cell("learned", "predetermined"), Cell("predetermined", "predetermined"), Cell("gaussian", "gaussian"),
             Cell("learned", TIED), Cell("predetermined", TIED), Cell("residual", TIED))  # fmt: skip
FEW = (LEARNED, KNOWN, BEST, RESIDUAL, INITIALISED, HALF, WRONG, *CONTROLS)
OTHERS = (Cell("adapter"), Cell("orthonormal"), Cell("binary"), Cell("pos"), Cell("ppmi"), Cell("learned_rank"),
          *FACTORIAL)  # fmt: skip
# A learned table needs a row for unknown words before it can be asked about one.
UNKNOWING = Cell("learned_unknown")
WORDS = (UNKNOWING, KNOWN, BEST, Cell("shuffled"), WRONG, Cell("predetermined", "predetermined"))
MORE_WORDS = (*WORDS, RESIDUAL, Cell("gaussian"), Cell("shuffled", "shuffled"), Cell("predetermined", TIED))
PAIRS = (LEARNED, KNOWN, BEST, Cell("shuffled"))
SHOTS = (UNKNOWING, KNOWN, RESIDUAL)
WITHOUT = tuple(Cell(f"without_{name}") for name in BLOCKS)
ONLY = tuple(Cell(f"only_{name}") for name in BLOCKS)
TEXT = (LEARNED, KNOWN, RESIDUAL, INITIALISED, *CONTROLS, Cell("ppmi"))
TEXT_LONG = (LEARNED, KNOWN, Cell("gaussian"))
TEXT_WORDS = (LEARNED, KNOWN, RESIDUAL, *CONTROLS, Cell("predetermined", "predetermined"))
# Without --full all have this recipe, found good for learned tables on dev sentences.
USUAL = (6e-3, 0.1)
# Recipes among which --full chooses for each condition.
GRID = tuple(itertools.product((6e-3, 3e-3, 1e-3), (0.0, 0.2)))
# With --full, seeds of kinds of model and sizes that no criterion asks for.
FEWER, FEWEST = 5, 3
# Of real text: passes over 100,000 words, and from how many words on there are the fewest seeds and kinds of model.
TEXT_PASSES, LONG = 10.0, 1_000_000
# What may be missing first where the time is short; begun after the novels.
LAST = ("few, others", "many, others", "blocks", "curve 30000")

# Name of a group -> the group.
Plan = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """What the models of all groups answered.

    Args:
        groups: name -> the group's answers: "few", "many", "words", "pairs", "shots 4"; with --full also "curve 1000",
            "blocks" (new words), "blocks, few", "text 100000", "text 100000, words". Kinds of model that no criterion
            asks for may have fewer seeds, the first ones.
        curve: sentences -> answers, where nothing was held out.
        counted: sentences -> [S, T] excess of trigrams counted in the same sentences.
        tokens: [T] of the test sentences.
        floor: nats a token, of the test sentences.
        recipes: stage -> condition -> how it was trained.
        text: of the novels that were read, if any were.
    """

    groups: Mapping[str, Found]
    curve: Mapping[int, Found]
    counted: dict[int, Floats]
    tokens: Floats
    floor: float
    recipes: Mapping[str, Mapping[str, Recipe]]
    text: DataRecord | None


def plan(config: Config) -> Plan:
    """The groups of a run in the toy world, the most important first."""
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    curve = (LEARNED, KNOWN, CONTROLS[0])
    many = tuple(cell for cell in FEW if cell != HALF) if config.full else curve
    groups: Plan = {
        "few": Group(config.few, "", FEW, seeds),
        "many": Group(config.sentences, "", many, seeds),
        "words": Group(config.unseen, "words", MORE_WORDS if config.full else WORDS, seeds),
        "pairs": Group(config.unseen, "pairs", PAIRS, seeds),
    }
    for size in sorted(config.curve, reverse=True):
        if size not in (config.few, config.sentences):
            rare = FEWEST if size > 30_000 else FEWER if size > 3_000 else len(seeds)
            groups[f"curve {size}"] = Group(size, "", curve[:2] if size > 30_000 else curve, seeds[:rare])
    for times in config.shots:
        cells = SHOTS if config.full else SHOTS[:2]
        groups[f"shots {times}"] = Group(config.unseen, "words", cells, seeds[:FEWER], times)
    if config.full:
        groups["few, others"] = Group(config.few, "", OTHERS, seeds[:FEWER])
        groups["many, others"] = Group(config.sentences, "", OTHERS, seeds[:FEWEST])
        groups["blocks"] = Group(config.unseen, "words", (*WITHOUT, *ONLY), seeds[:FEWER])
        groups["blocks, few"] = Group(config.few, "", WITHOUT, seeds[:FEWER])
    return groups


def plan_text(config: Config, text: Text) -> Plan:
    """The groups of a run on real text; sizes that the text has not are left out."""
    seeds = tuple(range(config.seed, config.seed + min(config.seeds, FEWER)))
    sizes, groups = _sizes(config, text), {}
    for size in sizes:
        cells, some = (TEXT, seeds) if size < LONG else (TEXT_LONG, seeds[:FEWEST])
        groups[f"text {size}"] = TextGroup(size, "", cells, some)
    return groups | {f"text {size}, words": TextGroup(size, "words", TEXT_WORDS, seeds) for size in sizes[1:2]}


def _sizes(config: Config, text: Text) -> list[int]:
    # Half of the text at the most: some of it holds new words.
    return [size for size in config.tokens if size <= text.stretches["train"].size // 2]


def benches(config: Config) -> tuple[Bench, TextBench | None]:
    """Of the toy world, and of real text with --full; all with the usual recipe."""
    device = config.device if config.device != "auto" else _best_device()
    lr, dropout = USUAL
    usual = Recipe(config.dim, config.layers, config.heads, lr, dropout)
    recipes = {stage: dict.fromkeys(CONDITIONS, usual) for stage in ("few", "many", "text")}
    at_once = 60 if device == "cuda" else 6
    exam = make_exam(build_world(), config.test, TEST_SEED)
    bench = Bench(recipes, config.passes, min(200, 4 * config.test), min(300, config.test), exam, device, at_once)
    if not config.full:
        return bench, None
    text = sample_text() if config.text is None else Text.load(config.text)
    return bench, TextBench(recipes, TEXT_PASSES, bench.dev, 2 * config.test, text, text.digest, device, at_once // 2)


def carry_out(config: Config, track: Track, kept: Kept | None = None) -> Results:
    """Train and ask all models of the protocol.

    Args:
        config: completed.
        track: progress.
        kept: answers that are there already; by default what is in `config.keep`.

    Raises:
        Unfinished: `config.minutes` were over; what is finished is in `config.keep`.
    """
    deadline = time.monotonic() + 60 * config.minutes if config.minutes else math.inf
    bench, text = benches(config)
    kept = Kept(config.keep) if kept is None else kept
    if config.full:
        bench, text = _tuned(config, bench, text, kept, track, deadline)
    groups, texts = plan(config), plan_text(config, text.text) if text else {}
    # The last groups of the toy world matter least.
    work: list[tuple[Any, Any, bool]] = [(group, bench, name.startswith(LAST)) for name, group in groups.items()]
    work += [(group, text, False) for group in texts.values()]
    work.sort(key=lambda item: item[2])
    jobs = [job for group, of, _ in work for job in jobs_of(group, of, kept)]
    train_all(jobs, kept, config.processes, track, deadline)
    found = {name: collect(group, bench, kept) for name, group in groups.items()}
    found |= {name: collect(group, text, kept) for name, group in texts.items()}
    whole = {name: answers for name, answers in found.items() if answers is not None}
    if missing := found.keys() - whole.keys():
        raise Unfinished(f"no answers of {', '.join(sorted(missing))}; run again with the same --keep to go on")
    for name in ("few", "many"):
        whole[name] |= whole.get(f"{name}, others", {})
    curve = {
        group.sentences: whole[name] for name, group in groups.items() if name in ("few", "many") or "curve" in name
    }
    seeds = groups["few"].seeds
    counted = {size: _count(size, seeds, bench.exam) for size in (config.few, config.sentences)}
    return Results(whole, dict(sorted(curve.items())), counted, bench.exam.tokens, bench.exam.floor, bench.recipes,
                   text.text.record() if text else None)  # fmt: skip


def _tuned(
    config: Config, bench: Bench, text: TextBench | None, kept: Kept, track: Track, deadline: float
) -> tuple[Bench, TextBench | None]:
    """A recipe for each condition and stage, chosen on dev sentences of a seed that nothing else uses."""
    usual = next(iter(bench.recipes["few"].values()))
    grid = [dataclasses.replace(usual, lr=lr, dropout=dropout) for lr, dropout in GRID]
    cells = tuple(Cell(name) for name, condition in CONDITIONS.items() if not condition.like)
    novels = tuple(cell for cell in TEXT if not CONDITIONS[cell.condition].like)
    trials: dict[str, tuple[Any, Any]] = {
        "few": (Group(config.few, "", cells, (TUNE_SEED,)), bench),
        "many": (Group(config.sentences, "", cells, (TUNE_SEED,)), bench),
    }
    if text and (sizes := _sizes(config, text.text)):
        trials["text"] = TextGroup(sizes[:2][-1], "", novels, (TUNE_SEED,)), text
    train_all([job for group, of in trials.values() for job in trials_of(group, of, grid, kept)], kept,
              config.processes, track, deadline)  # fmt: skip
    recipes = {stage: chosen(group, of, grid, kept) for stage, (group, of) in trials.items()}
    return dataclasses.replace(bench, recipes=recipes), dataclasses.replace(text, recipes=recipes) if text else None


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _count(size: int, seeds: tuple[int, ...], exam: Exam) -> Floats:
    tables = (trigram_law(draw(build_world(), size, seed).places, PLACES) for seed in seeds)
    return np.array([counting_excess(table, exam.places, exam.law) for table in tables])

"""The trainings of `feasibility.lm.controls` by size of the model: fewer sizes than the laws have, but several seeds.

Each pattern has a learning rate of its own there, chosen on the dev novels, and three times as much text.
P points (size and seed).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from feasibility.harness import Metric
from feasibility.language_model import record
from feasibility.language_model.compared import difference, seed_by_seed
from feasibility.language_model.record import HEADLINE, Record, parameters_of
from feasibility.lm.records import RecordMissing
from feasibility.scaling.record import AT, TYPED, Floats, Runs, lead

PATTERNS = ("dense", "window", TYPED, "distributional/64")
# A record entry is a mean over 50 steps by itself.
SMOOTH = 1


def read_controls(path: Path = record.RECORD) -> Runs:
    """Pattern -> parameters -> seed -> line, smallest models first.

    Raises:
        RecordMissing: fewer than two sizes that all of `PATTERNS` have.
        FileNotFoundError, ValueError: see `feasibility.language_model.record.read_record`.
    """
    return controls_of(record.read_record(path))


def controls_of(found: Record) -> Runs:
    """See `read_controls`: of the recorded sizes those with the usual length of text."""
    by_size = {}
    for size, runs in found.items():
        if size.length == HEADLINE.length and set(PATTERNS) <= set(runs):
            by_size[parameters_of(runs)] = runs
    if len(by_size) < 2:
        raise RecordMissing(
            f"a trend over sizes needs {', '.join(PATTERNS)} at two sizes or more, got {sorted(by_size)}; record more "
            "with python -m feasibility.language_model.record"
        )
    return {name: {size: by_size[size][name] for size in sorted(by_size)} for name in PATTERNS}


def gains(runs: Runs, one: str = TYPED, other: str = "dense") -> dict[int, Metric]:
    """Parameters -> nats a token that the first pattern needs more than the second, over chunks and seeds."""
    return {size: difference(_of_size(runs, size), [one], [other]) for size in runs[one]}


def each(runs: Runs, one: str = TYPED, other: str = "dense") -> dict[int, list[float]]:
    """The same for each seed that both have."""
    return {size: seed_by_seed(_of_size(runs, size), one, other) for size in runs[one]}


def points(runs: Runs, one: str = TYPED, other: str = "dense") -> tuple[Floats, Floats]:
    """The same as points: log10 of parameters over 10^8, and the difference. Two of [P]."""
    return _flat(each(runs, one, other))


def leads(runs: Runs, one: str = TYPED, other: str = "dense") -> tuple[Floats, Floats]:
    """`feasibility.scaling.record.lead` for each size and shared seed: log10 of parameters over 10^8, percent."""
    found = {}
    for size in runs[one]:
        mine, theirs = runs[one][size], runs[other][size]
        found[size] = [lead(mine[seed], theirs[seed], SMOOTH) for seed in sorted(mine.keys() & theirs.keys())]
    return _flat(found)


def _flat(found: dict[int, list[float]]) -> tuple[Floats, Floats]:
    pairs = [(size, value) for size, values in found.items() for value in values]
    return np.log10([size / AT for size, _ in pairs]), np.array([value for _, value in pairs])


def _of_size(runs: Runs, size: int) -> record.Runs:
    return {name: by_size[size] for name, by_size in runs.items()}

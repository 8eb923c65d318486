"""Trainings of 17 million parameters that were done on a GPU, kept with the project, and what follows from them.

    python -m feasibility.lm.controls --out RUNS --rates 2e-3 4e-3 --minutes 9     # on a machine with GPUs
    python -m feasibility.lm.steps --out steps.json
    python -m feasibility.language_model.record --runs RUNS/runs.jsonl --steps steps.json    # keep them

Every interval is computed anew from the scores of the text's chunks; nothing but these scores is taken on trust.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feasibility.environment import ROOT
from feasibility.harness import DataRecord, Metric
from feasibility.lm import steps
from feasibility.lm.controls import SCHEMA, scores_of
from feasibility.lm.evaluate import Scores, compare
from feasibility.store import write_atomic

RECORD = ROOT / "feasibility" / "data" / "lm-controls.h200.jsonl.xz"
STEPS = ROOT / "feasibility" / "data" / "lm-steps.h200.json"
PREDETERMINED, DISTRIBUTIONAL = "predetermined/64", "distributional/64"
RANDOM, PERMUTED = "random/64.0", "permuted/64.0"

# Chunks that need more nats a piece than this with dense attention are no modern English: inscriptions in Haggard's
# "She". Fixed when Greek ones were found in earlier runs; those left are in Latin letters, 3 of the 643 of the test
# part (the next one needs 4.5).
UNREADABLE = 5.5

# Means over 50 steps of the loss in training, nats a piece; fixed before the runs that they are applied to, from the
# curve of an earlier run at another rate (0.001: step 220, 530 and 800).
TARGETS = (4.5, 4.0, 3.75)

# Pattern -> seed -> line of the record.
Runs = dict[str, dict[int, dict[str, Any]]]


def read_record(path: Path = RECORD) -> Runs:
    """The recorded runs.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it has another schema.
    """
    lines = [json.loads(line) for line in lzma.decompress(path.read_bytes()).decode().splitlines()]
    if any(line.get("schema") != SCHEMA for line in lines):
        raise ValueError(f"{path} does not have the schema {SCHEMA}; make it anew: python -m {__spec__.name} --help")
    runs: Runs = {}
    for line in lines:
        runs.setdefault(line["spec"]["name"], {})[line["seed"]] = line
    return runs


def keep(source: Path, path: Path = RECORD) -> int:
    """Write the runs of a runs.jsonl at each pattern's own rate as the record; returns how many there are.

    The rate is the one whose run of the first seed is best on dev, as `feasibility.lm.controls` chooses it.
    """
    lines = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    final = [line for line in lines if not line["is_tuning"]]
    rates = {name: _rate(final, name) for name in {line["spec"]["name"] for line in final}}
    kept = [line for line in final if line["rate"] == rates[line["spec"]["name"]]]
    write_atomic(path, lzma.compress("".join(json.dumps(line) + "\n" for line in kept).encode(), preset=9))
    return len(kept)


def _rate(lines: Iterable[dict[str, Any]], name: str) -> float:
    own = [line for line in lines if line["spec"]["name"] == name]
    first = min(line["seed"] for line in own)
    best = min((line for line in own if line["seed"] == first), key=lambda line: line["dev"]["per_token"])
    return float(best["rate"])


def difference(runs: Runs, ones: Sequence[str], others: Sequence[str], part: str = "test") -> Metric:
    """Nats per token that the first patterns need more than the second, below 0 if they are better.

    Several patterns on a side are draws of one kind; their mean counts, over the seeds that all have. Unreadable chunks
    are left out.
    """
    seeds = sorted(set.intersection(*(set(runs[name]) for name in (*ones, *others))))
    kept = readable(runs, part)
    mine, theirs = ([_mean(runs, side, seed, part, kept) for seed in seeds] for side in (ones, others))
    return compare(mine, theirs)


def in_percent(nats: Metric) -> Metric:
    """A difference in nats per token as one in perplexity."""
    value, low, high = (100 * float(np.expm1(x)) for x in (nats.value, *nats.ci95))
    return Metric(value, "%", nats.n, (low, high), nats.method)


def readable(runs: Runs, part: str) -> NDArray[np.bool_]:
    """Which chunks are English, by what dense attention makes of them. bool [chunks]"""
    dense = [scores_of(line[part]) for line in runs["dense"].values()]
    return np.asarray(np.mean([scores.nats / scores.tokens for scores in dense], axis=0) < UNREADABLE)


def _mean(runs: Runs, names: Sequence[str], seed: int, part: str, kept: NDArray[np.bool_]) -> Scores:
    each = [scores_of(runs[name][seed][part]) for name in names]
    nats = np.mean([scores.nats for scores in each], axis=0)
    return Scores(nats[kept], each[0].tokens[kept], each[0].by_position)


def by_position(runs: Runs, one: str, other: str, part: str = "dev") -> list[float]:
    """The same difference in equal stretches of a chunk, as a mean over shared seeds.

    On dev, all of which is readable: positions are recorded for all chunks together.
    """
    seeds = sorted(runs[one].keys() & runs[other].keys())
    places = [[np.array(runs[name][seed][part]["by_position"]) for seed in seeds] for name in (one, other)]
    return [float(x) for x in np.mean(places[0], axis=0) - np.mean(places[1], axis=0)]


def steps_to(line: dict[str, Any], target: float) -> float:
    """Steps until the loss in training, a mean over those since the last entry, has come down to a target.

    Between two entries the loss is taken to fall evenly; infinite where the run ended above.
    """
    before = (0.0, float("inf"))
    for step, loss in ((float(step), loss) for step, loss in line["losses"].items()):
        if loss <= target:
            share = 1.0 if before[1] == float("inf") else (before[1] - target) / (before[1] - loss)
            return before[0] + share * (step - before[0])
        before = step, loss
    return float("inf")


def time_to_target(runs: Runs, one: str, other: str, target: float) -> Metric | None:
    """How many percent fewer steps the first pattern takes to a target than the second.

    Returns: the mean over shared seeds, with Student's interval over them; None where a run never gets there, or where
        there is one seed.
    """
    from scipy.stats import t

    seeds = sorted(runs[one].keys() & runs[other].keys())
    saved = [100 * (1 - steps_to(runs[one][seed], target) / steps_to(runs[other][seed], target)) for seed in seeds]
    if len(saved) < 2 or not np.isfinite(saved).all():
        return None
    middle, spread = float(np.mean(saved)), float(np.std(saved, ddof=1) / np.sqrt(len(saved)))
    half = float(t.ppf(0.975, len(saved) - 1)) * spread
    method = f"Student's t over {len(saved)} training seeds, mean loss of 50 steps at most {target:g}"
    return Metric(middle, "%", len(saved), (middle - half, middle + half), method)


def read_steps(path: Path = STEPS) -> dict[str, Any]:
    """The recorded times of whole training steps, as `feasibility.lm.steps` wrote them.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it has another schema.
    """
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.get("schema") != steps.SCHEMA:
        raise ValueError(
            f"{path} does not have the schema {steps.SCHEMA}; make it anew: python -m feasibility.lm.steps"
        )
    return found


def record_of(path: Path = RECORD) -> DataRecord:
    """Which record it is."""
    return DataRecord.of_shipped(path.name.split(".")[0], "2", path)


@dataclass(frozen=True)
class Options:
    """What to keep."""

    runs: Path | None = None
    """runs.jsonl of feasibility.lm.controls."""
    steps: Path | None = None
    """The file of feasibility.lm.steps."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.language_model.record", description=__doc__, args=argv)
    if options.runs is not None:
        print(f"{RECORD}: {keep(options.runs)} runs")
    if options.steps is not None:
        write_atomic(STEPS, json.dumps(read_steps(options.steps), indent=1) + "\n")
        print(f"{STEPS}: {len(read_steps()['rows'])} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())

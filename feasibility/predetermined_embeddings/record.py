"""The whole protocol, carried out once on a GPU and kept with the project: its figures, not those of the run at hand.

python3 -c "from feasibility.predetermined_embeddings.device import train; train('OUT/models.npz')"    # on the GPU
python -m feasibility.predetermined_embeddings --full --text .lab/words.npz --keep FOLDER --out results/full
python -m feasibility.predetermined_embeddings.record --result results/full/predetermined_embeddings.json
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from feasibility.environment import ROOT
from feasibility.harness import Artifact, DataRecord, Metric, plain
from feasibility.store import load, write_atomic

SCHEMA = "predetermined_embeddings.full.v1"
RECORD = ROOT / "feasibility" / "data" / "predetermined-embeddings-full.h200.json"
KEPT = ("config", "started_utc", "metrics", "baselines", "criteria", "verdict", "finding", "data")

# Of the recorded run, what is shown beside the run at hand.
TOLD = (
    "ppl_gap", "tost_p_20", "tost_p_1", "saved_few", "saved_few_shuffled", "cost_of_wrong", "loss_in_wrong_world",
    "data_multiplier", "new_words_excess", "new_words_over_unknown", "new_words_over_class_mean",
    "new_words_over_ridge", "new_pairs_auc", "new_pairs_gain", "shots 1 saved", "shots 4 saved", "shots 16 saved",
    "text 10000 predetermined", "text 100000 predetermined", "text 1000000 predetermined",
    "text 100000, words over unknown", "text 100000, words over class_mean", "text 100000, words over ridge",
)  # fmt: skip


class NotFull(ValueError):
    """A result that is not one of the whole protocol, or a file that is not a record of it."""


@dataclass(frozen=True)
class Record:
    """A result of the whole protocol.

    Args:
        metrics: as of the run.
        baselines: name -> metric -> value.
        facts: everything else that `KEPT` names, and "trained_on", the machine.
    """

    metrics: dict[str, Metric]
    baselines: dict[str, dict[str, float]]
    facts: dict[str, Any]

    @property
    def source(self) -> DataRecord:
        """Which record it is."""
        return DataRecord.of_shipped("predetermined-embeddings-full-h200", "1", RECORD)


@cache
def read_record(path: Path = RECORD) -> Record:
    """The recorded result.

    Raises:
        FileNotFoundError: the file is not there.
        NotFull: it has another schema.
    """
    said = json.loads(path.read_text(encoding="utf-8"))
    if said.get("schema") != SCHEMA:
        raise NotFull(f"{path} has schema {said.get('schema')!r}, expected {SCHEMA!r}; make it anew: {__spec__.name}")
    metrics = {
        name: Metric(m["value"], m["unit"], m["n"], (m["ci95"][0], m["ci95"][1]), m["method"])
        for name, m in said.pop("metrics").items()
    }
    return Record(metrics, said.pop("baselines"), said)


def shown(record: Record) -> dict[str, Metric]:
    """What the experiment tells of the recorded run beside its own figures; names begin with "full: "."""
    return {f"full: {name}": record.metrics[name] for name in TOLD if name in record.metrics}


def charts(metrics: Mapping[str, Metric], *, recorded: bool) -> tuple[Artifact, ...]:
    """The charts of the whole protocol, as far as a run has its parts.

    Args:
        metrics: of a run with --full.
        recorded: whether that was another run than the one at hand.
    """
    from feasibility.predetermined_embeddings import figures_more as figures

    whose = " Recorded: the whole protocol, a million parameters, 10 seeds." if recorded else ""
    every = (
        ("curve.svg", figures.curve_chart, "curve learned ", "Nats above the floor by number of sentences; both axes "
         "are logarithmic."),
        ("shots.svg", figures.shots_chart, "shots 0 learned", "What follows a word that was seen so many times: nats "
         "above the exact law, by where its row comes from."),
        ("blocks.svg", figures.blocks_chart, "without ", "After words never seen: what each block of coordinates is "
         "worth. Left, what the table loses without it; right, what it saves against the row for unknown words when "
         "it is all there is."),
        ("text.svg", figures.text_chart, "text ", "Novels in 1,000 words: perplexity against a learned table; left of "
         "the line is better."),
    )  # fmt: skip
    return tuple(
        Artifact(name, draw(metrics), caption + " 95 % intervals." + whose)
        for name, draw, start, caption in every
        if any(metric.startswith(start) for metric in metrics)
    )


def keep(result: Path, trained_on: str, path: Path = RECORD) -> int:
    """Write a result of the whole protocol as the record; returns how many metrics it has.

    Raises:
        NotFull: the result is of something less.
    """
    record = load(result)
    if not record["config"]["full"] or record["smoke"]:
        raise NotFull(f"{result} is not a result of --full; run python -m feasibility.predetermined_embeddings --full")
    said = {"schema": SCHEMA, "trained_on": trained_on, **{name: record[name] for name in KEPT}}
    said["config"] = _as_run(record["config"])
    write_atomic(path, json.dumps(said, indent=1) + "\n")
    return len(said["metrics"])


def _as_run(config: dict[str, Any]) -> dict[str, Any]:
    """The numbers that --full stands for, without what is of one machine."""
    from feasibility.predetermined_embeddings.experiment import EXPERIMENT, Config, completed

    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
    }
    whole = dataclasses.asdict(completed(Config(**fields)))
    return {name: plain(value) for name, value in whole.items() if name not in EXPERIMENT.presentation}


@dataclass(frozen=True)
class Options:
    """What to keep."""

    result: Path
    """JSON of a run with --full."""
    trained_on: str = "NVIDIA H200"
    """The machine on which the models were trained."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    name = "python -m feasibility.predetermined_embeddings.record"
    options = tyro.cli(Options, prog=name, description=__doc__, args=argv)
    print(f"{RECORD}: {keep(options.result, options.trained_on)} metrics")
    return 0


if __name__ == "__main__":
    sys.exit(main())

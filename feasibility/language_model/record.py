"""Trainings that were done on a GPU, kept with the project: several sizes of models, several lengths of text.

    python -m feasibility.lm.controls --out RUNS --rates 2e-3 4e-3 --minutes 9     # on a machine with GPUs
    python -m feasibility.lm.steps --out steps.json
    python -m feasibility.language_model.record --runs RUNS/runs.jsonl ... --steps steps.json    # keep them

Runs of different sizes and lengths stand side by side; what each line says of its model tells them apart. Only runs of
one size and length are compared (`feasibility.language_model.compared`).
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from feasibility.environment import ROOT
from feasibility.harness import DataRecord
from feasibility.lm import steps
from feasibility.lm.controls import SCHEMA
from feasibility.store import write_atomic

RECORD = ROOT / "feasibility" / "data" / "lm-controls.h200.jsonl.xz"
STEPS = ROOT / "feasibility" / "data" / "lm-steps.h200.json"


class Size(NamedTuple):
    """Of a model and of the texts that it reads: only runs of one size are compared.

    Args:
        dim: width.
        layers: blocks.
        length: tokens of a chunk.
    """

    dim: int
    layers: int
    length: int

    @staticmethod
    def of(line: dict[str, Any]) -> Size:
        """The size of a recorded run."""
        model = line["model"]
        return Size(model["dim"], model["layers"], model["max_length"])


# Pattern -> seed -> line of the record.
Runs = dict[str, dict[int, dict[str, Any]]]
Record = dict[Size, Runs]

# Trained with all patterns; the others with the first four.
HEADLINE = Size(384, 6, 2048)


def parameters_of(runs: Runs) -> int:
    """Parameters of the models of one size; that with a linear state has more."""
    return int(next(iter(runs["dense"].values()))["parameters"])


def read_record(path: Path = RECORD) -> Record:
    """The recorded runs by size, the headline first, then by width and length.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it has another schema.
    """
    lines = [json.loads(line) for line in lzma.decompress(path.read_bytes()).decode().splitlines()]
    if any(line.get("schema") != SCHEMA for line in lines):
        raise ValueError(f"{path} does not have the schema {SCHEMA}; make it anew: python -m {__spec__.name} --help")
    record: Record = {}
    for line in sorted(lines, key=lambda line: (Size.of(line) != HEADLINE, Size.of(line))):
        record.setdefault(Size.of(line), {}).setdefault(line["spec"]["name"], {})[line["seed"]] = line
    return record


def keep(sources: Iterable[Path], path: Path = RECORD) -> int:
    """Write the runs of some runs.jsonl at each pattern's own rate as the record; returns how many there are.

    The rate is the one whose run of the first seed is best on dev, as `feasibility.lm.controls` chooses it, size by
    size.

    Raises:
        ValueError: a run of one size, pattern, rate and seed is there twice.
    """
    lines = [json.loads(line) for source in sources for line in source.read_text(encoding="utf-8").splitlines()]
    final = [line for line in lines if not line["is_tuning"]]
    seen: set[tuple[Size, str]] = set()
    by_pattern: dict[tuple[Size, str], list[dict[str, Any]]] = {}
    for line in final:
        size = Size.of(line)
        if (size, line["key"]) in seen:
            raise ValueError(f"{line['key']!r} of {size} is there twice; give each runs.jsonl once")
        seen.add((size, line["key"]))
        by_pattern.setdefault((size, line["spec"]["name"]), []).append(line)
    rates = {key: _rate(own) for key, own in by_pattern.items()}
    kept = [line for line in final if line["rate"] == rates[Size.of(line), line["spec"]["name"]]]
    write_atomic(path, lzma.compress("".join(json.dumps(line) + "\n" for line in kept).encode(), preset=9))
    return len(kept)


def _rate(lines: Sequence[dict[str, Any]]) -> float:
    first = min(line["seed"] for line in lines)
    best = min((line for line in lines if line["seed"] == first), key=lambda line: line["dev"]["per_token"])
    return float(best["rate"])


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
    return DataRecord.of_shipped(path.name.split(".")[0], "3", path)


@dataclass(frozen=True)
class Options:
    """What to keep."""

    runs: tuple[Path, ...] = ()
    """All runs.jsonl of feasibility.lm.controls that make the record."""
    steps: Path | None = None
    """The file of feasibility.lm.steps."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.language_model.record", description=__doc__, args=argv)
    if options.runs:
        print(f"{RECORD}: {keep(options.runs)} runs")
    if options.steps is not None:
        write_atomic(STEPS, json.dumps(read_steps(options.steps), indent=1) + "\n")
        print(f"{STEPS}: {len(read_steps()['rows'])} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())

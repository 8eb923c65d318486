"""Models that were trained and measured on a GPU, kept with the project: sums over chunks, from which all else follows.

python -m feasibility.h6.train --out RUNS                    # on a machine with GPUs
python -m feasibility.h6.record --runs RUNS/h6-*.json        # keep what it measured
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feasibility.environment import ROOT
from feasibility.h6.train import SCHEMA
from feasibility.harness import DataRecord
from feasibility.store import write_atomic

RECORD = ROOT / "feasibility" / "data" / "h6.h200.json.xz"
PUBLISHED = ROOT / "benchmarks" / "results" / "h6.h200.json"

# Size -> its models, one for each training seed, in the order of the seeds.
Models = dict[str, list[dict[str, Any]]]


class RecordUnusable(ValueError):
    """A file of measured models that is of another schema, or whose models cannot be compared."""


def by_size(lines: Sequence[dict[str, Any]]) -> Models:
    """Models by size, the small ones first.

    Raises:
        RecordUnusable: a model that is there twice, or sizes that were not measured alike.
    """
    found: Models = {}
    for line in sorted(lines, key=lambda line: (line["parameters"], line["seed"])):
        found.setdefault(line["size"], []).append(line)
    if len({(line["size"], line["seed"]) for line in lines}) < len(lines):
        raise RecordUnusable("a model of one size and seed is there twice; keep the files of one run alone")
    if len({(line["pieces"], len(line["chunks"]["asa"]), line["tokens"]) for line in lines}) > 1:
        raise RecordUnusable("the models were trained or measured on different texts; keep the files of one run alone")
    return found


def read_record(path: Path = RECORD) -> Models:
    """The recorded models by size.

    Raises:
        FileNotFoundError: the file is not there.
        RecordUnusable: see there.
    """
    content = path.read_bytes()
    return by_size(_models(path, lzma.decompress(content) if path.suffix == ".xz" else content))


def keep(runs: Sequence[Path], record: Path = RECORD, published: Path = PUBLISHED) -> int:
    """Write the models of some runs as the record, compressed and plain; returns how many there are.

    Raises:
        RecordUnusable: see there.
    """
    lines = [line for path in runs for line in _models(path, path.read_bytes())]
    ordered = [line for models in by_size(lines).values() for line in models]
    content = json.dumps({"schema": SCHEMA, "models": ordered}) + "\n"
    write_atomic(published, content)
    write_atomic(record, lzma.compress(content.encode(), preset=9))
    return len(ordered)


def _models(path: Path, content: bytes) -> list[dict[str, Any]]:
    record = json.loads(content)
    if record.get("schema") != SCHEMA:
        raise RecordUnusable(
            f"{path} has schema {record.get('schema')!r}, expected {SCHEMA!r}; make it: python -m feasibility.h6.train"
        )
    models: list[dict[str, Any]] = record["models"]
    return models


def record_of(path: Path = RECORD) -> DataRecord:
    """Which record it is."""
    return DataRecord.of_shipped("h6-h200", "1", path)


@dataclass(frozen=True)
class Options:
    """What to keep."""

    runs: tuple[Path, ...]
    """Files of feasibility.h6.train, one for each GPU."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.h6.record", description=__doc__, args=argv)
    print(f"{RECORD}: {keep(options.runs)} models")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs that were done on a GPU, kept with the project: lines of JSON, compressed, of one schema.

python -m feasibility.lm.records --runs RUNS          # both records anew, from what a fleet brought back
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from feasibility.environment import ROOT
from feasibility.harness import DataRecord
from feasibility.lm.fleet import Line, lines_of
from feasibility.store import write_atomic

FOLDER = ROOT / "feasibility" / "data"
# Schema -> name of the record.
RECORDS = {"asa.scaling-run.v1": "scaling.h200", "asa.long-context-run.v1": "long-context.h200"}


class RecordMissing(LookupError):
    """There is no record, or it has another schema, or lacks what is asked for."""


def path_of(schema: str) -> Path:
    """Where the runs of a schema are kept."""
    return FOLDER / f"{RECORDS[schema]}.jsonl.xz"


def read(schema: str, path: Path | None = None) -> list[Line]:
    """The recorded lines.

    Args:
        schema: one of `RECORDS`.
        path: another file.

    Raises:
        RecordMissing: the file is not there or has another schema.
    """
    path = path or path_of(schema)
    if not path.is_file():
        raise RecordMissing(f"{path} is not here; make it from runs on a GPU: python -m {__spec__.name} --runs RUNS")
    lines: list[Line] = [json.loads(text) for text in lzma.decompress(path.read_bytes()).decode().splitlines()]
    if any(line.get("schema") != schema for line in lines):
        raise RecordMissing(f"{path} does not have the schema {schema}; make it anew: python -m {__spec__.name}")
    return lines


def keep(lines: Iterable[Line], schema: str, path: Path | None = None) -> int:
    """Write the lines of a schema as its record, without those that broke; returns how many there are."""
    kept = [line for line in lines if line.get("schema") == schema and "failed" not in line]
    content = "".join(json.dumps(line) + "\n" for line in sorted(kept, key=lambda line: str(line["key"])))
    write_atomic(path or path_of(schema), lzma.compress(content.encode(), preset=9))
    return len(kept)


def record_of(schema: str, path: Path | None = None) -> DataRecord:
    """Which record it is."""
    return DataRecord.of_shipped(RECORDS[schema], "1", path or path_of(schema))


@dataclass(frozen=True)
class Options:
    """What to keep."""

    runs: Path
    """Folder with the *.jsonl of `feasibility.lm.fleet`; or one such file."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.lm.records", description=__doc__, args=argv)
    lines = lines_of(sorted(options.runs.glob("*.jsonl")) if options.runs.is_dir() else [options.runs])
    for schema in RECORDS:
        print(f"{path_of(schema)}: {keep(lines.values(), schema)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Is class attention right on this device? What a machine without a GPU cannot watch over, with a record.

    python -m benchmarks.sparse_checks --out benchmarks/results --jobs 8

Against float64 in all dtypes, head dims and layouts; torch.compile and opcheck; refusals; plans from recorded graphs,
on several streams and threads; exact repeats. Writes sparse_checks.<device>.json after every check. On a CPU it runs
with small sizes, with the kernels where TRITON_INTERPRET=1 is set. Exit code 1 where something is wrong.

B batch, H query heads, G key/value heads, N tokens, D head dim.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from benchmarks.sparse_check_list import CHECKS
from benchmarks.sparse_report import environment, short_name
from benchmarks.sparse_timing import told_error
from feasibility.store import write_atomic

SCHEMA = "asa.checks.v1"
Entry = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks, or those that are named; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the JSON")
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), metavar="NAME", help="only these checks")
    parser.add_argument("--jobs", type=int, default=1, help="processes; most of the time goes into compiling")
    parser.add_argument("--seconds", type=float, default=300, help="leave out what has not begun by then")
    options = parser.parse_args(argv)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    record = Record(options.out, environment(device))
    deadline = time.time() + options.seconds
    for entry in _entries(options.only or list(CHECKS), device, options.jobs, deadline):
        record.add(entry)
    return record.finish()


class Record:
    """The result file, written whole after every entry.

    Args:
        folder: where it goes.
        head: where it comes from; `device` names the file.
    """

    def __init__(self, folder: Path, head: dict[str, Any]) -> None:
        self.path = folder / f"sparse_checks.{short_name(head['device'])}.json"
        self._begin = time.monotonic()
        self._content: dict[str, Any] = {"schema": SCHEMA, "failed": [], **head, "checks": []}

    def add(self, entry: Entry) -> None:
        """Append an entry, say it on stderr, write the file anew."""
        self._content["checks"].append(entry)
        name = f"{entry['check']}: {entry['case']}"
        if not entry["passed"]:
            self._content["failed"].append(name)
        told = " ".join(f"{key}={value}" for key, value in entry.items() if key not in ("check", "case", "passed"))
        print(f"{'right' if entry['passed'] else 'WRONG'}  {name:60} {told}", file=sys.stderr, flush=True)
        self._write()

    def finish(self) -> int:
        """Say how it went; the exit code."""
        self._write(complete=True)
        count, failed = len(self._content["checks"]), len(self._content["failed"])
        print(f"{count - failed} of {count} checks passed; {self.path}")
        return 1 if failed or not count else 0

    def _write(self, complete: bool = False) -> None:
        self._content |= {"wall_s": round(time.monotonic() - self._begin, 1), "complete": complete}
        write_atomic(self.path, json.dumps(self._content, indent=1) + "\n")


def run_check(name: str, device: str, deadline: float) -> list[Entry]:
    """All entries of one check; one that says what went wrong where it ended early."""
    entries: list[Entry] = []
    begin = time.time()
    try:
        for case, passed, told in CHECKS[name](device):
            entries.append({"check": name, "case": case, "passed": bool(passed), **told})
            if time.time() > deadline:
                entries.append({"check": name, "case": "the rest", "passed": False, "error": "the time was up"})
                break
    # Whatever goes wrong in one check, the others are still to be made.
    except Exception as error:
        entries.append({"check": name, "case": f"after {len(entries)}", "passed": False, "error": told_error(error)})
    return [{**entry, "check_s": round(time.time() - begin, 1)} for entry in entries]


def _entries(names: list[str], device: str, jobs: int, deadline: float) -> Iterator[Entry]:
    if jobs <= 1:
        for name in names:
            yield from run_check(name, device, deadline)
        return
    # Spawned: a forked process cannot use a GPU that its parent has used. One thread each: they share the processor.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = {pool.submit(run_check, name, device, deadline): name for name in names}
        for done in as_completed(waiting):
            yield from done.result()


if __name__ == "__main__":
    sys.exit(main())

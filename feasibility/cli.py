"""The command line that every experiment shares: `python -m feasibility.<name> [--smoke] [--seed N] ...`.

Flags come from the experiment's `Config` dataclass (its field docs are the help) and from `RunOptions`.
Exit status: 0 the run completed, whatever its verdict; 1 with --strict and a NO-GO; 2 misuse; 130 Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from feasibility import store
from feasibility.environment import PACKAGES, environment, gpu_name
from feasibility.harness import Artifact, Experiment, Track, judge


@dataclass(frozen=True)
class RunOptions:
    """How to run, whatever the experiment."""

    smoke: bool = False
    """A run of seconds on little data: shows that everything works, decides nothing."""
    out: Path = Path("results")
    """Folder for the result and its figures; results/smoke for a smoke run, so that it never replaces a real one."""
    json: Path | None = None
    """Also write the result's JSON to this file."""
    strict: bool = False
    """Exit with status 1 when the verdict is NO-GO."""


SMOKE_OUT = RunOptions.out / "smoke"


class BadSeed(ValueError):
    """A seed that no generator takes."""


def check_seed(seed: int) -> None:
    """Refuse a seed below 0.

    Raises:
        BadSeed: it is negative.
    """
    if seed < 0:
        raise BadSeed(f"--seed is {seed}, expected an integer of at least 0")


def perform(
    experiment: Experiment, config: Any, track: Track, *, smoke: bool
) -> tuple[dict[str, Any], tuple[Artifact, ...]]:
    """Run and judge one experiment; returns its `asa.result.v1` record and its artifacts, nothing written yet."""
    started_utc, start = datetime.now(UTC).isoformat(timespec="microseconds"), time.perf_counter()
    # Before the run: the sources may be edited while it goes on.
    made_by = environment()
    outcome = experiment.run(config, track)
    record = judge(
        experiment,
        config,
        outcome,
        smoke=smoke,
        started_utc=started_utc,
        wall_s=time.perf_counter() - start,
    )
    record["environment"] = {**made_by, "gpu": gpu_name()}
    return record, outcome.artifacts


def main(experiment: Experiment, argv: Sequence[str] | None = None) -> None:
    """Parse the command line, run, judge, write, print the verdict table, and exit."""
    words = list(sys.argv[1:] if argv is None else argv)
    config, options = _parse(experiment, words)
    sys.exit(guarded(lambda: _run(experiment, config, options)))


def guarded(action: Any) -> int:
    """Call an action and turn what a user can mend into one clear line and an exit status.

    The project's own named errors and the system's (no such file, disk full) give 2, Ctrl-C gives 130.
    Anything else is a defect and keeps its traceback.
    """
    try:
        return int(action())
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `... | head` has seen enough. Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not is_for_user(error):
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2


def is_for_user(error: Exception) -> bool:
    """Whether an error is one that a user can mend: one of the project's own, or the system's."""
    return type(error).__module__.split(".")[0] in (*PACKAGES, "__main__") or isinstance(error, OSError)


def one_line(error: Exception) -> str:
    """An error as one line, without the quotes that str() puts around the message of a KeyError."""
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    return f"{type(error).__name__}: {message}"


def _parse(experiment: Experiment, words: list[str]) -> tuple[Any, RunOptions]:
    import tyro

    smoke = "--smoke" in words
    default = experiment.smoke if smoke else experiment.config()
    usual = RunOptions(out=SMOKE_OUT) if smoke else RunOptions()
    # A named smoke flag changes the defaults, and explicit flags still win over them.
    arguments = dataclasses.make_dataclass(
        "Arguments",
        [
            (
                "config",
                Annotated[experiment.config, tyro.conf.arg(name="", help="")],
                dataclasses.field(default=default),
            ),
            ("options", Annotated[RunOptions, tyro.conf.arg(name="", help="")], usual),
        ],
        frozen=True,
    )
    parsed: Any = tyro.cli(
        arguments,
        prog=f"python -m feasibility.{experiment.name}",
        description=experiment.claim,
        args=words,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    return parsed.config, parsed.options


def _run(experiment: Experiment, config: Any, options: RunOptions) -> int:
    from feasibility.progress import tracking
    from feasibility.scorecard import print_result

    check_seed(config.seed)
    store.check_writable(options.out / f"{experiment.name}.json", "--out")
    if options.json is not None:
        store.check_writable(options.json, "--json")
    with tracking() as track:
        record, artifacts = perform(experiment, config, track, smoke=options.smoke)
    path = store.save(record, artifacts, options.out, options.json)
    print_result(store.load(path), path)
    return 1 if options.strict and record["verdict"] == "NO-GO" else 0

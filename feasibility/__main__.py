"""Run all experiments, or the named ones, and print the scorecard.

    python -m feasibility                      # everything, at full size
    python -m feasibility md_parser --smoke    # one, in seconds
    python -m feasibility --list               # what exists

An interrupted run is taken up where it stopped: what it had finished, with the same code and configuration, is kept.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import tyro

from feasibility import EXPERIMENTS, store
from feasibility.cli import guarded, perform
from feasibility.environment import code_sha256
from feasibility.harness import Experiment, plain
from feasibility.scorecard import decisions, print_scorecard, rows

UNFINISHED = ".unfinished-run"


@dataclass(frozen=True)
class Options:
    """What to run and where to put it."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Experiments to run; all of them if none is named."""
    list: bool = False
    """Show the experiments and the criteria that they cover, and stop."""
    smoke: bool = False
    """Runs of seconds on little data: they show that everything works and decide nothing."""
    seed: int | None = None
    """Seed for every experiment; each has its own default."""
    out: Path = Path("results")
    """Folder for results, figures and report.html."""
    json: Path | None = None
    """Also write the scorecard as JSON to this file."""
    strict: bool = False
    """Exit with status 1 when a verdict is NO-GO."""
    fresh: bool = False
    """Do not take up an interrupted run; start anew."""


def experiment_named(name: str) -> Experiment:
    """Import one experiment.

    Raises:
        UnknownExperiment: no experiment has this name; the message lists those that exist.
    """
    if name not in EXPERIMENTS:
        raise UnknownExperiment(f"no experiment {name!r}; there are: {', '.join(EXPERIMENTS)}")
    experiment: Experiment = import_module(f"feasibility.{name}").EXPERIMENT
    return experiment


class UnknownExperiment(LookupError):
    """An experiment was named that does not exist."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `python -m feasibility`; exit status as in `feasibility.cli`, and 1 if an experiment broke."""
    options = tyro.cli(
        Options,
        prog="python -m feasibility",
        description=__doc__,
        args=None if argv is None else list(argv),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    sys.exit(guarded(lambda: _list() if options.list else _run_all(options)))


def _list() -> int:
    for name in EXPERIMENTS:
        experiment = experiment_named(name)
        covers = ", ".join(criterion.roadmap for criterion in experiment.criteria if criterion.roadmap)
        print(f"{name:24} {experiment.claim}\n{'':24} covers: {covers}")
    return 0


def _run_all(options: Options) -> int:
    chosen = [experiment_named(name) for name in options.names or EXPERIMENTS]
    store.sweep(options.out)
    started = _started(options)
    broken = []
    for place, experiment in enumerate(chosen, 1):
        config = experiment.smoke if options.smoke else experiment.config()
        config = config if options.seed is None else replace(config, seed=options.seed)
        if _finished(experiment, config, options, started):
            _say(f"[{place}/{len(chosen)}] {experiment.name}: kept from the interrupted run")
            continue
        try:
            _run_one(experiment, config, options, f"[{place}/{len(chosen)}] {experiment.name}: ")
        except Exception:
            # One broken experiment must not cost the others' results.
            traceback.print_exc()
            broken.append(experiment.name)
    return _conclude(options, [experiment.name for experiment in chosen], broken)


def _run_one(experiment: Experiment, config: Any, options: Options, prefix: str) -> None:
    from feasibility.progress import tracking

    with tracking(prefix) as track:
        record, artifacts = perform(experiment, config, track, smoke=options.smoke)
    store.save(record, artifacts, options.out)
    _say(f"{prefix}{record['verdict']} in {record['wall_s']:.1f} s")


def _conclude(options: Options, names: list[str], broken: list[str]) -> int:
    from feasibility.report import write_report

    results = store.load_all(options.out)
    print_scorecard(results)
    report = write_report(options.out)
    print(f"report: {report}")
    if options.json is not None:
        store.write_atomic(options.json, json.dumps(_scorecard_record(results), indent=1) + "\n")
    if broken:
        _say(f"failed: {', '.join(broken)} (see above); run the same command again to retry only these")
        return 1
    (options.out / UNFINISHED).unlink(missing_ok=True)
    no_go = any(results[name]["verdict"] == "NO-GO" for name in names)
    return 1 if options.strict and no_go else 0


def _scorecard_record(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": "asa.scorecard.v1",
        "criteria": [asdict(row) for row in rows(results)],
        "decisions": {name: asdict(decision) for name, decision in decisions(results).items()},
    }


def _started(options: Options) -> str:
    """When the run began that is still unfinished in this folder: an interrupted one, or this one."""
    marker = options.out / UNFINISHED
    if marker.is_file() and not options.fresh:
        return marker.read_text(encoding="utf-8").strip()
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    store.write_atomic(marker, now + "\n")
    return now


def _finished(experiment: Experiment, config: Any, options: Options, started: str) -> bool:
    """Whether the unfinished run already has this result, made by the same code with the same configuration."""
    try:
        record = store.load(options.out / f"{experiment.name}.json")
    except (FileNotFoundError, store.BadResult):
        return False
    same = record["config"] == plain(asdict(config)) and record["smoke"] == options.smoke
    return bool(same and record["started_utc"] >= started and record["environment"]["code_sha256"] == code_sha256())


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()

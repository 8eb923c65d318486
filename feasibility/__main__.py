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
from feasibility.cli import SMOKE_OUT, RunOptions, check_seed, guarded, is_for_user, one_line, perform
from feasibility.environment import LIBRARIES, environment
from feasibility.harness import Experiment, plain
from feasibility.scorecard import decisions, print_scorecard, rows

UNFINISHED = ".unfinished-run"
REPORT = "report.html"


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
    out: Path | None = None
    """Folder for results, figures and report.html: results, or results/smoke for smoke runs."""
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
    experiment: Experiment = import_module(f"feasibility.{name}.experiment").EXPERIMENT
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
    out = options.out or (SMOKE_OUT if options.smoke else RunOptions.out)
    # Whatever is wrong with the command is found before any work.
    if options.seed is not None:
        check_seed(options.seed)
    chosen = [experiment_named(name) for name in dict.fromkeys(options.names or EXPERIMENTS)]
    configs = {experiment.name: _config(experiment, options) for experiment in chosen}
    store.check_writable(out / REPORT, "--out")
    if options.json is not None:
        store.check_writable(options.json, "--json")
    for name in (".report", *(f".{name}.json" for name in EXPERIMENTS)):
        store.sweep(out, name)
    run = _unfinished(out, [experiment.name for experiment in chosen], fresh=options.fresh)
    broken = []
    for place, experiment in enumerate(chosen, 1):
        prefix = f"[{place}/{len(chosen)}] {experiment.name}: "
        store.sweep(out / experiment.name)
        if _finished(experiment, configs[experiment.name], options, out, run["started"]):
            _say(f"{prefix}kept from the interrupted run")
        elif not _run_one(experiment, configs[experiment.name], options, out, prefix):
            broken.append(experiment.name)
    left = [name for name in run["names"] if name in broken or name not in configs]
    _write_marker(out, {**run, "names": left})
    return _conclude(options, out, list(configs), broken)


def _config(experiment: Experiment, options: Options) -> Any:
    config = experiment.smoke if options.smoke else experiment.config()
    return config if options.seed is None else replace(config, seed=options.seed)


def _run_one(experiment: Experiment, config: Any, options: Options, out: Path, prefix: str) -> bool:
    """Run one experiment and write its result; False if it broke, for that must not cost the others' results."""
    from feasibility.progress import tracking

    try:
        with tracking(prefix) as track:
            record, artifacts = perform(experiment, config, track, smoke=options.smoke)
        store.save(record, artifacts, out)
    except Exception as error:
        if is_for_user(error):
            _say(f"{prefix}error: {one_line(error)}")
        else:
            traceback.print_exc()
        return False
    _say(f"{prefix}{record['verdict']} in {record['wall_s']:.1f} s")
    return True


def _conclude(options: Options, out: Path, names: list[str], broken: list[str]) -> int:
    from feasibility.report import write_report

    results = store.load_all(out)
    # Everything is on disk before anything is printed: whoever reads may stop reading.
    report = write_report(out)
    if options.json is not None:
        store.write_atomic(options.json, json.dumps(_scorecard_record(results), indent=1) + "\n")
    print_scorecard(results)
    print(f"report: {report}")
    if broken:
        _say(f"failed: {', '.join(broken)}; what is shown of them is older. The same command tries only these again.")
        return 1
    no_go = any(results[name]["verdict"] == "NO-GO" for name in names)
    return 1 if options.strict and no_go else 0


def _scorecard_record(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": "asa.scorecard.v1",
        "criteria": [asdict(row) for row in rows(results)],
        "decisions": {name: asdict(decision) for name, decision in decisions(results).items()},
    }


def _unfinished(out: Path, names: list[str], *, fresh: bool) -> dict[str, Any]:
    """The run that is unfinished in this folder, an interrupted one or this one: when it began, what it still owes."""
    marker = out / UNFINISHED
    run: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="microseconds"), "names": names}
    if marker.is_file() and not fresh:
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))
            run = {"started": str(found["started"]), "names": list(dict.fromkeys([*found["names"], *names]))}
        except (ValueError, KeyError, TypeError):
            # Not ours, or of another version: nothing of it can be taken up.
            _say(f"{marker} is not readable; starting anew")
    _write_marker(out, run)
    return run


def _write_marker(out: Path, run: dict[str, Any]) -> None:
    if run["names"]:
        store.write_atomic(out / UNFINISHED, json.dumps(run) + "\n")
    else:
        (out / UNFINISHED).unlink(missing_ok=True)


def _finished(experiment: Experiment, config: Any, options: Options, out: Path, started: str) -> bool:
    """Whether the unfinished run already has this result, made by the same code and libraries, configured alike."""
    try:
        record = store.load(out / f"{experiment.name}.json")
    except (FileNotFoundError, store.BadResult):
        return False
    now = environment()
    same = record["config"] == plain(asdict(config)) and record["smoke"] == options.smoke
    alike = all(record["environment"].get(key) == now[key] for key in ("code_sha256", "python", *LIBRARIES))
    return bool(same and alike and record["started_utc"] >= started)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()

"""What an experiment is made of, and how it is judged.

An experiment is a package whose `experiment.py` has a frozen `Config`, a tuple of `Criterion`, and a pure
`run(config, track) -> Outcome` that prints nothing and writes nothing. It bundles them as

    EXPERIMENT = Experiment(name="md_parser", claim=..., config=Config, smoke=Config(...), criteria=..., run=run)

`judge` turns an outcome into an `asa.result.v1` record (a plain dict, ready for JSON) with a verdict.
The command line is `feasibility.cli`, writing is `feasibility.store`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import operator
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

SCHEMA = "asa.result.v1"

Verdict = Literal["GO", "NO-GO", "INCONCLUSIVE"]
T = TypeVar("T")

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


class Track(Protocol):
    """Wraps an iterable to show its progress: `for x in track(xs, "parsing"): ...`."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        """Yield the items unchanged; `total` is needed where they have no length."""


def silent(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    """The track that shows nothing: for tests, notebooks and library use."""
    return items


@dataclass(frozen=True)
class Metric:
    """One measured number with its interval.

    Args:
        value: the number, in `unit`; accuracies and shares are percent.
        unit: "%", "steps", "us", "" for a pure number.
        n: how many independent items it was measured on (sentences, pairs, words).
        ci95: 95% interval (low, high) in `unit`. (value, value) where nothing was sampled.
        method: how the interval came about ("bootstrap over 400 sentences"; "exact, nothing sampled").
    """

    value: float
    unit: str
    n: int
    ci95: tuple[float, float]
    method: str


def median_of(values: Sequence[float], unit: str) -> Metric:
    """The median of repeated measurements; their range holds the true median with probability 1 - 2^(1 - n)."""
    sample = sorted(values)
    coverage = 100.0 * (1.0 - 2.0 ** (1 - len(sample)))
    return Metric(
        float(statistics.median(sample)),
        unit,
        len(sample),
        (sample[0], sample[-1]),
        f"median and range of {len(sample)} runs ({coverage:.1f} % interval of the median)",
    )


def exact(value: float, unit: str = "", n: int = 1) -> Metric:
    """A metric in which nothing was sampled: its interval is the number itself."""
    return Metric(float(value), unit, n, (float(value), float(value)), "exact, nothing sampled")


@dataclass(frozen=True)
class Criterion:
    """A threshold that was fixed before the run, with its reason.

    Args:
        metric: name in `Outcome.metrics`.
        op: how the metric must stand to the threshold.
        threshold: in the metric's unit.
        why: one sentence for a reader who has not seen the roadmap.
        roadmap: id in `feasibility.roadmap` ("G3b"), or "" for a bar of the project's own.
        baseline: name in `Outcome.baselines` whose value of the same metric stands beside it. A criterion
            without a baseline is not a criterion.
    """

    metric: str
    op: Literal[">=", ">", "<=", "<"]
    threshold: float
    why: str
    baseline: str
    roadmap: str = ""


@dataclass(frozen=True)
class Artifact:
    """A file that a run produced, as its content.

    Args:
        name: file name; the harness writes it to `<out>/<experiment>/<name>`.
        content: text or bytes.
        caption: one sentence for the report, which shows .svg, .png and .gif in place and .html in a frame.
        destination: where the user asked for it (`--animate FILE`). It is written there instead and is the user's:
            neither the result nor the report speaks of it.
    """

    name: str
    content: str | bytes
    caption: str
    destination: Path | None = None


@dataclass(frozen=True)
class DataRecord:
    """Which data a result saw: name, version, checksum of the content, licence, and where it came from."""

    name: str
    version: str
    sha256: str
    licence: str
    origin: Literal["shipped", "local", "cache", "user"]

    @staticmethod
    def of_shipped(name: str, version: str, path: Path, licence: str = "MIT") -> DataRecord:
        """Of a file that the project ships outside the registry: its bytes are the content.

        Raises:
            FileNotFoundError: the file is not there.
        """
        return DataRecord(name, version, hashlib.sha256(path.read_bytes()).hexdigest(), licence, "shipped")


@dataclass(frozen=True)
class Outcome:
    """What `run` returns.

    Args:
        metrics: name -> Metric.
        baselines: baseline name -> {metric name: value}; the same units as in `metrics`.
        data: what was read.
        artifacts: figures, animations, tables.
        caveats: sentences that a reader needs in order not to be misled.
        finding: one or two sentences: what came out, in plain words, with the numbers.
    """

    metrics: dict[str, Metric]
    baselines: dict[str, dict[str, float]]
    data: tuple[DataRecord, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    caveats: tuple[str, ...] = ()
    finding: str = ""


@dataclass(frozen=True)
class Experiment:
    """One claim and the means to judge it.

    Args:
        name: of its package below `feasibility`, also the name of its result file.
        title: a heading for the report.
        claim: the sentence that the experiment could refute.
        config: frozen dataclass with a `seed: int` and defaults for every field; field docs become `--help`.
        smoke: a config of the same class that runs in seconds.
        criteria: judged in this order.
        run: `run(config, track) -> Outcome`, pure.
        presentation: fields of the config that change what is shown ("animate"), or measure something besides ("full"
            where it does just that), but nothing that a criterion judges.
    """

    name: str
    title: str
    claim: str
    config: type[Any]
    smoke: Any
    criteria: tuple[Criterion, ...]
    run: Callable[[Any, Track], Outcome] = field(repr=False)
    presentation: tuple[str, ...] = ()

    def changed(self, config: Any, *, smoke: bool) -> list[str]:
        """The flags by which a run departs from the one that was fixed beforehand; the seed is free to choose.

        Only a run without any is what the criteria were written for.
        """
        usual = self.smoke if smoke else self.config()
        return [
            f"--{name.replace('_', '-')} {_words(value)}"
            for name, value in plain(dataclasses.asdict(config)).items()
            if name not in ("seed", *self.presentation) and value != plain(dataclasses.asdict(usual))[name]
        ]


def judge_criterion(criterion: Criterion, outcome: Outcome) -> dict[str, Any]:
    """Judge one criterion: passed is True, False, or None where the 95% interval straddles the threshold.

    Raises:
        KeyError: the outcome lacks the metric, or the baseline has no value for it.
        ValueError: the metric or its interval is not finite, or the interval is the wrong way round.
    """
    if criterion.metric not in outcome.metrics:
        raise KeyError(f"criterion on {criterion.metric!r}, but the run gave {sorted(outcome.metrics)}")
    if criterion.metric not in outcome.baselines.get(criterion.baseline, {}):
        raise KeyError(
            f"criterion on {criterion.metric!r} names the baseline {criterion.baseline!r}, which has no such value; "
            f"the baselines are {sorted(outcome.baselines)}"
        )
    metric = outcome.metrics[criterion.metric]
    holds = _COMPARE[criterion.op]
    at_ends = {holds(end, criterion.threshold) for end in metric.ci95}
    # The point value belongs to its interval; it is asked too, so that a one-sided method cannot contradict it.
    at_ends.add(holds(metric.value, criterion.threshold))
    passed = at_ends.pop() if len(at_ends) == 1 else None
    sign = 1.0 if criterion.op in (">=", ">") else -1.0
    return {
        "metric": criterion.metric,
        "op": criterion.op,
        "threshold": criterion.threshold,
        "value": metric.value,
        "unit": metric.unit,
        "ci95": list(metric.ci95),
        "margin": sign * (metric.value - criterion.threshold),
        "passed": passed,
        "baseline": {"name": criterion.baseline, "value": outcome.baselines[criterion.baseline][criterion.metric]},
        "roadmap": criterion.roadmap,
        "why": criterion.why,
    }


def verdict_of(passed: Iterable[bool | None]) -> Verdict:
    """GO if all passed, NO-GO if one failed, INCONCLUSIVE where an undecided one could tip it or none was judged."""
    votes = list(passed)
    if any(vote is False for vote in votes):
        return "NO-GO"
    if not votes or any(vote is None for vote in votes):
        return "INCONCLUSIVE"
    return "GO"


def judge(
    experiment: Experiment, config: Any, outcome: Outcome, *, smoke: bool, started_utc: str, wall_s: float
) -> dict[str, Any]:
    """An outcome as an `asa.result.v1` record, without its artifacts (`feasibility.store` adds those).

    Raises:
        KeyError, ValueError: see `judge_criterion`; also for any metric or baseline that is not finite.
    """
    for name, metric in outcome.metrics.items():
        low, high = metric.ci95
        if not all(map(math.isfinite, (metric.value, low, high))) or not low <= metric.value <= high:
            raise ValueError(
                f"metric {name!r} must be finite and lie in its interval: "
                f"value {metric.value}, interval [{low}, {high}] ({metric.method})"
            )
    for name, values in outcome.baselines.items():
        wrong = {metric: value for metric, value in values.items() if not math.isfinite(value)}
        if wrong:
            raise ValueError(f"baseline {name!r} must be finite, got {wrong}")
    criteria = [judge_criterion(criterion, outcome) for criterion in experiment.criteria]
    return {
        "schema": SCHEMA,
        "experiment": experiment.name,
        "title": experiment.title,
        "claim": experiment.claim,
        "finding": outcome.finding,
        "config": plain(dataclasses.asdict(config)),
        "seed": config.seed,
        "smoke": smoke,
        "changed": experiment.changed(config, smoke=smoke),
        "started_utc": started_utc,
        "wall_s": round(wall_s, 3),
        "metrics": {name: plain(dataclasses.asdict(metric)) for name, metric in outcome.metrics.items()},
        "baselines": outcome.baselines,
        "criteria": criteria,
        "verdict": verdict_of(criterion["passed"] for criterion in criteria),
        "data": [dataclasses.asdict(record) for record in outcome.data],
        "artifacts": [],
        "caveats": list(outcome.caveats),
    }


def plain(value: Any) -> Any:
    """A value as JSON knows it: paths become strings, tuples lists, dicts all the way down."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _words(value: Any) -> str:
    """A value as it is written on the command line."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

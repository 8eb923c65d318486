"""Does what typed memory gains last when the model grows?

    python -m feasibility.scaling

Trained on a GPU, and recorded with the project: models of 5 to 119 million parameters with dense attention, with a
sliding window, and with a window and the last pieces of each class, all on the same text in the same order. The laws,
the trend of the gain and all intervals are computed from the recorded scores anew. On the machine at hand the same is
done with tiny models, to show that everything works; nothing is judged by these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feasibility.harness import Artifact, Criterion, Experiment, Metric, Outcome, Track, exact

if TYPE_CHECKING:
    from feasibility.lm.fleet import Line
    from feasibility.scaling.record import Law, Runs

Metrics = dict[str, Metric]


@dataclass(frozen=True)
class Config:
    """What is trained on the machine at hand; the recorded trainings are as they are."""

    sizes: int = 3
    """How many tiny sizes."""
    steps: int = 24
    """Training steps of each."""
    keys: float = 40.0
    """Visible keys of a piece with typed memory."""
    seed: int = 0
    """Of the tiny models, and of the order of their text."""


CRITERIA = (
    Criterion(
        "gain_at_100M",
        "<=",
        0.01,
        "Competitive at scale: with 100 million parameters, typed memory may need 0.01 nats a piece (1 % of "
        "perplexity) more than dense attention, on a straight line through all sizes and seeds.",
        "window",
        roadmap="C3.3",
    ),
    Criterion(
        "quicker_at_100M",
        ">=",
        20,
        "Percent more steps that dense attention needs for the training loss at which the worse of the two ends, on a "
        "line through all sizes: same batches, same rates.",
        "window",
        roadmap="C3.2",
    ),
    Criterion(
        "gain_per_tenfold",
        "<=",
        0.01,
        "The difference to dense attention must not turn against typed memory by more than 0.01 nats for every ten "
        "times the parameters.",
        "window",
    ),
)


def run(config: Config, track: Track) -> Outcome:
    """Judge the recorded trainings, and train tiny ones.

    Raises:
        feasibility.lm.records.RecordMissing: there is no record, or too few sizes in it.
        feasibility.lm.data.CorpusCorrupt: the shipped sample is damaged.
    """
    from feasibility.language_model.measure import sample_record
    from feasibility.lm.records import record_of
    from feasibility.scaling.jobs import SCHEMA
    from feasibility.scaling.measure import TINY, tiny_lines
    from feasibility.scaling.record import TYPED, law_of, read_runs

    runs = read_runs()
    laws = {name: law_of(by_size) for name, by_size in runs.items() if len(by_size) >= 3}
    metrics, window = _judged(runs, TYPED), _judged(runs, "window")
    for name, law in laws.items():
        label = name.partition("/")[0]
        metrics[f"exponent_{label}"] = Metric(law.exponent, "", law.at.n, law.ci95, law.at.method)
        metrics[f"nats_at_100M_{label}"] = law.at
    tiny = tiny_lines(TINY[: config.sizes], config.steps, config.keys, config.seed, track)
    metrics |= {
        f"tiny_nats_{_size(line)}_{line['spec']['name'][:5]}": exact(line["test"]["per_token"], "nats") for line in tiny
    }
    return Outcome(
        metrics,
        {"window": {name: metric.value for name, metric in window.items()}},
        data=(sample_record(), record_of(SCHEMA)),
        artifacts=recorded_charts(runs, laws),
        caveats=_caveats(runs),
        finding=_finding(metrics, runs),
    )


def _judged(runs: Runs, one: str) -> Metrics:
    """The trend of a pattern against dense attention."""
    from feasibility.scaling.record import leads, points, trend

    gain, slope = trend(*points(runs, one), "nats")
    return {"gain_at_100M": gain, "gain_per_tenfold": slope, "quicker_at_100M": trend(*leads(runs, one), "%")[0]}


def recorded_charts(runs: Runs, laws: dict[str, Law]) -> tuple[Artifact, ...]:
    """Loss by size with the laws, and the differences to dense attention."""
    import statistics

    from feasibility.scaling.figures import gain_chart, law_chart
    from feasibility.scaling.record import gains

    losses = {
        name: {
            size: statistics.fmean(line["test"]["per_token"] for line in seeds.values())
            for size, seeds in by_size.items()
        }
        for name, by_size in runs.items()
    }
    line = _first(runs)
    return (
        Artifact(
            "laws.svg",
            law_chart(losses, laws),
            f"Held-out loss by size after {line['tokens'] / 1e6:.1f} million pieces, on a GPU (recorded), with laws of "
            "the form floor + scale * N ^ -exponent.",
        ),
        Artifact(
            "gains.svg",
            gain_chart({name: gains(runs, name) for name in runs if name != "dense"}),
            "The same as differences to dense attention. The intervals are over chunks of text; how much single "
            "trainings vary shows only in the scatter between sizes.",
        ),
    )


def _caveats(runs: Runs) -> tuple[str, ...]:
    from feasibility.scaling.record import points

    line, seeds = _first(runs), {seed for by_size in runs.values() for found in by_size.values() for seed in found}
    length = line["model"]["max_length"]
    return (
        f"Recorded on {line['device']}: {line['steps']} steps of {line['batch'] * length:,} pieces in chunks of "
        f"{length:,}, {len(seeds)} seed(s). That is far too little text for the larger models: the law is one of "
        "training for equally long, not of the best use of computing.",
        "One learning rate for all patterns of a size, 2e-3 at a width of 384, in inverse proportion to it; not tuned.",
        f"A straight line through {int(points(runs)[0].size)} trainings has {int(points(runs)[0].size) - 2} degree(s) "
        f"of "
        "freedom, and an interval to match. The intervals of one size are narrow because they know nothing of how two "
        "trainings of one kind differ.",
        "The models trained here have up to 0.24 million parameters and read 12,288 pieces; they decide nothing.",
    )


def _finding(metrics: Metrics, runs: Runs) -> str:
    def words(name: str, digits: int = 3) -> str:
        metric = metrics[name]
        return f"{metric.value:+.{digits}f} [{metric.ci95[0]:+.{digits}f}, {metric.ci95[1]:+.{digits}f}]"

    from feasibility.scaling.record import gains

    each = ", ".join(f"{metric.value:+.3f} ({size / 1e6:.0f}M)" for size, metric in gains(runs).items())
    return (
        f"Recorded, equal text: typed memory needs {each} nats a piece more than dense attention; on a line through "
        f"these "
        f"{words('gain_at_100M')} at 100 million parameters, and "
        f"{words('gain_per_tenfold')} more for every ten times the size; dense attention needs "
        f"{words('quicker_at_100M', 0)} % more steps to the same training loss. The loss falls with N to the power of "
        f"{metrics['exponent_predetermined'].value:.3f} with typed memory and {metrics['exponent_dense'].value:.3f} "
        f"without: after so short a training size hardly matters."
    )


def _first(runs: Runs) -> Line:
    return next(iter(next(iter(runs["dense"].values())).values()))


def _size(line: Line) -> str:
    return f"{line['parameters'] / 1e3:.0f}k"


EXPERIMENT = Experiment(
    name="scaling",
    title="Typed memory as models grow",
    claim="What typed memory gains over dense attention lasts when the model grows.",
    config=Config,
    smoke=Config(sizes=1, steps=2),
    criteria=CRITERIA,
    run=run,
)

"""Does what typed memory gains last when the model grows?

    python -m feasibility.scaling

Trained on a GPU, and recorded with the project: models with dense attention, with a sliding window, and with a window
and the last pieces of each class, all on the same text in the same order. Two sets of them: the controls of
`feasibility.language_model`, fewer sizes with three to five seeds, each pattern at its own learning rate; and a law's
worth of sizes from 5 to 119 million parameters, one short training each. Laws, trends and all intervals are computed
from the recorded scores anew. On the machine at hand the same is done with tiny models, to show that everything works;
nothing is judged by these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feasibility.harness import Artifact, Criterion, Experiment, Metric, Outcome, Track, exact

if TYPE_CHECKING:
    from feasibility.lm.fleet import Line
    from feasibility.scaling.record import Floats, Law, Runs

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
        "perplexity) more than dense attention, on a straight line through all sizes and seeds of the controls.",
        "window",
        roadmap="C3.3",
    ),
    Criterion(
        "quicker_at_100M",
        ">=",
        20,
        "Percent more steps that dense attention needs for the training loss at which the worse of the two ends, on "
        "the same line: same batches, each at its own rate.",
        "window",
        roadmap="C3.2",
    ),
    Criterion(
        "gain_per_tenfold",
        "<=",
        0.01,
        "The difference to dense attention must not turn against typed memory by more than 0.01 nats for every ten "
        "times the parameters, on the same line.",
        "window",
    ),
    Criterion(
        "one_seed_gain_at_100M",
        "<=",
        0.01,
        "The first again, on a line through one short training each of three sizes, one learning rate for all patterns "
        "of a size.",
        "window",
    ),
    Criterion(
        "one_seed_gain_per_tenfold",
        "<=",
        0.01,
        "The third again, on the line through one short training of each size.",
        "window",
    ),
)


def run(config: Config, track: Track) -> Outcome:
    """Judge the recorded trainings, and train tiny ones.

    Raises:
        feasibility.lm.records.RecordMissing: there is no record, or too few sizes in it.
        feasibility.lm.data.CorpusCorrupt: the shipped sample is damaged.
    """
    from feasibility.language_model import record as controls_record
    from feasibility.language_model.measure import sample_record
    from feasibility.lm.records import record_of
    from feasibility.scaling.controls import read_controls
    from feasibility.scaling.jobs import SCHEMA
    from feasibility.scaling.measure import TINY, tiny_lines
    from feasibility.scaling.record import TYPED, law_of, read_runs

    controls, runs = read_controls(), read_runs()
    laws = {name: law_of(by_size) for name, by_size in runs.items() if len(by_size) >= 3}
    metrics, window = (judged(controls, runs, name) for name in (TYPED, "window"))
    metrics |= beside(controls)
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
        data=(sample_record(), controls_record.record_of(), record_of(SCHEMA)),
        artifacts=recorded_charts(controls, runs, laws),
        caveats=_caveats(controls, runs),
        finding=_finding(metrics, runs),
    )


def judged(controls: Runs, runs: Runs, one: str) -> Metrics:
    """The trends of a pattern against dense attention, by the controls and by one short training of each size."""
    from feasibility.scaling import controls as several
    from feasibility.scaling import record

    def of(prefix: str, differences: tuple[Floats, Floats], ahead: tuple[Floats, Floats]) -> Metrics:
        gain, slope = record.trend(*differences, "nats")
        quicker, _ = record.trend(*ahead, "%")
        named = {"gain_at_100M": gain, "gain_per_tenfold": slope, "quicker_at_100M": quicker}
        return {prefix + name: metric for name, metric in named.items()}

    first = of("", several.points(controls, one), several.leads(controls, one))
    return first | of("one_seed_", record.points(runs, one), record.leads(runs, one))


def beside(controls: Runs) -> Metrics:
    """What is shown and not judged: the differences at each size, and typed memory against an equal window."""
    from feasibility.scaling.controls import gains, points
    from feasibility.scaling.record import TYPED, trend

    metrics = {}
    for one, other in ((TYPED, "dense"), ("window", "dense"), ("distributional/64", "dense"), (TYPED, "window")):
        for size, metric in gains(controls, one, other).items():
            metrics[f"nats_{_million(size)}_{one.partition('/')[0]}_over_{other}"] = metric
    height, slope = trend(*points(controls, TYPED, "window"), "nats")
    return metrics | {"gain_over_window_at_100M": height, "gain_over_window_per_tenfold": slope}


def recorded_charts(controls: Runs, runs: Runs, laws: dict[str, Law]) -> tuple[Artifact, ...]:
    """The differences to dense attention by size, with several seeds and with one, and loss by size with the laws."""
    import statistics

    from feasibility.scaling import controls as several
    from feasibility.scaling.figures import gain_chart, law_chart
    from feasibility.scaling.record import gains

    losses = {
        name: {
            size: statistics.fmean(line["test"]["per_token"] for line in seeds.values())
            for size, seeds in by_size.items()
        }
        for name, by_size in runs.items()
    }
    names = [name for name in controls if name != "dense"]
    counts = sorted({len(seeds) for by_size in controls.values() for seeds in by_size.values()})
    return (
        Artifact(
            "controls.svg",
            gain_chart(
                {name: several.gains(controls, name) for name in names},
                {name: several.each(controls, name) for name in names},
            ),
            f"What each pattern needs more than dense attention after {_first(controls)['steps']:,} steps, "
            f"{counts[0]} to {counts[-1]} trainings each (recorded). Small marks are single trainings, bars are "
            "intervals over chunks of text and trainings.",
        ),
        Artifact(
            "gains.svg",
            gain_chart({name: gains(runs, name) for name in runs if name != "dense"}),
            f"The same after {_first(runs)['steps']:,} steps, one training each (recorded). The intervals are over "
            "chunks of text alone and hardly wider than the marks; how much single trainings vary shows in the picture "
            "above.",
        ),
        Artifact(
            "laws.svg",
            law_chart(losses, laws),
            f"Held-out loss by size after {_first(runs)['tokens'] / 1e6:.1f} million pieces, one training each "
            "(recorded), with laws of the form floor + scale * N ^ -exponent; of fewer than five sizes the floor is 0.",
        ),
    )


def _caveats(controls: Runs, runs: Runs) -> tuple[str, ...]:
    from feasibility.scaling.controls import points

    line, long = _first(runs), _first(controls)
    seeds = {seed for by_size in runs.values() for found in by_size.values() for seed in found}
    length = line["model"]["max_length"]
    sizes = [_million(size) for size in controls["dense"]]
    count = int(points(controls)[0].size)
    return (
        f"The criteria without one_seed in their names are judged on the controls of language_model at "
        f"{', '.join(sizes)}: {long['steps']:,} steps of {long['batch'] * length:,} pieces in chunks of {length:,}, "
        "each pattern at the better of two learning rates, chosen on the dev novels with the first seed of each size.",
        f"A straight line through {count} trainings of {len(sizes)} sizes has {count - 2} degrees of freedom; "
        f"whether it is straight, {len(sizes)} sizes hardly tell, and 100 million lie beyond them.",
        f"The one-seed runs: {line['steps']} steps of {line['batch'] * length:,} pieces, {len(seeds)} seed(s), one "
        "learning rate for all patterns of a size, 2e-3 at a width of 384, in inverse proportion to it. That is far "
        "too little text for the larger models.",
        "Laws and trends are those of training for equally long, not of the best use of computing.",
        f"Recorded on {line['device']}. The models trained here have up to 0.24 million parameters and read 12,288 "
        "pieces; they decide nothing.",
    )


def _finding(metrics: Metrics, runs: Runs) -> str:
    from feasibility.scaling.record import gains

    def words(name: str, digits: int = 3) -> str:
        metric = metrics[name]
        return f"{metric.value:+.{digits}f} [{metric.ci95[0]:+.{digits}f}, {metric.ci95[1]:+.{digits}f}]"

    def sizes(end: str) -> str:
        prefix = "nats_"
        return ", ".join(
            f"{words(name)} ({name.removeprefix(prefix).partition('_')[0]})"
            for name in metrics
            if name.startswith(prefix) and name.endswith(end)
        )

    each = ", ".join(f"{metric.value:+.3f} ({_million(size)})" for size, metric in gains(runs).items())
    return (
        "Recorded, several seeds, below 0 is better: typed memory needs "
        f"{sizes('predetermined_over_dense')} nats a piece more than dense attention, and "
        f"{sizes('predetermined_over_window')} more than an equal window; on a straight line "
        f"{words('gain_at_100M')} more than dense attention at 100 million parameters, {words('gain_per_tenfold')} "
        f"for every ten times the size, where dense attention needs {words('quicker_at_100M', 0)} % more steps to the "
        f"same training loss. One short training of each size says {each}, and with that nothing: "
        f"{words('one_seed_gain_at_100M', 2)} at 100 million."
    )


def _million(size: float) -> str:
    return f"{size / 1e6:.0f}M"


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

"""What the experiment `long_context` says of the small models on the machine at hand: checks, time, memory, reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feasibility.harness import Artifact, Metric, Track, exact, median_of
from feasibility.intervals import mean_interval
from feasibility.language_model.measure import HEADLINE, open_lab
from feasibility.long_context import measure
from feasibility.long_context.figures import stream_chart
from feasibility.long_context.jobs import SPECS
from feasibility.long_context.measure import Place, reach
from feasibility.long_context.record import TYPED

if TYPE_CHECKING:
    from feasibility.long_context.experiment import Config

Metrics = dict[str, Metric]
# Name of a pattern -> pieces before -> time and memory of the next.
Curves = dict[str, dict[int, Place]]


def here(config: Config, track: Track) -> tuple[Metrics, dict[str, dict[str, float]], Curves]:
    """Metrics, what stands beside them, and the curves of `here_chart`."""
    names = (HEADLINE, "window", "dense")
    models = {
        name: measure.small(name, config.length, config.keys, config.steps, config.seed)
        for name in track(names, "training")
    }
    typed = models[HEADLINE]
    cuts = [config.read // 8, config.read - 48, config.read - 12]
    changed, later, rows = measure.changed_rows(typed, config.read, cuts, config.seed)
    curves = measure.stream_places(models, config.places, config.written, config.rounds, track)
    first, last = config.places[0], config.places[-1]
    grown = {name: x[last].nbytes / x[first].nbytes for name, x in curves.items()}
    metrics = {
        "stream_gap": exact(measure.stream_gap(typed, config.read), "", config.read),
        "changed_rows": exact(changed, "rows", rows),
        "memory_grown": exact(grown[HEADLINE], "x"),
        **_curve_metrics(curves, HEADLINE),
        **_reach_metrics(),
    }
    for name in names:
        metrics[f"small_nats_{name.partition('/')[0]}"] = exact(measure.held_out(models[name], config.read), "nats")
    return (
        metrics,
        {
            "window": {"stream_gap": measure.stream_gap(models["window"], config.read)},
            "later_rows": {"changed_rows": float(later)},
            "dense": {"memory_grown": grown["dense"]},
        },
        curves,
    )


def _curve_metrics(curves: Curves, typed: str) -> Metrics:
    """Time of a generated piece as the text grows, and how long a text dense attention could keep in the same bytes."""
    first, last = min(curves[typed]), max(curves[typed])
    each = curves["dense"][last].nbytes / last
    pieces = curves[typed][last].nbytes / each
    metrics = {
        "dense_pieces": exact(pieces, "pieces"),
        "context_gain": exact(last / pieces, "x"),
        "time_grown": curves[typed][last].over(curves[typed][first]),
        "time_grown_dense": curves["dense"][last].over(curves["dense"][first]),
        f"dense_time_at_{last}": curves["dense"][last].over(curves[typed][last]),
    }
    for name, places in curves.items():
        for place, at in places.items():
            metrics[f"ms_{name.partition('/')[0]}_at_{place}"] = median_of(list(at.rounds), "ms")
    return metrics


def _reach_metrics() -> Metrics:
    """How far back the recorded models' typed memory holds on to something, on a shipped novel."""
    corpus = open_lab(64, 0).corpus
    classes = np.asarray(corpus.tables[TYPED], dtype=np.int64)[corpus.ids["test"]]
    spec = next(spec for spec in SPECS if spec.name == TYPED)
    oldest, older = reach(classes, spec, range(2000, len(classes), 2000))
    return {
        "reach_oldest": mean_interval(oldest, "pieces", 0),
        "reach_beyond_dense": exact(100 * older, "%", len(oldest)),
    }


def here_chart(curves: Curves) -> Artifact:
    """Time and memory of a generated piece on this machine."""
    return Artifact(
        "here.svg",
        stream_chart(
            {name: {place: at.ms for place, at in places.items()} for name, places in curves.items()},
            {name: {place: at.nbytes / 2**20 for place, at in places.items()} for name, places in curves.items()},
        ),
        "Time of a generated piece and what is remembered of the text, by its length: small models on this machine. "
        "Typed memory and window have read the text; dense attention has keys and values for so many pieces.",
    )

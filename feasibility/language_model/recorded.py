"""What the recorded trainings and steps say: the metrics, charts and caveats of the experiment `language_model`."""

from __future__ import annotations

from typing import Any

from feasibility.harness import Artifact, Metric
from feasibility.language_model.caveats import SETTLED
from feasibility.language_model.compared import (
    DISTRIBUTIONAL,
    PERMUTED,
    PREDETERMINED,
    RANDOM,
    TARGETS,
    best_on_dev,
    by_position,
    difference,
    in_percent,
    lead,
    over_seeds,
    time_to_target,
)
from feasibility.language_model.figures import curve_chart, difference_chart, step_chart
from feasibility.language_model.record import HEADLINE, Record, Runs, Size, parameters_of
from feasibility.language_model.table import html, size_in_words

Metrics = dict[str, Metric]
Baselines = dict[str, dict[str, float]]

# Shown by position and along training, at every size.
SHOWN = ("window", PREDETERMINED, DISTRIBUTIONAL)
# What a linear state, tags that see the future, and the original's table are worth.
LINEAR, ORIGINAL = "linear", "original"
CAUSAL_TAGS, FUTURE_TAGS = "original+valence", "full-context:original+valence"

DENSE, TYPED = "dense", "typed"
# Rows from before there were two say nothing of their shape.
FIRST_SHAPE, DEEP_SHAPE = "12x768", "28x512"


def prefix(size: Size, runs: Runs) -> str:
    """What the names of a size's metrics begin with: nothing for the headline, else such as 60m_2048_."""
    if size == HEADLINE:
        return ""
    return f"{parameters_of(runs) / 1e6:.0f}m_{size.length}_"


def held_out(record: Record) -> tuple[Metrics, Baselines]:
    """Which part of a gain is thinning (window against dense), which is type, and which is the types' meaning."""
    metrics: Metrics = {}
    baselines: Baselines = {}
    for size, runs in record.items():
        first = prefix(size, runs)
        found, beside = _of_one_size(runs)
        if size == HEADLINE:
            found |= _controls(runs)
            beside["random"] = {"nats_over_window": found["random_nats_over_window"].value}
            beside["distributional"]["nats_over_random"] = difference(runs, [DISTRIBUTIONAL], [RANDOM]).value
        metrics |= {first + name: metric for name, metric in found.items()}
        for baseline, values in beside.items():
            own = {first + name: value for name, value in values.items()}
            baselines[baseline] = baselines.get(baseline, {}) | own
    return metrics, baselines


def _of_one_size(runs: Runs) -> tuple[Metrics, Baselines]:
    """What is trained at every size: window, predetermined and distributional classes."""
    over = {name: difference(runs, [name], ["dense"]) for name in SHOWN}
    metrics = {
        "ppl_over_dense": in_percent(over[PREDETERMINED]),
        "nats_over_dense": over[PREDETERMINED],
        "window_nats_over_dense": over["window"],
        "distributional_nats_over_dense": over[DISTRIBUTIONAL],
        "nats_over_window": difference(runs, [PREDETERMINED], ["window"]),
        "distributional_nats_over_window": difference(runs, [DISTRIBUTIONAL], ["window"]),
        "nats_over_distributional": difference(runs, [PREDETERMINED], [DISTRIBUTIONAL]),
        "dev_nats_over_window": difference(runs, [PREDETERMINED], ["window"], "dev"),
        "dev_nats_over_distributional": difference(runs, [PREDETERMINED], [DISTRIBUTIONAL], "dev"),
        "window_nats_over_dense_by_seed": over_seeds(runs, "window", "dense"),
        "nats_over_window_by_seed": over_seeds(runs, PREDETERMINED, "window"),
    }
    window = {"ppl_over_dense": in_percent(over["window"]).value, "nats_over_dense": over["window"].value}
    window["nats_over_distributional"] = difference(runs, ["window"], [DISTRIBUTIONAL]).value
    return metrics, {
        "window": window,
        "distributional": {"nats_over_window": metrics["distributional_nats_over_window"].value},
    }


def _controls(runs: Runs) -> Metrics:
    """What is trained at the headline's size alone."""
    draws = [name for name in runs if name.startswith("random/")]
    kinds = {"predetermined": ("predetermined", "endings", "window|"), "distributional": ("distributional",)}
    best = {
        kind: best_on_dev(runs, [name for name in runs if name.startswith(begins)]) for kind, begins in kinds.items()
    }
    metrics = {
        "random_nats_over_dense": difference(runs, [RANDOM], ["dense"]),
        "random_nats_over_window": difference(runs, [RANDOM], ["window"]),
        "nats_over_random": difference(runs, [PREDETERMINED], [RANDOM]),
        "nats_over_random_draws": difference(runs, [PREDETERMINED], draws),
        "nats_over_permuted": difference(runs, [PREDETERMINED], [PERMUTED]),
        "linear_nats_over_dense": difference(runs, [LINEAR], ["dense"]),
        "linear_nats_over_window": difference(runs, [LINEAR], ["window"]),
        "linear_nats_over_window_by_seed": over_seeds(runs, LINEAR, "window"),
        "leak_nats": difference(runs, [FUTURE_TAGS], [CAUSAL_TAGS]),
        "leak_nats_by_seed": over_seeds(runs, FUTURE_TAGS, CAUSAL_TAGS),
        "original_nats_over_dense": difference(runs, [ORIGINAL], ["dense"]),
        "original_window_nats_over_dense": difference(runs, [f"{ORIGINAL}+window"], ["dense"]),
    }
    for kind, name in best.items():
        for rival in ("dense", "window"):
            metrics[f"best_{kind}_nats_over_{rival}"] = difference(runs, [name], [rival])
    for target in TARGETS:
        for first, name in (("", PREDETERMINED), ("window_", "window")):
            saved = time_to_target(runs, name, "dense", target)
            if saved is not None:
                metrics[f"{first}steps_saved_to_{target:g}"] = saved
    return metrics


def whole_steps(steps: dict[str, Any]) -> tuple[Metrics, Baselines]:
    """How many times as fast whole training steps are as dense ones, and what they take of their memory.

    The metrics of the deeper shape begin with "deep_".
    """
    metrics: Metrics = {}
    for first, shape in (("", FIRST_SHAPE), ("deep_", DEEP_SHAPE)):
        rows = {(row["way"], row["n"]): row for row in _timed(steps) if row["shape"] == shape}
        both = sorted(n for way, n in rows if way == TYPED and (DENSE, n) in rows)
        for length in both:
            dense, typed = rows[DENSE, length], rows[TYPED, length]
            metrics[f"{first}step_speedup_{length}"] = Metric(
                dense["ms"] / typed["ms"], "x", typed["steps"],
                (dense["p20"] / typed["p80"], dense["p80"] / typed["p20"]),
                f"medians of {typed['steps']} steps each, {shape}; from the 20th and 80th percentiles",
            )  # fmt: skip
        if both:
            worst = max(100 * rows[TYPED, n]["peak_mb"] / rows[DENSE, n]["peak_mb"] for n in both)
            method = "exact: the allocator's peak at the worst of the lengths"
            metrics[f"{first}step_memory"] = Metric(worst, "%", len(both), (worst, worst), method)
    return metrics, {"dense": {name: 100.0 if name.endswith("memory") else 1.0 for name in metrics}}


def _timed(steps: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"shape": FIRST_SHAPE} | row for row in steps["rows"] if "ms" in row]


def charts(record: Record, steps: dict[str, Any]) -> tuple[Artifact, ...]:
    """What the recorded trainings show: differences to dense attention, whole, by position, and along training."""
    names = {size: size_in_words(size, runs) for size, runs in record.items()}
    over = {
        names[size]: {name: difference(runs, [name], ["dense"]) for name in runs if name != "dense"}
        for size, runs in record.items()
    }
    keys = {
        names[size]: {name: next(iter(seeds.values()))["spec"]["keys"] for name, seeds in runs.items()}
        for size, runs in record.items()
    }
    places = {names[size]: {name: _places(runs, name, size.length) for name in SHOWN} for size, runs in record.items()}
    leads = {names[size]: {name: _lead(runs, name) for name in SHOWN} for size, runs in record.items()}
    shown = [row for row in _timed(steps) if row["way"] in (DENSE, TYPED)]
    return (
        Artifact(
            "differences.svg",
            difference_chart(over, keys),
            "Held-out nats per piece beyond dense attention, by size of model (parameters) and length of text n; three "
            "to five trainings each, on a GPU (recorded). The intervals are over chunks of text and over trainings; "
            "with three trainings they are about the range of the three. original, without a window, is off the scale.",
        ),
        Artifact(
            "differences.html",
            html(record),
            "The same as a table, with each training and against the window (recorded).",
        ),
        Artifact(
            "positions.svg",
            curve_chart(places, "position in the chunk", "nats beyond dense attention"),
            "The same by position in the chunk, on the dev novels (recorded). Far to the left all see nearly the same "
            "pieces: what is gained there is not gained by memory.",
        ),
        Artifact(
            "training.svg",
            curve_chart(leads, "training step", "training loss beyond dense attention"),
            "The same for the loss in training, from step 200 on (recorded). Each pattern has its own rate, which "
            "moves the early part. A lead that shrinks is one that longer training may undo.",
        ),
        Artifact(
            "steps.svg",
            step_chart(shown),
            "Milliseconds of a whole training step of 100 million parameters (blocks x width), 32,768 pieces, on one "
            f"{steps['device']} (recorded).",
        ),
    )  # fmt: skip


def _places(runs: Runs, name: str, length: int) -> tuple[list[float], list[float]]:
    curve = by_position(runs, name, "dense")
    return [(place + 0.5) * length / len(curve) for place in range(len(curve))], curve


def _lead(runs: Runs, name: str) -> tuple[list[float], list[float]]:
    found = {step: value for step, value in lead(runs, name, "dense").items() if step >= SETTLED}
    return list(found), list(found.values())

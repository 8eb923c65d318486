"""What the recorded trainings and steps say: the metrics, charts and caveats of the experiment `language_model`."""

from __future__ import annotations

from typing import Any

from feasibility.harness import Artifact, Metric
from feasibility.language_model.figures import difference_chart, position_chart, step_chart
from feasibility.language_model.record import (
    DISTRIBUTIONAL,
    PERMUTED,
    PREDETERMINED,
    RANDOM,
    TARGETS,
    Runs,
    by_position,
    difference,
    in_percent,
    readable,
    time_to_target,
)

Metrics = dict[str, Metric]
Baselines = dict[str, dict[str, float]]

# Shown by position: the question, and what bears on it.
SHOWN = ("window", PREDETERMINED, DISTRIBUTIONAL, RANDOM, "log-sparse")
DENSE, TYPED = "dense", "typed"


def words(metric: Metric) -> str:
    """+0.012 [+0.001, +0.023]."""
    return f"{metric.value:+.3f} [{metric.ci95[0]:+.3f}, {metric.ci95[1]:+.3f}]"


def held_out(runs: Runs) -> tuple[Metrics, Baselines]:
    """Which part of a gain is thinning (window against dense), which is type, and which is the types' meaning."""
    over = {name: difference(runs, [name], ["dense"]) for name in SHOWN}
    metrics = {
        "ppl_over_dense": in_percent(over[PREDETERMINED]),
        "nats_over_dense": over[PREDETERMINED],
        "window_nats_over_dense": over["window"],
        "random_nats_over_dense": over[RANDOM],
        "distributional_nats_over_dense": over[DISTRIBUTIONAL],
        "nats_over_window": difference(runs, [PREDETERMINED], ["window"]),
        "random_nats_over_window": difference(runs, [RANDOM], ["window"]),
        "distributional_nats_over_window": difference(runs, [DISTRIBUTIONAL], ["window"]),
        "nats_over_random": difference(runs, [PREDETERMINED], [RANDOM]),
        "nats_over_permuted": difference(runs, [PREDETERMINED], [PERMUTED]),
        "nats_over_distributional": difference(runs, [PREDETERMINED], [DISTRIBUTIONAL]),
        "dev_nats_over_window": difference(runs, [PREDETERMINED], ["window"], "dev"),
    }
    for target in TARGETS:
        for prefix, name in (("", PREDETERMINED), ("window_", "window")):
            saved = time_to_target(runs, name, "dense", target)
            if saved is not None:
                metrics[f"{prefix}steps_saved_to_{target:g}"] = saved
    return metrics, {
        "window": {"ppl_over_dense": in_percent(over["window"]).value},
        "random": {"nats_over_window": metrics["random_nats_over_window"].value},
        "distributional": {
            "nats_over_random": difference(runs, [DISTRIBUTIONAL], [RANDOM]).value,
            "nats_over_window": metrics["distributional_nats_over_window"].value,
        },
    }


def whole_steps(steps: dict[str, Any]) -> tuple[Metrics, Baselines]:
    """How many times as fast whole training steps are as dense ones, and what they take of their memory."""
    rows = {(row["way"], row["n"]): row for row in steps["rows"] if "ms" in row}
    metrics: Metrics = {}
    share = {}
    for length in sorted(n for way, n in rows if way == TYPED):
        dense, typed = rows[DENSE, length], rows[TYPED, length]
        metrics[f"step_speedup_{length}"] = Metric(
            dense["ms"] / typed["ms"], "x", typed["steps"],
            (dense["p20"] / typed["p80"], dense["p80"] / typed["p20"]),
            f"medians of {typed['steps']} steps each; from the 20th and 80th percentiles",
        )  # fmt: skip
        share[length] = 100 * typed["peak_mb"] / dense["peak_mb"]
    worst = max(share.values())
    metrics["step_memory"] = Metric(
        worst, "%", len(share), (worst, worst), "exact: the allocator's peak at the worst of the lengths"
    )
    return metrics, {"dense": {name: 100.0 if name == "step_memory" else 1.0 for name in metrics}}


def charts(runs: Runs, steps: dict[str, Any]) -> tuple[Artifact, ...]:
    """What the recorded trainings show: differences to dense attention, whole and by position; time of steps."""
    names = [name for name in runs if name != "dense"]
    keys = {name: next(iter(runs[name].values()))["spec"]["keys"] for name in runs}
    line = next(iter(runs["dense"].values()))
    most, least = (f(len(runs[name]) for name in names) for f in (max, min))
    return (
        Artifact(
            "differences.svg",
            difference_chart({name: difference(runs, [name], ["dense"]) for name in names}, keys),
            f"Held-out nats per piece beyond dense attention; 17 million parameters, {least} to {most} trainings each, "
            "on a GPU (recorded). The intervals are over chunks of text and over trainings.",
        ),
        Artifact(
            "positions.svg",
            position_chart({name: by_position(runs, name, "dense") for name in SHOWN}, line["model"]["max_length"]),
            "The same by position in the chunk, on the dev novels (recorded). Far to the left all see nearly the same "
            "pieces: what is gained there is not gained by memory.",
        ),
        Artifact(
            "steps.svg",
            step_chart([row for row in steps["rows"] if "ms" in row and row["way"] in (DENSE, TYPED)]),
            "Milliseconds of a whole training step of 100 million parameters, 32,768 pieces, on one "
            f"{steps['device']} (recorded).",
        ),
    )


def caveats(runs: Runs) -> tuple[str, ...]:
    """What a reader must know of the recorded runs."""
    line = next(iter(runs["dense"].values()))
    counts = {name: len(seeds) for name, seeds in runs.items()}
    more = ", ".join(name for name, count in counts.items() if count == max(counts.values()))
    kept = readable(runs, "test")
    return (
        f"The numbers of held-out text are of recorded trainings, on {line['device']}: "
        f"{line['parameters'] / 1e6:.0f} million parameters, {line['steps']:,} steps of "
        f"{line['batch'] * line['model']['max_length']:,} pieces; each pattern at the better of two learning rates "
        "(0.002, 0.004), chosen on the dev novels with the first seed, whose training also counts. "
        f"{max(counts.values())} seeds of {more}; {min(counts.values())} of the others. This run did not repeat them; "
        "it computed the intervals from the recorded scores of each chunk.",
        "One size of model, one kind of text, 33 million pieces read in under three passes: nothing is said of larger "
        "models, of longer training, or of texts that need more than the last 230 pieces.",
        f"Of the {len(kept)} test chunks {int((~kept).sum())} are left out: old inscriptions in Haggard's She, by a "
        "bound that was fixed with earlier runs.",
        "Learning rates fall along a cosine to zero, so steps saved to a target are not steps saved to the final loss; "
        "the targets were fixed before these curves were seen.",
        "Bond rules in their modes, linear memory, dilated window and tags of the full context are built and tested, "
        "but not trained at this size: the time on the GPU was used up.",
    )

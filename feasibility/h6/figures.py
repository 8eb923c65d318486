"""The charts of the experiment `h6`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from feasibility.charts import GREY, GRID, INK, canvas, svg
from feasibility.h6.masks import CONTROLS, STRATA
from feasibility.harness import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Figures = Mapping[str, Mapping[str, Metric]]

# Okabe and Ito's colours and a marker for each size, the small ones first.
COLOURS = ("#999999", "#56B4E9", "#0072B2", "#D55E00", "#009E73")
MARKERS = ("s", "^", "o", "D", "v")
NAMES = {
    "row": "random, as many keys a query",
    "row_distance": "random, and as many at each distance",
    "permuted_tags": "words exchange their types",
    "permuted_table": "rewired table of tags",
    "other_text": "another text's mask",
    "window": "the nearest words",
    "frequency": "types by frequency",
}
# Behind numbers, so that no line runs through them.
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
RAW = (
    ("asa", "the original's mask", "#0072B2"),
    ("row", "random, as dense in each query", "#E69F00"),
    ("published", "random, as published: half as dense", "#999999"),
)


def raw_chart(figures: Figures) -> str:
    """The original's figure beside its control and beside a fair one, for each size."""
    figure, (axes,) = canvas(7.2, 3.6)
    width = 0.26
    for place, (name, label, colour) in enumerate(RAW):
        metrics = [figures[size][f"raw_{name}"] for size in figures]
        at = np.arange(len(metrics)) + (place - 1) * width
        values = [metric.value for metric in metrics]
        gaps = np.array([[m.value - m.ci95[0], m.ci95[1] - m.value] for m in metrics]).T
        axes.bar(at, values, width * 0.92, color=colour, label=label, yerr=gaps, ecolor=INK, capsize=3)
        for x, metric in zip(at, metrics, strict=True):
            axes.text(x, metric.ci95[1] + 1.5, f"{metric.value:.1f}", ha="center", va="bottom", fontsize=9, bbox=PLATE)
    axes.axhline(70.0, color=INK, linewidth=1, linestyle="--", zorder=0)
    axes.text(len(figures) - 0.42, 70.5, "70 %", ha="left", va="bottom", fontsize=9)
    axes.set_xticks(range(len(figures)), [f"{size} parameters" for size in figures])
    axes.set_xlim(-0.55, len(figures) - 0.2)
    axes.set_ylim(0, 100)
    axes.set_ylabel("attention on the mask (%)")
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=3, fontsize=9)
    return svg(figure)


def lift_chart(figures: Figures) -> str:
    """Lift over each control, for each size."""
    figure, (axes,) = canvas(7.2, 4.4)
    rows = {size: [figures[size][f"lift_{control}"] for control in CONTROLS] for size in figures}
    _dots(axes, rows, (-100, -30, -10, -5, 0, 5, 10), linear=10)
    figure.supxlabel("lift: share of what the control leaves out (%; beyond 10 the scale is logarithmic)", fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=5, fontsize=9)
    return svg(figure)


def cut_chart(figures: Figures) -> str:
    """What each control costs beyond the original's mask when all else is cut, for each size."""
    figure, (axes,) = canvas(7.2, 4.4)
    rows = {size: [_negated(figures[size][f"loss_over_{control}"]) for control in CONTROLS] for size in figures}
    _dots(axes, rows, (-0.4, -0.15, -0.05, -0.025, 0, 0.025, 0.05), linear=0.05)
    figure.supxlabel(
        "nats a piece beyond the original's mask (right: the control does more harm; beyond 0.05 logarithmic)",
        fontsize=10,
    )
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=5, fontsize=9)
    return svg(figure)


def _negated(metric: Metric) -> Metric:
    low, high = metric.ci95
    return Metric(-metric.value, metric.unit, metric.n, (-high, -low), metric.method)


def _dots(axes: Axes, rows: Mapping[str, Sequence[Metric]], ticks: Sequence[float], linear: float) -> None:
    """A dot with its interval for each control (a row) and size (a colour).

    The scale is logarithmic beyond `linear`: the nearest words differ from the mask ten times as much as the others.
    """
    axes.axvline(0.0, color=INK, linewidth=1.2)
    step = 0.7 / max(1, len(rows))
    for number, (size, metrics) in enumerate(rows.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        for place, metric in enumerate(metrics):
            y = place + (number - (len(rows) - 1) / 2) * step
            axes.plot(metric.ci95, [y, y], color=colour, linewidth=1.8)
            axes.plot(metric.value, y, marker, color=colour, markersize=5, label=size if place == 0 else None)
    axes.set_yticks(range(len(CONTROLS)), [NAMES[control] for control in CONTROLS], fontsize=9)
    axes.set_ylim(len(CONTROLS) - 0.5, -0.5)
    axes.set_xscale("symlog", linthresh=linear, linscale=1.2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=9)
    axes.minorticks_off()
    axes.grid(axis="x", color=GRID)


def distance_chart(by_distance: Mapping[str, Sequence[Metric | None]]) -> str:
    """AUC within each stratum of distance, for each size."""
    figure, (axes,) = canvas(7.2, 3.6)
    axes.axhline(0.5, color=INK, linewidth=1.2)
    for number, (size, metrics) in enumerate(by_distance.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        kept = [(place, metric) for place, metric in enumerate(metrics) if metric is not None]
        at = [place + (number - 1.5) * 0.08 for place, _ in kept]
        axes.plot(at, [m.value for _, m in kept], color=colour, marker=marker, markersize=5, label=size)
        axes.vlines(at, [m.ci95[0] for _, m in kept], [m.ci95[1] for _, m in kept], color=colour, linewidth=1.4)
    ends = [*(first - 1 for first in STRATA[1:]), None]
    labels = [str(a) if a == b else f"{a}+" if b is None else f"{a}-{b}" for a, b in zip(STRATA, ends, strict=True)]
    axes.set_xticks(range(len(STRATA)), labels, fontsize=9)
    axes.set_xlabel("pieces apart")
    axes.set_ylabel("AUC")
    axes.grid(axis="y", color=GRID)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=5, fontsize=9)
    return svg(figure)


def head_chart(models: Mapping[str, Mapping[str, Any]]) -> str:
    """Each head's lift over `row_distance`, a panel for each size: rows are layers, the first on top."""
    figure, panels = canvas(2.0 + 1.9 * len(models), 3.9, len(models))
    tables = [
        np.reshape([head["lift row_distance"] for head in model["heads"]], model["shape"]) * 100
        for model in models.values()
    ]
    most = max(5.0, max(float(np.abs(table).max()) for table in tables))
    image = None
    for axes, size, table in zip(panels, models, tables, strict=True):
        image = axes.imshow(table, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        axes.set_title(size, fontsize=10)
        axes.set_xticks(range(table.shape[1]), [str(head + 1) for head in range(table.shape[1])], fontsize=8)
        axes.set_yticks(range(table.shape[0]), [str(layer + 1) for layer in range(table.shape[0])], fontsize=8)
        axes.set_xlabel("head", fontsize=9)
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(GREY)
    panels[0].set_ylabel("layer", fontsize=9)
    if image is not None:
        figure.colorbar(image, ax=panels, label="lift (%)", shrink=0.85)
    return svg(figure)

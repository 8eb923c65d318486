"""The charts of the experiment `language_model`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from feasibility.charts import GREY, GRID, INK, canvas, svg
from feasibility.harness import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What a pattern knows of the pieces: how its name begins, label, Okabe and Ito's colour, marker.
FAMILIES = (
    (r"full-context", "tags that see the future (not causal)", "#E69F00", "X"),
    (r"linear", "a linear state", "#56B4E9", "P"),
    (r"original|bonds", "the original's table, bonds", "#CC79A7", "v"),
    (r"(window\|)?(predetermined|endings)", "last of each class: lexicons", "#0072B2", "o"),
    (r"distributional", "last of each class: counting", "#009E73", "s"),
    (r"random|permuted|frequency", "last of each class: no meaning", "#D55E00", "D"),
    (r"", "position, punctuation", GREY, "^"),
)
# Nats beyond dense attention that are drawn to scale; what lies beyond is an arrow with its value.
LEAST, MOST = -0.14, 0.06

# Heading -> pattern -> difference; visible keys; values along something.
Differences = Mapping[str, Mapping[str, Metric]]
Keys = Mapping[str, Mapping[str, float]]
Curves = Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]


def difference_chart(differences: Differences, keys: Keys) -> str:
    """How many nats a token each pattern needs more than dense attention, the best on top, a panel a size.

    Args:
        differences: heading -> pattern -> difference with its interval.
        keys: heading -> pattern -> visible keys, written beside the name; 0 for a state.
    """
    counts = [len(panel) for panel in differences.values()]
    figure, _ = canvas(7.2, 1.6 + 0.45 * len(counts) + 0.24 * sum(counts), 0)
    grid = figure.add_gridspec(len(counts), 1, height_ratios=[count + 1 for count in counts])
    shared: Axes | None = None
    for place, (heading, panel) in enumerate(differences.items()):
        axes = figure.add_subplot(grid[place], sharex=shared)
        shared = shared or axes
        _differences(axes, panel, keys[heading])
        axes.set_title(heading, fontsize=10, loc="left", fontweight="bold")
        axes.tick_params(labelbottom=place == len(counts) - 1)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_xlim(LEAST, MOST)
    figure.supxlabel("nats per token beyond dense attention (left: better); visible keys in brackets", fontsize=10)
    _legend(figure, figure.axes, columns=2)
    return svg(figure)


def _differences(axes: Axes, panel: Mapping[str, Metric], keys: Mapping[str, float]) -> None:
    order = sorted(panel, key=lambda name: panel[name].value, reverse=True)
    axes.axvline(0.0, color=INK, linewidth=1.2)
    for place, name in enumerate(order):
        label, colour, marker = _family(name)
        metric = panel[name]
        if metric.value > MOST:
            axes.plot(MOST - 0.003, place, ">", color=colour, markersize=7, clip_on=False, label=label)
            axes.text(MOST - 0.007, place, f"{metric.value:+.3f}", ha="right", va="center", fontsize=9, color=colour)
            continue
        axes.plot(metric.ci95, [place, place], color=colour, linewidth=2)
        axes.plot(metric.value, place, marker, color=colour, markersize=6, label=label)
    known = [f"{keys[name]:,.0f}" if keys[name] else "a state" for name in order]
    axes.set_yticks(range(len(order)), [f"{name}  ({key})" for name, key in zip(order, known, strict=True)], fontsize=9)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", color=GRID)


def curve_chart(curves: Curves, along: str, what: str) -> str:
    """How a difference to dense attention runs along something, a panel a size, all on one scale.

    Args:
        curves: heading -> pattern -> places, and nats per token beyond dense attention at each.
        along: what the places are.
        what: what the nats are.
    """
    figure, panels = canvas(9.6, 3.6, len(curves))
    lowest = min(min(values) for panel in curves.values() for _, values in panel.values())
    for axes, (heading, panel) in zip(panels, curves.items(), strict=True):
        axes.axhline(0.0, color=INK, linewidth=1.2)
        for name, (places, values) in panel.items():
            _, colour, marker = _family(name)
            axes.plot(places, values, "-", color=colour, marker=marker, markersize=4, linewidth=1.6, label=name)
        axes.set_title(heading, fontsize=10, loc="left", fontweight="bold")
        axes.set_xlabel(along, fontsize=10)
        axes.set_ylim(1.08 * lowest, max(0.01, -0.08 * lowest))
        axes.grid(axis="y", color=GRID)
    panels[0].set_ylabel(what, fontsize=10)
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    _legend(figure, panels, columns=5)
    return svg(figure)


def step_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Milliseconds of a training step over the length of a chunk, dense and typed, at most two shapes of models.

    Args:
        rows: of `feasibility.lm.steps`: shape, way, n, ms, p20, p80.
    """
    figure, (axes,) = canvas(7.2, 3.8)
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    ways = (
        ("dense", "dense attention, torch's fastest", GREY, "^"),
        ("typed", "window and last of each class", "#0072B2", "o"),
    )
    for (way, label, colour, marker), (shape, line) in product(ways, zip(shapes, ("-", "--"), strict=False)):
        own = sorted((row for row in rows if (row["way"], row["shape"]) == (way, shape)), key=lambda row: row["n"])
        lengths, times = ([row[key] for row in own] for key in ("n", "ms"))
        spread = [[row["ms"] - row["p20"] for row in own], [row["p80"] - row["ms"] for row in own]]
        axes.errorbar(
            lengths, times, spread, color=colour, marker=marker, linestyle=line, linewidth=1.6, capsize=3,
            label=f"{label}, {shape}",
        )  # fmt: skip
    lengths = sorted({row["n"] for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("pieces of a chunk; as many in all")
    axes.set_ylabel("ms a training step")
    axes.grid(axis="y", color=GRID)
    _legend(figure, [axes], columns=2)
    return svg(figure)


def _family(name: str) -> tuple[str, str, str]:
    return next(family[1:] for family in FAMILIES if re.match(family[0], name))


def _legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    # Once each, in the order of the families where these are the labels.
    once = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    ranks = {label: rank for rank, (_, label, _, _) in enumerate(FAMILIES)}
    once = dict(sorted(once.items(), key=lambda item: ranks.get(item[0], 0)))
    figure.legend(once.values(), once.keys(), frameon=False, loc="outside upper center", ncols=columns, fontsize=9)

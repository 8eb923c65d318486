"""The charts of the experiment `scaling`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from feasibility.charts import GREY, GRID, INK, canvas, svg
from feasibility.harness import Metric
from feasibility.scaling.record import Law

COLOURS = {"dense": GREY, "window": "#D55E00", "predetermined/64": "#0072B2", "distributional/64": "#009E73"}
MARKERS = {"dense": "s", "window": "D", "predetermined/64": "o", "distributional/64": "^"}


def law_chart(losses: Mapping[str, Mapping[int, float]], laws: Mapping[str, Law]) -> str:
    """Held-out loss by size, with the fitted laws.

    Args:
        losses: pattern -> parameters -> nats a token.
        laws: pattern -> its law.
    """
    figure, (axes,) = canvas(7.2, 4.0)
    for name, by_size in losses.items():
        colour = COLOURS.get(name, INK)
        axes.plot(list(by_size), list(by_size.values()), MARKERS.get(name, "o"), color=colour, label=name, markersize=6)
        if name in laws:
            curve = np.geomspace(min(by_size), max(by_size), 60)
            axes.plot(curve, [laws[name].loss(size) for size in curve], color=colour, linewidth=1.6)
    axes.set_xscale("log")
    _ticks(axes, sorted({size for by_size in losses.values() for size in by_size}))
    axes.set_ylabel("nats a piece, test novels")
    axes.grid(axis="y", color=GRID)
    axes.legend(frameon=False)
    return svg(figure)


def gain_chart(
    gains: Mapping[str, Mapping[int, Metric]], each: Mapping[str, Mapping[int, Sequence[float]]] | None = None
) -> str:
    """What each pattern needs more than dense attention, by size.

    Args:
        gains: pattern -> parameters -> difference with its interval.
        each: pattern -> parameters -> differences of single trainings, shown as small marks.
    """
    figure, (axes,) = canvas(7.2, 3.8)
    axes.axhline(0.0, color=INK, linewidth=1.2)
    for place, (name, by_size) in enumerate(gains.items()):
        colour, marker = COLOURS.get(name, INK), MARKERS.get(name, "o")
        # Side by side, so that intervals do not cover each other.
        shift = (1.06 if each else 1.03) ** (place - (len(gains) - 1) / 2)
        sizes = [size * shift for size in by_size]
        values = [metric.value for metric in by_size.values()]
        axes.plot(sizes, values, marker + "-", color=colour, label=name, linewidth=1.4)
        axes.vlines(sizes, *zip(*(metric.ci95 for metric in by_size.values()), strict=True), color=colour, linewidth=2)
        for size, single in (each or {}).get(name, {}).items():
            beside = [size * shift * 1.02] * len(single)
            axes.plot(beside, single, marker, color=colour, markersize=3.5, markerfacecolor="white", linestyle="none")
    axes.set_xscale("log")
    _ticks(axes, sorted({size for by_size in gains.values() for size in by_size}))
    axes.margins(x=0.12)
    axes.set_ylabel("nats beyond dense attention\n(below 0: better)")
    axes.grid(axis="y", color=GRID)
    axes.legend(frameon=False, fontsize=9)
    return svg(figure)


def _ticks(axes: object, sizes: list[int]) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import NullLocator

    assert isinstance(axes, Axes)
    axes.set_xticks(sizes, [f"{size / 1e6:.0f}M" if size >= 1e6 else f"{size / 1e3:.0f}k" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("parameters")

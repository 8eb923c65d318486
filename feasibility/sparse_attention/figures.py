"""The charts of the experiment `sparse_attention`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feasibility.charts import GREY, GRID, INK, canvas, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Look(NamedTuple):
    """How a run is drawn: Okabe and Ito's colours, told apart by marker and line as well."""

    label: str
    colour: str
    marker: str
    line: str = "-"


LOOKS = {
    "window64+valence4/64": Look("window 64 + valence 4 of 64", "#0072B2", "o"),
    "valence16/17": Look("valence 16 of 17", "#009E73", "^"),
    "budget256/17": Look("budget 256 of 17", "#CC79A7", "s"),
    "full/17": Look("table of 17, no bound", "#D55E00", "D"),
    "window256": Look("plain window of 256", "#56B4E9", "v"),
    "dense": Look("dense, no mask", INK, "x", ":"),
    "sdpa_masked": Look("dense, fused, masked", GREY, "P", "--"),
    "eager_masked": Look("dense, written out, masked", "#80868B", "X", "--"),
}


def speed_chart(gains: Mapping[str, Mapping[int, float]], break_even: Mapping[str, float]) -> str:
    """How many times as fast as the fastest dense attention, by length; both axes logarithmic.

    Args:
        gains: run -> n -> ratio; runs without a look are left out, and so is dense attention itself.
        break_even: run -> the length from which on it is faster, for those that are: a ring, and named in the legend.
    """
    figure, (axes,) = canvas(7.0, 4.8)
    # What matters most is drawn last, on top.
    for place, (name, look) in enumerate(LOOKS.items()):
        if name not in gains or name == "dense":
            continue
        if name in break_even:
            look = look._replace(label=f"{look.label}: pays from {break_even[name]:,.0f}")
            if break_even[name] > min(gains[name]):
                axes.plot(break_even[name], 1.0, "o", color=look.colour, markersize=11, fillstyle="none",
                          markeredgewidth=1.8, zorder=20 - place)  # fmt: skip
        _line(axes, gains[name], look, zorder=20 - place)
    axes.axhline(1.0, color=INK, linewidth=1.2)
    axes.annotate("as fast as dense", (1, 1), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="right", fontsize=9, color=INK)  # fmt: skip
    _ticks(axes, gains.values(), lambda value: f"{value:g}x")
    axes.set_ylabel("speed, forward and backward")
    figure.legend(frameon=False, loc="outside upper center", ncols=2, fontsize=9)
    return svg(figure)


def memory_chart(
    measured: Mapping[str, Mapping[int, float]], budget: float, longest: Mapping[str, float], probe: int
) -> str:
    """Memory beyond inputs, outputs and gradients, by length; both axes logarithmic.

    Args:
        measured: run -> n -> MiB.
        budget: MiB, drawn as a line.
        longest: dense run -> the length at which it is computed to reach the budget.
        probe: the greatest length at which these were measured; beyond it lines are dashed.
    """
    figure, (axes,) = canvas(7.0, 4.8)
    for name, look in LOOKS.items():
        if name not in measured:
            continue
        _line(axes, measured[name], look, zorder=3)
        if name in longest and name != "dense":
            axes.plot([probe, longest[name]], [measured[name][probe], budget], ":", color=look.colour, linewidth=1.5)
            axes.annotate(f"{longest[name]:,.0f}", (longest[name], budget), (0, 5), textcoords="offset points",
                          ha="center", fontsize=9, color=look.colour)  # fmt: skip
    axes.axhline(budget, color=INK, linewidth=1.2)
    axes.annotate(f"{budget:,.0f} MiB", (0, budget), (4, 5), xycoords=("axes fraction", "data"),
                  textcoords="offset points", fontsize=9, color=INK)  # fmt: skip
    _ticks(axes, [*measured.values(), {probe: 1.6 * budget}], lambda value: f"{value:,g} MiB")
    axes.set_ylabel("peak memory of one text")
    figure.legend(frameon=False, loc="outside upper center", ncols=2, fontsize=9)
    return svg(figure)


def mask_chart(masks: Mapping[str, NDArray[np.bool_]]) -> str:
    """Who sees whom, side by side: rows are queries, columns keys, dark where the query sees the key.

    Args:
        masks: title -> [N, N] bool, causal.
    """
    figure, panels = canvas(3.1 * len(masks), 3.5, len(masks))
    for axes, (title, seen) in zip(panels, masks.items(), strict=True):
        pairs = len(seen) * (len(seen) + 1) // 2
        axes.imshow(seen, cmap="Blues", vmin=0, vmax=1.25, interpolation="none")
        axes.set_title(f"{title}\n{100 * seen.sum() / pairs:.0f} % of the causal pairs", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("key", fontsize=9)
        axes.set_ylabel("query", fontsize=9)
        axes.spines[:].set_visible(True)
    return svg(figure)


def _line(axes: Axes, values: Mapping[int, float], look: Look, zorder: float) -> None:
    at = sorted(values)
    axes.plot(at, [values[n] for n in at], look.line, color=look.colour, marker=look.marker, linewidth=2,
              markersize=6, label=look.label, zorder=zorder)  # fmt: skip


def _ticks(axes: Axes, lines: Iterable[Mapping[int, float]], show: Callable[[float], str]) -> None:
    """Logarithmic axes with plain numbers: the lengths below, 1-2-5 at the side (powers of ten for a wide range)."""
    from matplotlib.ticker import NullLocator

    lines = list(lines)
    lengths = sorted({n for line in lines for n in line})
    values = [value for line in lines for value in line.values()]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(lengths, [f"{n:,}" for n in lengths])
    steps = [lead * 10.0**power for power in range(-4, 7) for lead in (1, 2, 5)]
    if max(values) > 300 * min(values):
        steps = steps[::3]
    ticks = [step for step in steps if min(values) / 1.5 <= step <= max(values) * 1.5]
    axes.set_yticks(ticks, [show(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=GRID)
    axes.margins(0.05, 0.1)
    axes.set_xlabel("tokens of the text, n")

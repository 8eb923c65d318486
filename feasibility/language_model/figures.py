"""The charts of the experiment `language_model`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from feasibility.charts import GREY, GRID, INK, canvas, svg
from feasibility.harness import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What a pattern knows of the pieces: beginnings of names, label, Okabe and Ito's colour, marker.
FAMILIES = (
    (("predetermined", "endings"), "last of each class: lexicons", "#0072B2", "o"),
    (("distributional",), "last of each class: counting", "#009E73", "s"),
    (("random", "permuted", "frequency"), "last of each class: no meaning", "#D55E00", "D"),
    (("original",), "the original's table", "#CC79A7", "v"),
    (("",), "position, punctuation", GREY, "^"),
)


def difference_chart(differences: Mapping[str, Metric], keys: Mapping[str, float]) -> str:
    """How many nats a token each pattern needs more than dense attention, the best on top.

    Args:
        differences: pattern -> difference with its interval.
        keys: pattern -> visible keys, written beside the name.
    """
    order = sorted(differences, key=lambda name: differences[name].value, reverse=True)
    figure, (axes,) = canvas(7.2, 1.4 + 0.27 * len(order))
    axes.axvline(0.0, color=INK, linewidth=1.2)
    for place, name in enumerate(order):
        _, label, colour, marker = _family(name)
        metric = differences[name]
        axes.plot(metric.ci95, [place, place], color=colour, linewidth=2)
        axes.plot(metric.value, place, marker, color=colour, markersize=6, label=label)
    axes.set_yticks(range(len(order)), [f"{name}  ({keys[name]:,.0f})" for name in order], fontsize=9)
    figure.supxlabel("nats per token beyond dense attention (left: better); visible keys in brackets", fontsize=10)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", color=GRID)
    _legend(figure, axes, columns=3)
    return svg(figure)


def position_chart(curves: Mapping[str, Sequence[float]], length: int) -> str:
    """The same by position in the chunk.

    Args:
        curves: pattern -> nats per token beyond dense attention in equal stretches of a chunk.
        length: tokens of a chunk.
    """
    figure, (axes,) = canvas(7.2, 3.8)
    axes.axhline(0.0, color=INK, linewidth=1.2)
    drawn: set[str] = set()
    for name, curve in curves.items():
        _, _, colour, marker = _family(name)
        line = "--" if colour in drawn else "-"
        drawn.add(colour)
        middle = [(place + 0.5) * length / len(curve) for place in range(len(curve))]
        axes.plot(middle, curve, line, color=colour, marker=marker, markersize=4, linewidth=1.6, label=name)
    axes.set_xlabel("position in the chunk")
    axes.set_ylabel("nats beyond dense attention")
    axes.grid(axis="y", color=GRID)
    _legend(figure, axes, columns=3)
    return svg(figure)


def step_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Milliseconds of a training step over the length of a chunk, dense and typed.

    Args:
        rows: of `feasibility.lm.steps`: way, n, ms, p20, p80.
    """
    figure, (axes,) = canvas(7.2, 3.8)
    for way, label, colour, marker in (
        ("dense", "dense attention, torch's fastest", GREY, "^"),
        ("typed", "window and last of each class", "#0072B2", "o"),
    ):
        own = sorted((row for row in rows if row["way"] == way), key=lambda row: row["n"])
        lengths, times = ([row[key] for row in own] for key in ("n", "ms"))
        spread = [[row["ms"] - row["p20"] for row in own], [row["p80"] - row["ms"] for row in own]]
        axes.errorbar(lengths, times, spread, color=colour, marker=marker, linewidth=1.6, capsize=3, label=label)
    lengths = sorted({row["n"] for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("pieces of a chunk; as many in all")
    axes.set_ylabel("ms a training step")
    axes.grid(axis="y", color=GRID)
    _legend(figure, axes, columns=2)
    return svg(figure)


def _family(name: str) -> tuple[tuple[str, ...], str, str, str]:
    return next(family for family in FAMILIES if name.startswith(family[0]))


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    # Once each, in the order of the families where these are the labels.
    once = dict(zip(labels, handles, strict=True))
    ranks = {label: rank for rank, (_, label, _, _) in enumerate(FAMILIES)}
    once = dict(sorted(once.items(), key=lambda item: ranks.get(item[0], 0)))
    figure.legend(once.values(), once.keys(), frameon=False, loc="outside upper center", ncols=columns, fontsize=9)

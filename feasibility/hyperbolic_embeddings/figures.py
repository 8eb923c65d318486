"""The charts of the hyperbolic experiment, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping

from feasibility.charts import GRID, INK, canvas, svg
from feasibility.harness import Metric
from feasibility.hyperbolic_embeddings.verdicts import NAMES, verdict
from feasibility.hyperbolic_embeddings.yardstick import ERRORS, GAINS

CURVED, FLAT, UNDECIDED = "#0072B2", "#D55E00", "#9AA0A6"


def plain_word(synset: str) -> str:
    """A synset's name as a reader knows it: "bengal_tiger.n.01" -> "bengal tiger"."""
    return synset.split(".")[0].replace("_", " ")


def distortion_chart(lines: Mapping[str, Mapping[int, float]]) -> str:
    """Average distortion by dimension, one line a method, logarithmic axes.

    Args:
        lines: name of the method -> dimension -> average distortion; at most three, drawn in this order.
    """
    from matplotlib.ticker import NullLocator

    figure, (axes,) = canvas(7.0, 4.4)
    looks = ((FLAT, "s", "-"), (CURVED, "o", "--"), (CURVED, "o", "-"))
    for (name, values), (colour, marker, style) in zip(lines.items(), looks, strict=False):
        dims = sorted(values)
        percent = [100.0 * values[dim] for dim in dims]
        fill = "white" if style == "--" else colour
        axes.plot(dims, percent, style, color=colour, marker=marker, markerfacecolor=fill, linewidth=2, label=name)
        for dim, value in zip(dims, percent, strict=True):
            axes.annotate(f"{value:.2g} %", (dim, value), (0, 8), textcoords="offset points", ha="center", color=colour)
    every = [100.0 * value for values in lines.values() for value in values.values()]
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if min(every) / 2 <= tick <= 2 * max(every)]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(dims, [str(dim) for dim in dims])
    axes.set_yticks(ticks, [f"{tick:g} %" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(0.08, 0.12)
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("coordinates a word")
    axes.set_ylabel("average error of a tree distance")
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
    return svg(figure)


def benefit_chart(metrics: Mapping[str, Metric], dim: int) -> str:
    """What the best curved embedding gains over the best flat one, a bar a measure, with intervals and the 5 % line.

    Args:
        metrics: with `benefit_<measure>` for each measure that is drawn.
        dim: of the comparison, for the axis.
    """
    shown = [name for name in reversed((*ERRORS, *GAINS)) if f"benefit_{name}" in metrics]
    figure, (axes,) = canvas(8.0, 1.2 + 0.42 * len(shown))
    colours = {"GO": CURVED, "NO-GO": FLAT, "INCONCLUSIVE": UNDECIDED}
    for row, name in enumerate(shown):
        metric = metrics[f"benefit_{name}"]
        spread = [[metric.value - metric.ci95[0]], [metric.ci95[1] - metric.value]]
        judged = verdict(metric)
        axes.barh(row, metric.value, color=colours[judged], height=0.6, xerr=spread, ecolor=INK)
        axes.annotate(
            f"{metric.value:+.1f} %  {judged}",
            (max(metric.ci95[1], metric.value, 5.0), row),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    axes.axvline(0.0, color=INK, linewidth=1)
    axes.axvline(5.0, color=INK, linewidth=1.2, linestyle="--")
    axes.annotate("worth it from 5 % on", (5.0, len(shown) - 0.45), (4, 0), textcoords="offset points", fontsize=9)
    axes.set_ylim(-0.6, len(shown) + 0.05)
    highest = max([metrics[f"benefit_{name}"].ci95[1] for name in shown], default=0.0)
    axes.set_xlim(right=max(20.0, 1.3 * highest))
    axes.set_yticks(range(len(shown)), [NAMES[name] for name in shown])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)
    axes.set_xlabel(f"gain over the best Euclidean embedding, {dim} dimensions (%)")
    return svg(figure)


def bars_chart(shares: Mapping[str, tuple[float, float | None, float | None]]) -> str:
    """How much of what each bar allows is used up, a bar a line, logarithmic: 1 is the bar, left of it is better.

    Args:
        shares: bar in words -> reached, hoped for, known before; see `bars.shares`.
    """
    least = 1e-3
    figure, (axes,) = canvas(9.0, 1.4 + 0.34 * len(shares))
    labels = {"reached": ("o", CURVED, CURVED), "hoped for": ("|", INK, INK), "known before": ("o", "white", FLAT)}
    upwards = list(shares.items())[::-1]
    for row, (_, values) in enumerate(upwards):
        for value, (marker, fill, edge) in reversed([*zip(values, labels.values(), strict=True)]):
            if value is not None:
                axes.plot(max(value, least), row, marker, markerfacecolor=fill, markeredgecolor=edge, markersize=8)
    axes.axvline(1.0, color=INK, linewidth=1.2, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(left=0.7 * least)
    axes.set_yticks(range(len(shares)), [what for what, _ in upwards])
    axes.set_ylim(-0.6, len(shares) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="both", color=GRID)
    axes.set_xticks([0.001, 0.01, 0.1, 1.0], ["1/1000 or less", "1/100", "1/10", "as asked"])
    axes.minorticks_off()
    axes.set_xlabel("share of the error or time that was allowed")
    marks = [
        axes.plot([], [], marker, markerfacecolor=fill, markeredgecolor=edge, markersize=8, label=name)[0]
        for name, (marker, fill, edge) in labels.items()
    ]
    figure.legend(handles=marks, frameon=False, loc="outside upper center", ncols=3)
    return svg(figure)

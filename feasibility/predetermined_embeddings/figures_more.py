"""Charts of the whole protocol, drawn from its metrics: the curve, new words seen a few times, blocks, novels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feasibility.charts import GRID, INK, canvas, svg
from feasibility.harness import Metric
from feasibility.predetermined_embeddings.figures import BOTH, CONTROL, KNOWN, LEARNED, NAMES, TICKS
from feasibility.predetermined_embeddings.tables import BLOCKS

Metrics = Mapping[str, Metric]
# Label -> colour, marker, line.
CURVES = {"gaussian": (CONTROL, "^", ":"), "learned": (LEARNED, "s", "-"), "predetermined": (KNOWN, "o", "-")}
ROWS = {
    "unknown": ("row for unknown words", CONTROL, ":"),
    "class_mean": ("mean of the part of speech", INK, ":"),
    "ridge": ("ridge map from coordinates", BOTH, ":"),
    "learned": ("learned row", LEARNED, "-"),
    "residual": ("predetermined + small learned part", BOTH, "-"),
    "initialised": ("predetermined, then trained", BOTH, "--"),
    "predetermined": ("predetermined", KNOWN, "-"),
}
TEXTS = {"predetermined": KNOWN, "residual": BOTH, "initialised": BOTH, "ppmi": INK, "shuffled": CONTROL,
         "gaussian": CONTROL}  # fmt: skip


def sizes(metrics: Metrics, start: str, end: str = "") -> list[int]:
    """The numbers that stand between these in names of metrics, in order."""
    found = [
        name[len(start) : len(name) - len(end)] for name in metrics if name.startswith(start) and name.endswith(end)
    ]
    return sorted(int(number) for number in found if number.isdecimal())


def curve_chart(metrics: Metrics) -> str:
    """Nats above the floor by number of sentences, with 95 % intervals; logarithmic axes.

    Args:
        metrics: with "curve learned 500" and the like.
    """
    figure, (axes,) = canvas(7.2, 4.4)
    every, ends = sizes(metrics, "curve learned "), []
    for label, (colour, marker, line) in CURVES.items():
        own = [size for size in every if f"curve {label} {size}" in metrics]
        row = [metrics[f"curve {label} {size}"] for size in own]
        axes.errorbar(own, [m.value for m in row], _reach(row), color=colour, marker=marker, linestyle=line,
                      linewidth=2, markersize=5, label=NAMES[label])  # fmt: skip
        ends += [end for m in row for end in (m.value, *m.ci95) if end > 0]
    ticks = [t for t in TICKS if min(ends) / 1.3 <= t <= 1.3 * max(ends)]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(every, [f"{size:,}" for size in every])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("sentences to learn from")
    axes.set_ylabel("nats a token above the floor")
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
    return svg(figure)


def shots_chart(metrics: Metrics) -> str:
    """Nats above the law after a new word, by how often it was seen, and by where its row comes from.

    Args:
        metrics: with "shots 0 learned" and the like.
    """
    figure, (axes,) = canvas(7.2, 4.8)
    every = sizes(metrics, "shots ", " learned")
    for label, (name, colour, line) in ROWS.items():
        shown = [
            (place, metrics[f"shots {k} {label}"]) for place, k in enumerate(every) if f"shots {k} {label}" in metrics
        ]
        if shown:
            places, row = zip(*shown, strict=True)
            nudge = 0.05 * (list(ROWS).index(label) - 3)
            axes.errorbar([place + nudge for place in places], [m.value for m in row], _reach(row), color=colour,
                          linestyle=line, marker="o", linewidth=1.8, elinewidth=1, markersize=4,
                          label=name)  # fmt: skip
    axes.set_xticks(range(len(every)), [str(k) for k in every])
    axes.set_ylim(bottom=0.0)
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("how often the new word was seen in training")
    axes.set_ylabel("nats above the law of the next word")
    figure.legend(frameon=False, loc="outside upper center", ncols=2, fontsize=9)
    return svg(figure)


def blocks_chart(metrics: Metrics) -> str:
    """After new words: what the table loses without a block, and what it saves against UNK with that block alone.

    Args:
        metrics: with "without verb, new words" and "only verb, new words" and the like.
    """
    figure, panels = canvas(8.2, 1.4 + 0.36 * len(BLOCKS), 2)
    order = sorted(BLOCKS, key=lambda block: metrics[f"without {block}, new words"].value)
    said = ("nats lost without it", "nats saved against UNK, alone")
    for axes, start, label in zip(panels, ("without", "only"), said, strict=True):
        _dots(axes, [metrics[f"{start} {block}, new words"] for block in order], [KNOWN] * len(order))
        axes.set_yticks(range(len(order)), order if axes is panels[0] else [""] * len(order))
        axes.set_xlabel(label)
    return svg(figure)


def text_chart(metrics: Metrics) -> str:
    """Perplexity on novels against a learned table by kind of table, a panel for each size.

    Args:
        metrics: with "text 10000 predetermined" and the like, in percent.
    """
    every = sizes(metrics, "text ", " predetermined")
    figure, panels = canvas(3.2 + 2.2 * len(every), 3.4, len(every))
    labels = [label for label in reversed(TEXTS) if f"text {every[0]} {label}" in metrics]
    for axes, size in zip(panels, every, strict=True):
        _dots(axes, [metrics.get(f"text {size} {label}") for label in labels], [TEXTS[label] for label in labels])
        axes.set_yticks(range(len(labels)), [NAMES[x] for x in labels] if axes is panels[0] else [""] * len(labels))
        axes.set_title(f"{size:,} words", fontsize=11)
        axes.set_xlabel("% perplexity to learned")
    return svg(figure)


def _dots(axes: Any, row: Sequence[Metric | None], colours: Sequence[str]) -> None:
    """Values with their intervals, one above the other, beside a line at 0; None where there is none."""
    axes.axvline(0.0, color=LEARNED, linewidth=1, linestyle=":")
    for place, (metric, colour) in enumerate(zip(row, colours, strict=True)):
        if metric is not None:
            axes.plot(metric.ci95, [place, place], color=colour, linewidth=2)
            axes.plot(metric.value, place, "o", color=colour, markersize=6)
    axes.set_ylim(-0.7, len(row) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=GRID)


def _reach(row: Sequence[Metric]) -> list[list[float]]:
    return [[m.value - m.ci95[0] for m in row], [m.ci95[1] - m.value for m in row]]

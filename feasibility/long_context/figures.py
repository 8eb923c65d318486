"""The charts of the experiment `long_context`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping

from feasibility.charts import GRID, INK, canvas, svg
from feasibility.scaling.figures import COLOURS, MARKERS

Curve = Mapping[int, float]


def position_chart(losses: Mapping[str, Curve], streams: Mapping[str, Curve], trained: int) -> str:
    """Loss by the number of tokens before: in chunks, and in a stream that goes on beyond what was trained.

    Args:
        losses: pattern -> end of a stretch of positions -> nats a token, over all held-out chunks.
        streams: the same in one stream over one text.
        trained: tokens of a training chunk.
    """
    figure, axes = canvas(9.6, 4.0, panels=2)
    for panel, curves, title in zip(
        axes, (losses, streams), ("all test novels, in chunks", "one stream, one novel"), strict=True
    ):
        for name, curve in curves.items():
            panel.plot(
                list(curve), list(curve.values()), MARKERS.get(name, "o") + "-", color=COLOURS.get(name, INK),
                label=name, markersize=4, linewidth=1.5,
            )  # fmt: skip
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:,g}")
        panel.set_title(title, fontsize=11)
        panel.set_xlabel("pieces read before (up to)")
        panel.grid(axis="y", color=GRID)
    axes[1].axvline(trained, color=INK, linewidth=1, linestyle=":")
    axes[1].text(trained, axes[1].get_ylim()[1], " trained so far ", fontsize=9, va="top", ha="right", rotation=90)
    axes[0].set_ylabel("nats a piece")
    axes[0].legend(frameon=False, fontsize=9)
    return svg(figure)


def stream_chart(times: Mapping[str, Curve], sizes: Mapping[str, Curve]) -> str:
    """Milliseconds and remembered MiB of a generated token by the length of the text before it.

    Args:
        times: pattern -> tokens before -> milliseconds.
        sizes: pattern -> tokens before -> MiB.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = canvas(9.6, 3.8, panels=2)
    for panel, curves, label in zip(axes, (times, sizes), ("ms a piece", "MiB remembered"), strict=True):
        for name in sorted(curves, key=list(COLOURS).index):
            curve = curves[name]
            panel.plot(
                list(curve), list(curve.values()), MARKERS.get(name, "o") + "-", color=COLOURS.get(name, INK),
                label=name, markersize=5, linewidth=1.5,
            )  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter("")
        panel.set_xlabel("pieces before")
        panel.set_ylabel(label)
        panel.grid(axis="y", color=GRID)
    axes[1].legend(frameon=False, fontsize=9)
    return svg(figure)


def recall_chart(names: Mapping[str, Mapping[str, tuple[float, float, int]]]) -> str:
    """Loss on names by how long ago they were last seen, with a long and with a short context.

    Args:
        names: pattern -> stretch of distances -> nats with the long context, with the short one, how many.
    """
    figure, (axes,) = canvas(7.2, 3.8)
    for name, by_place in names.items():
        colour = COLOURS.get(name, INK)
        places = list(by_place)
        axes.plot(places, [by_place[x][0] for x in places], MARKERS.get(name, "o") + "-", color=colour, label=name)
        axes.plot(places, [by_place[x][1] for x in places], ":", color=colour, linewidth=1.2)
    counts = next(iter(names.values()))
    labels = [f"{_distance(place)}\n({count:,})" for place, (_, _, count) in counts.items()]
    axes.set_xticks(range(len(labels)), labels, fontsize=9)
    axes.set_xlabel("pieces since the name was last seen (names); dotted: short context")
    axes.set_ylabel("nats on names")
    axes.grid(axis="y", color=GRID)
    axes.legend(frameon=False)
    return svg(figure)


def _distance(place: str) -> str:
    return "never" if place == "first" else f"under {int(place[1:]):,}"

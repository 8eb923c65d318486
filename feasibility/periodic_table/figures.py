"""The charts of the experiment `periodic_table`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feasibility.charts import GRID, INK, canvas, svg
from feasibility.harness import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHER, SOFT = "#0072B2", "#8a97a8", "#5f6670"
CONTROLS = {
    "ppmi_svd": "vectors from the training text",
    "frequency": "frequency",
    "shuffled": "the table, rows shuffled",
    "random": "random numbers",
    "pos_only": "part of speech",
}
CLASSES = {
    "NOUN": "nouns",
    "VERB": "verbs",
    "ADJ": "adjectives",
    "ADV": "adverbs",
    "PROPN": "names",
    "PRON": "pronouns",
    "ADP": "adpositions",
    "DET": "determiners",
    "AUX": "auxiliaries",
    "SCONJ": "subordinators",
    "CCONJ": "coordinators",
    "NUM": "numerals",
    "PUNCT": "punctuation",
}
# Of the map: a colour for each part of speech, and the fewest words that make a region or a row of a chart.
TAGS = {"NOUN": "#2b6cb0", "VERB": "#c0392b", "ADJ": "#b58900", "ADV": "#7d6b1e"}
FEWEST = 8


def bonds(
    metrics: Mapping[str, Metric],
    baselines: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
) -> str:
    """AUC of the table and of every control, for pairs and for words that the training text does not have.

    Args:
        metrics: with `bonds_pairs` and `bonds_words`.
        baselines: the controls' values.
        intervals: the controls' 95% intervals.
    """
    figure, axes = canvas(9.0, 3.3, 2)
    for place, (name, title, bar) in enumerate(
        (("bonds_pairs", "pairs unseen in training", 0.62), ("bonds_words", "words unseen in training", 0.60))
    ):
        rows = [("the table", metrics[name].value, metrics[name].ci95, OURS)]
        for control, label in CONTROLS.items():
            value = baselines[control][name]
            rows.append((label, value, intervals.get(control, {}).get(name, (value, value)), OTHER))
        _dots(axes[place], rows, place == 0)
        axes[place].axvline(0.5, color=INK, linewidth=1)
        axes[place].axvline(bar, color=INK, linewidth=1.2, linestyle="--")
        axes[place].annotate(f"bar {bar:.2f}", (bar, -0.62), (4, 0), textcoords="offset points", fontsize=9)
        axes[place].set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes[place].set_xlim(0.44, 0.74)
        axes[place].set_xlabel("AUC (0.5 says nothing)")
    return svg(figure)


def norms(judged: Sequence[Mapping[str, Any]]) -> str:
    """Correlations with human judgements, each with its bar and its strongest control.

    Args:
        judged: bars as `feasibility.harness.judge_criterion` gives them.
    """
    names = {
        "sp10k_nsubj": "plausible subjects",
        "sp10k_dobj": "plausible objects",
        "sp10k_amod": "plausible adjectives",
        "simlex": "similarity (SimLex-999)",
        "concreteness": "concreteness",
    }
    figure, (axes,) = canvas(8.0, 0.62 * len(judged) + 1.2, 1)
    _dots(axes, [(names[one["metric"]], one["value"], tuple(one["ci95"]), OURS) for one in judged], True)
    for row, one in enumerate(judged):
        axes.plot([one["threshold"]] * 2, [row - 0.32, row + 0.32], "--", color=INK, linewidth=1.3)
        axes.plot(one["baseline"]["value"], row, "s", color=OTHER, markersize=7)
    axes.plot([], [], "--", color=INK, label="bar")
    axes.plot([], [], "s", color=OTHER, label="frequency (similarity: vectors from text)")
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=9.5)
    axes.set_xlim(min(-0.05, *(one["baseline"]["value"] - 0.05 for one in judged)), 1.0)
    axes.set_xlabel("correlation on the half for verdicts")
    return svg(figure)


def leading(by_class: Mapping[str, tuple[int, float, float]]) -> str:
    """Words whose leading bond was told, by part of speech: from the place, and from the part of speech alone.

    Args:
        by_class: part of speech -> (number of words, percent by place, percent by part of speech), largest first.
    """
    shown = [(tag, *row) for tag, row in by_class.items() if row[0] >= FEWEST]
    figure, (axes,) = canvas(8.0, 0.42 * len(shown) + 1.4, 1)
    for row, (_, _, place, plain) in enumerate(shown):
        axes.plot([plain, place], [row, row], color=GRID, linewidth=4, zorder=1, solid_capstyle="round")
        axes.plot(plain, row, "o", color=OTHER, markersize=8, zorder=2)
        axes.plot(place, row, "o", color=OURS, markersize=8, zorder=3)
    axes.plot([], [], "o", color=OURS, label="from the place")
    axes.plot([], [], "o", color=OTHER, label="from the part of speech")
    axes.set_yticks(range(len(shown)), [f"{CLASSES.get(tag, tag)} ({number})" for tag, number, *_ in shown])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.grid(axis="x", color=GRID)
    axes.set_xlim(right=101)
    axes.set_xlabel("leading bond told, % of the words left out, one by one")
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    return svg(figure)


def word_map(points: NDArray[np.float64], labels: Sequence[tuple[str, str, str]]) -> str:
    """Words as points of the plane, coloured by part of speech; every region with its commonest supersense.

    Args:
        points: [n, 2].
        labels: (word, part of speech, supersense) of each.
    """
    figure, (axes,) = canvas(11.0, 8.6, 1)
    at = points / np.abs(points).max()
    written: list[tuple[float, float, float]] = []
    axes.scatter(at[:, 0], at[:, 1], s=9, c=[TAGS[tag] for _, tag, _ in labels], alpha=0.75, linewidths=0)
    for (x, y), (word, tag, _) in zip(at.tolist(), labels, strict=True):
        width = 0.0135 * len(word) + 0.02
        # A word is written where it hides no other; the table lists the most useful first.
        if all(abs(y - other_y) > 0.03 or x + width < left or x > right for left, right, other_y in written):
            written.append((x, x + width, y))
            axes.annotate(word, (x, y), (2.5, -2.5), textcoords="offset points", fontsize=6.6, color=TAGS[tag])
    for x, y, name, tag in _regions(at, labels):
        axes.text(
            x,
            y,
            name,
            fontsize=12.5,
            fontweight="bold",
            color=TAGS[tag],
            alpha=0.32,
            ha="center",
            va="center",
            zorder=0,
        )
    for tag, name in (("NOUN", "nouns"), ("VERB", "verbs"), ("ADJ", "adjectives"), ("ADV", "adverbs")):
        axes.plot([], [], "o", color=TAGS[tag], label=name)
    axes.axis("off")
    axes.set_aspect("equal")
    figure.legend(frameon=False, loc="outside upper center", ncols=4)
    return svg(figure)


def _regions(at: NDArray[np.float64], labels: Sequence[tuple[str, str, str]]) -> list[tuple[float, float, str, str]]:
    """Where the words of a supersense are densest: (x, y, name, part of speech); the largest first."""
    senses = Counter(sense for _, tag, sense in labels if tag in ("NOUN", "VERB"))
    found: list[tuple[float, float, str, str]] = []
    for name, number in senses.most_common():
        if number >= FEWEST:
            own = np.array([place for place, (_, _, sense) in enumerate(labels) if sense == name])
            distance = np.sort(np.linalg.norm(at[own][:, None] - at[own][None], axis=2), axis=1)
            x, y = at[own[distance[:, : FEWEST // 2].sum(axis=1).argmin()]].tolist()
            # Below a name that stands there already.
            while any(abs(y - other[1]) < 0.055 and abs(x - other[0]) < 0.3 for other in found):
                y -= 0.02
            found.append((x, y, name.partition(".")[2], labels[own[0]][1]))
    return found


def _dots(axes: Axes, rows: Sequence[tuple[str, float, tuple[float, float], str]], named: bool) -> None:
    """Values with their intervals, one below the other."""
    for row, (_, value, (low, high), colour) in enumerate(rows):
        axes.plot([low, high], [row, row], color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot(value, row, "o", color=colour, markersize=8)
        # On white, for the line of a bar may run behind it.
        axes.annotate(
            f"{value:.2f}",
            (high, row),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_yticks(range(len(rows)), [name if named else "" for name, *_ in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.85)
    axes.grid(axis="x", color=GRID)

"""The figures of the experiment `md_parser`, each as the text of an SVG file: same data, same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyArrowPatch, PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from dynamics import Parse, Parser
from feasibility.harness import Metric
from feasibility.md_parser.cost import Cost
from feasibility.toy_grammar.sentences import Sentence

STYLE: Any = {
    "svg.hashsalt": "md_parser",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": "#333333",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "text.color": "#222222",
    "grid.color": "#dddddd",
    "lines.linewidth": 1.8,
}
OURS, OTHER, CEILING, WRONG = "#d55e00", "#56749c", "#3a7d44", "#c0182b"

ROWS = (
    ("previous", "previous word", OTHER),
    ("next", "next word", OTHER),
    ("greedy", "greedy", OTHER),
    ("cle", "Chu-Liu/Edmonds", OTHER),
    ("eisner", "Eisner", OTHER),
    ("after_0_steps", "the chain, unrelaxed", OURS),
    ("md", "relaxation", OURS),
    ("greedy_distance", "greedy, charges with distance", OTHER),
    ("learned_eisner", "Eisner, learned charges", OTHER),
    ("reactive", "reactive bonds", OURS),
    ("pcfg", "the grammar itself (Viterbi)", CEILING),
    ("pcfg_marginals", "the grammar itself (marginals)", CEILING),
)
ABLATIONS = (
    ("md", "all forces"),
    ("without_attraction", "no charges, no pull"),
    ("without_valence", "no valence"),
    ("without_shadow", "no shadow"),
    ("without_repulsion", "no repulsion"),
    ("without_backbone", "no backbone"),
    ("without_hierarchy", "no hierarchy"),
    ("without_charges_and_valence", "no charges, no valence"),
    ("permuted", "charges at random"),
)


def svg(figure: Figure) -> str:
    """A figure as SVG text without a date, so that equal figures are equal files."""
    FigureCanvasAgg(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    return buffer.getvalue()


def accuracy(
    metrics: dict[str, Metric], baselines: dict[str, dict[str, float]], intervals: dict[str, tuple[float, float]]
) -> str:
    """UAS of all parsers, and of the relaxation with each force switched off.

    Args:
        metrics: with `uas`, `uas_reactive` and `uas_permuted`.
        baselines: with the `uas` of every row that is to be drawn.
        intervals: of those rows for which one was computed.
    """
    values = {name: row["uas"] for name, row in baselines.items() if "uas" in row}
    own = {"md": metrics["uas"], "reactive": metrics["uas_reactive"], "permuted": metrics["uas_permuted"]}
    values |= {name: metric.value for name, metric in own.items()}
    known = {**intervals, **{name: metric.ci95 for name, metric in own.items()}}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.6, 4.4), layout=ConstrainedLayoutEngine(wspace=0.06))
        left, right = figure.subplots(1, 2)
        _bars(left, [(label, name, color) for name, label, color in ROWS if name in values], values, known)
        _bars(right, [(label, name, OURS) for name, label in ABLATIONS if name in values], values, known)
        left.set_title("Parsers", loc="left", fontweight="bold")
        right.set_title("Relaxation with one force off", loc="left", fontweight="bold")
        return svg(figure)


def _bars(
    axes: Axes,
    rows: Sequence[tuple[str, str, str]],
    values: dict[str, float],
    intervals: dict[str, tuple[float, float]],
) -> None:
    """Horizontal bars (label, name, colour) from the top down, with their values and, where known, intervals."""
    for place, (_, name, color) in enumerate(rows):
        value = values[name]
        low, high = intervals.get(name, (value, value))
        axes.barh(place, value, color=color, height=0.66, alpha=1.0 if name == "md" else 0.72)
        if high > low:
            axes.errorbar(value, place, xerr=[[value - low], [high - value]], color="#222222", capsize=3, linewidth=1.2)
        axes.text(max(value, high) + 2.4, place, f"{value:.1f}", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("right heads (UAS, %), with 95 % intervals")
    axes.tick_params(axis="y", length=0)


def steps(parser: Parser, sentences: Sequence[Sentence]) -> str:
    """UAS and free energy after every step, on average over sentences; a sentence at rest stays as it is."""
    parses = [parser.parse(s.words, s.tags, record=True) for s in sentences]
    last = max(parse.steps for parse in parses)
    right, energy = np.zeros(last + 1), np.zeros(last + 1)
    for parse, gold in zip(parses, sentences, strict=True):
        trajectory = parse.trajectory
        assert trajectory is not None
        for step in range(last + 1):
            moment = min(step, parse.steps)
            right[step] += (trajectory.heads_at(moment) == gold.heads).sum()
            energy[step] += trajectory.energy[moment]
    words = sum(len(s.tags) for s in sentences)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(100.0 * right / words, color=OURS)
        upper.set_ylabel("UAS (%)")
        lower.plot(energy / words, color=OTHER)
        lower.set_ylabel("free energy\nper word (nat)")
        lower.set_xlabel("step")
        cooling = parser.field.constants.cooling_steps
        for axes in (upper, lower):
            axes.grid(axis="y")
            if cooling:
                axes.axvspan(0, cooling, color="#f3e3d3", zorder=0, linewidth=0)
        if cooling:
            middle = (0.5 * cooling, 0.06)
            place = ("data", "axes fraction")
            upper.annotate("cooling", middle, xycoords=place, ha="center", fontsize=8, color="#8a5a2b")
        lower.set_xlim(0, last)
        return svg(figure)


def cost(rows: Sequence[Cost], exponent: Metric) -> str:
    """Microseconds per sentence against its length, on logarithmic axes: medians with the middle half of the sentences.

    Args:
        rows: grouped by the length that was asked for; a sentence may have a few words more.
        exponent: of the time of the relaxation.
    """
    lengths = np.array([row.nominal for row in rows])
    ticks = np.unique(lengths)
    groups = [lengths == tick for tick in ticks]
    names = (("md", "relaxation until rest", OURS, "o"), ("eisner", "Eisner", OTHER, "s"))
    more = (("cle", "Chu-Liu/Edmonds", "#8d6aa8", "^"), ("greedy", "greedy", "#999999", "v"))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        for name, label, color, marker in names + more:
            times = np.array([row.microseconds[name] for row in rows])
            slope = f", ~ n^{exponent.value:.1f}" if name == "md" else ""
            low, middle, high = np.array([np.quantile(times[group], (0.25, 0.5, 0.75)) for group in groups]).T
            axes.fill_between(ticks, low, high, color=color, alpha=0.2, linewidth=0)
            axes.plot(ticks, middle, marker=marker, markersize=4.5, color=color, label=label + slope)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("words in the sentence (n)")
        axes.set_ylabel("microseconds per sentence (median, quartiles)")
        axes.grid()
        axes.legend(frameon=False, loc="upper left")
        return svg(figure)


def examples(parser: Parser, sentences: Sequence[Sentence]) -> tuple[Sentence, Sentence]:
    """A long sentence that is parsed right, to be animated, and one that is not, to be drawn.

    Where all are right, or none is, both are the first long sentence.
    """
    longest = max(len(s.tags) for s in sentences[:200])
    long = [s for s in sentences[:200] if len(s.tags) >= longest - 1]
    right = {id(s): bool((parser.parse(s.words, s.tags).heads == s.heads).all()) for s in long}
    return (
        next((s for s in long if right[id(s)]), long[0]),
        next((s for s in long if not right[id(s)]), long[0]),
    )


def arcs(parser: Parser, sentence: Sentence) -> str:
    """The tree found, above the words, and the gold tree, below them; wrong bonds are red."""
    parse = parser.parse(sentence.words, sentence.tags)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(6.0, 0.95 * len(sentence.words) + 1.0), 3.8), layout="constrained")
        axes = figure.subplots()
        draw_arcs(axes, sentence, parse)
        return svg(figure)


def draw_arcs(axes: Axes, sentence: Sentence, parse: Parse) -> None:
    """Draw the found tree above the words of a sentence and the gold tree below them.

    Args:
        axes: emptied of ticks and frame.
        sentence: with the gold tree.
        parse: of the same sentence.
    """
    count = len(sentence.words)
    for place, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True), 1):
        axes.text(place, 0.16, word, ha="center", va="center", fontsize=11)
        axes.text(place, -0.2, tag, ha="center", va="center", fontsize=8, color="#777777")
    wrong = parse.heads != sentence.heads
    up = _draw_tree(axes, parse.heads, parse.labels, wrong, 1)
    down = _draw_tree(axes, sentence.heads, sentence.labels, wrong, -1)
    axes.text(0.35, up, "relaxation", fontweight="bold", va="top")
    axes.text(0.35, -down, "gold", fontweight="bold", va="bottom")
    axes.set_xlim(0.3, count + 0.7)
    axes.set_ylim(-down - 0.15, up + 0.15)
    axes.axis("off")


def _draw_tree(
    axes: Axes, heads: NDArray[np.int64], labels: Sequence[str], wrong: NDArray[np.bool_], side: int
) -> float:
    """One tree as arcs on one side of the words; returns the height of the tallest."""
    base, tallest = 0.42, 1.0
    for place, (head, label, bad) in enumerate(zip(heads.tolist(), labels, wrong.tolist(), strict=True), 1):
        color = WRONG if bad else "#4a4a4a"
        if head == 0:
            tallest = max(tallest, base + 0.75)
            axes.add_patch(
                FancyArrowPatch(
                    (place, side * (base + 0.75)), (place, side * base), arrowstyle="-|>", mutation_scale=9, color=color
                )
            )
            axes.text(place - 0.08, side * (base + 0.62), label, color=color, fontsize=8, ha="right", va="center")
            continue
        width = abs(head - place)
        height = base + 0.42 * width
        # The top of a cubic arc lies at three quarters of its control points.
        tallest = max(tallest, base + 0.8 * (height - base))
        # Arcs leave a head a little towards their dependent, so that two of them do not share a foot.
        start = head + 0.14 * np.sign(place - head)
        path = Path(
            [(start, side * base), (start, side * height), (place, side * height), (place, side * base)],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        axes.add_patch(PathPatch(path, fill=False, edgecolor=color, linewidth=1.4))
        axes.plot([place], [side * base], marker="v" if side > 0 else "^", markersize=5, color=color)
        axes.text(
            (start + place) / 2,
            side * (base + 0.75 * (height - base)),
            label,
            color=color,
            fontsize=8,
            ha="center",
            va="center",
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"},
        )
    return tallest

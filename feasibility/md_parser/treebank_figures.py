"""The figures of the experiment `md_parser_treebank`, each as the text of an SVG file: same data, same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynamics.conllu import Sentence
from feasibility.harness import Metric
from feasibility.md_parser.figures import CEILING, OTHER, OURS, STYLE, draw_arcs, svg
from feasibility.md_parser.treebank_cost import Cost
from feasibility.md_parser.treebank_measure import STEPS, Bench, Rows
from feasibility.toy_grammar.sentences import Sentence as Drawn

if TYPE_CHECKING:
    from dynamics.reactive.parser import ReactiveParser

PARSERS = (
    ("counts_greedy", "counts without distance: greedy", OTHER),
    ("counts_eisner", "counts without distance: Eisner", OTHER),
    ("counts_eisner_distance", "the same with a distance term", OTHER),
    ("spatial", "counts without distance: forces in space", OURS),
    ("transition", "greedy transition parser", CEILING),
    ("graph", "structured perceptron", CEILING),
    ("mira", "MIRA", CEILING),
    ("greedy", "charges: greedy", OTHER),
    ("eisner", "charges: Eisner", OTHER),
    ("votes_eisner", "charges and label votes: Eisner", OTHER),
    ("control", "trained votes, no couplings", OTHER),
    ("reactive", "reactive bonds", OURS),
)
LEARNED = {
    "control": "no couplings",
    "sites_3d": "from places in 3-D",
    "sites_8d": "from places in 8-D",
    "sites_free": "free",
}
SPANS = ("1_to_10", "11_to_20", "21_to_40", "over_40")
# Bonding sites in the heat map: the most frequent ones.
SITES = 18


def accuracy(metrics: dict[str, Metric], rows: Rows) -> str:
    """UAS of all parsers, and of the better ones against the length of the sentence.

    Args:
        metrics: of the reactive parser.
        rows: of all others.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        known = [(name, label, color) for name, label, color in PARSERS if name == "reactive" or name in rows]
        values = [metrics["uas"].value if name == "reactive" else rows[name]["uas"] for name, _, _ in known]
        bars = left.barh(range(len(known)), values, color=[color for *_, color in known], height=0.68)
        left.bar_label(bars, [f"{value:.1f}" for value in values], padding=4, fontsize=9)
        left.set_yticks(range(len(known)), [label for _, label, _ in known])
        left.invert_yaxis()
        left.set_xlim(0, 108)
        left.set_xlabel("right heads (UAS, %)")
        left.tick_params(axis="y", length=0)
        for name, label, color, marker in (
            ("reactive", "reactive bonds", OURS, "o"),
            ("mira", "MIRA, exact search", CEILING, "s"),
            ("eisner", "Eisner, same charges", OTHER, "^"),
            ("transition", "greedy transition", "#999999", "v"),
        ):
            spans = [span for span in SPANS if f"uas_{span}" in metrics]
            line = [metrics[f"uas_{s}"].value if name == "reactive" else rows[name][f"uas_{s}"] for s in spans]
            right.plot(range(len(spans)), line, color=color, marker=marker, markersize=5, label=label)
        right.set_xticks(range(len(spans)), [span.replace("_", " ") for span in spans])
        right.set_xlabel("words in the sentence")
        right.set_ylabel("UAS (%)")
        right.grid(axis="y")
        right.legend(frameon=False)
        return svg(figure)


def ablations(metrics: dict[str, Metric], rows: Rows) -> str:
    """UAS and LAS with one coupling off, after so many steps, and read in another way; the axis does not start at 0.

    Args:
        metrics: of the reactive parser.
        rows: with the variants.
    """
    lists = (
        ("Learned with less: couplings of two bonding sites, whatever the words", list(LEARNED)),
        ("One coupling off", [name for name in rows if name.startswith(("without_", "with_"))]),
        ("So many steps", [f"after_{steps}_steps" for steps in STEPS]),
        ("Another reading", [name for name in rows if name.startswith("read_by_")]),
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 7.6), layout="constrained")
        panels = figure.subplots(len(lists), 1, sharex=True, height_ratios=[len(names) + 1.4 for _, names in lists])
        for axes, (title, names) in zip(panels, lists, strict=True):
            for place, name in enumerate(names):
                axes.plot([rows[name]["las"], rows[name]["uas"]], [place, place], color="#cccccc", linewidth=1.2)
                axes.plot(rows[name]["uas"], place, "o", color=OURS, markersize=6)
                axes.plot(rows[name]["las"], place, "D", color=OTHER, markersize=5)
                axes.annotate(f"{rows[name]['uas']:.1f}", (rows[name]["uas"], place), (7, 0), **_BESIDE)
            for metric, color in (("uas", OURS), ("las", OTHER)):
                axes.axvline(metrics[metric].value, color=color, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            axes.set_yticks(range(len(names)), [_told(name) for name in names])
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_title(title, loc="left", fontweight="bold", fontsize=10)
            axes.tick_params(axis="y", length=0)
        panels[-1].set_xlabel("%: right heads (UAS, circles) and labels (LAS, diamonds); dashed: nothing changed")
        panels[-1].margins(x=0.09)
        return svg(figure)


_BESIDE: Any = {
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 8,
    "bbox": {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
}


def _told(name: str) -> str:
    if name in LEARNED:
        return LEARNED[name]
    words = name.removeprefix("without_").removeprefix("read_by_").removeprefix("after_").replace("with_", "+ ")
    return words.replace("_", " ").replace("cle", "Chu-Liu/Edmonds").replace("eisner", "Eisner")


def steps(bench: Bench, most: int = 300, last: int = 40) -> str:
    """What happens step by step, on average over words: right heads, free energy, doubt, and how much still changes.

    Args:
        bench: with judged sentences.
        most: how many of them are followed.
        last: the last step that is drawn; a sentence at rest stays as it is.
    """
    curves, words = np.zeros((4, last + 1)), 0
    for s in bench.judged[:most]:
        trajectory = bench.parser.parse(s.tokens, s.upos, record=True, xpos=s.xpos).trajectory
        assert trajectory is not None
        n = len(s.tokens)
        words += n
        shares = trajectory.populations
        doubt = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=(1, 2))
        moved = np.abs(np.diff(shares, axis=0, prepend=shares[:1])).sum(axis=2).max(axis=1)
        for step in range(last + 1):
            moment = min(step, len(shares) - 1)
            rest = 0.0 if step > moment else float(moved[moment])
            right = (trajectory.heads_at(moment) == np.array(s.heads)).sum()
            curves[:, step] += right, trajectory.energy[moment], doubt[moment], rest * n
    curves /= words
    names = (
        "UAS (%), firmest bonds",
        "free energy\nper word (nat)",
        "doubt per word (nat)",
        "greatest change\nof a word",
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 5.0), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True).ravel()
        for axes, name, curve, scale, color in zip(
            panels, names, curves, (100.0, 1.0, 1.0, 1.0), (OURS, OTHER, OTHER, OTHER), strict=True
        ):
            first = 1 if name.startswith("greatest") else 0
            axes.plot(range(first, last + 1), scale * curve[first:], color=color)
            axes.set_ylabel(name)
            axes.grid(axis="y")
        panels[3].set_yscale("log")
        panels[2].set_xlabel("step")
        panels[3].set_xlabel("step")
        panels[0].set_xlim(0, last)
        return svg(figure)


def cost(rows: Sequence[Cost], metrics: dict[str, Metric]) -> str:
    """Microseconds against the length on logarithmic axes: medians and ranges of several sentences.

    Args:
        rows: grouped by length.
        metrics: with the exponents and the crossover.
    """
    lengths = sorted({row.length for row in rows})
    lines = (
        ("relaxation", f"eight steps, ~ n^{metrics['relaxation_time_exponent'].value:.2f}", OURS, "o"),
        ("until_rest", "relaxation until rest", "#e8905a", "^"),
        ("eisner", "Eisner on ready charges", OTHER, "s"),
        ("charges", "charges of all bonds", "#999999", "v"),
        ("whole", f"from words to tree, ~ n^{metrics['pipeline_exponent'].value:.2f}", "#222222", "D"),
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 4.6), layout="constrained")
        axes = figure.subplots()
        for name, label, color, marker in lines:
            times = np.array([[getattr(row, name) for row in rows if row.length == n] for n in lengths])
            axes.fill_between(lengths, times.min(axis=1), times.max(axis=1), color=color, alpha=0.15, linewidth=0)
            axes.plot(lengths, np.median(times, axis=1), color=color, marker=marker, markersize=4.5, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(lengths, [str(n) for n in lengths])
        axes.minorticks_off()
        axes.set_xlabel("words in the sentence (n)")
        axes.set_ylabel("microseconds per sentence")
        axes.grid()
        axes.legend(frameon=False, loc="upper left")
        return svg(figure)


def valence(bench: Bench) -> str:
    """The learned couplings of the most frequent bonding sites, see `valence_map`.

    Args:
        bench: parser, and training sentences to count the sites in.
    """
    counted = Counter(
        (label.split(":")[0], "◂" if place < head else "▸")
        for s in bench.train
        for place, (head, label) in enumerate(zip(s.heads, s.labels, strict=True), 1)
        if head
    )
    return valence_map(bench.parser, sorted((site for site, _ in counted.most_common(SITES)), key=lambda x: x[::-1]))


def valence_map(parser: ReactiveParser, sites: Sequence[tuple[str, str]]) -> str:
    """What two bonds at one head learned of each other, whatever the words: red pairs shun, blue ones seek each other.

    Args:
        parser: any.
        sites: (label, "◂" or "▸") of the dependents, to the left or to the right of their head; unknown labels are left
            out.
    """
    names = parser.model.inventory.labels
    known = [site for site in sites if site[0] in names]
    # Of a label's two sites the second is that of dependents to the left.
    places = [names.index(label) + (len(names) if side == "◂" else 0) for label, side in known]
    told = [f"{side} {label}" for label, side in known]
    part = sibling_table(parser)[np.ix_(places, places)]
    limit = float(np.abs(part).max(initial=1e-6))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 6.2), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(part, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_xticks(range(len(places)), told, rotation=90)
        axes.set_yticks(range(len(places)), told)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title("Two dependents of one head, to its left (◂) or right (▸)", loc="left", fontsize=10)
        figure.colorbar(image, ax=axes, shrink=0.7, label="coupling (nat): < 0 shun, > 0 seek each other")
        return svg(figure)


def sibling_table(parser: ReactiveParser) -> NDArray[np.float64]:
    """[Z, Z] float64 in nat, symmetric: the learned coupling of two bonding sites of one head."""
    from dynamics.reactive.couplings import TABLES

    sites = parser.model.sites
    table = parser.model.constants[TABLES : TABLES + sites * sites].reshape(sites, sites).astype(float)
    symmetric: NDArray[np.float64] = 0.5 * (table + table.T)
    return symmetric


def examples(bench: Bench) -> tuple[Sentence, Sentence]:
    """A sentence that is parsed right, to be animated, and one with a few wrong heads, to be drawn; 9 to 13 words each.

    Where there is none, the longest of the first sentences stands in.
    """
    some = [s for s in bench.judged[:600] if 9 <= len(s.tokens) <= 13 and "VERB" in s.upos]
    wrong = {}
    for number, s in enumerate(some):
        heads = bench.parser.parse(s.tokens, s.upos, xpos=s.xpos).heads
        wrong[number] = int((heads != np.array(s.heads)).sum())
    longest = max(bench.judged[:50], key=lambda s: len(s.tokens) if len(s.tokens) <= 20 else 0)
    # Wide trees look better than chains: the right one with most depth is taken.
    right = [some[number] for number, count in wrong.items() if count == 0]
    flawed = [some[number] for number, count in wrong.items() if 1 <= count <= 3]
    return max(right, key=_depth, default=longest), (flawed[0] if flawed else longest)


def _depth(s: Sentence) -> float:
    """Mean depth of the words below ROOT."""
    total = 0
    for word in range(1, len(s.heads) + 1):
        while word:
            word, total = s.heads[word - 1], total + 1
    return total / len(s.heads)


def arcs(parser: ReactiveParser, s: Sentence) -> str:
    """The tree found, above the words, and the gold tree, below them; wrong bonds are red.

    Args:
        parser: any.
        s: with its gold tree.
    """
    parse = parser.parse(s.tokens, s.upos, xpos=s.xpos)
    gold = Drawn(s.tokens, s.upos, np.array(s.heads), tuple(label.split(":")[0] for label in s.labels))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(6.0, 0.95 * len(s.tokens) + 1.0), 4.4), layout="constrained")
        axes: Axes = figure.subplots()
        draw_arcs(axes, gold, parse)
        return svg(figure)

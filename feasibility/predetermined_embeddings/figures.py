"""The charts of the experiment `predetermined_embeddings`, as SVG text that is the same for the same numbers."""

from __future__ import annotations

import numpy as np

from feasibility.charts import GRID, INK, canvas, svg
from feasibility.predetermined_embeddings.jobs import Found
from feasibility.predetermined_embeddings.measure import Floats
from feasibility.predetermined_embeddings.statistics import contrast

# Okabe and Ito's colours: known beforehand, learned, both, and controls that know nothing of the words.
KNOWN, LEARNED, BOTH, CONTROL = "#0072B2", "#D55E00", "#009E73", "#80868B"
TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
NAMES = {
    "learned": "learned",
    "learned_rank": "learned, rank 32",
    "predetermined": "predetermined",
    "predetermined, 0.5 aligned": "predetermined, half of it wrong",
    "predetermined, misaligned": "predetermined, wrong",
    "world": "the grammar's own knowledge",
    "residual": "predetermined + small learned part",
    "initialised": "predetermined, then trained",
    "adapter": "predetermined, learned map",
    "gaussian": "random",
    "shuffled": "predetermined, shuffled",
    "orthonormal": "random, evenly spread",
    "binary": "random binary codes",
    "pos": "part of speech only",
    "ppmi": "counted in the same sentences",
    "learned > predetermined": "learned in, predetermined out",
    "predetermined > predetermined": "predetermined in and out",
    "gaussian > gaussian": "random in and out",
    "learned > tied": "learned, tied",
    "predetermined > tied": "predetermined, tied",
    "residual > tied": "predetermined + learned part, tied",
}
ROWS_FOR_NEW_WORDS = {
    "learned_unknown|after": ("learned: row left as it began", LEARNED),
    "learned_unknown|after, unknown": ("learned: row for unknown words", LEARNED),
    "learned_unknown|after, class_mean": ("learned: mean of the part of speech", LEARNED),
    "learned_unknown|after, ridge": ("learned: ridge map from coordinates", BOTH),
    "predetermined|after": ("predetermined", KNOWN),
    "world|after": ("the grammar's own knowledge", INK),
    "predetermined, misaligned|after": ("predetermined, wrong", CONTROL),
    "shuffled|after": ("predetermined, shuffled", CONTROL),
    "gaussian|after": ("random", CONTROL),
}


def saved_chart(found: Found, tokens: Floats, sentences: int) -> str:
    """Nats saved against a learned table by kind of model, the best on top; 95 % intervals of the paired difference.

    Args:
        found: of a group without held-out material.
        tokens: [T] of the test sentences.
        sentences: that the models learned from.
    """
    shown = [name.split("|")[0] for name in found if name.endswith("|excess")]
    learned = found["learned|excess"]
    saved = {label: contrast(found, "learned", label, tokens) for label in shown}
    order = sorted(shown, key=lambda label: saved[label].mean)
    figure, (axes,) = canvas(7.6, 1.4 + 0.34 * len(order))
    axes.axvline(0.0, color=LEARNED, linewidth=1, linestyle=":")
    for row, label in enumerate(order):
        if label != "learned":
            axes.plot(saved[label].interval(), [row, row], color=_colour(label), linewidth=2)
        axes.plot(saved[label].mean, row, "o", color=_colour(label), markersize=7)
    level = learned.sum(axis=1).mean() / tokens.sum()
    axes.annotate(f"{level:.3f} above the floor", (0.0, order.index("learned")), (-9, 0), va="center", ha="right",
                  color=LEARNED, textcoords="offset points", fontsize=10)  # fmt: skip
    axes.set_yticks(range(len(order)), [NAMES.get(label, label) for label in order])
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", color=GRID)
    axes.set_xlabel(f"nats a token saved against learned, {sentences:,} sentences")
    return svg(figure)


def unseen_chart(found: Found, sentences: int) -> str:
    """Nats above the exact law of what follows a new word, by where its row comes from; a dot is a seed.

    Args:
        found: of the group in which words were held out.
        sentences: that the models learned from.
    """
    shown = {name: look for name, look in ROWS_FOR_NEW_WORDS.items() if name in found}
    order = sorted(shown, key=lambda name: -float(found[name].mean()))
    figure, (axes,) = canvas(7.6, 1.4 + 0.38 * len(order))
    for row, name in enumerate(order):
        colour = shown[name][1]
        axes.plot(found[name], np.full(len(found[name]), row), "o", color=colour, alpha=0.4, markersize=5)
        axes.plot([found[name].mean()] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=3)
        axes.annotate(f"{found[name].mean():.2f}", (float(found[name].max()), row), (7, 0), va="center",
                      textcoords="offset points", color=INK, fontsize=10)  # fmt: skip
    axes.set_yticks(range(len(order)), [shown[name][0] for name in order])
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlim(0.0, 1.15 * max(float(found[name].max()) for name in order))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)
    axes.set_xlabel(f"nats above the law of the next word, {sentences:,} sentences")
    return svg(figure)


def _colour(label: str) -> str:
    if label in ("predetermined", "world"):
        return KNOWN if label == "predetermined" else INK
    if label.startswith("learned") and ">" not in label:
        return LEARNED
    return BOTH if label in ("residual", "initialised", "adapter") else CONTROL

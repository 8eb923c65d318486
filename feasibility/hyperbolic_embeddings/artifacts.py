"""The files of a run of the hyperbolic experiment: pictures, an animation and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feasibility.harness import Artifact, Metric
from feasibility.hyperbolic_embeddings import figures
from feasibility.hyperbolic_embeddings.bars import bars_table, shares
from feasibility.hyperbolic_embeddings.checks import Checks
from feasibility.hyperbolic_embeddings.rows import Comparison
from feasibility.hyperbolic_embeddings.verdicts import verdict_table
from feasibility.hyperbolic_embeddings.yardstick import Numbers
from hyperbolic.descent import BURN_IN, Points, Recipe
from hyperbolic.embedding import Embedding
from hyperbolic.film import draw_training
from hyperbolic.graph import Graph
from hyperbolic.learning import learn
from hyperbolic.methods import embed
from hyperbolic.plot import draw_disk

if TYPE_CHECKING:
    from feasibility.hyperbolic_embeddings.experiment import Config


def pictures(
    config: Config, graph: Graph, found: Comparison, metrics: dict[str, Metric], baselines: dict[str, Numbers]
) -> tuple[Artifact, ...]:
    """The disk, the charts, the film of learning and the comparison that the charts come from."""
    disk = embed(graph, "poincare", 2, "wedges")
    title = f"{figures.plain_word(config.root).capitalize()} in WordNet: {len(graph):,} nodes in the hyperbolic plane"
    return (
        Artifact(
            "disk.svg",
            draw_disk(disk, graph, title=title, show=figures.plain_word),
            "The hyperbolic plane as a disk: the rim is infinitely far away, and the lines are straight in that plane. "
            f"Laid out by sectors for the eye, {disk.tau:g} per level of the tree; the embedding that is measured has "
            "edges several times as long, which put nearly all words on the rim.",
        ),
        Artifact(
            "distortion.svg",
            figures.distortion_chart(
                {
                    "Euclidean stress fit": _by_dim(found, "euclidean_stress"),
                    "hyperbolic, published": {dim: row["distortion"] for dim, row in found.published.items()},
                    "hyperbolic, ours": _by_dim(found, "construction"),
                }
            ),
            "Average relative error of a tree distance by dimension, first seed, axes logarithmic: lower is better.",
        ),
        Artifact(
            "benefit.svg",
            figures.benefit_chart(metrics, config.dim),
            f"What the best curved embedding gains over the best flat one, measure by measure, in {config.dim} "
            f"dimensions, with intervals over {config.seeds} seeds; the line is at 5 %.",
        ),
        Artifact(
            "training.svg",
            training_film(graph, f"{figures.plain_word(config.root).capitalize()}: how points find their places"),
            "Learning in the hyperbolic plane from a random start, by distance alone; a word is drawn at its true "
            "distance from the root. Subtrees that end up on different sides cannot pass one another any more: this is "
            "why learned points start from a layout elsewhere on this page.",
        ),
        Artifact(
            "comparison.csv",
            verdict_table(
                config.dim, metrics, {"construction": found.named("construction", config.dim)[0], **baselines}
            ),
            "Every embedding and every measure in the judged dimension, first seed, with the benefit of each measure.",
        ),
    )


def tables(config: Config, metrics: dict[str, Metric], checks: Checks) -> tuple[Artifact, ...]:
    """The bars and the grid of rates."""
    drawn = shares(config.dim, metrics)
    chart = Artifact(
        "bars.svg",
        figures.bars_chart(drawn) if drawn else "",
        "What was asked of the mammals beforehand, bar by bar, and how much of what was allowed this run needs; axis "
        "logarithmic, left of the dashed line is better.",
    )
    return (
        *((chart,) if drawn else ()),
        Artifact(
            "bars.csv",
            bars_table(config.dim, metrics),
            "Every bar that was set for the mammals beforehand, and what this run reached; what it did not measure is "
            "empty, and --full measures all.",
        ),
        Artifact(
            "grid.csv",
            checks.grid,
            "Both models, both dtypes and three constant learning rates: do numbers stay finite, and does a warning "
            "come where more than 5 % of the points sit on the clamp?",
        ),
    )


def training_film(graph: Graph, title: str, epochs: int = 120) -> str:
    """Learn in two dimensions from a random start, and show it as an animation: SVG text."""
    frames: list[Embedding] = []
    captions: list[str] = []
    # During the burn-in the points hardly move: it is one frame.
    first = min(BURN_IN, epochs // 2)
    shown = {1, *(round(first + (epochs - first) * (step / 13) ** 2) for step in range(14))}

    def keep(epoch: int, _: int, loss: float, points: Points) -> None:
        if epoch in shown:
            frames.append(Embedding(graph.names, points.copy(), "poincare", graph.names[graph.root]))
            captions.append(f"pass {epoch} of {epochs}, loss {loss:.2f}")

    learn(graph, "poincare", 2, Recipe(epochs=epochs, start="random", rates=(0.3, 0.02)), report=keep)
    return draw_training(frames, graph, title=title, captions=captions, show=figures.plain_word)


def _by_dim(found: Comparison, name: str) -> dict[int, float]:
    dims = sorted({dim for dim, _ in found.rows})
    return {dim: found.named(name, dim)[0]["distortion"] for dim in dims}

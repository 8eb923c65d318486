"""What the figures of the hyperbolic experiment come to: measure by measure, one recommendation, and its limits."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from feasibility.harness import Metric
from feasibility.hyperbolic_embeddings.bars import bars_met
from feasibility.hyperbolic_embeddings.rows import CURVED, FLAT
from feasibility.hyperbolic_embeddings.yardstick import ERRORS, GAINS, Numbers
from hyperbolic.graph import Graph

if TYPE_CHECKING:
    from feasibility.hyperbolic_embeddings.experiment import Config

WORTH_IT = 5.0
# With recipes of their own, so that they compete on neither side.
PEERS = ("gensim_poincare", "geoopt_poincare")
NAMES = {
    "distortion": "tree distances",
    "stress1": "Kruskal's stress",
    "rho": "order of distances",
    "map_neighbours": "neighbours",
    "map_closure": "ancestors, any method",
    "map_learned": "ancestors, learned",
    "map_links": "hidden links",
    "map_transitive_0": "ancestors from edges alone",
    "map_transitive_10": "ancestors from edges and 10 %",
    "ami": "clusters (AMI)",
    "ari": "clusters (ARI)",
    "knn": "5 nearest neighbours' branch",
}


def verdict(metric: Metric) -> str:
    """GO where the whole interval of a benefit is at 5 % or more, NO-GO where none of it is."""
    low, high = metric.ci95
    return "GO" if low >= WORTH_IT else "NO-GO" if high < WORTH_IT else "INCONCLUSIVE"


def verdicts(metrics: dict[str, Metric]) -> dict[str, str]:
    """The verdict on every measure that was compared, in the order of the table."""
    return {name: verdict(metrics[f"benefit_{name}"]) for name in (*ERRORS, *GAINS) if f"benefit_{name}" in metrics}


def verdict_table(dim: int, metrics: dict[str, Metric], rows: dict[str, Numbers]) -> str:
    """All rows and measures as CSV: a measure a line, an embedding a column, benefit and verdict at the end."""
    measures = [*ERRORS, *GAINS, "distortion_worst", "mean_rank_learned", "mean_rank_links", "construct_s", "learn_s"]
    measures += ["pairs_per_s", "memory_bytes", "clamped"]
    shown = [name for name in ("construction", *CURVED[1:], *FLAT, *PEERS) if name in rows]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([f"measure, {dim} dimensions", *shown, "benefit_percent", "low", "high", "verdict"])
    for name in measures:
        cells = [f"{rows[row][name]:.6g}" if math.isfinite(rows[row].get(name, math.nan)) else "" for row in shown]
        benefit = metrics.get(f"benefit_{name}")
        end = ["", "", "", ""]
        if benefit is not None:
            end = [*(f"{value:.4g}" for value in (benefit.value, *benefit.ci95)), verdict(benefit)]
        table.writerow([name, *cells, *end])
    return text.getvalue()


def caveats(config: Config, graph: Graph, baselines: dict[str, Numbers]) -> tuple[str, ...]:
    """What a reader must know in order not to be misled."""
    from feasibility.hyperbolic_embeddings.experiment import MAMMALS, NOT_PUBLISHED

    told = [
        "G4 is judged on tree distances alone, of one known tree that both sides are given whole. The other measures "
        "have verdicts of their own in comparison.csv and in the finding; several are NO-GO.",
        "Poincaré and Lorentz are two coordinate systems of one space: a gap between their rows is arithmetic.",
        "All learned rows have the same loss, negatives and passes, and start from a layout or a scaling of the tree "
        "that the given edges contain where that served them better on WordNet's birds. A walk along the given edges "
        "answers the transitive questions without any learning.",
        "Learning rates were chosen by hand on birds, with one seed: the curved and the biased variants from about "
        "three values, plain Euclidean from one, squared Euclidean not at all. Construction constants were chosen on "
        "birds and trees.",
        f"The graph is nearly a tree (edges beyond a spanning tree: {len(graph.edges) + 1 - len(graph)}): the results "
        "say nothing about graphs in which many words have several parents.",
        "Figures compare with the graph; only distortion_worst_tree, of layouts, compares with the spanning tree.",
        "Labels of the clusters and of the nearest neighbours follow from the tree that was given: they show what is "
        "kept, not what is predicted.",
        "Flat points may choose the weight of their ancestor score on the judged data in map_closure, curved may not.",
    ]
    if not config.full:
        told.append(
            f"The quick protocol: {config.epochs} passes, all questions in {config.dim} dimensions only, no random "
            "starts; Poincaré and squared Euclidean with the first seed, competing with nobody; Euclidean by distance "
            "alone is asked for ancestors and branches only. --full runs the rest."
        )
    if config.root == MAMMALS:
        left_out = " and ".join(NOT_PUBLISHED)
        told.append(f"As in the published mammal set, {left_out} are left out: {len(graph):,} nodes remain.")
    together = sorted(name for name, row in baselines.items() if math.isinf(row.get("distortion_worst", 0.0)))
    if together:
        told.append(f"Nodes share a place in {', '.join(together)}; their infinite worst distortion is left out.")
    return tuple(told)


def finding(config: Config, graph: Graph, metrics: dict[str, Metric], baselines: dict[str, Numbers]) -> str:
    """The verdicts in words, and one recommendation with its reason."""
    judged = verdicts(metrics)
    lists = {
        word: ", ".join(
            f"{NAMES[name]} ({metrics[f'benefit_{name}'].value:+.1f} %)" for name in judged if judged[name] == word
        )
        for word in ("GO", "INCONCLUSIVE", "NO-GO")
    }
    told = "; ".join(f"{word}: {lists[word]}" for word in lists if lists[word])
    flat = [row for name, row in baselines.items() if name in FLAT]
    error = min(row["distortion"] for row in flat)
    kept = (
        f"one embedding of {len(graph):,} nodes in {config.dim} dimensions keeps tree distances to "
        f"{100 * metrics['distortion'].value:.2f} % (best flat {100 * error:.1f} %) and ranks ancestors with MAP "
        f"{metrics['map_closure'].value:.3f} (best flat {max(row['map_closure'] for row in flat):.3f}), built in "
        f"{metrics['construct_s'].value:.2f} s without training"
    )
    told += f". {_bars(config, metrics)}"
    if judged["distortion"] != "GO":
        return f"Benefit over the best flat embedding: {told}Recommendation: flat space; {kept}."
    return (
        f"Benefit over the best flat embedding: {told}Recommendation: the hyperbolic construction wherever distances "
        f"in the hierarchy matter or only its edges are known, since {kept}; flat space with a bias a word where most "
        "ancestor pairs are given and only their ranks matter."
    )


def _bars(config: Config, metrics: dict[str, Metric]) -> str:
    """How many of the bars are met, for the words that they were set for."""
    from feasibility.hyperbolic_embeddings.experiment import MAMMALS

    if config.root != MAMMALS:
        return ""
    measured, musts, aims = bars_met(config.dim, metrics)
    return f"Of {measured} bars measured (bars.csv), {musts} are met as asked and {aims} as hoped for. "

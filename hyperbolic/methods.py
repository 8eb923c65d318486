"""Which method lays out, fits or learns which geometry: the dispatch behind `embed`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperbolic.construction import construct
from hyperbolic.descent import Recipe
from hyperbolic.embedding import Embedding
from hyperbolic.graph import Graph, GraphError, Name, build_graph, hop_distances, spanning_tree, tree_centre
from hyperbolic.learning import Report, learn
from hyperbolic.manifolds import Geometry, to_lorentz, to_poincare
from hyperbolic.stress import classical_scaling, fit_stress
from hyperbolic.stress_curved import fit_stress_curved
from hyperbolic.wedges import layout_wedges

Method = Literal["construct", "learn", "stress", "wedges"]
GEOMETRIES, METHODS = ("lorentz", "poincare", "euclidean"), ("construct", "learn", "stress", "wedges")


class Hierarchy(Protocol):
    """What can tell the edges below a word: `periodic_table.lexicon` has such objects."""

    def subtree(self, root: str) -> list[tuple[str, str]]:
        """(child, parent) pairs of everything below a word."""


def embed(
    edges: Any,
    geometry: Geometry = "lorentz",
    dim: int = 5,
    method: Method = "construct",
    *,
    root: Name | None = None,
    tau: float | None = None,
    seed: int = 0,
    lexicon: Hierarchy | None = None,
    report: Report | None = None,
    checkpoint: Any = None,
    closure: bool = True,
    **recipe: Any,
) -> Embedding:
    """Give every node of a graph a point, so that distances follow the edges between nodes.

    Args:
        edges: (child, parent) pairs of names; a directed networkx graph with such edges; a graph that `build_graph`
            made; or the name of a word, whose subtree the lexicon knows ("mammal.n.01"). Edges that follow from others
            (cat -> mammal beside cat -> feline -> mammal) are not laid out.
        geometry: "lorentz" and "poincare" are two coordinate systems of the same curved space, which has room for
            trees; "euclidean" is flat, for comparison.
        dim: coordinates a point.
        method: "construct" lays out a spanning tree for true distances, without training (flat space: classical
            scaling); "learn" trains ranks on all (node, ancestor) pairs; "stress" fits distances by optimisation;
            "wedges" lays the tree out in the disk (dim=2) for the eye.
        root: see `build_graph`; only with edges.
        tau: length of an edge, only for layouts in curved space: see `construct` and `layout_wedges`.
        seed: of what is random, 0 or more.
        lexicon: where a word's subtree comes from; left out, the one that ships with `periodic_table`.
        report: called after each epoch of learning: see `learn`.
        checkpoint: a file from which learning goes on after an interruption: see `learn`.
        closure: learn from every node with each of its ancestors. False: from the edges exactly as they are given.
        recipe: fields of `Recipe` for method="learn": epochs, negatives, rates, start, bias, squared, dtype.

    Raises:
        ValueError: a geometry and method that do not exist together, or a value that they refuse. GraphError and
            OutsideBall are such errors.
        TypeError: an option of learning that does not exist.

    Cost: see `construct`, `fit_stress`, `learn`.
    """
    _check(geometry, method, dim, seed, tau)
    others = {"report": report is not None, "checkpoint": checkpoint is not None, "closure": not closure}
    _check_learning(method, recipe, [name for name, given in others.items() if given])
    graph = _graph(edges, root, lexicon)
    top = graph.names[graph.root]
    if method == "learn":
        pairs = None if closure else graph.edges
        found = learn(
            graph, geometry, dim, Recipe(seed=seed, **recipe), pairs=pairs, checkpoint=checkpoint, report=report
        )
        score: Any = "distance" if found.bias is None else "bias"
        return Embedding(graph.names, found.points, geometry, top, None, found.bias, score)
    if geometry == "euclidean":
        flat = fit_stress if method == "stress" else _scaled
        return Embedding(graph.names, flat(hop_distances(graph), dim, seed), geometry, top)
    points, edge = _curved(graph, geometry, dim, method, tau, seed)
    return Embedding(graph.names, points, geometry, top, edge)


def _check_learning(method: Method, recipe: dict[str, Any], others: list[str]) -> None:
    """Refuse options that learning does not have, and such as only learning has."""
    unknown = [name for name in recipe if name not in Recipe.__dataclass_fields__]
    if unknown:
        known = ", ".join(name for name in Recipe.__dataclass_fields__ if name != "seed")
        raise TypeError(f"embed() has no {', '.join(map(repr, unknown))}; for method='learn' there is {known}")
    if method != "learn" and (recipe or others):
        raise ValueError(f"{', '.join([*recipe, *others])}: only method='learn' takes this, got method={method!r}")


def _curved(
    graph: Graph, geometry: Geometry, dim: int, method: Method, tau: float | None, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Points of curved space that are fitted or laid out, and the length of an edge."""
    if method == "stress":
        points, edge = fit_stress_curved(hop_distances(graph), dim, seed)
        return (points if geometry == "lorentz" else to_poincare(points)), edge
    tree = spanning_tree(graph)
    if method == "wedges":
        points, edge = layout_wedges(tree, tau)
    else:
        layout = construct(tree, dim, tree_centre(tree), tau, seed)
        points, edge = layout.points, layout.tau
    return (to_lorentz(points) if geometry == "lorentz" else points), edge


def _check(geometry: str, method: str, dim: int, seed: int, tau: float | None) -> None:
    if geometry not in GEOMETRIES or method not in METHODS or (geometry, method) == ("euclidean", "wedges"):
        raise ValueError(
            f"no method {method!r} for geometry {geometry!r}; there is 'construct', 'learn' and 'stress' for "
            "'lorentz', 'poincare' and 'euclidean', and 'wedges' for the first two"
        )
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or dim < 1:
        raise ValueError(f"expected a whole number of dimensions from 1 on, got dim={dim!r}")
    if method == "wedges" and dim != 2:
        raise ValueError(f"method='wedges' fills the disk and needs dim=2, got dim={dim}")
    if seed < 0:
        raise ValueError(f"a seed must be 0 or more, got seed={seed}")
    if tau is not None and (geometry == "euclidean" or method in ("stress", "learn")):
        raise ValueError(
            f"tau is the edge length of a layout in curved space; method={method!r} for {geometry!r} has none"
        )


def _graph(edges: Any, root: Name | None, lexicon: Hierarchy | None) -> Graph:
    if isinstance(edges, Graph):
        if root is not None:
            raise ValueError("a graph has its root already; name one only together with edges")
        return edges
    if isinstance(edges, str):
        return build_graph(_below(edges, lexicon), root)
    return build_graph(edges, root)


def _below(word: str, lexicon: Hierarchy | None) -> list[tuple[str, str]]:
    """The edges below a word: the one place where this package meets words, and only by the name of their package."""
    if lexicon is None:
        try:
            lexicon = import_module("periodic_table.lexicon").load_lexicon()
        except ImportError:
            raise GraphError(
                f"{word!r} is a word, and no lexicon is installed that knows what is below it; "
                "pass lexicon=, an object with subtree(word) -> (child, parent) pairs, or the edges themselves"
            ) from None
    edges = lexicon.subtree(word)
    if not edges:
        raise GraphError(f"nothing is below {word!r} in the lexicon; name a more general word")
    return edges


def _scaled(targets: NDArray[np.float64], dim: int, seed: int) -> NDArray[np.float64]:
    return classical_scaling(targets, dim)

"""Trees and word hierarchies in hyperbolic space: embed a graph of (child, parent) edges, measure it, draw it.

    from hyperbolic import embed
    animals = embed([("cat", "feline"), ("lion", "feline"), ("feline", "mammal")])
    animals.distance("cat", "lion"), animals.ancestors("cat", 2)

The package knows edges, never words.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperbolic.construction import construct
    from hyperbolic.descent import Recipe
    from hyperbolic.embedding import Embedding
    from hyperbolic.film import draw_training
    from hyperbolic.graph import Graph, GraphError, build_graph
    from hyperbolic.learning import learn
    from hyperbolic.manifolds import OutsideBall
    from hyperbolic.methods import embed
    from hyperbolic.metrics import distortion, path_excess, retrieval
    from hyperbolic.plot import draw_disk

__all__ = [
    "Embedding",
    "Graph",
    "GraphError",
    "OutsideBall",
    "Recipe",
    "build_graph",
    "construct",
    "distortion",
    "draw_disk",
    "draw_training",
    "embed",
    "learn",
    "path_excess",
    "retrieval",
]

# Loaded when first asked for (PEP 562): `import hyperbolic` alone loads neither numpy nor scipy.
_HOME = {
    "Embedding": "embedding",
    "Graph": "graph",
    "GraphError": "graph",
    "OutsideBall": "manifolds",
    "Recipe": "descent",
    "build_graph": "graph",
    "construct": "construction",
    "distortion": "metrics",
    "draw_disk": "plot",
    "draw_training": "film",
    "embed": "methods",
    "learn": "learning",
    "path_excess": "metrics",
    "retrieval": "metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value

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
    from hyperbolic.embedding import Embedding, embed
    from hyperbolic.graph import Graph, GraphError, build_graph
    from hyperbolic.manifolds import OutsideBall
    from hyperbolic.metrics import distortion, path_excess, retrieval
    from hyperbolic.plot import draw_disk

__all__ = [
    "Embedding",
    "Graph",
    "GraphError",
    "OutsideBall",
    "build_graph",
    "construct",
    "distortion",
    "draw_disk",
    "embed",
    "path_excess",
    "retrieval",
]

# Loaded when first asked for (PEP 562): `import hyperbolic` alone loads neither numpy nor scipy.
_HOME = {
    "Embedding": "embedding",
    "Graph": "graph",
    "GraphError": "graph",
    "OutsideBall": "manifolds",
    "build_graph": "graph",
    "construct": "construction",
    "distortion": "metrics",
    "draw_disk": "plot",
    "embed": "embedding",
    "path_excess": "metrics",
    "retrieval": "metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value

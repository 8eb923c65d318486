"""Points learned from (node, ancestor) pairs: the softmax loss of Nickel and Kiela (2017), one sample at a time.

A learned embedding ranks ancestors by distance alone, as the literature does. It starts from a layout of the tree that
the pairs themselves contain: a random start has to untangle subtrees that cannot pass one another near the rim.

Axis legend: N points, E embedding dim, M positive pairs.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperbolic.construction import construct
from hyperbolic.descent import RADIUS_LIMIT, Checkpoint, Descent, Pairs, Points, Recipe, State
from hyperbolic.graph import Graph, above_lists, hop_distances, hops_from, spanning_tree
from hyperbolic.manifolds import Geometry, to_lorentz
from hyperbolic.stress import classical_scaling
from hyperbolic.wedges import layout_wedges

# epoch (from 1), epochs, mean loss of that epoch, the points as they are now (not to be changed).
Report = Callable[[int, int, float, Points], None]

# Edge length of the layout to start from, as far as the limits allow; chosen on WordNet's birds and trees.
START_TAU = 1.6
MANY_ON_CLAMP = 0.05


class ClampWarning(UserWarning):
    """So many points sit where arithmetic ends that distances between them mean little."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What learning gave.

    Args:
        points: [N, E], on the hyperboloid [N, 1 + E].
        bias: [N], or None.
        losses: mean loss of each epoch.
        clamped: share of points on the clamp, 0 to 1.
        compared: (node, candidate) pairs whose distance and gradient were taken.
        seconds: of one processor core, all epochs of this run together: without the start, reports and checkpoints.
    """

    points: Points
    bias: Points | None
    losses: tuple[float, ...]
    clamped: float
    compared: int
    seconds: float


def learn(
    graph: Graph,
    geometry: Geometry = "lorentz",
    dim: int = 5,
    recipe: Recipe | None = None,
    *,
    pairs: ArrayLike | None = None,
    checkpoint: str | Path | None = None,
    report: Report | None = None,
) -> Learned:
    """Learn points by stochastic gradient descent.

    Args:
        graph: whose nodes get points; with start="tree" its spanning tree gives the start.
        geometry: where the points live.
        dim: coordinates a point, E.
        recipe: see `Recipe`; left out, its defaults.
        pairs: [M, 2] int, the positives as (node, ancestor) positions in `graph.names`. Left out, every node with
            each of its ancestors.
        checkpoint: a file that is written after each epoch, at most every 20 seconds, and at the end. If it exists the
            run goes on from it, and gives what it would have given without the interruption.
        report: called after each epoch.

    Raises:
        ValueError: a recipe, dimension or pairs that make no sense.
        BadCheckpoint: the file belongs to another run.

    Warns:
        ClampWarning: more than 5 % of the points end on the clamp.

    Cost: O(epochs * M * negatives * E): 30 million candidates a second and core in 5 dimensions.

    Source: Nickel and Kiela 2017 (loss, ball) and 2018 (hyperboloid); the start is ours.
    """
    recipe = recipe or Recipe()
    _check(geometry, dim, recipe)
    positives, start, above = _positives(graph, pairs)
    run = Descent(geometry, recipe, positives, start, above)
    state = State(*_first_points(graph, geometry, dim, recipe))
    saved = (
        None if checkpoint is None else Checkpoint(Path(checkpoint), _description(graph, geometry, dim, recipe, run))
    )
    if saved is not None:
        saved.restore(state)
    seconds = 0.0
    while len(state.losses) < recipe.epochs:
        begin = time.thread_time()
        run.walk(state)
        seconds += time.thread_time() - begin
        if report is not None:
            report(len(state.losses), recipe.epochs, state.losses[-1], state.points)
        if saved is not None:
            saved.keep(state, last=len(state.losses) == recipe.epochs)
    clamped = run.clamped(state.points)
    if clamped > MANY_ON_CLAMP:
        warnings.warn(_clamp_message(clamped, recipe), ClampWarning, stacklevel=2)
    bias = state.bias if recipe.bias else None
    return Learned(state.points, bias, tuple(state.losses), clamped, state.compared, seconds)


def _check(geometry: Geometry, dim: int, recipe: Recipe) -> None:
    if geometry not in ("poincare", "lorentz", "euclidean"):
        raise ValueError(f"unknown geometry {geometry!r}; expected 'euclidean', 'lorentz' or 'poincare'")
    if (recipe.bias or recipe.squared) and geometry != "euclidean":
        raise ValueError(f"bias and squared are variants of flat space; got geometry={geometry!r}")
    if dim < (2 if recipe.start == "tree" and geometry != "euclidean" else 1):
        raise ValueError(f"too few dimensions: dim={dim}; a tree needs 2 to branch")


def _positives(graph: Graph, pairs: ArrayLike | None) -> tuple[Pairs, Pairs, Pairs]:
    """The pairs by node, and the same as lists: the positives of node u are above[start[u]:start[u + 1]]."""
    if pairs is None:
        start, above = above_lists(graph)
        return np.stack([np.repeat(np.arange(len(graph)), np.diff(start)), above], axis=1), start, above
    given = np.asarray(pairs)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given) or given.dtype.kind not in "iu":
        raise ValueError(f"expected pairs of positions, [m, 2] int, got {given.dtype} of shape {given.shape}")
    if given.min() < 0 or given.max() >= len(graph) or (given[:, 0] == given[:, 1]).any():
        raise ValueError(f"expected pairs of two different positions from 0 to {len(graph) - 1}")
    ordered = np.unique(given.astype(np.int64), axis=0)
    return ordered, np.searchsorted(ordered[:, 0], np.arange(len(graph) + 1)), np.ascontiguousarray(ordered[:, 1])


def _first_points(graph: Graph, geometry: Geometry, dim: int, recipe: Recipe) -> tuple[Points, Points]:
    """Where learning starts, [N, E] or [N, 1 + E], and the biases, [N] or [0]."""
    rng = np.random.default_rng([recipe.seed, 0])
    bias = np.zeros(len(graph) if recipe.bias else 0)
    points: NDArray[np.float64]
    if recipe.start == "random":
        points = rng.uniform(-1e-3, 1e-3, (len(graph), dim))
    elif geometry == "euclidean":
        points = _scaled(graph, dim).copy()
        points += 0.01 * np.abs(points).max() * rng.standard_normal(points.shape)
    else:
        points = _tree_start(graph, dim, RADIUS_LIMIT[recipe.dtype], recipe.seed)
    if geometry == "lorentz":
        points = to_lorentz(points)
    return points.astype(recipe.dtype), bias.astype(recipe.dtype)


# Several learners often start from the same few layouts: kept, since each costs as much as several epochs.
@lru_cache(maxsize=8)
def _scaled(graph: Graph, dim: int) -> NDArray[np.float64]:
    return classical_scaling(hop_distances(graph), dim)


@lru_cache(maxsize=8)
def _tree_start(graph: Graph, dim: int, limit: float, seed: int) -> NDArray[np.float64]:
    """The spanning tree laid out around its root with edges of START_TAU, or shorter where the clamp asks for it."""
    tree = spanning_tree(graph)
    order, parent = hops_from(tree, tree.root)
    depth = np.zeros(len(tree))
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
    # Turning corrections can make a way longer than its edges; half of the room is kept for them and for learning.
    room = limit / depth.max()
    if dim == 2:
        return layout_wedges(tree, min(START_TAU, 0.9 * room))[0]
    return construct(tree, dim, tree.root, min(START_TAU, 0.8 * room), seed, correct_turns=False).points


def _description(graph: Graph, geometry: Geometry, dim: int, recipe: Recipe, run: Descent) -> dict[str, Any]:
    """What a checkpoint must agree with."""
    pairs = sha256(run.pairs.tobytes()).hexdigest()
    return {"nodes": len(graph), "geometry": geometry, "dim": dim, "pairs": pairs} | dataclasses.asdict(recipe)


def _clamp_message(clamped: float, recipe: Recipe) -> str:
    wider = ", or dtype='float64'" if recipe.dtype == "float32" else ""
    return (
        f"{100 * clamped:.0f} % of the points sit on the clamp at radius {RADIUS_LIMIT[recipe.dtype]:.1f} of "
        f"{recipe.dtype}: distances between them say little. Use lower rates than {recipe.rates}{wider}"
    )

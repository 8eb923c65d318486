"""Where the branches of one node point: directions on the sphere, and what turning from one to another costs.

Two long hyperbolic steps that leave a node at the angle A end closer together than they are long, by
-2 ln sin(A/2). A good fan of directions keeps that loss small between heavy branches, and `turn_offsets` takes up
what is left of it by making the edges longer.

All functions take many fans at once, on the leading axes.

Axis legend: K branches of a node, E embedding dim.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 60
# A branch moves at most this share of the way to its nearest neighbour in one step: branches never change places.
_REACH = 0.3


def spread_directions(weights: Floats, dim: int, rng: np.random.Generator) -> Floats:
    """K unit vectors that keep away from one another, heavy pairs most.

    Lowers sum_ij w_ij / sin^2(A_ij / 2), the Riesz energy with exponent 2, by gradient steps that are scaled by each
    branch's own curvature and by Barzilai and Borwein's rule; the best fan on the way counts. With equal weights up to
    dim + 1 directions form a regular simplex.

    Args:
        weights: [..., K, K] symmetric, the diagonal is ignored; only their ratios matter. A branch without any weight
            is not there and lies anywhere.
        dim: E >= 2.
        rng: of the start in three and more dimensions. In the plane the start is a regular polygon, its corners in the
            order of the branches.

    Returns:
        [..., K, E] float64 unit vectors.

    Cost: O(K^2 E) a step, 60 steps.
    """
    count, fans = weights.shape[-1], weights.reshape(-1, *weights.shape[-2:]).copy()
    fans[:, range(count), range(count)] = 0.0
    fans /= np.maximum(fans.sum(axis=(1, 2), keepdims=True), 1e-300)
    if count <= 2:
        line = np.zeros((len(fans), count, dim))
        line[:, :, 0] = [1.0, -1.0][:count]
        return line.reshape(*weights.shape[:-1], dim)
    there = fans.sum(axis=2) > 0
    if dim == 2:
        unit = _polygons(there)
    else:
        unit = rng.standard_normal((len(fans), count, dim))
        unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    return _descend(unit, fans, there).reshape(*weights.shape[:-1], dim)


def _descend(unit: Floats, weights: Floats, there: NDArray[np.bool_]) -> Floats:
    pairs = there[:, :, None] & there[:, None]
    best, least = unit.copy(), np.full(len(unit), np.inf)
    rate, before, moved = np.full((len(unit), 1, 1), 0.5), np.zeros_like(unit), np.zeros_like(unit)
    for step in range(_STEPS):
        square = half_sine_squared(unit)
        repulsion = weights / square
        energy = repulsion.sum(axis=(1, 2))
        better = energy < least
        least = np.where(better, energy, least)
        best[better] = unit[better]
        repulsion /= square
        slope = repulsion @ unit
        slope -= np.einsum("mke,mke->mk", slope, unit)[:, :, None] * unit
        slope /= np.maximum(repulsion.sum(axis=2), 1e-300)[:, :, None]
        if step:
            change = slope - before
            bend = np.einsum("mke,mke->m", change, moved)
            length = np.einsum("mke,mke->m", moved, moved)
            wanted = np.where(bend > 0, length / np.maximum(bend, 1e-300), 0.5)
            rate = np.clip(wanted, 0.1, 3.0)[:, None, None]
        nearest = 2.0 * np.sqrt(np.where(pairs, square, 1.0).min(axis=2))[:, :, None]
        push = -rate * slope
        reach = np.linalg.norm(push, axis=2, keepdims=True)
        push *= np.minimum(1.0, _REACH * nearest / np.maximum(reach, 1e-300))
        old, before = unit, slope
        unit = unit + push
        unit /= np.linalg.norm(unit, axis=2, keepdims=True)
        moved = unit - old
    return best


def _polygons(there: NDArray[np.bool_]) -> Floats:
    """Regular polygons whose corners are the branches that are there, [M, K, 2]."""
    angle = 2.0 * np.pi * np.cumsum(there, axis=1) / there.sum(axis=1, keepdims=True)
    angle -= angle[:, :1]
    return np.stack([np.cos(angle), np.sin(angle)], axis=2)


def polygon(count: int) -> Floats:
    """Unit vectors at equal angles in the plane, anticlockwise from (1, 0): [count, 2]."""
    corners: Floats = _polygons(np.ones((1, count), dtype=bool))[0]
    return corners


def turn_losses(directions: Floats) -> Floats:
    """How much shorter than its two legs the way between two branches is: -2 ln sin(A_ij / 2), [..., K, K]."""
    return -np.log(half_sine_squared(directions))


def turn_offsets(directions: Floats, weights: Floats, ends: Floats) -> Floats:
    """How much longer to make the edge of each branch, so that turning costs nothing on average.

    Minimises sum_i<j w_ij (a_i + a_j - loss_ij)^2 + sum_i end_i a_i^2: pairs of nodes whose way turns here, and pairs
    whose way ends here and pays no loss. No edge is made shorter. One or two branches, straight on, lose nothing.

    Args:
        directions: [..., K, E] unit vectors.
        weights: [..., K, K] symmetric, what all ways from branch i to branch j weigh; the diagonal is ignored.
        ends: [..., K] what all ways from branch i to the node itself weigh, positive.

    Returns:
        [..., K] float64, the offsets a >= 0.
    """
    if directions.shape[-2] <= 2:
        return np.zeros(directions.shape[:-1])
    pairs = weights * (1.0 - np.eye(weights.shape[-1]))
    normal = pairs + (pairs.sum(axis=-1) + ends)[..., None] * np.eye(weights.shape[-1])
    wanted = (pairs * turn_losses(directions)).sum(axis=-1)
    offsets: Floats = np.linalg.solve(normal, wanted[..., None])[..., 0]
    return np.maximum(offsets, 0.0)


def half_sine_squared(directions: Floats) -> Floats:
    """sin^2(A/2) of all pairs of unit vectors, 1 on the diagonal; never 0, so that coincident ones repel finitely."""
    square: Floats = directions @ np.swapaxes(directions, -1, -2)
    square *= -0.5
    square += 0.5
    np.maximum(square, 1e-12, out=square)
    corner = range(directions.shape[-2])
    square[..., corner, corner] = 1.0
    return square

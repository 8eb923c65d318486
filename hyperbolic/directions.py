"""Where the branches of one node point: directions on the sphere, and what turning from one to another costs.

Two long hyperbolic steps that leave a node at the angle A end closer together than they are long, by
-2 ln sin(A/2). A good fan of directions keeps that loss small between heavy branches, and `turn_offsets` takes up
what is left of it by making the edges longer.

Axis legend: K branches of a node, E embedding dim.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def spread_directions(weights: Floats, dim: int, rng: np.random.Generator) -> Floats:
    """K unit vectors that keep away from one another, heavy pairs most.

    Minimises sum_ij w_ij / sin^2(A_ij / 2), the Riesz energy with exponent 2, by L-BFGS. With equal weights up to
    dim + 1 directions form a regular simplex.

    Args:
        weights: [K, K] symmetric, positive off the diagonal; only their ratios matter.
        dim: E >= 2.
        rng: of the start in three and more dimensions. In the plane the start is a regular polygon, its corners in the
            order of the branches.

    Returns:
        [K, E] float64 unit vectors.

    Cost: O(K^2 E) a step, at most 100 steps.
    """
    count = len(weights)
    if count <= 2:
        line = np.zeros((count, dim))
        line[:, 0] = [1.0, -1.0][:count]
        return line
    start = polygon(count) if dim == 2 else rng.standard_normal((count, dim))
    pairs = weights / weights[~np.eye(count, dtype=bool)].sum()
    np.fill_diagonal(pairs, 0.0)

    def energy(flat: Floats) -> tuple[float, Floats]:
        points = flat.reshape(count, dim)
        length = np.sqrt(np.einsum("ij,ij->i", points, points))[:, None]
        unit = points / length
        square = _half_sine_squared(unit)
        repulsion = pairs / square
        slope = (repulsion / square) @ unit
        slope -= np.einsum("ij,ij->i", slope, unit)[:, None] * unit
        return float(repulsion.sum()), (slope / length).ravel()

    from scipy.optimize import minimize

    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-5})
    points = found.x.reshape(count, dim)
    directions: Floats = points / np.linalg.norm(points, axis=1, keepdims=True)
    return directions


def polygon(count: int) -> Floats:
    """Unit vectors at equal angles in the plane, anticlockwise from (1, 0): [count, 2]."""
    angle = 2.0 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def turn_losses(directions: Floats) -> Floats:
    """How much shorter than its two legs the way between two branches is: -2 ln sin(A_ij / 2), [K, K], diagonal 0."""
    losses = -np.log(_half_sine_squared(directions))
    np.fill_diagonal(losses, 0.0)
    return losses


def turn_offsets(directions: Floats, weights: Floats, ends: Floats) -> Floats:
    """How much longer to make the edge of each branch, so that turning costs nothing on average.

    Minimises sum_i<j w_ij (a_i + a_j - loss_ij)^2 + sum_i end_i a_i^2: pairs of nodes whose way turns here, and pairs
    whose way ends here and pays no loss. No edge is made shorter. One or two branches, straight on, lose nothing.

    Args:
        directions: [K, E] unit vectors.
        weights: [K, K] symmetric, what all ways from branch i to branch j weigh.
        ends: [K] what all ways from branch i to the node itself weigh, positive.

    Returns:
        [K] float64, the offsets a >= 0.
    """
    if len(directions) <= 2:
        return np.zeros(len(directions))
    pairs = weights - np.diag(np.diag(weights))
    normal = pairs + np.diag(pairs.sum(axis=1) + ends)
    offsets: Floats = np.linalg.solve(normal, (pairs * turn_losses(directions)).sum(axis=1))
    return np.maximum(offsets, 0.0)


def _half_sine_squared(directions: Floats) -> Floats:
    """sin^2(A/2) of all pairs of unit vectors, 1 on the diagonal; never 0, so that coincident ones repel finitely."""
    square: Floats = directions @ directions.T
    square *= -0.5
    square += 0.5
    np.maximum(square, 1e-12, out=square)
    np.fill_diagonal(square, 1.0)
    return square

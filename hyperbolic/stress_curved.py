"""Points of curved space whose distances match a graph's as well as optimisation can, in unconstrained coordinates.

A point of the hyperboloid is given by its space-like part x alone, x0 = sqrt(1 + |x|^2), so that a common optimiser
serves: no projection, no clamp.

Axis legend: N points, E embedding dim.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperbolic.stress import checked_targets

Floats = NDArray[np.float64]

_BLOCK = 64
# The longest distance of the start: curved enough for a tree to branch, and cosh of it keeps its digits.
_START_DIAMETER = 12.0


def fit_stress_curved(targets: ArrayLike, dim: int, seed: int = 0, iterations: int = 300) -> tuple[Floats, float]:
    """Place points in hyperbolic space so that their distances are proportional to the targets.

    Minimises sum_i<j (c d_ij / t_ij - 1)^2 over the points and over c by L-BFGS: the unit of length matters in curved
    space, so that c is free, and at every step it is the best one.

    Args:
        targets: [N, N] symmetric distances, positive off the diagonal, N >= 2.
        dim: E >= 2.
        seed: of a jitter of 1 % that separates points which the start puts in one place.
        iterations: at most so many steps.

    Returns:
        [N, 1 + E] float64 points of the hyperboloid, and the length 1/c that stands for a target of 1.

    Raises:
        ValueError: dim < 2, iterations < 1, or targets of the wrong kind.

    Cost: O(N^2 E) a step: 10 s for 1,180 points in 5 dimensions.

    Source: the start is h-MDS (Sala, De Sa, Gu and Ré 2018, section 4).
    """
    t = np.asarray(targets, dtype=np.float64)
    checked_targets(t, dim, iterations)
    if dim < 2:
        raise ValueError(f"hyperbolic space has at least 2 dimensions, got dim={dim}")
    from scipy.optimize import minimize

    closeness = 1.0 / (t + np.eye(len(t)))
    np.fill_diagonal(closeness, 0.0)
    start = hyperbolic_scaling(t * (_START_DIAMETER / t.max()), dim)
    rng = np.random.default_rng(seed)
    start += 0.01 * np.sqrt(np.mean(start**2)) * rng.standard_normal(start.shape)

    def objective(flat: Floats) -> tuple[float, Floats]:
        value, _, slope = curved_loss(flat.reshape(start.shape), closeness)
        return value, slope.ravel()

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 20, "ftol": 1e-7}
    found = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    space = found.x.reshape(start.shape)
    _, scale, _ = curved_loss(space, closeness)
    return np.concatenate([np.sqrt(1.0 + np.sum(space**2, axis=1, keepdims=True)), space], axis=1), 1.0 / scale


def hyperbolic_scaling(targets: Floats, dim: int) -> Floats:
    """h-MDS: the space-like parts whose products best fit -cosh(t), [N, E]; missing directions are 0."""
    from scipy.linalg import eigh

    wanted = min(dim, len(targets))
    values, vectors = eigh(-np.cosh(targets), subset_by_index=[len(targets) - wanted, len(targets) - 1])
    points = np.zeros((len(targets), dim))
    points[:, :wanted] = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    return points


def curved_loss(space: Floats, closeness: Floats) -> tuple[float, float, Floats]:
    """The stress at its best scale, and its gradient.

    Args:
        space: [N, E] space-like parts.
        closeness: [N, N], 1/t with a zero diagonal.

    Returns:
        sum over i < j of (c d_ij / t_ij - 1)^2; c; the derivative by every coordinate, [N, E].
    """
    time = np.sqrt(1.0 + np.einsum("ij,ij->i", space, space))
    once, twice = 0.0, 0.0
    by_ratio, by_one = np.zeros((2, len(space), space.shape[1] + 1))
    whole = np.concatenate([time[:, None], -space], axis=1)
    for start in range(0, len(space), _BLOCK):
        rows = slice(start, start + _BLOCK)
        excess = whole[rows] @ (whole * ([1.0] + [-1.0] * space.shape[1]))[start:].T
        excess -= 1.0
        # The floor keeps the slope of coincident points finite; it is a distance of 1e-7.
        np.maximum(excess, 1e-14, out=excess)
        root = np.sqrt(excess * (excess + 2.0))
        near = closeness[rows, start:]
        ratio = np.log1p(excess + root) * near
        # Each pair once: within the block of the diagonal both orders occur.
        share = np.ones_like(ratio)
        share[:, : len(ratio)] = 0.5
        once += float(np.vdot(share, ratio))
        twice += float(np.vdot(share * ratio, ratio))
        # d cosh(d_ij) = <dx_i, y_j> in Minkowski's product: sums of the others' whole coordinates by these weights.
        for weight, total in ((near / root * share, by_one), (near / root * share * ratio, by_ratio)):
            total[rows] += weight @ whole[start:]
            total[start:] += weight.T @ whole[rows]
    scale = once / twice
    pull = 2.0 * scale * (scale * by_ratio - by_one)
    pairs = len(space) * (len(space) - 1) / 2.0
    # x0 moves with x: dx0 = x dx / x0.
    return pairs - once * scale, scale, pull[:, 1:] + pull[:, :1] * space / time[:, None]

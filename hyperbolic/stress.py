"""The best flat map of a graph that optimisation finds: the Euclidean opponent of the hyperbolic construction.

Axis legend: N points, E embedding dim.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Loss = Literal["squares", "absolute"]

# |miss| is followed as sqrt(miss^2 + e^2), first with a round e, then with a sharp one.
_ROUNDINGS = (0.1, 0.02)


def fit_stress(
    targets: ArrayLike,
    dim: int,
    seed: int = 0,
    iterations: int = 300,
    loss: Loss = "squares",
    start: ArrayLike | None = None,
) -> Floats:
    """Place points in flat space so that their distances match the targets, relative to each target.

    Minimises sum_i<j (d_ij / t_ij - 1)^2 by L-BFGS from classical multidimensional scaling; the scale of the points
    takes the place of a free factor. With loss "absolute" it goes on from there to minimise sum |d_ij / t_ij - 1|,
    which is the average distortion itself: a lower average at the cost of near pairs and of the worst one.

    Args:
        targets: [N, N] symmetric distances, positive off the diagonal, N >= 2.
        dim: E >= 1.
        seed: of a jitter of 1 % that separates points which the start puts in one place.
        iterations: at most so many steps for the squares, and half as many for each of the two rounds that follow.
        loss: "squares" or "absolute".
        start: [N, E] points to begin with. With "absolute" these stand for the fit of the squares.

    Returns:
        [N, E] float64 points.

    Raises:
        ValueError: dim or iterations < 1, an unknown loss, or targets or a start of the wrong kind.

    Cost: O(N^2 E) a step: 1 s for 1,180 points in 5 dimensions, twice that with "absolute".

    Source: relative squares as in Sammon 1969 and Kamada and Kawai 1989; the start is Torgerson 1952.
    """
    t = np.asarray(targets, dtype=np.float64)
    checked_targets(t, dim, iterations)
    if loss not in ("squares", "absolute"):
        raise ValueError(f"unknown loss {loss!r}; expected 'squares' or 'absolute'")
    closeness = 1.0 / (t + np.eye(len(t)))
    np.fill_diagonal(closeness, 0.0)
    if start is None:
        points = classical_scaling(t, dim)
        points += 0.01 * np.abs(points).max() * np.random.default_rng(seed).standard_normal(points.shape)
    else:
        points = _checked_start(start, (len(t), dim))
    if start is None or loss == "squares":
        points = _descend(points, closeness, None, iterations)
    if loss == "absolute":
        for rounding in _ROUNDINGS:
            points = _descend(points, closeness, rounding, max(1, iterations // 2))
    return points


def _descend(start: Floats, closeness: Floats, rounding: float | None, iterations: int) -> Floats:
    """L-BFGS on one loss."""
    from scipy.optimize import minimize

    def objective(flat: Floats) -> tuple[float, Floats]:
        value, slope = loss_and_slope(flat.reshape(start.shape), closeness, rounding)
        return value, slope.ravel()

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 20, "ftol": 1e-6}
    found = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    points: Floats = found.x.reshape(start.shape)
    return points


def classical_scaling(targets: Floats, dim: int) -> Floats:
    """Classical multidimensional scaling: the leading eigenvectors of the centred squared distances, [N, E].

    Where fewer than `dim` eigenvalues are positive the remaining coordinates are 0.
    """
    from scipy.linalg import eigh

    square = targets**2
    mean = square.mean(axis=0)
    centred = -0.5 * (square - mean[:, None] - mean[None] + square.mean())
    wanted = min(dim, len(targets))
    values, vectors = eigh(centred, subset_by_index=[len(targets) - wanted, len(targets) - 1])
    points = np.zeros((len(targets), dim))
    points[:, :wanted] = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    return points


def loss_and_slope(points: Floats, closeness: Floats, rounding: float | None) -> tuple[float, Floats]:
    """The loss of a placement and its gradient.

    With m_ij = d_ij / t_ij - 1: the sum over i < j of m_ij^2, or of sqrt(m_ij^2 + rounding^2).

    Args:
        points: [N, E].
        closeness: [N, N], 1/t with a zero diagonal.
        rounding: None for squares.

    Returns:
        The loss and its derivative by every coordinate, [N, E].
    """
    from hyperbolic.stress_kernel import loss_of_pairs

    slope = np.empty(points.shape[::-1])
    value = loss_of_pairs(np.ascontiguousarray(points.T), closeness, rounding or 0.0, slope)
    return value, slope.T


def checked_targets(targets: Floats, dim: int, iterations: int) -> None:
    """Refuse distances, or numbers of dimensions and steps, that nothing can be fitted to.

    Raises:
        ValueError: says which and why.
    """
    if dim < 1 or iterations < 1:
        raise ValueError(f"expected at least one dimension and one iteration, got dim={dim}, iterations={iterations}")
    if targets.ndim != 2 or targets.shape[0] != targets.shape[1] or len(targets) < 2:
        raise ValueError(f"expected distances of all pairs of at least two points, [n, n], got shape {targets.shape}")
    off = targets[~np.eye(len(targets), dtype=bool)]
    if not np.isfinite(off).all() or (off <= 0).any() or not np.array_equal(targets, targets.T):
        raise ValueError("expected symmetric distances, finite and above 0 off the diagonal")


def _checked_start(start: ArrayLike, shape: tuple[int, int]) -> Floats:
    points = np.array(start, dtype=np.float64)
    if points.shape != shape or not np.isfinite(points).all():
        raise ValueError(f"expected finite points of shape {shape} to begin with, got shape {points.shape}")
    return points

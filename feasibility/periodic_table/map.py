"""A map of the coordinates: words in the plane, neighbours near each other.

t-SNE in its exact form, from the two main axes as start, so that the same coordinates give the same map.
Source: van der Maaten and Hinton (2008), Visualizing data using t-SNE.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERPLEXITY = 15.0
# Exaggeration of the first steps, and how many; momentum and step size as in the paper.
EARLY, EARLY_STEPS = 8.0, 80


def project(numbers: Floats, steps: int = 350) -> Floats:
    """Rows as points of the plane.

    Args:
        numbers: [n, axes], at least 4 rows.
        steps: of gradient descent.

    Returns:
        [n, 2].

    Cost: O(steps n^2): 5 s for 800 rows.
    """
    wanted = _affinities(numbers)
    centred = numbers - numbers.mean(axis=0)
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    start = left[:, :2] * strength[:2]
    at: Floats = 1e-2 * start / start.std(axis=0)
    speed, gains = np.zeros_like(at), np.ones_like(at)
    rate = max(len(at) / EARLY, 50.0)
    for step in range(steps):
        near = 1.0 / (1.0 + _square_distances(at))
        np.fill_diagonal(near, 0.0)
        pull = ((EARLY if step < EARLY_STEPS else 1.0) * wanted - near / near.sum()) * near
        slope = 4.0 * (pull.sum(axis=1)[:, None] * at - pull @ at)
        # Axes whose direction holds speed up, others slow down.
        gains = np.maximum(np.where(np.sign(slope) == np.sign(speed), 0.8 * gains, gains + 0.2), 0.01)
        speed = (0.5 if step < EARLY_STEPS else 0.8) * speed - rate * gains * slope
        at = (at + speed) - (at + speed).mean(axis=0)
    return at


def _square_distances(rows: Floats) -> Floats:
    square = (rows**2).sum(axis=1)
    distance: Floats = np.maximum(square[:, None] + square[None] - 2 * rows @ rows.T, 0.0)
    return distance


def _affinities(numbers: Floats) -> Floats:
    """How near rows are, [n, n], summing to 1: normal densities whose widths give every row the same perplexity."""
    distance = _square_distances(numbers)
    np.fill_diagonal(distance, np.inf)
    distance = distance - distance.min(axis=1, keepdims=True)
    target = np.log(min(PERPLEXITY, (len(numbers) - 1) / 3))
    low, high = np.zeros(len(numbers)), np.full(len(numbers), np.inf)
    sharp = np.full(len(numbers), 1.0)
    for _ in range(60):
        weight = np.exp(-distance * sharp[:, None])
        share = weight / weight.sum(axis=1, keepdims=True)
        entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(axis=1)
        low, high = np.where(entropy > target, sharp, low), np.where(entropy > target, high, sharp)
        sharp = np.where(np.isinf(high), sharp * 2, (low + np.minimum(high, 1e300)) / 2)
    both = share + share.T
    result: Floats = both / both.sum()
    return result

"""Distances fitted in curved space: the gradient, what it reaches, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hyperbolic import build_graph, distortion, embed
from hyperbolic.graph import Graph, hop_distances
from hyperbolic.manifolds import all_distances, lorentz_distance
from hyperbolic.stress_curved import curved_loss, fit_stress_curved, hyperbolic_scaling


@pytest.fixture(scope="module")
def tree() -> Graph:
    return build_graph([(f"n{i:03}", f"n{(i - 1) // 3:03}") for i in range(1, 100)])


def closeness(targets: np.ndarray) -> np.ndarray:
    inverse = 1.0 / (targets + np.eye(len(targets)))
    np.fill_diagonal(inverse, 0.0)
    return inverse


def test_the_slope_is_the_derivative_of_the_loss(tree: Graph) -> None:
    near, space = closeness(hop_distances(tree)), np.random.default_rng(0).standard_normal((100, 3))
    value, scale, slope = curved_loss(space, near)
    whole = np.concatenate([np.sqrt(1 + (space**2).sum(1, keepdims=True)), space], axis=1)
    upper = np.triu_indices(100, 1)
    ratio = (all_distances(whole, "lorentz") * near)[upper]
    assert value == pytest.approx(((scale * ratio - 1) ** 2).sum(), rel=1e-9)
    assert all(((c * ratio - 1) ** 2).sum() > value for c in (0.99 * scale, 1.01 * scale))
    for i, j in ((0, 0), (63, 1), (64, 2), (99, 0)):
        moved = [space.copy(), space.copy()]
        moved[0][i, j] += 1e-5
        moved[1][i, j] -= 1e-5
        numeric = (curved_loss(moved[0], near)[0] - curved_loss(moved[1], near)[0]) / 2e-5
        assert slope[i, j] == pytest.approx(numeric, rel=1e-5)


def test_points_of_curved_space_are_found_again() -> None:
    rng = np.random.default_rng(1)
    space = 2 * rng.standard_normal((40, 3))
    points = np.concatenate([np.sqrt(1 + (space**2).sum(1, keepdims=True)), space], axis=1)
    targets = all_distances(points, "lorentz")
    assert lorentz_distance(points[0], points[1]) == targets[0, 1]
    again = hyperbolic_scaling(targets, 3)
    again = np.concatenate([np.sqrt(1 + (again**2).sum(1, keepdims=True)), again], axis=1)
    fitted, unit = fit_stress_curved(targets, 3, iterations=500)
    assert distortion(all_distances(fitted, "lorentz"), targets).average < 0.01
    assert unit == pytest.approx(1.0, abs=0.1)
    assert distortion(all_distances(again, "lorentz"), targets).average < 0.5


def test_a_tree_fits_curved_space_better(tree: Graph) -> None:
    hops = hop_distances(tree)
    curved = embed(tree, "lorentz", 2, "stress")
    flat = embed(tree, "euclidean", 2, "stress")
    assert distortion(curved.distances(), hops).average < 0.5 * distortion(flat.distances(), hops).average
    assert curved.tau is not None
    assert np.median(curved.distances()[hops == 4]) / curved.tau == pytest.approx(4, rel=0.15)
    assert np.array_equal(curved.points, embed(tree, "lorentz", 2, "stress").points)
    assert not np.array_equal(curved.points, embed(tree, "lorentz", 2, "stress", seed=1).points)


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (np.ones((3, 3)), {"dim": 1}, "at least 2 dimensions, got dim=1"),
        (np.ones((3, 3)), {"dim": 2, "iterations": 0}, "at least one dimension and one iteration"),
        (np.ones((1, 1)), {"dim": 2}, "at least two points"),
        (np.full((3, 3), np.nan), {"dim": 2}, "finite and above 0"),
    ],
)
def test_misuse_is_refused(targets: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_stress_curved(targets, **options)

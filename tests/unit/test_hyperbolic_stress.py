"""The Euclidean fit is an honest opponent: it finds what exists, and its gradient is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from hyperbolic.graph import build_graph, hop_distances
from hyperbolic.manifolds import all_distances
from hyperbolic.metrics import distortion
from hyperbolic.stress import classical_scaling, fit_stress, loss_and_slope

TREE = hop_distances(build_graph([(f"n{i:02}", f"n{(i - 1) // 3:02}") for i in range(1, 60)]))


def points_of(count: int, dim: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, dim))


@pytest.mark.parametrize("dim", [2, 3])
def test_flat_distances_are_found_again(dim: int) -> None:
    targets = all_distances(points_of(70, dim), "euclidean")
    assert all_distances(classical_scaling(targets, dim), "euclidean") == pytest.approx(targets, abs=1e-9)
    found = all_distances(fit_stress(targets, dim), "euclidean")
    assert distortion(found, targets).average < 2e-3


@pytest.mark.parametrize("rounding", [None, 0.1])
def test_the_slope_is_the_derivative_of_the_loss(rounding: float | None) -> None:
    start = points_of(9, 3)
    closeness = 1 / (TREE[:9, :9] + np.eye(9)) - np.eye(9)

    def loss(flat: np.ndarray) -> float:
        return loss_and_slope(flat.reshape(9, 3), closeness, rounding)[0]

    def slope(flat: np.ndarray) -> np.ndarray:
        return loss_and_slope(flat.reshape(9, 3), closeness, rounding)[1].ravel()

    assert check_grad(loss, slope, start.ravel()) < 1e-4 * np.abs(slope(start.ravel())).max()


def test_blocks_do_not_show() -> None:
    # 130 points are two whole blocks of rows and a rest.
    points = points_of(130, 2)
    targets = all_distances(points_of(130, 4), "euclidean")
    closeness = 1 / (targets + np.eye(130)) - np.eye(130)
    miss = all_distances(points, "euclidean") * closeness - (1 - np.eye(130))
    assert loss_and_slope(points, closeness, None)[0] == pytest.approx((miss**2).sum() / 2)


def test_each_loss_is_best_at_its_own_measure() -> None:
    def measured(**options: object) -> tuple[float, float]:
        points = fit_stress(TREE, 2, **options)  # type: ignore[arg-type]
        ratio = all_distances(points, "euclidean")[np.triu_indices(60, 1)] / TREE[np.triu_indices(60, 1)]
        return float(np.abs(ratio - 1).mean()), float(((ratio - 1) ** 2).mean())

    squares, absolute = measured(), measured(loss="absolute")
    assert absolute[0] < squares[0]
    assert squares[1] < absolute[1]


def test_a_fit_can_go_on_from_another() -> None:
    squares = fit_stress(TREE, 2, iterations=100)
    whole = fit_stress(TREE, 2, iterations=100, loss="absolute")
    assert np.array_equal(fit_stress(TREE, 2, iterations=100, loss="absolute", start=squares), whole)


def test_a_seed_gives_one_result() -> None:
    assert np.array_equal(fit_stress(TREE, 3, seed=4, iterations=20), fit_stress(TREE, 3, seed=4, iterations=20))
    assert not np.array_equal(fit_stress(TREE, 3, seed=4, iterations=20), fit_stress(TREE, 3, seed=5, iterations=20))


def test_more_dimensions_than_points_are_filled_with_zeros() -> None:
    points = classical_scaling(np.array([[0.0, 2.0], [2.0, 0.0]]), 5)
    assert points.shape == (2, 5)
    assert np.abs(points[0] - points[1]).sum() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "at least one dimension and one iteration, got dim=0"),
        ({"iterations": 0}, "iterations=0"),
        ({"loss": "cubes"}, "unknown loss 'cubes'; expected 'squares' or 'absolute'"),
        ({"targets": np.ones(3)}, r"\[n, n\], got shape \(3,\)"),
        ({"targets": np.array([[0, 1.0], [2.0, 0]])}, "symmetric distances, finite and above 0"),
        ({"targets": np.array([[0, np.nan], [np.nan, 0]])}, "symmetric distances, finite and above 0"),
        ({"start": np.zeros((3, 2))}, r"finite points of shape \(60, 2\) to begin with, got shape \(3, 2\)"),
    ],
)
def test_misuse_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_stress(**({"targets": TREE, "dim": 2} | options))  # type: ignore[arg-type]

"""Distances and motions: known values, and clear errors at the edge."""

from __future__ import annotations

import numpy as np
import pytest

from hyperbolic.manifolds import (
    OutsideBall,
    all_distances,
    distance,
    euclidean_distance,
    lorentz_distance,
    poincare_distance,
    rim_gap,
    to_lorentz,
    to_poincare,
    translate,
)


def test_far_points_do_not_saturate() -> None:
    x = np.array([0.99999, 0.0])
    assert float(poincare_distance(x, -x)) == pytest.approx(2 * np.log(1.99999 / 0.00001), abs=1e-9)
    assert float(poincare_distance(x, -x)) == pytest.approx(24.41, abs=0.005)


def test_a_radius_of_36_is_held() -> None:
    x = np.array([np.tanh(18.0), 0.0])
    assert float(poincare_distance(x, [0.0, 0.0])) == pytest.approx(36.0, abs=0.2)
    assert float(poincare_distance(x, -x)) == pytest.approx(2 * float(poincare_distance(x, [0, 0])), abs=1e-12)


def test_near_points_keep_their_digits() -> None:
    x = np.array([0.6, 0.3, -0.2])
    y = x + np.array([1e-12, 0.0, 0.0])
    expected = 2 * (y[0] - x[0]) / (1 - 0.49)
    assert float(poincare_distance(x, y)) == pytest.approx(expected, rel=1e-9)


def test_the_gap_to_the_rim_is_exact_for_stored_points() -> None:
    # 1 - (1 - u)^2 = 2 u - u^2 for the last float before 1.
    u = 2.0**-53
    assert float(rim_gap([1.0 - u])) == 2 * u - u * u
    # 0.6^2 + 0.8^2 = 1, but the stored numbers miss it by a known amount.
    from fractions import Fraction

    inside = [0.6, float(np.nextafter(0.8, 0))]
    assert float(rim_gap(inside)) == float(1 - sum(Fraction(c) ** 2 for c in inside))


@pytest.mark.parametrize("outside", [[1.0, 0.0], [0.8, 0.8], [0.0, -1.5], [1e200, 0.0]])
def test_points_outside_the_ball_are_refused(outside: list[float]) -> None:
    with pytest.raises(OutsideBall, match="1 points lie on or outside the rim"):
        poincare_distance(outside, [0.0, 0.0])


@pytest.mark.parametrize("geometry", ["poincare", "lorentz", "euclidean"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(geometry: str, bad: float) -> None:
    with pytest.raises(ValueError, match="1 coordinates are not finite"):
        distance([bad, 0.0], [0.0, 0.0], geometry)  # type: ignore[arg-type]


def test_an_unknown_geometry_is_named() -> None:
    with pytest.raises(ValueError, match="unknown geometry 'spherical'; expected one of"):
        distance([0.0], [0.0], "spherical")  # type: ignore[arg-type]


def test_points_off_the_hyperboloid_are_refused() -> None:
    with pytest.raises(ValueError, match="1 points are off the hyperboloid"):
        lorentz_distance([0.5, 0.0, 0.5], [1.0, 0.0, 0.0])


def test_a_number_is_not_a_point() -> None:
    with pytest.raises(ValueError, match="expected points with their coordinates on the last axis"):
        euclidean_distance(0.3, 0.2)


def test_lorentz_distance_stays_right_where_the_ball_ends() -> None:
    # Two points in one direction at radii 300 and 340: exp(300) is far beyond the ball's float64.
    def at(radius: float) -> list[float]:
        return [np.cosh(radius), np.sinh(radius), 0.0]

    assert float(lorentz_distance(at(300.0), at(340.0))) == pytest.approx(40.0, rel=1e-12)
    with pytest.raises(OutsideBall):
        to_poincare(at(300.0))


@pytest.mark.parametrize("geometry", ["poincare", "lorentz", "euclidean"])
def test_all_distances_are_the_single_ones(geometry: str) -> None:
    ball = np.random.default_rng(0).uniform(-0.55, 0.55, (70, 3))
    points = to_lorentz(ball) if geometry == "lorentz" else ball
    every = all_distances(points, geometry)  # type: ignore[arg-type]
    single = distance(points[:, None], points[None], geometry)  # type: ignore[arg-type]
    assert every == pytest.approx(single, abs=1e-13)
    assert np.array_equal(every, every.T)
    assert not every.diagonal().any()


def test_translation_puts_a_point_into_the_middle_and_refuses_what_would_leave() -> None:
    points = np.array([[0.3, 0.4], [0.0, 0.0]])
    moved = translate(points, points[0])
    assert moved[0] == pytest.approx([0, 0], abs=1e-17)
    assert moved[1] == pytest.approx([-0.3, -0.4])
    far = np.array([1.0 - 1e-12, 0.0])
    with pytest.raises(OutsideBall):
        translate(-far, far)

"""Laws of geometry that must hold wherever the points lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic.manifolds import (
    lorentz_distance,
    poincare_distance,
    rim_gap,
    to_lorentz,
    to_poincare,
    translate,
)

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def points(draw: st.DrawFn, count: int, radius: float) -> np.ndarray:
    """Points of the ball in 2 to 6 dimensions, up to a hyperbolic radius."""
    dim = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    radii = np.array(draw(st.lists(st.floats(0, radius), min_size=count, max_size=count)))
    direction = rng.standard_normal((count, dim))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.tanh(radii / 2)[:, None] * direction


@given(points(3, 30.0))
def test_distances_obey_the_triangle_inequality(p: np.ndarray) -> None:
    x, y, z = p
    assert poincare_distance(x, y) == poincare_distance(y, x)
    # Stored points are exact here: the law holds up to the rounding of the formula alone.
    assert poincare_distance(x, z) <= poincare_distance(x, y) + poincare_distance(y, z) + 1e-9
    assert poincare_distance(x, x) == 0


@given(points(3, 8.0))
def test_translation_keeps_all_distances_and_moves_its_point_to_the_centre(p: np.ndarray) -> None:
    moved = translate(p, p[0])
    assert np.abs(moved[0]).max() < 1e-12
    before, after = (poincare_distance(q[:, None], q[None]) for q in (p, moved))
    assert after == pytest.approx(before, abs=1e-7)


@given(points(3, 8.0))
def test_a_translation_can_be_undone(p: np.ndarray) -> None:
    moved = translate(p, p[0])
    back = translate(moved, translate(np.zeros_like(p[0]), p[0]))
    assert poincare_distance(back, p) == pytest.approx(0, abs=1e-6)


@given(points(2, 12.0))
def test_poincare_and_lorentz_are_the_same_space(p: np.ndarray) -> None:
    in_ball = float(poincare_distance(p[0], p[1]))
    on_sheet = float(lorentz_distance(*to_lorentz(p)))
    assert on_sheet == pytest.approx(in_ball, rel=1e-9, abs=1e-9)


@given(points(2, 20.0))
def test_the_conversions_undo_each_other(p: np.ndarray) -> None:
    sheet = to_lorentz(p)
    assert sheet[:, 0] ** 2 == pytest.approx(1 + (sheet[:, 1:] ** 2).sum(axis=1), rel=1e-12)
    assert to_poincare(sheet) == pytest.approx(p, rel=1e-12, abs=1e-15)
    assert to_lorentz(to_poincare(sheet))[:, 1:] == pytest.approx(sheet[:, 1:], rel=1e-6)


@given(points(1, 36.0))
@settings(max_examples=200)
def test_the_gap_is_right_to_the_last_digit(p: np.ndarray) -> None:
    from fractions import Fraction

    exact = 1 - sum(Fraction(float(c)) ** 2 for c in p[0])
    if exact > 0:
        assert float(rim_gap(p[0])) == pytest.approx(float(exact), rel=1e-14)

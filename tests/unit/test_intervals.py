from __future__ import annotations

import numpy as np
import pytest

from feasibility.intervals import mean_interval, ratio_interval, share_interval


def test_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    metric = ratio_interval([1, 9], [1, 19], "%", seed=0)
    assert metric.value == pytest.approx(50.0)
    assert metric.n == 2


def test_interval_has_the_width_that_theory_gives() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = mean_interval(values, "s", seed=1).ci95
    expected = 2 * 1.96 * values.std() / 20
    assert high - low == pytest.approx(expected, rel=0.1)


def test_same_seed_same_interval_other_seed_another() -> None:
    values = np.random.default_rng(0).normal(10, 2, 50)
    assert mean_interval(values, "s", seed=1) == mean_interval(values, "s", seed=1)
    assert mean_interval(values, "s", seed=1) != mean_interval(values, "s", seed=2)


def test_alike_items_have_an_interval_without_width() -> None:
    metric = mean_interval([3.0, 3.0, 3.0], "steps", seed=0)
    assert metric.ci95 == (3.0, 3.0)
    assert "alike" in metric.method


def test_all_right_is_not_proof_of_all() -> None:
    metric = ratio_interval([5.0] * 20, [5.0] * 20, "%", seed=0)
    assert metric.value == 100.0
    assert metric.ci95 == pytest.approx((83.9, 100.0), abs=0.1)
    assert ratio_interval([0.0] * 20, [5.0] * 20, "%", seed=0).ci95 == pytest.approx((0.0, 16.1), abs=0.1)


def test_wilson_against_the_closed_form() -> None:
    metric = share_interval(8, 10)
    z, p, n = 1.959963985, 0.8, 10
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert metric.ci95 == pytest.approx((100 * (centre - half), 100 * (centre + half)), rel=1e-6)


@pytest.mark.parametrize(
    ("parts", "wholes", "message"),
    [
        ([], [], "n >= 2"),
        ([1], [1], "n >= 2"),
        ([1, 2], [1], "one length"),
        ([np.nan, 1], [1, 1], "finite"),
        ([1, 1], [0, 0], "sum to 0"),
    ],
)
def test_bad_input(parts, wholes, message) -> None:
    with pytest.raises(ValueError, match=message):
        ratio_interval(parts, wholes, "%", seed=0)


def test_shares_outside_the_whole() -> None:
    with pytest.raises(ValueError, match="hits=11, n=10"):
        share_interval(11, 10)

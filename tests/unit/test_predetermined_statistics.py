"""Intervals over seeds and sentences, equivalence tests, Holm's correction, the data multiplier."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from feasibility.predetermined_embeddings.statistics import (
    Estimate,
    contrast,
    crossed,
    data_multiplier,
    holm,
    multiplier,
)


def test_one_column_is_student_s_interval() -> None:
    values = [1.0, 2.0, 4.0]
    estimate = crossed(values)
    expected = stats.ttest_1samp(values, 0.0)
    assert estimate.interval() == pytest.approx(tuple(expected.confidence_interval()))
    assert estimate.p_two_sided() == pytest.approx(expected.pvalue)


def test_items_add_their_own_variation() -> None:
    rng = np.random.default_rng(0)
    items = rng.standard_normal(200)
    same_seeds = crossed(np.tile(items, (4, 1)))
    assert same_seeds.mean == pytest.approx(items.mean())
    assert same_seeds.error == pytest.approx(items.std() / np.sqrt(200))
    weights = rng.uniform(1, 3, 200)
    assert crossed(np.tile(items, (4, 1)), weights).mean == pytest.approx(np.average(items, weights=weights))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        table = 0.3 + rng.standard_normal((5, 1)) + rng.standard_normal((1, 40)) + rng.standard_normal((5, 40))
        low, high = crossed(table).interval()
        hits += low < 0.3 < high
    assert 0.93 < hits / 300 < 1.0


def test_equivalence_needs_both_sides() -> None:
    narrow, wide = Estimate(0.0, 0.01, 9, 10), Estimate(0.0, 0.5, 9, 10)
    assert narrow.p_within(-0.2, 0.2) < 1e-6
    assert wide.p_within(-0.2, 0.2) > 0.2
    assert Estimate(0.19, 0.01, 9, 10).p_within(-0.2, 0.2) == pytest.approx(
        1 - Estimate(0.19, 0.01, 9, 10).p_above(0.2)
    )
    assert Estimate(1.0, 0.0, 1, 2).p_above(0.0) == 0.0


def test_a_difference_of_logarithms_becomes_percent() -> None:
    metric = Estimate(np.log(1.1), 0.0, 2, 3).metric("%", "percent")
    assert metric.value == pytest.approx(10.0)
    assert metric.ci95 == pytest.approx((10.0, 10.0))


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_the_data_multiplier_reads_the_curve_between_its_points() -> None:
    curve = {100: 1.0, 1_000: 0.1}
    assert data_multiplier(curve, 1.0, 100) == pytest.approx(1.0)
    assert data_multiplier(curve, np.sqrt(0.1), 100) == pytest.approx(np.sqrt(10))
    assert data_multiplier(curve, 0.01, 100) == pytest.approx(10.0), "beyond the curve its end counts"


def test_the_multiplier_of_several_seeds_is_their_median() -> None:
    steep, flat = np.array([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]]), np.array([[0.1, 0.3]] * 3)
    better = np.array([[1.0, 3.0], [0.1, 0.3], [0.1, 0.3]])
    curve = {100: {"learned|excess": steep, "predetermined|excess": better}, 1_000: {"learned|excess": flat,
             "predetermined|excess": flat}}  # fmt: skip
    found = multiplier(curve, np.array([1.0, 3.0]), 100)
    assert found.value == pytest.approx(10.0)
    assert found.ci95 == pytest.approx((1.0, 10.0))
    assert found.method == "median of 3 seeds, 75 % interval"


def test_contrasts_are_paired_and_signed() -> None:
    found = {"a|excess": np.full((3, 5), 2.0), "b|excess": np.full((3, 5), 1.0)}
    assert contrast(found, "a", "b", np.full(5, 2.0)).mean == 0.5


def test_too_few_seeds_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"at least 2 seeds, got shape \(1, 5\)"):
        crossed(np.ones((1, 5)))

"""Bars, checks of the numbers and the run over all nouns, on trees of a few dozen nodes."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from feasibility.harness import Metric, silent
from feasibility.hyperbolic_embeddings.bars import BARS, bars_met, bars_table, reached, shares, thresholds
from feasibility.hyperbolic_embeddings.checks import Trial, check, disagreement, seconds_to_goal, trials
from feasibility.hyperbolic_embeddings.figures import bars_chart
from feasibility.hyperbolic_embeddings.nouns import all_nouns, average_precision
from hyperbolic.graph import Graph, build_graph
from hyperbolic.metrics import retrieval

EDGES = [(f"n{i:02}", f"n{(i - 1) // 3:02}") for i in range(1, 40)]


@pytest.fixture(scope="module")
def tree() -> Graph:
    return build_graph(EDGES)


def test_the_grid_has_every_model_dtype_rate_and_start(tree: Graph) -> None:
    found = trials(tree, 3, 2, ("tree", "random"), 0, silent)
    assert len({(cell.geometry, cell.dtype, cell.rate, cell.start) for cell in found}) == len(found) == 24
    assert all(cell.finite and not cell.unsaid for cell in found)


def test_a_warning_that_is_missing_or_groundless_counts() -> None:
    def cell(clamped: float, warned: bool) -> Trial:
        return Trial("lorentz", "float32", 1.0, "tree", True, clamped, warned, 0.9)

    assert [cell(*told).unsaid for told in ((0.2, True), (0.2, False), (0.01, False), (0.01, True))] == [0, 1, 0, 1]


def test_both_models_tell_the_same_distances_and_the_usual_formulas_do_not(tree: Graph) -> None:
    ours, usual = disagreement(tree, 3, 0)
    assert ours < 1e-12 < usual


def test_the_goal_is_reached_in_seconds_or_never(tree: Graph) -> None:
    assert 0 < seconds_to_goal(tree, "lorentz", 3, 0, goal=0.9) < 5
    assert seconds_to_goal(tree, "poincare", 2, 0, goal=1.1) == math.inf


def test_checks_give_metrics_and_a_grid(tree: Graph) -> None:
    found = check(tree, 3, (0, 1), False, silent)
    assert (found.metrics["not_finite"].value, found.metrics["not_finite"].n) == (0, 12)
    assert found.metrics["seconds_to_goal"].unit == "s"
    assert found.metrics["disagreement"].value < found.usual["disagreement"]
    assert len(found.grid.splitlines()) == 13


def test_a_bar_is_met_by_the_whole_interval_or_not_at_all() -> None:
    def metric(low: float, high: float) -> Metric:
        return Metric((low + high) / 2, "", 3, (low, high), "")

    assert reached(metric(0.1, 0.2), "<=", 0.2) == "yes"
    assert reached(metric(0.1, 0.3), "<=", 0.2) == "unsure"
    assert reached(metric(0.21, 0.3), "<=", 0.2) == "no"
    assert reached(metric(0.9, 1.0), ">=", 0.9) == "yes"
    assert reached(None, "<=", 0.2) == reached(metric(0, 1), "<=", None) == ""


def test_bars_stand_beside_what_was_measured() -> None:
    metrics = {
        "distortion": Metric(0.02, "", 3, (0.019, 0.021), ""),
        "distortion_d2": Metric(0.07, "", 1, (0.07, 0.07), ""),
    }
    lines = {(row["metric"]): row for row in csv.DictReader(bars_table(5, metrics).splitlines())}
    assert len(lines) == len(BARS)
    assert (lines["distortion"]["must"], lines["distortion"]["meets must"], lines["distortion"]["meets aim"]) == (
        "0.025",
        "yes",
        "no",
    )
    assert lines["distortion_d2"]["meets must"] == "no"
    assert lines["nouns_construct_s"]["reached"] == ""
    assert thresholds(5, metrics)["must"] == {"distortion": 0.025, "distortion_d2": 0.06}
    assert bars_met(5, metrics) == (2, 1, 0)
    drawn = shares(5, metrics)
    assert drawn["construction: average distortion, 5 dimensions"] == pytest.approx((0.8, 0.72, 0.904))
    assert "average distortion, 2 dimensions" in bars_chart(drawn)
    # In a run that judges two dimensions, the bars of five are those of a dimension beside it.
    assert {bar.name(2) for bar in BARS if bar.metric == "distortion"} == {
        "distortion",
        "distortion_d5",
        "distortion_d10",
    }


def test_every_bar_is_stricter_where_it_is_an_aim() -> None:
    for bar in BARS:
        assert bar.aim is None or (bar.aim <= bar.must if bar.op == "<=" else bar.aim >= bar.must)


def test_ancestors_of_a_sample_of_nodes_are_ranked_among_all() -> None:
    found = all_nouns(EDGES, 0, silent, dim=3)
    assert found["nouns"].value == 40
    assert found["nouns_map_closure"].n == 39
    assert found["nouns_map_closure"].value > 0.95


def test_average_precision_of_a_row_is_that_of_retrieval() -> None:
    rng = np.random.default_rng(0)
    scores, sought = rng.integers(0, 8, (20, 20)).astype(float), rng.random((20, 20)) < 0.2
    np.fill_diagonal(sought, False)
    nodes = np.flatnonzero(sought.any(axis=1))
    rows = [average_precision(scores[node], node, np.flatnonzero(sought[node])) for node in nodes.tolist()]
    assert rows == pytest.approx(retrieval(scores, sought).average_precision)


def test_a_share_of_a_bar_is_of_the_error_that_it_allows() -> None:
    def metric(value: float) -> Metric:
        return Metric(value, "", 1, (value, value), "")

    drawn = shares(5, {"map_links": metric(0.96), "pairs_per_s": metric(2e7), "not_finite": metric(0)})
    assert [found[0] for found in drawn.values()] == pytest.approx([0.5, 0.25])

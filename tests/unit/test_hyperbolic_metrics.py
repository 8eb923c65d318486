"""Metrics on cases that can be worked out by hand, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from hyperbolic.graph import adjacency, build_graph, closure, hop_distances
from hyperbolic.metrics import average_distortion, distortion, excess_weight, path_excess, retrieval, worst_distortion


def line(*positions: float) -> np.ndarray:
    """Distances of points on a line."""
    x = np.array(positions, dtype=float)
    return np.abs(x[:, None] - x[None])


def test_a_scaled_copy_is_perfect() -> None:
    hops = hop_distances(build_graph([("a", "r"), ("b", "r"), ("c", "a")]))
    found = distortion(2.5 * hops, hops)
    assert (found.average, found.worst, found.rho) == pytest.approx((0.0, 1.0, 1.0), abs=1e-12)
    assert found.scale == pytest.approx(1 / 2.5)
    assert found.stress1 == pytest.approx(0.0, abs=1e-7)


def test_distortion_by_hand() -> None:
    # Points 0, 1, 3 against targets 1, 1, 1: ratios 1, 2, 3. The weighted median of 1, 1/2, 1/3 with weights 1, 2, 3 is
    # 1/2 (or 1/3, as good): mean(|1/2 - 1|, 0, |3/2 - 1|) = 1/3.
    targets = np.ones((3, 3)) - np.eye(3)
    found = distortion(line(0, 1, 3), targets)
    assert found.average == pytest.approx(1 / 3) == average_distortion(line(0, 1, 3), targets)
    assert found.worst == pytest.approx(3.0)
    assert found.stress1 == pytest.approx(np.sqrt(1 - 6**2 / (14 * 3)))
    assert found.rho == 0.0


def test_rounding_is_no_asymmetry() -> None:
    nearly = line(0, 1, 3) * (1 + 1e-12 * np.triu(np.ones((3, 3))))
    assert distortion(nearly, line(0, 1, 3)).average == pytest.approx(0, abs=1e-9)


def test_nodes_in_one_place_make_the_worst_case_infinite() -> None:
    targets = np.ones((3, 3)) - np.eye(3)
    assert distortion(line(0, 0, 1), targets).worst == np.inf
    assert worst_distortion(line(0, 1, 3), targets) == 3.0


def test_average_precision_by_hand() -> None:
    # Row 0 seeks nodes 1 and 4; by score the others come as 1, 2, 4, 3: precisions 1/1 and 2/3.
    scores = np.tile([9.0, 1.0, 2.0, 4.0, 3.0], (5, 1))
    sought = np.zeros((5, 5), dtype=bool)
    sought[0, [1, 4]] = True
    found = retrieval(scores, sought)
    assert found.map == pytest.approx((1 + 2 / 3) / 2)
    assert found.mean_rank == pytest.approx(1 + (0 + 1) / 2)
    assert found.average_precision.shape == (1,)


def test_ties_count_against() -> None:
    scores, sought = np.ones((4, 4)), np.zeros((4, 4), dtype=bool)
    sought[0, 1] = True
    found = retrieval(scores, sought)
    assert found.map == pytest.approx(1 / 3)
    assert found.mean_rank == 3.0


def test_the_diagonal_is_ignored() -> None:
    scores = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert retrieval(scores, np.ones((2, 2), dtype=bool)).map == 1.0


def test_path_excess_finds_all_ancestors_in_an_exact_tree() -> None:
    graph = build_graph([("a", "r"), ("b", "r"), ("c", "a"), ("d", "a"), ("e", "c"), ("f", "b")])
    hops, above = hop_distances(graph), closure(graph)
    assert retrieval(hops, above).map < 1.0
    assert retrieval(path_excess(hops, hops[graph.root]), above).map == 1.0
    assert retrieval(hops, adjacency(graph)).map == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_never_read_as_perfect(bad: float) -> None:
    broken = line(0, 1, 2)
    broken[0, 1] = bad
    with pytest.raises(ValueError, match="1 of the distances are not finite"):
        distortion(broken, line(0, 1, 2))
    with pytest.raises(ValueError, match="1 of the scores are not finite"):
        retrieval(broken, np.eye(3, k=1, dtype=bool))


@pytest.mark.parametrize(
    ("distances", "targets", "message"),
    [
        (line(0, 1), line(0, 1, 2), r"two matrices of one size of at least 2, got \(2, 2\) and \(3, 3\)"),
        (line(0), line(0), "of one size of at least 2"),
        (np.ones(4), line(0, 1), r"distances as a square matrix \[n, n\], got shape \(4,\)"),
        (line(0, 1), line(0, 0), "targets > 0"),
        (line(0, 0), line(0, 1), "not all 0"),
        (-line(0, 1), line(0, 1), "distances >= 0"),
        (
            line(0, 1, 3) + 2 * np.eye(3, k=1),
            line(0, 1, 3),
            r"expected distances that are symmetric; 2 pairs are not: \[0, 1\] is 3 and \[1, 0\] is 1",
        ),
        (line(0, 1, 3), np.triu(line(0, 1, 3)), "expected targets that are symmetric; 3 pairs are not"),
    ],
)
def test_distortion_refuses(distances: np.ndarray, targets: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distortion(distances, targets)


def test_retrieval_refuses_other_shapes_and_nothing_to_find() -> None:
    with pytest.raises(ValueError, match=r"of one shape, got \(2, 2\) and \(3, 3\)"):
        retrieval(line(0, 1), np.eye(3, dtype=bool))
    with pytest.raises(ValueError, match="nothing is sought"):
        retrieval(line(0, 1), np.eye(2, dtype=bool))


def test_the_weight_of_path_excess_knows_deep_trees() -> None:
    assert (excess_weight(0), excess_weight(9), excess_weight(100)) == (0.95, 0.95, 0.995)
    trunk = [(f"n{i:03}", f"n{i - 1:03}") for i in range(1, 80)]
    graph = build_graph([*trunk, *((f"leaf{i:03}", f"n{i:03}") for i in range(80))])
    hops, above = hop_distances(graph), closure(graph)
    assert retrieval(path_excess(hops, hops[graph.root]), above).map < 0.99
    assert retrieval(path_excess(hops, hops[graph.root], excess_weight(hops[graph.root].max())), above).map == 1.0

"""The construction keeps what it promises: edge lengths, the radius limit, determinism, and a lower distortion."""

from __future__ import annotations

import numpy as np
import pytest

from hyperbolic import construction
from hyperbolic.construction import RADIUS_LIMIT, construct
from hyperbolic.directions import polygon, spread_directions, turn_losses, turn_offsets
from hyperbolic.graph import Graph, build_graph, hop_distances, tree_centre
from hyperbolic.manifolds import OutsideBall, all_distances, poincare_distance
from hyperbolic.metrics import distortion


def random_tree(nodes: int, seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    return build_graph([(f"n{i:03}", f"n{rng.integers(i):03}") for i in range(1, nodes)])


def star(leaves: int) -> Graph:
    return build_graph([(f"leaf{i:02}", "hub") for i in range(leaves)])


def layout_distances(tree: Graph, dim: int, **options: object) -> np.ndarray:
    points = construct(tree, dim, tree_centre(tree), **options).points  # type: ignore[arg-type]
    return all_distances(points, "poincare")


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_equal_weights_and_one_branch_more_than_dimensions_make_a_simplex(dim: int) -> None:
    count = dim + 1
    found = spread_directions(np.ones((count, count)), dim, np.random.default_rng(1))
    cosines = (found @ found.T)[~np.eye(count, dtype=bool)]
    assert cosines == pytest.approx(-1.0 / dim, abs=2e-2)


def test_two_branches_go_straight_on() -> None:
    assert np.array_equal(spread_directions(np.ones((2, 2)), 3, np.random.default_rng(0)), [[1, 0, 0], [-1, 0, 0]])


def test_heavy_branches_get_more_room() -> None:
    weights = np.outer([10.0, 10, 1, 1, 1], [10.0, 10, 1, 1, 1])
    found = spread_directions(weights, 2, np.random.default_rng(0))
    assert found[0] @ found[1] < polygon(5)[0] @ polygon(5)[1] - 0.2


def test_the_loss_of_a_turn_is_what_two_long_legs_lose() -> None:
    directions = np.array([[1.0, 0.0], [np.cos(2.0), np.sin(2.0)]])
    legs = np.tanh(np.array([7.0, 8.0]) / 2.0)[:, None] * directions
    assert 7.0 + 8.0 - float(poincare_distance(*legs)) == pytest.approx(turn_losses(directions)[0, 1], abs=1e-4)
    assert turn_losses(directions)[0, 1] == pytest.approx(-2 * np.log(np.sin(1.0)))


def test_offsets_take_up_equal_losses_exactly() -> None:
    three = polygon(3)
    offsets = turn_offsets(three, np.ones((3, 3)), np.full(3, 1e-9))
    assert offsets == pytest.approx(turn_losses(three)[0, 1] / 2)
    assert turn_offsets(polygon(2), np.ones((2, 2)), np.ones(2)) == pytest.approx([0, 0])


@pytest.mark.parametrize("correct_turns", [True, False])
def test_a_path_keeps_its_distances_exactly(correct_turns: bool) -> None:
    tree = build_graph([(f"n{i + 1}", f"n{i}") for i in range(6)])
    found = layout_distances(tree, 3, tau=2.5, correct_turns=correct_turns)
    assert found == pytest.approx(2.5 * hop_distances(tree), abs=1e-9)


def test_the_published_construction_gives_every_edge_the_same_length() -> None:
    tree = random_tree(60)
    found = layout_distances(tree, 4, tau=1.5, correct_turns=False)
    assert found[hop_distances(tree) == 1] == pytest.approx(1.5, abs=1e-9)


def test_the_default_fills_the_ball_up_to_the_limit() -> None:
    for tree in (star(7), random_tree(80)):
        layout = construct(tree, 3, tree_centre(tree))
        assert layout.radius == pytest.approx(RADIUS_LIMIT, abs=0.1)
        assert poincare_distance(layout.points, np.zeros(3)).max() == pytest.approx(RADIUS_LIMIT, abs=0.5)


def test_correcting_turns_lowers_the_distortion() -> None:
    tree = random_tree(150)
    hops = hop_distances(tree)
    for dim in (2, 5):
        plain = distortion(layout_distances(tree, dim, correct_turns=False), hops)
        ours = distortion(layout_distances(tree, dim), hops)
        assert ours.average < 0.8 * plain.average


def test_a_seed_gives_one_result_and_the_plane_needs_none() -> None:
    tree = random_tree(40)
    once, again, other = (construct(tree, 3, 0, seed=seed).points for seed in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert np.array_equal(construct(tree, 2, 0, seed=1).points, construct(tree, 2, 0, seed=2).points)


def test_rounding_moves_no_distance_by_more_than_the_radius_allows() -> None:
    # Siblings that end at radius 36 are told apart, and their distance is right to a few percent.
    tree = star(3)
    found = layout_distances(tree, 2, correct_turns=False)
    leaves = found[1:, 1:][~np.eye(3, dtype=bool)]
    assert leaves == pytest.approx(2 * RADIUS_LIMIT + 2 * np.log(np.sin(np.pi / 3)), abs=0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 1}, "at least 2 dimensions to branch, got dim=1"),
        ({"tau": 0.0}, "must be positive and finite, got tau=0.0"),
        ({"tau": float("nan")}, "must be positive and finite, got tau=nan"),
    ],
)
def test_misuse_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        construct(star(3), **({"dim": 2, "start": 0} | options))  # type: ignore[arg-type]


def test_a_graph_that_is_no_tree_is_refused() -> None:
    graph = build_graph([("mule", "horse"), ("mule", "donkey"), ("horse", "equine"), ("donkey", "equine")])
    with pytest.raises(ValueError, match="expected a tree, got 4 nodes and 4 edges; take its spanning_tree"):
        construct(graph, 2, 0)


def test_too_long_an_edge_is_refused_with_the_longest_that_fits() -> None:
    with pytest.raises(OutsideBall, match=r"tau=40 puts the farthest node beyond radius 36; use tau <= 36"):
        construct(star(2), 2, 0, tau=40.0)


def test_no_room_for_the_corrections_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(construction, "RADIUS_LIMIT", 0.1)
    with pytest.raises(OutsideBall, match="pass correct_turns=False"):
        construct(star(7), 2, 0, correct_turns=True)
    as_published = construct(star(7), 2, 0, correct_turns=False)
    assert np.array_equal(construct(star(7), 2, 0).points, as_published.points)


@pytest.mark.parametrize("dim", [2, 5])
def test_deep_trees_stay_inside_the_ball(dim: int) -> None:
    chain = build_graph([(i, i - 1) for i in range(1, 200)])
    rng = np.random.default_rng(0)
    deep = build_graph([(i, int(rng.integers(max(0, i - 6), i))) for i in range(1, 400)])
    for tree in (chain, deep):
        layout = construct(tree, dim, tree_centre(tree))
        assert layout.radius < RADIUS_LIMIT + 0.5
        assert distortion(all_distances(layout.points, "poincare"), hop_distances(tree)).average < 0.15


def test_a_trunk_with_leaves_does_not_curl_up_in_the_plane() -> None:
    trunk = build_graph([(i, i - 1) for i in range(1, 80)] + [(1000 + i, i) for i in range(80)])
    assert distortion(layout_distances(trunk, 2), hop_distances(trunk)).average < 0.1


def test_many_fans_at_once_are_those_fans_one_by_one() -> None:
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.5, 2, (7, 5, 5))
    weights += np.swapaxes(weights, 1, 2)
    together = spread_directions(weights, 2, rng)
    assert np.linalg.norm(together, axis=2) == pytest.approx(1.0)
    offsets = turn_offsets(together, weights, np.ones((7, 5)))
    for fan, own, found in zip(together, weights, offsets, strict=True):
        assert fan == pytest.approx(spread_directions(own, 2, rng), abs=1e-9)
        assert found == pytest.approx(turn_offsets(fan, own, np.ones(5)), abs=1e-9)


def test_a_branch_that_is_not_there_takes_no_room() -> None:
    weights = np.zeros((5, 5))
    weights[:3, :3] = 1.0
    found = spread_directions(weights, 2, np.random.default_rng(0))[:3]
    assert (found @ found.T)[~np.eye(3, dtype=bool)] == pytest.approx(-0.5, abs=1e-6)

"""The one call that most users need, and what it refuses."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import hyperbolic
from hyperbolic import Embedding, GraphError, build_graph, embed

ANIMALS = [
    ("cat", "feline"),
    ("lion", "feline"),
    ("tiger", "feline"),
    ("feline", "carnivore"),
    ("dog", "canine"),
    ("wolf", "canine"),
    ("canine", "carnivore"),
    ("carnivore", "mammal"),
    ("cow", "ungulate"),
    ("ungulate", "mammal"),
]


@pytest.fixture(scope="module")
def animals() -> Embedding:
    return embed(ANIMALS, dim=3)


def test_distances_follow_the_edges(animals: Embedding) -> None:
    assert animals.tau is not None
    for a, b, edges in (("cat", "lion", 2), ("cat", "feline", 1), ("cat", "cow", 5), ("dog", "dog", 0)):
        assert animals.distance(a, b) / animals.tau == pytest.approx(edges, abs=0.25)
        row, column = animals.position(a), animals.position(b)
        assert animals.distances()[row, column] == pytest.approx(animals.distance(a, b), abs=1e-12)


def test_ancestors_come_from_the_points_nearest_first(animals: Embedding) -> None:
    assert animals.ancestors("cat", 3) == ["feline", "carnivore", "mammal"]
    assert animals.ancestors("cow", 2) == ["ungulate", "mammal"]


def test_as_many_ancestors_as_asked_for_or_an_error(animals: Embedding) -> None:
    everyone = animals.ancestors("feline", 10)
    assert sorted([*everyone, "feline"]) == list(animals.names)
    for k in (0, -2, 11):
        with pytest.raises(ValueError, match=f"expected 1 to 10 ancestors, .* got k={k}"):
            animals.ancestors("cat", k)


def test_nothing_stands_above_the_root(animals: Embedding) -> None:
    assert animals.ancestors("mammal", 3) == []
    with pytest.raises(ValueError, match="expected 1 to 10"):
        animals.ancestors("mammal", 11)


def test_the_embedding_is_frozen_and_knows_what_it_is(animals: Embedding) -> None:
    assert (animals.dim, animals.geometry, animals.root) == (3, "poincare", "mammal")
    assert animals.names == build_graph(ANIMALS).names
    assert animals.points.dtype == np.float64
    with pytest.raises(dataclasses.FrozenInstanceError):
        animals.root = "cat"  # type: ignore[misc]


def test_unknown_nodes_are_named(animals: Embedding) -> None:
    with pytest.raises(KeyError, match="'unicorn' is not among the 11 nodes"):
        animals.distance("cat", "unicorn")


def test_a_euclidean_fit_has_the_same_face() -> None:
    flat = embed(ANIMALS, geometry="euclidean", dim=4, method="stress")
    assert flat.tau is None
    assert flat.distance("cat", "cow") == pytest.approx(5, rel=0.2)
    assert "feline" in flat.ancestors("cat", 3)


def test_wedges_put_depth_at_its_radius() -> None:
    disk = embed(ANIMALS, dim=2, method="wedges", tau=0.5)
    for name, depth in (("mammal", 0), ("carnivore", 1), ("feline", 2), ("cat", 3)):
        assert disk.distance("mammal", name) == pytest.approx(0.5 * depth, abs=1e-9)
    assert len({tuple(point) for point in disk.points.round(9)}) == len(ANIMALS) + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"geometry": "euclidean"},
            "no method 'construct' for geometry 'euclidean'; there is geometry='poincare' with method='construct', "
            "geometry='poincare' with method='wedges', geometry='euclidean' with method='stress'",
        ),
        ({"geometry": "lorentz"}, "no method 'construct' for geometry 'lorentz'; there is"),
        ({"method": "learn"}, "no method 'learn' for geometry 'poincare'; there is"),
        ({"method": "wedges"}, "method='wedges' fills the disk and needs dim=2, got dim=5"),
        ({"method": "wedges", "dim": 2, "tau": -1.0}, "must be positive and finite, got tau=-1.0"),
        ({"method": "wedges", "dim": 2, "tau": 20.0}, "use tau <= 12"),
        ({"geometry": "euclidean", "method": "stress", "tau": 1.0}, "method='stress' has none"),
        ({"seed": -1}, "a seed must be 0 or more, got seed=-1"),
        ({"root": "cat"}, "the root 'cat' is not above all nodes"),
    ],
)
def test_misuse_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed(ANIMALS, **options)  # type: ignore[arg-type]


def test_a_graph_is_taken_as_it_is() -> None:
    graph = build_graph(ANIMALS)
    assert np.array_equal(embed(graph, dim=2).points, embed(ANIMALS, dim=2).points)
    with pytest.raises(ValueError, match="a graph has its root already"):
        embed(graph, root="mammal")
    with pytest.raises(GraphError, match="no edges"):
        embed([])


def test_the_smallest_graph() -> None:
    pair = embed([("cat", "feline")], dim=2)
    assert pair.ancestors("cat", 1) == ["feline"]
    assert pair.distance("cat", "feline") == pytest.approx(36, abs=0.3)


def test_the_public_face_loads_nothing_until_it_is_used() -> None:
    for name in hyperbolic.__all__:
        assert getattr(hyperbolic, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'learn'"):
        _ = hyperbolic.learn
    code = "import sys, hyperbolic; print([m for m in ('numpy', 'scipy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

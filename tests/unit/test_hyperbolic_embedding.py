"""The one call that most users need, and what it refuses."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hyperbolic
from hyperbolic import Embedding, GraphError, build_graph, embed
from hyperbolic.storage import BadFile, write_npz

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


def test_ancestors_are_found_in_deep_trees_too() -> None:
    trunk = [(f"n{i:03}", f"n{i - 1:03}") for i in range(1, 60)]
    comb = embed([*trunk, *((f"leaf{i:03}", f"n{i:03}") for i in range(60))], dim=3)
    assert {*comb.ancestors("n059", 59)} == {f"n{i:03}" for i in range(59)}


def test_an_option_that_does_not_exist_is_named() -> None:
    with pytest.raises(TypeError, match=r"embed\(\) has no 'epoch'; for method='learn' there is epochs, negatives"):
        embed([("cat", "feline")], method="learn", epoch=3)


def test_nothing_stands_above_the_root(animals: Embedding) -> None:
    assert animals.ancestors("mammal", 3) == []
    with pytest.raises(ValueError, match="expected 1 to 10"):
        animals.ancestors("mammal", 11)


def test_the_embedding_is_frozen_and_knows_what_it_is(animals: Embedding) -> None:
    assert (animals.dim, animals.geometry, animals.root) == (3, "lorentz", "mammal")
    assert animals.points.shape == (11, 4)
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


@pytest.mark.parametrize("method", ["construct", "learn", "stress"])
@pytest.mark.parametrize("geometry", ["lorentz", "poincare", "euclidean"])
@pytest.mark.parametrize("dim", [2, 5])
def test_every_method_in_every_geometry(geometry: Any, method: Any, dim: int, tmp_path: Path) -> None:
    found = embed(ANIMALS, geometry, dim, method)
    assert (found.dim, found.curvature) == (dim, 0.0 if geometry == "euclidean" else -1.0)
    whole = found.distances()
    assert whole.shape == (11, 11)
    assert np.array_equal(whole, whole.T)
    assert (np.diag(whole) == 0).all()
    if geometry != "euclidean":
        assert (whole[~np.eye(11, dtype=bool)] > 0).all()
        assert set(found.ancestors("cat", 3)) == {"feline", "carnivore", "mammal"}
    found.save(tmp_path / "x.npz")
    assert np.array_equal(Embedding.load(tmp_path / "x.npz").distances(), whole)


def test_the_two_models_of_curved_space_are_one() -> None:
    for method in ("construct", "stress", "wedges"):
        sheet, ball = (embed(ANIMALS, geometry, 2, method) for geometry in ("lorentz", "poincare"))  # type: ignore[arg-type]
        assert sheet.distances() == pytest.approx(ball.distances(), rel=1e-9 if method != "construct" else 0.05)
        assert sheet.tau == ball.tau


def test_redundant_edges_change_nothing_that_is_laid_out() -> None:
    everything = [*ANIMALS, ("cat", "mammal"), ("cat", "carnivore"), ("feline", "mammal")]
    assert np.array_equal(embed(everything, dim=3).points, embed(ANIMALS, dim=3).points)


def test_a_networkx_graph_and_an_array_are_edges_too() -> None:
    networkx = pytest.importorskip("networkx")
    assert np.array_equal(embed(networkx.DiGraph(ANIMALS), dim=3).points, embed(ANIMALS, dim=3).points)
    tree = networkx.DiGraph([(2, 1), (3, 1), (10, 3)])
    found = embed(tree, dim=2)
    assert found.names == (1, 2, 3, 10)
    assert found.ancestors(10, 2) == [3, 1]
    assert embed(np.array([[2, 1], [3, 1], [10, 3]]), dim=2).names == found.names
    tree.add_node(7)
    with pytest.raises(GraphError, match="2 nodes have no parent: 1, 7"):
        embed(tree)
    assert embed(tree, root=0, dim=2).ancestors(7, 1) == [0]
    with pytest.raises(GraphError, match="undirected graph"):
        embed(networkx.Graph(ANIMALS))
    with pytest.raises(GraphError, match="no nodes"):
        embed(networkx.DiGraph())


def test_a_word_stands_for_what_is_below_it() -> None:
    found = embed("feline.n.01", dim=2)
    assert found.root == "feline.n.01"
    assert set(found.ancestors("tiger.n.02", 2)) == {"big_cat.n.01", "feline.n.01"}

    class Mine:
        def subtree(self, root: str) -> list[tuple[str, str]]:
            return [] if root == "cat" else [("cat", root)]

    assert embed("animal", dim=2, lexicon=Mine()).names == ("animal", "cat")
    with pytest.raises(GraphError, match="nothing is below 'cat'"):
        embed("cat", lexicon=Mine())


def test_saved_and_loaded_to_the_last_bit(animals: Embedding, tmp_path: Path) -> None:
    file = tmp_path / "animals.npz"
    animals.save(file)
    again = Embedding.load(file)
    assert np.array_equal(again.points, animals.points)
    told = (again.names, again.geometry, again.root, again.tau, again.bias, again.score)
    assert told == (animals.names, animals.geometry, animals.root, animals.tau, None, "path-excess")
    small = embed([(2, 1)], "euclidean", 2, "learn", epochs=1, bias=True, dtype="float32")
    small.save(file)
    again = Embedding.load(str(file))
    assert again.points.dtype == np.float32
    assert again.names == (1, 2)
    assert small.bias is not None
    assert np.array_equal(again.bias, small.bias)
    assert [path.name for path in tmp_path.iterdir()] == ["animals.npz"]


def test_a_damaged_file_is_refused(animals: Embedding, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    with pytest.raises(FileNotFoundError):
        Embedding.load(file)
    np.savez(file, points=np.zeros((2, 2)))
    with pytest.raises(BadFile, match="no file of this package"):
        Embedding.load(file)
    np.save(tmp_path / "y.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BadFile, match="no file of this package"):
        Embedding.load(tmp_path / "y.npy")
    animals.save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match="no file of this package"):
        Embedding.load(file)
    write_npz(file, {"points": animals.points}, {"kind": "hyperbolic.embedding.v2"})
    with pytest.raises(BadFile, match=r"of kind 'hyperbolic.embedding.v2', expected 'hyperbolic.embedding.v1'"):
        Embedding.load(file)
    dataclasses.replace(animals, names=animals.names[:-1]).save(file)
    with pytest.raises(BadFile, match=r"its 10 names, root and points of .* do not fit"):
        Embedding.load(file)
    dataclasses.replace(animals, points=animals.points * np.nan).save(file)
    with pytest.raises(BadFile, match="not finite"):
        Embedding.load(file)


def test_scores_are_told_apart(animals: Embedding) -> None:
    assert animals.ancestors("cat", 1, "distance") == ["feline"]
    with pytest.raises(ValueError, match="no score 'bias' here; there is 'path-excess', 'distance'"):
        animals.ancestors("cat", 1, "bias")
    with pytest.raises(ValueError, match="no score 'cosine'"):
        animals.ancestors("cat", 1, "cosine")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"geometry": "klein"}, "no method 'construct' for geometry 'klein'; there is 'construct', 'learn' and"),
        ({"geometry": "euclidean", "method": "wedges"}, "no method 'wedges' for geometry 'euclidean'"),
        ({"method": "guess"}, "no method 'guess' for geometry 'lorentz'"),
        ({"dim": 0}, "whole number of dimensions from 1 on, got dim=0"),
        ({"dim": 2.5}, "got dim=2.5"),
        ({"dim": 1}, "at least 2 dimensions to branch, got dim=1"),
        ({"dim": 1, "method": "stress"}, "at least 2 dimensions, got dim=1"),
        ({"method": "wedges"}, "method='wedges' fills the disk and needs dim=2, got dim=5"),
        ({"method": "wedges", "dim": 2, "tau": -1.0}, "must be positive and finite, got tau=-1.0"),
        ({"method": "wedges", "dim": 2, "tau": 20.0}, "use tau <= 12"),
        ({"geometry": "euclidean", "method": "stress", "tau": 1.0}, "method='stress' for 'euclidean' has none"),
        ({"method": "learn", "tau": 1.0}, "method='learn' for 'lorentz' has none"),
        ({"epochs": 3}, "epochs: only method='learn' takes this, got method='construct'"),
        ({"closure": False}, "closure: only method='learn'"),
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
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = hyperbolic.train
    code = "import sys, hyperbolic; print([m for m in ('numpy', 'scipy', 'numba', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

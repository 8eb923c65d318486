"""Learning: what it reaches, what it refuses, and that interruptions and repetitions change nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyperbolic import Recipe, build_graph, embed, learn, retrieval
from hyperbolic.descent import BadCheckpoint
from hyperbolic.graph import Graph, closure
from hyperbolic.learning import ClampWarning
from hyperbolic.manifolds import Geometry, all_distances
from hyperbolic.storage import BadFile


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Three levels with four children each."""
    return build_graph([(f"n{i:03}", f"n{(i - 1) // 4:03}") for i in range(1, 85)])


def quality(graph: Graph, points: np.ndarray, geometry: Geometry) -> float:
    return retrieval(all_distances(points, geometry), closure(graph)).map


@pytest.mark.parametrize("geometry", ["poincare", "lorentz"])
@pytest.mark.parametrize(("dim", "start"), [(2, "tree"), (5, "tree"), (5, "random")])
def test_ancestors_become_the_nearest(geometry: Geometry, dim: int, start: Any, graph: Graph) -> None:
    found = learn(graph, geometry, dim, Recipe(epochs=150, start=start, rates=(0.3, 0.01)))
    assert quality(graph, found.points, geometry) > 0.98
    assert found.losses[-1] < found.losses[0] / 2
    assert found.clamped == 0.0
    assert found.points.shape == (85, dim + (geometry == "lorentz"))


def test_flat_space_needs_a_bias(graph: Graph) -> None:
    plain = learn(graph, "euclidean", 3, Recipe(epochs=150, start="random", rates=(1.0, 0.05)))
    biased = embed(graph, "euclidean", 2, "learn", epochs=150, start="random", rates=(1.0, 0.05), bias=True)
    assert plain.bias is None
    assert biased.bias is not None
    score = biased.distances() + biased.bias[None]
    assert retrieval(score, closure(graph)).map > 0.9 > quality(graph, plain.points, "euclidean")
    assert biased.score == "bias"
    assert biased.ancestors("n084", 3) == ["n020", "n004", "n000"]


@pytest.mark.filterwarnings("ignore::hyperbolic.learning.ClampWarning")
@pytest.mark.parametrize("geometry", ["poincare", "lorentz"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("start", ["tree", "random"])
def test_never_a_number_that_is_not_finite(
    geometry: Geometry, dtype: Any, rate: float, start: Any, graph: Graph
) -> None:
    found = learn(graph, geometry, 2, Recipe(epochs=60, dtype=dtype, rates=(rate, rate), start=start))
    assert np.isfinite(found.points).all()
    assert np.isfinite(found.losses).all()
    assert found.points.dtype == dtype
    assert np.isfinite(all_distances(found.points, geometry)).all()


def test_points_on_the_clamp_are_told(graph: Graph) -> None:
    with pytest.warns(ClampWarning, match=r"\d+ % of the points sit on the clamp at radius 12.2 of float32: .*float64"):
        learn(graph, "poincare", 2, Recipe(epochs=150, dtype="float32", rates=(1.0, 1.0)))


def test_the_same_seed_gives_the_same_points(graph: Graph) -> None:
    recipe = Recipe(epochs=5)
    first, again = learn(graph, "lorentz", 3, recipe), learn(graph, "lorentz", 3, recipe)
    assert np.array_equal(first.points, again.points)
    other = learn(graph, "lorentz", 3, dataclasses.replace(recipe, seed=1))
    assert not np.array_equal(first.points, other.points)


@pytest.mark.parametrize("geometry", ["lorentz", "euclidean"])
def test_an_interrupted_run_ends_where_it_would_have(geometry: Geometry, graph: Graph, tmp_path: Path) -> None:
    recipe, file = Recipe(epochs=6, bias=geometry == "euclidean"), tmp_path / "half.npz"
    whole = learn(graph, geometry, 3, recipe)

    class Stop(Exception):
        pass

    def stop(epoch: int, epochs: int, loss: float, points: np.ndarray) -> None:
        if epoch == 4:
            raise Stop

    from hyperbolic import descent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
        with pytest.raises(Stop):
            learn(graph, geometry, 3, recipe, checkpoint=file, report=stop)
    seen: list[int] = []
    resumed = learn(graph, geometry, 3, recipe, checkpoint=file, report=lambda epoch, *_: seen.append(epoch))
    assert seen == [4, 5, 6]
    assert np.array_equal(whole.points, resumed.points)
    assert (whole.losses, whole.compared) == (resumed.losses, resumed.compared)
    if whole.bias is not None:
        assert np.array_equal(whole.bias, resumed.bias)
    assert [path.name for path in tmp_path.iterdir()] == ["half.npz"]


def test_a_checkpoint_of_another_run_is_refused(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    learn(graph, "lorentz", 3, Recipe(epochs=1), checkpoint=file)
    with pytest.raises(BadCheckpoint, match="belongs to another run: it has epochs 1 instead of 2; name another file"):
        learn(graph, "lorentz", 3, Recipe(epochs=2), checkpoint=file)
    with pytest.raises(BadCheckpoint, match="it has pairs"):
        learn(graph, "lorentz", 3, Recipe(epochs=1), pairs=graph.edges, checkpoint=file)
    file.write_text("nonsense")
    with pytest.raises(BadFile, match="no file of this package"):
        learn(graph, "lorentz", 3, Recipe(epochs=1), checkpoint=file)


def test_the_given_pairs_alone_are_learned(graph: Graph) -> None:
    edges = learn(graph, "poincare", 5, Recipe(epochs=2), pairs=graph.edges)
    assert edges.compared == 2 * 51 * 84
    everything = learn(graph, "poincare", 5, Recipe(epochs=2))
    assert everything.compared == 2 * 51 * int(closure(graph).sum())
    assert np.array_equal(embed(graph, "poincare", 5, "learn", closure=False, epochs=2).points, edges.points)


def test_a_chain_has_few_negatives_and_still_ends() -> None:
    chain = build_graph([(f"n{i + 1}", f"n{i}") for i in range(6)])
    assert np.isfinite(learn(chain, "lorentz", 2, Recipe(epochs=3)).points).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "at least one epoch, .* epochs=0"),
        ({"negatives": 0}, "negatives=0"),
        ({"seed": -1}, "seed=-1"),
        ({"rates": (0.1,)}, "two positive learning rates"),
        ({"rates": (0.1, float("nan"))}, "two positive learning rates"),
        ({"dtype": "float16"}, "expected dtype 'float64' or 'float32', got 'float16'"),
        ({"start": "middle"}, "expected start='tree' or start='random', got 'middle'"),
        ({"bias": True, "squared": True}, "choose between bias and squared"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**change)


@pytest.mark.parametrize(
    ("geometry", "dim", "options", "message"),
    [
        ("poincare", 2, {"recipe": Recipe(bias=True)}, "variants of flat space; got geometry='poincare'"),
        ("poincare", 1, {}, "too few dimensions: dim=1"),
        ("klein", 2, {}, "unknown geometry 'klein'"),
        ("poincare", 2, {"pairs": [[0, 0]]}, "two different positions from 0 to 84"),
        ("poincare", 2, {"pairs": [[0, 85]]}, "two different positions from 0 to 84"),
        ("poincare", 2, {"pairs": [[0.0, 1.0]]}, r"\[m, 2\] int, got float64"),
        ("poincare", 2, {"pairs": np.zeros((0, 2), int)}, r"got int64 of shape \(0, 2\)"),
    ],
)
def test_misuse_is_refused(geometry: Any, dim: int, options: dict[str, Any], message: str, graph: Graph) -> None:
    with pytest.raises(ValueError, match=message):
        learn(graph, geometry, dim, **options)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_flat_space_that_runs_away_is_an_error(graph: Graph) -> None:
    with pytest.raises(FloatingPointError, match="lower the rates"):
        learn(graph, "euclidean", 2, Recipe(epochs=50, squared=True, rates=(1e30, 1e30), dtype="float32"))

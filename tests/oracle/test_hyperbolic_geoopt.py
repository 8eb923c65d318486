"""The compiled descent against automatic differentiation: the same loss and, after one step, the same points."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hyperbolic import kernels
from hyperbolic.manifolds import all_distances, poincare_distance, to_lorentz

torch = pytest.importorskip("torch")
Rng = np.random.Generator
NODE = torch.tensor([0])
COUNT, DIM, NEGATIVES, RATE = 40, 4, 6, 1e-3


@pytest.fixture(scope="module")
def geoopt() -> ModuleType:
    # geoopt deprecates parts of torch on import; its warnings are not ours.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("geoopt")


@pytest.fixture(scope="module")
def ours(geoopt: ModuleType) -> Any:
    from hyperbolic.integrations import geoopt as integration

    return integration


@pytest.fixture
def rng() -> Rng:
    return np.random.default_rng(3)


def ball_points(rng: Rng, radius: float = 3.0) -> np.ndarray:
    direction = rng.standard_normal((COUNT, DIM))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.tanh(rng.uniform(0, radius, COUNT) / 2)[:, None] * direction


def sample(rng: Rng) -> tuple[dict[str, Any], Any]:
    """One positive pair as the kernels take it, and the candidates that they will draw: all different."""
    start, above = np.zeros(COUNT + 1, dtype=np.int64), np.array([1], dtype=np.int64)
    start[1:] = 1
    while True:
        seed = np.uint64(rng.integers(2**63))
        wanted = np.empty(NEGATIVES + 1, dtype=np.int64)
        mark = np.full(COUNT, -1, dtype=np.int64)
        found, _ = kernels._candidates(0, 1, start, above, mark, 0, wanted, COUNT, seed)
        if len({0, *wanted}) == NEGATIVES + 2 and found == NEGATIVES + 1:
            break
    given = {"pairs": np.array([[0, 1]]), "above_start": start, "above": above, "negatives": NEGATIVES}
    return given | {"rates": (RATE, RATE), "seed": seed}, torch.tensor(wanted)[None]


@pytest.mark.parametrize("geometry", ["poincare", "lorentz"])
def test_one_step_in_curved_space(geometry: str, rng: Rng, geoopt: ModuleType, ours: Any) -> None:
    given, picked = sample(rng)
    before = ball_points(rng) if geometry == "poincare" else to_lorentz(ball_points(rng))
    after = before.copy()
    walk = kernels.poincare_pass if geometry == "poincare" else kernels.lorentz_pass
    loss, compared = walk(after, limit=0.999999 if geometry == "poincare" else 1e5, **given)
    assert compared == NEGATIVES + 1

    manifold = ours.PoincareBall() if geometry == "poincare" else ours.Lorentz()
    points = geoopt.ManifoldParameter(torch.tensor(before), manifold=manifold)
    theirs = ours.softmax_loss(manifold, points[NODE], points[picked])
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-12)
    theirs.backward()
    geoopt.optim.RiemannianSGD([points], lr=RATE).step()
    # On the hyperboloid geoopt's own exponential map moves points that no gradient reaches by 5e-9.
    tolerance = 1e-12 if geometry == "poincare" else 2e-8
    assert after == pytest.approx(points.detach().numpy(), rel=tolerance, abs=tolerance)
    assert np.abs(after - before).max() > 1e-5


@pytest.mark.parametrize("variant", ["distance", "bias", "squared"])
def test_one_step_in_flat_space(variant: str, rng: Rng, ours: Any, geoopt: ModuleType) -> None:
    given, picked = sample(rng)
    before = rng.standard_normal((COUNT, DIM))
    bias_before = rng.standard_normal(COUNT if variant == "bias" else 0)
    after, bias_after = before.copy(), bias_before.copy()
    loss, _ = kernels.euclidean_pass(after, bias_after, variant == "squared", **given)

    points, bias = torch.tensor(before, requires_grad=True), torch.tensor(bias_before, requires_grad=True)
    if variant == "squared":
        score = (points[NODE][:, None] - points[picked]).square().sum(-1)
        theirs = (score[:, 0] + (-score).logsumexp(-1)).mean()
    else:
        extra = bias[picked] if variant == "bias" else None
        theirs = ours.softmax_loss(geoopt.Euclidean(1), points[NODE], points[picked], extra)
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-12)
    theirs.backward()
    assert after == pytest.approx(before - RATE * points.grad.numpy(), rel=1e-12)
    if variant == "bias":
        assert bias_after == pytest.approx(bias_before - RATE * bias.grad.numpy(), rel=1e-12)


def test_distances_do_not_saturate(geoopt: ModuleType, ours: Any) -> None:
    x = np.tanh(11.0) * np.array([1.0, 0.0])
    a, b = torch.tensor(x), torch.tensor(-x)
    assert float(geoopt.PoincareBall().dist(a, b)) < 40
    assert float(ours.PoincareBall().dist(a, b)) == pytest.approx(float(poincare_distance(x, -x)), rel=1e-6)
    assert float(ours.PoincareBall().projx(a * 2).norm()) == pytest.approx(1 - 1e-10, abs=1e-12)
    assert float(ours.PoincareBall().projx(a / 2).norm()) == pytest.approx(float(a.norm()) / 2, rel=1e-15)


def test_the_integration_measures_as_numpy_does(rng: Rng, ours: Any) -> None:
    x = ball_points(rng, 6.0)
    for manifold, points, name in ((ours.PoincareBall(), x, "poincare"), (ours.Lorentz(), to_lorentz(x), "lorentz")):
        whole = manifold.dist(torch.tensor(points)[:, None], torch.tensor(points)[None]).numpy()
        off = ~np.eye(COUNT, dtype=bool)
        assert whole[off] == pytest.approx(all_distances(points, name)[off], rel=1e-7)

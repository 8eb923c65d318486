"""Against independent answers: exact arithmetic, geoopt, networkx, scipy, brute force."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal, localcontext

import networkx
import numpy as np
import pytest
from decimal_ball import direction_to, dot, radius_of, step_from
from scipy.optimize import minimize_scalar
from scipy.stats import spearmanr

from hyperbolic import build_graph, construction, distortion, retrieval
from hyperbolic.graph import closure, hop_distances, spanning_tree
from hyperbolic.manifolds import lorentz_distance, poincare_distance, rim_gap, to_lorentz
from hyperbolic.twofold import Twofold, twofold
from hyperbolic.twofold import dot as twofold_dot

Rng = np.random.Generator


@pytest.fixture
def rng() -> Rng:
    return np.random.default_rng(11)


def ball_points(rng: Rng, count: int, radius: float) -> np.ndarray:
    direction = rng.standard_normal((count, 4))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.tanh(rng.uniform(0, radius, count) / 2)[:, None] * direction


def exact_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The distance of two stored points, in 60 decimal digits."""
    with localcontext(prec=60):
        a, b = ([Decimal(float(c)) for c in p] for p in (x, y))
        away = [s - t for s, t in zip(a, b, strict=True)]
        excess = 2 * dot(away, away) / ((1 - dot(a, a)) * (1 - dot(b, b)))
        return float((1 + excess + ((1 + excess) ** 2 - 1).sqrt()).ln())


@pytest.mark.parametrize("radius", [2.0, 12.0, 24.0, 34.0])
def test_poincare_distance_is_exact_for_stored_points(radius: float, rng: Rng) -> None:
    x, y = ball_points(rng, 40, radius), ball_points(rng, 40, radius)
    near = np.clip(x + 1e-13 * rng.standard_normal(x.shape) / (1 + np.exp(radius - 28)), -1, 1)
    for other in (y, near):
        inside = 1 - (x**2).sum(axis=1) > 1e-14, 1 - (other**2).sum(axis=1) > 1e-14
        keep = inside[0] & inside[1]
        expected = [exact_distance(a, b) for a, b in zip(x[keep], other[keep], strict=True)]
        assert poincare_distance(x[keep], other[keep]) == pytest.approx(expected, rel=1e-13, abs=1e-300)


def test_geoopt_agrees_where_it_does_not_saturate(rng: Rng) -> None:
    # geoopt deprecates parts of torch on import; its warnings are not ours.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        geoopt = pytest.importorskip("geoopt")
        torch = pytest.importorskip("torch")
    x, y = ball_points(rng, 200, 6.0), ball_points(rng, 200, 6.0)
    theirs = geoopt.PoincareBall().dist(torch.tensor(x), torch.tensor(y)).numpy()
    assert poincare_distance(x, y) == pytest.approx(theirs, rel=1e-8)
    sheet = geoopt.Lorentz().dist(torch.tensor(to_lorentz(x)), torch.tensor(to_lorentz(y))).numpy()
    assert lorentz_distance(to_lorentz(x), to_lorentz(y)) == pytest.approx(sheet, rel=1e-8)


@pytest.mark.parametrize(("radius", "in_ball", "on_sheet"), [(16, 1e-8, 1e-8), (24, 1e-5, 1e-5), (34, 0.2, 0.1)])
def test_head_room_of_stored_points(radius: int, in_ball: float, on_sheet: float, rng: Rng) -> None:
    """Points 4 apart, both at a radius, rounded to float64: the figures of the table in docs/hyperbolic.md."""
    worst = [0.0, 0.0]
    for _ in range(30):
        with localcontext(prec=60):
            middle = step_from([Decimal(0)] * 5, rng.standard_normal(5), radius - math.log(math.cosh(2)))
            inward, aside = direction_to([Decimal(0)] * 5, middle), rng.standard_normal(5)
            aside -= (aside @ inward) * inward
            pair = [step_from(middle, sign * aside, 2.0) for sign in (1, -1)]
            ball = [np.array([float(c) for c in p]) for p in pair]
            sheet = [
                np.array([float(c / (1 - dot(p, p))) for c in ((1 + dot(p, p)), *(2 * c for c in p))]) for p in pair
            ]
        worst[0] = max(worst[0], abs(float(poincare_distance(*ball)) - 4))
        worst[1] = max(worst[1], abs(float(lorentz_distance(*sheet)) - 4))
    assert worst[0] < in_ball
    assert worst[1] < on_sheet


def exactly(number: Twofold) -> list[Decimal]:
    return [
        Decimal(float(high)) + Decimal(float(low))
        for high, low in zip(number.high.ravel(), number.low.ravel(), strict=True)
    ]


def test_twofold_arithmetic_has_thirty_digits(rng: Rng) -> None:
    def some() -> Twofold:
        return twofold(rng.uniform(0.5, 2, 50), 1e-17 * rng.standard_normal(50))

    with localcontext(prec=60):
        a, b = some(), some()
        x, y = exactly(a), exactly(b)
        cases = {
            "sum": (a + b, [p + q for p, q in zip(x, y, strict=True)]),
            "difference": (a - b, [p - q for p, q in zip(x, y, strict=True)]),
            "product": (a * b, [p * q for p, q in zip(x, y, strict=True)]),
            "quotient": (a / b, [p / q for p, q in zip(x, y, strict=True)]),
            "root": (a.sqrt(), [p.sqrt() for p in x]),
            "dot": (twofold_dot(a[None], b[None]), [sum((p * q for p, q in zip(x, y, strict=True)), Decimal(0))]),
        }
        for name, (found, expected) in cases.items():
            for ours, theirs in zip(exactly(found), expected, strict=True):
                assert abs(ours - theirs) < Decimal("1e-30"), name


def test_steps_of_the_construction_are_those_of_decimal_arithmetic(rng: Rng) -> None:
    """Three steps outwards to radius 34: the error is far below a float64's last digit."""
    lengths, directions = (9.0, 14.0, 12.0), rng.standard_normal((3, 1, 4))
    here = twofold(np.zeros((1, 4)))
    with localcontext(prec=50):
        exact = [Decimal(0)] * 4
        for length, direction in zip(lengths, directions, strict=True):
            if length > 9.0:
                # Away from the centre, so that no step comes back.
                direction = here.high / np.linalg.norm(here.high) + 0.5 * direction / np.linalg.norm(direction)
            before, before_exact = here, exact
            here = construction._step_from(here, direction, np.array([length]))
            exact = step_from(exact, direction[0], length)
            for ours, theirs in zip(exactly(here), exact, strict=True):
                assert abs(ours - theirs) < Decimal("1e-20")
            assert construction._radius_of(here)[0] == pytest.approx(radius_of(exact), rel=1e-12)
            seen = construction._direction_to(before, here)[0]
            assert seen == pytest.approx(direction_to(before_exact, exact), abs=1e-12)


def test_decimal_steps_agree_with_the_law_of_cosines() -> None:
    with localcontext(prec=50):
        first = step_from([Decimal(0)] * 2, np.array([1.0, 0.0]), 20.0)
        assert radius_of(first) == pytest.approx(20.0, rel=1e-15)
        back = direction_to([Decimal(0)] * 2, first)
        assert back == pytest.approx([-1, 0], abs=1e-15)
        angle = 2.0
        second = step_from(first, np.array([-np.cos(angle), np.sin(angle)]), 15.0)
        expected = math.acosh(math.cosh(20) * math.cosh(15) - math.sinh(20) * math.sinh(15) * math.cos(angle))
        assert radius_of(second) == pytest.approx(expected, rel=1e-12)
        assert rim_gap([float(c) for c in second]) == pytest.approx(4 * math.exp(-expected), rel=0.2)


def random_dag(rng: Rng, nodes: int) -> list[tuple[str, str]]:
    edges = {(f"n{i:02}", f"n{rng.integers(i):02}") for i in range(1, nodes)}
    edges |= {(f"n{b:02}", f"n{a:02}") for a, b in rng.integers(0, nodes, (nodes // 2, 2)) if a < b}
    return sorted(edges)


@pytest.mark.parametrize("nodes", [2, 9, 60])
def test_closure_and_hops_are_those_of_networkx(nodes: int, rng: Rng) -> None:
    edges = random_dag(rng, nodes)
    graph, theirs = build_graph(edges), networkx.DiGraph(edges)
    above = closure(graph)
    reached = networkx.transitive_closure_dag(theirs)
    assert {(graph.names[u], graph.names[v]) for u, v in np.argwhere(above)} == set(reached.edges)
    hops = hop_distances(graph)
    for u, row in networkx.all_pairs_shortest_path_length(theirs.to_undirected()):
        for v, length in row.items():
            assert hops[graph.names.index(u), graph.names.index(v)] == length
    assert networkx.is_tree(networkx.Graph(spanning_tree(graph).edges.tolist()))


def test_average_distortion_is_the_least_over_all_scales(rng: Rng) -> None:
    d, t = rng.uniform(0.2, 4, (15, 15)), rng.integers(1, 7, (15, 15)).astype(float)
    d, t = d + d.T, t + t.T
    pairs = np.triu_indices(15, 1)
    ratio = d[pairs] / t[pairs]
    best = minimize_scalar(lambda s: np.abs(s * ratio - 1).mean(), bounds=(0, 10), method="bounded")
    found = distortion(d, t)
    assert found.average == pytest.approx(best.fun, rel=1e-6)
    d, t = d[pairs], t[pairs]
    stress = minimize_scalar(
        lambda c: ((c * d - t) ** 2).sum() / ((c * d) ** 2).sum(), bounds=(0.1, 10), method="bounded"
    )
    assert found.stress1 == pytest.approx(np.sqrt(stress.fun), rel=1e-6)
    assert found.rho == pytest.approx(spearmanr(d, t).statistic)


def brute_force(scores: np.ndarray, sought: np.ndarray) -> tuple[float, float]:
    """The definitions of MAP and mean rank, word by word."""
    precisions, ranks = [], []
    for u in range(len(scores)):
        positives = sorted((scores[u, v], v) for v in range(len(scores)) if sought[u, v] and v != u)
        wrong = [w for w in range(len(scores)) if not sought[u, w] and w != u]
        row = []
        for j, (score, _) in enumerate(positives, start=1):
            before = sum(scores[u, w] <= score for w in wrong)
            row.append(j / (j + before))
            ranks.append(1 + before)
        if row:
            precisions.append(sum(row) / len(row))
    return sum(precisions) / len(precisions), sum(ranks) / len(ranks)


@pytest.mark.parametrize("values", [3, 1000])
def test_retrieval_is_the_definition_with_and_without_ties(values: int, rng: Rng) -> None:
    scores = rng.integers(0, values, (25, 25)).astype(float)
    sought = rng.random((25, 25)) < 0.2
    found = retrieval(scores, sought)
    assert (found.map, found.mean_rank) == pytest.approx(brute_force(scores, sought))

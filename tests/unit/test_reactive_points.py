"""Couplings that follow from points in space: the tables they make, how they move, and what is learned of them."""

import dataclasses

import numpy as np
import pytest
from reactive_cases import SMALL, small_treebank

from dynamics.reactive.couplings import TABLES, Couplings
from dynamics.reactive.parser import ReactiveParser
from dynamics.reactive.points import BIAS, LOWER, SIBLING, START, UPPER, fill_tables, move_points, random_points
from dynamics.reactive.train import Settings, learn_charges, learn_couplings, train

SITES = 5


def tables(points):
    constants = np.full(TABLES + 2 * SITES * SITES + 3, 7.0, np.float32)
    fill_tables(points.astype(np.float32), constants)
    assert (np.r_[constants[:TABLES], constants[-3:]] == 7.0).all()
    return constants[TABLES:-3].reshape(2, SITES, SITES)


def test_tables_are_sums_and_products_of_points():
    points = random_points(SITES, 3, 4)
    points[:, :, BIAS] = np.arange(3 * SITES).reshape(3, SITES)
    one, low, high = points
    found = tables(points)
    bias, place = one[:, BIAS], one[:, START:]
    np.testing.assert_allclose(found[0], bias[:, None] + bias - place @ place.T, atol=1e-5)
    np.testing.assert_allclose(found[1], low[:, :1] + high[:, BIAS] + low[:, START:] @ high[:, START:].T, atol=1e-5)


@pytest.mark.parametrize(("kind", "s", "t"), [(0, 1, 3), (1, 1, 3), (1, 2, 2)])
def test_points_move_down_the_slope(kind, s, t):
    """A step of AdaGrad from large squares is a step of plain descent; compared with finite differences of W."""
    points = random_points(SITES, 2, 1).astype(np.float64)
    wanted, width = np.zeros_like(points), 1e-2
    for index in np.ndindex(points.shape):
        ends = []
        for way in (1, -1):
            moved = points.copy()
            moved[index] += way * width
            ends.append(tables(moved)[kind, s, t])
        wanted[index] = (ends[0] - ends[1]) / (2 * width)
    start, squares = points.astype(np.float32), np.full(points.shape, 1e6, np.float32)
    after = start.copy()
    move_points(kind, s, t, 2.0, 10.0, after, squares)
    np.testing.assert_allclose((start - after) * 1e3 / 20.0, wanted, atol=2e-3)
    roles = {SIBLING} if kind == 0 else {LOWER, UPPER}
    assert set(np.argwhere(start != after)[:, 0].tolist()) == roles


def test_tables_that_are_learned_in_space_have_its_rank():
    settings = dataclasses.replace(SMALL, couplings=Couplings(votes=False, details=False), dimensions=1)
    charged = learn_charges(small_treebank(), settings)
    model = learn_couplings(charged, settings)
    start = TABLES + 2 * model.sites**2
    found = model.constants[TABLES:start].reshape(2, model.sites, model.sites)
    # Two for the constants of either site, one for the one dimension; the rest is rounding to half precision.
    strengths = np.linalg.svd(found[1], compute_uv=False)
    assert strengths[2] > 0.01
    assert strengths[3] < 1e-2 * strengths[0]
    # Without details and votes nothing that is hashed is learned.
    assert not model.constants[start:].any()
    one = small_treebank()[0]
    parse = ReactiveParser(model, couplings=settings.couplings).parse(one.tokens, one.upos)
    assert parse.heads.tolist() == list(one.heads)
    free = learn_couplings(charged, dataclasses.replace(settings, dimensions=0))
    assert (free.constants[TABLES:start] != model.constants[TABLES:start]).any()


def test_two_halves_are_the_whole():
    whole = train(small_treebank(), SMALL)
    halves = learn_couplings(learn_charges(small_treebank(), SMALL), SMALL)
    assert (whole.constants == halves.constants).all()
    assert (whole.charges.weights == halves.charges.weights).all()
    assert Settings().dimensions == 0

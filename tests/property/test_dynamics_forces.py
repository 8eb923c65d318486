"""Every force is the negative gradient of its energy, at random places; a force whose constant is 0 is absent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics import competition, forces
from dynamics.neighbors import candidate_heads, sort_along_chain

STEP = 1e-6
SEEDS = st.integers(0, 2**32 - 1)


def scene(seed: int, words: int):
    """Random places, bonds and populations of a sentence."""
    rng = np.random.default_rng(seed)
    positions = rng.normal(scale=(1.0, 0.4, 1.5), size=(words + 1, 3))
    positions[:, 0] += 0.6 * np.arange(words + 1)
    heads = candidate_heads(rng.normal(size=(words + 1, words + 1)), int(rng.integers(1, words + 2)))
    populations = rng.dirichlet(np.ones(heads.shape[1]), size=words)
    return rng, positions, heads, populations


def numeric_force(energy, positions):
    force = np.zeros_like(positions)
    for at in np.ndindex(*positions.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = positions.copy()
            moved[at] += sign * STEP
            ends.append(energy(moved))
        force[at] = -(ends[0] - ends[1]) / (2 * STEP)
    return force


def attraction(positions, heads, populations):
    def energy(r):
        cost = np.zeros(heads.shape)
        forces.attraction_cost(r, heads, np.ones(heads.shape), 1.3, 0.7, cost)
        return (populations * cost).sum()

    force = np.zeros_like(positions)
    forces.attraction_force(positions, heads, populations, 1.3, 0.7, force)
    return energy, force


def hierarchy(positions, heads, populations):
    def energy(r):
        cost = np.zeros(heads.shape)
        forces.hierarchy_cost(r, heads, 2.0, 0.9, cost)
        return (populations * cost).sum()

    force = np.zeros_like(positions)
    forces.hierarchy_force(positions, heads, populations, 2.0, 0.9, force)
    return energy, force


def shadow(positions, heads, populations):
    def shades_of(r):
        shades = np.zeros(heads.shape)
        competition.find_shades(r, heads, 0.3, shades)
        return shades

    def energy(r):
        cost = np.zeros(heads.shape)
        competition.shadow_cost(r, heads, shades_of(r), 4.0, 0.5, cost)
        return (populations * cost).sum()

    force = np.zeros_like(positions)
    competition.shadow_force(positions, heads, shades_of(positions), populations, 4.0, 0.5, 0.3, force)
    return energy, force


def backbone(positions, heads, populations):
    force = np.zeros_like(positions)
    forces.backbone_force(positions, 3.0, 1.1, force)
    return lambda r: forces.backbone_energy(r, 3.0, 1.1), force


def repulsion(positions, heads, populations):
    order = np.arange(1, len(positions))
    sort_along_chain(positions, order)
    force = np.zeros_like(positions)
    forces.repulsion_force(positions, order, 2.0, 1.5, force)
    return lambda r: forces.repulsion_energy(r, order, 2.0, 1.5), force


FORCES = [attraction, hierarchy, shadow, backbone, repulsion]


@pytest.mark.parametrize("force", FORCES, ids=lambda f: f.__name__)
@given(seed=SEEDS, words=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_force_is_minus_the_gradient_of_its_energy(force, seed, words):
    _, positions, heads, populations = scene(seed, words)
    energy, analytic = force(positions, heads, populations)
    np.testing.assert_allclose(analytic, numeric_force(energy, positions), atol=2e-6 * (1 + np.abs(analytic).max()))


@pytest.mark.parametrize("force", [attraction, hierarchy, shadow, backbone, repulsion], ids=lambda f: f.__name__)
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_forces_between_particles_cancel(force, seed):
    _, positions, heads, populations = scene(seed, 7)
    _, analytic = force(positions, heads, populations)
    np.testing.assert_allclose(analytic.sum(axis=0), 0.0, atol=1e-10 * (1 + np.abs(analytic).max()))


@given(seed=SEEDS, words=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_the_valence_field_is_the_gradient_of_its_energy_by_the_populations(seed, words):
    rng, _, heads, populations = scene(seed, words)
    sites = rng.integers(-1, 6, size=heads.shape)
    least = rng.integers(0, 2, size=6).astype(float)
    most = least + np.where(rng.random(6) < 0.3, np.inf, rng.integers(0, 2, size=6))
    field = np.zeros(heads.shape)
    competition.valence_field(sites, populations, least, most, 2.5, field)
    numeric = -numeric_force(lambda p: competition.valence_energy(sites, p, least, most, 2.5), populations)
    np.testing.assert_allclose(field, numeric, atol=1e-5)


@given(seed=SEEDS, words=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_shades_are_soft_maxima_over_the_words_in_between(seed, words):
    _, positions, heads, _ = scene(seed, words)
    shades = np.zeros(heads.shape)
    competition.find_shades(positions, heads, 0.2, shades)
    for (d, k), h in np.ndenumerate(heads):
        low, high = (0, words + 1) if h == 0 else sorted((h, d + 1))
        between = [positions[i, 2] for i in range(low + 1, high) if i != d + 1]
        expected = 0.2 * np.logaddexp.reduce(np.array(between) / 0.2) if between else -np.inf
        assert shades[d, k] == pytest.approx(expected, abs=1e-9)


@given(seed=SEEDS, words=st.integers(2, 15))
@settings(max_examples=25, deadline=None)
def test_the_sweep_finds_every_overlap(seed, words):
    _, positions, _, _ = scene(seed, words)
    order = np.arange(1, words + 1)
    sort_along_chain(positions, order)
    apart = [np.linalg.norm(positions[i] - positions[j]) for i in range(1, words + 1) for j in range(1, i)]
    plain = 0.5 * 2.0 * sum(max(0.0, 1.4 - d) ** 2 for d in apart)
    assert forces.repulsion_energy(positions, order, 2.0, 1.4) == pytest.approx(plain, abs=1e-12)


def test_a_constant_of_zero_switches_a_force_off():
    _, positions, heads, populations = scene(1, 8)
    shades, order, none = np.zeros(heads.shape), np.arange(1, 9), np.zeros_like(positions)
    cost = np.zeros(heads.shape)
    forces.attraction_cost(positions, heads, np.ones(heads.shape), 0.0, 1.0, cost)
    forces.hierarchy_cost(positions, heads, 0.0, 1.0, cost)
    competition.shadow_cost(positions, heads, shades, 0.0, 1.0, cost)
    competition.valence_field(heads, populations, np.zeros(9), np.zeros(9), 0.0, cost)
    forces.attraction_force(positions, heads, populations, 0.0, 1.0, none)
    forces.hierarchy_force(positions, heads, populations, 0.0, 1.0, none)
    competition.shadow_force(positions, heads, shades, populations, 0.0, 1.0, 0.2, none)
    forces.backbone_force(positions, 0.0, 1.0, none)
    assert forces.repulsion_force(positions, order, 0.0, 1.0, none) == 0
    assert not cost.any()
    assert not none.any()

"""The integrator as physics: energy is kept to second order without drag, and lost with it."""

import numpy as np
import pytest

from dynamics import load_forcefield
from dynamics.integrate import relax
from dynamics.system import System, initial_system, possible_bonds, type_indices

UPOS = ("DET", "ADJ", "NOUN", "VERB", "DET", "NOUN", "ADP", "DET", "NOUN")
FORCES = ("attraction", "repulsion", "backbone", "hierarchy", "shadow", "valence")


def conserving(**constants):
    """A field without drag, lag or cooling, so that F(r) + kinetic energy is constant."""
    still = {"drag": 0.0, "response": 1.0, "cooling_steps": 0, "cold": 1.0, "valence": 0.0, "force_tolerance": 1e-300}
    return load_forcefield().changed(**{**still, **constants})


def total_energy(field, system, bonds, steps):
    relaxed = relax(system, bonds, field.constants, steps)
    return relaxed.energy + 0.5 * (relaxed.system.velocities**2).sum(), relaxed.system


def test_two_words_on_a_spring_swing_as_they_should():
    constants = {**dict.fromkeys(FORCES, 0.0), "backbone": 2.0}
    errors = []
    for halvings in (0, 1, 2):
        field = conserving(**constants, time_step=0.1 / 2**halvings)
        bonds = possible_bonds(field, type_indices(field, ("NOUN", "VERB")))
        start = initial_system(2)
        start.positions[2, 0] += 0.3
        _, end = total_energy(field, start, bonds, 30 * 2**halvings)
        # The stretch of a spring k between two unit masses swings with omega = sqrt(2 k).
        stretch = end.positions[2, 0] - end.positions[1, 0] - 1.0
        errors.append(abs(stretch - 0.3 * np.cos(np.sqrt(4.0) * 3.0)))
    order = np.log2(np.array(errors[:-1]) / errors[1:])
    assert order == pytest.approx([2.0, 2.0], abs=0.1)


@pytest.mark.parametrize("name", ["backbone alone", "all forces"])
def test_energy_is_conserved_to_second_order(name):
    off = dict.fromkeys(FORCES, 0.0) | {"backbone": 3.0} if name == "backbone alone" else {}
    rng = np.random.default_rng(5)
    start = initial_system(len(UPOS))
    start.positions[1:] += 0.2 * rng.normal(size=(len(UPOS), 3))
    errors = []
    for step in (0.08, 0.04, 0.02):
        field = conserving(**off, time_step=step)
        bonds = possible_bonds(field, type_indices(field, UPOS))
        before, _ = total_energy(field, start, bonds, 0)
        # The greatest error over many times: at a single one it may vanish by chance.
        late = [total_energy(field, start, bonds, round(time / step))[0] for time in np.arange(0.8, 4.0, 0.16)]
        errors.append(np.abs(np.array(late) - before).max())
    assert errors[-1] < 0.02
    order = np.log2(np.array(errors[:-1]) / errors[1:])
    assert order == pytest.approx([2.0, 2.0], abs=0.35)


def test_energy_does_not_drift():
    field = conserving(time_step=0.05)
    bonds = possible_bonds(field, type_indices(field, UPOS))
    start = initial_system(len(UPOS))
    before, _ = total_energy(field, start, bonds, 0)
    early = max(abs(total_energy(field, start, bonds, n)[0] - before) for n in range(20, 400, 20))
    late = max(abs(total_energy(field, start, bonds, n)[0] - before) for n in range(4000, 4400, 20))
    assert late < 2.0 * early


def test_without_outer_forces_momentum_is_conserved():
    # Only ROOT is held from outside; without bonds to it nothing can push the sentence as a whole.
    field = conserving(**dict.fromkeys(FORCES, 0.0), time_step=0.1).changed(backbone=3.0, repulsion=5.0)
    bonds = possible_bonds(field, type_indices(field, UPOS))
    rng = np.random.default_rng(1)
    start = initial_system(len(UPOS))
    start = System(start.positions + 0.4 * rng.normal(size=start.positions.shape), start.velocities)
    end = relax(start, bonds, field.constants, 200).system
    np.testing.assert_allclose(end.velocities[1:].sum(axis=0), 0.0, atol=1e-12)


def test_the_relaxed_state_is_a_minimum_of_the_free_energy():
    field = load_forcefield().changed(force_tolerance=1e-7, bond_tolerance=1e-9)
    bonds = possible_bonds(field, type_indices(field, UPOS))
    relaxed = relax(initial_system(len(UPOS)), bonds, field.constants, 5000, record=True)
    assert relaxed.converged
    cold = relaxed.trajectory.energy[field.constants.cooling_steps :]
    assert relaxed.energy <= cold.min() + 1e-9
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = relaxed.system.positions.copy()
        moved[1:] += 0.05 * rng.normal(size=moved[1:].shape)
        near = relax(System(moved, 0 * moved), bonds, field.constants._replace(cooling_steps=0), 0)
        assert near.energy > relaxed.energy


def test_rest_means_that_nothing_changes_any_more():
    field = load_forcefield()
    bonds = possible_bonds(field, type_indices(field, UPOS))
    short = relax(initial_system(len(UPOS)), bonds, field.constants, 100)
    long = relax(initial_system(len(UPOS)), bonds, field.constants._replace(force_tolerance=1e-12), 2000)
    assert short.converged
    np.testing.assert_array_equal(short.populations.argmax(axis=1), long.populations.argmax(axis=1))
    np.testing.assert_allclose(short.system.positions, long.system.positions, atol=0.1)

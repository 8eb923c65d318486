"""Relaxation: velocity Verlet with drag and a falling temperature, until nothing moves any more.

Axes: `P` particles (ROOT is 0), `N` words, `K` possible heads of a word. With drag 0, response 1 and no cooling, it is
plain velocity Verlet at constant energy.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.competition import find_shades, shadow_cost, shadow_force, valence_energy, valence_field
from dynamics.compile import compiled
from dynamics.forcefield import Constants
from dynamics.forces import (
    attraction_cost,
    attraction_force,
    backbone_energy,
    backbone_force,
    hierarchy_cost,
    hierarchy_force,
    repulsion_energy,
    repulsion_force,
)
from dynamics.neighbors import sort_along_chain
from dynamics.system import Bonds, System, Trajectory

# Operations (+ - * / compare, and one for each sqrt, exp, log) of one interaction in one step, cost and force
# together, counted by hand in the functions that relax calls.
FLOPS_PER_BOND = 84
FLOPS_PER_WORD = 46
FLOPS_PER_WORD_IN_BETWEEN = 3
FLOPS_PER_CONTACT = 28
FLOPS_PER_PAIR_ONCE = 3


class Diverged(ArithmeticError):
    """The integration left the finite numbers."""


class Relaxed(NamedTuple):
    """How a relaxation ended.

    Args:
        system: positions and velocities at the end.
        populations: [N, K] float64, the share of each possible bond.
        energy: the free energy in nat.
        steps: how many were made.
        converged: whether forces and bonds came to rest before the steps ran out.
        flops: operations spent, counted from the interactions that were computed.
        trajectory: every moment, if it was asked for.
    """

    system: System
    populations: NDArray[np.float64]
    energy: float
    steps: int
    converged: bool
    flops: float
    trajectory: Trajectory | None


def relax(system: System, bonds: Bonds, constants: Constants, steps: int, record: bool = False) -> Relaxed:
    """Let a sentence come to rest.

    F(r, p) = sum_dk p (cost + T ln p) + valence + backbone + repulsion; words feel -dF/dr, and the bonds p follow
    softmax(-(cost + dvalence/dp) / T) with a lag.

    Args:
        system: where the particles start; not changed.
        bonds: what every word can bond to.
        constants: of the forces and of the relaxation.
        steps: at most so many; 0 gives the bonds of the unrelaxed chain.
        record: keep every moment.

    Raises:
        Diverged: a force became NaN or infinite, because the time step is too long for the stiffness.

    Cost: O(steps * N * (K + log N)).
    """
    positions, velocities = system.positions.copy(), system.velocities.copy()
    populations = np.zeros(bonds.charges.shape)
    moments = steps + 1 if record else 1
    frames = np.zeros((moments, *positions.shape))
    shares = np.zeros((moments, *populations.shape))
    energy, temperature = np.zeros(moments), np.zeros(moments)
    done, converged, contacts = _relax(
        positions,
        velocities,
        populations,
        (bonds.heads, bonds.charges, bonds.sites, bonds.least, bonds.most),
        constants,
        steps,
        (frames, shares, energy, temperature),
    )
    # The loop stops early for two reasons only: rest, or a force that is no longer a number.
    if done < steps and not converged:
        raise Diverged(
            f"the forces left the finite numbers after {done} steps of {constants.time_step}; "
            f"shorten time_step or soften the forces"
        )
    trajectory = None
    if record:
        end = done + 1
        trajectory = Trajectory(frames[:end], shares[:end], bonds.heads, energy[:end], temperature[:end])
    flops = _count_flops(bonds.heads, done, contacts)
    last = float(energy[done if record else 0])
    return Relaxed(System(positions, velocities), populations, last, int(done), bool(converged), flops, trajectory)


def _count_flops(heads: NDArray[np.int64], steps: int, contacts: int) -> float:
    """What is fixed by the lists costs the same in each of the steps + 1 evaluations; contacts are those tested."""
    words, kept = heads.shape
    place = np.arange(1, words + 1)
    reach = 0
    if kept > 1:
        reach = int(np.maximum(place - heads[:, 1], 0).sum() + np.maximum(heads[:, -1] - place, 0).sum())
    evaluation = words * (kept * FLOPS_PER_BOND + FLOPS_PER_WORD) + reach * FLOPS_PER_WORD_IN_BETWEEN
    # The neighbour list is chosen once: every pair is scored, and looked at once for every place in the list.
    once = words * words * (FLOPS_PER_PAIR_ONCE + kept)
    return float((steps + 1) * evaluation + contacts * FLOPS_PER_CONTACT + once)


@compiled
def _relax(
    positions: NDArray[np.float64],
    velocities: NDArray[np.float64],
    populations: NDArray[np.float64],
    bonds: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]],
    constants: Constants,
    steps: int,
    record: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> tuple[int, bool, int]:
    """The loop of `relax`; works in place and returns (steps made, converged, contacts tested)."""
    frames, shares, energy, temperature = record
    heads, charges, sites, least, most = bonds
    c = constants
    force = np.zeros_like(positions)
    levels = np.zeros_like(populations)
    shades = np.zeros_like(populations)
    order = np.arange(1, positions.shape[0])
    contacts = 0
    # Long sentences move more slowly; less drag on them keeps the number of steps from growing with their square.
    lost = min(1.0, c.drag / math.sqrt(heads.shape[0]))
    for step in range(steps + 1):
        now = temperature_at(c.hot, c.cold, c.cooling_steps, step)
        if step > 0:
            kick(velocities, force, 0.5 * c.time_step)
            drift(positions, velocities, c.time_step)
        find_shades(positions, heads, c.blur, shades)
        cost = np.zeros_like(populations)
        attraction_cost(positions, heads, charges, c.attraction, c.pull, cost)
        hierarchy_cost(positions, heads, c.hierarchy, c.rise, cost)
        shadow_cost(positions, heads, shades, c.shadow, c.clearance, cost)
        change = _respond(levels, populations, cost, sites, least, most, c.valence, c.response, now, step == 0)
        force.fill(0.0)
        attraction_force(positions, heads, populations, c.attraction, c.pull, force)
        hierarchy_force(positions, heads, populations, c.hierarchy, c.rise, force)
        shadow_force(positions, heads, shades, populations, c.shadow, c.clearance, c.blur, force)
        backbone_force(positions, c.backbone, c.spacing, force)
        sort_along_chain(positions, order)
        contacts += repulsion_force(positions, order, c.repulsion, c.diameter, force)
        # ROOT is held where it is.
        force[0, 0] = force[0, 1] = force[0, 2] = 0.0
        if step > 0:
            kick(velocities, force, 0.5 * c.time_step)
            kick(velocities, velocities, -lost)
        strongest = _greatest(force)
        at_rest = step >= max(1, c.cooling_steps) and strongest < c.force_tolerance and change < c.bond_tolerance
        if frames.shape[0] > 1 or step == steps or at_rest or not math.isfinite(strongest):
            m = step if frames.shape[0] > 1 else 0
            _record(frames, m, positions)
            _record(shares, m, populations)
            temperature[m] = now
            energy[m] = (
                bond_free_energy(populations, cost, now)
                + valence_energy(sites, populations, least, most, c.valence)
                + backbone_energy(positions, c.backbone, c.spacing)
                + repulsion_energy(positions, order, c.repulsion, c.diameter)
            )
        if at_rest or not math.isfinite(strongest):
            return step, at_rest, contacts
    return steps, False, contacts


@compiled
def _record(frames: NDArray[np.float64], moment: int, values: NDArray[np.float64]) -> None:
    """frames[moment] = values, which the compiler takes much longer to compile than these loops."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            frames[moment, i, j] = values[i, j]


@compiled
def temperature_at(hot: float, cold: float, cooling_steps: int, step: int) -> float:
    """Geometric cooling: hot at step 0, cold from `cooling_steps` on (at once if that is 0). In nat."""
    if step >= cooling_steps:
        return cold
    return float(hot * (cold / hot) ** (step / cooling_steps))


@compiled
def kick(velocities: NDArray[np.float64], force: NDArray[np.float64], time: float) -> None:
    """Words of unit mass gain velocity from the force: v += force * time, in place."""
    for i in range(velocities.shape[0]):
        for axis in range(3):
            velocities[i, axis] += force[i, axis] * time


@compiled
def drift(positions: NDArray[np.float64], velocities: NDArray[np.float64], time: float) -> None:
    """Words move with their velocity: r += v * time, in place; ROOT stays where it is."""
    for i in range(1, positions.shape[0]):
        for axis in range(3):
            positions[i, axis] += velocities[i, axis] * time


@compiled
def _respond(
    levels: NDArray[np.float64],
    populations: NDArray[np.float64],
    cost: NDArray[np.float64],
    sites: NDArray[np.int64],
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    valence: float,
    response: float,
    temperature: float,
    first: bool,
) -> float:
    """Bonds go part of the way to the populations that cost and valence ask for; returns the greatest change."""
    wanted = cost.copy()
    if not first:
        valence_field(sites, populations, least, most, valence, wanted)
    share = 1.0 if first else response
    change = 0.0
    for d in range(levels.shape[0]):
        lowest, total = np.inf, 0.0
        for k in range(levels.shape[1]):
            levels[d, k] += share * (wanted[d, k] - levels[d, k])
            lowest = min(lowest, levels[d, k])
        for k in range(levels.shape[1]):
            total += math.exp(-(levels[d, k] - lowest) / temperature)
        for k in range(levels.shape[1]):
            population = math.exp(-(levels[d, k] - lowest) / temperature) / total
            change = max(change, abs(population - populations[d, k]))
            populations[d, k] = population
    return change


@compiled
def _greatest(force: NDArray[np.float64]) -> float:
    """The greatest component of any force; NaN if one is NaN."""
    greatest = 0.0
    for i in range(force.shape[0]):
        for axis in range(3):
            if math.isnan(force[i, axis]):
                return math.nan
            greatest = max(greatest, abs(force[i, axis]))
    return greatest


@compiled
def bond_free_energy(populations: NDArray[np.float64], cost: NDArray[np.float64], temperature: float) -> float:
    """Energy of the bonds less temperature times their entropy: sum_dk p * (cost + T * ln p), in nat.

    Args:
        populations: [N, K] float64.
        cost: [N, K] float64 in nat.
        temperature: in nat.
    """
    total = 0.0
    for d in range(populations.shape[0]):
        for k in range(populations.shape[1]):
            p = populations[d, k]
            if p > 0.0:
                total += p * (cost[d, k] + temperature * math.log(p))
    return total

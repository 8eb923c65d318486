"""The state of a sentence as particles, and the bonds that are possible in it.

Axes: `P` particles, that is ROOT (0) and the N words (1..N); `K` possible heads of a word; `M` bonding sites;
`T` recorded moments. Coordinates are x (along the sentence), y (free), z (height; ROOT stands at 0, words below).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamics.forcefield import SIDES, ForceField
from dynamics.neighbors import candidate_heads


class UnknownType(LookupError):
    """A word has a part of speech that the force field does not know."""


@dataclass(frozen=True)
class System:
    """Positions and velocities of all particles.

    Args:
        positions: [P, 3] float64, in distances between neighbouring words.
        velocities: [P, 3] float64.
    """

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]


@dataclass(frozen=True)
class Bonds:
    """What every word can bond to.

    Args:
        heads: [N, K] int64, the particles that may head word d + 1; column 0 is ROOT.
        charges: [N, K] float64 in nat, of those bonds.
        sites: [N, K] int64, the bonding site of the head that the bond would fill; -1 for none.
        least: [M] float64, bonds that a site needs.
        most: [M] float64, bonds that a site has room for.
        scores: [P, P] float64 in nat, the charges of all pairs: what a static decoder would see.
    """

    heads: NDArray[np.int64]
    charges: NDArray[np.float64]
    sites: NDArray[np.int64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """Every moment of one relaxation, from the start (0) to the end.

    Args:
        positions: [T, P, 3] float64.
        populations: [T, N, K] float64, the share of each possible bond; they sum to 1 over K.
        heads: [N, K] int64, which bonds these are.
        energy: [T] float64 in nat, the free energy.
        temperature: [T] float64 in nat.
    """

    positions: NDArray[np.float64]
    populations: NDArray[np.float64]
    heads: NDArray[np.int64]
    energy: NDArray[np.float64]
    temperature: NDArray[np.float64]

    def heads_at(self, moment: int) -> NDArray[np.int64]:
        """[N] int64, the firmest bond of every word at a moment; not always a tree."""
        strongest = self.populations[moment].argmax(axis=1)
        return np.take_along_axis(self.heads, strongest[:, None], axis=1)[:, 0]


def initial_system(words: int) -> System:
    """A straight chain of resting words one and a half levels below ROOT, wound slightly so that no force vanishes.

    Args:
        words: N.
    """
    place = np.arange(words + 1, dtype=float)
    positions = np.stack([place, 0.2 * np.sin(2.4 * place), np.full(words + 1, -1.5)], axis=1)
    positions[0] = 0.0
    return System(positions, np.zeros_like(positions))


def type_indices(field: ForceField, types: tuple[str, ...]) -> NDArray[np.int64]:
    """[N] int64, the particle type of every word.

    Raises:
        UnknownType: the field has no such type; the message names the word's place and the known types.
    """
    known = {name: number for number, name in enumerate(field.types)}
    for place, name in enumerate(types, 1):
        if name not in known:
            raise UnknownType(
                f"word {place} has the part of speech {name!r}, which the force field lacks; "
                f"it knows {', '.join(field.types)}: add bonds for it or map it to one of these"
            )
    return np.array([known[name] for name in types], np.int64)


def pair_charges(field: ForceField, types: NDArray[np.int64]) -> NDArray[np.float64]:
    """The charge of every pair: score[h, d], read from the field by the two types, the side and the distance.

    Args:
        field: T types, R distance classes.
        types: [N] int64.

    Returns:
        [P, P] float64 in nat; column 0 and the diagonal hold the lowest charge of the field and mean nothing.

    Cost: O(N^2).
    """
    place = np.arange(types.size)
    apart = place[None, :] - place[:, None]
    distance = np.clip(np.abs(apart) - 1, 0, field.charges.shape[3] - 1)
    scores = np.full((types.size + 1, types.size + 1), field.charges.min())
    scores[1:, 1:] = field.charges[types[:, None] + 1, types[None, :], (apart > 0).astype(int), distance]
    scores[0, 1:] = field.charges[0, types, SIDES.index("right"), 0]
    np.fill_diagonal(scores, field.charges.min())
    return scores


def possible_bonds(field: ForceField, types: NDArray[np.int64]) -> Bonds:
    """List each word's possible heads with their charges and bonding sites.

    A site belongs to one head and one label: the noun's place for its determiner, the verb's place for its subject.

    Args:
        field: T types.
        types: [N] int64.

    Cost: O(N^2 K), once per sentence.
    """
    scores = pair_charges(field, types)
    constants = field.constants
    place = np.arange(types.size + 1)
    # The neighbour list is made for the unrelaxed chain, where distance is the distance in words.
    stretch = constants.pull * constants.spacing * np.abs(place[None, :] - place[:, None])
    stretch[0] = 0.0
    heads = candidate_heads(scores - stretch, constants.candidates)
    dependents = np.arange(1, types.size + 1)[:, None]
    kinds = np.concatenate([[0], types + 1])
    labels = field.label_of[kinds[heads], types[:, None], (dependents > heads).astype(int)]
    labels_per_head = len(field.labels)
    sites = np.where(labels >= 0, heads * labels_per_head + labels, -1)
    return Bonds(
        heads=heads,
        charges=scores[heads, dependents],
        sites=sites,
        least=field.least[kinds].ravel(),
        most=field.most[kinds].ravel(),
        scores=scores,
    )

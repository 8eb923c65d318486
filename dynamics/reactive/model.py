"""The learned parameters of the reactive mode, and what they make of a sentence before anything relaxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.reactive import fine
from dynamics.reactive.codes import encode
from dynamics.reactive.corpus import Inventory
from dynamics.reactive.couplings import Constants, hashed_start
from dynamics.reactive.reach import Charges, Reach, log_charges
from dynamics.reactive.states import States, list_states

# nat; the hashed couplings are stored as multiples of it.
COUPLING_UNIT = 1.0 / 64.0
# Which heads are left to a word while parsing, see `dynamics.reactive.reach.Reach`; chosen on held-out sentences.
MOST, SPREAD, NEAR, FAR = 16, 5.5, 12, 4


@dataclass(frozen=True)
class Table:
    """Weights in eight bits.

    Args:
        weights: int8, in units of scale; its first axis is a power of 2.
        scale: nat.
    """

    weights: NDArray[np.int8]
    scale: float

    @cached_property
    def bits(self) -> int:
        """log2 of the length."""
        return len(self.weights).bit_length() - 1

    def for_kernels(self) -> tuple[NDArray[np.int8], float, int]:
        """Weights, scale and bits."""
        return self.weights, self.scale, self.bits


class Encoded(NamedTuple):
    """A sentence as kernels take it.

    Args:
        codes: [N + 2, 5] uint64.
        tags, kinds: [P] int64.
    """

    codes: NDArray[np.uint64]
    tags: NDArray[np.int64]
    kinds: NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """Everything that was learned from a treebank.

    Args:
        inventory: tags and labels.
        tagger: table of `dynamics.reactive.fine`.
        coarse, charges: tables of `dynamics.reactive.arcs`.
        labels: table of `dynamics.reactive.labels`.
        constants: [V] float32, the couplings, from `as_stored`.
        coupling_bits: log2 of the hashed part of the couplings.
        heads, states: that a word is given at most.
        depth: nat below a word's best state, from where on states are left out.
        damping: the share of the way that a step of relaxation goes.
        decoder: "eisner" or "chu_liu_edmonds", whichever repaired more trees of the treebank rightly.
    """

    inventory: Inventory
    tagger: Table
    coarse: Table
    charges: Table
    labels: Table
    constants: NDArray[np.float32]
    coupling_bits: int
    heads: int
    states: int
    depth: float
    damping: float
    decoder: str

    @property
    def sites(self) -> int:
        """Bonding sites of a word: one for each label and side."""
        return 2 * len(self.inventory.labels)

    @cached_property
    def constants_for_kernels(self) -> Constants:
        """The couplings with their hashed part in eight bits, which loses nothing: see `as_stored`."""
        start = hashed_start(self.sites)
        hashed = np.rint(self.constants[start:] / COUPLING_UNIT).astype(np.int8)
        return Constants(self.constants[:start], hashed, COUPLING_UNIT)

    def encode(self, tokens: Sequence[str], upos: Sequence[str], xpos: Sequence[str] | None = None) -> Encoded:
        """A sentence as kernels take it; fine tags that are not given are found."""
        tags = self.inventory.tags(upos)
        codes = encode(tokens, tags[1:])
        own = self.inventory
        if xpos is None or not own.give_fine_tags(codes, xpos):
            table = self.tagger
            fine.tag_sentence(codes, tags, own.first, own.choices, own.fine_codes, table.weights, table.bits)
            if xpos is not None:
                own.give_fine_tags(codes, xpos)
        return Encoded(codes, tags, own.kinds[tags])

    @property
    def reach(self) -> Reach:
        """Which heads are left to a word while parsing."""
        return Reach(MOST, SPREAD, NEAR, FAR)

    def log_charges(self, sentence: Encoded) -> Charges:
        """The heads that each word may have, and how probable they are."""
        charges: Any = log_charges(*sentence, self.coarse.for_kernels(), self.charges.for_kernels(), self.reach)
        return Charges(*charges)

    def list_states(self, sentence: Encoded, charges: Charges) -> States:
        """The states that each word may take."""
        listed: Any = list_states(charges, *sentence, self.labels.for_kernels(), self.states, self.depth)
        return States(*listed)


def in_eight_bits(weights: NDArray[np.float32]) -> Table:
    """Round weights to eight bits; the largest becomes 127."""
    scale = max(float(np.abs(weights).max()), 1e-6) / 127.0
    return Table(np.rint(weights / np.float32(scale)).astype(np.int8), scale)


def as_stored(constants: NDArray[np.float32], sites: int) -> NDArray[np.float32]:
    """[V] float32, couplings as a file holds them: the hashed ones in eight bits, the others in half precision."""
    start = hashed_start(sites)
    hashed = np.clip(np.rint(constants[start:] / COUPLING_UNIT), -127, 127) * COUPLING_UNIT
    return np.concatenate([constants[:start].astype(np.float16), hashed]).astype(np.float32)

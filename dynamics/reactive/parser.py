"""The reactive mode of the parser: labelled bonds that compete, with couplings learned from a treebank."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.parser import MalformedSentence, Parse, Parser, check_sentence, whole_steps
from dynamics.reactive.couplings import Couplings
from dynamics.reactive.model import Encoded, Model
from dynamics.reactive.reach import Charges
from dynamics.reactive.reaction import best_labels, bond_shares, react, solve
from dynamics.reactive.states import States
from dynamics.system import Trajectory

# Operations to feel along one link, and to move one state.
_PER_LINK, _PER_STATE = 2.0, 30.0
# What a bond outside the states has of its charge, and what no bond has.
_FAINT, _LEAST = 1e-6, 1e-30


class ReactiveParser(Parser):
    """Parses sentences of known parts of speech by letting labelled bonds react.

    Args:
        model: from `dynamics.reactive.train.train` or `dynamics.reactive.store.load`.
        steps: of relaxation, at most.
        damping: the share of the way that a step goes, in (0, 1]; without one, the model's.
        tolerance: at rest when no word's populations change by more in a step.
        couplings: which are on.
        stiffness: nat / length^2 of the springs between the heights of head and dependent, which act back on the
            bonds; 0, the default, lets the positions follow the bonds only.

    Raises:
        TypeError, ValueError: steps is not a whole number, or a number is out of range.
    """

    def __init__(
        self,
        model: Model,
        steps: int = 100,
        damping: float | None = None,
        tolerance: float = 1e-2,
        couplings: Couplings | None = None,
        stiffness: float = 0.0,
    ) -> None:
        self.steps = whole_steps(steps)
        self.model = model
        self.damping = model.damping if damping is None else damping
        if not 0.0 < self.damping <= 1.0:
            raise ValueError(f"damping is {self.damping}, expected more than 0 and at most 1")
        if not tolerance >= 0.0 or not stiffness >= 0.0:
            raise ValueError(f"tolerance is {tolerance} and stiffness {stiffness}, expected 0 or more")
        self.tolerance, self.stiffness = float(tolerance), float(stiffness)
        self.couplings = couplings or Couplings()
        self._switches = self.couplings.for_kernels()

    def parse(
        self, tokens: Sequence[str], upos: Sequence[str], record: bool = False, xpos: Sequence[str] | None = None
    ) -> Parse:
        """Parse one sentence.

        Args:
            tokens: [N], N >= 1.
            upos: [N]; a tag that the treebank did not have is a tag like none of its.
            record: keep the trajectory.
            xpos: [N], the treebank's finer tags, "_" where a word has none; found from words and upos if not given.

        Raises:
            MalformedSentence: no tokens, or not as many tags as tokens.

        Cost: O(N) for the charges and for a step of the relaxation, apart from a small share in N log N;
            O(N^2) where the tree needs a repair (O(N^3) at worst by Chu-Liu/Edmonds).
        """
        sentence = self._encode(tokens, upos, xpos)
        model, names = self.model, self.model.inventory.labels
        solved: tuple[Any, ...] = solve(
            *sentence, model.coarse.for_kernels(), model.charges.for_kernels(), model.labels.for_kernels(),
            model.reach, (model.states, model.depth), model.constants_for_kernels, model.coupling_bits,
            self._switches, self._motion(self.steps), model.decoder == "eisner", record,
        )  # fmt: skip
        heads, labels, whole, states, shares, energies, path, made, at_rest, (links, moved) = solved
        return Parse(
            heads=heads,
            labels=tuple([names[label] for label in labels.tolist()]),
            energy=float(energies[-1]),
            steps=made,
            converged=at_rest,
            whole=whole,
            flops=_PER_LINK * links + _PER_STATE * moved,
            trajectory=_trajectory(States(*states), shares, energies, path) if record else None,
        )

    def charges(
        self, tokens: Sequence[str], upos: Sequence[str], xpos: Sequence[str] | None = None
    ) -> NDArray[np.float64]:
        """[P, P] float64 in nat, log p(head | word) at [head, word]: what a static decoder sees."""
        charges = self.model.log_charges(self._encode(tokens, upos, xpos))
        return _for_decoders(_square(charges, charges.score))

    def votes(
        self, tokens: Sequence[str], upos: Sequence[str], xpos: Sequence[str] | None = None
    ) -> NDArray[np.float64]:
        """The same after labels and the learned corrections of single states have had their say, before any step."""
        return self._log_bonds(tokens, upos, xpos, 0)

    def bonds(
        self, tokens: Sequence[str], upos: Sequence[str], xpos: Sequence[str] | None = None
    ) -> NDArray[np.float64]:
        """[P, P] float64 in nat, log of the shares of all bonds after the relaxation."""
        return self._log_bonds(tokens, upos, xpos, self.steps)

    def relax(self, sentence: Encoded, states: States, steps: int | None = None) -> NDArray[np.float64]:
        """[M] float64, the populations of some states of a sentence at the end of a relaxation.

        Args:
            sentence, states: from `self.model.encode` and `self.model.list_states`.
            steps: at most; without them, the parser's.
        """
        shares: NDArray[np.float64] = react(
            states, sentence.codes, self.model.constants_for_kernels, self.model.sites, self.model.coupling_bits,
            self._switches, self._motion(self.steps if steps is None else steps), False,
        )[0]  # fmt: skip
        last: NDArray[np.float64] = shares[-1]
        return last

    def label(
        self, tokens: Sequence[str], upos: Sequence[str], heads: Sequence[int], xpos: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """The most probable label of each bond of a given tree, by itself.

        Args:
            tokens, upos, xpos: [N].
            heads: [N], counted from 1; 0 is ROOT.

        Raises:
            MalformedSentence: not one tag and one head in 0..N for each token.
        """
        sentence = self._encode(tokens, upos, xpos)
        check_sentence(tokens, heads, "heads", Integral)
        if not all(0 <= head <= len(tokens) and head != place for place, head in enumerate(heads, 1)):
            raise MalformedSentence(f"the heads are {list(heads)}, expected 0..{len(tokens)}, and no word its own")
        above, labels = np.array(heads, np.int64), np.zeros(len(tokens), np.int64)
        best_labels(above, above > 0, *sentence, self.model.labels.for_kernels(), labels)
        names = self.model.inventory.labels
        return tuple([names[label] for label in labels.tolist()])

    def _motion(self, steps: int) -> tuple[float, float, float, int]:
        return self.stiffness, self.damping, self.tolerance, steps

    def _encode(self, tokens: Sequence[str], upos: Sequence[str], xpos: Sequence[str] | None) -> Encoded:
        check_sentence(tokens, upos, "parts of speech")
        if xpos is not None:
            check_sentence(tokens, xpos, "fine tags")
        return self.model.encode(tokens, upos, xpos)

    def _log_bonds(
        self, tokens: Sequence[str], upos: Sequence[str], xpos: Sequence[str] | None, steps: int
    ) -> NDArray[np.float64]:
        sentence = self._encode(tokens, upos, xpos)
        charges = self.model.log_charges(sentence)
        states = self.model.list_states(sentence, charges)
        bonds = bond_shares(states, self.relax(sentence, states, steps), charges) + _FAINT * np.exp(charges.score)
        return _for_decoders(_square(charges, np.log(np.maximum(bonds, _LEAST))))


def _square(charges: Charges, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """[P, P] float64 at [head, word], scores [P, K] of the bonds that charges name, -inf for all others."""
    out = np.full((len(charges.kept), len(charges.kept)), -np.inf)
    for word, count in enumerate(charges.kept.tolist()):
        out[charges.head[word, :count], word] = scores[word, :count]
    return out


def _for_decoders(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decoders take finite numbers only; where no bond is possible they do not look."""
    return np.maximum(scores, np.log(_LEAST))


def _trajectory(
    states: States, shares: NDArray[np.float64], energies: NDArray[np.float64], path: NDArray[np.float64]
) -> Trajectory:
    """Populations of heads, summed over labels; a word with fewer heads than others has ROOT at 0 instead."""
    own = [sorted({0, *states.head[states.word == d].tolist()}) for d in range(1, states.first.size)]
    heads = np.zeros((len(own), max(map(len, own))), np.int64)
    populations = np.zeros((len(shares), *heads.shape))
    column = {}
    for d, places in enumerate(own):
        heads[d, : len(places)] = places
        column.update({(d + 1, head): k for k, head in enumerate(places)})
    for i, bond in enumerate(zip(states.word.tolist(), states.head.tolist(), strict=True)):
        populations[:, bond[0] - 1, column[bond]] += shares[:, i]
    return Trajectory(path, populations, heads, energies, np.ones(len(shares)))

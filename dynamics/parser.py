"""The parser: words become particles, the particles relax, and the bonds that hold are the dependency tree."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics.arborescence import chu_liu_edmonds, is_tree
from dynamics.forcefield import ForceField, load_forcefield
from dynamics.integrate import Relaxed, relax
from dynamics.system import Bonds, Trajectory, initial_system, possible_bonds, type_indices

if TYPE_CHECKING:
    from dynamics.conllu import Report
    from dynamics.reactive.parser import ReactiveParser


class MalformedSentence(ValueError):
    """A sentence that cannot be parsed: no words, or not one part of speech per word."""


@dataclass(frozen=True)
class Parse:
    """One sentence's dependency tree and how it came about.

    Args:
        heads: [N] int64, the place of each word's head counted from 1; 0 is ROOT, which has exactly one child.
        labels: of each word's bond to its head; "root" at ROOT, "dep" where the force field names none.
        energy: free energy at the end, in nat.
        steps: of relaxation.
        converged: whether it came to rest before the steps ran out.
        whole: whether the firmest bonds were a tree as they stood, before any repair.
        flops: operations spent on the relaxation.
        trajectory: every moment, if it was asked for.
    """

    heads: NDArray[np.int64]
    labels: tuple[str, ...]
    energy: float
    steps: int
    converged: bool
    whole: bool
    flops: float
    trajectory: Trajectory | None = None


class Parser:
    """Parses sentences of known parts of speech by relaxing them in a force field.

    Args:
        field: charges and constants; without one, the field for universal parts of speech that ships here.
        steps: of relaxation, at most.

    Raises:
        TypeError, ValueError: steps is not a whole number, or negative.
    """

    def __init__(self, field: ForceField | None = None, steps: int = 100) -> None:
        self.steps = whole_steps(steps)
        self.field = load_forcefield() if field is None else field

    @staticmethod
    def load(path: str | Path | None = None, **options: Any) -> ReactiveParser:
        """The reactive mode with learned parameters, which see words as well as parts of speech.

        Args:
            path: what `python -m dynamics.reactive.train` wrote; without one, the English parameters that ship here.
            options: see `dynamics.reactive.parser.ReactiveParser`: steps, damping, couplings.

        Raises:
            FileNotFoundError: there is no such file.
            MalformedParameters: it is not a file of this kind.
        """
        from dynamics.reactive.parser import ReactiveParser
        from dynamics.reactive.store import SHIPPED, load

        return ReactiveParser(load(SHIPPED if path is None else Path(path)), **options)

    def parse_conllu(self, path: str | Path, out: str | Path, skip_bad: bool = False) -> Report:
        """Parse a CoNLL-U file; see `dynamics.conllu.parse_conllu`."""
        from dynamics.conllu import parse_conllu

        return parse_conllu(path, out, self, skip_bad=skip_bad)

    def parse(
        self, tokens: Sequence[str], upos: Sequence[str], record: bool = False, xpos: Sequence[str] | None = None
    ) -> Parse:
        """Parse one sentence.

        Args:
            tokens: [N], N >= 1; the model sees only how many there are.
            upos: [N], each a type of the force field.
            record: keep the trajectory.
            xpos: finer tags, which this mode does not look at.

        Raises:
            MalformedSentence: no tokens, or not as many parts of speech as tokens.
            UnknownType: a part of speech that the field does not know.
            Diverged: the field's time step is too long for its forces.

        Cost: O(N^2 K + steps * N K) for K possible heads of a word.
        """
        check_sentence(tokens, upos, "parts of speech")
        types = type_indices(self.field, tuple(upos))
        bonds = possible_bonds(self.field, types)
        relaxed = relax(initial_system(len(tokens)), bonds, self.field.constants, self.steps, record)
        heads, whole = extract(bonds, relaxed)
        return Parse(
            heads=heads,
            labels=bond_labels(self.field, types, heads),
            energy=relaxed.energy,
            steps=relaxed.steps,
            converged=relaxed.converged,
            whole=whole,
            flops=relaxed.flops,
            trajectory=relaxed.trajectory,
        )


def whole_steps(steps: int) -> int:
    """The number of steps, if it is one.

    Raises:
        TypeError, ValueError: it is not a whole number, or negative.
    """
    try:
        whole = operator.index(steps)
    except TypeError:
        raise TypeError(f"steps is {steps!r}, expected a whole number") from None
    if whole < 0:
        raise ValueError(f"steps is {steps}, expected 0 or more")
    return whole


def check_sentence(tokens: Sequence[str], column: Sequence[object], what: str, kind: type = str) -> None:
    """Make sure that there is a word, and one item of a column for each.

    Args:
        tokens: [N] strings.
        column: [N], of the kind.
        what: the column's name in the message.
        kind: of its items.

    Raises:
        MalformedSentence: there is not.
    """
    for name, items, expected in (("tokens", tokens, str), (what, column, kind)):
        # Nearly always a list or tuple of one type; then no item needs to be asked by itself.
        if type(items) in (list, tuple) and set(map(type, items)) == {expected}:
            continue
        is_list = isinstance(items, Sequence | np.ndarray) and not isinstance(items, str)
        if not is_list or not all(isinstance(item, expected) for item in items):
            raise MalformedSentence(
                f"{name}: expected a list with one {expected.__name__} for each word, got {repr(items)[:80]}"
            )
    if len(tokens) == 0 or len(tokens) != len(column):
        raise MalformedSentence(f"{len(tokens)} tokens with {len(column)} {what}; expected one each, at least one")


def extract(bonds: Bonds, relaxed: Relaxed) -> tuple[NDArray[np.int64], bool]:
    """Read the tree off the bonds: each word's firmest, or, where these are not a tree, the best tree of them.

    Args:
        bonds: which bonds there are.
        relaxed: how firm they are.

    Returns:
        heads: [N] int64, always a tree with one child of ROOT.
        whole: whether the firmest bonds were that tree already.

    Cost: O(N * K); O(N^3) at worst where a repair is needed.
    """
    words = np.arange(bonds.heads.shape[0])
    heads = bonds.heads[words, relaxed.populations.argmax(axis=1)]
    if is_tree(heads):
        return heads, True
    # Bonds outside the neighbour list are worse than any inside it, but keep a tree possible.
    floor = np.log(np.finfo(float).tiny)
    scores = np.full(bonds.scores.shape, 2.0 * floor)
    scores[bonds.heads, words[:, None] + 1] = np.maximum(np.log(np.maximum(relaxed.populations, 1e-300)), floor)
    return chu_liu_edmonds(scores), False


def bond_labels(field: ForceField, types: NDArray[np.int64], heads: NDArray[np.int64]) -> tuple[str, ...]:
    """The label of every bond of a tree, as the force field names it for the two types and the side.

    Args:
        field: T types.
        types: [N] int64.
        heads: [N] int64, counted from 1; 0 is ROOT.
    """
    kinds = np.concatenate([[0], types + 1])
    sides = (np.arange(1, types.size + 1) > heads).astype(int)
    indices = field.label_of[kinds[heads], types, sides]
    return tuple(
        "root" if head == 0 else field.labels[label] if label >= 0 else "dep"
        for head, label in zip(heads.tolist(), indices.tolist(), strict=True)
    )

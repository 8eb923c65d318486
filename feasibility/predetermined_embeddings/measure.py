"""What a trained batch of models is asked on sentences like those it has learned from: excess over the floor, likeness.

Axes: `S` models, `T` sentences, `W` places, `V` vocabulary, `E` width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.predetermined_embeddings.students import encode
from feasibility.predetermined_embeddings.tables import PLACES, uses
from feasibility.predetermined_embeddings.train import Class
from feasibility.toy_world.exact import Law
from feasibility.toy_world.grammar import OPEN, World
from feasibility.toy_world.sampling import draw

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exam:
    """Held-out sentences with the exact law of every next word.

    Args:
        places: [T, 10] int64.
        lengths: [T] int64.
        law: [T, 11, W + 1] float64.
    """

    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    law: Floats

    @property
    def tokens(self) -> Floats:
        """[T], words and the end."""
        return np.asarray(self.lengths + 1.0, dtype=np.float64)

    @property
    def floor(self) -> float:
        """Entropy of the laws, nats a token, the mean over all contexts: what no model can go below."""
        return float(-(self.law * logarithm(self.law)).sum() / self.tokens.sum())


def make_exam(world: World, count: int, seed: int) -> Exam:
    """Sentences of a world with their laws."""
    sentences = draw(world, count, seed)
    return Exam(sentences.places, sentences.lengths, Law(world).next_word(sentences.places, sentences.lengths))


def excess(trained: Class, exam: Exam, world: World) -> dict[str, Floats]:
    """How far models are above the floor, and at which decision.

    Args:
        trained: S models.
        exam: T sentences.
        world: any; which places are of one part of speech and of one class.

    Returns:
        "excess": [S, T] KL(P || Q) summed over the tokens of each sentence, in nats, exact in every context; and its
        three parts, by the chain rule: "excess, part of speech" (or the end), "excess, class" within the part of
        speech (what the grammar selects), "excess, word" within the class (what frequency decides).
    """
    inputs, cells = torch.as_tensor(encode(exam.places)[0]), list(_cells(world))
    laws, rows = [exam.law @ kinds for kinds in cells], []
    # One model at a time: all distributions of all models at once would fill the memory.
    for number in range(len(trained.start)):
        says_so = np.exp(says(trained.pick(number), inputs, np.zeros(PLACES, bool))[0])
        rows.append([divergence(law, np.log(says_so @ k)).sum(axis=1) for law, k in zip(laws, cells, strict=True)])
    pos, classes, words = np.array(rows).swapaxes(0, 1)
    return {
        "excess": words,
        "excess, part of speech": pos,
        "excess, class": classes - pos,
        "excess, word": words - classes,
    }


def _cells(world: World) -> Iterator[Floats]:
    """[W + 1, cells] 0 or 1: places by part of speech, by what the grammar does with them, and one by one."""
    uses = [tuple(np.flatnonzero(column)) for column in world.emission.T]
    for labels in ([*world.pos, "end"], [*uses, "end"], [*range(PLACES), "end"]):
        kinds = list(dict.fromkeys(labels))
        yield np.array([[float(label == kind) for kind in kinds] for label in labels])


def says(trained: Class, inputs: Tensor, silent: NDArray[np.bool_]) -> Floats:
    """Log-probabilities of words and of the end (or UNK), [S, B, N, W + 1], over what is not silent ([W] bool)."""
    logits = trained.logits(inputs)[..., : len(silent) + 1].double()
    mute = torch.zeros(len(silent) + 1, dtype=torch.float64)
    mute[:-1][torch.as_tensor(silent)] = -torch.inf
    return np.asarray((logits + mute.to(logits.device)).log_softmax(-1).cpu().numpy())


def divergence(law: Floats, logs: Floats) -> Floats:
    """KL(P || Q) in nats over the last axis, of probabilities P and log-probabilities ln Q."""
    return np.asarray((law * (logarithm(law) - np.where(law > 0, logs, 0.0))).sum(axis=-1))


def logarithm(law: Floats) -> Floats:
    """ln p, and 0 where p = 0: for sums of p ln p."""
    return np.asarray(np.log(np.where(law > 0, law, 1.0)))


def likeness(rows: Floats, world: World) -> float:
    """Whether rows lie near one another where the world uses their places alike.

    Args:
        rows: [V, E] or [W, E].
        world: places are alike by the cosine of what they select and what selects them.

    Returns:
        Spearman's rho of the two cosines over the pairs of nouns, of verbs, and of adjectives.
    """
    pos = np.array(world.pos)
    pairs = np.triu(pos[:, None] == pos[None, :], 1) & np.isin(pos, OPEN)[:, None]
    ranks = [_ranks(_cosines(table)[pairs]) for table in (rows[:PLACES], uses(world))]
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def _ranks(values: Floats) -> Floats:
    """From 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last: Floats = np.cumsum(counts).astype(np.float64)
    return np.asarray(last[place] - (counts[place] - 1) / 2)


def _cosines(rows: Floats) -> Floats:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T)

"""A scorer of bonds: logistic regression on the products of two words' coordinates.

    score(h, d) = x_h' W x_d + v_h' x_d + x_h' u_d + b' x_d + o

W is what every word shares: position predicts bond. v_h is what one head is known to ask for beyond that, u_d what one
dependent is known to go with; both are zero for words that the training text does not have in the slot. Fitted by
maximum likelihood with a ridge on each part; convex, so the result does not depend on a start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feasibility.periodic_table.pairs import Slot, Vocabulary, train_negatives

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ridge:
    """How strongly each part of the score is held to zero; chosen on the dev part.

    Args:
        shared: on W.
        word: on v_h and u_d.
    """

    shared: float = 100.0
    word: float = 10.0


@dataclass(frozen=True)
class Scorer:
    """A fitted score; K axes.

    Args:
        vectors: [W, K], the coordinates of all words.
        shared: [K, K].
        wish: [W, K], v_h.
        liking: [W, K], u_d.
        direction: [K], b.
    """

    vectors: Floats
    shared: Floats
    wish: Floats
    liking: Floats
    direction: Floats

    def __call__(self, pairs: Ints) -> Floats:
        """The score of each (head, dependent) row, up to a constant."""
        head, dependent = pairs[:, 0], pairs[:, 1]
        x, y = self.vectors[head], self.vectors[dependent]
        asked = x @ self.shared + self.wish[head] + self.direction
        score: Floats = (asked * y).sum(axis=1) + (x * self.liking[dependent]).sum(axis=1)
        return score


def reduce(vectors: Floats, words: Vocabulary, axes: int) -> Floats:
    """The main axes of variation within the parts of speech: centred in each, then rotated and cut.

    Words that the training text lacks take no part in finding the axes.

    Args:
        vectors: [W, any], coordinates; all-zero rows are words of which nothing is known, and stay zero.
        axes: how many to keep at most.

    Returns:
        [W, <= axes], the first axis with unit variance.
    """
    known, seen = np.abs(vectors).sum(axis=1) > 0, words.count > 0
    out = np.zeros_like(vectors)
    for tag in np.unique(words.tag):
        rows = (words.tag == tag) & known
        if (rows & seen).any():
            out[rows] = vectors[rows] - vectors[rows & seen].mean(axis=0)
    covariance = out[seen].T @ out[seen] / max(int(seen.sum()), 1)
    variance, rotation = np.linalg.eigh(covariance)
    kept = np.argsort(-variance)[:axes]
    kept = kept[variance[kept] > 1e-9 * max(variance.max(), 1e-30)]
    reduced: Floats = out @ rotation[:, kept] / np.sqrt(max(variance.max(), 1e-30))
    return reduced


def fit(
    slot: Slot, words: Vocabulary, vectors: Floats, ridge: Ridge, *, negatives: int = 5, steps: int = 40, seed: int = 0
) -> Scorer:
    """Fit the score of one relation.

    Args:
        slot: its training pairs.
        words: the vocabulary.
        vectors: [W, K], coordinates.
        negatives: of one training pair.
        steps: most iterations of L-BFGS, which ends where one gains less than a hundred-thousandth.
        seed: of the negatives.

    Cost: O(steps * (pairs K + words K^2)): 1 s for 8,000 pairs of 60 axes.
    """
    from scipy.optimize import minimize

    problem = _Problem(slot, words, vectors, ridge, negatives, seed)
    unit = problem.units()

    def loss(at: Floats) -> tuple[float, Floats]:
        value, slope = problem.loss(unit * at)
        return value, unit * slope

    options = {"maxiter": steps, "maxcor": 8, "ftol": 1e-5}
    found = minimize(loss, np.zeros(problem.size), jac=True, method="L-BFGS-B", options=options)
    return problem.scorer(unit * found.x)


class _Problem:
    """The penalised likelihood of one slot over the distinct words and pairs of its training text."""

    def __init__(self, slot: Slot, words: Vocabulary, vectors: Floats, ridge: Ridge, negatives: int, seed: int) -> None:
        from scipy.sparse import csr_matrix

        others = train_negatives(slot, words, negatives, seed)
        head = np.concatenate([slot.train[:, 0], np.tile(slot.train[:, 0], negatives)])
        dependent = np.concatenate([slot.train[:, 1], others.ravel()])
        good = np.arange(len(head)) < len(slot.train)
        # Each distinct pair once, with its weight as an example and as a counterexample.
        pair, row = np.unique(head * len(words.words) + dependent, return_inverse=True)
        self.yes = np.bincount(row, good)
        self.no = np.bincount(row, ~good) / negatives
        self.heads, self.h = np.unique(pair // len(words.words), return_inverse=True)
        self.dependents, self.d = np.unique(pair % len(words.words), return_inverse=True)
        self.vectors = vectors
        self.weights = (ridge.shared, ridge.word, ridge.word, 0.1 * ridge.shared, 0.0)
        self.x, self.y = vectors[self.heads], vectors[self.dependents]
        axes = vectors.shape[1]
        self.shapes = [(axes, axes), (len(self.heads), axes), (len(self.dependents), axes), (axes,), (1,)]
        self.cuts = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        self.size = int(self.cuts[-1])
        self.csr = csr_matrix

    def parts(self, x: Floats) -> list[Floats]:
        return [part.reshape(shape) for part, shape in zip(np.split(x, self.cuts[:-1]), self.shapes, strict=True)]

    def units(self) -> Floats:
        """A unit for each parameter in which the loss curves about alike, so that few steps are needed."""
        number = self.yes + self.no
        of_head, of_dependent = np.bincount(self.h, number)[:, None], np.bincount(self.d, number)[:, None]
        x2, y2 = (of_head * self.x**2).sum(axis=0), (of_dependent * self.y**2).sum(axis=0)
        total = number.sum()
        curves = (np.outer(x2, y2) / total, of_head * y2 / total, of_dependent * x2 / total, y2, np.array([total]))
        # A logistic loss curves by at most a quarter of this.
        parts = [(curve / 4 + 2 * weight).ravel() for curve, weight in zip(curves, self.weights, strict=True)]
        unit: Floats = 1 / np.sqrt(np.concatenate(parts))
        return unit

    def loss(self, at: Floats) -> tuple[float, Floats]:
        shared, wish, liking, direction, level = self.parts(at)
        asked = self.x @ shared + wish + direction
        score = _products(asked, self.h, self.y, self.d) + _products(self.x, self.h, liking, self.d) + level
        value = (self.yes * np.logaddexp(0, -score) + self.no * np.logaddexp(0, score)).sum()
        slope = (self.yes + self.no) / (1 + np.exp(-score)) - self.yes
        table = self.csr((slope, (self.h, self.d)), shape=(len(self.heads), len(self.dependents)))
        by_head, by_dependent = table @ self.y, table.T @ self.x
        slopes = (
            self.x.T @ by_head,
            by_head,
            by_dependent,
            by_head.sum(axis=0),
            np.array([slope.sum()]),
        )
        for weight, part in zip(self.weights, self.parts(at), strict=True):
            value += weight * float((part**2).sum())
        gradient = [
            (own + 2 * weight * part).ravel()
            for own, weight, part in zip(slopes, self.weights, self.parts(at), strict=True)
        ]
        return float(value), np.concatenate(gradient)

    def scorer(self, at: Floats) -> Scorer:
        shared, wish, liking, direction, _ = self.parts(at)
        return Scorer(
            self.vectors,
            shared,
            self._spread(wish, self.heads),
            self._spread(liking, self.dependents),
            direction,
        )

    def _spread(self, rows: Floats, places: Ints) -> Floats:
        out = np.zeros((len(self.vectors), *rows.shape[1:]))
        out[places] = rows
        return out


def _products(left: Floats, rows: Ints, right: Floats, columns: Ints) -> Floats:
    """left[rows[p]] . right[columns[p]] for each pair p."""
    out = np.empty(len(rows))
    # In parts that stay in the cache: half the time.
    for at in range(0, len(rows), 2048):
        part = slice(at, at + 2048)
        np.einsum("ij,ij->i", left[rows[part]], right[columns[part]], out=out[part])
    return out

"""Words and pairs of words that a model has never seen: what it makes of them, and whether it knows where they may be.

Axes: `M` contexts, `W` places, `V` vocabulary, `E` width. `Class` here is always of one model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from feasibility.predetermined_embeddings.measure import Floats, divergence, says
from feasibility.predetermined_embeddings.students import encode
from feasibility.predetermined_embeddings.tables import PLACES, UNKNOWN
from feasibility.predetermined_embeddings.train import Class
from feasibility.toy_world.exact import Law, NotInWorld
from feasibility.toy_world.grammar import World
from feasibility.toy_world.sampling import LONGEST, draw

Bools = NDArray[np.bool_]
# Penalties of the ridge map, among which leave-one-out over the seen words chooses.
RIDGE = 10.0 ** np.arange(-3, 4)
HELD_VERBS = 6


@dataclass(frozen=True)
class NewWords:
    """Words that are never seen in training, and beginnings of sentences that end in one of them.

    Args:
        held: [W], which words.
        places: [M, 10] int64, -1 after the new word.
        at: [M] int64, where it stands.
        after: [M, W + 1] law of what follows it, in sentences that go on with seen words.
        before: [M, W + 1] law of what stands in its place, any word.
    """

    held: Bools
    places: NDArray[np.int64]
    at: NDArray[np.int64]
    after: Floats
    before: Floats


def hold_words(world: World, seed: int) -> Bools:
    """[W]: a third of each class of nouns and of adjectives, and six verbs, such that every frame keeps a seen verb."""
    rng, held = np.random.default_rng([seed, 3]), np.zeros(PLACES, bool)
    classes = {name: np.flatnonzero(row) for name, row in zip(world.symbols, world.emission, strict=False)}
    for name, members in classes.items():
        if name.startswith(("N.", "A.")):
            held[rng.permutation(members)[: len(members) // 3]] = True
    frames = [members for name, members in classes.items() if name.startswith("V.")]
    left = HELD_VERBS
    for verb in rng.permutation(np.unique(np.concatenate(frames))):
        trial = held.copy()
        trial[verb] = True
        if left and not any(trial[members].all() for members in frames):
            held, left = trial, left - 1
    return held


def new_words(world: World, held: Bools, count: int, seed: int) -> NewWords:
    """Contexts of new words, from sentences that contain exactly one; at most `count`."""
    pool = draw(world, 30 * count, seed)
    inside = (pool.places >= 0) & held[np.maximum(pool.places, 0)]
    rows = np.flatnonzero(inside.sum(axis=1) == 1)[:count]
    at, index = inside[rows].argmax(axis=1), np.arange(len(rows))
    places = np.where(np.arange(LONGEST) <= at[:, None], pool.places[rows], -1)
    after = Law(world, ~held).next_word(places, at + 1)[index, at + 1]
    return NewWords(held, places, at, after, Law(world).next_word(places, at)[index, at])


def shots(world: World, held: Bools, each: int, seed: int) -> NDArray[np.int64]:
    """Sentences in which new words occur after all, each so many times and alone among the new ones.

    Args:
        world, held: which words are new.
        each: sentences for each of them.
        seed: fewer sentences of a seed are the first of more.

    Returns: [each * held.sum(), 10] int64.
    """
    pool = 5_000
    while True:
        places = draw(world, pool, seed).places
        places = places[((places >= 0) & held[np.maximum(places, 0)]).sum(axis=1) == 1]
        rows = [places[(places == word).any(axis=1)][:each] for word in np.flatnonzero(held)]
        if all(len(row) == each for row in rows):
            return np.concatenate(rows)
        pool *= 2


def after_new_words(student: Class, asked: NewWords, unknown: bool = False) -> float:
    """KL(P || Q) of what follows a new word, mean over the contexts, in nats.

    Args:
        student: one model.
        asked: its new words; Q is over seen words and the end.
        unknown: whether it reads UNKNOWN in the place of the new word.
    """
    inputs, index = encode(asked.places)[0], np.arange(len(asked.at))
    if unknown:
        inputs[index, asked.at + 1] = UNKNOWN
    logs = says(student, torch.as_tensor(inputs), asked.held)[0, index, asked.at + 1]
    return float(divergence(asked.after, logs).mean())


def choose_new_words(student: Class, asked: NewWords, world: World) -> float:
    """Whether a model gives a new word that may stand in a place a higher logit than one that may not.

    Returns:
        Area under the curve: the share of (licensed, unlicensed) pairs of new words of one part of speech, over all
        contexts, in which the licensed one has the higher logit; ties count half.
    """
    logits = student.logits(torch.as_tensor(encode(asked.places)[0]))[0].cpu().double().numpy()
    won = Tally()
    for m, at in enumerate(asked.at):
        rivals = np.flatnonzero(asked.held & _same_pos(asked.places[m, at], world))
        may, score = asked.before[m, rivals] > 0, logits[m, at, rivals]
        won.compare(score[may], score[~may])
    return won.area


def given_afterwards(
    student: Class, held: Bools, pos: Sequence[str], known: Floats, side: str
) -> Iterator[tuple[str, Class]]:
    """A learned table whose new words get their rows from those of seen words, after training.

    Args:
        student: one model with a learned table.
        held: [W], which words are new.
        pos: [W] part of speech of each word.
        known: [W, axes], the coordinates that the predetermined table is made of.
        side: "input_table" or "output.table".

    Yields:
        "class_mean", with the mean row of the seen words of the same part of speech (of all, where there is none), and
        "ridge", with a linear map from the coordinates, fitted to the rows of the seen words.
    """
    rows, tags = student.parameters[f"{side}.free"][0].detach(), np.array(pos)
    mean, mapped, words = rows.clone(), rows.clone(), len(held)
    for word in np.flatnonzero(held):
        alike = ~held & (tags == tags[word])
        mean[word] = rows[:words][torch.as_tensor(alike if alike.any() else ~held)].mean(0)
    yield "class_mean", student.with_rows(side, mean)
    new = _ridge(known[~held], rows[:words].cpu().double().numpy()[~held], known[held])
    mapped[:words][torch.as_tensor(held)] = torch.as_tensor(new, dtype=rows.dtype, device=rows.device)
    yield "ridge", student.with_rows(side, mapped)


@dataclass(frozen=True)
class NewPairs:
    """Pairs that the grammar licenses and that were held out, beside pairs that it does not license.

    Args:
        held: [2, W, W], kinds as in `World.licensed`.
        frames: for "she be V the ...", "the N be ..." and "the A ...": beginnings [M, 10], their length, and [M, W]
            which next words are new with the varied word, and which can never follow it.
    """

    held: Bools
    frames: tuple[tuple[NDArray[np.int64], int, Bools, Bools], ...]


@cache
def new_pairs(world: World, seed: int, share: float = 0.2) -> NewPairs:
    """A share of the licensed pairs, drawn at random, and the beginnings in which they are asked for."""
    rng = np.random.default_rng([seed, 5])
    held: Bools = np.logical_and(world.licensed, rng.random(world.licensed.shape) < share)
    place, pos = {word: number for number, word in enumerate(world.words)}, np.array(world.pos)
    she, be, the = place["she", "PRON"], place["be", "AUX"], place["the", "DET"]
    nouns, verbs, adjectives = (np.flatnonzero(pos == tag) for tag in ("NOUN", "VERB", "ADJ"))
    asked = (
        (verbs, [[she, be, verb, the] for verb in verbs], held[1][verbs], nouns),
        (nouns, [[the, noun, be] for noun in nouns], held[0].T[nouns], verbs),
        (adjectives, [[the, adjective] for adjective in adjectives], held[0][adjectives], nouns),
    )
    frames = []
    for varied, begins, unseen, scored in asked:
        length = len(begins[0])
        table = np.full((len(varied), LONGEST), -1)
        table[:, :length] = begins
        law = _begun(world, table, length)
        of_kind = np.isin(np.arange(PLACES), scored)
        frames.append((table, length, unseen & (law > 0), (law == 0) & law.any(axis=1, keepdims=True) & of_kind))
    return NewPairs(held, tuple(frames))


def choose_new_pairs(student: Class, asked: NewPairs) -> float:
    """Whether a model prefers a licensed pair that it has never seen to a pair that no sentence has.

    The same word is scored after two selectors, with one of which it is licensed, so that its own frequency cancels.

    Returns:
        Area under the curve, over all such pairs of selectors and all words.
    """
    won = Tally()
    for table, length, new, never in asked.frames:
        logs = says(student, torch.as_tensor(encode(table)[0]), np.zeros(PLACES, bool))[0, :, length, :PLACES]
        for word in np.flatnonzero(new.any(axis=0)):
            won.compare(logs[new[:, word], word], logs[never[:, word], word])
    return won.area


class Tally:
    """Comparisons won, ties half."""

    def __init__(self) -> None:
        self._won, self._pairs = 0.0, 0

    def compare(self, better: Floats, worse: Floats) -> None:
        """Every score of the one against every score of the other."""
        gaps = better[:, None] - worse[None, :]
        self._won += float((gaps > 0).sum() + 0.5 * (gaps == 0).sum())
        self._pairs += gaps.size

    @property
    def area(self) -> float:
        """Share won; one half where nothing was compared."""
        return self._won / self._pairs if self._pairs else 0.5


def _same_pos(place: int | np.integer[Any], world: World) -> Bools:
    return np.array([pos == world.pos[place] for pos in world.pos])


def _begun(world: World, table: NDArray[np.int64], length: int) -> Floats:
    """[M, W] law of the word after each beginning; 0 where no sentence begins so ("she be sleep the")."""
    rows, law = np.zeros((len(table), PLACES)), Law(world)
    for number in range(len(table)):
        try:
            rows[number] = law.next_word(table[number : number + 1], np.array([length]))[0, length, :PLACES]
        except NotInWorld:
            continue
    return rows


def _ridge(x: Floats, y: Floats, new: Floats) -> Floats:
    """Ridge regression in its dual form; the penalty has the least leave-one-out error."""
    centre, mean = x.mean(0), y.mean(0)
    kernel, cross = (x - centre) @ (x - centre).T, (new - centre) @ (x - centre).T
    values, vectors = np.linalg.eigh(kernel)
    best, least = np.zeros_like(y), np.inf
    for penalty in RIDGE:
        inverse = (vectors / (np.maximum(values, 0.0) + penalty)) @ vectors.T
        weights = inverse @ (y - mean)
        error = float(np.square(weights / np.diag(inverse)[:, None]).sum())
        if error < least:
            best, least = weights, error
    return np.asarray(mean + cross @ best)

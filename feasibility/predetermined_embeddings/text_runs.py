"""Groups of models of real text: known against learned vectors of 1,000 words, and words that are held out.

Axes: `S` models, `T` stretches of test text, `W` words, `V` = W + 1 entries: any other word is the last, UNK.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from feasibility.predetermined_embeddings.measure import Floats, says
from feasibility.predetermined_embeddings.runs import Answers, Cell, Held, Part
from feasibility.predetermined_embeddings.students import Reading
from feasibility.predetermined_embeddings.tables import (
    CONDITIONS,
    TIED,
    Floats32,
    UnknownTable,
    assemble,
    balanced,
    leading,
    mutual_information,
)
from feasibility.predetermined_embeddings.text import STRETCH, Text
from feasibility.predetermined_embeddings.train import Class, Recipe
from feasibility.predetermined_embeddings.unseen import Bools, Tally, given_afterwards
from periodic_table import coordinates

# All blocks that need no counting, spelling and inflection among them, which 1,000 forms need and 100 lemmas do not.
BLOCKS = tuple(name for name, source in coordinates.BLOCKS.items() if source == "lexicon")
RANK = 64
# Of words that are held out: content words, and not the most frequent, so that text without them is left.
OPEN, RAREST, HELD = ("NOUN", "VERB", "ADJ", "ADV"), 150, 60


@dataclass(frozen=True)
class TextBench:
    """What all groups of real text share.

    Args:
        recipes: "text" -> condition -> how it is trained.
        passes: over 100,000 tokens; over n it is passes * sqrt(100,000 / n).
        dev, test: how many stretches choose a state, and how many are asked.
        text: the novels.
        digest: of the text.
        device: of torch; "cuda" for the GPUs in turn.
        at_once: models in one batch.
    """

    recipes: Mapping[str, Mapping[str, Recipe]]
    passes: float
    dev: int
    test: int
    text: Text = field(repr=False)
    digest: str
    device: str
    at_once: int


@dataclass(frozen=True)
class TextStudent:
    """One model of a batch; see `feasibility.predetermined_embeddings.train.Learner`.

    Args:
        condition, output, seed: as of `Student`.
        text: its words.
        rows: [n, 33] uint16, what it learns from.
        dev: [D, 33] uint16, what chooses the state that is kept.
        silent: [W] bool, words that it never reads and is never asked for.
    """

    condition: str
    output: str
    text: Text
    rows: NDArray[np.uint16]
    dev: NDArray[np.uint16]
    silent: Bools
    seed: int

    @property
    def words(self) -> int:
        """Entries that are words."""
        return len(self.text.words)

    @property
    def unknown(self) -> int:
        """UNK."""
        return len(self.text.words)

    @property
    def mute(self) -> Bools:
        """[V], what it is never asked for."""
        return np.append(self.silent, False)

    def reading(self) -> Reading:
        """Inputs and targets [n, 32]."""
        return _pair(self.rows)

    def checking(self) -> Reading:
        """The same of the dev stretches."""
        return _pair(self.dev)

    def table(self, side: int, dim: int) -> Floats32 | None:
        """[V, E] of the input (0) or the output (1), or None where it is learned from nothing."""
        name = self.condition if side == 0 or self.output == TIED else self.output
        kind = CONDITIONS[name].table
        if not kind:
            return None
        own = 2 * self.seed + (side if self.output != TIED else 0)
        return assemble(lambda rng: self._directions(kind, rng), dim, 1, own)

    def _directions(self, kind: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
        left, values = _coordinate_directions(self.text.words, self.text.pos)
        if kind == "coordinates":
            return left, values
        if kind == "shuffled":
            return left[rng.permutation(self.words)], values
        if kind == "gaussian":
            return leading(rng.standard_normal((self.words, 4 * RANK)), RANK)[0], values
        if kind == "ppmi":
            rows = self.rows.astype(np.int64)
            seen = np.where(rows < self.words, rows, -1)
            return leading(mutual_information(seen, self.words), RANK)[0], values
        raise UnknownTable(f"no table {kind!r} of real text; there are coordinates, shuffled, gaussian and ppmi")


@dataclass(frozen=True)
class TextGroup:
    """Models that learn from equally much text; fields as of `feasibility.predetermined_embeddings.runs.Group`."""

    tokens: int
    held: Held
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    stage: str = "text"

    @property
    def name(self) -> str:
        """As progress shows it."""
        return f"{len(self.cells)} kinds of model, {self.tokens:,} tokens of novels" + ", new words" * bool(self.held)

    @property
    def sentences(self) -> int:
        """Stretches that each learns from."""
        return max(1, self.tokens // (STRETCH - 1))

    def epochs(self, bench: TextBench) -> float:
        """Passes over what is read."""
        return float(bench.passes * math.sqrt(100_000 / self.tokens))

    def facts(self, bench: TextBench) -> list[object]:
        """What answers depend on, beside the cell, the seed and the recipe."""
        return ["text", BLOCKS, RANK, self.tokens, self.held, self.epochs(bench), bench.dev, bench.test, bench.digest]

    def student(self, cell: Cell, seed: int, bench: TextBench) -> TextStudent:
        """One model before training."""
        text = bench.text
        silent = hold_words(text, seed) if self.held else np.zeros(len(text.words), bool)
        clean = {part: rows[~_holds(rows, silent).any(1)] for part, rows in text.stretches.items()}
        order = np.random.default_rng([seed, 21]).permutation(len(clean["train"]))[: self.sentences]
        return TextStudent(
            cell.condition, cell.output, text, clean["train"][order], clean["dev"][: bench.dev], silent, seed
        )

    def ask(self, trained: Class, part: Part, bench: TextBench) -> Iterator[Answers]:
        """What each model of a batch answers."""
        for number, (cell, seed) in enumerate(part):
            one = trained.pick(number)
            if self.held:
                yield _ask_words(one, cell, hold_words(bench.text, seed), bench)
            else:
                yield {**_nats(one, bench.text.stretches["test"][: bench.test]), "dev": float(one.dev.min())}


def hold_words(text: Text, seed: int) -> Bools:
    """[W]: 60 content words, drawn evenly from those that are not among the 150 most frequent."""
    may = np.flatnonzero(np.isin(text.pos, OPEN))
    may = may[may >= min(RAREST, len(may) // 2)]
    held = np.zeros(len(text.words), bool)
    held[np.random.default_rng([seed, 23]).permutation(may)[:HELD]] = True
    return held


def _holds(rows: NDArray[np.uint16], silent: Bools) -> Bools:
    return np.append(silent, False)[rows]


def _pair(rows: NDArray[np.uint16]) -> Reading:
    return rows[:, :-1].astype(np.int16), rows[:, 1:].astype(np.int16)


def _nats(one: Class, rows: NDArray[np.uint16]) -> Answers:
    """[T] nats of each stretch: "nats" of all that follows its first word, "nats, words" without UNK."""
    words, sums = one.start.shape[1] - 1, []
    for at in range(0, len(rows), 200):
        inputs, targets = (torch.as_tensor(side).long() for side in _pair(rows[at : at + 200]))
        logs = one.logits(inputs)[0].float().log_softmax(-1)
        nats = -logs.gather(-1, targets.to(logs.device)[..., None])[..., 0].cpu()
        sums.append(torch.stack([nats.sum(1), (nats * (targets < words)).sum(1)]))
    every, known = torch.cat(sums, dim=1).double().numpy()
    return {"nats": every, "nats, words": known}


@dataclass(frozen=True)
class _Contexts:
    """[M, 32] stretches up to a new word and no further, where it stands, and [M] what follows it."""

    inputs: NDArray[np.int16]
    at: NDArray[np.int64]
    after: NDArray[np.int64]


def _contexts(text: Text, held: Bools) -> _Contexts:
    """All test stretches with one new word and one alone, which is neither their first nor their last."""
    rows = text.stretches["test"]
    new = _holds(rows, held)
    rows = rows[(new.sum(1) == 1) & ~new[:, 0] & ~new[:, -1]]
    at = _holds(rows, held).argmax(1)
    return _Contexts(rows[:, :-1].astype(np.int16), at, rows[np.arange(len(rows)), at + 1].astype(np.int64))


def _ask_words(one: Class, cell: Cell, held: Bools, bench: TextBench) -> Answers:
    asked, text = _contexts(bench.text, held), bench.text
    known = _features(text.words, text.pos)
    answers: Answers = {"after": _after(one, asked, held), "auc": _choice(one, asked, held, text)}
    if not CONDITIONS[cell.condition].table:
        answers["after, unknown"] = _after(one, asked, held, unknown=True)
        for name, other in given_afterwards(one, held, text.pos, known, "input_table"):
            answers[f"after, {name}"] = _after(other, asked, held)
    if cell.output == "learned":
        for name, other in given_afterwards(one, held, text.pos, known, "output.table"):
            answers[f"auc, {name}"] = _choice(other, asked, held, text)
    return answers


def _after(one: Class, asked: _Contexts, held: Bools, unknown: bool = False) -> float:
    """Nats of the word after a new one, the mean over the contexts; new words are not among the answers."""
    inputs, index = asked.inputs.copy(), np.arange(len(asked.at))
    if unknown:
        inputs[index, asked.at] = len(held)
    total = 0.0
    for at in range(0, len(inputs), 200):
        some = slice(at, at + 200)
        logs = says(one, torch.as_tensor(inputs[some]), held)[0]
        total -= float(logs[np.arange(len(logs)), asked.at[some], asked.after[some]].sum())
    return total / len(inputs)


def _choice(one: Class, asked: _Contexts, held: Bools, text: Text) -> float:
    """Area under the curve: whether the new word that stands in a place has a higher logit than others of its kind."""
    won, pos = Tally(), np.array(text.pos)
    for at in range(0, len(asked.at), 200):
        some = slice(at, at + 200)
        logits = one.logits(torch.as_tensor(asked.inputs[some]))[0].double().cpu().numpy()
        for row, (scores, where) in enumerate(zip(logits, asked.at[some], strict=True)):
            word = int(asked.inputs[some][row, where])
            rivals = held & (pos == pos[word])
            rivals[word] = False
            won.compare(scores[where - 1, [word]], scores[where - 1, : len(held)][rivals])
    return won.area


@cache
def _features(words: tuple[str, ...], pos: tuple[str, ...]) -> Floats:
    return balanced(words, pos, BLOCKS)


@cache
def _coordinate_directions(words: tuple[str, ...], pos: tuple[str, ...]) -> tuple[Floats, Floats]:
    return leading(_features(words, pos), RANK)

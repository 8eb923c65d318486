"""What the experiment `long_context` measures on the machine at hand, with a small model of a shipped novel.

B batch, N tokens.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from feasibility.language_model.measure import SAMPLE, open_lab
from feasibility.lm.generate import Stream
from feasibility.lm.patterns import Spec
from feasibility.lm.recipe import Recipe, Trained

WIDTH, LAYERS, HEADS, BATCH = 64, 2, 4, 2


def small(name: str, length: int, keys: float, steps: int, seed: int) -> Trained:
    """A model of a quarter of a million parameters, trained on chunks of so many tokens of a novel."""
    spec = Spec(name) if name == "dense" else open_lab(length, seed).pattern(name, keys).spec
    return Recipe(SAMPLE, spec, WIDTH, LAYERS, HEADS, length, BATCH, steps, seed, rate_of=WIDTH).train("cpu")


def text_of(trained: Trained, tokens: int) -> Tensor:
    """The beginning of the test novel. [1, tokens]"""
    return trained.ids("test")[None, :tokens]


def stream_gap(trained: Trained, tokens: int) -> float:
    """The largest difference of logits between a stream, by chunks and by single tokens, and one forward over all.

    The text is longer than any that the model was trained on; the difference is relative to the largest logit.
    """
    text = text_of(trained, tokens)
    with torch.no_grad():
        whole = trained.longer(tokens)(text, trained.pattern.plan(text))
    stream = Stream(trained.model, trained.pattern)
    sizes = [tokens // 2, *[1] * 16, tokens - tokens // 2 - 16]
    got = torch.cat([stream.feed(part) for part in torch.split(text, sizes, dim=1)], dim=1)
    return float((got - whole).abs().max() / whole.abs().max())


def changed_rows(trained: Trained, tokens: int, cuts: list[int], seed: int) -> tuple[int, int, int]:
    """How many rows of a stream's logits change, be it in the last bit, when all tokens after a cut are drawn anew.

    Returns: rows up to the cut, of which none may; rows after it, which shows that the check can see; rows compared.
    """
    text, generator = text_of(trained, tokens), torch.Generator().manual_seed(seed)
    before, changed, later, rows = _streamed(trained, text), 0, 0, 0
    for cut in cuts:
        drawn = torch.randint(len(trained.corpus.vocab), text.shape, generator=generator)
        after = _streamed(trained, torch.where(torch.arange(tokens) > cut, drawn, text))
        differ = (before != after).any(-1)[0]
        changed += int(differ[: cut + 1].sum())
        later += int(differ[cut + 1 :].sum())
        rows += cut + 1
    return changed, later, rows


def _streamed(trained: Trained, text: Tensor) -> Tensor:
    """Logits by a chunk and then by single tokens."""
    stream = Stream(trained.model, trained.pattern)
    first = text.shape[1] - 24
    return torch.cat([stream.feed(part) for part in torch.split(text, [first, *[1] * 24], dim=1)], dim=1)


@dataclass(frozen=True)
class Place:
    """A place in a stream.

    Args:
        ms: of a generated token, median.
        nbytes: remembered of the text.
    """

    ms: float
    nbytes: int


def stream_places(trained: Trained, places: list[int], written: int, rounds: int) -> dict[int, Place]:
    """Read to ever further places of the novel and write a little at each."""
    stream, found = Stream(trained.model, trained.pattern), {}
    text = text_of(trained, places[-1])
    for place in places:
        stream.read(text[:, int(stream.length) : place])
        times = []
        for turn in range(rounds):
            start = time.perf_counter()
            stream.generate(written, seed=turn)
            times.append(1e3 * (time.perf_counter() - start) / written)
        found[place] = Place(float(np.median(times)), stream.nbytes)
    return found


def held_out(trained: Trained, tokens: int) -> float:
    """Nats a token of the test novel, read as a stream."""
    nats = Stream(trained.model, trained.pattern).read(text_of(trained, tokens))[0, 1:]
    value = float(nats.mean())
    assert math.isfinite(value)
    return value

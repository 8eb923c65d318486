"""What the experiment `long_context` measures on the machine at hand, with a small model of a shipped novel.

B batch, N tokens.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.harness import Metric, Track, silent
from feasibility.language_model.measure import SAMPLE, open_lab
from feasibility.lm.generate import Stream
from feasibility.lm.patterns import Spec
from feasibility.lm.recipe import Recipe, Trained
from feasibility.long_context.pace import pinned

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
        rounds: milliseconds of a generated token, one for each round.
        nbytes: remembered of the text.
    """

    rounds: NDArray[np.float64]
    nbytes: int

    @property
    def ms(self) -> float:
        """The median."""
        return float(np.median(self.rounds))

    def over(self, other: Place) -> Metric:
        """How many times as long it takes as at another place, round by round, with a bootstrap over rounds."""
        ratios = self.rounds / other.rounds
        drawn = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
        value = float(np.median(ratios))
        low, high = (float(x) for x in np.percentile(np.median(drawn, axis=1), [2.5, 97.5]))
        method = f"median of {len(ratios)} paired rounds, bootstrap over them"
        return Metric(value, "x", len(ratios), (min(low, value), max(high, value)), method)


def stream_places(
    models: Mapping[str, Trained], places: Sequence[int], written: int, rounds: int, track: Track = silent
) -> dict[str, dict[int, Place]]:
    """Time and memory of a generated token after ever more of the novel, for several models.

    Typed memory and windows read all of the text up to each place. Dense attention has keys and values for a text of
    that length, and no room besides; it does not read it, which would take the square of the length, and the time of
    its next token does not depend on what they hold. In each round every model writes a little at every place, in an
    order of its own, so that a machine that is busy for a while slows all of them down.

    Args:
        models: dense attention is known by its name.
        places: ascending.
        written: tokens of a round.
        rounds: how many; one more before them warms up.
        track: progress over rounds.
    """
    streams: dict[tuple[str, int], Stream] = {}
    for name, trained in models.items():
        stream, text = Stream(trained.model, trained.pattern), text_of(trained, places[-1])
        for place in places:
            if name == "dense":
                stream = Stream(trained.model, trained.pattern)
                pinned(stream, place)
                stream.feed(text[:, :1])
            else:
                stream.read(text[:, int(stream.length) : place])
            # All but the model, which all of them share.
            streams[name, place] = copy.deepcopy(stream, {id(stream.model): stream.model})
    times: dict[tuple[str, int], list[float]] = {key: [] for key in streams}
    for turn in track(range(rounds + 1), "writing", rounds + 1):
        # Not always the same one after dense attention at its longest, which leaves nothing in the processor's caches.
        for key in random.Random(turn).sample(list(streams), len(streams)):
            stream = streams[key]
            start = time.perf_counter()
            stream.generate(written, seed=turn)
            times[key].append(1e3 * (time.perf_counter() - start) / written)
    return {
        name: {place: Place(np.array(times[name, place][1:]), streams[name, place].nbytes) for place in places}
        for name in models
    }


def reach(classes: NDArray[np.int64], spec: Spec, places: Sequence[int]) -> tuple[NDArray[np.int64], float]:
    """How far back typed memory holds on to something, and how much of what it holds is that old.

    Args:
        classes: of the pieces of a text, [T].
        spec: its window and valence count.
        places: in the text, each more than the window.

    Returns: for each place how many pieces ago the oldest one was read that it remembers; and the share of all
        remembered pieces that were read longer ago than a memory of as many slots would go back if it kept the last
        pieces one and all, which is what dense attention's must.
    """
    assert spec.valence is not None
    count = int(classes.max()) + 1
    where = [np.flatnonzero(classes == kind) for kind in range(count)]
    slots = count * spec.valence + spec.window
    oldest, older, held = [], 0, 0
    for place in places:
        last = [x[max(0, (end := int(np.searchsorted(x, place))) - spec.valence) : end] for x in where]
        ages = place - np.union1d(np.concatenate(last), np.arange(place - spec.window, place))
        oldest.append(int(ages.max()))
        older += int((ages > slots).sum())
        held += len(ages)
    return np.array(oldest), older / held


def held_out(trained: Trained, tokens: int) -> float:
    """Nats a token of the test novel, read as a stream."""
    nats = Stream(trained.model, trained.pattern).read(text_of(trained, tokens))[0, 1:]
    value = float(nats.mean())
    assert math.isfinite(value)
    return value

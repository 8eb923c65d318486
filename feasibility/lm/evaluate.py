"""How well a model predicts text that it has not seen: nats per token, by position, compared in pairs.

Chunks of a text are scored independently, so a score can be bootstrapped over them. B batch, N tokens of a chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from feasibility.harness import Metric, Track, silent
from feasibility.lm.batches import MakePlan, prepared
from feasibility.lm.model import LanguageModel
from feasibility.lm.train import autocast

RESAMPLES = 2000


@dataclass(frozen=True)
class Scores:
    """What a model made of a text.

    Args:
        nats: float64 [chunks], sum of -log p over the scored tokens of a chunk.
        tokens: int64 [chunks], how many were scored.
        by_position: float64 [N], mean -log p of the token after each position of a chunk; nan where none was scored.
    """

    nats: NDArray[np.float64]
    tokens: NDArray[np.int64]
    by_position: NDArray[np.float64]

    @property
    def per_token(self) -> float:
        """Nats per token over the whole text; exp of it is the perplexity."""
        return float(self.nats.sum() / self.tokens.sum())


@torch.no_grad()
def evaluate(
    model: LanguageModel,
    ids: Tensor,
    length: int,
    batch: int,
    *,
    stride: int | None = None,
    make_plan: MakePlan | None = None,
    track: Track = silent,
    classes: Tensor | None = None,
) -> Scores:
    """Score a text in chunks that slide over it; only real tokens are scored, each at most once.

    Args:
        model: evaluated without dropout, left in the mode in which it came.
        ids: [T] integers, on any device.
        length: N, what the model reads at a time.
        batch: B, chunks at a time.
        stride: from one chunk to the next; each chunk but the first scores its last `stride` tokens, so every scored
            token has at least length - stride before it. By default the length: chunks side by side, all scored.
        make_plan: as in `feasibility.lm.train.train`.
        track: progress.
        classes: [T] integers, for a text that brings the classes of its tokens; they go to `make_plan`.

    Raises:
        ValueError: a stride outside [1, length], or a text shorter than one chunk and a token.

    Cost: T / stride chunks.
    """
    stride = length if stride is None else stride
    if not 1 <= stride <= length:
        raise ValueError(f"stride must lie in [1, {length}], the length of a chunk, got {stride}")
    if len(ids) <= length:
        raise ValueError(f"a text of more than {length} tokens is needed, got {len(ids)}; choose a shorter length")
    starts = torch.arange(0, len(ids) - length, stride)
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    chunks = _Chunks(ids, classes, starts, length, batch)
    numbers = range(-(-len(starts) // batch))
    feed = iter(prepared(chunks, numbers, make_plan, device))
    losses = []
    for number in track(numbers, "scoring"):
        inputs, targets, plan = next(feed)
        with autocast(device):
            logits = model(inputs, plan)
        loss = cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        losses.append(loss[: len(starts) - number * batch].double())
    model.train(was_training)
    return _scores(torch.cat(losses).cpu().numpy(), stride)


class _Chunks:
    """Chunks of a text in batches, in order; the last batch is filled up with its first chunk, to have one shape."""

    def __init__(self, ids: Tensor, classes: Tensor | None, starts: Tensor, length: int, batch: int) -> None:
        self._ids, self._classes, self._starts, self._length, self._batch = ids, classes, starts, length, batch

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        some = self._starts[step * self._batch :][: self._batch]
        filled = torch.cat([some, some[:1].expand(self._batch - len(some))])
        places = (filled[:, None] + torch.arange(self._length + 1)).to(self._ids.device)
        chunk = self._ids[places].long()
        if self._classes is None:
            return chunk[:, :-1], chunk[:, 1:]
        return chunk[:, :-1], chunk[:, 1:], self._classes[places[:, :-1]].long()


def _scores(losses: NDArray[np.float64], stride: int) -> Scores:
    """[chunks, N] losses, of which all chunks but the first count their last `stride`."""
    scored = np.zeros(losses.shape, dtype=bool)
    scored[:, losses.shape[1] - stride :] = True
    scored[0] = True
    kept = np.where(scored, losses, 0.0)
    count = scored.sum(0)
    return Scores(kept.sum(1), scored.sum(1), np.where(count > 0, kept.sum(0) / np.maximum(count, 1), np.nan))


def compare(one: list[Scores], other: list[Scores], seed: int = 0) -> Metric:
    """How many nats per token the first needs more than the second; below 0 the first is better.

    Args:
        one: scores of the same text and chunks, one entry for each training seed.
        other: likewise, with the same training seeds in the same order.
        seed: of the resampling.

    Returns: the mean difference, with a bootstrap interval over chunks and, within each resample, over training seeds:
        chunks are shared by all seeds, so both are drawn anew, independently (a pigeonhole bootstrap).

    Raises:
        ValueError: different numbers of seeds, or scores of different chunks.

    Source: Owen (2007), The pigeonhole bootstrap.
    """
    if len(one) != len(other) or not one:
        raise ValueError(f"expected as many scores on both sides, at least one, got {len(one)} and {len(other)}")
    tokens = one[0].tokens
    if any(scores.tokens.shape != tokens.shape or (scores.tokens != tokens).any() for scores in (*one, *other)):
        raise ValueError("scores of different chunks cannot be compared; evaluate all with one text, length and stride")
    differences = np.stack([a.nats - b.nats for a, b in zip(one, other, strict=True)])
    generator = np.random.default_rng(seed)
    seeds, chunks = differences.shape
    chunk = generator.integers(0, chunks, (RESAMPLES, chunks))
    drawn = generator.integers(0, seeds, (RESAMPLES, seeds))
    # How often each chunk was drawn in each resample.
    counts = np.bincount((chunk + chunks * np.arange(RESAMPLES)[:, None]).ravel(), minlength=RESAMPLES * chunks)
    times = counts.reshape(RESAMPLES, chunks).astype(np.float64)
    by_seed = times @ differences.T
    means = np.take_along_axis(by_seed, drawn, axis=1).sum(1) / (seeds * (times @ tokens))
    value = float(differences.sum() / (seeds * tokens.sum()))
    low, high = (float(x) for x in np.percentile(means, [2.5, 97.5]))
    method = f"pigeonhole bootstrap over {chunks} chunks and {seeds} training seeds"
    return Metric(value, "nats", int(chunks), (min(low, value), max(high, value)), method)

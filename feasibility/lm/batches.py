"""Batches of a text in an order that a seed decides, and the next one's plan while a GPU is at work on the last.

A plan says how long its lists are, so the host has to wait for it once. Made between two steps, that wait would leave
the GPU without work; made beside them, on a stream of its own, it costs nothing. B batch, N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from feasibility.lm.model import Plan

# Takes what a batch holds without its targets: tokens [B, N], and classes [B, N] where the text brings its own.
MakePlan: TypeAlias = Callable[..., Plan]
Prepared: TypeAlias = tuple[Tensor, Tensor, Plan]


class BatchSource(Protocol):
    """Batches by number, so that a run can go on from any step."""

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        """Inputs and targets of a step, [B, N] int64 each, and classes [B, N] where the text brings its own.

        Targets are `feasibility.lm.train.IGNORED` where nothing is scored.
        """


class Batches:
    """A line of tokens cut into chunks, in an order that the seed decides, without end.

    Args:
        tokens: [T] integers; on a GPU, so that no step has to wait for a copy, if they fit there.
        length: N, tokens of a chunk.
        batch: B, chunks of a batch.
        seed: of the order. Every pass over the text has an order, and a first cut, of its own.
        classes: [T] integers, for a text that brings the classes of its tokens; None where they follow from the tokens.

    Raises:
        ValueError: fewer tokens than one batch takes, or not as many classes.
    """

    def __init__(self, tokens: Tensor, length: int, batch: int, seed: int, classes: Tensor | None = None) -> None:
        # One chunk less than fits, so that the first cut can move; each needs the token after its last as a target.
        self._chunks = (len(tokens) - 1) // length - 1
        if length < 1 or batch < 1 or self._chunks < batch:
            raise ValueError(
                f"a batch of {batch} chunks of {length} tokens needs a text of {(batch + 1) * length + 1} tokens, "
                f"got {len(tokens)}"
            )
        if classes is not None and len(classes) != len(tokens):
            raise ValueError(f"expected a class for each of {len(tokens)} tokens, got {len(classes)}")
        self._tokens, self._length, self._batch, self._seed = tokens, length, batch, seed
        self._classes = classes
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        """Inputs and targets of a step, [B, N] int64 each, and the inputs' classes where the text brings them."""
        each = self._chunks // self._batch
        starts = self._pass(step // each)[step % each * self._batch :][: self._batch]
        span = starts[:, None] + torch.arange(self._length + 1, device=starts.device)
        chunk = self._tokens[span.to(self._tokens.device)].long()
        if self._classes is None:
            return chunk[:, :-1], chunk[:, 1:]
        return chunk[:, :-1], chunk[:, 1:], self._classes[span[:, :-1].to(self._classes.device)].long()

    def _pass(self, number: int) -> Tensor:
        """Where the chunks of one pass over the text begin, in its order."""
        if self._order[0] != number:
            generator = torch.Generator().manual_seed((self._seed << 20) + number)
            first = int(torch.randint(self._length, (), generator=generator))
            order = first + self._length * torch.randperm(self._chunks, generator=generator)
            self._order = number, order.to(self._tokens.device)
        return self._order[1]


def prepared(
    source: BatchSource, steps: Iterable[int], make_plan: MakePlan | None, device: torch.device
) -> Iterator[Prepared]:
    """Inputs, targets and plan of each step, on the device.

    On a GPU those of the next step are made on another stream as soon as the caller has queued the work of this one:
    use each before asking for the next.

    Args:
        source: batches.
        steps: their numbers.
        make_plan: from inputs (and classes) to a plan; None for dense attention.
        device: where they go.
    """

    def make(step: int) -> Prepared:
        inputs, targets, *classes = (x.to(device, non_blocking=True) for x in source[step])
        return inputs, targets, None if make_plan is None else make_plan(inputs, *classes)

    return _beside(make, steps, device) if device.type == "cuda" else map(make, steps)


def _beside(make: Callable[[int], Prepared], steps: Iterable[int], device: torch.device) -> Iterator[Prepared]:
    main, side = torch.cuda.current_stream(device), torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
    side.wait_stream(main)

    def make_beside(step: int) -> Prepared:
        with torch.cuda.stream(side):
            return make(step)

    numbers = iter(steps)
    first = next(numbers, None)
    if first is None:
        return
    ready, freed = make_beside(first), main.record_event()
    for step in numbers:
        main.wait_stream(side)
        yield ready
        queued = main.record_event()
        # The memory of the batch before this one may be written again, once the step that read it is done.
        side.wait_event(freed)
        following = make_beside(step)
        ready, freed = following, queued
    main.wait_stream(side)
    yield ready

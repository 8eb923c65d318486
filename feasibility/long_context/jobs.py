"""What the experiment `long_context` measures on GPUs: trainings on long texts, the longest text, streams.

    PYTHONPATH=. python3 -c "
    from feasibility.long_context.jobs import Options, run
    run(Options())"

Needs torch, triton, numpy and tokenizers. Lines go to OUT/*.jsonl; `feasibility.long_context.record` keeps them.
B batch, N tokens of a chunk, T tokens of a text.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feasibility.lm import recall
from feasibility.lm.fleet import Job, Line, Save, attempt, run_all
from feasibility.lm.generate import Stream
from feasibility.lm.model import LanguageModel
from feasibility.lm.patterns import Pattern, Spec, make_pattern
from feasibility.lm.recipe import Recipe, Trained
from feasibility.lm.train import autocast, token_loss
from feasibility.scaling.jobs import SIZES

SCHEMA = "asa.long-context-run.v1"
# At 2,048 tokens typed memory and a window of 245 see 230 keys each; at 16,384 typed memory sees 271, on dev, and the
# window that does is 273.
SPECS = (Spec("dense", keys=8192.5), Spec("predetermined/64", 99, 4, 271.2), Spec("window", 273, None, 270.7))
# Tokens that a GPU scores at a time.
AT_ONCE = 2**17
# Tokens generated at each place where the time of one is taken, and how often.
WRITTEN, ROUNDS = 64, 5


@dataclass(frozen=True)
class ContextJob:
    """Train on long texts; then what the context is worth, what is recalled, and how a stream goes on.

    Args:
        recipe: of the training; its length is the longest context.
        contexts: chunks of so many tokens are scored.
        places: of the stream, where the time of a generated token is taken.
        items: facts told at each distance.
        held_out: tokens of the test part that are scored; all by default.
    """

    recipe: Recipe
    contexts: tuple[int, ...]
    places: tuple[int, ...]
    items: int = 50
    held_out: int | None = None

    @property
    def key(self) -> str:
        """Names the main line."""
        recipe = self.recipe
        return f"context {recipe.spec.name} n={recipe.length} seed={recipe.seed} steps={recipe.steps}x{recipe.batch}"

    def run(self, device: str, deadline: float, save: Save) -> None:
        """See `feasibility.lm.fleet.Job`."""
        trained = self.recipe.train(device, deadline)
        line: Line = {"schema": SCHEMA, "kind": "context", "key": self.key, "finished": False, **trained.facts}
        text = trained.ids("test")[: self.held_out]
        line |= context_scores(trained, text, self.contexts)
        save(line)
        parts: dict[str, Callable[[str], Line]] = {
            "told": lambda key: self._told(key, trained, text),
            "stream": lambda key: stream_line(key, trained, text, self.places, deadline),
        }
        made = [attempt(save, key := f"{self.key} {name}", partial(make, key)) for name, make in parts.items()]
        save(line | {"finished": line["trained"] and all(made)})

    def _told(self, key: str, trained: Trained, text: Tensor) -> Line:
        length = self.recipe.length
        apart = [*(least for least in recall.BINS if least + 64 < length), length - 64]
        names = recall.told_names(
            trained.longer(length + 64), trained.corpus, text.numpy(), apart, self.items, trained.make_plan
        )
        facts = {name: trained.facts[name] for name in ("parameters", "spec", "seed")}
        return {"schema": SCHEMA, "kind": "told", "key": key, "finished": True, **facts, "told_names": names}


def context_scores(trained: Trained, text: Tensor, contexts: tuple[int, ...]) -> Line:
    """Loss with contexts of several lengths on the same tokens, by position, on names and on last words.

    Args:
        trained: model and corpus.
        text: [T].
        contexts: chunks of so many tokens, ascending, each dividing the last.

    Returns: "contexts": {length: nats of each longest chunk}, "block": tokens of one, "positions": {end: mean nats of
        positions from half of it on}, "names", "last_words": see `recall`.
    """
    longest = contexts[-1]
    text = text[: (len(text) - 1) // longest * longest + 1]
    nats = {length: recall.token_nats(trained.model, text, length, AT_ONCE, trained.make_plan) for length in contexts}
    blocks = {length: x.reshape(-1, longest).sum(1, dtype=np.float64) for length, x in nats.items()}
    ids, is_name = text.numpy(), np.zeros(len(trained.corpus.vocab), dtype=bool)
    is_name[recall.name_entries(trained.corpus)] = True
    named = is_name[ids[1:]]
    apart = recall.distances(ids, longest)
    last = recall.last_words(trained.corpus, ids, longest)
    return {
        "block": longest,
        "contexts": {str(length): [round(float(x), 2) for x in sums] for length, sums in blocks.items()},
        "positions": by_position(nats[longest].reshape(-1, longest).mean(0, dtype=np.float64)),
        "names": recall.by_distance(nats[longest], apart, named, longest),
        "names_short": recall.by_distance(nats[contexts[0]], apart, named, longest),
        "last_words": recall.with_and_without(nats[contexts[0]], nats[longest], last, longest),
    }


def by_position(nats: np.ndarray) -> dict[str, float]:
    """Means over [0, 64), [64, 128), [128, 256) ... of a [N] array, nan left out, by the end of the stretch."""
    found, start, end = {}, 0, 64
    while start < len(nats):
        some = nats[start : min(end, len(nats))]
        if not np.isnan(some).all():
            found[str(start + len(some))] = round(float(np.nanmean(some)), 4)
        start, end = end, 2 * end
    return found


def stream_line(key: str, trained: Trained, text: Tensor, places: tuple[int, ...], deadline: float) -> Line:
    """A stream that reads a text to ever further places and writes a little at each: loss, time, memory.

    Args:
        key: of the line.
        trained: model and pattern.
        text: [T].
        places: ascending, each more than `16 + WRITTEN * ROUNDS` tokens after the last.
        deadline: of `time.time()`; what is left then is left out.

    Returns: a line; "places": for each place ms of a token (median, and all rounds), bytes of memory; "positions": the
        loss of what was read, as in `by_position`; "graph": whether steps were replayed as a CUDA graph.
    """
    stream = Stream(trained.model, trained.pattern)
    device = stream.device
    facts = {name: trained.facts[name] for name in ("parameters", "spec", "seed")}
    line: Line = {"schema": SCHEMA, "kind": "stream", "key": key, **facts}
    line |= {"trained_length": trained.model.config.max_length, "graph": _replays(trained)}
    nats = np.full(places[-1], np.nan)
    measured: dict[str, dict[str, Any]] = {}
    for place in places:
        if time.time() > deadline - 10 and measured:
            break
        here = int(stream.length)
        nats[here:place] = stream.read(text[None, here:place].to(device))[0].cpu().numpy()
        # The first tokens warm up; the graph of a step is made among them.
        stream.generate(16, graph=line["graph"])
        rounds = [
            milliseconds(device, lambda: stream.generate(WRITTEN, graph=line["graph"])) / WRITTEN for _ in range(ROUNDS)
        ]
        measured[str(place)] = {
            "ms": round(statistics.median(rounds), 5), "rounds": [round(x, 5) for x in rounds], "bytes": stream.nbytes,
        }  # fmt: skip
    line["places"] = measured
    line["positions"] = by_position(nats[: int(list(measured)[-1])])
    return line | {"finished": len(measured) == len(places)}


def _replays(trained: Trained) -> bool:
    """Whether steps can be replayed as a CUDA graph here; tried on a stream of its own."""
    weight = next(trained.model.parameters())
    if weight.device.type != "cuda" or trained.pattern.rules is None:
        return False
    try:
        stream = Stream(trained.model, trained.pattern)
        stream.feed(torch.zeros(1, 4, dtype=torch.long, device=weight.device))
        fast = stream.generate(12, temperature=0)
        slow = Stream(trained.model, trained.pattern)
        slow.feed(torch.zeros(1, 4, dtype=torch.long, device=weight.device))
        return torch.equal(fast, slow.generate(12, temperature=0, graph=False))
    except RuntimeError as error:
        print(f"no CUDA graph of a step: {error}")
        return False


def milliseconds(device: torch.device, work: Callable[[], Any]) -> float:
    """Wall time of some work, from an idle device until it is idle again."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return 1e3 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _peak(device: str) -> Iterator[list[int]]:
    """Peak memory of a block in MiB, put into the list when it ends; 0 on a CPU, where nobody counts."""
    found = [0]
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    yield found
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        found[0] = round(torch.cuda.max_memory_allocated() / 2**20)


@dataclass(frozen=True)
class LongestJob:
    """How long a single text a model can be trained on in so much memory: twice the length until it does not fit.

    Args:
        recipe: sizes; its length is where it begins. Blocks are computed again for the backward pass.
        specs: patterns to measure.
        gib: memory that torch may take.
        limit: the longest length that is tried.
    """

    recipe: Recipe
    specs: tuple[Spec, ...] = SPECS
    gib: float = 8.0
    limit: int = 2**17

    @property
    def key(self) -> str:
        """Names the line."""
        return f"longest dim={self.recipe.dim}x{self.recipe.layers} gib={self.gib:g}"

    def run(self, device: str, deadline: float, save: Save) -> None:
        """See `feasibility.lm.fleet.Job`; on a CPU only the limit ends it."""
        corpus = self.recipe.corpus()
        train_text = torch.from_numpy(corpus.ids["train"].astype(np.int64))
        found: dict[str, dict[str, dict[str, float]]] = {spec.name: {} for spec in self.specs}
        line: Line = {"schema": SCHEMA, "kind": "longest", "key": self.key, "gib": self.gib, "found": found}
        for spec in self.specs:
            length = self.recipe.length
            while length <= min(self.limit, len(train_text) - 1) and time.time() < deadline:
                pattern = make_pattern(spec, corpus.tables, length)
                text = train_text[: length + 1].to(device)
                try:
                    ms, peak = self._step(device, len(corpus.vocab), pattern, text)
                except torch.OutOfMemoryError:
                    break
                finally:
                    if device.startswith("cuda"):
                        torch.cuda.empty_cache()
                found[spec.name][str(length)] = {"ms": round(ms, 2), "peak_mb": peak}
                if peak > self.gib * 1024:
                    break
                length *= 2
            save({**line, "finished": spec is self.specs[-1]})

    def _step(self, device: str, vocab: int, pattern: Pattern, text: Tensor) -> tuple[float, int]:
        """Milliseconds of the second of two steps, and the peak of memory."""
        small = dataclasses.replace(self.recipe, length=len(text) - 1).fresh(self.recipe.corpus(), device)
        model = LanguageModel(dataclasses.replace(small.config, recompute=True)).to(device)
        del small
        inputs, targets = text[None, :-1], text[None, 1:]

        def step() -> None:
            with autocast(torch.device(device)):
                total, count = token_loss(model, model.states(inputs, pattern.plan(inputs)), targets)
            (total / count).backward()  # type: ignore[no-untyped-call]
            model.zero_grad(set_to_none=True)

        step()
        with _peak(device) as peak:
            ms = milliseconds(torch.device(device), step)
        return ms, peak[0]


@dataclass(frozen=True)
class Options:
    """What is measured, and how long."""

    data: Path = Path(".lab/lm.npz")
    specs: tuple[Spec, ...] = SPECS
    out: Path = Path("runs")
    size: str = "17M"
    length: int = 16384
    batch: int = 2
    steps: int = 250
    seeds: tuple[int, ...] = (0,)
    contexts: tuple[int, ...] = (512, 1024, 2048, 4096, 8192, 16384)
    places: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000)
    items: int = 50
    held_out: int | None = None
    gib: float = 8.0
    compiled: bool = True
    minutes: float = 4.0


def jobs(options: Options) -> list[Job]:
    """Trainings first, then the longest text."""

    def recipe(spec: Spec, size: str, length: int, batch: int, seed: int = 0) -> Recipe:
        return Recipe(options.data, spec, *SIZES[size], length, batch, options.steps, seed, compiled=options.compiled)

    found: list[Job] = [
        ContextJob(
            recipe(spec, options.size, options.length, options.batch, seed),
            options.contexts, options.places, options.items, options.held_out,
        )
        for seed in options.seeds
        for spec in options.specs
    ]  # fmt: skip
    first = recipe(options.specs[0], options.size, min(options.length, 8192), 1)
    return [*found, LongestJob(first, options.specs, options.gib)]


def run(options: Options) -> dict[str, Line]:
    """Measure what is not there yet; see `feasibility.lm.fleet.run_all`."""
    return run_all(jobs(options), options.out, options.minutes)

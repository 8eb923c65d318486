"""What a generated piece costs after so many others, with each pattern at its best: same weights, dtype, machine.

    PYTHONPATH=. python3 -c "
    from feasibility.long_context.pace import Options, run
    run(Options())"

The streams of `feasibility.long_context.jobs` really read their text, and dense attention takes there what kernel
PyTorch takes by itself. Here it has the fastest that there is for a single query, room for its text and no more, and
a step replayed as one CUDA graph, as the others have. Weights are as they were drawn, and of the text only the length
is there: the time of a step depends on neither. Needs torch and numpy alone. B batch, N tokens, H heads, D head dim.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from feasibility.lm.data import Corpus
from feasibility.lm.fleet import Line, Save, run_all
from feasibility.lm.generate import GrowingCache, Stream
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Spec, make_pattern
from feasibility.long_context.jobs import ROUNDS, SCHEMA, SPECS, WRITTEN, milliseconds
from feasibility.scaling.jobs import SIZES

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION, "math": SDPBackend.MATH,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}  # fmt: skip
# Steps before any is timed: the rings of a class cache are full by then.
FILLED = 512
# Share of the free memory that dense attention's keys may take.
ROOM = 0.8


class PinnedCache(GrowingCache):
    """Dense memory of a text of so many tokens: each new one is written over the last, so that a step stays the same.

    Args:
        batch: B.
        heads: H.
        head_dim: D.
        dtype: of keys and values.
        device: where they live.
        room: N, all of it in use.
    """

    kernel = SDPBackend.MATH

    def attend(self, query: Tensor, key: Tensor, value: Tensor, class_ids: Tensor) -> Tensor:
        """See `Memory`."""
        self.length = self.keys.shape[2] - key.shape[2]
        with sdpa_kernel(self.kernel):
            return super().attend(query, key, value, class_ids)


def replayed(work: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """On a GPU the work as one CUDA graph, after three turns without; elsewhere the work itself."""
    if device.type != "cuda":
        return work
    aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(3):
            work()
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def timed(work: Callable[[], Any], device: torch.device, times: int) -> float:
    """Milliseconds of one turn, over so many."""

    def turns() -> None:
        for _ in range(times):
            work()

    return milliseconds(device, turns) / times


def fastest(cache: PinnedCache) -> str:
    """The kernel that answers a single query soonest, of those that can; the cache goes on with it."""
    batch, heads, _, head_dim = cache.keys.shape
    like = {"dtype": cache.keys.dtype, "device": cache.keys.device}
    one = torch.randn(batch, heads, 1, head_dim, **like)  # type: ignore[call-overload]
    classes = torch.zeros(batch, 1, dtype=torch.long, device=cache.keys.device)
    found = {}
    for name, kernel in KERNELS.items():
        cache.kernel = kernel
        try:
            work = replayed(lambda: cache.attend(one, one, one, classes), cache.keys.device)
            found[name] = min(timed(work, cache.keys.device, 3) for _ in range(3))
        except RuntimeError:
            continue
    best = min(found, key=lambda name: found[name])
    cache.kernel = KERNELS[best]
    return best


@torch.no_grad()
def paced(stream: Stream, written: int, rounds: int, filled: int) -> Line:
    """Milliseconds of a step of a stream (choosing the likeliest token, reading it), and bytes remembered."""
    chosen = torch.zeros(stream.batch, 1, dtype=torch.long, device=stream.device)
    stream.feed(chosen)
    logits = stream.logits
    assert logits is not None

    def step() -> None:
        stream.feed(chosen)
        chosen.copy_(logits.argmax(-1, keepdim=True))

    work = replayed(step, stream.device)
    timed(work, stream.device, filled)
    each = [timed(work, stream.device, written) for _ in range(rounds)]
    return {"ms": round(statistics.median(each), 5), "rounds": [round(x, 5) for x in each], "bytes": stream.nbytes}


def pinned(stream: Stream, length: int) -> str:
    """Give a stream of dense attention a memory of a text of so many tokens, drawn at random; returns the kernel."""
    config, weight = stream.model.config, next(stream.model.parameters())
    caches = [
        PinnedCache(stream.batch, config.heads, config.head_dim, weight.dtype, weight.device, room=length)
        for _ in range(config.layers)
    ]
    generator = torch.Generator(weight.device).manual_seed(0)
    for cache in caches:
        cache.keys.normal_(generator=generator)
        cache.values.normal_(generator=generator)
    best = fastest(caches[0])
    for cache in caches:
        cache.kernel = caches[0].kernel
    stream.memories = caches
    return best


@dataclass(frozen=True)
class PaceJob:
    """One model in one dtype, B texts at once.

    Args:
        data: corpus; its tables of classes count.
        size: of `feasibility.scaling.jobs.SIZES`.
        dtype: of weights, keys and values.
        batch: B.
        places: lengths of the text for dense attention; the others are the same at all.
        specs: dense among them.
        written: steps of a round.
        filled: steps before.
    """

    data: Path
    size: str
    dtype: str
    batch: int
    places: tuple[int, ...]
    specs: tuple[Spec, ...] = SPECS
    written: int = WRITTEN
    filled: int = FILLED

    @property
    def key(self) -> str:
        """Names the line."""
        return f"pace {self.size} {self.dtype} batch={self.batch}"

    def run(self, device: str, deadline: float, save: Save) -> None:
        """See `feasibility.lm.fleet.Job`; lengths for which there is no memory or no time are left out."""
        corpus = Corpus.load(self.data)
        sizes = ModelConfig(len(corpus.vocab), *SIZES[self.size], max_length=64)
        torch.manual_seed(0)
        model = LanguageModel(sizes).to(device, DTYPES[self.dtype]).eval()
        line: Line = {"schema": SCHEMA, "kind": "pace", "key": self.key, "batch": self.batch, "dtype": self.dtype}
        line |= {"parameters": model.parameter_count(), "model": dataclasses.asdict(sizes), "fixed": {}, "dense": {}}
        for spec in self.specs:
            stream = Stream(model, make_pattern(spec, corpus.tables, 64), self.batch)
            if spec.name != "dense":
                line["fixed"][spec.name] = paced(stream, self.written, ROUNDS, self.filled)
        dense = next(spec for spec in self.specs if spec.name == "dense")
        for place in self.places:
            stream = Stream(model, make_pattern(dense, corpus.tables, 64), self.batch)
            if time.time() > deadline - 5 or not _fits(stream, sizes, place):
                break
            best = pinned(stream, place)
            line["dense"][str(place)] = {**paced(stream, self.written, ROUNDS, 8), "kernel": best}
        save(line | {"finished": len(line["dense"]) > 1})


def _fits(stream: Stream, sizes: ModelConfig, place: int) -> bool:
    if stream.device.type != "cuda":
        return True
    # What earlier lengths took is given back first.
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(stream.device)
    each = 2 * sizes.layers * sizes.dim * next(stream.model.parameters()).element_size()
    return each * place * stream.batch < ROOM * free


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: Path = Path(".lab/lm.npz")
    out: Path = Path("runs")
    cases: tuple[tuple[str, str, int], ...] = (
        ("17M", "float32", 1), ("17M", "bfloat16", 1), ("119M", "bfloat16", 1), ("119M", "bfloat16", 8),
        ("17M", "bfloat16", 8),
    )  # fmt: skip
    places: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000, 300_000)
    minutes: float = 0.9


def run(options: Options) -> Mapping[str, Line]:
    """Measure what is not there yet; see `feasibility.lm.fleet.run_all`."""
    jobs = [PaceJob(options.data, *case, options.places) for case in options.cases]
    return run_all(jobs, options.out, options.minutes)

"""What a generated token costs after a short and after a long text: a cache of constant size beside a growing one.

B batch, H heads, N tokens, D head dim.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.sparse_patterns import Pattern
from benchmarks.sparse_timing import held_mib, quantiles
from sparse_attn import ClassCache

TEXTS = (1_000, 100_000)
DIM = 64
CHUNK = 2_000
WARMUP = 20
# One more token, given how many were timed before it.
Step = Callable[[int], object]


def decode_cells(
    pattern: Pattern, device: str, heads: int, texts: tuple[int, ...] = TEXTS, tokens: int = 200
) -> Iterator[dict[str, Any]]:
    """One cell for each length of text and each kind of cache, one layer, batch 1.

    The short and the long text take turns token by token, so that whatever else the machine does falls on both alike.

    Args:
        pattern: causal rules with a valence; its class ids are repeated if the text is longer.
        device: "cuda" (bfloat16) or "cpu" (float32).
        heads: H.
        texts: lengths that are fed, in chunks, before the timed tokens.
        tokens: timed tokens.

    Returns: cells with `token_ms` (wall clock, synchronised after each token, with percentiles), `cache_mib` (keys,
        values and what goes with them), `prefill_s`; for the dense cache, which is given ready-filled and never
        appended to, the attention alone.
    """
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    generator = torch.Generator(device=device).manual_seed(0)

    def draw(n: int) -> Tensor:
        return torch.randn(3, 1, heads, n, DIM, generator=generator, device=device, dtype=dtype)

    rings: list[tuple[dict[str, Any], Step]] = []
    dense: list[tuple[dict[str, Any], Step]] = []
    for after in texts:
        base = {"after": after, "device": device, "H": heads, "D": DIM, "B": 1}
        ids = pattern.class_ids[torch.arange(after + WARMUP + tokens) % len(pattern.class_ids)][None].to(device)
        cache = ClassCache(pattern.rules, 1, heads, DIM, dtype, device)
        filled = {"prefill_s": _feed(cache, ids[:, :after], draw, device), "cache_mib": held_mib(cache)}
        rings.append(({"run": f"decode {pattern.name}", **base, **filled}, _cached_step(cache, ids, after, draw(1))))
        _, keys, values = draw(after)
        held = 2 * keys.numel() * keys.element_size() / 2**20
        dense.append(({"run": "decode dense", **base, "cache_mib": held}, _dense_step(draw(1)[0], keys, values)))
    # Apart from each other: a dense cache of a long text leaves nothing of others in the processor's own caches.
    for runs in (rings, dense):
        for (cell, _), times in zip(runs, _in_turns([step for _, step in runs], tokens, device), strict=True):
            yield {**cell, **quantiles("token", times)}


@torch.no_grad()
def _feed(cache: ClassCache, ids: Tensor, draw: Callable[[int], Tensor], device: str) -> float:
    """Seconds that it takes to feed a text in chunks."""
    begin = time.perf_counter()
    for at in range(0, ids.shape[1], CHUNK):
        chunk = ids[:, at : at + CHUNK]
        query, key, value = draw(chunk.shape[1])
        cache.attend(query, key, value, chunk)
    _wait(device)
    return time.perf_counter() - begin


def _cached_step(cache: ClassCache, ids: Tensor, after: int, given: Tensor) -> Step:
    query, key, value = given
    return lambda step: cache.attend(query, key, value, ids[:, after + step : after + step + 1])


def _dense_step(query: Tensor, keys: Tensor, values: Tensor) -> Step:
    return lambda step: scaled_dot_product_attention(query, keys, values)


@torch.no_grad()
def _in_turns(steps: list[Step], tokens: int, device: str) -> list[list[float]]:
    """Milliseconds of each token of each run, the first ones left out; who begins changes with every token."""
    times: list[list[float]] = [[] for _ in steps]
    for token in range(WARMUP + tokens):
        for turn in range(len(steps)):
            which = (turn + token) % len(steps)
            _wait(device)
            begin = time.perf_counter()
            steps[which](token)
            _wait(device)
            if token >= WARMUP:
                times[which].append(1e3 * (time.perf_counter() - begin))
    return times


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()

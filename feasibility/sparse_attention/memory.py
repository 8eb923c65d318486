"""Memory of one attention, forward and backward: what the experiment `sparse_attention` weighs.

Bytes are those beyond query, key, value, output and their gradients, for one text of n tokens.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from feasibility.sparse_attention.measure import Bench, Run, dense_run, eager_run, gradients, masked_run, planned_run
from feasibility.sparse_attention.patterns import TABLE, patterns
from sparse_attn import ClassPlan, plan_classes

# Opponents that keep a written-out mask, n x n bytes of it.
MASKED: dict[str, Callable[[ClassPlan], Run]] = {"sdpa_masked": masked_run, "eager_masked": eager_run}
S = TypeVar("S")


def memory_of(bench: Bench, name: str, n: int) -> int:
    """Peak bytes of one text of n tokens, forward and backward, beyond query, key, value, output and gradients.

    A mask or a plan counts whole: it is there as long as the layers run. Making the plan counts too, where that is the
    peak; opponents get their masks for what these hold.

    Args:
        bench: where; batches are one text here.
        name: a pattern, "dense", "sdpa_masked" or "eager_masked" (both of the bare table).
        n: tokens.
    """
    inputs, making, kept = bench.inputs(n, 1), 0, 0
    run: Run = dense_run
    if name in MASKED:
        run, kept = MASKED[name](_plan(bench, TABLE, n)), n * n
    elif name != "dense":
        plan, making, kept = allocated(bench, lambda: _plan(bench, name, n))
        run = planned_run(plan)
    _, peak, _ = allocated(bench, lambda: gradients(run, inputs))
    own = 4 * inputs[0].numel() * inputs[0].element_size()
    return max(making, kept + peak - own)


def _plan(bench: Bench, name: str, n: int) -> ClassPlan:
    pattern = patterns(n, bench.seed)[name]
    return plan_classes(pattern.ids(1, n, bench.device), pattern.rules)


def allocated(bench: Bench, work: Callable[[], S]) -> tuple[S, int, int]:
    """Do some work; returns its result, and by how many bytes memory grew at the most and in the end."""
    if bench.device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = work()
        torch.cuda.synchronize()
        peak, left = torch.cuda.max_memory_allocated(), torch.cuda.memory_allocated()
        return result, peak - before, left - before
    # The profiler and not a dispatch mode: what an operator allocates inside counts as well.
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
    with _without_banner():
        profiler.start()
    try:
        result = work()
    finally:
        with _without_banner():
            profiler.stop()
    live = peak = 0
    for size in _allocations(profiler):
        live += size
        peak = max(peak, live)
    return result, peak, live


def _allocations(profiler: torch.profiler.profile) -> list[int]:
    """Bytes taken (positive) and given back (negative), in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    found = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: float(e["ts"]))
    return [int(event["args"]["Bytes"]) for event in found]


@contextmanager
def _without_banner() -> Iterator[None]:
    """Some builds of the profiler write a line to stderr whenever it starts or stops, past `sys.stderr`."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Growth(NamedTuple):
    """bytes(n) = square * n^2 + line * n."""

    square: float
    line: float

    def at(self, n: float) -> float:
        """Bytes at n tokens."""
        return self.square * n * n + self.line * n

    def longest(self, budget: float) -> float:
        """The n at which the budget (bytes) is used up."""
        root = (self.line**2 + 4 * self.square * budget) ** 0.5
        return float(2 * budget / (self.line + root))


def growth(measured: dict[int, int]) -> Growth:
    """The curve through the memory at the two shortest lengths, without the square where that would be negative."""
    (n, at_n), (m, at_m) = sorted(measured.items())[:2]
    square = max(0.0, (at_m / m - at_n / n) / (m - n))
    return Growth(square, at_m / m - square * m)

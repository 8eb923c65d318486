"""How long work takes and how much memory: by events, by replaying a CUDA graph, by the wall clock.

B batch, H heads, N tokens, D head dim.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from benchmarks.sparse_summary import WAYS

# Each GPU timing: so many milliseconds of warm-up, then so many of repeats, the L2 cache cleared between them.
WARMUP_MS, REPEAT_MS = 20, 80
# Graphs are replayed for texts up to this length, and work up to so many milliseconds, half as often: for longer work
# than that launches take no time of their own, they are done before it is.
GRAPH_LENGTH, GRAPH_MS = 4096, 5.0
# Each CPU and wall timing: so many runs after two.
REPEATS = 7
Run = Callable[[Tensor, Tensor, Tensor], Tensor]


def method(device: str) -> str:
    """How the times of this module were taken, in words for the result file."""
    wall = f"median, 20th and 80th percentile of {REPEATS} runs after 10 (on a CPU 2) for warm-up"
    if device == "cpu":
        return wall
    return (
        f"CUDA events (triton.testing.do_bench): warm-up {WARMUP_MS} ms, repeats {REPEAT_MS} ms, L2 cleared before "
        f"each; median, 20th and 80th percentile; *_graph_*: the same of a replayed CUDA graph, without what the host "
        f"does, for n <= {GRAPH_LENGTH:,} where a run takes less than {GRAPH_MS:.0f} ms, half as many repeats; "
        f"plan_ms: wall clock, synchronised, {wall}; plan_gpu_ms: sum of its kernels by the profiler"
    )


def gradients(run: Run, query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> list[Tensor]:
    """Output and the gradients by query, key and value."""
    leaves = [x.detach().requires_grad_() for x in (query, key, value)]
    out = run(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def timed(run: Run, inputs: list[Tensor], ways: Sequence[str] = WAYS, graphs: bool = False) -> dict[str, Any]:
    """Times of forward and of forward and backward, and memory, as one flat cell.

    Args:
        run: the attention.
        inputs: query, key, value and the gradient of the output, [B, H, N, D] each.
        ways: "forward", "both" (forward and backward) or both of them.
        graphs: whether to time replays of a CUDA graph besides (GPU only, work of less than GRAPH_MS).

    Returns: `forward_ms`, `forward_p20`, `forward_p80`, the same of `both` (forward and backward), `forward_graph` and
        `both_graph`, or why there is no such graph in `forward_graph_failed` and `both_graph_failed`; on a GPU
        `extra_mib`, the peak beyond query, key, value, output and their four gradients, and `extra_share`, its share of
        those eight tensors.
    """
    q, k, v, grad = (x.detach() for x in inputs)
    works: dict[str, Callable[[], object]] = {
        "forward": torch.no_grad()(lambda: run(q, k, v)),
        "both": lambda: gradients(run, q, k, v, grad),
    }
    cell: dict[str, Any] = {}
    for way in ways:
        cell |= percentiles(way, works[way], q.device.type)
        if q.is_cuda:
            cell |= _extra_memory(works[way], q, made=4 if way == "both" else 1)
        if graphs and q.is_cuda and cell[f"{way}_ms"] < GRAPH_MS:
            cell |= replays(f"{way}_graph", works[way])
    return cell


def percentiles(name: str, work: Callable[[], object], device: str, share: float = 1.0) -> dict[str, float]:
    """`<name>_ms`, `<name>_p20`, `<name>_p80` of one piece of work: by events on a GPU, by the wall clock on a CPU.

    `share`: of the usual time for warm-up and repeats.
    """
    if device == "cpu":
        return wall(name, work, device)
    from triton.testing import do_bench

    middle, low, high = do_bench(
        work, warmup=int(WARMUP_MS * share), rep=int(REPEAT_MS * share), quantiles=[0.5, 0.2, 0.8]
    )
    return {f"{name}_ms": middle, f"{name}_p20": low, f"{name}_p80": high}


def wall(name: str, work: Callable[[], object], device: str, repeats: int = REPEATS) -> dict[str, float]:
    """The same by the wall clock, the device's work included."""
    times = []
    # On a GPU plans of a shape are recorded when it has come several times.
    first = 10 if device == "cuda" else 2
    for _ in range(repeats + first):
        if device == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - begin))
    return quantiles(name, times[first:])


def quantiles(name: str, times: list[float]) -> dict[str, float]:
    """Median, 20th and 80th percentile of times in milliseconds."""
    middle, low, high = (
        torch.tensor(times, dtype=torch.float64).quantile(torch.tensor([0.5, 0.2, 0.8]).double()).tolist()
    )
    return {f"{name}_ms": middle, f"{name}_p20": low, f"{name}_p80": high}


def kernel_ms(work: Callable[[], object], repeats: int = 3) -> float | None:
    """Milliseconds that the GPU itself is busy with one piece of work; None where the profiler sees no kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(repeats):
            work()
        torch.cuda.synchronize()
    kernels = (event for event in seen.key_averages() if event.device_type.name == "CUDA")
    busy = sum(float(event.self_device_time_total) for event in kernels)
    return busy / 1e3 / repeats if busy else None


def replays(name: str, work: Callable[[], object]) -> dict[str, Any]:
    """`percentiles` of a CUDA graph of the work, or `<name>_failed`, why there is none: a run must not end for that."""
    try:
        graph, kept = _captured(work)
        found: dict[str, Any] = percentiles(name, graph.replay, "cuda", share=0.5)
        graph.reset()
        del kept
    # What cannot be captured says so by many kinds of errors, torch's, Triton's and cuDNN's.
    except Exception as error:
        return {f"{name}_failed": told_error(error)}
    return found


def _captured(work: Callable[[], object]) -> tuple[torch.cuda.CUDAGraph, object]:
    """The graph and what it leaves behind, which must be kept as long as it is replayed.

    As `torch.cuda.graph`, which collects garbage and empties the cache of memory at each capture: that would take
    longer than the timing.
    """
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            work()
        torch.cuda.synchronize()
        graph.capture_begin()
        try:
            kept = work()
        except Exception:
            with suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
    torch.cuda.current_stream().wait_stream(side)
    return graph, kept


def told_error(error: Exception) -> str:
    """An error in one line of a result file."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _extra_memory(work: Callable[[], object], q: Tensor, made: int) -> dict[str, float]:
    """Peak beyond what stands before and beyond the tensors that the work itself returns."""
    one = q.numel() * q.element_size() / 2**20
    extra = peak_mib(work) - made * one
    return {"extra_mib": extra, "extra_share": extra / (8 * one)}


def peak_mib(work: Callable[[], object]) -> float:
    """How many MiB of GPU memory work takes at its peak, results included."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def held_mib(thing: object, without: tuple[Tensor, ...] = ()) -> float:
    """MiB of all tensors that one of our objects holds, each storage once."""
    storages: dict[int, int] = {}
    _collect(thing, storages, {})
    for tensor in without:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(storages.values()) / 2**20


def _collect(thing: object, storages: dict[int, int], met: dict[int, object]) -> None:
    if id(thing) in met:
        return
    # Held, so that no other object gets its id meanwhile.
    met[id(thing)] = thing
    if isinstance(thing, Tensor):
        storage = thing.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    elif isinstance(thing, dict):
        _collect(list(thing.values()), storages, met)
    elif isinstance(thing, (list, tuple)):
        for part in thing:
            _collect(part, storages, met)
    elif type(thing).__module__.startswith("sparse_attn"):
        _collect(vars(thing), storages, met)

"""How fast is class-structured attention, against every peer in the same run? A gate of correctness first.

    python -m benchmarks.sparse_attention --out benchmarks/results
    python -m benchmarks.sparse_attention --tags tags.txt --patterns budget256/17 --lengths 4096

On a GPU: bf16, 16 heads, 32,768 tokens a batch. On a CPU: float32, 4 heads, one text.
Writes sparse_attention.<device>.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.sparse_patterns import Pattern, patterns, read_tags
from sparse_attn import ClassPlan, class_attention, plan_classes
from sparse_attn.impl.reference import visible_matrix

# A plan serves so many layers.
LAYERS = 12
# Peers of the same function are slow to compile and to run: some patterns, some lengths.
PEERED = ("budget256/17", "full/17")
PEER_LENGTHS = (1024, 4096, 16384)
Run = Callable[[Tensor, Tensor, Tensor], Tensor]


def main() -> int:
    """Gate, measure, write; 1 where the gate fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the JSON")
    parser.add_argument("--tags", type=Path, help="text file of UPOS numbers (0-16, alphabetical), one a token")
    parser.add_argument("--patterns", nargs="*", help="only these patterns")
    parser.add_argument("--lengths", nargs="*", type=int, help="only these lengths")
    parser.add_argument("--dims", nargs="*", type=int, help="only these head dims")
    parser.add_argument("--seconds", type=float, default=480, help="stop measuring after so long")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = 32768 if device == "cuda" else 16384
    tags, origin = read_tags(options.tags, tokens)
    chosen = [p for p in patterns(tags) if not options.patterns or p.name in options.patterns]
    gate = [check for pattern in chosen for check in gate_checks(pattern, device)]
    for check in gate:
        print(check, file=sys.stderr)
    if not all(check["passed"] for check in gate):
        return 1
    lengths = options.lengths or ([1024, 2048, 4096, 8192, 16384, 32768] if device == "cuda" else [4096, 16384])
    dims = options.dims or ([64, 128] if device == "cuda" else [64])
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"sparse_attention.{device}.json"
    cells: list[dict[str, Any]] = []
    for cell in measure(chosen, device, tokens, lengths, dims, time.monotonic() + options.seconds):
        print(summary(cell), flush=True)
        cells.append(cell)
        # Written after every cell: an interrupted run keeps what it has.
        target.write_text(json.dumps({**environment(device, origin), "gate": gate, "cells": cells}, indent=1) + "\n")
    return 0


def gate_checks(pattern: Pattern, device: str) -> Iterator[dict[str, Any]]:
    """Output and gradients against float64, at most 1.5 times as far off as eager attention in the same precision."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    for tokens in (257, 1000):
        plan = plan_classes(pattern.class_ids[: 2 * tokens].view(2, tokens).to(device), pattern.rules)
        generator = torch.Generator().manual_seed(tokens)
        inputs = [torch.randn(2, 2, tokens, 64, generator=generator).to(device, dtype) for _ in range(4)]
        truth = gradients(planned_run(plan, "reference"), *(x.double() for x in inputs))
        errors = {
            name: [
                float((x.double() - t).norm() / t.norm()) for x, t in zip(gradients(run, *inputs), truth, strict=True)
            ]
            for name, run in (("ours", planned_run(plan, "auto")), ("eager", eager_run(plan)))
        }
        passed = all(a <= 1.5 * b + 1e-6 for a, b in zip(errors["ours"], errors["eager"], strict=True))
        yield {"pattern": pattern.name, "n": tokens, **errors, "passed": passed}


def measure(
    chosen: list[Pattern], device: str, tokens: int, lengths: list[int], dims: list[int], deadline: float
) -> Iterator[dict[str, Any]]:
    """One cell for each dim, length and run; dense peers first, so that every later cell has its baseline."""
    for dim in dims:
        for n in lengths:
            heads, batch = (16, tokens // n) if device == "cuda" else (4, 1)
            dtype = torch.bfloat16 if device == "cuda" else torch.float32
            inputs = [torch.randn(batch, heads, n, dim, device=device, dtype=dtype) for _ in range(4)]
            base = {"n": n, "D": dim, "H": heads, "B": batch}
            dense = [{**base, "run": name, **timed(run, inputs)} for name, run in dense_peers(device)]
            yield from dense
            fastest = {way: min(cell[way]["ms"] for cell in dense) for way in ("forward", "both")}
            for pattern in chosen:
                if time.monotonic() > deadline:
                    return
                ids = pattern.class_ids[: batch * n].view(batch, n).to(device)
                plan, cell = timed_pattern(pattern, ids, inputs, fastest)
                yield {**base, **cell}
                if pattern.name in PEERED and n in PEER_LENGTHS:
                    yield from timed_peers(plan, inputs, {**base, "of": pattern.name})


def timed_peers(plan: ClassPlan, inputs: list[Tensor], base: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The peers that compute the same function; where one runs out of memory, its cell says so."""
    for name, run in masked_peers(plan, base["n"]):
        cell = {**base, "run": f"{name} of {base['of']}"}
        try:
            cell |= timed(run, inputs)
        except torch.OutOfMemoryError:
            cell["failed"] = "out of memory"
        yield cell


def timed_pattern(
    pattern: Pattern, ids: Tensor, inputs: list[Tensor], fastest: dict[str, float]
) -> tuple[ClassPlan, dict[str, Any]]:
    """The plan and its cell: speed against the faster dense backend, without the plan and with its share a layer."""
    plan = plan_classes(ids, pattern.rules)
    plan_ms = wall_ms(lambda: plan_classes(ids, pattern.rules), ids.device.type)
    cell = {"run": pattern.name, "plan_ms": plan_ms}
    cell |= timed(planned_run(plan, "auto"), inputs)
    for way, dense_ms in fastest.items():
        cell[way]["speedup"] = dense_ms / cell[way]["ms"]
        cell[way]["speedup_with_plan"] = dense_ms / (cell[way]["ms"] + plan_ms / LAYERS)
    return plan, cell


def dense_peers(device: str) -> Iterator[tuple[str, Run]]:
    """Dense causal attention: cuDNN and flash on a GPU, torch's own on a CPU."""
    backends = {"dense": SDPBackend.FLASH_ATTENTION}
    if device == "cuda":
        backends = {"dense cudnn": SDPBackend.CUDNN_ATTENTION, "dense flash": SDPBackend.FLASH_ATTENTION}
    for name, backend in backends.items():

        def run(q: Tensor, k: Tensor, v: Tensor, backend: SDPBackend = backend) -> Tensor:
            with sdpa_kernel(backend):
                return scaled_dot_product_attention(q, k, v, is_causal=True)

        yield name, run


def masked_peers(plan: ClassPlan, n: int) -> Iterator[tuple[str, Run]]:
    """The same function by others: FlexAttention in reading order, SDPA with the mask written out, eager."""
    if plan.device.type == "cuda":
        from torch.nn.attention.flex_attention import flex_attention

        from sparse_attn.impl.flex import to_block_mask

        # Each mask and shape is a graph of its own; beyond eight torch would quietly run FlexAttention uncompiled.
        torch._dynamo.reset()
        compiled, blocks = torch.compile(flex_attention, dynamic=False), to_block_mask(plan)
        yield "flex", lambda q, k, v: compiled(q, k, v, block_mask=blocks)
    if n <= 4096:
        seen = visible_matrix(plan.class_ids, plan.segments, plan.rules)[:, None]
        yield "sdpa+mask", lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=seen)
        yield "eager", eager_run(plan)


def planned_run(plan: ClassPlan, backend: str) -> Run:
    """Ours, by the named backend."""
    return lambda q, k, v: class_attention(q, k, v, plan, backend=backend)


def eager_run(plan: ClassPlan) -> Run:
    """softmax(q k^T, masked) v with every matrix in memory."""
    hidden = ~visible_matrix(plan.class_ids, plan.segments, plan.rules)[:, None]

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        return torch.softmax(logits.masked_fill(hidden, -torch.inf), dim=-1) @ v

    return run


def gradients(run: Run, q: Tensor, k: Tensor, v: Tensor, grad: Tensor) -> list[Tensor]:
    """Output and the gradients by query, key and value."""
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    out = run(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def timed(run: Run, inputs: list[Tensor]) -> dict[str, Any]:
    """Median, 20th and 80th percentile of forward and of forward and backward, ms; peak memory beyond the tensors."""
    q, k, v, grad = (x.detach() for x in inputs)
    cell: dict[str, Any] = {}
    with torch.no_grad():
        cell["forward"] = percentiles(lambda: run(q, k, v), q.device.type)
    cell["both"] = percentiles(lambda: gradients(run, q, k, v, grad), q.device.type)
    if q.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        gradients(run, q, k, v, grad)
        own = 4 * q.numel() * q.element_size()  # output and three gradients
        cell["extra_mib"] = (torch.cuda.max_memory_allocated() - before - own) / 2**20
    return cell


def percentiles(work: Callable[[], object], device: str) -> dict[str, float]:
    """Timed by events on a GPU after a warm-up of 25 ms, over 100 ms; on a CPU five runs after one."""
    if device == "cuda":
        from triton.testing import do_bench

        middle, low, high = do_bench(work, quantiles=[0.5, 0.2, 0.8])
    else:
        times = sorted(wall_ms(work, device, repeats=1) for _ in range(5))
        middle, low, high = statistics.median(times), times[1], times[3]
    return {"ms": middle, "p20": low, "p80": high}


def wall_ms(work: Callable[[], object], device: str, repeats: int = 5) -> float:
    """Median wall-clock milliseconds, the device's work included; one warm-up."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[1:])


def environment(device: str, tags: str) -> dict[str, Any]:
    """Where the numbers come from."""
    from importlib.util import find_spec

    found = {"schema": "asa.benchmark.v1", "torch": torch.__version__, "tags": tags, "layers_per_plan": LAYERS}
    if find_spec("triton") is not None:
        import triton

        found["triton"] = triton.__version__
    found["device"] = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return found


def summary(cell: dict[str, Any]) -> str:
    """One line of the table."""
    line = f"{cell['run']:34} n={cell['n']:<6} D={cell['D']:<4}"
    if "failed" in cell:
        return f"{line} {cell['failed']}"
    for way in ("forward", "both"):
        line += f" {way} {cell[way]['ms']:8.3f} ms"
        if "speedup" in cell[way]:
            line += f" ({cell[way]['speedup']:.2f}x, with plan {cell[way]['speedup_with_plan']:.2f}x)"
    return line + (f" plan {cell['plan_ms']:.2f} ms" if "plan_ms" in cell else "")


if __name__ == "__main__":
    sys.exit(main())

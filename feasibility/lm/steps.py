"""How long a whole training step takes, and how much memory: typed memory against dense attention, all else equal.

    python -m feasibility.lm.steps --out steps.json          # on a GPU, a minute

A step is what `feasibility.lm.train` does: batch, plan, forward and backward pass, clipping, AdamW. Dense attention is
whichever of torch's own is fastest (flash, cuDNN, memory-efficient), compiled together with its block; typed memory
keeps a window of 64 and the last 4 of each of 64 predetermined classes, a plan a step. All lengths read equally many
tokens of the train part a step.
The file is written anew after each measurement; one that fails leaves its error there, and the others go on.

Needs torch and numpy alone (and tyro for the command line): elsewhere call `run(Options(...))`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from feasibility.lm.batches import prepared
from feasibility.lm.data import Corpus
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Spec, make_pattern
from feasibility.lm.train import Batches, TrainConfig, TrainingStep
from feasibility.store import write_atomic

SCHEMA = "asa.lm-steps.v1"
DENSE, TYPED = "dense", "predetermined/64"
# torch's own ways to attend densely; on a CPU there is one.
SDPA = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


@dataclass(frozen=True)
class Options:
    """What is timed."""

    out: Path = Path("steps.json")
    """File to write."""
    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    lengths: tuple[int, ...] = (4096, 8192, 16384)
    """Tokens of a chunk."""
    tokens: int = 32768
    """Tokens of a step."""
    dim: int = 768
    """Width of the model."""
    layers: int = 12
    """Its blocks."""
    heads: int = 12
    """Its heads."""
    window: int = 64
    """Of typed memory."""
    valence: int = 4
    """Of typed memory."""
    steps: int = 12
    """Steps that are timed, one by one."""
    warmup: int = 4
    """Steps before them."""
    seconds: float = 60.0
    """After so much time nothing more is begun."""


@dataclass(frozen=True)
class Way:
    """How a step is computed.

    Args:
        name: for the table.
        pattern: dense or typed memory.
        whole_blocks: whether attention is compiled together with its block.
    """

    name: str
    pattern: str
    whole_blocks: bool


# Dense attention is compiled with its block, as well as torch can; typed memory in both ways, the usual one first.
WAYS = (Way("dense", DENSE, True), Way("typed", TYPED, False), Way("typed, whole blocks", TYPED, True))


def dense_times(options: Options, length: int) -> dict[str, float]:
    """Milliseconds that each of torch's ways takes for a layer's dense attention, forward and backward; GPU only."""
    shape = (options.tokens // length, options.heads, length, options.dim // options.heads)
    query, key, value = (torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    found = {}
    for name, backend in SDPA.items():
        with contextlib.suppress(RuntimeError), sdpa_kernel(backend):
            times = []
            for _ in range(8):
                scaled_dot_product_attention(query, key, value, is_causal=True).sum().backward()  # type: ignore[no-untyped-call]
                times.append(_now(query.device))
            found[name] = float(np.median(np.diff(_seconds(times[2:], query.device)))) * 1e3
    return found


def measure(options: Options, length: int, way: Way, sdpa: str | None) -> dict[str, Any]:
    """Time the steps of one way at one length, dense attention by the named one of torch's ways.

    Returns: milliseconds a step (median, 20th and 80th percentile), tokens a second, the most memory that was taken
        beyond that of other models, and how many parameters.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    corpus = Corpus.load(options.data)
    tokens = torch.from_numpy(corpus.ids["train"].astype(np.int32)).to(device)
    batch = options.tokens // length
    torch.manual_seed(0)
    sizes = ModelConfig(len(corpus.vocab), options.dim, options.layers, options.heads, max_length=length)
    with _cleared(device):
        model = LanguageModel(sizes).to(device)
        pattern = make_pattern(Spec(way.pattern, options.window, options.valence), corpus.tables, length)
        number = options.warmup + options.steps
        config = TrainConfig(number, 1e-3, warmup=1, compiled=device.type == "cuda", whole_blocks=way.whole_blocks)
        batches = Batches(tokens, length, batch, seed=0)
        with _sdpa(sdpa):
            step = TrainingStep(model, config)
            times = []
            for place, (inputs, targets, plan) in enumerate(
                prepared(batches, range(number), pattern.make_plan, device)
            ):
                if place == options.warmup and device.type == "cuda":
                    # What compiling took is not the step's.
                    torch.cuda.reset_peak_memory_stats()
                step(place, inputs, targets, plan)
                if place >= options.warmup - 1:
                    times.append(_now(device))
        spans = np.diff(_seconds(times, device)) * 1e3
        middle, low, high = np.percentile(spans, [50, 20, 80])
        return {
            "ms": float(middle), "p20": float(low), "p80": float(high), "steps": len(spans),
            "tokens_per_second": round(options.tokens / middle * 1e3), "parameters": model.parameter_count(),
            "peak_mb": round(torch.cuda.max_memory_allocated() / 2**20) if device.type == "cuda" else None,
        }  # fmt: skip


def _now(device: torch.device) -> Any:
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _seconds(times: Sequence[Any], device: torch.device) -> list[float]:
    """Since the first of them; between steps that follow each other without a wait, as in training."""
    if device.type != "cuda":
        return [at - times[0] for at in times]
    torch.cuda.synchronize()
    return [times[0].elapsed_time(at) / 1e3 for at in times]


@contextlib.contextmanager
def _sdpa(name: str | None) -> Iterator[None]:
    if name in SDPA:
        with sdpa_kernel(SDPA[name]):
            yield
    else:
        yield


@contextlib.contextmanager
def _cleared(device: torch.device) -> Iterator[None]:
    """Nothing of the last model is left, in memory or among what was compiled."""
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    yield


def run(options: Options) -> dict[str, Any]:
    """All ways at all lengths; see the module.

    Returns: what the file holds: device, options, and for each length and way what `measure` gives, or an error.
    """
    started = time.time()
    on_gpu = torch.cuda.is_available()
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(options).items()}
    found: dict[str, Any] = {
        "schema": SCHEMA, "device": torch.cuda.get_device_name() if on_gpu else "cpu", "torch": torch.__version__,
        "options": plain, "rows": [],
    }  # fmt: skip
    dense = {length: dense_times(options, length) if on_gpu else {} for length in options.lengths}
    found["dense_attention_ms"] = {str(length): times for length, times in dense.items()}
    for way, length in itertools.product(WAYS, options.lengths):
        if time.time() - started > options.seconds:
            break
        begun = time.time()
        row: dict[str, Any] = {"n": length, "way": way.name}
        try:
            sdpa = min(dense[length], key=dense[length].__getitem__, default=None)
            row |= measure(options, length, way, sdpa) | {"sdpa": sdpa}
        except Exception as error:
            # One way that cannot run here must not cost the others; what went wrong is in the file.
            row["error"] = f"{type(error).__name__}: {str(error)[:500]}"
        row["wall_s"] = round(time.time() - begun, 1)
        found["rows"].append(row)
        print(row, file=sys.stderr, flush=True)
        write_atomic(options.out, json.dumps(found, indent=1) + "\n")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    run(tyro.cli(Options, prog="python -m feasibility.lm.steps", description=__doc__, args=argv))
    return 0


if __name__ == "__main__":
    sys.exit(main())

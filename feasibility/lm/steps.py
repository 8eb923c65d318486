"""How long a whole training step takes, and how much memory: typed memory against dense attention, all else equal.

    python -m feasibility.lm.steps --out steps.json          # on a GPU, a minute and a half

A step is what `feasibility.lm.train` does: batch, plan, forward and backward pass, clipping, AdamW. Dense attention is
whichever of torch's own is fastest (flash, cuDNN, memory-efficient), compiled together with its block; typed memory
keeps a window of 64 and the last 4 of each of 64 predetermined classes, a plan a step. All lengths read equally many
tokens of the train part a step. Two shapes of about 100 million parameters: the usual 12 blocks of 768, and 28 blocks
of 512, deeper and thinner, as Liu et al. (2024, MobileLLM) found to be better at this size. A deep model has more
attention for its parameters.
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
    shapes: tuple[str, ...] = ("12x768", "28x512")
    """Models, as blocks x width; the first is what is judged."""
    head: int = 64
    """Width of a head."""
    window: int = 64
    """Of typed memory."""
    valence: int = 4
    """Of typed memory."""
    steps: int = 12
    """Steps that are timed, one by one."""
    warmup: int = 4
    """Steps before them."""
    seconds: float = 80.0
    """After so much time nothing more is begun."""

    def sizes(self, shape: str, vocab: int, length: int) -> ModelConfig:
        """The model of a shape.

        Raises:
            ValueError: a shape that is not blocks x width, or a width that heads do not divide.
        """
        layers, _, dim = shape.partition("x")
        if not (layers.isdigit() and dim.isdigit()) or int(dim) % self.head:
            raise ValueError(f"a shape is blocks x width, such as 12x768, in heads of {self.head}; got {shape!r}")
        return ModelConfig(vocab, int(dim), int(layers), int(dim) // self.head, max_length=length)


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
WAYS = (Way("dense", DENSE, True), Way("typed", TYPED, False))
BESIDES = (Way("typed, whole blocks", TYPED, True),)


def dense_times(options: Options, sizes: ModelConfig) -> dict[str, float]:
    """Milliseconds that each of torch's ways takes for a layer's dense attention, forward and backward; GPU only."""
    shape = (options.tokens // sizes.max_length, sizes.heads, sizes.max_length, options.head)
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


def measure(options: Options, corpus: Corpus, sizes: ModelConfig, way: Way, sdpa: str | None) -> dict[str, Any]:
    """Time the steps of one way with one model, dense attention by the named one of torch's ways.

    Returns: milliseconds a step (median, 20th and 80th percentile), tokens a second, the most memory that was taken
        beyond that of other models, and how many parameters.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokens = torch.from_numpy(corpus.ids["train"].astype(np.int32)).to(device)
    length = sizes.max_length
    torch.manual_seed(0)
    with _cleared(device):
        with device:
            model = LanguageModel(sizes)
        pattern = make_pattern(Spec(way.pattern, options.window, options.valence), corpus.tables, length)
        number = options.warmup + options.steps
        config = TrainConfig(number, 1e-3, warmup=1, compiled=device.type == "cuda", whole_blocks=way.whole_blocks)
        batches = Batches(tokens, length, options.tokens // length, seed=0)
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
    """All ways with all shapes at all lengths; see the module.

    Returns: what the file holds: device, options, and for each shape, way and length what `measure` gives, or an error.

    Raises:
        ValueError: a shape that cannot be; see `Options.sizes`.
    """
    started = time.time()
    on_gpu = torch.cuda.is_available()
    corpus = Corpus.load(options.data)
    models = {
        (shape, length): options.sizes(shape, len(corpus.vocab), length)
        for shape, length in itertools.product(options.shapes, options.lengths)
    }
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(options).items()}
    found: dict[str, Any] = {
        "schema": SCHEMA, "device": torch.cuda.get_device_name() if on_gpu else "cpu", "torch": torch.__version__,
        "options": plain, "rows": [],
    }  # fmt: skip
    dense = {model: dense_times(options, sizes) if on_gpu else {} for model, sizes in models.items()}
    found["dense_attention_ms"] = {f"{shape} {length}": times for (shape, length), times in dense.items()}
    # What is judged comes first, for a time that is short.
    jobs = [job for ways in (WAYS, BESIDES) for job in itertools.product(options.shapes, ways, options.lengths)]
    for shape, way, length in jobs:
        if time.time() - started > options.seconds:
            break
        begun = time.time()
        row: dict[str, Any] = {"shape": shape, "n": length, "way": way.name}
        try:
            times = dense[shape, length]
            sdpa = min(times, key=times.__getitem__, default=None)
            row |= measure(options, corpus, models[shape, length], way, sdpa) | {"sdpa": sdpa}
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

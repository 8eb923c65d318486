"""Dense models of three sizes trained on a GPU, and their attention measured: the recorded part of H6.

    python -m feasibility.lm.data --out .lab/lm.npz
    python -m feasibility.h6.text --data .lab/lm.npz --out .lab/h6.npz
    python -m feasibility.h6.train --out RUNS --seconds 195        # all GPUs of the machine
    python -m feasibility.h6.record --runs RUNS/h6-*.json         # keep it with the project

A model that is measured is in its GPU's file; after so many seconds no step is begun. Needs torch, numpy, scipy alone
(and tyro for the command line): elsewhere call `run_models(Options(...))`.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from feasibility.h6.measure import measure, prepare
from feasibility.h6.text import Texts
from feasibility.lm.data import Corpus
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.train import Batches, TrainConfig, train
from feasibility.store import write_atomic

SCHEMA = "asa.h6-run.v1"
# Width, layers, heads; heads of 64 coordinates all.
SIZES = {"5M": (192, 4, 3), "17M": (384, 6, 6), "60M": (640, 10, 10)}


@dataclass(frozen=True)
class Options:
    """What is trained, and how long."""

    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    texts: Path = Path(".lab/h6.npz")
    """Tagged chunks of `feasibility.h6.text`; models are trained on chunks as long as these."""
    out: Path = Path("runs")
    """Folder for h6-0.json, h6-1.json, one for each GPU."""
    seconds: float = 195.0
    """Time in all."""
    sizes: tuple[str, ...] = tuple(SIZES)
    """Models, the small ones first."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of starting weights and order of data."""
    steps: int = 800
    """Updates of a model."""
    rate: float = 1e-3
    """The largest learning rate."""
    batch: int = 64
    """Chunks of an update."""
    compiled: bool = True
    """torch.compile on a GPU."""


def run_models(options: Options) -> int:
    """Train and measure all models, a process for each GPU; returns how many are recorded.

    Raises:
        FileNotFoundError, CorpusCorrupt: see `Corpus.load` and `Texts.load`.
    """
    started = time.time()
    gpus = max(1, torch.cuda.device_count())
    if gpus == 1:
        run_jobs(0, dealt(options, 1)[0], options, started)
    else:
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=run_jobs, args=(gpu, jobs, options, started))
            for gpu, jobs in enumerate(dealt(options, gpus))
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    return sum(len(json.loads(path.read_text())["models"]) for path in options.out.glob("h6-*.json"))


def dealt(options: Options, gpus: int) -> list[list[tuple[str, int]]]:
    """Which GPU trains what: (size, seed), the dearest dealt out first, the small ones run first."""
    cost = {size: SIZES[size][0] ** 2 * SIZES[size][1] + 200_000 for size in options.sizes}
    jobs = [(size, seed) for size in sorted(options.sizes, key=lambda size: -cost[size]) for seed in options.seeds]
    hands: list[list[tuple[str, int]]] = [[] for _ in range(gpus)]
    for job in jobs:
        min(hands, key=lambda hand: sum(cost[size] for size, _ in hand)).append(job)
    return [sorted(hand, key=lambda job: cost[job[0]]) for hand in hands]


def run_jobs(gpu: int, jobs: Sequence[tuple[str, int]], options: Options, started: float) -> None:
    """Train and measure some models on one GPU, one after the other; the file grows by each.

    Args:
        gpu: its number; the CPU is used where there is none.
        jobs: (size, seed) of each model.
        options: as given.
        started: `time.time()` at which the seconds began.
    """
    device = f"cuda:{gpu}" if torch.cuda.is_available() else "cpu"
    if device != "cpu":
        torch.cuda.set_device(device)
        # More threads would only make the processes wait for one another.
        torch.set_num_threads(1)
    corpus, texts = Corpus.load(options.data), Texts.load(options.texts)
    ids = torch.from_numpy(corpus.ids["train"].astype(np.int32)).to(device)
    prepared = prepare(texts, 0, device)
    lines: list[dict[str, Any]] = []
    for size, seed in jobs:
        model, line = _trained(len(corpus.vocab), ids, texts.types.shape[1], size, seed, options, device, started)
        if model is None:
            print(f"{size} seed {seed}: the time was up", file=sys.stderr, flush=True)
            continue
        begin = time.time()
        line |= measure(model, prepared) | {"measure_s": round(time.time() - begin, 1)}
        lines.append(line)
        write_atomic(options.out / f"h6-{gpu}.json", json.dumps({"schema": SCHEMA, "models": lines}))
        print(
            f"{size} seed {seed}: {line['train_s']} + {line['measure_s']} s, {time.time() - started:.0f} s in all",
            file=sys.stderr,
            flush=True,
        )


def _trained(
    vocab: int, ids: torch.Tensor, length: int, size: str, seed: int, options: Options, device: str, started: float
) -> tuple[LanguageModel | None, dict[str, Any]]:
    """A trained model and what is recorded of it; no model where the time ran out."""
    begin = time.time()
    dim, layers, heads = SIZES[size]
    sizes = ModelConfig(vocab, dim, layers, heads, max_length=length)
    torch.manual_seed(seed)
    model = LanguageModel(sizes).to(device)
    is_gpu = device != "cpu"
    config = TrainConfig(
        options.steps, options.rate, warmup=max(1, options.steps // 10), seed=seed, log_every=options.steps,
        compiled=options.compiled and is_gpu,
    )  # fmt: skip
    batches = Batches(ids, length, options.batch, seed)
    left = started + options.seconds - time.time()
    result = train(model, batches, config, deadline=time.monotonic() + left)
    if not result.finished:
        return None, {}
    # What was compiled for batches would be compiled anew for single chunks.
    fresh = LanguageModel(sizes).to(device)
    fresh.load_state_dict(model.state_dict())
    line = {
        "size": size, "seed": seed, "parameters": fresh.parameter_count(), "model": dataclasses.asdict(sizes),
        "steps": options.steps, "tokens": options.steps * options.batch * length, "rate": options.rate,
        "loss": round(result.losses[options.steps], 4), "train_s": round(time.time() - begin, 1),
        "device": torch.cuda.get_device_name() if is_gpu else "cpu", "torch": torch.__version__,
    }  # fmt: skip
    return fresh, line


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.h6.train", description=__doc__, args=argv)
    print(f"{options.out}: {run_models(options)} models")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Train one model by name, alone or with several processes; goes on where it stopped.

    python -m feasibility.lm.run --pattern predetermined/64 --out runs/one
    torchrun --nproc-per-node 2 -m feasibility.lm.run --spread fsdp --dim 768 --layers 12 --heads 12 --out runs/large

OUT gets run.pt, the checkpoint; log.jsonl, a line every 50 steps with loss, speed and the seconds that are left; and
result.json, with the scores of the dev part and, where asked for, of the test part.

Needs torch and numpy alone (and tyro for the command line): elsewhere call `run(Options(...))`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from feasibility.harness import Track, silent
from feasibility.lm.data import Corpus
from feasibility.lm.evaluate import evaluate
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Pattern, make_pattern, read_specs
from feasibility.lm.train import Batches, TrainConfig, train
from feasibility.store import write_atomic
from sparse_attn.api import Backend

if TYPE_CHECKING:
    from feasibility.lm.distributed import Team

SCHEMA = "asa.lm-single-run.v1"


@dataclass(frozen=True)
class Options:
    """What to train."""

    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    specs: Path = Path(".lab/patterns.json")
    """Windows and valences, of `feasibility.lm.patterns`."""
    pattern: str = "predetermined/64"
    """Which pieces see which."""
    out: Path = Path("runs/one")
    """Folder for what is left behind."""
    spread: Literal["alone", "ddp", "fsdp"] = "alone"
    """How the model is dealt out to the processes that torchrun started."""
    steps: int = 1000
    """Updates."""
    rate: float = 2e-3
    """Largest learning rate."""
    seed: int = 0
    """Of starting weights and order of data."""
    length: int = 2048
    """Tokens of a chunk."""
    batch: int = 16
    """Chunks of an update, of all processes together."""
    dim: int = 384
    """Width of the model."""
    layers: int = 6
    """Its blocks."""
    heads: int = 6
    """Its heads."""
    recompute: bool = False
    """Compute activations again for the backward pass, instead of keeping them."""
    compiled: bool = True
    """torch.compile on a GPU."""
    backend: Backend = "auto"
    """Of `class_attention`."""
    save_every: int = 500
    """Steps between two checkpoints."""
    minutes: float = 600.0
    """After so many minutes no step is begun; the same command goes on from the last checkpoint."""
    with_test: bool = False
    """Also score the test part: for final figures only."""


def run(options: Options, track: Track = silent) -> dict[str, Any]:
    """Train and score; see the module.

    Returns: what result.json holds. Processes of a team beside the first have no scores.

    Raises:
        KeyError: a pattern that the specs lack.
        CorpusCorrupt, FileNotFoundError: see `Corpus.load`.
        RuntimeError: a spread without torchrun.
    """
    with contextlib.ExitStack() as stack:
        team: Team | None = None
        if options.spread != "alone":
            from feasibility.lm.distributed import joined

            team = stack.enter_context(joined(options.spread))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu") if team is None else team.device
        corpus = Corpus.load(options.data)
        pattern = make_pattern(read_specs(options.specs)[options.pattern], corpus.tables, options.length)
        ids = {part: torch.from_numpy(x.astype(np.int32)).to(device) for part, x in corpus.ids.items()}
        model = _model(options, len(corpus.vocab), pattern, device)
        started = time.time()
        result = train(
            model,
            Batches(ids["train"], options.length, options.batch, options.seed),
            _training(options, device),
            options.out / "run.pt",
            options.out / "log.jsonl",
            make_plan=pattern.make_plan,
            track=track,
            deadline=time.monotonic() + 60 * options.minutes,
            team=team,
        )
        line = {
            "schema": SCHEMA, "options": {k: str(v) if isinstance(v, Path) else v for k, v in _plain(options).items()},
            "finished": result.finished, "parameters": model.parameter_count(),
            "processes": 1 if team is None else team.size, "losses": result.losses,
            "tokens_per_second": round(result.tokens_per_second), "train_s": round(time.time() - started, 1),
        }  # fmt: skip
        if device.type == "cuda":
            line["peak_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
        scored = _whole_model(model, options, pattern, team) if result.finished else None
        if scored is not None:
            for part in ("dev", "test") if options.with_test else ("dev",):
                scores = evaluate(
                    scored, ids[part], options.length, options.batch, make_plan=pattern.make_plan, track=track
                )
                line[part] = {"per_token": scores.per_token, "nats": scores.nats.tolist()}
        if team is None or team.rank == 0:
            write_atomic(options.out / "result.json", json.dumps(line, indent=1) + "\n")
        if team is not None:
            team.wait()
    return line


def _plain(options: Options) -> dict[str, Any]:
    return dataclasses.asdict(options)


def _model(options: Options, vocab: int, pattern: Pattern, device: torch.device) -> LanguageModel:
    torch.manual_seed(options.seed)
    sizes = ModelConfig(
        vocab, options.dim, options.layers, options.heads, max_length=options.length, backend=options.backend,
        recompute=options.recompute, mixer=pattern.mixer,
    )  # fmt: skip
    return LanguageModel(sizes).to(device)


def _training(options: Options, device: torch.device) -> TrainConfig:
    return TrainConfig(
        options.steps, options.rate, warmup=min(100, options.steps // 5), seed=options.seed,
        save_every=options.save_every, compiled=options.compiled and device.type == "cuda",
    )  # fmt: skip


def _whole_model(model: LanguageModel, options: Options, pattern: Pattern, team: Team | None) -> LanguageModel | None:
    """The trained model in one piece, in the first process; None in all others."""
    if team is None:
        return model
    from feasibility.lm.distributed import whole

    state: dict[str, Tensor] = whole(model.state_dict())
    if team.rank:
        return None
    copy = _model(options, model.config.vocab, pattern, team.device)
    copy.load_state_dict(state)
    return copy


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 2 with one line on stderr where what is asked for is not there."""
    import os

    import tyro

    from feasibility.progress import tracking

    options = tyro.cli(Options, prog="python -m feasibility.lm.run", description=__doc__, args=argv)
    try:
        with tracking() if os.environ.get("RANK", "0") == "0" else contextlib.nullcontext(silent) as track:
            line = run(options, track)
    except (KeyError, ValueError, RuntimeError, FileNotFoundError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if "dev" in line:
        print(f"{options.out}: dev {line['dev']['per_token']:.4f} nats a piece")
    return 0


if __name__ == "__main__":
    sys.exit(main())

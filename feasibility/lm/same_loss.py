"""Do several processes train a model as one does? The losses of one process beside those of a team, step by step.

    torchrun --nproc-per-node 2 -m feasibility.lm.same_loss OUT.json

On CPUs a small model, on GPUs 17 million parameters, in float32; both keep a window and the last pieces of each class.
The table has, for each way of training, the largest relative difference in loss to one process alone. On GPUs the same
follows in bfloat16, whose rounding depends on how a batch is shared; beside it, what it does to weights that differ by
1e-7 (jittered).
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feasibility.environment import ROOT
from feasibility.lm.data import Corpus
from feasibility.lm.distributed import Team, joined
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Spec, make_pattern
from feasibility.lm.train import Batches, TrainConfig, train
from feasibility.store import write_atomic

SAMPLE = ROOT / "feasibility" / "data" / "novels-sample.npz"
PATTERN = Spec("predetermined/64", window=16, valence=2)
JITTER = 1e-7


@dataclass(frozen=True)
class Size:
    """What is trained: chunks and model."""

    length: int
    batch: int
    dim: int
    layers: int
    heads: int
    steps: int


ON_CPU, ON_GPU = Size(48, 4, 32, 2, 4, 12), Size(2048, 16, 384, 6, 6, 40)


class _PowerCut(Exception):
    """The run ends here."""


class _Broken(Batches):
    """Batches that end the run at a step."""

    at = -1

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        if step == self.at:
            raise _PowerCut
        return super().__getitem__(step)


@dataclass(frozen=True)
class Bench:
    """One text, one model, one order of batches, for whoever trains."""

    size: Size
    device: torch.device
    corpus: Corpus

    def losses(
        self,
        team: Team | None = None,
        checkpoint: Path | None = None,
        broken_at: int = -1,
        recompute: bool = False,
        compiled: bool = False,
        jitter: float = 0.0,
        float32: bool = True,
    ) -> dict[int, float]:
        """The loss of every step."""
        size = self.size
        torch.manual_seed(0)
        sizes = ModelConfig(
            len(self.corpus.vocab), size.dim, size.layers, size.heads, max_length=size.length, recompute=recompute
        )
        model = LanguageModel(sizes).to(self.device)
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(1 + jitter * torch.randn(weights.shape, device=self.device))
        text = torch.from_numpy(self.corpus.ids["train"].astype("int32")).to(self.device)
        batches = _Broken(text, size.length, size.batch, seed=0)
        batches.at = broken_at
        config = TrainConfig(
            size.steps,
            2e-3,
            warmup=size.steps // 4,
            log_every=1,
            save_every=size.steps // 3,
            compiled=compiled,
            float32=float32,
        )
        pattern = make_pattern(PATTERN, self.corpus.tables, size.length)
        return train(model, batches, config, checkpoint, make_plan=pattern.plan, team=team).losses


def compare(team: Team, folder: Path) -> dict[str, Any]:
    """All ways of training, each beside one process alone.

    Args:
        team: of which every process calls this.
        folder: that all of them see, for a checkpoint.

    Returns: way -> largest relative difference in loss, and its seconds.
    """
    bench = Bench(ON_GPU if team.device.type == "cuda" else ON_CPU, team.device, Corpus.load(SAMPLE))
    ddp, fsdp = (dataclasses.replace(team, spread=spread) for spread in ("ddp", "fsdp"))
    broken = folder / "broken.pt"
    ways: dict[str, Callable[[], dict[int, float]]] = {
        "alone": lambda: bench.losses(),
        "jittered": lambda: bench.losses(jitter=JITTER),
        "ddp": lambda: bench.losses(ddp),
        "fsdp": lambda: bench.losses(fsdp),
        "fsdp, recomputing": lambda: bench.losses(fsdp, recompute=True),
        "fsdp, broken off and resumed by ddp": lambda: _resumed(bench, fsdp, ddp, broken),
    }
    if team.device.type == "cuda":
        ways |= {
            "bfloat16": lambda: bench.losses(float32=False),
            "bfloat16, jittered": lambda: bench.losses(jitter=JITTER, float32=False),
            "bfloat16, ddp": lambda: bench.losses(ddp, float32=False),
            "bfloat16, fsdp, compiled": lambda: bench.losses(fsdp, float32=False, compiled=True),
        }
    found: dict[str, Any] = {"processes": team.size, "device": str(team.device)}
    curves: dict[str, dict[int, float]] = {}
    for name, way in ways.items():
        started = time.time()
        curves[name] = way()
        alone = curves["bfloat16" if name.startswith("bfloat16") else "alone"]
        gaps = {step: abs(loss - alone[step]) / alone[step] for step, loss in curves[name].items()}
        found[name] = {"gap": max(gaps.values()), "gap in the first 5 steps": max(gaps[step] for step in range(1, 6))}
        found[name] |= {"seconds": round(time.time() - started, 1), "losses": curves[name]}
    return found


def _resumed(bench: Bench, before: Team, after: Team, checkpoint: Path) -> dict[int, float]:
    """A run that one team broke off in the middle and another took up."""
    try:
        bench.losses(before, checkpoint, broken_at=bench.size.steps // 2)
    except _PowerCut:
        before.wait()
    return bench.losses(after, checkpoint)


@contextmanager
def _shared_folder(team: Team) -> Iterator[Path]:
    """One folder for all processes of a machine."""
    with tempfile.TemporaryDirectory() as own:
        name = torch.zeros(256, dtype=torch.int64, device=team.device)
        if team.rank == 0:
            name[: len(own)] = torch.tensor(list(own.encode()), device=team.device)
        yield Path(bytes(x for x in team.total(name).tolist() if x).decode())
        team.wait()


def main(out: Path) -> None:
    """Compare, print and write."""
    with joined("ddp") as team, _shared_folder(team) as folder:
        found = compare(team, folder)
        if team.rank == 0:
            write_atomic(out, json.dumps(found, indent=1) + "\n")
            for name, entry in found.items():
                if isinstance(entry, dict) and "gap" in entry:
                    first = entry["gap in the first 5 steps"]
                    print(f"{name:40} {entry['gap']:.1e}  first 5 steps {first:.1e}  {entry['seconds']} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

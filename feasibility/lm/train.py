"""Training: the same steps in the same order for the same seed, also when the process was killed in between.

    result = train(model, Batches(ids, length=2048, batch=16, seed=0), TrainConfig(steps=1000), checkpoint=path)

Loss is in nats per token. B batch, N tokens, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from feasibility.harness import Track, silent
from feasibility.lm.model import LanguageModel, Plan
from feasibility.store import write_atomic

# Targets that are not scored: padding.
IGNORED = -100
SCHEMA = "asa.lm-checkpoint.v1"

MakePlan = Callable[[Tensor], Plan]


class CheckpointMismatch(ValueError):
    """A checkpoint of another run: other settings, another model, or another schema."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Args:
        steps: updates in all.
        lr: the largest learning rate, reached after the warm-up; it falls to 0 along half a cosine.
        weight_decay: of matrices; norms have none.
        warmup: steps over which the learning rate rises from 0.
        seed: of dropout. The order of the data is that of the batches.
        clip: largest norm of the gradient.
        log_every: steps between two lines of the log.
        save_every: steps between two checkpoints.
        compiled: whether torch.compile is used for all but the attention.

    Raises:
        ValueError: fewer than 1 step, or a learning rate that is not above 0.
    """

    steps: int
    lr: float = 2e-3
    weight_decay: float = 0.1
    warmup: int = 50
    seed: int = 0
    clip: float = 1.0
    log_every: int = 50
    save_every: int = 500
    compiled: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))


class BatchSource(Protocol):
    """Batches by number, so that a run can go on from any step."""

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, [B, N] int64 each; targets are `IGNORED` where nothing is scored."""


class Batches:
    """A line of tokens cut into chunks, in an order that the seed decides, without end.

    Args:
        tokens: [T] integers; on a GPU, so that no step has to wait for a copy, if they fit there.
        length: N, tokens of a chunk.
        batch: B, chunks of a batch.
        seed: of the order. Every pass over the text has an order, and a first cut, of its own.

    Raises:
        ValueError: fewer tokens than one batch takes.
    """

    def __init__(self, tokens: Tensor, length: int, batch: int, seed: int) -> None:
        # One chunk less than fits, so that the first cut can move; each needs the token after its last as a target.
        self._chunks = (len(tokens) - 1) // length - 1
        if length < 1 or batch < 1 or self._chunks < batch:
            raise ValueError(
                f"a batch of {batch} chunks of {length} tokens needs a text of {(batch + 1) * length + 1} tokens, "
                f"got {len(tokens)}"
            )
        self._tokens, self._length, self._batch, self._seed = tokens, length, batch, seed
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, [B, N] int64 each."""
        each = self._chunks // self._batch
        starts = self._pass(step // each)[step % each * self._batch :][: self._batch]
        span = starts[:, None] + torch.arange(self._length + 1, device=starts.device)
        chunk = self._tokens[span.to(self._tokens.device)].long()
        return chunk[:, :-1], chunk[:, 1:]

    def _pass(self, number: int) -> Tensor:
        """Where the chunks of one pass over the text begin, in its order."""
        if self._order[0] != number:
            generator = torch.Generator().manual_seed((self._seed << 20) + number)
            first = int(torch.randint(self._length, (), generator=generator))
            order = first + self._length * torch.randperm(self._chunks, generator=generator)
            self._order = number, order.to(self._tokens.device)
        return self._order[1]


@dataclass(frozen=True)
class TrainResult:
    """What a run left beside the trained model.

    Args:
        losses: step -> mean loss over the steps since the last entry, nats per token; those of earlier processes too.
        seconds: of this process, without the time before its first step ended (compilation).
        tokens_per_second: of this process over the same steps; 0 where it made fewer than two.
        finished: False where the time ran out before the last step.
    """

    losses: dict[int, float]
    seconds: float
    tokens_per_second: float
    finished: bool


def train(
    model: LanguageModel,
    batches: BatchSource,
    config: TrainConfig,
    checkpoint: Path | None = None,
    log: Path | None = None,
    *,
    make_plan: MakePlan | None = None,
    track: Track = silent,
    deadline: float = math.inf,
) -> TrainResult:
    """Train in place, on the device of the model; bfloat16 autocast on a GPU, float32 on a CPU.

    Args:
        model: as initialised; where there is a checkpoint its weights come from there.
        batches: see `Batches`.
        config: how.
        checkpoint: file to go on from, and to save to every `save_every` steps and at the end.
        log: file to which a line of JSON is added every `log_every` steps.
        make_plan: from input tokens [B, N] to the plan of their attention; None for dense attention.
        track: progress.
        deadline: of `time.monotonic()`, after which no step is begun.

    Raises:
        CheckpointMismatch: the checkpoint belongs to a run with other settings or another model.
        FloatingPointError: the loss is not finite; the last checkpoint stays as it was.

    Cost: O(steps) forward and backward passes; a checkpoint is three times the size of the model.
    """
    device = next(model.parameters()).device
    run = _Run(model, config, device)
    done = run.load(checkpoint) if checkpoint is not None and checkpoint.is_file() else 0
    loss_of = torch.compile(token_loss) if config.compiled else token_loss
    if config.compiled:
        model.compile_parts()
    model.train()
    clock, step = _Clock(), done
    with _appending(log) as file:
        for step in track(range(done, config.steps), "training"):
            if time.monotonic() > deadline:
                break
            inputs, targets = (x.to(device, non_blocking=True) for x in batches[step])
            run.step(step, inputs, targets, None if make_plan is None else make_plan(inputs), loss_of)
            clock.tick(targets.numel(), device)
            step += 1
            if step % config.log_every == 0 or step == config.steps:
                run.note(step, clock, file)
            if checkpoint is not None and (step % config.save_every == 0 or step == config.steps):
                run.save(checkpoint, step)
    return TrainResult(run.losses, clock.seconds(device), clock.rate(device), step >= config.steps)


def token_loss(model: nn.Module, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of -log p over the targets that are not `IGNORED`, and how many these are.

    Args:
        model: whose `output` maps states to logits.
        states: [B, N, E].
        targets: [B, N] int64.
    """
    logits = model.output(states).flatten(0, 1).float()  # type: ignore[operator]
    return cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum"), (targets != IGNORED).sum()


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on a GPU, nothing on a CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


class _Run:
    """Model, optimiser and what was counted so far: all that a checkpoint holds."""

    def __init__(self, model: LanguageModel, config: TrainConfig, device: torch.device) -> None:
        self.model, self.config, self.device = model, config, device
        torch.manual_seed(config.seed)
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), fused=device.type == "cuda")
        self.losses: dict[int, float] = {}
        # Sum of losses and of tokens since the last note; on the device, so that no step waits for it.
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)

    def step(self, step: int, inputs: Tensor, targets: Tensor, plan: Plan, loss_of: Callable[..., Any]) -> None:
        with autocast(self.device):
            total, count = loss_of(self.model, self.model.states(inputs, plan), targets)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(step)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.sums += torch.stack([total.detach().double(), count.double()])

    def note(self, step: int, clock: _Clock, file: TextIO | None) -> None:
        total, count = self.sums.tolist()
        self.sums.zero_()
        self.losses[step] = total / count
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss is not finite before step {step}; lower lr={self.config.lr}, or raise "
                f"warmup={self.config.warmup}"
            )
        if file is not None:
            line = {"step": step, "loss": self.losses[step], "lr": self.config.rate(step - 1)}
            line |= {"tokens_per_second": round(clock.rate(self.device)), "eta_s": clock.left(self.config.steps - step)}
            file.write(json.dumps(line) + "\n")
            file.flush()

    def save(self, path: Path, step: int) -> None:
        state = {
            "schema": SCHEMA,
            "settings": self._settings(),
            "step": step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "losses": self.losses,
            "sums": self.sums,
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_atomic(path, content.getvalue())

    def load(self, path: Path) -> int:
        """Take everything from a checkpoint; returns the steps that were done."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state.get("schema") != SCHEMA or state["settings"] != self._settings():
            raise CheckpointMismatch(
                f"{path} is of another run: {state.get('settings')}, expected {self._settings()}; name another file"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"].cpu())
        self.losses, self.sums = dict(state["losses"]), state["sums"]
        return int(state["step"])

    def _settings(self) -> dict[str, Any]:
        # What is only shown or saved may differ.
        kept = {"log_every", "save_every", "compiled"}
        settings = {k: v for k, v in dataclasses.asdict(self.config).items() if k not in kept}
        sizes = {k: v for k, v in dataclasses.asdict(self.model.config).items() if k not in ("backend", "recompute")}
        return {"train": settings, "model": sizes}


class _Clock:
    """Time since the end of the first step of a process, and what was read in it."""

    def __init__(self) -> None:
        self._start = 0.0
        self._steps = self._tokens = 0

    def tick(self, tokens: int, device: torch.device) -> None:
        if not self._start:
            _wait(device)
            self._start = time.perf_counter()
            return
        self._steps += 1
        self._tokens += tokens

    def seconds(self, device: torch.device) -> float:
        _wait(device)
        return time.perf_counter() - self._start if self._steps else 0.0

    def rate(self, device: torch.device) -> float:
        return self._tokens / self.seconds(device) if self._steps else 0.0

    def left(self, steps: int) -> float:
        return round((time.perf_counter() - self._start) / self._steps * steps, 1) if self._steps else 0.0


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _appending(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        yield file

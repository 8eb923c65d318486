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
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from feasibility.harness import Track, silent
from feasibility.lm.batches import Batches, BatchSource, MakePlan, prepared
from feasibility.lm.model import LanguageModel, Plan
from feasibility.store import write_atomic

if TYPE_CHECKING:
    from feasibility.lm.distributed import Team

__all__ = [
    "IGNORED", "BatchSource", "Batches", "CheckpointMismatch", "MakePlan", "TrainConfig", "TrainResult", "TrainingStep",
    "autocast", "token_loss", "train",
]  # fmt: skip

# Targets that are not scored: padding.
IGNORED = -100
SCHEMA = "asa.lm-checkpoint.v1"

# From a model, its states [B, N, E] and targets [B, N] to the sum of losses and their number.
LossOf: TypeAlias = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


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
        compiled: whether torch.compile is used, for all but the attention.
        whole_blocks: whether attention is then compiled too, together with its block.
        float32: whether a GPU computes in float32 throughout, to be compared with; otherwise products are in bfloat16.

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
    whole_blocks: bool = False
    float32: bool = False

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
    team: Team | None = None,
) -> TrainResult:
    """Train in place, on the device of the model; bfloat16 autocast on a GPU, float32 on a CPU.

    The plan of the next batch is made while a GPU is still at work on the last one (`feasibility.lm.batches`).

    Args:
        model: as initialised; where there is a checkpoint its weights come from there.
        batches: see `Batches`.
        config: how.
        checkpoint: file to go on from, and to save to every `save_every` steps and at the end.
        log: file to which a line of JSON is added every `log_every` steps.
        make_plan: from input tokens [B, N] (and classes [B, N] where batches hold them) to the plan of their attention;
            None for dense attention.
        track: progress.
        deadline: of `time.monotonic()`, after which no step is begun; a team looks at it when it writes its log.
        team: the processes that train this model together, all of which call this with the same arguments; None for
            this one alone. Batches are then those of the whole team.

    Raises:
        CheckpointMismatch: the checkpoint belongs to a run with other settings or another model.
        FloatingPointError: the loss is not finite; the last checkpoint stays as it was.
        ValueError: batches that the team cannot share.

    Cost: O(steps) forward and backward passes; a checkpoint is three times the size of the model.
    """
    device = next(model.parameters()).device
    run = _Run(model, config, team)
    done = run.load(checkpoint) if checkpoint is not None and checkpoint.is_file() else 0
    model.train()
    clock, step, is_first = _Clock(), done, team is None or team.rank == 0
    source = batches if team is None else _Share(batches, team)
    feed = iter(prepared(source, range(done, config.steps), make_plan, device))
    with _appending(log if is_first else None) as file:
        for step in track(range(done, config.steps), "training"):
            if run.is_over(step, deadline):
                break
            inputs, targets, plan = next(feed)
            run(step, inputs, targets, plan)
            clock.tick(targets.numel() * (1 if team is None else team.size), device)
            step += 1
            if step % config.log_every == 0 or step == config.steps:
                run.note(step, clock, file)
            if checkpoint is not None and (step % config.save_every == 0 or step == config.steps):
                run.save(checkpoint, step)
    return TrainResult(run.losses, clock.seconds(device), clock.rate(device), step >= config.steps)


class _Share:
    """What one process of a team reads of each batch."""

    def __init__(self, batches: BatchSource, team: Team) -> None:
        self._batches, self._team = batches, team

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        return tuple(self._team.share(x) for x in self._batches[step])


def token_loss(model: nn.Module, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of -log p over the targets that are not `IGNORED`, and how many these are.

    Args:
        model: whose `output` maps states to logits.
        states: [B, N, E].
        targets: [B, N] int64.
    """
    logits = model.output(states).flatten(0, 1).float()  # type: ignore[operator]
    return cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum"), (targets != IGNORED).sum()


def autocast(device: torch.device, enabled: bool = True) -> torch.autocast:
    """bfloat16 on a GPU, nothing on a CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled and device.type == "cuda")


class _Learner(nn.Module):
    """From a batch to its loss: one forward pass, for whoever listens to forward passes."""

    def __init__(self, model: LanguageModel, loss_of: LossOf) -> None:
        super().__init__()
        self.model, self.loss_of = model, loss_of

    def forward(self, inputs: Tensor, targets: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        return self.loss_of(self.model, self.model.states(inputs, plan), targets)


class TrainingStep:
    """A model and its optimiser: what one update does, without batches, checkpoints or logs.

    Args:
        model: on its device; compiled and, by a team, wrapped here.
        config: how to train.
        team: see `train`.
    """

    def __init__(self, model: LanguageModel, config: TrainConfig, team: Team | None = None) -> None:
        self.model, self.config, self.team = model, config, team
        self.device = next(model.parameters()).device
        if config.compiled:
            model.compile_parts(config.whole_blocks)
        learner = _Learner(model, torch.compile(token_loss) if config.compiled else token_loss)
        self.learner: nn.Module = learner if team is None else team.wrap(learner, model.blocks)
        # The model's own, which a team may have cut into shares.
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), fused=self.device.type == "cuda")
        # Sum of losses and of tokens so far; on the device, so that no step waits for it.
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)

    def __call__(self, step: int, inputs: Tensor, targets: Tensor, plan: Plan) -> None:
        """Update the model by a batch ([B, N] each), a team's process by its share; `step` decides the rate."""
        if self.model.config.dropout:
            # Drawn anew for each step and process, so that a checkpoint need not keep the state of any generator.
            torch.manual_seed((self.config.seed << 40) + (step << 10) + (0 if self.team is None else self.team.rank))
        with autocast(self.device, enabled=not self.config.float32):
            total, count = self.learner(inputs, targets, plan)
        # Gradients are averaged over a team; the loss is a mean over the tokens of all.
        share = count if self.team is None else self.team.total(count) / self.team.size
        (total / share).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(step)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.sums += torch.stack([total.detach().double(), count.double()])


class _Run(TrainingStep):
    """A training step, and what was counted so far: all that a checkpoint holds."""

    def __init__(self, model: LanguageModel, config: TrainConfig, team: Team | None) -> None:
        super().__init__(model, config, team)
        self.losses: dict[int, float] = {}

    def is_over(self, step: int, deadline: float) -> bool:
        """Whether the time has run out; processes of a team must stop at the same step, and seldom ask one another."""
        if self.team is None or deadline == math.inf:
            return time.monotonic() > deadline
        return step % self.config.log_every == 0 and self.team.agrees(time.monotonic() > deadline)

    def note(self, step: int, clock: _Clock, file: TextIO | None) -> None:
        total, count = (self.sums if self.team is None else self.team.total(self.sums)).tolist()
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
            "losses": self.losses,
            "sums": self.sums,
        }
        if self.team is not None:
            from feasibility.lm.distributed import whole

            state = whole(state) | {"sums": self.team.total(self.sums)}
        if self.team is None or self.team.rank == 0:
            content = io.BytesIO()
            torch.save(state, content)
            write_atomic(path, content.getvalue())
        if self.team is not None:
            self.team.wait()

    def load(self, path: Path) -> int:
        """Take everything from a checkpoint; returns the steps that were done."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state.get("schema") != SCHEMA or state["settings"] != self._settings():
            raise CheckpointMismatch(
                f"{path} is of another run: {state.get('settings')}, expected {self._settings()}; name another file"
            )
        if self.team is not None:
            self._cut(state)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        # What was counted before is one process's to bring in.
        self.losses, is_mine = dict(state["losses"]), self.team is None or self.team.rank == 0
        self.sums = state["sums"] if is_mine else torch.zeros_like(state["sums"])
        return int(state["step"])

    def _cut(self, state: dict[str, Any]) -> None:
        """Whole tensors of a checkpoint as the shares that this process holds."""
        from feasibility.lm.distributed import shared_like

        own = self.model.state_dict()
        state["model"] = {name: shared_like(value, own[name]) for name, value in state["model"].items()}
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        for place, moments in state["optimiser"]["state"].items():
            for name, value in moments.items():
                moments[name] = shared_like(value, parameters[place])

    def _settings(self) -> dict[str, Any]:
        # What is only shown or saved may differ.
        shown = ("log_every", "save_every", "compiled", "whole_blocks", "backend", "recompute")
        settings, sizes = (
            {k: v for k, v in dataclasses.asdict(x).items() if k not in shown} for x in (self.config, self.model.config)
        )
        # Checkpoints from before these could be chosen say nothing of them.
        for chosen, usual in ((settings, {"float32": False}), (sizes, {"mixer": "attention"})):
            for name, value in usual.items():
                if chosen[name] == value:
                    del chosen[name]
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

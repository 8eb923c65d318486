"""Train many small models at once: one batch of models that differ in word vectors, seed and data, in step.

A model of 0.1M parameters leaves a GPU idle. `torch.func` stacks the parameters of S models, and one pass serves all of
them; the sum of their losses has the gradients of each. Nothing passes from model to model, but for rounding.

Axes: `S` models, `B` sentences of a batch, `N` positions, `n` sentences in all, `V` vocabulary, `E` width.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.predetermined_embeddings.sides import Output, Table
from feasibility.predetermined_embeddings.students import IGNORED, Reading
from feasibility.predetermined_embeddings.tables import CONDITIONS, TIED, Floats32

WARMUP = 30
BETAS = (0.9, 0.98)


class OutOfTime(RuntimeError):
    """A training that the deadline overtook."""


@dataclass(frozen=True)
class Recipe:
    """How every model is trained.

    Args:
        dim, layers, heads: size of the transformer.
        lr: largest learning rate; it falls to a tenth along half a cosine.
        dropout: of each block's outputs.
        weight_decay: of the blocks' matrices; tables, norms and biases have none.
        batch: B.
        checks: how often the dev sentences are read; the best of these states is kept.
    """

    dim: int = 64
    layers: int = 2
    heads: int = 4
    lr: float = 3e-3
    dropout: float = 0.1
    weight_decay: float = 0.1
    batch: int = 64
    checks: int = 10


class Learner(Protocol):
    """One model of a batch before its training."""

    @property
    def condition(self) -> str:
        """Of the input, a name in `CONDITIONS`."""

    @property
    def output(self) -> str:
        """Of the output: such a name, or "tied" for the rows of the input."""

    @property
    def seed(self) -> int:
        """Of parameters, order and dropout."""

    @property
    def words(self) -> int:
        """Entries that are words: the first of the vocabulary."""

    @property
    def unknown(self) -> int:
        """The entry for unknown words."""

    @property
    def mute(self) -> NDArray[np.bool_]:
        """[V], what it is never asked for."""

    def reading(self) -> Reading:
        """Inputs and targets to learn from, [n, N] each; targets are IGNORED where nothing is scored."""

    def checking(self) -> Reading:
        """The same to choose a state by, [D, N]."""

    def table(self, side: int, dim: int) -> Floats32 | None:
        """[V, E] of the input (0) or the output (1), or None where it is learned from nothing."""


@dataclass(frozen=True)
class Class:
    """Trained models, side by side.

    Args:
        parameters, buffers: stacked, [S, ...], of the best state on dev sentences.
        dev: checks -> [S] mean dev loss in nats a token.
        tokens: [checks] how many tokens each model had learned from at each check.
        start: [S, V, E] the input rows before training.
    """

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    dev: NDArray[np.float64]
    tokens: NDArray[np.int64]
    start: Tensor
    call: Callable[[dict[str, Tensor], dict[str, Tensor], Tensor], Tensor]

    def logits(self, tokens: Tensor) -> Tensor:
        """What every model says to the same tokens: [B, N] int64 -> [S, B, N, V], without gradients."""
        with torch.no_grad():
            every = tokens.long().to(self.start.device).expand(len(self.start), -1, -1)
            return self.call(self.parameters, self.buffers, every)

    def pick(self, model: int) -> Class:
        """One model alone."""
        one = slice(model, model + 1)
        return dataclasses.replace(
            self,
            parameters={name: p[one] for name, p in self.parameters.items()},
            buffers={name: b[one] for name, b in self.buffers.items()},
            dev=self.dev[:, one],
            start=self.start[one],
        )

    def with_rows(self, side: str, rows: Tensor) -> Class:
        """One model with other learned rows, [V, E]; side is "input_table" or "output.table"."""
        return dataclasses.replace(self, parameters={**self.parameters, f"{side}.free": rows[None]})

    def rows(self) -> Tensor:
        """[S, V, E], the input rows after training."""
        return _rows(self.parameters, self.buffers)


def teach(
    students: Sequence[Learner],
    recipe: Recipe,
    epochs: float,
    device: str = "cpu",
    rates: Sequence[float] = (),
    deadline: float = math.inf,
) -> Class:
    """Train students that have equally much to read.

    Args:
        students: S of them.
        recipe: the same for all.
        epochs: passes over what they read.
        device: of torch.
        rates: [S] largest learning rate of each, instead of the recipe's.
        deadline: of `time.monotonic()`.

    Raises:
        ValueError: the students differ in how much they read, learn from or check by.
        OutOfTime: the deadline passed before the last step.

    Cost: 6 n parameters a token.
    """
    text, dev = _Text(students, device), _stacked([student.checking() for student in students], device)
    models = [_model(student, recipe, text.length).to(device) for student in students]
    parameters, buffers = stack_module_state(models)
    call = _caller(models[0])
    optimiser = _AdamW(parameters, recipe.weight_decay, torch.tensor(rates or [recipe.lr] * len(students)).to(device))
    mute = _mute(students, device)
    steps = max(1, math.ceil(epochs * text.count / recipe.batch))
    when = {math.ceil((number + 1) * steps / recipe.checks) for number in range(recipe.checks)}
    best, lowest = {name: p.detach().clone() for name, p in parameters.items()}, torch.full((len(students),), math.inf)
    start, history, tokens = _rows(parameters, buffers), [], []
    torch.manual_seed(students[0].seed)
    # On a GPU products are rounded to 10 bits while training, which takes a third of the time; not when asking.
    torch.backends.cuda.matmul.allow_tf32 = True
    for step in range(1, steps + 1):
        if time.monotonic() > deadline:
            raise OutOfTime(f"step {step:,} of {steps:,} when the time was over")
        inputs, targets = text.batch(recipe.batch)
        _losses(call(parameters, buffers, inputs) + mute, targets).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step(_rate(step, steps))
        if step in when:
            found = _evaluate(models[0], call, parameters, buffers, *dev, mute)
            better = torch.nonzero(found < lowest)[:, 0].to(device)
            lowest = torch.minimum(lowest, found)
            for name, p in parameters.items():
                best[name][better] = p.detach()[better]
            history.append(found.numpy().astype(np.float64))
            tokens.append(int(text.read))
    torch.backends.cuda.matmul.allow_tf32 = False
    models[0].eval()
    return Class(best, buffers, np.array(history), np.array(tokens), start, call)


def _model(student: Learner, recipe: Recipe, length: int) -> LanguageModel:
    """Models of one seed have the same blocks, whatever their tables."""
    generator = torch.Generator().manual_seed(student.seed)
    shape = len(student.mute), recipe.dim
    tied = student.output == TIED
    first = Table(CONDITIONS[student.condition], student.table(0, recipe.dim), shape, generator)
    condition = CONDITIONS[student.condition if tied else student.output]
    last = Output(condition, student.table(1, recipe.dim), shape, generator, first, tied=tied)
    torch.manual_seed(student.seed)
    config = ModelConfig(shape[0], recipe.dim, recipe.layers, recipe.heads, recipe.dropout, max_length=length)
    return LanguageModel(config, first, last)


def _caller(model: LanguageModel) -> Callable[[dict[str, Tensor], dict[str, Tensor], Tensor], Tensor]:
    def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], tokens: Tensor) -> Any:
        return functional_call(model, (parameters, buffers), (tokens,))

    every = torch.vmap(one, randomness="different")

    def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], tokens: Tensor) -> Tensor:
        # The fused kernels have no rule for a batch of models.
        with sdpa_kernel(SDPBackend.MATH):
            logits: Tensor = every(parameters, buffers, tokens)
        return logits

    return call


class _AdamW:
    """AdamW on stacked parameters; they are many models', but every update is of single numbers.

    torch's own imports its compiler when it is first made, which takes longer than a smoke run.
    Source: Loshchilov and Hutter (2019).
    """

    def __init__(self, parameters: dict[str, Tensor], weight_decay: float, rates: Tensor) -> None:
        # A stacked matrix has three axes. Tables, norms and biases do not decay.
        decays = {name: weight_decay * (name.startswith("blocks") and p.dim() == 3) for name, p in parameters.items()}
        self._rows = [(p, torch.zeros_like(p), torch.zeros_like(p), decays[name]) for name, p in parameters.items()]
        self._rates, self._steps = rates, 0

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Update by the gradients, at a share of each model's learning rate, and forget them."""
        self._steps += 1
        first, second = 1.0 - BETAS[0] ** self._steps, 1.0 - BETAS[1] ** self._steps
        for p, mean, square, decay in self._rows:
            assert p.grad is not None
            mean.lerp_(p.grad, 1.0 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(p.grad, p.grad, value=1.0 - BETAS[1])
            rates = share * self._rates.view(-1, *[1] * (p.dim() - 1))
            if decay:
                p.mul_(1.0 - rates * decay)
            p.sub_((square / second).sqrt_().add_(1e-8).reciprocal_().mul_(mean).mul_(rates / first))
            p.grad = None


def _rate(step: int, steps: int) -> float:
    warmup = min(WARMUP, max(1, steps // 10))
    if step <= warmup:
        return step / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _mute(students: Sequence[Learner], device: str) -> Tensor:
    """[S, 1, 1, V]: minus infinity for what a student is never asked for."""
    never = torch.as_tensor(np.array([student.mute for student in students]))
    return torch.zeros(never.shape).masked_fill(never, -math.inf)[:, None, None].to(device)


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """[S] mean nats a token of each model."""
    flat = cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view(len(targets), -1).sum(1) / (targets != IGNORED).flatten(1).sum(1)


def _evaluate(model: LanguageModel, call: Any, parameters: Any, buffers: Any, inputs: Tensor, targets: Tensor,
              mute: Tensor) -> Tensor:  # fmt: skip
    model.eval()
    with torch.no_grad():
        found = _losses(call(parameters, buffers, inputs.long()) + mute, targets.long()).cpu()
    model.train()
    return found


class _Text:
    """What the students of a batch read, in order; those of one seed read alike, and UNKNOWN falls on the same tokens.

    Args:
        students: S.
        device: of the batches.
    """

    def __init__(self, students: Sequence[Learner], device: str) -> None:
        self._inputs, self._targets = _stacked([student.reading() for student in students], device)
        self.count, self.length = self._inputs.shape[1:]
        self._words, self._unknown = students[0].words, students[0].unknown
        self._device, self.read = device, 0
        self._rows = torch.arange(len(students), device=device)[:, None]
        share = [CONDITIONS[student.condition].unknown for student in students]
        self._share, self._drops = torch.tensor(share, device=device)[:, None, None], any(share)
        seeds = list(dict.fromkeys(student.seed for student in students))
        self._rngs = [np.random.default_rng([seed, 11]) for seed in seeds]
        self._of = np.array([seeds.index(student.seed) for student in students])
        self._queues = [np.zeros(0, np.int64)] * len(seeds)
        # Scored tokens of each of the first student's sentences.
        self._tokens = (self._targets[0] != IGNORED).sum(1).cpu().numpy()

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets [S, B, N] int64 of the next step."""
        for number, rng in enumerate(self._rngs):
            while len(self._queues[number]) < size:
                self._queues[number] = np.concatenate([self._queues[number], rng.permutation(self.count)])
        chosen = np.array([queue[:size] for queue in self._queues])[self._of]
        self._queues = [queue[size:] for queue in self._queues]
        self.read += int(self._tokens[chosen[0]].sum())
        where = torch.as_tensor(chosen).to(self._device)
        inputs, targets = self._inputs[self._rows, where].long(), self._targets[self._rows, where].long()
        if self._drops:
            drawn = np.array([rng.random((size, self.length), np.float32) for rng in self._rngs])[self._of]
            drops = (torch.as_tensor(drawn).to(self._device) < self._share) & (inputs < self._words)
            inputs = torch.where(drops, self._unknown, inputs)
        return inputs, targets


def _stacked(readings: Sequence[Reading], device: str) -> tuple[Tensor, Tensor]:
    """[S, n, N] int16 twice."""
    shapes = sorted({inputs.shape for inputs, _ in readings})
    if len(shapes) != 1:
        raise ValueError(f"students need equally many sentences, to learn from and to check, got {shapes}")
    inputs, targets = (torch.as_tensor(np.stack(side)).to(device) for side in zip(*readings, strict=True))
    return inputs, targets


def _rows(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
    own = {name: buffers[f"input_table.{name}"] for name in ("fixed", "scale", "project", "adapted")}
    free, adapter = (parameters[f"input_table.{name}"].detach() for name in ("free", "adapter"))
    rows = own["fixed"] + own["scale"].view(-1, 1, 1) * free @ own["project"]
    return rows + own["adapted"].view(-1, 1, 1) * (rows @ adapter)

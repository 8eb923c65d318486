"""Train many small models at once: one batch of models that differ in word vectors, seed and data, in step.

A model of 0.1M parameters leaves a GPU idle. `torch.func` stacks the parameters of S models, and one pass serves all of
them; the sum of their losses has the gradients of each. Nothing passes from model to model, but for rounding.

Axes: `S` models, `B` sentences of a batch, `N` = 11 positions, `V` vocabulary, `E` width.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.predetermined_embeddings_tables import (
    BOUNDARY,
    CONDITIONS,
    UNKNOWN,
    VOCABULARY,
    Output,
    Table,
    word_table,
)
from feasibility.toy_world.grammar import World
from feasibility.toy_world.sampling import LONGEST

IGNORED = -100
WARMUP = 30
BETAS = (0.9, 0.98)


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


@dataclass(frozen=True)
class Student:
    """One model of a batch.

    Args:
        condition: of the input, a name in `CONDITIONS`.
        output: of the output.
        world: whose words stand in the places.
        sentences: [n, 10] int64, what it learns from; -1 after the end.
        dev: [D, 10] int64, what chooses the state that is kept; without the silent places.
        silent: [W] bool, places that it is never asked for: they are taken out of the softmax in training.
        seed: of its parameters, table, order of sentences and dropout.
    """

    condition: str
    output: str
    world: World
    sentences: NDArray[np.int64]
    dev: NDArray[np.int64]
    silent: NDArray[np.bool_]
    seed: int


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
            every = tokens.to(self.start.device).expand(len(self.start), -1, -1)
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


def encode(sentences: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Sentences of places as inputs, which begin with BOUNDARY, and targets, which end with it; [B, 11] int64 each."""
    inputs = np.full((len(sentences), LONGEST + 1), BOUNDARY)
    targets = np.full((len(sentences), LONGEST + 1), IGNORED)
    inputs[:, 1:] = np.where(sentences >= 0, sentences, BOUNDARY)
    targets[:, :-1] = np.where(sentences >= 0, sentences, IGNORED)
    targets[np.arange(len(sentences)), (sentences >= 0).sum(axis=1)] = BOUNDARY
    return torch.as_tensor(inputs), torch.as_tensor(targets)


def teach(
    students: Sequence[Student],
    recipe: Recipe,
    epochs: float,
    device: str = "cpu",
) -> Class:
    """Train students that have equally many sentences.

    Args:
        students: S of them.
        recipe: the same for all.
        epochs: passes over the sentences.
        device: of torch.

    Raises:
        ValueError: the students have different numbers of sentences, or of dev sentences.

    Cost: 6 n parameters a token.
    """
    sizes = {(len(student.sentences), len(student.dev)) for student in students}
    if len(sizes) != 1:
        raise ValueError(f"students need equally many sentences, to learn from and to check, got {sorted(sizes)}")
    models = [_model(student, recipe).to(device) for student in students]
    parameters, buffers = stack_module_state(models)
    call = _caller(models[0])
    optimiser = _AdamW(parameters, recipe.weight_decay)
    mute = _mute(students, device)
    steps = max(1, math.ceil(epochs * sizes.pop()[0] / recipe.batch))
    when = {math.ceil((number + 1) * steps / recipe.checks) for number in range(recipe.checks)}
    pairs = [encode(student.dev) for student in students]
    dev_inputs, dev_targets = (torch.stack(x).to(device) for x in zip(*pairs, strict=True))
    best, lowest = {name: p.detach().clone() for name, p in parameters.items()}, torch.full((len(students),), math.inf)
    start, history, tokens, read = _rows(parameters, buffers), [], [], 0
    torch.manual_seed(students[0].seed)
    for step, (inputs, targets) in zip(range(1, steps + 1), _batches(students, recipe.batch), strict=False):
        _losses(call(parameters, buffers, inputs.to(device)) + mute, targets.to(device)).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step(recipe.lr * _rate(step, steps))
        read += int((targets[0] != IGNORED).sum())
        if step in when:
            found = _evaluate(models[0], call, parameters, buffers, dev_inputs, dev_targets, mute)
            better = torch.nonzero(found < lowest)[:, 0].to(device)
            lowest = torch.minimum(lowest, found)
            for name, p in parameters.items():
                best[name][better] = p.detach()[better]
            history.append(found.numpy().astype(np.float64))
            tokens.append(read)
    models[0].eval()
    return Class(best, buffers, np.array(history), np.array(tokens), start, call)


def _model(student: Student, recipe: Recipe) -> LanguageModel:
    """Models of one seed have the same blocks, whatever their tables."""
    generator = torch.Generator().manual_seed(student.seed)
    sides = []
    for number, (make, name) in enumerate(((Table, student.condition), (Output, student.output))):
        condition, fixed = CONDITIONS[name], None
        if condition.table:
            fixed = word_table(condition.table, student.world, recipe.dim, 2 * student.seed + number, student.sentences)
        sides.append(make(condition, fixed, recipe.dim, generator))
    torch.manual_seed(student.seed)
    config = ModelConfig(VOCABULARY, recipe.dim, recipe.layers, recipe.heads, recipe.dropout, max_length=LONGEST + 1)
    return LanguageModel(config, *sides)


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

    def __init__(self, parameters: dict[str, Tensor], weight_decay: float) -> None:
        # A stacked matrix has three axes. Tables, norms and biases do not decay.
        decays = {name: weight_decay * (name.startswith("blocks") and p.dim() == 3) for name, p in parameters.items()}
        self._rows = [(p, torch.zeros_like(p), torch.zeros_like(p), decays[name]) for name, p in parameters.items()]
        self._steps = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update by the gradients and forget them."""
        self._steps += 1
        first, second = 1.0 - BETAS[0] ** self._steps, 1.0 - BETAS[1] ** self._steps
        for p, mean, square, decay in self._rows:
            assert p.grad is not None
            mean.lerp_(p.grad, 1.0 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(p.grad, p.grad, value=1.0 - BETAS[1])
            p.mul_(1.0 - lr * decay)
            p.addcdiv_(mean, (square / second).sqrt_().add_(1e-8), value=-lr / first)
            p.grad = None


def _rate(step: int, steps: int) -> float:
    warmup = min(WARMUP, max(1, steps // 10))
    if step <= warmup:
        return step / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _mute(students: Sequence[Student], device: str) -> Tensor:
    """[S, 1, 1, V]: minus infinity for what a student is never asked for; UNKNOWN is such for all."""
    mute = torch.zeros(len(students), 1, 1, VOCABULARY)
    mute[..., UNKNOWN] = -math.inf
    for number, student in enumerate(students):
        mute[number, ..., : len(student.silent)][..., torch.as_tensor(student.silent)] = -math.inf
    return mute.to(device)


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """[S] mean nats a token of each model."""
    flat = cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view(len(targets), -1).sum(1) / (targets != IGNORED).flatten(1).sum(1)


def _evaluate(model: LanguageModel, call: Any, parameters: Any, buffers: Any, inputs: Tensor, targets: Tensor,
              mute: Tensor) -> Tensor:  # fmt: skip
    model.eval()
    with torch.no_grad():
        found = _losses(call(parameters, buffers, inputs) + mute, targets).cpu()
    model.train()
    return found


def _batches(students: Sequence[Student], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Without end; students of one seed read in the same order, and UNKNOWN falls on the same tokens."""
    encoded = [encode(student.sentences) for student in students]
    share = torch.tensor([CONDITIONS[student.condition].unknown for student in students])
    generators = [np.random.default_rng([student.seed, 11]) for student in students]
    count, queues = len(students[0].sentences), [np.zeros(0, np.int64)] * len(students)
    while True:
        inputs, targets = [], []
        for number, rng in enumerate(generators):
            while len(queues[number]) < size:
                queues[number] = np.concatenate([queues[number], rng.permutation(count)])
            chosen, queues[number] = queues[number][:size], queues[number][size:]
            drops = torch.as_tensor(rng.random((size, LONGEST + 1))) < share[number]
            read, asked = encoded[number][0][chosen], encoded[number][1][chosen]
            inputs.append(torch.where(drops & (read != BOUNDARY), UNKNOWN, read))
            targets.append(asked)
        yield torch.stack(inputs), torch.stack(targets)


def _rows(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
    own = {name: buffers[f"input_table.{name}"] for name in ("fixed", "scale", "project", "adapted")}
    free, adapter = (parameters[f"input_table.{name}"].detach() for name in ("free", "adapter"))
    rows = own["fixed"] + own["scale"].view(-1, 1, 1) * free @ own["project"]
    return rows + own["adapted"].view(-1, 1, 1) * (rows @ adapter)

"""One training as a plain value: what, how large, on what, for how long; and what is left of it.

trained = Recipe(data, spec, dim=384, layers=6, heads=6, length=2048, batch=16, steps=400).train("cuda:0")
trained.model, trained.make_plan, trained.facts
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feasibility.lm.data import Corpus
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Pattern, Spec, make_pattern
from feasibility.lm.train import Batches, MakePlan, TrainConfig, train
from sparse_attn.api import Backend

RATE = 2e-3


@dataclass(frozen=True)
class Recipe:
    """What is trained.

    Args:
        data: corpus of `feasibility.lm.data`.
        spec: of the pattern.
        dim: width.
        layers: blocks.
        heads: heads.
        length: pieces of a chunk.
        batch: chunks of an update.
        steps: updates.
        seed: of weights and of the order of the text.
        compiled: torch.compile on a GPU.
        backend: of `class_attention`.
        rate_of: the width whose learning rate is 2e-3; others have one in inverse proportion, for every pattern.
    """

    data: Path
    spec: Spec
    dim: int
    layers: int
    heads: int
    length: int
    batch: int
    steps: int
    seed: int = 0
    compiled: bool = True
    backend: Backend = "auto"
    rate_of: int = 384

    @property
    def rate(self) -> float:
        """The largest learning rate."""
        return RATE * self.rate_of / self.dim

    def corpus(self) -> Corpus:
        """The text."""
        return Corpus.load(self.data)

    def fresh(self, corpus: Corpus, device: str) -> LanguageModel:
        """The model as it is before training."""
        torch.manual_seed(self.seed)
        sizes = ModelConfig(
            len(corpus.vocab), self.dim, self.layers, self.heads, max_length=self.length, backend=self.backend
        )
        return LanguageModel(sizes).to(device)

    def train(self, device: str, deadline: float = math.inf, log_every: int = 10) -> Trained:
        """Train; what comes back is not compiled, so that it can be scored on texts of any shape.

        Args:
            device: "cpu", "cuda:1".
            deadline: of `time.time()`, after which no step is begun.
            log_every: steps between two noted losses.

        Raises:
            UnknownPattern, CorpusCorrupt, FileNotFoundError, FloatingPointError: see there.
        """
        corpus = self.corpus()
        pattern = make_pattern(self.spec, corpus.tables, self.length)
        ids = torch.from_numpy(corpus.ids["train"].astype(np.int32)).to(device)
        model = self.fresh(corpus, device)
        on_gpu = device.startswith("cuda")
        config = TrainConfig(
            self.steps, self.rate, warmup=max(1, min(100, self.steps // 10)), seed=self.seed,
            log_every=log_every, compiled=self.compiled and on_gpu,
        )  # fmt: skip
        batches = Batches(ids, self.length, self.batch, self.seed)
        result = train(
            model, batches, config, make_plan=None if pattern.rules is None else pattern.plan,
            deadline=math.inf if math.isinf(deadline) else time.monotonic() + deadline - time.time(),
        )  # fmt: skip
        facts = {
            "spec": dataclasses.asdict(self.spec),
            "seed": self.seed,
            "rate": self.rate,
            "steps": self.steps,
            "tokens": self.steps * self.batch * self.length,
            "batch": self.batch,
            "model": dataclasses.asdict(model.config),
            "parameters": model.parameter_count(),
            "trained": result.finished,
            "losses": {str(step): round(loss, 4) for step, loss in result.losses.items()},
            "train_s": round(result.seconds, 2),
            "tokens_per_second": round(result.tokens_per_second),
        }
        if on_gpu:
            facts["peak_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
        plain = self.fresh(corpus, device)
        plain.load_state_dict(model.state_dict())
        return Trained(plain.eval(), pattern, corpus, facts)


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Args:
        model: not compiled, ready to be scored.
        pattern: who sees whom in it.
        corpus: its text.
        facts: sizes, losses, speed, for the record.
    """

    model: LanguageModel
    pattern: Pattern
    corpus: Corpus
    facts: dict[str, Any]

    @property
    def make_plan(self) -> MakePlan | None:
        """As `train` and `evaluate` want it."""
        return None if self.pattern.rules is None else self.pattern.plan

    def longer(self, length: int) -> LanguageModel:
        """The same model with a table of angles for longer texts."""
        weight = next(self.model.parameters())
        model = LanguageModel(dataclasses.replace(self.model.config, max_length=length)).to(weight.device)
        model.load_state_dict(self.model.state_dict())
        return model.eval()

    def ids(self, part: str) -> Tensor:
        """A part of the text as int64 [T], on the CPU."""
        return torch.from_numpy(self.corpus.ids[part].astype(np.int64))  # type: ignore[index]

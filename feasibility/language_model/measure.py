"""What the experiment `language_model` measures on the machine at hand: small models on two novels that are shipped.

B batch, N tokens of a chunk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from feasibility.environment import ROOT
from feasibility.harness import DataRecord, Track
from feasibility.lm.data import Corpus
from feasibility.lm.evaluate import Scores, evaluate
from feasibility.lm.model import LanguageModel, Mixer, ModelConfig, Plan
from feasibility.lm.patterns import Pattern, Spec, fit, make_pattern, sample_chunks
from feasibility.lm.train import Batches, MakePlan, TrainConfig, TrainingStep, train
from sparse_attn import ClassRules, plan_classes
from sparse_attn.api import Backend

SAMPLE = ROOT / "feasibility" / "data" / "novels-sample.npz"
HEADLINE = "predetermined/64"
# Bond rules in every mode, with every kind of edge, bounds, and heads in groups.
MODES = (
    "original/full", "original/pos_only", "original/features_only", "original/none", "original/full/soft",
    "original/pos_only/escape+window", "bonds/full+valence", "bonds/features_only/soft", "window|predetermined/64",
)  # fmt: skip
CAUSAL = (
    HEADLINE, "distributional/64", "log-sparse", "window", "sinks", "separators", "dilated", "linear",
    "original/full", "bonds/full/soft", "original/pos_only/escape+window", "window|predetermined/64",
)  # fmt: skip
# At twice this rate the loss curves of one function part by rounding alone (docs/language_model.md).
BATCH, RATE = 4, 2e-3
# So much, relatively, is changed in the weights to see how far rounding alone carries a run.
JITTER = 1e-7
WIDTH, LAYERS, HEADS = 64, 2, 4


@dataclass(frozen=True)
class Lab:
    """A text, and the models that are trained on it.

    Args:
        corpus: the shipped sample.
        length: N.
        seed: the first seed of models; others count up.
    """

    corpus: Corpus
    length: int
    seed: int
    ids: dict[str, Tensor] = field(repr=False)

    def model(self, seed: int, backend: Backend = "auto", mixer: Mixer = "attention") -> LanguageModel:
        """A fresh model of 0.24 million parameters."""
        torch.manual_seed(seed)
        vocab = len(self.corpus.vocab)
        sizes = ModelConfig(vocab, WIDTH, LAYERS, HEADS, max_length=self.length, backend=backend, mixer=mixer)
        return LanguageModel(sizes)

    def batches(self, seed: int) -> Batches:
        """The train part in the order of a seed."""
        return Batches(self.ids["train"], self.length, BATCH, seed)

    def pattern(self, name: str, keys: float) -> Pattern:
        """A pattern of so many visible keys, counted on the dev part."""
        chunks = sample_chunks(self.corpus.ids["dev"], self.length, 4)
        return make_pattern(fit(Spec(name), keys, self.corpus.tables, chunks), self.corpus.tables, self.length)


def open_lab(length: int, seed: int) -> Lab:
    """Read the shipped novels."""
    corpus = Corpus.load(SAMPLE)
    return Lab(corpus, length, seed, {part: torch.from_numpy(x.astype("int32")) for part, x in corpus.ids.items()})


def sample_record() -> DataRecord:
    """Which text it is."""
    return DataRecord.of_shipped("novels-sample", "143e601", SAMPLE, "public domain")


def config_of(steps: int, seed: int) -> TrainConfig:
    """How all small models are trained; every loss is noted."""
    return TrainConfig(steps, RATE, warmup=max(1, steps // 10), seed=seed, log_every=1)


def backend_losses(
    lab: Lab, pattern: Pattern, backend: Backend, steps: int, jitter: float = 0.0, of: int | None = None
) -> dict[int, float]:
    """The loss of every step of one and the same training, its attention computed by a backend.

    Args:
        lab: text and models.
        pattern: who sees whom.
        backend: of `class_attention`.
        steps: of training.
        jitter: the weights are multiplied by 1 + jitter * normal noise before the first step.
        of: as many steps as the learning rate is planned for, of which `steps` are made; all of them by default.
    """
    model = lab.model(lab.seed, backend)
    generator = torch.Generator().manual_seed(lab.seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1 + jitter * torch.randn(weights.shape, generator=generator))
    batches = lab.batches(lab.seed)
    config, losses = config_of(steps if of is None else of, lab.seed), {}
    run = TrainingStep(model, config)
    for step in range(steps):
        inputs, targets, *_ = batches[step]
        run(step, inputs, targets, None if pattern.make_plan is None else pattern.make_plan(inputs))
        total, count = run.sums.tolist()
        run.sums.zero_()
        losses[step + 1] = total / count
    return losses


def mode_gap(lab: Lab, name: str, steps: int) -> float:
    """The largest relative difference in loss between sparse attention and the dense mask under a pattern."""
    pattern = make_pattern(Spec(name, window=8, valence=1), lab.corpus.tables, lab.length)
    sparse, mask = (backend_losses(lab, pattern, backend, steps) for backend in ("auto", "reference"))
    return largest_gap(sparse, mask)


def largest_gap(one: dict[int, float], other: dict[int, float]) -> float:
    """The largest relative difference of two loss curves, over the steps that the first has."""
    return max(abs(one[step] - other[step]) / abs(other[step]) for step in one)


def resume_gap(lab: Lab, pattern: Pattern, steps: int) -> tuple[float, float]:
    """Largest difference in loss between a run that broke off half-way and went on, and one that did not.

    Returns: that, in nats; and the same between two runs that differ in the seed, to compare with.
    """
    config = dataclasses.replace(config_of(steps, lab.seed), save_every=max(1, steps // 3))

    def losses(seed: int, checkpoint: Path | None = None, broken_at: int | None = None) -> dict[int, float]:
        batches = lab.batches(seed)
        source = batches if broken_at is None else _Broken(batches, broken_at)
        changed = dataclasses.replace(config, seed=seed)
        return train(lab.model(seed), source, changed, checkpoint, make_plan=pattern.plan).losses

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "run.pt"
        with contextlib.suppress(_PowerCut):
            losses(lab.seed, checkpoint, broken_at=steps // 2)
        resumed = losses(lab.seed, checkpoint)
    whole, other = losses(lab.seed), losses(lab.seed + 1)
    return tuple(max(abs(run[step] - whole[step]) for step in whole) for run in (resumed, other))  # type: ignore[return-value]


class _PowerCut(Exception):
    """The run ends here; the test suite does the same with kill -9."""


class _Broken:
    """Batches that end the run at a step."""

    def __init__(self, batches: Batches, at: int) -> None:
        self._batches, self._at = batches, at

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        if step == self._at:
            raise _PowerCut
        return self._batches[step]


def changed_rows(lab: Lab, cuts: list[int]) -> tuple[int, int, int]:
    """How many rows of logits up to t change, be it in the last bit, when all tokens after t are drawn anew.

    Returns: of the patterns `CAUSAL`; of a model whose classes know the next token, which a check that works must find;
        and how many rows were compared for each of the two.
    """
    tokens = sample_chunks(lab.corpus.ids["dev"], lab.length, 2)
    generator = torch.Generator().manual_seed(lab.seed)
    attention, linear = (lab.model(lab.seed, mixer=mixer).eval() for mixer in ("attention", "linear"))
    changed = peeked = rows = 0
    for name in CAUSAL:
        pattern = make_pattern(Spec(name, window=8, valence=1), lab.corpus.tables, lab.length)
        for cut in cuts:
            redrawn = _redrawn(tokens, cut, len(lab.corpus.vocab), generator)
            model = linear if pattern.mixer == "linear" else attention
            changed += _differences(model, pattern.plan, tokens, redrawn, cut)
            peeked += _differences(attention, _peeking, tokens, redrawn, cut)
            rows += len(tokens) * (cut + 1)
    return changed, peeked, rows


def _redrawn(tokens: Tensor, cut: int, vocab: int, generator: torch.Generator) -> Tensor:
    later = torch.arange(tokens.shape[1]) > cut
    return torch.where(later, torch.randint(vocab, tokens.shape, generator=generator), tokens)


@torch.no_grad()
def _differences(model: LanguageModel, make_plan: MakePlan, tokens: Tensor, redrawn: Tensor, cut: int) -> int:
    before, after = (model(x, make_plan(x))[:, : cut + 1] for x in (tokens, redrawn))
    return int((before != after).any(-1).sum())


def _peeking(tokens: Tensor) -> Plan:
    """Classes that depend on the next token, as those of a tagger that sees whole sentences do."""
    classes = tokens.roll(-1, dims=1) % 16
    return plan_classes(classes, ClassRules(torch.ones(16, 16, dtype=torch.bool), window=8, valence=2))


def small_scores(lab: Lab, patterns: list[Pattern], steps: int, seeds: int, track: Track) -> dict[str, list[Scores]]:
    """Held-out scores of small models, one entry a seed, on the test novel."""
    found: dict[str, list[Scores]] = {pattern.spec.name: [] for pattern in patterns}
    runs = [(pattern, lab.seed + place) for place in range(seeds) for pattern in patterns]
    for pattern, seed in track(runs, "training"):
        make_plan = pattern.make_plan
        model = lab.model(seed)
        train(model, lab.batches(seed), config_of(steps, seed), make_plan=make_plan)
        text = lab.ids["test"][: 40 * lab.length]
        found[pattern.spec.name].append(evaluate(model, text, lab.length, BATCH, make_plan=make_plan))
    return found

"""Can word vectors that are known before training replace learned ones, and where is that more than a formality?

    python -m feasibility.predetermined_embeddings                  # 3 seeds of a small model, and the recorded whole
    python -m feasibility.predetermined_embeddings --full --keep results/predetermined   # the whole protocol; goes on
                                                                                         # where it was interrupted

The roadmap's gate, at most 20 % worse than learned, is passed by any full-rank table, random ones included: the first
layer undoes it. So the same tables are also asked what a random one cannot do: learn from 500 sentences, read words
and pairs of words that were never seen, and do worse where the table is wrong. All against the exact entropy of a toy
world.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feasibility.harness import Artifact, Criterion, Experiment, Outcome, Track
from feasibility.toy_world import record


class BadConfig(ValueError):
    """A configuration that no run can have; the message says which value and what it may be."""


@dataclass(frozen=True)
class Config:
    """What is trained, on how much, and how often."""

    seed: int = 0
    """First seed, of sentences, parameters and what is held out; further ones count up."""
    seeds: int = 3
    """How many seeds of every kind of model; 10 with --full."""
    sentences: int = 10_000
    """Sentences of the roadmap's comparison."""
    few: int = 500
    """Sentences of the comparison that has power."""
    curve: tuple[int, ...] = ()
    """Further numbers of sentences for the data curve; 100 to 100,000 with --full."""
    unseen: int = 500
    """Sentences to learn from before words and pairs that were held out are asked for; 2,000 with --full."""
    test: int = 300
    """Test sentences, all with their exact laws."""
    passes: float = 7.0
    """Passes over 500 sentences; over more of them fewer, but more steps."""
    dim: int = 32
    """Width of the transformer; 144 with --full."""
    layers: int = 2
    """Layers of the transformer; 4 with --full, which makes a million parameters."""
    heads: int = 1
    """Attention heads; 4 with --full."""
    shots: tuple[int, ...] = (4,)
    """How often new words occur in training after all; 1 to 16 with --full."""
    tokens: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Words of real text to learn from, with --full; what the text does not have is left out."""
    full: bool = False
    """The whole protocol: every condition, 10 seeds, recipes chosen on dev sentences, novels. Numbers that are given as
    their defaults are raised, too. Minutes on a GPU, or a night."""
    text: Path | None = None
    """Novels in words, of feasibility.predetermined_embeddings.text; with --full, by default the three shipped ones."""
    device: str = "auto"
    """Where to train: cpu, cuda, or auto for a GPU where there is one."""
    workers: int = 0
    """Processes that train, of one thread each; 0 for as many as there are cores."""
    minutes: float = 0.0
    """Stop after so long, and go on in another run with the same --keep; 0 for no limit."""
    keep: Path | None = None
    """Folder for finished parts, so that an interrupted run goes on where it was."""

    @property
    def processes(self) -> int:
        """Processes that train."""
        return self.workers or os.cpu_count() or 1


# What --full changes, where no flag says otherwise.
FULL = {
    "seeds": 10, "curve": (100, 300, 1_000, 3_000, 30_000, 100_000), "shots": (1, 2, 4, 8, 16), "unseen": 2_000,
    "test": 1_000, "passes": 20.0, "dim": 144, "layers": 4, "heads": 4,
}  # fmt: skip

CRITERIA = (
    Criterion(
        metric="ppl_gap",
        op="<=",
        threshold=20.0,
        why="The roadmap's gate at 10,000 sentences. It has next to no power: random tables pass it as well.",
        baseline="gaussian",
        roadmap="G2",
    ),
    Criterion(
        metric="saved_few",
        op=">",
        threshold=0.0,
        why="From 500 sentences a table that knows something must come nearer to the floor than a learned one (nats a "
        "token, learned minus predetermined).",
        baseline="shuffled",
    ),
    Criterion(
        metric="saved_few_shuffled",
        op="<=",
        threshold=0.02,
        why="The same rows dealt out to other words must gain next to nothing, or it is not knowledge that helps.",
        baseline="gaussian",
    ),
    Criterion(
        metric="cost_of_wrong",
        op=">",
        threshold=0.0,
        why="In a world whose nouns, verbs and adjectives have changed places the same table must do worse (nats a "
        "token at 500 sentences, misaligned minus aligned).",
        baseline="half aligned",
    ),
    Criterion(
        metric="new_words_over_unknown",
        op=">",
        threshold=0.0,
        why="After a word never seen in training, the predetermined row must predict better than the row for unknown "
        "words (nats, UNK minus predetermined).",
        baseline="shuffled",
    ),
    Criterion(
        metric="new_words_over_class_mean",
        op=">",
        threshold=0.0,
        why="It must also beat the mean of the learned rows of the same part of speech.",
        baseline="shuffled",
    ),
    Criterion(
        metric="new_pairs_auc",
        op=">=",
        threshold=0.85,
        why="A pair of words that is licensed but was never seen together must be preferred to one that is not "
        "licensed.",
        baseline="learned",
    ),
    Criterion(
        metric="new_pairs_gain",
        op=">",
        threshold=0.0,
        why="That area under the curve must be larger than with a learned table.",
        baseline="shuffled",
    ),
)


def run(config: Config, track: Track) -> Outcome:
    """Train every kind of model of the protocol and compare them; pure, but for the folder that `config.keep` names.

    Raises:
        BadConfig: a number that is too small, or a device that is not there.
    """
    # torch is imported when something is trained, so that `--help` and the list of experiments stay quick.
    from feasibility.predetermined_embeddings import figures, findings
    from feasibility.predetermined_embeddings.protocol import carry_out
    from feasibility.predetermined_embeddings.record import charts, read_record, shown

    config = completed(config)
    _check(config)
    results = carry_out(config, track)
    metrics, baselines = findings.metrics(config, results), findings.baselines(config, results)
    recorded = None if config.full else read_record()
    return Outcome(
        metrics=metrics | (shown(recorded) if recorded else {}),
        baselines=baselines,
        data=tuple(x for x in (record(), results.text, recorded.source if recorded else None) if x),
        artifacts=(
            Artifact(
                "saved.svg",
                figures.saved_chart(results.groups["few"], results.tokens, config.few),
                f"Nats a token saved against a learned table, from {config.few:,} sentences, with 95 % intervals of "
                "the paired difference over seeds and sentences. Right is better.",
            ),
            Artifact(
                "unseen.svg",
                figures.unseen_chart(results.groups["words"], config.unseen),
                "The word after one that was never seen in training: nats above the exact law. A dot is a seed with "
                "its own new words.",
            ),
            *charts(recorded.metrics if recorded else metrics, recorded=recorded is not None),
        ),
        caveats=findings.caveats(config, results, recorded),
        finding=findings.finding(config, metrics, baselines, recorded),
    )


def completed(config: Config) -> Config:
    """With what --full changes, where no flag says otherwise."""
    if not config.full:
        return config
    usual = Config()
    changes: dict[str, Any] = {k: v for k, v in FULL.items() if getattr(config, k) == getattr(usual, k)}
    return dataclasses.replace(config, **changes)


def _check(config: Config) -> None:
    least = {"seeds": 2, "sentences": 1, "few": 1, "unseen": 1, "test": 2, "dim": 32, "layers": 1, "heads": 1,
             "workers": 0, "minutes": 0}  # fmt: skip
    for name, bound in least.items():
        if getattr(config, name) < bound:
            raise BadConfig(f"{name} is {getattr(config, name)}, expected at least {bound}")
    if config.dim % (2 * config.heads):
        raise BadConfig(f"dim is {config.dim}, expected a multiple of 2 * heads = {2 * config.heads}")
    if not (math.isfinite(config.passes) and config.passes > 0):
        raise BadConfig(f"passes is {config.passes}, expected a number above 0")
    if config.device not in ("auto", "cpu", "cuda"):
        raise BadConfig(f"device is {config.device!r}, expected auto, cpu or cuda")


EXPERIMENT = Experiment(
    name="predetermined_embeddings",
    title="Word vectors that are known before training",
    claim="Predetermined word vectors are at most 20 % worse than learned ones, and better where learning has little "
    "to go by: few sentences, unseen pairs, unseen words.",
    config=Config,
    smoke=Config(
        seeds=2,
        sentences=60,
        few=30,
        curve=(),
        unseen=40,
        test=10,
        passes=0.5,
        dim=32,
        layers=1,
        heads=1,
        shots=(1,),
        workers=1,
    ),
    criteria=CRITERIA,
    run=run,
    presentation=("keep", "device", "workers", "minutes", "text"),
)

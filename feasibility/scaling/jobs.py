"""The trainings of the experiment `scaling`: several sizes, three patterns, the same text in the same order for all.

    PYTHONPATH=. python3 -c "
    from feasibility.scaling.jobs import Options, run
    run(Options())"

Needs torch, triton and numpy alone. Lines go to OUT/*.jsonl; `feasibility.scaling.record` keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feasibility.lm.evaluate import Scores, evaluate
from feasibility.lm.fleet import Line, Save, run_all
from feasibility.lm.patterns import Spec, read_specs
from feasibility.lm.recipe import Recipe

SCHEMA = "asa.scaling-run.v1"
# Name -> width, layers, heads of 64; parameters with a vocabulary of 8,192.
SIZES = {"5M": (192, 4, 3), "17M": (384, 6, 6), "60M": (640, 10, 10), "119M": (768, 15, 12), "337M": (1152, 20, 18)}
PATTERNS = ("dense", "window", "predetermined/64")


@dataclass(frozen=True)
class ScalingJob:
    """One training, scored on dev and test."""

    size: str
    recipe: Recipe

    @property
    def key(self) -> str:
        """Names the line."""
        recipe = self.recipe
        return f"scaling {self.size} {recipe.spec.name} seed={recipe.seed} steps={recipe.steps}x{recipe.batch}"

    def run(self, device: str, deadline: float, save: Save) -> None:
        """See `feasibility.lm.fleet.Job`; a training that the deadline cut off is not saved."""
        trained = self.recipe.train(device, deadline)
        if not trained.facts["trained"]:
            return
        line: Line = {"schema": SCHEMA, "key": self.key, "size": self.size, "finished": True, **trained.facts}
        for part in ("dev", "test"):
            scores = evaluate(
                trained.model, trained.ids(part), self.recipe.length, self.recipe.batch, make_plan=trained.make_plan
            )
            line[part] = scored(scores)
        save(line)


def scored(scores: Scores) -> Line:
    """As JSON: nats of each chunk, and by position in 16 equal stretches."""
    return {
        "per_token": round(scores.per_token, 5),
        "nats": [round(float(x), 3) for x in scores.nats],
        "tokens": int(scores.tokens[0]),
        "by_position": [round(float(x.mean()), 5) for x in np.array_split(scores.by_position, 16)],
    }


@dataclass(frozen=True)
class Options:
    """What is trained, and how long."""

    data: Path = Path(".lab/lm.npz")
    specs: Path = Path(".lab/patterns.json")
    out: Path = Path("runs")
    sizes: tuple[str, ...] = ("17M", "119M", "5M", "60M")
    patterns: tuple[str, ...] = PATTERNS
    seeds: tuple[int, ...] = (0,)
    steps: int = 300
    length: int = 2048
    batch: int = 16
    compiled: bool = True
    minutes: float = 4.0


def jobs(options: Options) -> list[ScalingJob]:
    """Seed by seed, size by size."""
    specs: dict[str, Spec] = read_specs(options.specs)
    return [
        ScalingJob(
            size,
            Recipe(
                options.data, specs[name], *SIZES[size], options.length, options.batch, options.steps, seed,
                compiled=options.compiled,
            ),
        )
        for seed in options.seeds
        for size in options.sizes
        for name in options.patterns
    ]  # fmt: skip


def run(options: Options) -> dict[str, Line]:
    """Train what is not there yet; see `feasibility.lm.fleet.run_all`."""
    return run_all(jobs(options), options.out, options.minutes)

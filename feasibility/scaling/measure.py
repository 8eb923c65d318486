"""What the experiment `scaling` trains on the machine at hand: tiny models of three sizes on a shipped novel."""

from __future__ import annotations

from collections.abc import Sequence

from feasibility.harness import Track
from feasibility.language_model.measure import HEADLINE, SAMPLE, open_lab
from feasibility.lm.evaluate import evaluate
from feasibility.lm.fleet import Line
from feasibility.lm.patterns import Spec
from feasibility.lm.recipe import Recipe
from feasibility.scaling.jobs import scored

# Width, layers, heads.
TINY = ((32, 1, 2), (48, 2, 2), (64, 2, 2))
LENGTH, BATCH = 128, 4


def tiny_lines(sizes: Sequence[tuple[int, int, int]], steps: int, keys: float, seed: int, track: Track) -> list[Line]:
    """Train each size with dense attention and with typed memory of so many keys; lines as those of `ScalingJob`."""
    typed = open_lab(LENGTH, seed).pattern(HEADLINE, keys).spec
    runs = [(size, spec) for size in sizes for spec in (Spec("dense"), typed)]
    lines = []
    for size, spec in track(runs, "training"):
        trained = Recipe(SAMPLE, spec, *size, LENGTH, BATCH, steps, seed, rate_of=64).train("cpu", log_every=1)
        text = trained.ids("test")[: 60 * LENGTH]
        scores = evaluate(trained.model, text, LENGTH, BATCH, make_plan=trained.make_plan)
        lines.append({**trained.facts, "test": scored(scores)})
    return lines

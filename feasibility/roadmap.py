"""The roadmap's criteria as data: what the project promised to measure, in the roadmap's own substance.

An experiment covers a criterion by naming its id in `Criterion.roadmap`. What no experiment covers is reported as
"not measured", never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Item:
    """One criterion of the roadmap.

    Args:
        id: as the experiments and the scorecard name it.
        track: whose success it measures.
        phase: heading under which the scorecard lists it.
        statement: what must hold.
        threshold: as the roadmap states it.
    """

    id: str
    track: Literal["incremental", "radical"]
    phase: str
    statement: str
    threshold: str


def _items(track: Literal["incremental", "radical"], phase: str, *rows: tuple[str, str, str]) -> tuple[Item, ...]:
    return tuple(Item(name, track, phase, statement, threshold) for name, statement, threshold in rows)


ITEMS: tuple[Item, ...] = (
    *_items(
        "radical",
        "Radical feasibility (month 3)",
        ("G1", "Coherent coordinates for 100 words: they predict bonds", "coverage and bonds > 70 %"),
        ("G2", "Predetermined embeddings against learned ones", "≤ 20 % worse"),
        ("G3a", "Molecular-dynamics parser: steps to convergence", "≤ 100 steps"),
        ("G3b", "Molecular-dynamics parser: accuracy on the toy grammar", "≥ 80 %"),
        ("G3c", "Molecular-dynamics parser: cost", "≤ O(n^2)"),
        ("G4", "Hyperbolic geometry against Euclidean", "≥ 5 % benefit"),
    ),
    *_items(
        "incremental",
        "Sparse kernels (phase 1)",
        ("C1.1", "Perplexity of the sparse model against the dense-mask one", "within 0.5 %"),
        ("C1.2", "Wall-clock speedup at n = 1,024", "> 1.5 x"),
        ("C1.3", "Memory saved", "≥ 20 %"),
        ("C1.4", "All ablation modes work", "all"),
    ),
    *_items(
        "incremental",
        "Long context (phase 2)",
        ("C2.1", "Speedup grows with the sequence length", "slope > 0"),
        ("C2.2", "Perplexity at long context against the baselines", "competitive or better"),
        ("C2.3", "Speedup at n = 4,096", "≥ 2 x"),
        ("C2.4", "Contexts that the dense baseline cannot hold", "longer than dense"),
    ),
    *_items(
        "incremental",
        "Scale (phase 3)",
        ("C3.1", "H6: attention mass on the linguistic mask, with matched controls beside it", "≥ 70 %"),
        ("C3.2", "Convergence speedup at 100M parameters", "≥ 20 %"),
        ("C3.3", "Perplexity at scale against the baseline", "competitive"),
        ("C3.4", "Wall-clock speedup of whole training steps", "> 1 x"),
        ("S6", "Wall-clock speedup from n = 1,024 on (success metric of month 6)", "≥ 2 x"),
    ),
    *_items(
        "radical",
        "Radical prototype (month 6)",
        ("R3a", "The integrated prototype works on the toy task", "works"),
        ("R3b", "Its computational cost against the learned baseline", "favourable"),
        ("R3c", "It scales: WordNet-scale table, 1,000-word language model", "scales"),
    ),
    *_items(
        "incremental",
        "Publication (phase 4)",
        ("C4.1", "Paper submitted", "done"),
        ("C4.2", "Code released and documented", "done"),
        ("C4.3", "Feedback from the community", "received"),
        ("C4.4", "Reproduced by others", "done"),
    ),
)

BY_ID = {item.id: item for item in ITEMS}

# The go/no-go gates of month 3: each is met when all its criteria are.
MONTH_3_GATES: dict[str, tuple[str, ...]] = {
    "G1 periodic table": ("G1",),
    "G2 predetermined embeddings": ("G2",),
    "G3 molecular-dynamics parser": ("G3a", "G3b", "G3c"),
    "G4 hyperbolic geometry": ("G4",),
}
# What month 6 asks: "Sparse attention working? Benchmarks good?" and "Prototype working? Feasible to scale?"
MONTH_6_INCREMENTAL = ("C1.1", "C1.2", "C1.3", "C1.4", "C2.1", "C2.2", "C2.3", "C2.4", "S6")
MONTH_6_RADICAL = ("R3a", "R3b", "R3c")

"""The rated data sets with their controls: metrics and baselines of the experiment `periodic_table`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from feasibility.datasets import record
from feasibility.periodic_table import norms
from feasibility.periodic_table.norms import PLAUSIBILITY, here
from feasibility.periodic_table.sources import Source, pos_only

if TYPE_CHECKING:
    from feasibility.periodic_table.measure import Found, Run


def measure_norms(run: Run, found: Found) -> None:
    """Plausibility, similarity and concreteness, each where its data are at hand."""
    for relation in PLAUSIBILITY:
        if here(f"sp-10k-{relation}"):
            found.data.append(record(f"sp-10k-{relation}"))
            _plausibility(run, found, relation)
    if here("simlex-999"):
        found.data.append(record("simlex-999"))
        _similarity(run, found)
    if here("concreteness"):
        found.data.append(record("concreteness"))
        _concreteness(run, found)


def _others(run: Run) -> dict[str, Source]:
    return {"pos_only": pos_only(), **run.controls}


def _plausibility(run: Run, found: Found, relation: str) -> None:
    pairs, name, seed = norms.plausibility_pairs(relation), f"sp10k_{relation}", run.config.seed
    metric, whole = norms.measured_plausibility(pairs, norms.plausibility(pairs, run.ours, seed), seed)
    found.metrics[name] = metric
    found.beside("whole_set", {name: whole})
    # Of the part of speech alone nothing can be learned here: it is the same in all pairs.
    found.beside("pos_only", {name: 0.0})
    for other, source in run.controls.items():
        guess = norms.plausibility(pairs, source, seed)
        found.beside(other, {name: norms.rho(guess[~pairs.dev], pairs.rating[~pairs.dev])})


def _similarity(run: Run, found: Found) -> None:
    from periodic_table import similarity

    pairs = norms.similarity_pairs()
    alike = zip(pairs.first, pairs.second, strict=True)
    guess = np.array([similarity(first, second, tag) for (first, tag), (second, _) in alike])
    found.metrics["simlex"], whole = norms.measured_similarity(pairs, guess, run.config.seed)
    found.beside("whole_set", {"simlex": whole})
    for other, source in {"coordinates": run.ours, **_others(run)}.items():
        near = norms.cosine(pairs, source)
        found.beside(other, {"simlex": norms.rho(near[~pairs.dev], pairs.rating[~pairs.dev])})


def _concreteness(run: Run, found: Found) -> None:
    from periodic_table import annotate

    def tags(names: Sequence[str]) -> list[str | None]:
        return [element.pos if element.senses else None for element in annotate(names)]

    words = norms.concreteness_words(run.config.concreteness_words, tags)
    found.metrics["concreteness"], whole = norms.measured_concreteness(
        words, norms.concreteness(words, run.ours, run.config.seed)
    )
    found.beside("whole_set", {"concreteness": whole})
    for other, source in _others(run).items():
        guess = norms.concreteness(words, source, run.config.seed)
        found.beside(other, {"concreteness": norms.measured_concreteness(words, guess)[0].value})

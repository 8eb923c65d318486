"""Which pieces see which, by name; all of one mean number of visible keys, so that only the choice of keys differs.

    dense               every earlier piece
    window              the last ones
    sinks               the first four and the last ones (StreamingLLM: Xiao et al. 2024)
    separators          the first four, all punctuation, and the last ones (SepLLM: Chen et al. 2025)
    strided             every eighth, counted back from the piece itself, and the last ones (Child et al. 2019)
    dilated             the last w of every fourth, counted back likewise, and the last ones (Beltagy et al. 2020)
    log-sparse          w positions of each power of two, ever thinner into the past, and the last ones; no types at all
    big-bird            two random earlier blocks of 64, the first sixteen, and the last ones (Zaheer et al. 2020)
    <table>             typed memory: the last w of each class of a table of `feasibility.lm.classes`, and the last ones
    original            the compatibility table of parts of speech alone, no bound: the original's mask
    original+window     the same and the last 64
    original+valence    the same, the last w of each class, and the last ones
    original/full ...   bond rules in every mode, with every kind of edge: see `feasibility.lm.rules`
    linear              no keys at all: a state of constant size (`feasibility.lm.linear`)
    <one>|<other>       heads dealt out in equal groups, each with a pattern of its own
    <pattern>@64        with a window of 64, whatever that costs; @64x4 with a valence of 4 besides
    full-context:<...>  NOT CAUSAL, for contrast: the same with tags from a tagger that saw the whole text

`fit` chooses the window (and w) for a number of keys. All but the last are causal: a class depends on the piece itself
or on its position. LogSparse of Li et al. (2019) wants distances that are powers of two, which no classes express;
positions sorted by how often two divides them thin the past at the same rate.

    python -m feasibility.lm.patterns --data .lab/lm.npz     # what each costs, counted on the dev part

B batch, N tokens, C classes, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.lm.making import (
    BY_POSITION,
    FULL_CONTEXT,
    GROUPS,
    LINEAR,
    ORIGINAL,
    SINKS,
    WINDOW,
    Pattern,
    Spec,
    Tables,
    UnknownPattern,
    make_pattern,
    own_numbers,
)
from feasibility.lm.rules import FACTS, WORDS, has_valence, is_ruling
from feasibility.store import write_atomic
from sparse_attn import ClassPlan

__all__ = [
    "BY_POSITION", "GROUPED", "NOT_CAUSAL", "ORIGINAL", "OWN_BUDGET", "RULED", "SINKS", "WINDOW", "Options", "Pattern",
    "Spec", "Tables", "UnknownPattern", "fit", "make_pattern", "read_specs", "sample_chunks", "visible_keys",
    "write_specs",
]  # fmt: skip

# Bond rules that are counted besides the original's, and heads that do not all look alike.
RULED = (
    "original/full", "original/full+valence", "original/features_only", "original/none", "original/pos_only/soft",
    "original/pos_only/escape+window", "bonds/full+valence", "bonds/pos_only+valence", "bonds/features_only+valence",
    "bonds/full", "bonds/full/soft", "bonds/pos_only/escape+window",
)  # fmt: skip
GROUPED = ("window|predetermined/64", "window|distributional/64|predetermined/64")
# Contrasts that see the future.
NOT_CAUSAL = tuple(f"{FULL_CONTEXT}{name}" for name in ("predetermined/17", "original", "original+valence"))
# Beside the tables and rules, the patterns that have a valence.
BOUNDED = ("dilated", "log-sparse", "original+valence")
# Counted besides: the peers as their authors would have them, and the cheapest typed memory.
OWN_BUDGET = ("separators@64", "predetermined/256@64x1", "distributional/256@64x1")
# With a budget of their own: `fit` leaves them as they are.
UNFITTED = ("dense", "original", "original+window", LINEAR)
# Tables that are no classes for a typed memory.
UNTYPED = ("punctuation", WORDS, FACTS)
# Pairs of tokens looked at in one go.
_PAIRS = 2**21


def visible_keys(plan: ClassPlan) -> float:
    """Visible keys of a token, itself counted, on average.

    Cost: O(B N^2).
    """
    return sum(int(visible.sum()) for visible, _ in _pairs(plan)) / (plan.batch * plan.num_keys)


def _pairs(plan: ClassPlan) -> Iterator[tuple[Tensor, Tensor]]:
    """Which pairs are visible, and how far apart the two are, a band of rows at a time. Two of [rows, N]."""
    tokens = plan.num_keys
    rows = max(1, _PAIRS // tokens)
    for start in range(0, plan.batch * tokens, tokens):
        key = torch.arange(start, start + tokens)
        for query in torch.split(key, rows):
            distance = query[:, None] - key
            yield plan.stream.visible(query[:, None], key), distance


def fit(spec: Spec, keys: float, tables: Tables, chunks: Tensor) -> Spec:
    """Choose window and valence so that a piece sees so many keys on average.

    The valence is the one at which the window that is still needed comes nearest to 64; the window then hits the
    number of keys to within one. Patterns of `UNFITTED` and unbounded rules are only counted; groups of heads get that
    many keys each; contrasts that see the future, the numbers of their causal counterpart.

    Args:
        spec: its name decides; its numbers are replaced.
        keys: the target.
        tables: of the corpus.
        chunks: [B, N] pieces of text to count on.

    Raises:
        UnknownPattern: see `make_pattern`.
        ValueError: the pattern sees more than that without any window.
    """
    if GROUPS in spec.name:
        parts = tuple(fit(Spec(name), keys, tables, chunks) for name in spec.name.split(GROUPS))
        return Spec(spec.name, keys=sum(part.keys for part in parts) / len(parts), parts=parts)
    if spec.name.startswith(FULL_CONTEXT):
        causal = fit(Spec(spec.name.removeprefix(FULL_CONTEXT)), keys, tables, chunks)
        return dataclasses.replace(causal, name=spec.name)
    length, numbers = chunks.shape[1], own_numbers(spec.name)
    if numbers or spec.name in UNFITTED or (is_ruling(spec.name) and not has_valence(spec.name)):
        spec = spec if numbers is None else Spec(spec.name, *numbers)
        if spec.name == LINEAR:
            return dataclasses.replace(spec, keys=0.0)
        plan = make_pattern(spec, tables, length).plan(chunks)
        return dataclasses.replace(spec, keys=visible_keys(plan) if isinstance(plan, ClassPlan) else (length + 1) / 2)
    fitted: Callable[[int | None], Spec | None] = functools.cache(partial(_fit_window, spec.name, keys, tables, chunks))
    if spec.name not in tables and spec.name not in BOUNDED and not has_valence(spec.name):
        best = fitted(None)
    else:
        # The larger the valence, the less is left for the window: find the two between which it passes 64.
        low, high = 1, 2
        while (found := fitted(high)) is not None and found.window >= WINDOW:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            found = fitted(middle)
            low, high = (middle, high) if found is not None and found.window >= WINDOW else (low, middle)
        best = min(filter(None, (fitted(low), fitted(high))), key=lambda one: abs(one.window - WINDOW), default=None)
    if best is None:
        raise ValueError(f"{spec.name} has more than {keys} visible keys even without a window; raise keys")
    return best


def _fit_window(name: str, keys: float, tables: Tables, chunks: Tensor, valence: int | None) -> Spec | None:
    """The window that gives so many keys; None where there are more of them without any."""
    counts = _keys_by_window(Spec(name, 1, valence), tables, chunks)
    if counts[0] > keys:
        return None
    window = 1 + int(np.argmin(np.abs(counts - keys)))
    return Spec(name, window, valence, float(counts[window - 1]))


def _keys_by_window(spec: Spec, tables: Tables, chunks: Tensor) -> NDArray[np.float64]:
    """Visible keys on average with a window of 1, 2, ... N pieces. [N]"""
    tokens = chunks.shape[1]
    plan = make_pattern(spec, tables, tokens).plan(chunks)
    assert isinstance(plan, ClassPlan)
    seen, unseen = 0, torch.zeros(tokens, dtype=torch.int64)
    for visible, distance in _pairs(plan):
        seen += int(visible.sum())
        unseen += torch.bincount(distance[~visible & (distance >= 0)], minlength=tokens)
    keys: NDArray[np.float64] = (seen + unseen.cumsum(0).numpy()) / (plan.batch * tokens)
    return keys


def sample_chunks(ids: NDArray[np.uint16], length: int, chunks: int) -> Tensor:
    """So many chunks, evenly spread over a text. [chunks, length] int64."""
    starts = np.linspace(0, len(ids) - length, chunks).astype(np.int64)
    return torch.from_numpy(np.stack([ids[start : start + length] for start in starts]).astype(np.int64))


def write_specs(path: Path, specs: Sequence[Spec]) -> None:
    """Patterns with their numbers as JSON."""
    write_atomic(path, json.dumps([dataclasses.asdict(spec) for spec in specs], indent=1) + "\n")


def read_specs(path: Path) -> dict[str, Spec]:
    """What `write_specs` wrote, by name."""
    specs = map(Spec.read, json.loads(path.read_text(encoding="utf-8")))
    return {spec.name: spec for spec in specs}


@dataclass(frozen=True)
class Options:
    """What to count."""

    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    length: int = 2048
    """Tokens of a chunk."""
    keys: float = 230.0
    """Visible keys of a piece, on average."""
    chunks: int = 6
    """Chunks of the dev part to count on."""
    patterns: tuple[str, ...] = ()
    """Patterns to count; all by default."""
    out: Path | None = None
    """Also write the numbers to this file, for `feasibility.lm.controls`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: print every pattern with its numbers."""
    import tyro

    from feasibility.lm.data import Corpus

    options = tyro.cli(Options, prog="python -m feasibility.lm.patterns", description=__doc__, args=argv)
    corpus = Corpus.load(options.data)
    chunks = sample_chunks(corpus.ids["dev"], options.length, options.chunks)
    typed = (name for name in corpus.tables if name not in UNTYPED)
    everything = (*BY_POSITION, *ORIGINAL, *typed, *OWN_BUDGET, LINEAR, *RULED, *GROUPED, *NOT_CAUSAL)
    specs = []
    for name in options.patterns or everything:
        spec = fit(Spec(name), options.keys, corpus.tables, chunks)
        specs.append(spec)
        print(f"{spec.name:40} window {spec.window:5} valence {spec.valence or '-':>4} keys {spec.keys:7.1f}")
    if options.out is not None:
        write_specs(options.out, specs)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Which pieces see which, by name; all of one mean number of visible keys, so that only the choice of keys differs.

    dense               every earlier piece
    window              the last ones
    sinks               the first four and the last ones (StreamingLLM: Xiao et al. 2024)
    separators          the first four, all punctuation, and the last ones (SepLLM: Chen et al. 2025)
    strided             every eighth, counted back from the piece itself, and the last ones (Child et al. 2019)
    log-sparse          w positions of each power of two, ever thinner into the past, and the last ones; no types at all
    big-bird            two random earlier blocks of 64, the first sixteen, and the last ones (Zaheer et al. 2020)
    <table>             typed memory: the last w of each class of a table of `feasibility.lm.classes`, and the last ones
    original            the compatibility table of parts of speech alone, no bound: the original's mask
    original+window     the same and the last 64
    original+valence    the same, the last w of each class, and the last ones
    <pattern>@64        with a window of 64, whatever that costs; @64x4 with a valence of 4 besides

`fit` chooses the window (and w) for a number of keys. Everything is causal: a class depends on the piece itself or on
its position. LogSparse of Li et al. (2019) wants distances that are powers of two, which no classes express; positions
sorted by how often two divides them thin the past at the same rate.

    python -m feasibility.lm.patterns --data .lab/lm.npz     # what each costs, counted on the dev part

B batch, N tokens, C classes, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.lm.model import Plan
from feasibility.sparse_attention_patterns import upos_table
from feasibility.store import write_atomic
from sparse_attn import ClassPlan, ClassRules, plan_classes

Tables = Mapping[str, NDArray[np.uint8]]

WINDOW = 64
SINKS, BIG_BIRD_SINKS, STRIDE, BLOCK, RANDOM_BLOCKS = 4, 16, 8, 64, 2
BY_POSITION = ("dense", "window", "sinks", "separators", "strided", "log-sparse", "big-bird")
ORIGINAL = ("original", "original+window", "original+valence")
# Beside the tables, the patterns that have a valence.
BOUNDED = ("log-sparse", "original+valence")
# Counted besides: the peers as their authors would have them, and the cheapest typed memory.
OWN_BUDGET = ("separators@64", "predetermined/256@64x1", "distributional/256@64x1")
# With a budget of their own: `fit` leaves them as they are.
UNFITTED = ("dense", "original", "original+window")
# Pairs of tokens looked at in one go.
_PAIRS = 2**21
_FIXED = re.compile(r"(?P<base>.+)@(?P<window>\d+)(x(?P<valence>\d+))?")


class UnknownPattern(ValueError):
    """No pattern and no table of that name."""


@dataclass(frozen=True)
class Spec:
    """One pattern with its numbers.

    Args:
        name: as above.
        window: the last so many pieces are seen whatever they are.
        valence: w, where the pattern has one.
        keys: visible keys of a piece, itself counted, on average over whole chunks; nan where nobody counted.
    """

    name: str
    window: int = WINDOW
    valence: int | None = None
    keys: float = float("nan")


@dataclass(frozen=True, eq=False)
class Pattern:
    """Rules, and how pieces get their classes.

    Args:
        spec: what it was made from.
        rules: None for dense attention.
        of_entry: [V] int64, class of an entry of the vocabulary, or None where only the position counts.
        of_position: [N] int64, class of a position, or None.
        sinks: so many first positions have the last class, C - 1.
    """

    spec: Spec
    rules: ClassRules | None
    of_entry: Tensor | None = None
    of_position: Tensor | None = None
    sinks: int = 0

    def classes(self, tokens: Tensor) -> Tensor:
        """[B, N] pieces -> [B, N] int64 classes."""
        if self.of_entry is not None:
            classes = self.of_entry.to(tokens.device)[tokens]
        elif self.of_position is not None:
            classes = self.of_position.to(tokens.device)[: tokens.shape[1]].repeat(len(tokens), 1)
        else:
            classes = torch.zeros_like(tokens)
        if self.sinks and self.rules is not None:
            classes[:, : self.sinks] = self.rules.classes - 1
        return classes

    def plan(self, tokens: Tensor) -> Plan:
        """The plan of a batch of pieces ([B, N]); None for dense attention."""
        return None if self.rules is None else plan_classes(self.classes(tokens), self.rules)


def make_pattern(spec: Spec, tables: Tables, length: int) -> Pattern:
    """Rules and classes of a pattern.

    Args:
        spec: name and numbers.
        tables: of the corpus.
        length: N, the longest chunk.

    Raises:
        UnknownPattern: neither a pattern nor a table.
    """
    makers: dict[str, Callable[[], Pattern]] = {
        "dense": lambda: Pattern(spec, None),
        "window": lambda: Pattern(spec, _nothing(1, spec)),
        "sinks": lambda: Pattern(spec, _nothing(2, spec, [1]), sinks=SINKS),
        "separators": lambda: Pattern(spec, _nothing(3, spec, [1, 2]), _long(tables["punctuation"]), sinks=SINKS),
        "strided": lambda: Pattern(
            spec,
            ClassRules(torch.eye(STRIDE, dtype=torch.bool), window=spec.window),
            of_position=torch.arange(length) % STRIDE,
        ),
        "log-sparse": lambda: _log_sparse(spec, length),
        "big-bird": lambda: _big_bird(spec, length),
    }
    name = _base(spec.name)
    if name in makers:
        return makers[name]()
    if name in ORIGINAL:
        window = 0 if name == "original" else spec.window
        rules = ClassRules(upos_table(), window=window, valence=spec.valence)
        return Pattern(spec, rules, _long(tables["predetermined/17"]))
    if name not in tables:
        raise UnknownPattern(f"no pattern {name!r}; there are {', '.join((*BY_POSITION, *ORIGINAL, *tables))}")
    table = _long(tables[name])
    everyone = torch.ones(2 * (int(table.max()) + 1,), dtype=torch.bool)
    return Pattern(spec, ClassRules(everyone, window=spec.window, valence=spec.valence or 1), table)


def _base(name: str) -> str:
    """The pattern's name without numbers of its own."""
    fixed = _FIXED.fullmatch(name)
    return fixed["base"] if fixed else name


def _nothing(classes: int, spec: Spec, global_classes: Sequence[int] = ()) -> ClassRules:
    """No class sees any, but the window and the global classes are there."""
    return ClassRules(
        torch.zeros(classes, classes, dtype=torch.bool), window=spec.window, global_classes=global_classes
    )


def _log_sparse(spec: Spec, length: int) -> Pattern:
    position = torch.arange(1, length + 1)
    # The largest power of two that divides the position, counted from 1.
    power = (position & -position).float().log2().long()
    everyone = torch.ones(2 * (int(power.max()) + 1,), dtype=torch.bool)
    return Pattern(spec, ClassRules(everyone, window=spec.window, valence=spec.valence or 1), of_position=power)


def _big_bird(spec: Spec, length: int) -> Pattern:
    blocks = -(-length // BLOCK)
    generator = torch.Generator().manual_seed(0)
    allow = torch.zeros(blocks + 1, blocks + 1, dtype=torch.bool)
    for block in range(blocks):
        allow[block, torch.randperm(max(block, 1), generator=generator)[:RANDOM_BLOCKS]] = True
    rules = ClassRules(allow, window=spec.window, global_classes=[blocks])
    return Pattern(spec, rules, of_position=torch.arange(length) // BLOCK, sinks=BIG_BIRD_SINKS)


def _long(table: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(table.astype(np.int64))


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
    number of keys to within one. Patterns of `UNFITTED` are only counted.

    Args:
        spec: its name decides; its numbers are replaced.
        keys: the target.
        tables: of the corpus.
        chunks: [B, N] pieces of text to count on.

    Raises:
        UnknownPattern: see `make_pattern`.
        ValueError: the pattern sees more than that without any window.
    """
    length = chunks.shape[1]
    fixed = _FIXED.fullmatch(spec.name)
    if fixed or spec.name in UNFITTED:
        if fixed:
            spec = Spec(spec.name, int(fixed["window"]), int(fixed["valence"]) if fixed["valence"] else None)
        plan = make_pattern(spec, tables, length).plan(chunks)
        return dataclasses.replace(spec, keys=visible_keys(plan) if isinstance(plan, ClassPlan) else (length + 1) / 2)
    fitted: Callable[[int | None], Spec | None] = functools.cache(partial(_fit_window, spec.name, keys, tables, chunks))
    if spec.name not in tables and spec.name not in BOUNDED:
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
    return {entry["name"]: Spec(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))}


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
    typed = (name for name in corpus.tables if name != "punctuation")
    specs = []
    for name in options.patterns or (*BY_POSITION, *ORIGINAL, *typed, *OWN_BUDGET):
        spec = fit(Spec(name), options.keys, corpus.tables, chunks)
        specs.append(spec)
        print(f"{spec.name:20} window {spec.window:5} valence {spec.valence or '-':>4} keys {spec.keys:7.1f}")
    if options.out is not None:
        write_specs(options.out, specs)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""From a pattern's name and numbers to rules and to the classes of a text's pieces; see `feasibility.lm.patterns`.

B batch, N tokens, C classes, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.lm.batches import MakePlan
from feasibility.lm.model import Mixer, Plan
from feasibility.lm.rules import escape_groups, is_ruling, ruling
from feasibility.sparse_attention.patterns import upos_table
from sparse_attn import ClassRules, plan_classes

Tables = Mapping[str, NDArray[np.uint8]]

WINDOW = 64
SINKS, BIG_BIRD_SINKS, STRIDE, DILATION, BLOCK, RANDOM_BLOCKS = 4, 16, 8, 4, 64, 2
BY_POSITION = ("dense", "window", "sinks", "separators", "strided", "dilated", "log-sparse", "big-bird")
ORIGINAL = ("original", "original+window", "original+valence")
LINEAR = "linear"
# Marks a contrast that sees the future, and heads that do not all look alike.
FULL_CONTEXT, GROUPS = "full-context:", "|"
TAGS = 17
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
        parts: of a pattern whose heads are dealt out in groups, the pattern of each.
    """

    name: str
    window: int = WINDOW
    valence: int | None = None
    keys: float = float("nan")
    parts: tuple[Spec, ...] = ()

    @staticmethod
    def read(entry: Mapping[str, Any]) -> Spec:
        """What `dataclasses.asdict` made of one."""
        return Spec(**{**entry, "parts": tuple(Spec.read(part) for part in entry.get("parts", ()))})


@dataclass(frozen=True, eq=False)
class Pattern:
    """Rules, and how pieces get their classes.

    Args:
        spec: what it was made from.
        rules: None for dense attention.
        of_entry: [V] int64, class of an entry of the vocabulary, or None where only the position counts.
        of_position: [N] int64, class of a position, or None; with both, class = the entry's * groups + the position's.
        sinks: so many first positions have the last class, C - 1.
        groups: how many classes positions have, where entries have some too.
        mixer: of the model that this pattern needs.
        brings_classes: whether its classes come with the text, from a tagger that saw all of it: NOT CAUSAL.
        parts: the patterns of groups of heads; nothing else counts then.
    """

    spec: Spec
    rules: ClassRules | None
    of_entry: Tensor | None = None
    of_position: Tensor | None = None
    sinks: int = 0
    groups: int = 1
    mixer: Mixer = "attention"
    brings_classes: bool = False
    parts: tuple[Pattern, ...] = ()

    @property
    def causal(self) -> bool:
        """Whether no piece's class depends on what comes after it."""
        return not self.brings_classes and all(part.causal for part in self.parts)

    @property
    def make_plan(self) -> MakePlan | None:
        """`plan`, for the trainer; None for dense attention."""
        return None if self.rules is None and not self.parts else self.plan

    def classes(self, tokens: Tensor, classes: Tensor | None = None) -> Tensor:
        """[B, N] pieces -> [B, N] int64 classes.

        Args:
            tokens: the pieces.
            classes: [B, N], what the text brings along; used where `brings_classes`.

        Raises:
            ValueError: the pattern needs classes of the text, and there are none.
        """
        if self.brings_classes:
            if classes is None:
                raise ValueError(f"{self.spec.name} needs the tags of the text; see feasibility.lm.tags")
            found = classes.clone()
        elif self.of_entry is not None:
            found = self.of_entry.to(tokens.device)[tokens]
            if self.of_position is not None:
                found = found * self.groups + self.of_position.to(tokens.device)[: tokens.shape[1]]
        elif self.of_position is not None:
            found = self.of_position.to(tokens.device)[: tokens.shape[1]].repeat(len(tokens), 1)
        else:
            found = torch.zeros_like(tokens)
        if self.sinks and self.rules is not None:
            found[:, : self.sinks] = self.rules.classes - 1
        return found

    def plan(self, tokens: Tensor, classes: Tensor | None = None) -> Plan:
        """The plan of a batch of pieces ([B, N]); None for dense attention; one for each group of heads."""
        if self.parts:
            return tuple(part.plan(tokens, classes) for part in self.parts)  # type: ignore[misc]
        return None if self.rules is None else plan_classes(self.classes(tokens, classes), self.rules)


def make_pattern(spec: Spec, tables: Tables, length: int) -> Pattern:
    """Rules and classes of a pattern.

    Args:
        spec: name and numbers.
        tables: of the corpus.
        length: N, the longest chunk.

    Raises:
        UnknownPattern: neither a pattern nor a table.
    """
    if GROUPS in spec.name:
        parts = spec.parts or tuple(Spec(name, spec.window, spec.valence) for name in spec.name.split(GROUPS))
        return Pattern(spec, None, parts=tuple(make_pattern(part, tables, length) for part in parts))
    if spec.name.startswith(FULL_CONTEXT):
        return _with_full_context(spec, tables, length)
    name = base_name(spec.name)
    makers = _makers(spec, tables, length)
    if name in makers:
        return makers[name]()
    if is_ruling(name):
        return _ruled(spec, name, tables, length)
    if name in ORIGINAL:
        window = 0 if name == "original" else spec.window
        rules = ClassRules(upos_table(), window=window, valence=spec.valence)
        return Pattern(spec, rules, _long(tables["predetermined/17"]))
    if name not in tables:
        raise UnknownPattern(f"no pattern {name!r}; there are {', '.join((*makers, *ORIGINAL, *tables))}")
    table = _long(tables[name])
    everyone = torch.ones(2 * (int(table.max()) + 1,), dtype=torch.bool)
    return Pattern(spec, ClassRules(everyone, window=spec.window, valence=spec.valence or 1), table)


def base_name(name: str) -> str:
    """The pattern's name without numbers of its own."""
    fixed = _FIXED.fullmatch(name)
    return fixed["base"] if fixed else name


def own_numbers(name: str) -> tuple[int, int | None] | None:
    """Window and valence that a name says (@64x4); None where it says none."""
    fixed = _FIXED.fullmatch(name)
    return None if fixed is None else (int(fixed["window"]), int(fixed["valence"]) if fixed["valence"] else None)


def _makers(spec: Spec, tables: Tables, length: int) -> dict[str, Callable[[], Pattern]]:
    position = torch.arange(length)
    return {
        "dense": lambda: Pattern(spec, None),
        "window": lambda: Pattern(spec, _nothing(1, spec)),
        "sinks": lambda: Pattern(spec, _nothing(2, spec, [1]), sinks=SINKS),
        "separators": lambda: Pattern(spec, _nothing(3, spec, [1, 2]), _long(tables["punctuation"]), sinks=SINKS),
        "strided": lambda: Pattern(spec, _own_class(STRIDE, spec, None), of_position=position % STRIDE),
        "dilated": lambda: Pattern(
            spec, _own_class(DILATION, spec, spec.valence or 1), of_position=position % DILATION
        ),
        "log-sparse": lambda: _log_sparse(spec, length),
        "big-bird": lambda: _big_bird(spec, length),
        LINEAR: lambda: Pattern(spec, None, mixer="linear"),
    }


def _with_full_context(spec: Spec, tables: Tables, length: int) -> Pattern:
    causal = make_pattern(dataclasses.replace(spec, name=spec.name.removeprefix(FULL_CONTEXT)), tables, length)
    if causal.rules is None or causal.rules.classes != TAGS or causal.of_entry is None:
        raise UnknownPattern(
            f"{spec.name!r} is no pattern over the {TAGS} parts of speech, which a tagger could replace"
        )
    return dataclasses.replace(causal, spec=spec, brings_classes=True)


def _ruled(spec: Spec, name: str, tables: Tables, length: int) -> Pattern:
    found = ruling(name, tables)
    rules = ClassRules(
        found.allow,
        found.bias,
        window=spec.window if found.has_window else 0,
        valence=(spec.valence or 1) if found.has_valence else None,
    )
    groups = escape_groups(length) if found.escapes > 1 else None
    return Pattern(spec, rules, found.of_entry, groups, groups=found.escapes)


def _own_class(classes: int, spec: Spec, valence: int | None) -> ClassRules:
    """Each class sees its own, beside the window."""
    return ClassRules(torch.eye(classes, dtype=torch.bool), window=spec.window, valence=valence)


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

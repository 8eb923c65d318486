"""The attention patterns that are timed, and the tags and classes they are timed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feasibility.sparse_attention.patterns import UPOS, english_tags, upos_table, word_classes
from sparse_attn import ClassRules


@dataclass(frozen=True)
class Pattern:
    """Rules, and class ids for a whole batch as one line of tokens."""

    name: str
    rules: ClassRules
    class_ids: Tensor

    @property
    def is_bounded(self) -> bool:
        """Whether what a token sees stops growing with the text."""
        return self.rules.is_bounded or not self.rules.allows_any


@dataclass(frozen=True)
class Text:
    """What the patterns are timed on.

    Args:
        tags: [tokens] UPOS numbers.
        classes: [tokens] ids for 64 and for 256 classes.
        origins: what each of the three is.
    """

    tags: Tensor
    classes: dict[int, Tensor]
    origins: dict[str, str]


def read_text(tags: Path | None, classes: Sequence[Path], tokens: int) -> Text:
    """Tags and classes for so many tokens: of running text where files are given, else independent draws.

    Args:
        tags: file of UPOS numbers (0-16, alphabetical), one a token.
        classes: files of class ids, one a token; each serves the 64 classes if all its ids are below 64, else the 256.
        tokens: how many are needed.

    Raises:
        ValueError: a file that is too short, holds something else than such numbers, or serves what another serves.
    """
    found, origins = english_tags(tokens, seed=0), {"tags": "independent draws with the frequencies of UD English EWT"}
    if tags is not None:
        found, origins["tags"] = _read_ids(tags, len(UPOS), tokens)
    ids = {count: word_classes(count, tokens, seed=count) for count in (64, 256)}
    origins |= {f"classes/{count}": "independent draws with log-normal frequencies" for count in ids}
    served: dict[int, Path] = {}
    for path in classes:
        given, origin = _read_ids(path, 256, tokens)
        count = 64 if int(given.max()) < 64 else 256
        if count in served:
            raise ValueError(f"{path} and {served[count]} both hold ids of {count} classes: give one file for each")
        served[count], ids[count], origins[f"classes/{count}"] = path, given, origin
    return Text(found[:tokens], {count: x[:tokens] for count, x in ids.items()}, origins)


def _read_ids(path: Path, limit: int, tokens: int) -> tuple[Tensor, str]:
    """All the ids of a file, and what to call it."""
    try:
        ids = np.loadtxt(path, dtype=np.int64, ndmin=1).ravel()
    except ValueError as error:
        raise ValueError(f"{path} is not a text file of integers, one a token: {error}") from error
    if ids.size < tokens:
        raise ValueError(f"{path} holds {ids.size} ids, {tokens} are needed: use a longer text")
    if ids.min() < 0 or ids.max() >= limit:
        raise ValueError(f"{path} holds ids from {ids.min()} to {ids.max()}, expected 0 to {limit - 1}")
    return torch.from_numpy(ids), f"{path.name}: {ids.size} tokens of running text"


def patterns(text: Text) -> list[Pattern]:
    """What is timed: typed memory with a window, a valence, a budget, the unbounded table, and a mere window."""
    table = upos_table()
    return [
        Pattern("window64+valence4/64", _all(64, window=64, valence=4), text.classes[64]),
        Pattern("window64+valence1/256", _all(256, window=64, valence=1), text.classes[256]),
        Pattern("valence16/17", ClassRules(table, valence=16), text.tags),
        Pattern("budget256/17", ClassRules(table, budget=256), text.tags),
        Pattern("full/17", ClassRules(table), text.tags),
        # A plain sliding window of as many keys as the bounded patterns see.
        Pattern("window256", ClassRules(torch.zeros(1, 1, dtype=torch.bool), window=256), torch.zeros_like(text.tags)),
    ]


def _all(classes: int, window: int, valence: int) -> ClassRules:
    return ClassRules(torch.ones(classes, classes, dtype=torch.bool), window=window, valence=valence)

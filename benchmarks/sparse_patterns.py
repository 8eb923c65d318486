"""The attention patterns that are timed, and the tags and classes they are timed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparse_attn import ClassRules

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)  # fmt: skip
# Tokens of each tag in UD English EWT 2.x, train: the fallback where no file of tags is given.
EWT_COUNTS = (
    13137, 17742, 10167, 12815, 6687, 16299, 695, 34751, 4126, 5748, 18677, 12620, 23596, 3819, 722, 22576, 400,
)  # fmt: skip
# Which tags bond, beside each with itself and all with PUNCT: 67% of the pairs in English text, as the hand-made tables
# of the linguistic-mask literature have (65-69%).
BONDS = {
    "NOUN": "ADJ ADP AUX CCONJ DET NUM PRON PROPN VERB",
    "PROPN": "VERB ADP AUX PRON CCONJ DET",
    "VERB": "PRON AUX ADV SCONJ CCONJ ADJ",
    "ADJ": "PRON ADV CCONJ",
    "ADP": "PRON",
    "ADV": "CCONJ",
}


@dataclass(frozen=True)
class Pattern:
    """Rules, and class ids for a whole batch as one line of tokens."""

    name: str
    rules: ClassRules
    class_ids: Tensor

    @property
    def is_bounded(self) -> bool:
        """Whether what a token sees stops growing with the text."""
        return self.rules.is_bounded or not bool(self.rules.allow.any())


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


def upos_table() -> Tensor:
    """[17, 17] bool, symmetric."""
    allow = torch.eye(len(UPOS), dtype=torch.bool)
    for one, others in BONDS.items():
        for other in others.split():
            allow[UPOS.index(one), UPOS.index(other)] = allow[UPOS.index(other), UPOS.index(one)] = True
    allow[UPOS.index("PUNCT")] = allow[:, UPOS.index("PUNCT")] = True
    return allow


def read_text(tags: Path | None, classes: Sequence[Path], tokens: int) -> Text:
    """Tags and classes for so many tokens: of running text where files are given, else independent draws.

    Args:
        tags: file of UPOS numbers (0-16, alphabetical), one a token.
        classes: files of class ids, one a token; each serves the 64 classes if all its ids are below 64, else the 256.
        tokens: how many are needed.

    Raises:
        ValueError: a file that is too short, holds something else than such numbers, or serves what another serves.
    """
    weight = torch.tensor(EWT_COUNTS, dtype=torch.float)
    drawn = torch.multinomial(weight, tokens, replacement=True, generator=torch.Generator().manual_seed(0))
    found, origins = drawn, {"tags": "independent draws with the frequencies of UD English EWT"}
    if tags is not None:
        found, origins["tags"] = _read_ids(tags, len(UPOS), tokens)
    ids = {count: word_classes(count, tokens) for count in (64, 256)}
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


def word_classes(classes: int, tokens: int) -> Tensor:
    """Class ids with log-normal frequencies, such as clusters of word types have."""
    generator = torch.Generator().manual_seed(classes)
    weight = torch.exp(0.8 * torch.randn(classes, generator=generator))
    return torch.multinomial(weight, tokens, replacement=True, generator=generator)


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

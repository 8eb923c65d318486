"""The attention patterns that are timed, and the tags they are timed on."""

from __future__ import annotations

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


def upos_table() -> Tensor:
    """[17, 17] bool, symmetric."""
    allow = torch.eye(len(UPOS), dtype=torch.bool)
    for one, others in BONDS.items():
        for other in others.split():
            allow[UPOS.index(one), UPOS.index(other)] = allow[UPOS.index(other), UPOS.index(one)] = True
    allow[UPOS.index("PUNCT")] = allow[:, UPOS.index("PUNCT")] = True
    return allow


def read_tags(path: Path | None, tokens: int) -> tuple[Tensor, str]:
    """UPOS numbers for so many tokens, and what they are: real text from a file, else independent draws."""
    if path is not None:
        tags = np.loadtxt(path, dtype=np.int64).ravel()
        if tags.size < tokens:
            raise SystemExit(f"{path} holds {tags.size} tags, {tokens} are needed: use a longer text")
        return torch.from_numpy(tags[:tokens]), f"{path.name}: {tags.size} tags of running text"
    weight = torch.tensor(EWT_COUNTS, dtype=torch.float)
    drawn = torch.multinomial(weight, tokens, replacement=True, generator=torch.Generator().manual_seed(0))
    return drawn, "independent draws with the frequencies of UD English EWT"


def word_classes(classes: int, tokens: int) -> Tensor:
    """Class ids with log-normal frequencies, such as clusters of word types have."""
    generator = torch.Generator().manual_seed(classes)
    weight = torch.exp(0.8 * torch.randn(classes, generator=generator))
    return torch.multinomial(weight, tokens, replacement=True, generator=generator)


def patterns(tags: Tensor) -> list[Pattern]:
    """What is timed: typed memory with a window, a valence, a budget, and the unbounded table."""
    table, tokens = upos_table(), tags.numel()
    return [
        Pattern("window64+valence4/64", _all(64, window=64, valence=4), word_classes(64, tokens)),
        Pattern("window64+valence1/256", _all(256, window=64, valence=1), word_classes(256, tokens)),
        Pattern("valence16/17", ClassRules(table, valence=16), tags),
        Pattern("budget256/17", ClassRules(table, budget=256), tags),
        Pattern("full/17", ClassRules(table), tags),
        # A plain sliding window of as many keys as the bounded patterns see.
        Pattern("window256", ClassRules(torch.zeros(1, 1, dtype=torch.bool), window=256), torch.zeros_like(tags)),
    ]


def _all(classes: int, **bounds: int) -> ClassRules:
    return ClassRules(torch.ones(classes, classes, dtype=torch.bool), **bounds)

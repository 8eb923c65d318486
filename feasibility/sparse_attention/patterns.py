"""The attention patterns that the experiment `sparse_attention` judges, and the token classes it judges them on.

B batch, N tokens, C classes. Everything is drawn from a seed: a fresh clone has no other data, and every machine gets
the same tokens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from feasibility.harness import DataRecord
from sparse_attn import ClassRules

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)  # fmt: skip
# Tokens of each tag in UD English EWT, train (204,577 in all).
EWT_COUNTS = (
    13137, 17742, 10167, 12815, 6687, 16299, 695, 34751, 4126, 5748, 18677, 12620, 23596, 3819, 722, 22576, 400,
)  # fmt: skip
# Which tags bond, beside each with itself and all with PUNCT: the hand-made table of the original.
BONDS = {
    "NOUN": "ADJ ADP AUX CCONJ DET NUM PRON PROPN VERB",
    "PROPN": "VERB ADP AUX PRON CCONJ DET",
    "VERB": "PRON AUX ADV SCONJ CCONJ ADJ",
    "ADJ": "PRON ADV CCONJ",
    "ADP": "PRON",
    "ADV": "CCONJ",
}
# The pattern that the package is made for, and the original's own mask; other bounds; a plain window of as many keys.
HEADLINE, TABLE = "window64+valence4/64", "full/17"
BOUNDED = ("valence16/17", "budget256/17", "window256")
# So much of a text is drawn.
SHOWN = 512


@dataclass(frozen=True)
class Pattern:
    """Rules, and class ids for a whole batch as one line of tokens.

    Args:
        rules: the rules.
        class_ids: [tokens] int64.
    """

    rules: ClassRules
    class_ids: Tensor

    def ids(self, batch: int, n: int, device: str) -> Tensor:
        """The first batch * n tokens as [B, N], on a device."""
        return self.class_ids[: batch * n].view(batch, n).to(device)


def upos_table() -> Tensor:
    """Which tag may look at which: [17, 17] bool, symmetric, 67 % of the pairs of English text."""
    allow = torch.eye(len(UPOS), dtype=torch.bool)
    for one, others in BONDS.items():
        for other in others.split():
            allow[UPOS.index(one), UPOS.index(other)] = allow[UPOS.index(other), UPOS.index(one)] = True
    allow[UPOS.index("PUNCT")] = allow[:, UPOS.index("PUNCT")] = True
    return allow


def argument_bias() -> Tensor:
    """What the original's features amount to by class: a verb looks rather at names, nouns and pronouns. [17, 17]."""
    bias = torch.zeros(len(UPOS), len(UPOS))
    bias[UPOS.index("VERB"), [UPOS.index(tag) for tag in ("NOUN", "PROPN", "PRON")]] = 1.0
    return bias


def english_tags(tokens: int, seed: int) -> Tensor:
    """Tags drawn independently with the frequencies of UD English EWT. [tokens] int64 in [0, 17)."""
    return torch.multinomial(torch.tensor(EWT_COUNTS, dtype=torch.float), tokens, True, generator=_generator(seed))


def word_classes(classes: int, tokens: int, seed: int) -> Tensor:
    """Class ids with log-normal frequencies, such as clusters of word types have. [tokens] int64 in [0, classes)."""
    generator = _generator(seed)
    weight = torch.exp(0.8 * torch.randn(classes, generator=generator))
    return torch.multinomial(weight, tokens, True, generator=generator)


def patterns(tokens: int, seed: int) -> dict[str, Pattern]:
    """What is timed, by name: typed memory with a window, a valence, a budget, the bare table, and a plain window."""
    table, tags = upos_table(), english_tags(tokens, seed)
    typed = ClassRules(torch.ones(64, 64, dtype=torch.bool), window=64, valence=4)
    return {
        HEADLINE: Pattern(typed, word_classes(64, tokens, seed)),
        BOUNDED[0]: Pattern(ClassRules(table, valence=16), tags),
        BOUNDED[1]: Pattern(ClassRules(table, budget=256), tags),
        TABLE: Pattern(ClassRules(table), tags),
        BOUNDED[2]: Pattern(ClassRules(torch.zeros(1, 1, dtype=torch.bool), window=256), torch.zeros_like(tags)),
    }


def modes() -> dict[str, ClassRules]:
    """The original's four ablations as rules over tags, then our three bounds, all with the bias that they can have."""
    table, bias = upos_table(), argument_bias()
    everyone = torch.ones_like(table)
    return {
        "full": ClassRules(table, bias),
        "pos_only": ClassRules(table),
        "features_only": ClassRules(everyone, bias),
        "none": ClassRules(everyone),
        "valence": ClassRules(table, bias, valence=4),
        "budget": ClassRules(table, bias, budget=32),
        "window": ClassRules(table, bias, valence=4, window=32),
    }


def tag_record() -> DataRecord:
    """Where the frequencies come from."""
    content = " ".join(map(str, EWT_COUNTS)).encode()
    checksum = hashlib.sha256(content).hexdigest()
    return DataRecord("ud-english-ewt-tag-counts", "15d613d", checksum, "CC BY-SA 4.0", "shipped")


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)

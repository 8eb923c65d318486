"""Bond rules as attention patterns: the original's and the counted ones, in every mode and with every kind of edge.

    <rules>/<mode>[/<edges>][+window | +valence]

    rules  original   17 parts of speech and what words have and ask for, rebuilt (`periodic_table.bonding.original`)
           bonds      what is bonded how often in a treebank, over 64 classes (`periodic_table.bonding.counted`)
    modes  full, the table and the bias; pos_only, the table alone; features_only, the bias alone; none
    edges  hard where nothing is said; soft: what the table forbids costs 10 nats; escape: every query sees a
           sixteenth of the positions, drawn once, even of what it forbids
    +window opens the last pieces, +valence besides keeps the last w of each class

A class is a function of the vocabulary's entry (and, for escapes, of the position), so nothing leaks. V entries,
C classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.sparse_attention.patterns import upos_table

MODES = ("full", "pos_only", "features_only", "none")
EDGES = ("hard", "soft", "escape")
# What the original takes from a logit that it blocks softly, and adds to one whose word has all that was asked for.
PENALTY, ALPHA = 10.0, 1.0
# Groups of positions for escapes: every group of queries sees one of keys.
ESCAPES = 16
WORDS, FACTS, COUNTED = "original/words", "original/facts", "predetermined/64"
_NAME = re.compile(
    rf"(?P<rules>original|bonds)/(?P<mode>{'|'.join(MODES)})(/(?P<edges>soft|escape))?(?P<bound>\+window|\+valence)?"
)


@dataclass(frozen=True)
class Ruling:
    """Which class sees which, and how pieces get their classes.

    Args:
        allow: [C, C] bool.
        bias: [C, C] float32, or None where there is nothing to add.
        of_entry: [V] int64.
        escapes: so many groups of positions multiply the classes: class = entry's class * escapes + group.
        has_window, has_valence: which bounds the name asks for.
    """

    allow: Tensor
    bias: Tensor | None
    of_entry: Tensor
    escapes: int
    has_window: bool
    has_valence: bool


def is_ruling(name: str) -> bool:
    """Whether a pattern's name is one of bond rules in a mode."""
    return _NAME.fullmatch(name) is not None


def has_valence(name: str) -> bool:
    """Whether these rules are bounded."""
    return is_ruling(name) and name.endswith("+valence")


def ruling(name: str, tables: Mapping[str, NDArray[np.uint8]]) -> Ruling:
    """Rules by name.

    Args:
        name: see the module.
        tables: of the corpus.

    Raises:
        ValueError: another name.
        KeyError: tables of a corpus that was made before there were rules; the message says what to do.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"no rules {name!r}; expected <original or bonds>/<{', '.join(MODES)}>, see {__name__}")
    make = _original if found["rules"] == "original" else _bonds
    allow, bias, of_entry = make(found["mode"], tables)
    escapes = 1
    if found["edges"] == "soft":
        bias = torch.where(allow, bias, bias - PENALTY)
        allow = torch.ones_like(allow)
    elif found["edges"] == "escape":
        escapes = ESCAPES
        allow = torch.kron(allow, torch.ones(ESCAPES, ESCAPES)).bool() | _escape(len(allow))
        bias = torch.kron(bias, torch.ones(ESCAPES, ESCAPES))
    bound = found["bound"] or ""
    return Ruling(allow, bias if bool(bias.any()) else None, of_entry, escapes, bool(bound), bound == "+valence")


def escape_groups(length: int) -> Tensor:
    """The group of each position, drawn once and for all. [N] int64."""
    return torch.randint(ESCAPES, (length,), generator=torch.Generator().manual_seed(0))


def _escape(classes: int) -> Tensor:
    """[C * 16, C * 16] bool: each group of queries sees one of keys, whatever the classes."""
    permutation = torch.eye(ESCAPES)[torch.randperm(ESCAPES, generator=torch.Generator().manual_seed(1))]
    return torch.kron(torch.ones(classes, classes), permutation).bool()


def _original(mode: str, tables: Mapping[str, NDArray[np.uint8]]) -> tuple[Tensor, Tensor, Tensor]:
    if mode in ("pos_only", "none"):
        table = upos_table() if mode == "pos_only" else torch.ones(17, 17, dtype=torch.bool)
        return table, torch.zeros(17, 17), _long(tables["predetermined/17"])
    try:
        of_entry, facts = tables[WORDS], torch.from_numpy(tables[FACTS])
    except KeyError as error:
        raise KeyError(f"the corpus has no table {error}; make it anew: python -m feasibility.lm.data") from None
    half = (facts.shape[1] - 1) // 2
    tag, has, asks = facts[:, 0].long(), facts[:, 1 : 1 + half].float(), facts[:, 1 + half :].float()
    met, number = asks @ has.T, asks.sum(1, keepdim=True)
    if mode == "features_only":
        allow = torch.ones(len(tag), len(tag), dtype=torch.bool)
    else:
        pronoun, noun = tag == _tag("PRON"), (tag == _tag("NOUN")) | (tag == _tag("PROPN"))
        lacking = pronoun[:, None] & noun & (met < number)
        allow = upos_table()[tag][:, tag] & ~lacking
    return allow, ALPHA * met / (number + 1e-6) * allow, _long(of_entry)


def _bonds(mode: str, tables: Mapping[str, NDArray[np.uint8]]) -> tuple[Tensor, Tensor, Tensor]:
    from periodic_table.bonding import load_rules

    found = load_rules("counted", size=64, tags="type-level").tables()
    allow, bias = torch.from_numpy(found.allow), torch.from_numpy(found.bias)
    if mode in ("features_only", "none"):
        allow = torch.ones_like(allow)
    if mode in ("pos_only", "none"):
        bias = torch.zeros_like(bias)
    return allow, bias, _long(tables[COUNTED])


def _tag(name: str) -> int:
    from feasibility.sparse_attention.patterns import UPOS

    return UPOS.index(name)


def _long(table: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(table.astype(np.int64))


def word_facts(vocab: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What the original's rules know of each entry, by its form alone.

    Args:
        vocab: V entries of a byte-level vocabulary.

    Returns: the class of each entry, uint8 [V]; and of each class its part of speech, the 15 features that it has, and
        the 15 that it asks for, uint8 [C, 31]. Pieces that go on with a word are X, and nothing is known of them.

    Raises:
        ValueError: more than 256 classes.
    """
    from periodic_table.bonding.original import has_and_asks, load_facts
    from periodic_table.tagging import load_tagger
    from periodic_table.tagging.looks import normal
    from periodic_table.tagging.tagger import TAGS
    from periodic_table.word_classes.vocabulary import words_of

    words, features = words_of(vocab), load_facts().features
    known: dict[tuple[int, ...], int] = {}
    table = np.empty(len(words), dtype=np.int64)
    for place, (word, tag) in enumerate(zip(words, load_tagger().tag([word or "" for word in words]), strict=True)):
        tag = "X" if word is None else tag
        sides = has_and_asks(normal(word or ""), tag)
        facts = (TAGS.index(tag), *(int(name in side) for side in sides for name in features))
        table[place] = known.setdefault(facts, len(known))
    if len(known) > 256:
        raise ValueError(f"the vocabulary falls into {len(known)} classes, expected at most 256")
    return table.astype(np.uint8), np.array(list(known), dtype=np.uint8)

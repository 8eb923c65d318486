"""Grammar in minimal pairs: does a model find the right sentence likelier than the one with a single thing wrong?

    results = judge_pairs(model, corpus, minimal_pairs())       # phenomenon -> right or wrong, pair by pair

Sentences are templates with the words of novels. What is compared is the probability of whole sentences, as in BLiMP
(Warstadt et al. 2020); the pairs are ours. B pairs, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from feasibility.lm.data import Corpus
from feasibility.lm.model import LanguageModel
from feasibility.lm.train import IGNORED, MakePlan, autocast

PEOPLE = (("man", "men"), ("girl", "girls"), ("servant", "servants"), ("lady", "ladies"), ("child", "children"))
THINGS = (("letter", "letters"), ("house", "houses"), ("book", "books"), ("door", "doors"))
STATES = ("old", "well known", "in the garden", "at home")
HE, SHE = ("man", "king", "boy", "father", "brother"), ("woman", "queen", "girl", "mother", "sister")


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in one place.

    Args:
        phenomenon: what is tested.
        good: the grammatical one.
        bad: the other.
    """

    phenomenon: str
    good: str
    bad: str


def minimal_pairs() -> list[Pair]:
    """All pairs, in a fixed order; both numbers and both genders are equally often right."""
    makers = (
        _simple, _attractor, _relative, _determiner, _reflexive_gender, _reflexive_number, _negative_polarity,
        _case, _participle, _auxiliary,
    )  # fmt: skip
    return [pair for maker in makers for pair in maker()]


def _either(phenomenon: str, one: str, other: str, ones: Sequence[str], others: Sequence[str]) -> Iterator[Pair]:
    """Two pairs: the first word fits the first frame, the second the second, and never the other way round."""
    yield Pair(phenomenon, f"{one} {ones[0]}{ones[1]}", f"{one} {others[0]}{ones[1]}")
    yield Pair(phenomenon, f"{other} {others[0]}{others[1]}", f"{other} {ones[0]}{others[1]}")


def _simple() -> Iterator[Pair]:
    for (one, many), state, (single, plural) in product(PEOPLE, STATES, (("is", "are"), ("was", "were"))):
        end = f" {state}."
        yield from _either("agreement", f"The {one}", f"The {many}", (single, end), (plural, end))


def _attractor() -> Iterator[Pair]:
    for (one, many), (thing, things), state in product(PEOPLE[:4], THINGS, STATES[:2]):
        end = f" {state}."
        yield from _either(
            "agreement, attractor", f"The {one} with the {things}", f"The {many} with the {thing}",
            ("is", end), ("are", end),
        )  # fmt: skip


def _relative() -> Iterator[Pair]:
    for (one, many), (other, others), state in product(PEOPLE[:3], PEOPLE[2:], STATES[:2]):
        end = f" {state}."
        yield from _either(
            "agreement, relative clause", f"The {one} who loved the {others}", f"The {many} who loved the {other}",
            ("was", end), ("were", end),
        )  # fmt: skip


def _determiner() -> Iterator[Pair]:
    for (one, many), (this, these) in product((*PEOPLE, *THINGS), (("this", "these"), ("that", "those"))):
        yield Pair("determiner and noun", f"He had seen {this} {one} before.", f"He had seen {these} {one} before.")
        yield Pair("determiner and noun", f"He had seen {these} {many} before.", f"He had seen {this} {many} before.")


def _reflexive_gender() -> Iterator[Pair]:
    verbs = ("hurt", "saw", "asked", "threw")
    for (he, she), verb in product(zip(HE, SHE, strict=True), verbs):
        yield from _either(
            "reflexive, gender", f"The {he} {verb}", f"The {she} {verb}", ("himself", "."), ("herself", ".")
        )


def _reflexive_number() -> Iterator[Pair]:
    for he, verb, (other, others) in product(HE[1:], ("hurt", "saw", "blamed"), PEOPLE[:3]):
        one, many = f"The {he} who knew the {others} {verb}", f"The {he}s who knew the {other} {verb}"
        yield from _either("reflexive, number", one, many, ("himself", "."), ("themselves", "."))


def _negative_polarity() -> Iterator[Pair]:
    ends = ("been there.", "seen it.", "loved her.", "spoken to him.")
    for (one, many), end in product(PEOPLE, ends):
        yield Pair("negative polarity", f"No {one} has ever {end}", f"The {one} has ever {end}")
        yield Pair("negative polarity", f"None of the {many} have ever {end}", f"All of the {many} have ever {end}")


def _case() -> Iterator[Pair]:
    pronouns = (("he", "him"), ("she", "her"), ("they", "them"), ("we", "us"))
    for (subject, object_), (one, _) in product(pronouns, PEOPLE):
        yield Pair("case", f"The {one} gave it to {object_}.", f"The {one} gave it to {subject}.")
        yield Pair("case", f"I know that {subject} loved the {one}.", f"I know that {object_} loved the {one}.")


def _participle() -> Iterator[Pair]:
    forms = (("gone", "went"), ("seen", "saw"), ("taken", "took"), ("written", "wrote"), ("spoken", "spoke"))
    for (participle, past), (one, many) in product(forms, PEOPLE):
        rest = {"gone": "away", "seen": "it", "taken": "it", "written": "it", "spoken": "of it"}[participle]
        yield Pair("participle", f"The {one} had {participle} {rest}.", f"The {one} had {past} {rest}.")
        yield Pair("participle", f"The {many} {past} {rest}.", f"The {many} {participle} {rest}.")


def _auxiliary() -> Iterator[Pair]:
    verbs = (("see", "saw"), ("know", "known"), ("come", "came"), ("speak", "spoke"))
    for (plain, other), (one, _), auxiliary in product(verbs, PEOPLE, ("did not", "would")):
        yield Pair("auxiliary", f"The {one} {auxiliary} {plain}.", f"The {one} {auxiliary} {other}.")


def judge_pairs(
    model: LanguageModel,
    corpus: Corpus,
    pairs: Sequence[Pair],
    make_plan: MakePlan | None = None,
    batch: int = 128,
) -> dict[str, list[bool]]:
    """Which pairs a model gets right.

    Args:
        model: evaluated without dropout.
        corpus: its tokeniser cuts the sentences.
        pairs: to judge.
        make_plan: as in `feasibility.lm.train.train`.
        batch: sentences at a time.

    Returns: phenomenon -> for each of its pairs whether the good sentence has the larger probability.

    Raises:
        ImportError: the package tokenizers is not installed.
    """
    sentences = [sentence for pair in pairs for sentence in (pair.good, pair.bad)]
    nats = np.concatenate(
        [
            sentence_nats(model, corpus, sentences[first : first + batch], make_plan)
            for first in range(0, len(sentences), batch)
        ]
    )
    found: dict[str, list[bool]] = {}
    for pair, (good, bad) in zip(pairs, nats.reshape(-1, 2), strict=True):
        found.setdefault(pair.phenomenon, []).append(bool(good < bad))
    return found


@torch.no_grad()
def sentence_nats(
    model: LanguageModel, corpus: Corpus, sentences: Sequence[str], make_plan: MakePlan | None = None
) -> np.ndarray:
    """-log p of sentences as first ones of a text. float64 [B]

    All are filled up to one length at the right, which nothing before it can see.
    """
    # The end of the text before is where each begins; the end of its own is not scored.
    coded = [np.concatenate([[0], corpus.encode([sentence])[:-1]]) for sentence in sentences]
    longest = max(map(len, coded))
    device = next(model.parameters()).device
    tokens = torch.zeros(len(coded), longest, dtype=torch.long)
    targets = torch.full_like(tokens, IGNORED)
    for row, ids in enumerate(coded):
        line = torch.from_numpy(ids.astype(np.int64))
        tokens[row, : len(ids)] = line
        targets[row, : len(ids) - 1] = line[1:]
    tokens, targets = tokens.to(device), targets.to(device)
    model.eval()
    with autocast(device):
        logits: Tensor = model(tokens, None if make_plan is None else make_plan(tokens))
    nats = cross_entropy(logits.float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return nats.double().sum(1).cpu().numpy()

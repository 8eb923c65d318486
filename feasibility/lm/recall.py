"""What a model makes of what was said long before: names that come again, last words of sentences, facts told once.

Loss is in nats. T tokens of a text, N tokens of a chunk, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from feasibility.lm.data import Corpus
from feasibility.lm.model import LanguageModel
from feasibility.lm.train import MakePlan, autocast

# How long ago a name was last seen: less than so many tokens, and at least as many as the bin before says.
BINS = (64, 256, 1024, 4096, 16384)
# A last word counts where it was not among so many tokens before it: these are what a short context shows.
NEAR = 256
TELL, ASK = '"My name is{name}," said the stranger.\n', '"What is your name?" they asked.\n"My name is'
CHOICES = 10
# How a byte-level vocabulary writes a space.
SPACE = "\u0120"

Flags = NDArray[np.bool_]


@torch.no_grad()
def token_nats(
    model: LanguageModel, ids: Tensor, length: int, tokens: int, make_plan: MakePlan | None = None
) -> NDArray[np.float32]:
    """What each token costs, in chunks side by side.

    Args:
        model: evaluated as it is, without dropout.
        ids: [T] integers; what is left after the last whole chunk is not read.
        length: N; the k-th token of a chunk has k before it, the first token of a chunk the last one alone.
        tokens: to read at a time, at least one chunk.
        make_plan: as in `feasibility.lm.train.train`.

    Returns: -log p of tokens 1 ... chunks * N, float32 [chunks * N].

    Raises:
        ValueError: the text is no longer than a chunk.
    """
    chunks = (len(ids) - 1) // length
    if chunks < 1:
        raise ValueError(f"a text of more than {length} tokens is needed, got {len(ids)}; choose a shorter length")
    device, batch = next(model.parameters()).device, max(1, tokens // length)
    model.eval()
    found = []
    for first in range(0, chunks, batch):
        some = ids[first * length : min(first + batch, chunks) * length + 1].to(device).long()
        inputs, targets = some[:-1].view(-1, length), some[1:].view(-1, length)
        with autocast(device):
            states = model.states(inputs, None if make_plan is None else make_plan(inputs))
            # Chunk by chunk: the logits are the largest thing here.
            for state, target in zip(states, targets, strict=True):
                found.append(cross_entropy(model.output(state).float(), target, reduction="none").cpu())
    return torch.cat(found).numpy()


def name_entries(corpus: Corpus, least: int = 20) -> NDArray[np.int64]:
    """Entries of the vocabulary that are names: whole words with a capital that are rarer without it; most used first.

    Args:
        corpus: its vocabulary and train part are used.
        least: how often one must occur in the train part.
    """
    count = dict(zip(corpus.vocab, corpus.counts().tolist(), strict=True))
    names = [
        (-count[entry], number)
        for number, entry in enumerate(corpus.vocab)
        if _is_capitalised(entry)
        and count[entry] >= max(least, 4 * count.get(SPACE + entry.removeprefix(SPACE).lower(), 0))
    ]
    return np.array([number for _, number in sorted(names)], dtype=np.int64)


def _is_capitalised(entry: str) -> bool:
    word = entry.removeprefix(SPACE)
    return entry != word and len(word) >= 3 and word.isascii() and word.isalpha() and word.istitle()


def distances(ids: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """How many tokens before each the same one was last seen in its chunk; 0 where it was not.

    Args:
        ids: [chunks * N + 1]; the token after each of the first chunks * N is asked for, as a model is.
        length: N.

    Returns: int64 [chunks * N], for tokens 1 ... chunks * N.
    """
    total = (len(ids) - 1) // length * length
    found = np.zeros(total, dtype=np.int64)
    last: dict[int, int] = {}
    for place in range(total + 1):
        if place:
            before = last.get(int(ids[place]), -1)
            start = (place - 1) // length * length
            found[place - 1] = place - before if before >= start else 0
        last[int(ids[place])] = place
    return found


def by_distance(
    nats: NDArray[np.float32], apart: NDArray[np.int64], chosen: Flags, length: int
) -> dict[str, dict[str, list[float]]]:
    """Loss on the chosen tokens by how long ago they were last seen; for each chunk, to be drawn anew.

    Args:
        nats: [chunks * N].
        apart: [chunks * N], of `distances`.
        chosen: [chunks * N].
        length: N.

    Returns: "first" and "<64" ... -> {"nats": sum for each chunk, "tokens": their number}.
    """
    places = {"first": apart == 0}
    least = 1
    for end in BINS:
        places[f"<{end}"] = (apart >= least) & (apart < end)
        least = end
    return {name: _sums(nats, chosen & place, length) for name, place in places.items()}


def _sums(nats: NDArray[np.float32], chosen: Flags, length: int) -> dict[str, list[float]]:
    kept = np.where(chosen, nats, 0).reshape(-1, length)
    return {
        "nats": [round(float(x), 3) for x in kept.sum(1, dtype=np.float64)],
        "tokens": [int(x) for x in chosen.reshape(-1, length).sum(1)],
    }


def last_words(corpus: Corpus, ids: NDArray[np.int64], length: int) -> Flags:
    """Where a sentence's last word stands that was said before in its chunk, but not among the last `NEAR` tokens.

    Args:
        corpus: its vocabulary is used.
        ids: [chunks * N + 1].
        length: N.

    Returns: bool [chunks * N], for tokens 1 ... chunks * N. The idea is LAMBADA's (Paperno et al. 2016).
    """
    is_word = np.array([len(x) > 3 and x.startswith(SPACE) and x[1:].isalpha() for x in corpus.vocab])
    closes = np.array([x[0] in ".!?" for x in corpus.vocab])
    apart = distances(ids, length)
    total = len(apart)
    follows = np.append(ids, 0)[2 : total + 2]
    found: Flags = is_word[ids[1 : total + 1]] & closes[follows] & (apart > NEAR)
    return found


def with_and_without(
    near: NDArray[np.float32], far: NDArray[np.float32], chosen: Flags, length: int
) -> dict[str, list[float]]:
    """Loss on the chosen tokens with a short and with a long context, summed for each long chunk."""
    short, long = _sums(near, chosen, length), _sums(far, chosen, length)
    return {"short": short["nats"], "long": long["nats"], "tokens": long["tokens"]}


@torch.no_grad()
def told_names(
    model: LanguageModel,
    corpus: Corpus,
    ids: NDArray[np.int64],
    apart: Sequence[int],
    items: int,
    make_plan: MakePlan | None = None,
    seed: int = 0,
) -> dict[str, dict[str, int]]:
    """A stranger says his name, a novel goes on for so many tokens, he is asked again: is it the likeliest of ten?

    Args:
        model: as it is.
        corpus: its tokeniser and names are used.
        ids: [T], the novel between.
        apart: tokens between telling and asking.
        items: how often for each.
        make_plan: as in `feasibility.lm.train.train`.
        seed: of names and places in the novel.

    Returns: tokens between -> {"right", "items", "choices"}; by chance 1 of so many choices is right: ten, or as many
        as there are names.

    Raises:
        ImportError: the package tokenizers is not installed.
    """
    names = name_entries(corpus)[: 4 * CHOICES]
    tell = [TELL.format(name=corpus.vocab[name].replace(SPACE, " ")) for name in names]
    told, asked = ([corpus.encode([text])[:-1].astype(np.int64) for text in texts] for texts in (tell, [ASK]))
    count = min(CHOICES, len(names))
    device, generator = next(model.parameters()).device, np.random.default_rng(seed)
    model.eval()
    found = {}
    for between in apart:
        right = 0
        for _ in range(items):
            choices = generator.choice(len(names), count, replace=False)
            start = generator.integers(0, len(ids) - between)
            line = np.concatenate([told[choices[0]], ids[start : start + between], asked[0]])
            tokens = torch.from_numpy(line)[None].to(device)
            with autocast(device):
                states = model.states(tokens, None if make_plan is None else make_plan(tokens))[:, -1]
                logits = model.output(states)[0].float().cpu().numpy()
            right += int(np.argmax(logits[names[choices]]) == 0)
        found[str(between)] = {"right": right, "items": items, "choices": count}
    return found

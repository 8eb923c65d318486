"""Two language models that differ in nothing but who computes their attention: criterion C1.1 of `sparse_attention`.

The text comes from the toy grammar, each sentence closed by a full stop; a token's class is the part of speech of its
word, a function of the word alone, so that the mask tells nothing about later words. B batch, N tokens, H heads,
D head dim, V words.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from feasibility.harness import Track
from feasibility.sparse_attention.measure import Run, dense_run, one_thread, planned_run, written_run
from feasibility.sparse_attention.patterns import UPOS, argument_bias, upos_table
from feasibility.toy_grammar.rules import load_grammar
from feasibility.toy_grammar.sentences import sample
from sparse_attn import ClassRules, plan_classes

WIDTH, HEADS, DEPTH = 64, 4, 2
BATCH, CONTEXT = 4, 128
LEARNING_RATE = 4e-3
# Sentences for training, for testing: independent streams of the same seed.
TRAIN, TEST = 0, 1

Kind = Literal["class_attention", "eager_masked", "dense"]
KINDS: tuple[Kind, ...] = ("class_attention", "eager_masked", "dense")


class Text(NamedTuple):
    """One line of tokens: word numbers and classes (UPOS), both [tokens] int64."""

    words: Tensor
    classes: Tensor


class TinyModel(nn.Module):
    """A causal transformer of some 100,000 parameters: pre-norm, tied embedding, learned positions."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        for table in (self.embed, self.place):
            nn.init.normal_(table.weight, std=WIDTH**-0.5)

    def forward(self, words: Tensor, attend: Run) -> Tensor:
        """Logits of the next word. [B, N] int64 -> [B, N, V]."""
        x = self.embed(words) + self.place.weight[: words.shape[1]]
        for block in self.blocks:
            x = block(x, attend)
        logits: Tensor = self.norm(x) @ self.embed.weight.T
        return logits


class Block(nn.Module):
    """Attention, then a perceptron, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, attend: Run) -> Tensor:
        """[B, N, 64] -> [B, N, 64]."""
        qkv = self.qkv(self.norms[0](x)).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = attend(*qkv.unbind(0)).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        added: Tensor = x + self.mlp(self.norms[1](x))
        return added


def draw_text(sentences: int, seed: int, stream: int) -> Text:
    """Sentences of 5 to 10 words, one after the other."""
    grammar = load_grammar()
    upos = {word: UPOS.index(entry.upos) for entry in grammar.lexicon.values() for word in entry.words}
    upos["."] = UPOS.index("PUNCT")
    number = {word: place for place, word in enumerate(sorted(upos))}
    words = [word for s in sample(grammar, sentences, 5, 10, (seed, stream)) for word in (*s.words, ".")]
    return Text(torch.tensor([number[word] for word in words]), torch.tensor([upos[word] for word in words]))


def attention(kind: Kind, classes: Tensor, rules: ClassRules) -> Run:
    """Who computes the attention of a batch with these classes ([B, N])."""
    if kind == "dense":
        return dense_run
    if kind == "eager_masked":
        return written_run(classes, torch.zeros_like(classes), rules)
    return planned_run(plan_classes(classes, rules))


def perplexity(kind: Kind, train: Text, test: Text, steps: int, seed: int, device: str) -> float:
    """Train from a seed and score on held-out text: the same start and the same batches whatever the kind.

    Returns: exp of the mean of -log p over all tokens of the test text that fill whole windows; nothing is padded.

    Cost: O(steps) batches of 512 tokens.
    """
    rules = ClassRules(upos_table(), argument_bias())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TinyModel(int(train.words.max()) + 1).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    order = torch.Generator().manual_seed(seed)
    # Up in ten steps, down over the second half.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 10, 2 * (steps - step) / steps)
    )
    for _ in range(steps):
        starts = torch.randint(len(train.words) - CONTEXT, (BATCH,), generator=order)
        loss = _loss(model, kind, rules, train, starts, device)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    windows = torch.arange(0, len(test.words) - CONTEXT, CONTEXT)
    with torch.no_grad():
        losses = [_loss(model, kind, rules, test, some, device) * len(some) for some in torch.split(windows, 4 * BATCH)]
    return math.exp(float(torch.stack(losses).sum()) / len(windows))


def _loss(model: nn.Module, kind: Kind, rules: ClassRules, text: Text, starts: Tensor, device: str) -> Tensor:
    """Mean -log p of the next word over windows that begin at `starts`."""
    span = starts[:, None] + torch.arange(CONTEXT + 1)
    words, classes = text.words[span].to(device), text.classes[span].to(device)
    logits = model(words[:, :-1], attention(kind, classes[:, :-1], rules))
    # In float64: two models that agree to the last digit of a float32 mean may still differ.
    return cross_entropy(logits.flatten(0, 1).double(), words[:, 1:].flatten())


def perplexities(sentences: int, steps: int, seeds: range, device: str, track: Track) -> dict[Kind, list[float]]:
    """Held-out perplexity of each kind, one number a seed; train and test text are the same for all seeds.

    Args:
        sentences: for training; a quarter as many for testing, from a stream of their own.
        steps: of training.
        seeds: of the starting weights and of the order of the batches; the first is that of the text.
        device: "cpu" or "cuda".
        track: progress.
    """
    train, test = draw_text(sentences, seeds[0], TRAIN), draw_text(sentences // 4, seeds[0], TEST)
    found: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    with one_thread():
        for kind, seed in track([(kind, seed) for seed in seeds for kind in KINDS], "training"):
            found[kind].append(perplexity(kind, train, test, steps, seed, device))
    return found

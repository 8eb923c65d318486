"""A batch as one flat stream of tokens, with the four numbers a token needs to decide who sees whom.

M = B * N tokens; position i of sequence b is flat position b * N + i, so that sequences, packed texts and padding are
all just spans of one stream. C classes; class C is padding. All tensors live on the device of the class ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sparse_attn.rules import ClassRules


@dataclass(frozen=True, eq=False)
class Stream:
    """Everything about a batch and its rules that visibility depends on; O(M) numbers.

    visible(i, j) = first[i] <= j < end(i) and (|i - j| < window or c_j global
                    or (allow[c_i, c_j] or i == j) and j >= floor[i] and (i < until[j] or i == j)),
    with end(i) = i + 1 if causal, else last[i].

    Args:
        classes: [M] int32, C for padding.
        first: [M] int32, flat position at which the token's segment begins.
        last: [M] int32, one past the segment's end.
        floor: [M] int32, the oldest key that the query's budget reaches (`first` without a budget).
        until: [M] int32, the first query for which the key's valence is used up (`last` without a valence).
        order: [M] int32, tokens sorted by class, then position; padding last.
        allow: [C + 1, C + 1] bool; the padding row and column are False.
        is_global: [C + 1] bool.
        queries: the last so many tokens of each sequence ask, the others are only keys.
        tokens: N, the length of a sequence.
    """

    classes: Tensor
    first: Tensor
    last: Tensor
    floor: Tensor
    until: Tensor
    order: Tensor
    allow: Tensor
    is_global: Tensor
    rules: ClassRules
    queries: int
    tokens: int

    @property
    def size(self) -> int:
        """M, the number of tokens in the stream."""
        return self.classes.shape[0]

    @cached_property
    def ranks(self) -> Tensor:
        """[M] int64, class * (M + 1) + position in the order of `order`: `offset` searches it."""
        return self.classes[self.order].long() * (self.size + 1) + self.order

    def offset(self, classes: Tensor, position: Tensor) -> Tensor:
        """Where in `order` the tokens of a class that lie at or after a position begin.

        Args:
            classes: integer tensor of classes in [0, C].
            position: integer tensor, broadcast against classes; clamped to [0, M].

        Returns: int64 tensor of the broadcast shape.
        """
        wanted = classes.long() * (self.size + 1) + position.long().clamp(0, self.size)
        return torch.searchsorted(self.ranks, wanted.contiguous())

    def visible(self, query: Tensor, key: Tensor) -> Tensor:
        """Whether the query token sees the key token; flat positions, broadcast against each other."""
        c_query, c_key = self.classes[query].long(), self.classes[key].long()
        width = self.allow.shape[0]
        bond = self.allow.flatten()[c_query * width + c_key]
        itself = query == key
        bond = (bond | itself) & (key >= self.floor[query]) & ((query < self.until[key]) | itself)
        if self.rules.window > 0:
            bond = bond | ((query - key).abs() < self.rules.window)
        if self.rules.global_classes:
            bond = bond | self.is_global[c_key]
        end = query + 1 if self.rules.causal else self.last[query]
        inside = (key >= self.first[query]) & (key < end)
        real = (c_query < width - 1) & (c_key < width - 1) & self.is_query(query)
        return bond & inside & real

    def is_query(self, position: Tensor) -> Tensor:
        """Whether the token asks: false for the first Nk - Nq tokens of each sequence."""
        return position % self.tokens >= self.tokens - self.queries


def build_stream(
    class_ids: Tensor, first: Tensor, last: Tensor, real: Tensor | None, rules: ClassRules, queries: int
) -> Stream:
    """Work out who can see whom, from class ids alone.

    Args:
        class_ids: [B, N] integer in [0, C) where the token is real.
        first: [B * N] int32, flat position at which the token's text begins.
        last: [B * N] int32, one past the text's end.
        real: [B, N] bool, False for padding; None where there is none.
        rules: the rules.
        queries: how many of the last tokens of each sequence ask.

    Cost: one sort of M tokens, O(M) besides; with a budget O(M C) for the counts by query class.
    """
    tokens = class_ids.shape[1]
    classes = class_ids.flatten().int()
    if real is not None:
        classes = torch.where(real.flatten(), classes, rules.classes)
    order = torch.argsort(classes, stable=True)
    allow, is_global, _ = rules.tables(class_ids.device)
    floor = first if rules.budget is None else budget_floor(classes, first, last, allow[:-1], rules)
    until = last if rules.valence is None else _valence_until(classes, first, last, order, rules)
    return Stream(classes, first, last, floor, until, order.int(), allow, is_global, rules, queries, tokens)


def _valence_until(classes: Tensor, first: Tensor, last: Tensor, order: Tensor, rules: ClassRules) -> Tensor:
    """The position of the w-th next token of the same class and segment, at which a key drops out of sight."""
    w = rules.valence or 1
    size = classes.shape[0]
    later = order.roll(-w)
    exists = torch.arange(size, device=order.device) + w < size
    exists = exists & (classes[later] == classes[order]) & (later < last[order])
    # Bidirectional: every query of the segment counts from the segment's end, so a key is in for all or for none.
    gone = later.int() if rules.causal else first[order]
    until = torch.empty_like(classes)
    until[order] = torch.where(exists, gone, last[order])
    return until


def budget_floor(classes: Tensor, first: Tensor, last: Tensor, allow: Tensor, rules: ClassRules) -> Tensor:
    """The k-th largest candidate of each query: keys before it are out of reach."""
    k = rules.budget or 1
    size, device = classes.shape[0], classes.device
    position = torch.arange(size, device=device)
    # counts[a, j + 1] = how many of the tokens 0 ... j the class a may bond with.
    counts = torch.zeros(allow.shape[0], size + 1, dtype=torch.long, device=device)
    torch.cumsum(allow[:, classes.long()], dim=1, out=counts[:, 1:])
    base = torch.arange(allow.shape[0], device=device) * (size + 1)
    ascending = (counts + base[:, None]).flatten()
    own = classes.long().clamp(max=allow.shape[0] - 1)
    horizon = position + 1 if rules.causal else last.long()
    upto, before = counts[own, horizon], counts[own, first.long()]

    def nth_largest(n: int) -> Tensor:
        wanted = upto - n + 1
        found = torch.searchsorted(ascending, base[own] + wanted) - base[own] - 1
        return torch.where(wanted > before, found, first)

    floor = nth_largest(k)
    # A token whose class may not bond with itself is a candidate beside those counted, and takes one place.
    with_itself = torch.minimum(nth_largest(k - 1), position) if k > 1 else position
    full = upto - before >= k
    displaced = torch.where(full & (position < floor), floor, with_itself)
    # With fewer than k others everything is kept.
    displaced = torch.where(full, displaced, first.long())
    bonds_itself = torch.gather(allow[own], 1, own[:, None]).squeeze(1)
    return torch.where(bonds_itself, floor, displaced).int()

"""The truth: dense, float64, obvious. Every other backend is tested against it.

B batch, H query heads, G key/value heads, N tokens, D head dim, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attn.rules import ClassRules


def visible_matrix(class_ids: Tensor, segments: Tensor, rules: ClassRules) -> Tensor:
    """Which token sees which, straight from the definition in `ClassRules`.

    Args:
        class_ids: [B, N] integer; ignored where the segment is negative.
        segments: [B, N] integer; tokens see each other only within a segment, negative marks padding.
        rules: the rules.

    Returns: [B, N, N] bool, row = query, column = key.

    Cost: O(B N^2 log N) time, O(B N^2) memory.
    """
    tokens = class_ids.shape[1]
    position = torch.arange(tokens, device=class_ids.device)
    row, column = position[:, None], position[None, :]
    classes = class_ids.long().clamp(0, rules.classes - 1)
    allow = rules.allow.to(class_ids.device)
    together = (segments[:, :, None] == segments[:, None, :]) & (segments >= 0)[:, :, None]
    if rules.causal:
        together = together & (column <= row)
    itself = row == column
    candidates = (allow[classes[:, :, None], classes[:, None, :]] | itself) & together
    seen = candidates
    if rules.budget is not None:
        seen = candidates & (_count_from_here_on(candidates) <= rules.budget)
    if rules.valence is not None:
        seen = candidates & itself
        for c in range(rules.classes):
            of_class = candidates & (classes == c)[:, None, :]
            seen = seen | (of_class & (_count_from_here_on(of_class) <= rules.valence))
    is_global = torch.zeros(rules.classes, dtype=torch.bool, device=class_ids.device)
    is_global[list(rules.global_classes)] = True
    near = (row - column).abs() < rules.window
    return seen | (together & (near | is_global[classes][:, None, :]))


def _count_from_here_on(chosen: Tensor) -> Tensor:
    """How many of the chosen keys lie at this column or to its right. [B, N, N] bool -> [B, N, N] int."""
    return chosen.flip(-1).cumsum(-1).flip(-1)


def masked_attention(
    query: Tensor, key: Tensor, value: Tensor, visible: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    """softmax(scale * q k^T + bias, over the visible keys) v in float64; rows that see nothing are exactly 0.

    Args:
        query: [B, H, Nq, D].
        key: [B, G, Nk, D], H % G == 0.
        value: [B, G, Nk, D].
        visible: [B, Nq, Nk] bool.
        bias: [B, Nq, Nk] or None.
        scale: multiplies the logits.

    Returns: [B, H, Nq, D] in the query's dtype, differentiable.

    Cost: O(B H Nq Nk D) time, O(B H Nq Nk) memory.
    """
    group = query.shape[1] // key.shape[1]
    q = query.double()
    k, v = (x.double().repeat_interleave(group, dim=1) for x in (key, value))
    logits = scale * (q @ k.transpose(-1, -2))
    if bias is not None:
        logits = logits + bias.double()[:, None]
    hidden = ~visible[:, None]
    # Blind rows get finite logits before the softmax and zero weights after it: no NaN can reach a gradient.
    blind = hidden.all(dim=-1, keepdim=True)
    logits = logits.masked_fill(hidden & ~blind, float("-inf")).masked_fill(blind, 0.0)
    weights = torch.softmax(logits, dim=-1).masked_fill(blind, 0.0)
    return (weights @ v).to(query.dtype)

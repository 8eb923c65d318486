"""What a finished model attends to, and what it loses when pairs are cut: `LanguageModel` run in slow motion.

B batch, N tokens, H heads, D head dim, E width, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from feasibility.lm.model import Block, LanguageModel


def attention_weights(model: LanguageModel, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The attention of each layer, and how long what it carries is.

    Args:
        model: trained with dense attention, in eval mode.
        tokens: [N] int64.

    Yields: float32 [H, N, N], rows add up to 1; float32 [H, N], the length of each head's contribution of each key,
        ||W v||, W the head's part of the map after attention.

    Cost: one forward pass and O(H N^2) memory.

    Source: Kobayashi et al. (2020), Attention is not only a weight: analyzing transformers with vector norms.
    """
    cosine, sine = (cast(Tensor, x)[: len(tokens)] for x in (model.cosine, model.sine))
    x = model.input_table(tokens[None])
    later = torch.ones(len(tokens), len(tokens), dtype=torch.bool, device=tokens.device).triu(1)
    for block in cast(Iterable[Block], model.blocks):
        query, key, value = block.project(x, cosine, sine)
        scores = query @ key.mT * query.shape[-1] ** -0.5
        weights = scores.float().masked_fill(later, -torch.inf).softmax(-1)
        yield weights[0], _carried(block, value[0])
        x = block.combine(x, weights.to(value.dtype) @ value)


def _carried(block: Block, value: Tensor) -> Tensor:
    """[H, N, D] -> [H, N]."""
    heads, _, size = value.shape
    mix = block.mix.weight.float().view(-1, heads, size).transpose(0, 1)
    # ||W v||^2 = v' (W' W) v: D x D a head, not E x D.
    gram = mix.mT @ mix
    value = value.float()
    return (value @ gram * value).sum(-1).clamp_min(0).sqrt()


def masked_losses(model: LanguageModel, tokens: Tensor, targets: Tensor, visible: Tensor) -> Tensor:
    """Loss of one text under several masks, which every head of every layer obeys.

    Args:
        model: in eval mode.
        tokens, targets: [N] int64.
        visible: bool [B, N, N]; a query sees a key where it is True.

    Returns: float64 [B], nats summed over the targets.

    Cost: B forward passes.
    """
    cosine, sine = (cast(Tensor, x)[: len(tokens)] for x in (model.cosine, model.sine))
    x = model.input_table(tokens.expand(len(visible), -1))
    for block in cast(Iterable[Block], model.blocks):
        query, key, value = block.project(x, cosine, sine)
        x = block.combine(x, scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None]))
    # One mask after another: all logits at once would be B N V numbers.
    losses = [cross_entropy(model.output(row).float(), targets, reduction="sum") for row in model.norm(x)]
    return torch.stack(losses).double()

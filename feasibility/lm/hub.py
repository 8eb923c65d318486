"""The class cache in a Llama of transformers: text of any length in constant memory.

    model = AutoModelForCausalLM.from_pretrained(folder)
    stream = HubStream(model, *read_rules(folder))
    stream.feed(tokens)                        # [B, N] -> logits [B, N, V]
    stream.generate(100, seed=0)

`attach` and `model.generate` give the same tokens, but keep the whole text (docs/transformers.md): transformers appends
to its cache before it calls an attention, and a `ClassCache` does both at once. So here the layers get no other cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from feasibility.lm.generate import Stream
from sparse_attn import ClassCache, ClassRules

NAME = "asa_stream"


class HubStream(Stream):
    """The same as `Stream` for a Llama of transformers, attached or not: constant memory, through one cache a layer.

    Args:
        model: a `LlamaForCausalLM`, or one with its layers' signatures (Mistral, Qwen 2 and 3).
        rules: as for `sparse_attn.ClassCache`.
        vocab_classes: [V] int64.
        batch: B.

    Raises:
        UnsupportedError: rules whose memory is not bounded.
    """

    def __init__(self, model: Any, rules: ClassRules, vocab_classes: Tensor, batch: int = 1) -> None:
        AttentionInterface.register(NAME, _attend_through_cache)
        AttentionMaskInterface.register(NAME, _no_mask)
        config, weight = model.config, model.lm_head.weight
        self.hub, self.classes = model.eval(), vocab_classes.to(weight.device)
        shape = batch, config.num_key_value_heads, config.head_dim
        self._begin(
            [ClassCache(rules, *shape, weight.dtype, weight.device) for _ in range(config.num_hidden_layers)],
            weight,
            batch,
        )

    def _logits(self, tokens: Tensor) -> Tensor:
        positions = (self.length + torch.arange(tokens.shape[1], device=self.device)).expand_as(tokens)
        previous = self.hub.config._attn_implementation
        self.hub.set_attn_implementation(NAME)
        try:
            # Straight to the layers: an attached model would plan for these tokens alone.
            out = type(self.hub.model).forward(
                self.hub.model,
                tokens,
                position_ids=positions,
                use_cache=False,
                memories=self.memories,
                memory_classes=self.classes[tokens],
            )
        finally:
            self.hub.set_attn_implementation(previous)
        self.length += tokens.shape[1]
        logits: Tensor = self.hub.lm_head(out.last_hidden_state)
        return logits

    def _is_fixed(self) -> bool:
        # transformers decides in Python at every step.
        return False


def _attend_through_cache(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **kwargs: Any
) -> tuple[Tensor, None]:
    """What transformers calls in each layer: [B, H, N, D] -> [B, N, H, D], and no weights."""
    cache = kwargs["memories"][module.layer_idx]
    out = cache.attend(query, key, value, kwargs["memory_classes"], kwargs.get("scaling"))
    return out.transpose(1, 2).contiguous(), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None

"""Tiny random models of transformers, rules for them, and the mask under which their eager attention does the same."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor

from sparse_attn import ClassRules
from sparse_attn.impl.reference import visible_matrix

V, C, N = 40, 5, 11
GENERATOR = torch.Generator().manual_seed(0)
ALLOW = torch.rand(C, C, generator=GENERATOR) < 0.5
BIAS = torch.randn(C, C, generator=GENERATOR)
CLASSES = torch.randint(C, (V,), generator=GENERATOR)
IDS = torch.randint(3, V, (3, N), generator=GENERATOR)
# Rows of 11, 8 and 4 tokens, padded on the left as for generation.
LEFT = torch.arange(N) >= torch.tensor([[0], [3], [7]])
SIZES = {"vocab_size": V, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
IDENTITIES = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 64}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("ForCausalLM", {"num_key_value_heads": 2}),
    "GPTNeoX": ("ForCausalLM", {}),
    "Bert": ("ForMaskedLM", {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}),
}


def make(kind: str = "Llama", **options: Any) -> Any:
    """A tiny random model with eager attention, ready to evaluate."""
    head, own = KINDS.get(kind, ("ForCausalLM", {"num_key_value_heads": 2}))
    config = getattr(transformers, kind + "Config")(**{**SIZES, **IDENTITIES, **own, **options})
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    return getattr(transformers, kind + head)(config).eval()


def rules_of(name: str, causal: bool = True) -> ClassRules:
    """One of four kinds of rules."""
    options: dict[str, Any] = {
        "everything": {},
        "table and bias": {"bias": BIAS},
        "budget": {"budget": 3},
        "window and valence": {"window": 3, "valence": 1, "global_classes": (1,)},
    }[name]
    return ClassRules(torch.ones_like(ALLOW) if name == "everything" else ALLOW, causal=causal, **options)


def dense_mask(rules: ClassRules, real: Tensor) -> Tensor:
    """What eager attention adds to its logits to compute the same. [B, 1, N, N]."""
    classes = CLASSES[IDS]
    seen = visible_matrix(classes, torch.where(real, 0, -1), rules)
    bias = torch.zeros(C, C) if rules.bias is None else rules.bias
    added = bias[classes[:, :, None], classes[:, None, :]]
    return added.masked_fill(~seen, torch.finfo(torch.float32).min)[:, None]


def generate(model: Any, **options: Any) -> Tensor:
    """Ten tokens more for each row of IDS, greedily unless the options say otherwise. [3, N + 10]."""
    config = transformers.GenerationConfig(
        max_new_tokens=10, min_new_tokens=10, pad_token_id=0, eos_token_id=2, **{"do_sample": False, **options}
    )
    torch.manual_seed(0)
    out: Tensor = model.generate(IDS, attention_mask=LEFT.long(), generation_config=config)
    return out

"""A trained model as a checkpoint that `transformers` loads: weights, configuration, tokeniser, model card, classes.

    export(model, folder, Card(...), tokeniser=corpus.tokeniser, pattern=pattern)
    hub = AutoModelForCausalLM.from_pretrained(folder)            # transformers; reads it as a dense Llama
    attach(hub, *read_rules(folder))                              # sparse_attn.integrations.transformers
    HubStream(hub, *read_rules(folder)).generate(100)             # in constant memory

The model is a Llama in all but the names of its weights: pre-norm RMSNorm, rotary positions by halves, SwiGLU, no bias.
E width, F width inside the perceptron, V vocabulary, C classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from feasibility.lm.data import END_OF_TEXT
from feasibility.lm.model import Block, LanguageModel
from feasibility.lm.patterns import Pattern
from feasibility.store import write_atomic
from sparse_attn import ClassRules

SCHEMA = "asa.lm-rules.v1"
RULES = "class_rules.json"


class NotExportable(ValueError):
    """A model that is no Llama (an input table or output of the caller's), or rules that no table of entries gives."""


@dataclass(frozen=True)
class Card:
    """What a model card must say.

    Args:
        name: of the model.
        facts: lines for the table of facts: parameters, data, training, results; name -> value.
        licence: of the weights, by its SPDX name.
    """

    name: str
    facts: dict[str, str] = field(default_factory=dict)
    licence: str = "mit"


def export(
    model: LanguageModel,
    folder: Path,
    card: Card,
    *,
    tokeniser: str,
    pattern: Pattern | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write model.safetensors, config.json, tokenizer.json, tokenizer_config.json, README.md and class_rules.json.

    Args:
        model: with its own table and output.
        folder: made if it is not there; each file is written whole or not at all.
        card: for README.md.
        tokeniser: JSON of the package tokenizers.
        pattern: the rules it was trained under; without it, or for dense attention, no class_rules.json.
        dtype: of the saved weights.

    Raises:
        NotExportable: see there.
        ImportError: the package safetensors is not installed.
    """
    from safetensors.torch import save

    rules = None if pattern is None or pattern.rules is None else _rules(pattern)
    weights = {name: x.detach().to(dtype).cpu().contiguous() for name, x in llama_weights(model)}
    write_atomic(folder / "model.safetensors", save(weights, {"format": "pt"}))
    write_atomic(folder / "config.json", _json(llama_config(model, dtype)))
    write_atomic(folder / "tokenizer.json", tokeniser)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    write_atomic(folder / "tokenizer_config.json", _json(settings | {"model_max_length": model.config.max_length}))
    if rules is not None:
        write_atomic(folder / RULES, json.dumps(rules) + "\n")
    write_atomic(folder / "README.md", card_text(card, model, pattern))


def llama_weights(model: LanguageModel) -> Iterator[tuple[str, Tensor]]:
    """The model's weights by the names that `LlamaForCausalLM` has for them.

    Raises:
        NotExportable: a table or an output that is not the default one.
    """
    table, output = model.input_table, model.output
    has_bias = getattr(output, "bias", None) is not None
    if not isinstance(table, torch.nn.Embedding) or not isinstance(output, torch.nn.Linear) or has_bias:
        raise NotExportable(
            f"a Llama has a plain table and a linear output without bias, got {type(table).__name__} and "
            f"{type(output).__name__}; export a model with the default ones"
        )
    yield "model.embed_tokens.weight", table.weight
    for place, block in enumerate(cast("list[Block]", model.blocks)):
        layer = f"model.layers.{place}."
        for name, part in zip("qkv", block.qkv.weight.chunk(3), strict=True):
            yield f"{layer}self_attn.{name}_proj.weight", part
        yield layer + "self_attn.o_proj.weight", block.mix.weight
        # The first half is what passes, the second the gate.
        for name, part in zip(("up", "gate"), block.gate.weight.chunk(2), strict=True):
            yield f"{layer}mlp.{name}_proj.weight", part
        yield layer + "mlp.down_proj.weight", block.shrink.weight
        yield layer + "input_layernorm.weight", block.attention_norm.weight
        yield layer + "post_attention_layernorm.weight", block.perceptron_norm.weight
    yield "model.norm.weight", model.norm.weight
    if not model.config.tied:
        yield "lm_head.weight", output.weight


def llama_config(model: LanguageModel, dtype: torch.dtype) -> dict[str, Any]:
    """config.json of the same model."""
    sizes = model.config
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": sizes.vocab,
        "hidden_size": sizes.dim,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.heads,
        "head_dim": sizes.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": sizes.max_length,
        # What torch's RMSNorm adds in float32, in which training keeps the stream.
        "rms_norm_eps": torch.finfo(torch.float32).eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": sizes.tied,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 0,
        "dtype": str(dtype).removeprefix("torch."),
    }


def _rules(pattern: Pattern) -> dict[str, Any]:
    rules = pattern.rules
    assert rules is not None
    if pattern.of_position is not None or pattern.sinks or rules.bias is not None:
        raise NotExportable(
            f"{pattern.spec.name} gives classes to positions (or has a bias); only entries have a table"
        )
    return {
        "schema": SCHEMA,
        "pattern": pattern.spec.name,
        "window": rules.window,
        "valence": rules.valence,
        "budget": rules.budget,
        "global_classes": list(rules.global_classes),
        "allow": ["".join("01"[int(x)] for x in row) for row in rules.allow.tolist()],
        "vocab_classes": [] if pattern.of_entry is None else pattern.of_entry.tolist(),
    }


def read_rules(folder: Path) -> tuple[ClassRules, Tensor]:
    """Rules and classes [V] of an exported model, ready for `attach`.

    Raises:
        FileNotFoundError: the model is a dense one.
        ValueError: the file has another schema.
    """
    words = json.loads((folder / RULES).read_text(encoding="utf-8"))
    if words.get("schema") != SCHEMA:
        raise ValueError(f"{folder / RULES} has schema {words.get('schema')!r}, expected {SCHEMA!r}; export it anew")
    allow = torch.tensor([[digit == "1" for digit in row] for row in words["allow"]])
    entries = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    rules = ClassRules(
        allow,
        budget=words["budget"],
        valence=words["valence"],
        window=words["window"],
        global_classes=words["global_classes"],
    )
    return rules, torch.tensor(words["vocab_classes"] or [0] * entries)


def card_text(card: Card, model: LanguageModel, pattern: Pattern | None) -> str:
    """README.md: what the model is, how to load it, what to mind."""
    sizes = model.config
    facts = {
        "parameters": f"{model.parameter_count():,}",
        "layers, width, heads": f"{sizes.layers}, {sizes.dim}, {sizes.heads}",
        "vocabulary": f"{sizes.vocab:,} byte-level pieces",
        "longest training text": f"{sizes.max_length:,} pieces",
        **card.facts,
    }
    typed = ""
    if pattern is not None and pattern.rules is not None:
        rules = pattern.rules
        facts["attention"] = f"{pattern.spec.name}: window {rules.window}, last {rules.valence} of each class"
        typed = _TYPED
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return _CARD.format(name=card.name, licence=card.licence, rows=rows, typed=typed)


_CARD = """---
license: {licence}
language: en
library_name: transformers
pipeline_tag: text-generation
---
# {name}

A causal language model of English novels in the public domain, from the project Atomic Semantic Attention. Its
architecture is that of Llama.

| | |
|---|---|
{rows}
{typed}
Trained on a few novels for minutes, to compare ways of attending: it writes in the manner of the nineteenth century,
knows nothing of the world since, repeats the prejudices of its texts, and is of no use as a source of facts.
"""
_TYPED = """
`AutoModelForCausalLM.from_pretrained` loads it as a dense model, which it is not: it was trained to see a window and
the last few pieces of each class. Attach the rules:

```python
from pathlib import Path
from feasibility.lm.export import read_rules
from feasibility.lm.hub import HubStream
from sparse_attn.integrations.transformers import attach
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = (auto.from_pretrained(folder) for auto in (AutoModelForCausalLM, AutoTokenizer))
rules, classes = read_rules(Path(folder))
attach(model, rules, classes)                                 # forward, generate(), training
stream = HubStream(model, rules, classes)                     # or: any length, constant memory
```
"""


def _json(words: dict[str, Any]) -> str:
    return json.dumps(words, indent=2) + "\n"

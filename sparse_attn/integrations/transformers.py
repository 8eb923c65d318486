"""Class-structured attention in Hugging Face models: three lines, every layer, generation included.

    from sparse_attn.integrations.transformers import attach
    attach(model, rules, vocab_classes)        # vocab_classes [V]: the class of each token id
    model.generate(**inputs)                   # or model(**inputs), or a Trainer

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim, V entries of the vocabulary, C classes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel

from sparse_attn.errors import ClassRangeError, DtypeError, RulesError, ShapeError, UnsupportedError
from sparse_attn.integrations.transformers_layer import attention_forward, attention_mask, wants_causal
from sparse_attn.integrations.transformers_planner import ClassesMissing, ClassPlanner, Plans
from sparse_attn.plan import plan_classes
from sparse_attn.rules import ClassRules

__all__ = ["ClassesMissing", "attach", "class_mask_function", "detach", "plan_tokens", "register"]

_PLANNER = "class_planner"


def register(name: str = "asa") -> None:
    """Make `name` an `attn_implementation` of transformers: registers the attention and its mask function.

    Calling it again changes nothing. `attach` calls it; call it yourself before loading a model that names it.

    Raises:
        ValueError: the name is taken by another attention.
    """
    pairs = ((AttentionInterface, attention_forward), (AttentionMaskInterface, attention_mask))
    for interface, function in pairs:
        taken = interface._global_mapping.get(name)
        if name == "eager" or taken not in (None, function):
            raise ValueError(f"{name!r} is another attention of transformers; register() under a name of its own")
    for interface, function in pairs:
        interface.register(name, function)


def attach(
    model: PreTrainedModel,
    rules: ClassRules | Sequence[tuple[ClassRules, int]],
    vocab_classes: Tensor | None = None,
    name: str = "asa",
) -> None:
    """Let a model attend by the classes of its tokens, in every layer, with one plan a forward.

    The model gets a config of its own, so that another model made from the same config keeps its attention. Attaching
    again replaces the rules. Nothing is added to the state dict: after loading a checkpoint, attach again.

    Args:
        model: a decoder (Llama-like) or an encoder (BERT-like) of transformers, with or without a head.
        rules: the rules, `causal` as the model is. Or (rules, heads) for each group of query heads, in their order;
            query heads that share a key/value head must be in one group.
        vocab_classes: [V] integers in [0, C), the class of each token id. Without it each call needs
            token_classes=[B, N], and generate() is not possible.
        name: the attn_implementation to use.

    Raises:
        RulesError: rules whose `causal` is not the model's.
        ShapeError, DtypeError, ClassRangeError: a table that is not [V] integers in [0, C).
        UnsupportedError: encoder-decoders, models with several parts (attach to the text model), models whose
            attention cannot be exchanged.
    """
    register(name)
    if not isinstance(model, PreTrainedModel):
        raise TypeError(f"model must be a transformers PreTrainedModel, got {type(model).__name__}")
    groups = _checked_groups(rules)
    base = _text_model(model)
    _check_direction(base, groups[0][0].causal)
    table = _checked_table(vocab_classes, groups, base)
    if hasattr(base, _PLANNER):
        detach(model)
    _give_own_config(model)
    previous = base.config._attn_implementation
    model.set_attn_implementation(name)
    if base.config._attn_implementation != name:
        raise UnsupportedError(
            f"{type(base).__name__} does not take its attention from transformers' AttentionInterface"
        )
    parameters = tuple(inspect.signature(base.forward).parameters)
    planner = ClassPlanner(groups, table, name, previous, parameters)
    base.add_module(_PLANNER, planner)
    planner.handles = [
        base.register_forward_pre_hook(planner.before, with_kwargs=True),
        base.register_forward_hook(planner.after, with_kwargs=True),
    ]


def detach(model: PreTrainedModel) -> None:
    """Undo `attach`: the model attends as before. A model that is not attached is left as it is."""
    base = model.base_model
    planner = getattr(base, _PLANNER, None)
    if planner is None:
        return
    for handle in planner.handles:
        handle.remove()
    delattr(base, _PLANNER)
    model.set_attn_implementation(planner.previous)


def plan_tokens(model: PreTrainedModel, input_ids: Tensor | None = None, **inputs: Any) -> Plans:
    """The plan that an attached model would make for a call, to be passed as `class_plan=`.

    For `torch.compile(model, fullgraph=True)`, which cannot trace the making of a plan, and to plan ahead or only once
    for several forwards over the same tokens.

    Args:
        model: an attached model.
        input_ids: [B, N].
        inputs: attention_mask, position_ids, past_key_values, token_classes, cu_seq_lens_q as the model gets them.

    Raises:
        ClassesMissing: the model is not attached, or the classes of some tokens are not known.
    """
    planner = getattr(model.base_model, _PLANNER, None)
    if planner is None:
        raise ClassesMissing("the model has no rules yet: call attach(model, rules, vocab_classes) first")
    plans: Plans = planner.plan(input_ids, **inputs)
    return plans


def class_mask_function(
    classes: Tensor, rules: ClassRules, valid: Tensor | None = None
) -> Callable[[Any, Any, Any, Any], Tensor]:
    """The rules as a mask function of transformers, for its stock attentions (eager, sdpa, flex_attention).

        mask = create_causal_mask(..., and_mask_function=class_mask_function(classes, rules))
        model(input_ids, attention_mask=mask)

    Args:
        classes: [B, N] integers in [0, C), of all tokens, cached ones too.
        rules: any but with a bias, which no mask can hold.
        valid: [B, N] bool, False for padding.

    Returns: f(batch, head, query, key) -> bool, on indices into [B, H, N, N].

    Raises:
        UnsupportedError: rules with a bias.

    Cost: whoever calls it pays for N x N pairs; it is for comparing and for other backends.
    """
    if rules.bias is not None:
        raise UnsupportedError("a mask cannot hold rules.bias; use attach(), or rules without a bias")
    stream, tokens = plan_classes(classes, rules, valid=valid).stream, classes.shape[1]

    def sees(batch_idx: Any, head_idx: Any, q_idx: Any, kv_idx: Any) -> Tensor:
        return stream.visible(batch_idx * tokens + q_idx, batch_idx * tokens + kv_idx)

    return sees


def _checked_groups(rules: Any) -> tuple[tuple[ClassRules, int | None], ...]:
    if isinstance(rules, ClassRules):
        return ((rules, None),)
    groups = tuple(rules)
    if not groups or not all(
        isinstance(group, tuple) and len(group) == 2 and isinstance(group[0], ClassRules) and isinstance(group[1], int)
        for group in groups
    ):
        raise RulesError("rules must be ClassRules, or (ClassRules, number of query heads) for each group of heads")
    if len({group[0].causal for group in groups}) > 1:
        raise RulesError("some groups of heads are causal and some are not; a model is one or the other")
    return groups


def _text_model(model: PreTrainedModel) -> PreTrainedModel:
    base: PreTrainedModel = model.base_model
    kind, config = type(base).__name__, base.config
    if config.is_encoder_decoder:
        raise UnsupportedError(f"{kind} is an encoder-decoder: the keys of its cross-attention have no classes")
    if config.sub_configs:
        raise UnsupportedError(f"{kind} has several parts {sorted(config.sub_configs)}; attach to its text model")
    if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(base.forward).parameters.values()):
        raise UnsupportedError(f"{kind}.forward takes no further keyword arguments, so no plan can reach its layers")
    return base


def _check_direction(base: PreTrainedModel, causal: bool) -> None:
    kind = type(base).__name__
    wanted = {wants_causal(module) for module in base.modules()} - {None}
    if len(wanted) == 2:
        raise RulesError(f"{kind} has causal and bidirectional layers; one set of rules cannot fit both")
    if wanted and wanted != {causal}:
        what = "a bidirectional encoder" if causal else "a causal decoder"
        raise RulesError(f"{kind} is {what}, the rules have causal={causal}; make them with causal={not causal}")


def _checked_table(
    vocab_classes: Tensor | None, groups: tuple[tuple[ClassRules, int | None], ...], base: PreTrainedModel
) -> Tensor | None:
    if vocab_classes is None:
        return None
    table, entries = torch.as_tensor(vocab_classes), base.get_input_embeddings().weight.shape[0]
    if table.dtype.is_floating_point or table.dtype.is_complex or table.dtype == torch.bool:
        raise DtypeError(f"vocab_classes must be integers, got {table.dtype}; call .long()")
    if table.shape != (entries,):
        raise ShapeError(
            f"vocab_classes must have one class for each of the model's {entries} token ids, got shape "
            f"{tuple(table.shape)}; give unused ids any class"
        )
    classes = min(rules.classes for rules, _ in groups)
    if bool(((table < 0) | (table >= classes)).any()):
        raise ClassRangeError(
            f"vocab_classes must lie in [0, {classes}), the classes of the rules, got {int(table.min())} ... "
            f"{int(table.max())}"
        )
    return table.detach().clone().long().to(base.device)


def _give_own_config(model: PreTrainedModel) -> None:
    """Replace the configs in a model by copies: transformers reads the attention's name there at every forward."""
    copies: dict[int, PreTrainedConfig] = {}
    for module in model.modules():
        config = vars(module).get("config")
        if isinstance(config, PreTrainedConfig):
            module.config = copies.setdefault(id(config), copy.deepcopy(config))

"""What transformers calls in each layer of a model: the attention, and the function that makes its mask.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

from sparse_attn.api import class_attention
from sparse_attn.errors import RulesError, UnsupportedError
from sparse_attn.integrations.transformers_planner import ClassesMissing
from sparse_attn.plan import ClassPlan

# What some models hand to their attention beside the tensors, and this one does not compute.
_REFUSED = ("sliding_window", "softcap", "s_aux", "sinks", "position_bias", "block_indices", "indices", "cache")


def attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in each layer: [B, H, Nq, D], [B, G, N, D] twice -> [B, Nq, H, D], and no weights."""
    plans = kwargs.get("class_plan")
    if plans is None:
        raise ClassesMissing(
            f"no plan has reached {type(module).__name__}: call attach(model, rules, vocab_classes) after making the "
            "model; if it is attached, it does not pass keyword arguments on to its attention and is not supported"
        )
    groups = ((plans, query.shape[1]),) if isinstance(plans, ClassPlan) else plans
    _check_layer(module, attention_mask, dropout, kwargs, groups[0][0].rules.causal)
    share = query.shape[1] // key.shape[1]
    if sum(heads for _, heads in groups) != query.shape[1] or any(heads % share for _, heads in groups):
        raise RulesError(
            f"the groups hold {[heads for _, heads in groups]} query heads, the layer has {query.shape[1]}, {share} to "
            "a key/value head; groups must add up and not divide those that share one"
        )
    outputs, first = [], 0
    for plan, heads in groups:
        q, shared = slice(first, first + heads), slice(first // share, (first + heads) // share)
        outputs.append(class_attention(query[:, q], key[:, shared], value[:, shared], plan, scaling))
        first += heads
    out = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
    return out.transpose(1, 2).contiguous(), None


def attention_mask(
    *args: Any,
    mask_function: Callable[..., Any] = causal_mask_function,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    **kwargs: Any,
) -> Tensor | None:
    """What transformers calls to make a mask: refuses any pattern of the model's own, and passes the padding on.

    Who sees whom is in the plan. Without a registered mask function transformers would drop the padding silently.
    """
    if local_size is not None:
        raise UnsupportedError(
            f"the model attends within a sliding window or chunk of {local_size}; give the rules a window instead, and "
            "make the model with sliding_window=None where it has that setting"
        )
    if mask_function is not causal_mask_function and mask_function is not bidirectional_mask_function:
        raise UnsupportedError(
            "the model draws a mask of its own (blocks, or a mask function); only the plain causal and the plain "
            "bidirectional one can be replaced by rules"
        )
    return attention_mask


def _check_layer(module: Any, attention_mask: Any, dropout: float, kwargs: dict[str, Any], causal: bool) -> None:
    if dropout > 0:
        raise UnsupportedError(
            f"attention dropout {dropout} is not supported: load the model with attention_dropout=0.0 (BERT-like: "
            "attention_probs_dropout_prob=0.0), or call model.eval()"
        )
    for name in _REFUSED:
        if kwargs.get(name) is not None:
            raise UnsupportedError(f"{type(module).__name__} asks for {name}, which class attention does not compute")
    if isinstance(attention_mask, Tensor) and attention_mask.dim() != 2:
        raise UnsupportedError(f"{type(module).__name__} brings a mask of its own, {tuple(attention_mask.shape)}")
    wanted = wants_causal(module, kwargs.get("is_causal"))
    if wanted is not None and wanted != causal:
        raise RulesError(f"{type(module).__name__} has causal={wanted}, the rules causal={causal}")


def wants_causal(module: Any, asked: bool | None = None) -> bool | None:
    """Whether an attention module is causal, as transformers decides it; None where it does not say."""
    if asked is not None:
        return bool(asked)
    if not hasattr(module, "is_causal"):
        return None
    return bool(module.is_causal and getattr(getattr(module, "config", None), "is_causal", True))

"""From what a transformers model is called with to the plan of its attention, and the classes of its cached tokens.

B batch, H query heads, N tokens of this call, P tokens cached before it, V entries of the vocabulary, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from sparse_attn.errors import ClassRangeError, RulesError, ShapeError, UnsupportedError
from sparse_attn.plan import ClassPlan, plan_classes
from sparse_attn.rules import ClassRules

# What travels through the model to its attention: one plan, or one for each group of so many query heads.
Plans = ClassPlan | tuple[tuple[ClassPlan, int], ...]


class ClassesMissing(LookupError):
    """The classes of some tokens are not known, or no plan has reached the attention."""


class ClassHistory(DynamicLayer):  # type: ignore[misc]
    """The classes of the cached tokens, kept as one more layer of the model's key/value cache.

    Its keys [B, 1, P, 1] are class ids, its values whether the token is real. So whatever transformers does to the
    cache between two steps (reorder it for beams, crop it, repeat it, copy it) it does to the classes too.
    """

    def append(self, classes: Tensor, real: Tensor) -> None:
        """Remember tokens; classes [B, N] integer and real [B, N] bool."""
        super().update(classes[:, None, :, None], real[:, None, :, None])

    def update(self, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Refuse keys of a model that has more layers than the one that filled the cache."""
        raise UnsupportedError("the model has more layers than the cache it was given; start from an empty cache")


class ClassPlanner(nn.Module):
    """Two hooks on a transformers model: plan before each forward, remember the classes of cached tokens after it.

    Args:
        groups: rules and the number of query heads under them; None for all heads.
        vocab_classes: [V] integers, the class of each token id, or None. A buffer that is not saved: a checkpoint of
            the model stays a checkpoint of the model.
        name: under which the attention is registered.
        previous: the attention that the model had before.
        parameters: names of the model's forward parameters, in order.
    """

    vocab_classes: Tensor | None

    def __init__(
        self,
        groups: tuple[tuple[ClassRules, int | None], ...],
        vocab_classes: Tensor | None,
        name: str,
        previous: str,
        parameters: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.groups, self.name, self.previous, self.parameter_names = groups, name, previous, parameters
        self.register_buffer("vocab_classes", vocab_classes, persistent=False)
        self.handles: list[Any] = []

    def before(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
        """Forward pre-hook: put the plan among the keyword arguments, by which it reaches every layer."""
        call = dict(zip(self.parameter_names, args, strict=False)) | kwargs
        self._check_call(module, call)
        if call.get("class_plan") is None:
            call["class_plan"] = self._planned(call)
        if call.get("attention_mask") is None:
            # The plan keeps packed texts apart; without a mask transformers would look for them in the positions too.
            plan = first_plan(call["class_plan"])
            call["attention_mask"] = torch.ones(plan.batch, plan.num_keys, dtype=torch.bool, device=plan.device)
        call.pop("token_classes", None)
        return (), call

    def after(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Forward hook: where the model returns a cache, note the classes of the tokens that it has just stored."""
        parts = output if isinstance(output, tuple) else output.values()
        for part in parts:
            if isinstance(part, Cache):
                _remember(part, first_plan(kwargs["class_plan"]))

    def plan(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        token_classes: Tensor | None = None,
        cu_seq_lens_q: Tensor | None = None,
    ) -> Plans:
        """The plan of one forward; arguments as the model takes them, see `transformers.plan_tokens`."""
        classes = self._classes(input_ids, token_classes)
        tokens, past = classes.shape[1], _remembered(past_key_values)
        bounds = cu_seq_lens_q
        if bounds is None and attention_mask is None and past is None:
            bounds = _restarts(position_ids)
        real = None
        if past is not None:
            if bounds is not None:
                raise UnsupportedError("packed texts cannot continue a cache; call the model without past_key_values")
            real = torch.cat([past[1], torch.ones_like(classes, dtype=torch.bool)], dim=1)
            classes = torch.cat([past[0], classes], dim=1)
        if attention_mask is not None:
            real = _checked_mask(attention_mask, classes)
        plans = tuple(
            (plan_classes(classes, rules, valid=real, cu_seqlens=bounds, num_queries=tokens), heads)
            for rules, heads in self.groups
        )
        return plans[0][0] if plans[0][1] is None else plans  # type: ignore[return-value]

    @torch.compiler.disable(  # type: ignore[no-untyped-call]
        reason="the size of a plan depends on the tokens: make it with plan_tokens(...) and pass it as class_plan="
    )
    def _planned(self, call: dict[str, Any]) -> Plans:
        asked = ("input_ids", "attention_mask", "position_ids", "past_key_values", "token_classes", "cu_seq_lens_q")
        return self.plan(**{name: call.get(name) for name in asked})

    def _check_call(self, module: Any, call: dict[str, Any]) -> None:
        used = module.config._attn_implementation
        if used != self.name:
            raise RulesError(
                f"the model's attention was switched to {used!r} after attach(), so that the rules would be ignored; "
                f"call detach(model), or model.set_attn_implementation({self.name!r})"
            )
        if call.get("output_attentions") or getattr(module.config, "output_attentions", False):
            raise UnsupportedError(
                'output_attentions=True: the weights are never written out; use attn_implementation="eager" to see them'
            )
        if call.get("encoder_hidden_states") is not None:
            raise UnsupportedError("cross-attention (encoder_hidden_states) has no classes for its keys; not supported")

    def _classes(self, input_ids: Tensor | None, token_classes: Tensor | None) -> Tensor:
        if token_classes is not None:
            return token_classes
        if input_ids is None:
            raise ClassesMissing(
                "the model was called with inputs_embeds and no token classes: pass token_classes=[B, N], or input_ids"
            )
        table = self.vocab_classes
        if table is None:
            raise ClassesMissing("attach() got no vocab_classes: pass them there, or token_classes=[B, N] to each call")
        if input_ids.device.type == "cpu" and bool(((input_ids < 0) | (input_ids >= table.shape[0])).any()):
            raise ClassRangeError(
                f"token ids must lie in [0, {table.shape[0]}), the entries of vocab_classes, got up to "
                f"{int(input_ids.max())}; where the vocabulary has grown, attach() again with the longer table"
            )
        return table[input_ids]


def first_plan(plans: Plans) -> ClassPlan:
    """The plan, or that of the first group of heads: all are for the same tokens."""
    return plans if isinstance(plans, ClassPlan) else plans[0][0]


@torch.compiler.disable(reason="a compiled forward keeps no cache of classes: pass use_cache=False")  # type: ignore[no-untyped-call]
def _remember(cache: Cache, plan: ClassPlan) -> None:
    """Append the classes of the newest tokens, unless the cache is of no use for going on."""
    row = torch.arange(plan.batch, device=plan.device)[:, None] * plan.num_keys
    is_packed = bool((plan.segments > row).any())
    # Layers under gradient checkpointing leave the cache empty; packed texts have no common next token.
    if is_packed or cache.get_seq_length() != plan.num_keys:
        return
    history = _history(cache)
    if history is None:
        history = ClassHistory()
        cache.layers.append(history)
    new = slice(plan.num_keys - plan.num_queries, None)
    history.append(plan.class_ids[:, new].long(), plan.segments[:, new] >= 0)


def _history(cache: Cache) -> ClassHistory | None:
    return next((layer for layer in cache.layers if isinstance(layer, ClassHistory)), None)


def _remembered(cache: Any) -> tuple[Tensor, Tensor] | None:
    """Classes [B, P] and realness [B, P] of the tokens in a cache; None where it is empty."""
    if cache is None:
        return None
    grows = isinstance(cache, Cache) and not cache.offloading
    if not grows or not all(isinstance(x, DynamicLayer) and not x.is_sliding for x in cache.layers):
        raise UnsupportedError(
            f"past_key_values must be a DynamicCache whose layers all keep the whole text (not static, sliding or "
            f"offloaded), got {type(cache).__name__}; leave cache_implementation at its default"
        )
    history, cached = _history(cache), int(cache.get_seq_length())
    known = 0 if history is None else int(history.get_seq_length())
    if known != cached:
        raise ClassesMissing(
            f"the cache holds {cached} tokens, but the classes of {known} are known; start from an empty cache, with "
            "the model attached"
        )
    if history is None or known == 0:
        return None
    return history.keys[:, 0, :, 0], history.values[:, 0, :, 0].bool()


def _restarts(position_ids: Tensor | None) -> Tensor | None:
    """Bounds [S + 1] of the texts packed into one row, as transformers tells them: positions that do not go on by 1."""
    if position_ids is None:
        return None
    if position_ids.dim() != 2:
        raise UnsupportedError(f"position_ids must be [B, N], got {tuple(position_ids.shape)}; pass an attention_mask")
    jumps = position_ids.diff(dim=1) != 1
    if not bool(jumps.any()):
        return None
    if position_ids.shape[0] != 1:
        raise UnsupportedError(
            f"position_ids restart within rows of a batch of {position_ids.shape[0]}: pack the texts into one row "
            "(DataCollatorWithFlattening), or pass an attention_mask if nothing is packed"
        )
    starts = jumps[0].nonzero().flatten() + 1
    return torch.cat([starts.new_zeros(1), starts, starts.new_full((1,), position_ids.shape[1])])


def _checked_mask(attention_mask: Any, classes: Tensor) -> Tensor:
    if not isinstance(attention_mask, Tensor) or attention_mask.dim() != 2:
        kind = f"{attention_mask.dim()}-D" if isinstance(attention_mask, Tensor) else type(attention_mask).__name__
        raise UnsupportedError(
            f"attention_mask must be the 2-D padding mask [B, P + N], got {kind}: who sees whom is up to the rules"
        )
    if attention_mask.shape != classes.shape:
        raise ShapeError(
            f"attention_mask must cover all tokens, cached ones too: expected {tuple(classes.shape)}, got "
            f"{tuple(attention_mask.shape)}"
        )
    return attention_mask.to(device=classes.device, dtype=torch.bool)

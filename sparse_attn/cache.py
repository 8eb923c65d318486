"""Decoding with constant memory: ring buffers of the last w keys of each class, and of the last few tokens.

B batch, H query heads, G key/value heads, N new tokens, D head dim, C classes, S slots = C w + window.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot, scaled_dot_product_attention

from sparse_attn.api import check_tensors, checked_scale, class_attention
from sparse_attn.errors import ClassRangeError, DeviceError, DtypeError, ShapeError, UnsupportedError
from sparse_attn.plan import check_class_ids, plan_classes
from sparse_attn.rules import ClassRules


class ClassCache:
    """What a generating model must remember of a text, however long it grows: C w + window keys and values.

    Give it each new token (or chunk of tokens) with its class; it answers what `class_attention` over the whole text
    would. One cache serves one layer. No gradients flow through it: a graph over all steps would grow with the text.

    Args:
        rules: causal rules with a valence, or with a window alone (nothing allowed), and no global class: other rules
            need a memory that grows with the text.
        batch: B.
        key_heads: G.
        head_dim: D.
        dtype: of keys and values.
        device: where the memory lives.

    Raises:
        UnsupportedError: rules whose memory is not bounded.
        DtypeError: rules that are no `ClassRules`; a dtype that is not floating point.
        ShapeError: sizes that are no integers >= 1.
    """

    def __init__(
        self,
        rules: ClassRules,
        batch: int,
        key_heads: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if not isinstance(rules, ClassRules):
            raise DtypeError(f"rules must be ClassRules, got {type(rules).__name__}")
        if not dtype.is_floating_point:
            raise DtypeError(f"keys and values need a floating-point dtype, got {dtype}")
        sizes: dict[str, Any] = {"batch": batch, "key_heads": key_heads, "head_dim": head_dim}
        if any(not isinstance(size, Integral) or size < 1 for size in sizes.values()):
            raise ShapeError(f"sizes must be integers >= 1, got {sizes}")
        unbounded = rules.valence is None and rules.allows_any
        if not rules.causal or unbounded or rules.global_classes:
            raise UnsupportedError(
                "a cache of constant size needs causal rules with a valence (or only a window), no global class, got "
                f"causal={rules.causal}, valence={rules.valence}, global_classes={rules.global_classes}"
            )
        self.rules = rules
        self._depth = rules.valence or 1
        # The token itself is always visible: a window of one holds it even where the rules have none.
        self._recent = max(rules.window, 1)
        ringed = rules.classes * self._depth
        slots = ringed + self._recent
        self.keys = torch.zeros(batch, key_heads, slots, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.length = 0
        self._position = torch.full((batch, slots), -1, dtype=torch.long, device=device)
        self._class = torch.zeros_like(self._position)
        self._class[:, :ringed] = torch.arange(ringed, device=device) // self._depth
        self._seen = torch.zeros(batch, rules.classes, dtype=torch.long, device=device)
        self._allow = rules.allow.to(device)
        self._bias = None if rules.bias is None else rules.bias.to(device, dtype)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, class_ids: Tensor, scale: float | None = None
    ) -> Tensor:
        """Append tokens and attend from them to all that they see, themselves included.

        Args:
            query: [B, H, N, D], N >= 1.
            key: [B, G, N, D].
            value: [B, G, N, D].
            class_ids: [B, N] integers in [0, C).
            scale: multiplies the logits; D ** -0.5 by default.

        Returns: [B, H, N, D].

        Raises:
            ShapeError, DtypeError, DeviceError: arguments that do not fit each other or the cache.
            NonFiniteError: NaN or infinity in an input, on a CPU.
            ClassRangeError: a class id outside [0, C), on a CPU.

        Cost: O(S D H) for one token, the same after 100 tokens as after 100,000; O(N (S + N) D H) at most for a chunk.
        """
        self._check(query, key, value, class_ids)
        scale = checked_scale(scale, query.shape[-1])
        with torch.no_grad():
            return self._attend(query, key, value, class_ids, scale)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, class_ids: Tensor, scale: float) -> Tensor:
        if query.shape[2] == 1:
            self._store(key, value, class_ids)
            return self._step(query, class_ids, scale)
        past_keys, past_values, past_classes, valid = self._remembered()
        classes = torch.cat([past_classes, class_ids.long()], dim=1)
        valid = torch.cat([valid, torch.ones_like(class_ids, dtype=torch.bool)], dim=1)
        plan = plan_classes(classes, self.rules, valid=valid, num_queries=query.shape[2])
        keys, values = torch.cat([past_keys, key], dim=2), torch.cat([past_values, value], dim=2)
        out = class_attention(query, keys, values, plan, scale)
        self._store(key, value, class_ids)
        return out

    def _step(self, query: Tensor, class_ids: Tensor, scale: float) -> Tensor:
        """Attend from the newest token, which is stored already."""
        now = self.length - 1
        ringed = self._position.shape[1] - self._recent
        is_recent = self._position > now - self._recent
        is_recent[:, :ringed] = False
        allowed = self._allow[class_ids.long(), self._class]
        # A key of the class rings that is also recent is seen once, in the ring of recent tokens.
        older = (self._position >= 0) & (self._position <= now - self._recent) & allowed
        older[:, ringed:] = False
        mask = torch.zeros_like(older, dtype=query.dtype)
        if self._bias is not None:
            mask = self._bias[class_ids.long(), self._class].to(query.dtype)
        mask = mask.masked_fill(~(older | is_recent & (self._position >= 0)), float("-inf"))[:, None, None]
        return scaled_dot_product_attention(
            query, self.keys, self.values, attn_mask=mask, scale=scale, enable_gqa=query.shape[1] != self.keys.shape[1]
        )

    def _remembered(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is stored, each token once, in the order of the text; what is no token comes first.

        The last tokens lie side by side at the end, so distances within the window are those of the text, and of each
        class the last w are there, so that counting from the end finds the same ones.
        """
        ringed = self._position.shape[1] - self._recent
        known = self._position >= 0
        known[:, :ringed] &= self._position[:, :ringed] < self.length - self._recent
        known[:, ringed:] &= self._position[:, ringed:] >= self.length - self._recent
        order = torch.where(known, self._position, -1).argsort(dim=1, stable=True)
        rows = order[:, None, :, None].expand_as(self.keys)
        return (
            self.keys.gather(2, rows),
            self.values.gather(2, rows),
            self._class.gather(1, order),
            known.gather(1, order),
        )

    def _store(self, key: Tensor, value: Tensor, class_ids: Tensor) -> None:
        """Write tokens into the ring of their class and the ring of recent ones, over the oldest there."""
        batch, tokens = class_ids.shape
        classes = class_ids.long()
        member = one_hot(classes, self.rules.classes)
        # rank: how many of the class came before in the whole text; left: how many of it follow in this chunk.
        counted = member.cumsum(1)
        rank = ((counted - member + self._seen[:, None]) * member).sum(-1)
        left = ((counted[:, -1:] - counted) * member).sum(-1)
        here = self.length + torch.arange(tokens, device=classes.device).expand(batch, tokens)
        sequence = torch.arange(batch, device=classes.device)[:, None].expand(batch, tokens)
        slot = classes * self._depth + rank % self._depth
        self._write(key, value, classes, here, sequence, slot, left < self._depth)
        slot = self.rules.classes * self._depth + here % self._recent
        self._write(key, value, classes, here, sequence, slot, here >= self.length + tokens - self._recent)
        self._seen += counted[:, -1]
        self.length += tokens

    def _write(
        self, key: Tensor, value: Tensor, classes: Tensor, here: Tensor, sequence: Tensor, slot: Tensor, kept: Tensor
    ) -> None:
        if classes.shape[1] > 1:
            sequence, slot, here, classes = sequence[kept], slot[kept], here[kept], classes[kept]
            key, value = key.transpose(1, 2)[kept], value.transpose(1, 2)[kept]
        else:
            # One token is always kept; no boolean index, which would wait for the device.
            sequence, slot, here, classes = sequence[:, 0], slot[:, 0], here[:, 0], classes[:, 0]
            key, value = key[:, :, 0], value[:, :, 0]
        self.keys[sequence, :, slot] = key
        self.values[sequence, :, slot] = value
        self._position[sequence, slot] = here
        self._class[sequence, slot] = classes

    def _check(self, query: Tensor, key: Tensor, value: Tensor, class_ids: Tensor) -> None:
        check_tensors(query, key, value)
        batch, key_heads, _, dim = self.keys.shape
        expected = (batch, key_heads, query.shape[2], dim)
        if key.shape != expected:
            raise ShapeError(f"the cache holds keys [B, G, N, D] = {expected}, got {tuple(key.shape)}")
        if key.dtype != self.keys.dtype:
            raise DtypeError(f"the cache holds {self.keys.dtype}, got {key.dtype}; make it with dtype={key.dtype}")
        check_class_ids(class_ids, self.rules)
        for name, x in (("query", query), ("class_ids", class_ids)):
            if x.device != self.keys.device:
                raise DeviceError(f"the cache is on {self.keys.device}, {name} on {x.device}; move one of them")
        if class_ids.shape != (batch, query.shape[2]):
            raise ShapeError(f"class_ids must be [{batch}, {query.shape[2]}], got {tuple(class_ids.shape)}")
        if class_ids.device.type == "cpu" and bool(((class_ids < 0) | (class_ids >= self.rules.classes)).any()):
            raise ClassRangeError(f"class ids must lie in [0, {self.rules.classes}), got {class_ids.tolist()}")

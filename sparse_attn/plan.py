"""From class ids to a plan: the schedule of an attention that never looks at the activations.

B batch, N tokens, Nq queries (the last of the N tokens), C classes. One plan serves every layer, head, step and the
backward pass.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sparse_attn.errors import ClassRangeError, DeviceError, DtypeError, ShapeError
from sparse_attn.lists import TileLists, list_keys, list_queries
from sparse_attn.rows import TileShape, cpu_shape, kernel_key_shape, kernel_query_shape
from sparse_attn.rules import ClassRules
from sparse_attn.stream import Stream, build_stream


def _has_triton() -> bool:
    try:
        return find_spec("triton") is not None
    except ImportError:
        # Whoever guards imports may refuse the question.
        return False


# Asked once: a compiled graph cannot ask.
HAS_TRITON = _has_triton()
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class Schedule(NamedTuple):
    """What the kernels of `impl.triton` take of a plan.

    Args:
        keys: the five tensors of the tiles of queries, see `TileLists`.
        queries: those of the tiles of keys; empty where nobody will ask for gradients.
        classes: [B * N] int32.
        bias: [C, C] or None.
        has_blind: whether some rows see nothing.
        has_full: whether lists may begin with entries that every row sees.
    """

    keys: list[Tensor]
    queries: list[Tensor]
    classes: Tensor
    bias: Tensor | None
    has_blind: bool
    has_full: bool


class _Source(Protocol):
    """What a plan was made from; a device keeps it in another form until somebody asks."""

    @property
    def class_ids(self) -> Tensor: ...

    @property
    def stream(self) -> Stream: ...


class _Known(NamedTuple):
    """Class ids and stream, ready."""

    class_ids: Tensor
    stream: Stream


@dataclass(frozen=True, eq=False)
class ClassPlan:
    """Who sees whom in one batch, ready for any backend. Make it with `plan_classes`.

    Args:
        rules: the rules it was made from.
        batch: B.
        num_keys: N, the number of tokens of each sequence.
        num_queries: Nq.
        device: where the plan's tensors live.
        has_blind: whether some rows see nothing (padding); they come out as exactly 0.
        bias: [C, C] of the rules, on the plan's device; None for none.
    """

    rules: ClassRules
    batch: int
    num_keys: int
    num_queries: int
    device: torch.device
    has_blind: bool
    bias: Tensor | None
    _source: _Source = field(repr=False)
    _lists: dict[tuple[str, TileShape], TileLists] = field(default_factory=dict, repr=False)
    _schedules: dict[bool, Schedule] = field(default_factory=dict, repr=False)
    # The scale of calls that were found to be right, by all that their checks look at, see `sparse_attn.api`.
    served: dict[Hashable, float] = field(default_factory=dict, repr=False)

    @property
    def class_ids(self) -> Tensor:
        """[B, N] as given, in memory of their own."""
        return self._source.class_ids

    @property
    def stream(self) -> Stream:
        """The batch as one flat stream."""
        return self._source.stream

    @cached_property
    def segments(self) -> Tensor:
        """Where each token's text begins in the flat stream, -1 for padding. [B, N] int32."""
        stream = self.stream
        first = torch.where(stream.classes < self.rules.classes, stream.first, -1)
        return first.view(self.batch, self.num_keys)

    def key_lists(self, shape: TileShape) -> TileLists:
        """For each tile of queries the keys that it needs; built at the first call, then kept."""
        found = self._lists.get(("keys", shape))
        if found is None:
            found = self._lists["keys", shape] = list_keys(self.stream, shape)
        return found

    def schedule(self, with_gradient: bool) -> Schedule:
        """What the kernels of `impl.triton` take; put together at the first call, then kept."""
        found = self._schedules.get(with_gradient)
        if found is None:
            keys = self.key_lists(kernel_key_shape(self.rules, self.num_keys)).tensors()
            queries = self.query_lists(kernel_query_shape(self.rules, self.num_keys)).tensors() if with_gradient else []
            found = Schedule(keys, queries, self.stream.classes, self.bias, self.has_blind, not self.rules.is_bounded)
            self._schedules[with_gradient] = found
        return found

    def query_lists(self, shape: TileShape) -> TileLists:
        """For each tile of keys the queries that need it: the transpose, for the backward pass."""
        found = self._lists.get(("queries", shape))
        if found is None:
            found = self._lists["queries", shape] = list_queries(self.stream, shape)
        return found


def plan_classes(
    class_ids: Tensor,
    rules: ClassRules,
    *,
    valid: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    num_queries: int | None = None,
) -> ClassPlan:
    """Plan an attention from the classes of the tokens: which tokens each token sees.

    Args:
        class_ids: [B, N] integers in [0, C).
        rules: the rules.
        valid: [B, N] bool, False for padding on either side (its class id is ignored). Padding is seen by nobody and
            comes out as exactly 0. None where every token is real.
        cu_seqlens: [S + 1] integers 0 = s_0 <= s_1 <= ... = N: the bounds of S texts packed into one row (B = 1).
            Tokens see only their own text.
        num_queries: the last so many tokens of each sequence ask (decoding, chunked prefill); all by default.

    Returns: a plan on the device of class_ids.

    Raises:
        DtypeError: class ids that are not integers, `valid` that is not bool, anything that is no tensor.
        ShapeError: class_ids not [B, N], `valid` of another shape, bounds that do not span the row, num_queries that
            is no integer in [1, N].
        ClassRangeError: a class id outside [0, C).
        DeviceError: tensors on two devices.

    Cost: one sort, O(B N C) at most besides; see `sparse_attn.lists` for the tile lists.
    """
    check_class_ids(class_ids, rules)
    real = None if valid is None else _checked_valid(valid, class_ids)
    tokens = class_ids.shape[1]
    queries: Any = tokens if num_queries is None else num_queries
    if isinstance(queries, bool) or not isinstance(queries, Integral) or int(queries) not in range(1, tokens + 1):
        raise ShapeError(
            f"num_queries must be an integer in [1, {tokens}] (the tokens of a sequence), got {num_queries!r}"
        )
    queries = int(queries)
    if class_ids.is_cuda and HAS_TRITON:
        return _plan_on_device(class_ids, rules, real, cu_seqlens, queries)
    # A private copy: a caller that reuses its buffer for the next batch must not change this plan.
    class_ids = class_ids.clone()
    _check_range(class_ids, real, rules)
    first, last = _text_bounds(class_ids, cu_seqlens)
    stream = build_stream(class_ids, first, last, real, rules, queries)
    plan = _plan_of(_Known(class_ids, stream), class_ids, rules, queries, real)
    if class_ids.device.type == "cpu":
        # What the device's own backend will ask for, so that no compiled graph has to build it.
        plan.key_lists(cpu_shape(rules))
    return plan


def _plan_on_device(
    class_ids: Tensor, rules: ClassRules, real: Tensor | None, cu_seqlens: Tensor | None, queries: int
) -> ClassPlan:
    """As `plan_classes`, by kernels; the lists of both passes come with it."""
    from sparse_attn.impl.triton.planning import plan_on_device

    bounds = None if cu_seqlens is None else _text_bounds(class_ids, cu_seqlens)
    made = plan_on_device(class_ids, rules, real, bounds, queries, torch.is_grad_enabled())
    if made is None:
        _check_range(class_ids, real, rules)
        raise AssertionError("class ids that a kernel refused are in range")
    plan = _plan_of(made, class_ids, rules, queries, real)
    tokens = plan.num_keys
    plan._lists["keys", kernel_key_shape(rules, tokens)] = made.keys
    if made.queries is not None:
        plan._lists["queries", kernel_query_shape(rules, tokens)] = made.queries
        lists = made.keys.tensors(), made.queries.tensors()
        plan._schedules[True] = Schedule(*lists, made.classes, plan.bias, plan.has_blind, not rules.is_bounded)
    return plan


def _plan_of(source: _Source, class_ids: Tensor, rules: ClassRules, queries: int, real: Tensor | None) -> ClassPlan:
    batch, tokens = class_ids.shape
    device = class_ids.device
    return ClassPlan(rules, batch, tokens, queries, device, real is not None, rules.tables(device)[2], source)


def check_class_ids(class_ids: Tensor, rules: ClassRules) -> None:
    """Refuse class ids that are no integer tensor [B, N], and rules that are none; see `plan_classes`."""
    if not isinstance(class_ids, Tensor):
        raise DtypeError(f"class_ids must be a torch.Tensor, got {type(class_ids).__name__}")
    if class_ids.dtype not in _INTEGERS:
        raise DtypeError(f"class_ids must be integers, got {class_ids.dtype}; call .long()")
    if class_ids.dim() != 2 or 0 in class_ids.shape:
        raise ShapeError(f"class_ids must be [B, N] with B, N >= 1, got shape {tuple(class_ids.shape)}")
    largest = (2**31 - 1) // 2
    if class_ids.numel() > largest:
        raise ShapeError(f"a plan holds at most {largest} tokens, got {class_ids.numel()}; split the batch")
    if not isinstance(rules, ClassRules):
        raise DtypeError(f"rules must be ClassRules, got {type(rules).__name__}")


def _check_range(class_ids: Tensor, real: Tensor | None, rules: ClassRules) -> None:
    wrong = (class_ids < 0) | (class_ids >= rules.classes)
    if real is not None:
        wrong = wrong & real
    if bool(wrong.any()):
        where = tuple(int(x) for x in wrong.nonzero()[0])
        raise ClassRangeError(
            f"class id {int(class_ids[where])} at {where} lies outside [0, {rules.classes}); "
            "mark padding with valid=False, or give the rules more classes"
        )


def _text_bounds(class_ids: Tensor, cu_seqlens: Tensor | None) -> tuple[Tensor, Tensor]:
    """First and one-past-last flat position of the text that each token belongs to. [B * N] int32 each."""
    batch, tokens = class_ids.shape
    if cu_seqlens is not None:
        _check_tensor("cu_seqlens", cu_seqlens)
    position = torch.arange(batch * tokens, dtype=torch.int32, device=class_ids.device)
    if cu_seqlens is None:
        first = position // tokens * tokens
        return first, first + tokens
    if batch != 1 or cu_seqlens.dim() != 1 or cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise ShapeError(
            f"cu_seqlens packs texts into one row: expected class_ids [1, N] and int32 or int64 [S + 1], got "
            f"{tuple(class_ids.shape)} and {cu_seqlens.dtype} {tuple(cu_seqlens.shape)}"
        )
    _check_device("cu_seqlens", cu_seqlens, class_ids.device)
    bounds = cu_seqlens.tolist()
    if len(bounds) < 2 or bounds[0] != 0 or bounds[-1] != tokens or bounds != sorted(bounds):
        raise ShapeError(f"cu_seqlens must rise from 0 to N={tokens}, got {bounds}")
    ends = cu_seqlens.int().contiguous()
    text = torch.searchsorted(ends, position, right=True)
    return ends[text - 1], ends[text]


def _checked_valid(valid: Tensor, class_ids: Tensor) -> Tensor:
    _check_tensor("valid", valid)
    _check_device("valid", valid, class_ids.device)
    if valid.dtype != torch.bool:
        raise DtypeError(f"valid must be bool, got {valid.dtype}; for a 0/1 attention mask pass mask.bool()")
    if valid.shape != class_ids.shape:
        raise ShapeError(f"valid must be {tuple(class_ids.shape)} as class_ids is, got {tuple(valid.shape)}")
    return valid


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise DtypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")


def _check_device(name: str, tensor: Tensor, device: torch.device) -> None:
    if tensor.device != device:
        raise DeviceError(f"{name} is on {tensor.device}, class_ids on {device}; move one of them")

"""Which class of token may see which: the rules that a plan is made from.

C classes. Rules hold integers and tables, never words.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from operator import index
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attn.errors import DtypeError, NonFiniteError, RulesError, UnsupportedError


@dataclass(frozen=True, eq=False, init=False)
class ClassRules:
    """Which kinds of token may look at which, how far back, and how many of them.

    candidates(i) = {j : allow[c_i, c_j]} + {i}, with j <= i if causal;
    visible(i) = bound(candidates(i)) + {j : |i - j| < window} + {j : c_j global}, with j <= i if causal.

    `budget=k` keeps the k candidates with the largest j. `valence=w` keeps for each key class the w with the largest
    j, and i itself. "Largest j" is meant literally: with `causal=False` it is the end of the text, not the nearest.
    The window is one-sided (j > i - window) if causal and reaches as far to the right otherwise.

    Args:
        allow: [C, C] bool, row = class of the query, column = class of the key.
        bias: [C, C] float, added to the scaled logits; a constant, it gets no gradient. None for none.
        causal: whether a token sees only itself and what is to its left.
        budget: keys in all, >= 1; None for no such bound.
        valence: keys of each class, >= 1; None for no such bound. At most one of the two bounds.
        window: positions that are visible whatever their class, the token itself counted; 0 for none.
        global_classes: classes whose tokens everyone sees.

    Raises:
        RulesError: a table is not [C, C]; both bounds; a bound < 1; a window < 0; a global class outside [0, C);
            causal is neither True nor False.
        DtypeError: allow is not bool, bias is not floating, or one of them is no table at all.
        NonFiniteError: NaN or infinity in the bias (use `allow` to forbid).
        UnsupportedError: a bias that requires a gradient.
    """

    allow: Tensor
    bias: Tensor | None
    causal: bool
    budget: int | None
    valence: int | None
    window: int
    global_classes: tuple[int, ...]
    # Whether any class may bond with any. A plain bool: reading it off the table would break a compiled graph.
    allows_any: bool
    _tables: dict[torch.device, tuple[Tensor, Tensor, Tensor | None]]
    _ranks: dict[torch.device, tuple[Tensor, Tensor]]
    # How long the lists of plans under these rules have been, by their shape: room for the next plan's.
    rooms: dict[Hashable, Any]

    def __init__(
        self,
        allow: Tensor,
        bias: Tensor | None = None,
        causal: bool = True,
        budget: int | None = None,
        valence: int | None = None,
        window: int = 0,
        global_classes: Iterable[int] = (),
    ) -> None:
        allow = _checked_allow(allow)
        classes = allow.shape[0]
        if budget is not None and valence is not None:
            raise RulesError(
                f"got both budget={budget} and valence={valence}: the two bounds exclude each other, drop one"
            )
        values: dict[str, Any] = {
            "allow": allow,
            "bias": _checked_bias(bias, classes),
            "causal": _checked_causal(causal),
            "budget": None if budget is None else _checked_count("budget", budget, least=1),
            "valence": None if valence is None else _checked_count("valence", valence, least=1),
            "window": _checked_count("window", window, least=0),
            "global_classes": _checked_globals(global_classes, classes),
            "allows_any": bool(allow.any()),
            "_tables": {},
            "_ranks": {},
            "rooms": {},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return self.allow.shape[0]

    def tables(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
        """On the device, with a row and a column for padding, which bonds with nothing; kept after the first call.

        Returns: allow [C + 1, C + 1] bool; whether a class is global [C + 1] bool; the bias as given, or None.
        """
        if device not in self._tables:
            allow = pad(self.allow, (0, 1, 0, 1), value=False)
            is_global = torch.zeros(self.classes + 1, dtype=torch.bool)
            is_global[list(self.global_classes)] = True
            bias = None if self.bias is None else self.bias.to(device)
            self._tables[device] = allow.to(device), is_global.to(device), bias
        return self._tables[device]

    def ranks(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """An order of the classes in which neighbours have similar rules; kept after the first call.

        Returns: the rank of each class as a query and as a key, padding last. [C + 1] int32 each.
        """
        if device not in self._ranks:
            self._ranks[device] = _similar(self.allow).to(device), _similar(self.allow.T).to(device)
        return self._ranks[device]

    @cached_property
    def allows_all(self) -> bool:
        """Whether every class may bond with every class."""
        return bool(self.allow.all())

    @property
    def is_bounded(self) -> bool:
        """Whether a budget or a valence limits what a token sees."""
        return self.budget is not None or self.valence is not None


def _as_table(name: str, table: Any) -> Tensor:
    try:
        made: Tensor = torch.as_tensor(table)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(f"{name} must be a [C, C] tensor, got {type(table).__name__} ({error})") from error
    return made


def _checked_allow(allow: Any) -> Tensor:
    table = _as_table("allow", allow)
    if table.dtype != torch.bool:
        raise DtypeError(f"allow must be bool, got {table.dtype}; write allow > 0 or allow.bool()")
    if table.dim() != 2 or table.shape[0] != table.shape[1] or table.shape[0] == 0:
        raise RulesError(f"allow must be [C, C] with C >= 1, got shape {tuple(table.shape)}")
    # A private copy: rules are frozen, so a later in-place change of the caller's table must not reach them.
    return table.detach().clone()


def _checked_bias(bias: Any, classes: int) -> Tensor | None:
    if bias is None:
        return None
    table = _as_table("bias", bias)
    if not table.dtype.is_floating_point:
        raise DtypeError(f"bias must be floating point, got {table.dtype}")
    if tuple(table.shape) != (classes, classes):
        raise RulesError(f"bias must be [{classes}, {classes}] as allow is, got shape {tuple(table.shape)}")
    if table.requires_grad:
        raise UnsupportedError("bias requires a gradient, but it is a constant of the rules; pass bias.detach()")
    if not bool(torch.isfinite(table).all()):
        raise NonFiniteError("bias holds NaN or infinity; forbid pairs with allow=False instead of bias=-inf")
    return table.detach().clone()


def _checked_causal(causal: Any) -> bool:
    if causal not in (True, False):
        raise RulesError(f"causal must be True or False, got {causal!r}")
    return bool(causal)


def _checked_count(name: str, value: Any, least: int) -> int:
    # Integral: numpy's integers, too.
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise RulesError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)


def _checked_globals(global_classes: Iterable[int], classes: int) -> tuple[int, ...]:
    try:
        found = tuple(sorted({index(c) for c in global_classes}))
    except TypeError as error:
        raise RulesError(f"global_classes must be integers such as (0, 3), got {global_classes!r}") from error
    wrong = [c for c in found if not 0 <= c < classes]
    if wrong:
        raise RulesError(f"global_classes must lie in [0, {classes}), got {wrong}")
    return found


def _similar(allow: Tensor) -> Tensor:
    """Ranks in a walk from each class to the nearest not yet taken, beginning with the one that allows most."""
    classes = allow.shape[0]
    distance = torch.cdist(allow.float(), allow.float(), p=1)
    walk = [int(allow.sum(1).argmax())]
    for _ in range(classes - 1):
        nearest = distance[walk[-1]].clone()
        nearest[walk] = torch.inf
        walk.append(int(nearest.argmin()))
    rank = torch.empty(classes + 1, dtype=torch.int32)
    rank[torch.tensor([*walk, classes])] = torch.arange(classes + 1, dtype=torch.int32)
    return rank

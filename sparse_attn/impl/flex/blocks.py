"""Which blocks of queries and keys hold a visible pair, and which hold nothing else: from the extremes of each block.

B batch, N tokens, Nq queries, C classes; T tiles of `block` places each, R distinct rows of the table of bonds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attn.plan import ClassPlan
from sparse_attn.rules import ClassRules

_FAR = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Places:
    """What decides who sees whom, for the token at each place. [B, N] int32 each, positions within the sequence.

    Args:
        position: where the token stands in reading order.
        classes: its class, C for padding.
        segment: where its text begins, -1 for padding.
        floor: the oldest key that its budget reaches.
        until: the first query for which its valence is used up.
    """

    position: Tensor
    classes: Tensor
    segment: Tensor
    floor: Tensor
    until: Tensor


@dataclass(frozen=True, eq=False)
class _Extremes:
    """Least and greatest over the real tokens of each tile. [B, T]; of an empty tile they exclude everything."""

    low: Tensor
    high: Tensor
    segment_low: Tensor
    segment_high: Tensor
    whole: Tensor


def places_of(plan: ClassPlan, order: Tensor | None) -> Places:
    """The plan's facts by place; with an order (which token stands at each place, [B, N]) they are permuted."""
    shape = plan.class_ids.shape
    base = torch.arange(shape[0], device=plan.device)[:, None] * shape[1]
    position = torch.arange(shape[1], dtype=torch.int32, device=plan.device).expand(shape)
    padding = plan.segments < 0
    facts = [
        position,
        torch.where(padding, plan.rules.classes, plan.class_ids).int(),
        torch.where(padding, -1, plan.segments - base).int(),
        (plan.stream.floor.view(shape) - base).int(),
        (plan.stream.until.view(shape) - base).int(),
    ]
    if order is not None:
        facts = [x.gather(1, order.long()) for x in facts]
    return Places(*(x.contiguous() for x in facts))


def block_table(places: Places, rules: ClassRules, queries: int, block: int) -> tuple[Tensor, Tensor]:
    """Two tables [B, Tq, Tk] bool: blocks that may hold a visible pair, and blocks in which every pair is visible.

    Args:
        places: of all N tokens.
        rules: the plan's rules.
        queries: Nq; the last so many places ask.
        block: places of a tile.

    Cost: O(B Tq Tk R + B Tk R C).
    """
    tokens = places.position.shape[1]
    asking = _tiled(places, tokens - queries, block, rules.classes)
    asked = _tiled(places, 0, block, rules.classes)
    q, k = _extremes(asking), _extremes(asked)
    rows, row_of = torch.unique(rules.allow, dim=0, return_inverse=True)
    rows, row_of = rows.to(places.position.device), row_of.to(places.position.device)

    needed = _bonded(asking, asked, rows, row_of, rules)
    if rules.window > 0:
        near = _pair(q.low, k.high, lambda i, j: i - j < rules.window)
        if not rules.causal:
            near = near & _pair(q.high, k.low, lambda i, j: j - i < rules.window)
        needed = needed | near
    else:
        needed = needed | _with_itself(places, needed.shape, tokens - queries, block)
    if rules.global_classes:
        table = torch.zeros(rules.classes + 1, dtype=torch.bool)
        table[list(rules.global_classes)] = True
        needed = needed | table.to(rows.device)[asked.classes.long()].any(-1)[:, None, :]
    together = _pair(q.segment_high, k.segment_low, torch.ge) & _pair(q.segment_low, k.segment_high, torch.le)
    if rules.causal:
        together = together & _pair(q.high, k.low, torch.ge)
    return needed & together, _full(asking, asked, q, k, rows, row_of, rules)


def _bonded(asking: Places, asked: Places, rows: Tensor, row_of: Tensor, rules: ClassRules) -> Tensor:
    """Blocks in which some query class may bond with some key, near enough for both their bounds. [B, Tq, Tk]."""
    kinds = torch.where(asking.segment >= 0, row_of[asking.classes.clamp(max=len(row_of) - 1).long()], len(rows))
    low = _by_kind(asking.position, kinds, len(rows), "amin")
    high = _by_kind(asking.position, kinds, len(rows), "amax")
    floor = _by_kind(asking.floor, kinds, len(rows), "amin")
    # Of each tile the extremes by key class, then over the classes that a row of the table allows.
    classes = asked.classes.long()
    oldest, newest, until = (
        _by_kind(x, classes, rules.classes, how)[:, :, None].where(rows, _FAR if how == "amin" else -1)
        for x, how in ((asked.position, "amin"), (asked.position, "amax"), (asked.until, "amax"))
    )
    oldest, newest, until = oldest.amin(-1), newest.amax(-1), until.amax(-1)
    bonded = (low[:, :, None] < _FAR) & (newest[:, None] >= floor[:, :, None])
    if rules.valence is not None:
        bonded = bonded & (until[:, None] > low[:, :, None])
    in_reach = oldest[:, None] <= high[:, :, None] if rules.causal else newest[:, None] >= 0
    return (bonded & in_reach).any(-1)


def _full(
    asking: Places, asked: Places, q: _Extremes, k: _Extremes, rows: Tensor, row_of: Tensor, rules: ClassRules
) -> Tensor:
    """Blocks without padding in which every query sees every key, by its bond alone or by the window alone."""
    kinds = row_of[asking.classes.clamp(max=len(row_of) - 1).long()]
    has_row = torch.zeros(*kinds.shape[:2], len(rows), device=rows.device).scatter_(2, kinds, 1.0)
    classes = asked.classes.clamp(max=rules.classes - 1).long()
    has_class = torch.zeros(*classes.shape[:2], rules.classes, device=rows.device).scatter_(2, classes, 1.0)
    forbidden = torch.einsum("bir,bjr->bij", has_row, (has_class @ (~rows).float().T > 0).float()) > 0
    full = ~forbidden & _pair(asking.floor.amax(-1), k.low, torch.le)
    if rules.valence is not None:
        full = full & _pair(q.high, asked.until.amin(-1), torch.lt)
    if rules.window > 0:
        near = _pair(q.high, k.low, lambda i, j: i - j < rules.window)
        if not rules.causal:
            near = near & _pair(q.low, k.high, lambda i, j: j - i < rules.window)
        full = full | near
    if rules.causal:
        full = full & _pair(q.low, k.high, torch.ge)
    one_text = (q.segment_low == q.segment_high)[:, :, None] & (k.segment_low == k.segment_high)[:, None, :]
    one_text = one_text & _pair(q.segment_low, k.segment_low, torch.eq)
    return full & one_text & _pair(q.whole, k.whole, torch.logical_and)


def _with_itself(places: Places, shape: torch.Size, missing: int, block: int) -> Tensor:
    """The blocks in which tokens meet themselves. [B, Tq, Tk]."""
    place = torch.arange(missing, places.position.shape[1], device=places.position.device)
    found = torch.zeros(shape, dtype=torch.bool, device=places.position.device)
    found[:, (place - missing) // block, place // block] = True
    return found


def _tiled(places: Places, start: int, block: int, classes: int) -> Places:
    """The places from `start` on, in tiles [B, T, block]; what is left of the last tile is padding (of class C)."""
    missing = -(places.position.shape[1] - start) % block

    def tile(x: Tensor, filler: int) -> Tensor:
        return pad(x[:, start:], (0, missing), value=filler).view(x.shape[0], -1, block)

    return Places(
        tile(places.position, 0),
        tile(places.classes, classes),
        tile(places.segment, -1),
        tile(places.floor, 0),
        tile(places.until, 0),
    )


def _extremes(tiles: Places) -> _Extremes:
    real = tiles.segment >= 0
    return _Extremes(
        tiles.position.where(real, _FAR).amin(-1),
        tiles.position.where(real, -1).amax(-1),
        tiles.segment.where(real, _FAR).amin(-1),
        tiles.segment.where(real, -1).amax(-1),
        real.all(-1),
    )


def _by_kind(x: Tensor, kind: Tensor, kinds: int, how: str) -> Tensor:
    """Least or greatest of x [B, T, block] by tile and kind; kinds past the last are left out. [B, T, kinds]."""
    start = torch.full((*x.shape[:2], kinds + 1), _FAR if how == "amin" else -1, dtype=x.dtype, device=x.device)
    return start.scatter_reduce_(2, kind.long(), x, how)[..., :kinds]


def _pair(of_query: Tensor, of_key: Tensor, test: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """test(query tile, key tile) for all pairs of tiles. [B, Tq], [B, Tk] -> [B, Tq, Tk]."""
    return test(of_query[:, :, None], of_key[:, None, :])

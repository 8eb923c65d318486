"""Tile lists: which keys a tile of queries needs, and which queries need a tile of keys.

The tokens that a tile needs from one class are always a run of that class's occurrences, whatever the rules: "the
last w", "all since the k-th last", "all". So a tile's list is C runs of `Stream.order`, found by binary search, and
nothing of size N x N is ever made. T tiles of R rows, C classes, M tokens in the stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_attn.rows import TileShape, key_rows, query_rows
from sparse_attn.stream import Stream
from sparse_attn.words import pack_words

_FAR = 2**31 - 1


@dataclass(frozen=True, eq=False)
class TileLists:
    """The schedule of one kernel.

    Args:
        rows: [T, R] int32, flat position of each row's token, -1 for none.
        entries: [E] int32, the lists of all tiles one after the other, -1 for none; there may be room behind them.
        meta: [T, 4] int64: where the tile's list begins in `entries`; how many of its first entries every row sees (a
            multiple of `full_step`); its length (the rest is a multiple of `step`); where its words begin.
        words: [W, R] int32, one word for each 32 entries after the full ones: bit e of words[g, r] says whether row r
            sees entry 32 g + e. Empty where the shape asks for none; there may be room behind them, too.
        launch: [W, 3] int32, the work of each program: a tile, and the first and one-past-last of its entries. Tiles
            come sequence by sequence, so that programs that run together read the same; within one by falling length,
            so that the longest start first, in steps, and as they are numbered. But lists that are left to several
            programs (W > T) come before all others.
    """

    rows: Tensor
    entries: Tensor
    meta: Tensor
    words: Tensor
    launch: Tensor

    def tensors(self) -> list[Tensor]:
        """The five tensors in the order in which the operators take them."""
        return [self.rows, self.entries, self.meta, self.words, self.launch]


@dataclass(frozen=True, eq=False)
class _Tiles:
    """What the runs of a tile depend on: the extremes over its real rows. [T] or [T, C] tensors."""

    lowest: Tensor
    highest: Tensor
    first_min: Tensor
    first_max: Tensor
    last_min: Tensor
    last_max: Tensor
    present: Tensor


def list_keys(stream: Stream, shape: TileShape) -> TileLists:
    """For each tile of queries the keys that any of its rows sees.

    Cost: O(T C log M) for the runs, O(E) for the lists, O(E R) bit tests for the words.
    """
    rows = query_rows(stream, shape)
    tiles = _describe(stream, rows)
    rules, allow = stream.rules, stream.allow[:-1, :-1]
    end = tiles.highest + 1 if rules.causal else tiles.last_max
    # In reading order the list of a causal tile must not depend on the classes of its later rows, or rounding would
    # carry news of the future to the earlier ones: under a valence, where that costs little, every class counts as
    # allowed, and the tile's own tokens come last.
    in_order = rules.causal and shape.stretch == 0 and rules.budget is None
    everyone = in_order and rules.valence is not None
    allowed = torch.ones_like(tiles.present) if everyone else _any_row(tiles.present, allow)
    runs = _Runs(stream, tiles)
    if rules.window > 0:
        right = tiles.highest + (1 if rules.causal else rules.window)
        runs.add(None, tiles.lowest - rules.window + 1, right)
    else:
        runs.add(tiles.present, tiles.lowest, tiles.highest + 1)
    runs.add(stream.is_global[:-1].expand_as(allowed), tiles.first_min, end)
    if rules.valence is None:
        reach = tiles.first_min[:, None]
        if rules.budget is not None:
            reach = _lowest_floor(stream, rows, allow)
        runs.add(allowed, reach, end)
        low, high = runs.offsets()
    else:
        anchor = tiles.lowest + 1 if rules.causal else tiles.last_min
        low, high = runs.offsets()
        newest = torch.maximum(runs.offset(anchor) - rules.valence, runs.offset(tiles.first_min))
        low = torch.where(allowed, torch.minimum(low, newest), low)
        high = torch.where(allowed, torch.maximum(high, runs.offset(end)), high)
    full, own = None, None
    if in_order:
        high = torch.minimum(high, runs.offset(tiles.lowest))
        # Tokens in reading order stand behind the tokens by class, see `_assemble`.
        own = torch.stack([tiles.lowest, torch.maximum(tiles.highest + 1, tiles.lowest)], dim=1) + stream.size
    elif not rules.is_bounded:
        upto = tiles.lowest + 1 if rules.causal else tiles.last_min
        full = (~_any_row(tiles.present, ~allow), tiles.first_max, upto)
    return _assemble(stream, shape, rows, _Spans.split(runs, low, high, full, own), rows_are_queries=True)


def list_queries(stream: Stream, shape: TileShape) -> TileLists:
    """For each tile of keys the queries that see any of its rows: the transpose of `list_keys`.

    Cost: as `list_keys`.
    """
    rows = key_rows(stream, shape)
    tiles = _describe(stream, rows)
    rules, allow = stream.rules, stream.allow[:-1, :-1].T
    begin = tiles.lowest if rules.causal else tiles.first_min
    allowed = _any_row(tiles.present, allow)
    runs = _Runs(stream, tiles)
    if rules.window > 0:
        left = tiles.lowest - (0 if rules.causal else rules.window - 1)
        runs.add(None, left, tiles.highest + rules.window)
    else:
        runs.add(tiles.present, tiles.lowest, tiles.highest + 1)
    has_global = (tiles.present & stream.is_global[:-1]).any(dim=1, keepdim=True)
    runs.add(has_global.expand_as(allowed), begin, tiles.last_max)
    if rules.budget is None:
        reach = tiles.last_max
        if rules.valence is not None:
            reach = torch.where(rows >= 0, stream.until[rows.clamp(min=0)], -1).amax(1)
        runs.add(allowed, begin, reach)
        low, high = runs.offsets()
    else:
        low, high = runs.offsets()
        low = torch.where(allowed, torch.minimum(low, runs.offset(begin)), low)
        high = torch.where(allowed, torch.maximum(high, _last_reaching(stream, tiles.highest)), high)
    full = None
    if not rules.is_bounded and stream.queries == stream.tokens:
        full = (
            ~_any_row(tiles.present, ~allow),
            tiles.highest if rules.causal else tiles.first_max,
            tiles.last_min,
        )
    return _assemble(stream, shape, rows, _Spans.split(runs, low, high, full, None), rows_are_queries=False)


class _Runs:
    """For each tile and class the smallest span of positions that covers all that was added."""

    def __init__(self, stream: Stream, tiles: _Tiles) -> None:
        self._stream, self._tiles = stream, tiles
        self._classes = torch.arange(stream.rules.classes, device=stream.classes.device)
        self._low = torch.full_like(tiles.present, _FAR, dtype=torch.int32)
        self._high = torch.full_like(tiles.present, -1, dtype=torch.int32)

    def add(self, where: Tensor | None, low: Tensor, high: Tensor) -> None:
        """Cover positions low ... high - 1 ([T] or [T, C]) of the classes where it holds ([T, C], None for all)."""
        low = low if low.dim() == 2 else low[:, None]
        high = high if high.dim() == 2 else high[:, None]
        new_low, new_high = torch.minimum(self._low, low), torch.maximum(self._high, high)
        self._low = new_low if where is None else torch.where(where, new_low, self._low)
        self._high = new_high if where is None else torch.where(where, new_high, self._high)

    def offset(self, position: Tensor) -> Tensor:
        """Where each class begins at or after the tile's position ([T] or [T, C]) in `order`. [T, C] int64."""
        position = position if position.dim() == 2 else position[:, None]
        return self._stream.offset(self._classes, position)

    def offsets(self) -> tuple[Tensor, Tensor]:
        """The runs as offsets into `order`: [T, C] int64 from and to."""
        low = torch.maximum(self._low, self._tiles.first_min[:, None])
        high = torch.minimum(self._high, self._tiles.last_max[:, None])
        return self.offset(low), self.offset(high)


@dataclass(frozen=True, eq=False)
class _Spans:
    """What a tile lists, as spans of the tokens by class followed by the tokens in reading order.

    Args:
        begins: [T, K] int64.
        ends: [T, K] int64, not before the begins.
        full: so many of the first columns are seen by every row of the tile.
    """

    begins: Tensor
    ends: Tensor
    full: int

    @staticmethod
    def split(
        runs: _Runs, low: Tensor, high: Tensor, full: tuple[Tensor, Tensor, Tensor] | None, own: Tensor | None
    ) -> _Spans:
        """Cut each run into what every row sees and what lies before and after it; `own` [T, 2] comes last."""
        high = torch.maximum(high, low)
        if full is None:
            begins, ends, columns = [low], [high], 0
        else:
            everyone, begin, end = full
            full_low = torch.minimum(torch.maximum(runs.offset(begin), low), high)
            full_high = torch.minimum(torch.maximum(runs.offset(end), full_low), high)
            full_high = torch.where(everyone, full_high, full_low)
            begins, ends, columns = [full_low, low, full_high], [full_high, full_low, high], low.shape[1]
        if own is not None:
            begins, ends = [*begins, own[:, :1].long()], [*ends, own[:, 1:].long()]
        return _Spans(torch.cat(begins, dim=1), torch.cat(ends, dim=1), columns)


def _describe(stream: Stream, rows: Tensor) -> _Tiles:
    real = rows >= 0
    at = rows.clamp(min=0)
    first, last = stream.first[at], stream.last[at]
    classes = torch.where(real, stream.classes[at], stream.rules.classes).long()
    present = torch.zeros(rows.shape[0], stream.rules.classes + 1, dtype=torch.bool, device=rows.device)
    present.scatter_(1, classes, True)
    # A tile without real rows gets lowest > highest: its runs are empty.
    return _Tiles(
        lowest=torch.where(real, rows, stream.size).amin(1),
        highest=torch.where(real, rows, -1).amax(1),
        first_min=torch.where(real, first, stream.size).amin(1),
        first_max=torch.where(real, first, 0).amax(1),
        last_min=torch.where(real, last, stream.size).amin(1),
        last_max=torch.where(real, last, 0).amax(1),
        present=present[:, :-1],
    )


def _any_row(present: Tensor, allow: Tensor) -> Tensor:
    """Whether any class present in the tile allows the other class. [T, C] @ [C, C] -> [T, C] bool."""
    return (present.float() @ allow.float()) > 0


def _lowest_floor(stream: Stream, rows: Tensor, allow: Tensor) -> Tensor:
    """The oldest key of each class that any row of the tile that may bond with it can reach. [T, C] int32.

    Cost: O(M C).
    """
    real, at = rows >= 0, rows.clamp(min=0)
    bonds = allow[stream.classes[at].clamp(max=allow.shape[0] - 1).long()] & real[..., None]
    return torch.where(bonds, stream.floor[at][..., None], _FAR).amin(1)


def _last_reaching(stream: Stream, key: Tensor) -> Tensor:
    """One past the last query of each class whose budget reaches back to the key. [T] -> [T, C] int64 offsets."""
    order = stream.order.long()
    stride = stream.size + 1
    # Within a class the floor never falls, so the classes' floors in `order` ascend.
    floors = stream.classes[order].long() * stride + stream.floor[order]
    classes = torch.arange(stream.rules.classes, device=key.device)
    wanted = classes * stride + key.long().clamp(0, stream.size)[:, None]
    return torch.searchsorted(floors, wanted.contiguous(), right=True)


def _assemble(stream: Stream, shape: TileShape, rows: Tensor, spans: _Spans, rows_are_queries: bool) -> TileLists:
    """Write the spans out as lists: first what every row sees, then the rest, then padding."""
    lengths = spans.ends - spans.begins
    count_full = lengths[:, : spans.full].sum(1) // shape.full_step * shape.full_step
    used = lengths.sum(1)
    length = count_full + -((count_full - used) // shape.step) * shape.step
    columns = lengths.shape[1] + 1
    lengths = torch.cat([lengths, (length - used)[:, None]], dim=1).flatten()
    begins = torch.nn.functional.pad(spans.begins, (0, 1)).flatten()
    total = int(length.sum())
    span = torch.repeat_interleave(lengths, output_size=total)
    within = torch.arange(total, device=rows.device) - (lengths.cumsum(0) - lengths)[span]
    is_padding = span % columns == columns - 1
    reading_order = torch.arange(stream.size, dtype=torch.int32, device=rows.device)
    source = torch.cat([stream.order, reading_order])
    entries = torch.where(is_padding, -1, source[torch.where(is_padding, 0, begins[span] + within)])
    groups = (length - count_full) // 32 if shape.packed else torch.zeros_like(length)
    meta = torch.stack([length.cumsum(0) - length, count_full, length, groups.cumsum(0) - groups], dim=1)
    words = pack_words(stream, rows, entries, meta, groups, rows_are_queries)
    each = rows.shape[0] // (stream.size // stream.tokens)
    return TileLists(rows, entries, meta, words, _launch(length, shape, each))


def _launch(length: Tensor, shape: TileShape, each: int) -> Tensor:
    """Who works on which part of which list, from the lists' lengths [T], `each` of them a sequence. [W, 3] int32."""
    limit = _FAR
    if shape.longest and length.shape[0]:
        limit = max(shape.longest, int(length.sum()) // length.shape[0] // 16 * 64)
    tile = torch.arange(length.shape[0], device=length.device)
    # A float's exponent and the first bit behind it: two steps an octave.
    steps = length.float().view(torch.int32) >> 22
    late = torch.where(length > limit, -length, tile // each * 512 + 511 - steps)
    tile = late.argsort(stable=True)
    parts = (-(-length[tile] // limit)).clamp(min=1)
    tile = tile.repeat_interleave(parts)
    first = (
        torch.arange(tile.shape[0], device=tile.device) - (parts.cumsum(0) - parts).repeat_interleave(parts)
    ) * limit
    return torch.stack([tile, first, torch.minimum(first + limit, length[tile])], dim=1).int()

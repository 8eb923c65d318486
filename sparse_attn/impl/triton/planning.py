# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""A whole plan on a device: some fifteen launches and one wait, where the definitions in torch take hundreds.

B batch, N tokens, M = B * N, C classes, T tiles of R rows, K runs of a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from sparse_attn.impl.triton.budget import budget_floor
from sparse_attn.impl.triton.launching import Options, launch
from sparse_attn.impl.triton.listing import (
    STEP,
    fill_lists_kernel,
    find_runs_kernel,
    place_lists_kernel,
    rank_tiles_kernel,
)
from sparse_attn.impl.triton.replay import Packed, pack, replayed
from sparse_attn.impl.triton.sorting import SortedStream, sort_by_class, sort_by_rank, sort_by_reach
from sparse_attn.lists import TileLists
from sparse_attn.rows import kernel_key_shape, kernel_query_shape, key_rows, query_rows
from sparse_attn.rules import ClassRules
from sparse_attn.stream import Stream


@dataclass(frozen=True, eq=False)
class DevicePlan:
    """What planning on a device returns.

    Args:
        stream: the batch as one flat stream.
        keys: for each tile of queries the keys that it needs.
        queries: for each tile of keys the queries that need it; None where no gradient was asked for.
    """

    stream: Stream
    keys: TileLists
    queries: TileLists | None


@dataclass(frozen=True)
class Sizes:
    """How much room lists take.

    Args:
        entries: of each kind of tiles.
        words: 32 of its entries a word for each row, of each kind.
        launches: programs of both kinds together.
    """

    entries: tuple[int, ...]
    words: tuple[int, ...]
    launches: int

    def holds(self, other: Sizes) -> bool:
        """Whether the other's lists fit in here."""
        pairs = [*zip(self.entries, other.entries, strict=True), *zip(self.words, other.words, strict=True)]
        return all(mine >= theirs for mine, theirs in [*pairs, (self.launches, other.launches)])

    def with_spare(self) -> Sizes:
        """An eighth more: the next batches of a shape are not longer by much."""
        entries, words = (tuple(-(-n // 512) * 576 for n in sizes) for sizes in (self.entries, self.words))
        return Sizes(entries, words, -(-self.launches // 512) * 576)


@dataclass(frozen=True, eq=False)
class Room:
    """Memory for the lists of both kinds of tiles, in one piece.

    Args:
        sizes: how many of each there is room for.
        launches: [W, 3] of both kinds.
        entries: [E] of each kind.
        words: [W, R] of each kind.
    """

    sizes: Sizes
    launches: Tensor
    entries: tuple[Tensor, ...]
    words: tuple[Tensor, ...]

    @staticmethod
    def places(sizes: Sizes, widths: Sequence[int]) -> list[int]:
        """How many numbers launches take, and entries and words of each kind."""
        found = [3 * sizes.launches]
        for entries, words, width in zip(sizes.entries, sizes.words, widths, strict=True):
            found += [entries, words * width]
        return found

    @staticmethod
    def within(piece: Tensor, sizes: Sizes, widths: Sequence[int]) -> Room:
        """Room in int32 memory of just that size."""
        launches, *lists = torch.split_with_sizes(piece, Room.places(sizes, widths))
        words = tuple(x.view(-1, width) for x, width in zip(lists[1::2], widths, strict=True))
        return Room(sizes, launches.view(-1, 3), tuple(lists[::2]), words)


@dataclass(frozen=True, eq=False)
class Draft:
    """What is launched before the wait, and can be recorded and replayed.

    Args:
        kept: what the plan will hold: classes, first, last, order, floor, until [M] and meta [T, 4] of both kinds of
            tiles, then the tiles of queries and, for gradients, those of keys; behind them the lists, as far as there
            was room for them.
        runs: begins and running ends of the runs of each kind of tile.
        totals: [7] int64, see `place_lists_kernel`.
    """

    kept: Packed
    runs: list[tuple[Tensor, Tensor]]
    totals: Tensor


def plan_on_device(
    class_ids: Tensor,
    rules: ClassRules,
    valid: Tensor | None,
    bounds: tuple[Tensor, Tensor] | None,
    queries: int,
    with_gradient: bool,
) -> DevicePlan | None:
    """Plan a batch with the tile shapes of `sparse_attn.impl.triton`.

    Args:
        class_ids: [B, N] integers.
        rules: the rules.
        valid: [B, N] bool or None.
        bounds: [M] int32 first and one-past-last position of each token's text; None for a text a sequence.
        queries: the last so many tokens of each sequence ask.
        with_gradient: whether to make the lists of queries too.

    Returns: the plan; None where a class id of a real token lies outside [0, C).

    Cost: O(M log M + T C log M + entries); waits for the device once.
    """
    batch, tokens = class_ids.shape
    shape = (class_ids.device, batch, tokens, queries, with_gradient)
    room = rules.rooms.get(shape)

    def work(ids: Tensor, real: Tensor | None, first: Tensor | None, last: Tensor | None) -> Draft:
        given = None if first is None or last is None else (first, last)
        return _draft(ids, rules, real, given, queries, with_gradient, room)

    first, last = (None, None) if bounds is None else bounds
    draft = replayed(work, (class_ids, valid, first, last), (rules, queries, with_gradient, room))
    # All that can be done while the device is at work. The next plan overwrites what the recording holds: copies.
    classes, first, last, order, floor, until, meta, *tiles, spare = draft.kept.copies()
    widths = [rows.shape[1] for rows in tiles]
    made = None if room is None else Room.within(spare, room, widths)
    allow, is_global, _ = rules.tables(class_ids.device)
    stream = Stream(classes, first, last, floor, until, order, allow, is_global, rules, queries, tokens)
    counts = [rows.shape[0] for rows in tiles]
    metas = meta.split(counts)
    # The only wait: how long the lists are, and whether the class ids were fit to be planned.
    *lengths, has_wrong_class, parts, _ = draft.totals.tolist()
    if has_wrong_class:
        return None
    kinds = len(tiles)
    needed = Sizes(tuple(lengths[0 : 2 * kinds : 2]), tuple(lengths[1 : 2 * kinds : 2]), counts[0] + parts)
    if made is None or not made.sizes.holds(needed):
        sizes = rules.rooms[shape] = needed.with_spare()
        piece = torch.empty(sum(Room.places(sizes, widths)), dtype=torch.int32, device=class_ids.device)
        made = Room.within(piece, sizes, widths)
        _write(stream, tiles, draft.runs, meta, draft.totals, made)
    programs = made.launches[: counts[0]], made.launches[counts[0] : needed.launches]
    lists = [TileLists(*given) for given in zip(tiles, made.entries, metas, made.words, programs)]  # noqa: B905
    return DevicePlan(stream, lists[0], lists[1] if with_gradient else None)


def _draft(
    class_ids: Tensor,
    rules: ClassRules,
    valid: Tensor | None,
    bounds: tuple[Tensor, Tensor] | None,
    queries: int,
    with_gradient: bool,
    sizes: Sizes | None,
) -> Draft:
    tokens, device = class_ids.shape[1], class_ids.device
    allow, is_global, _ = rules.tables(device)
    found = sort_by_class(class_ids, valid, bounds, rules)
    floor, until, key_tiles = found.first, found.last, None
    if rules.budget is not None:
        floor = budget_floor(found, allow, rules)
    if rules.valence is not None:
        until, key_tiles = sort_by_reach(found, tokens, floor, rules, kernel_query_shape(rules, tokens).rows)
    stream = Stream(
        found.classes, found.first, found.last, floor, until, found.order, allow, is_global, rules, queries, tokens
    )
    tiles = [_query_tiles(stream, found)]
    if with_gradient:
        tiles.append(_key_tiles(stream, found) if key_tiles is None else key_tiles)
    counts = [rows.shape[0] for rows in tiles] + [0]
    spans = torch.empty((sum(counts), 2), dtype=torch.int32, device=device)
    meta = torch.empty((sum(counts), 4), dtype=torch.int64, device=device)
    totals = torch.zeros(7, dtype=torch.int64, device=device)
    runs = [_find_runs(stream, found, rows, spans[i * counts[0] :], i == 1) for i, rows in enumerate(tiles)]
    shapes = kernel_key_shape(rules, tokens), kernel_query_shape(rules, tokens)
    launch(
        place_lists_kernel, (len(tiles),), (spans, meta, found.bad, totals),
        (*counts[:2], *(shape.full_step for shape in shapes), shapes[1].longest or 2**40), CHUNK=1024,
    )  # fmt: skip
    widths = [rows.shape[1] for rows in tiles]
    spare = 0 if sizes is None else sum(Room.places(sizes, widths))
    kept = pack([found.classes, found.first, found.last, found.order, floor, until, meta, *tiles], spare)
    if sizes is not None:
        _write(stream, tiles, runs, meta, totals, Room.within(kept.spare, sizes, widths))
    return Draft(kept, runs, totals)


def _write(
    stream: Stream, tiles: list[Tensor], runs: list[tuple[Tensor, Tensor]], meta: Tensor, totals: Tensor, room: Room
) -> None:
    """Entries, words and launches of all lists, as far as there is room."""
    counts = [rows.shape[0] for rows in tiles] + [0]
    launch(
        rank_tiles_kernel, (sum(-(-count // 64) for count in counts),), (meta, totals, room.launches),
        (*counts[:2], room.sizes.launches), CHUNK=64,
    )  # fmt: skip
    for i, rows in enumerate(tiles):
        kept = room.entries[i], room.words[i]
        _fill(stream, rows, runs[i], meta[i * counts[0] :], totals, *kept, i == 1)


def _query_tiles(stream: Stream, found: SortedStream) -> Tensor:
    """The asking tokens in tiles; in reading order there is only room for them, see `find_runs_kernel`."""
    rules, shape = stream.rules, kernel_key_shape(stream.rules, stream.tokens)
    if _keeps_order(rules):
        tiles = stream.size // stream.tokens * -(-stream.queries // shape.rows)
        return torch.empty((tiles, shape.rows), dtype=torch.int32, device=stream.classes.device)
    if stream.queries < stream.tokens:
        return query_rows(stream, shape)
    if rules.budget is not None:
        return sort_by_reach(found, stream.tokens, stream.floor, rules, shape.rows)[1]
    rank = rules.ranks(stream.classes.device)[0]
    return sort_by_rank(found, stream.tokens, rank, shape.stretch, shape.rows)


def _key_tiles(stream: Stream, found: SortedStream) -> Tensor:
    """All tokens in tiles, where no valence has sorted them."""
    shape = kernel_query_shape(stream.rules, stream.tokens)
    if shape.stretch == 0:
        return key_rows(stream, shape)
    rank = stream.rules.ranks(stream.classes.device)[1]
    return sort_by_rank(found, stream.tokens, rank, shape.stretch, shape.rows)


def _find_runs(
    stream: Stream, found: SortedStream, rows: Tensor, sizes: Tensor, transposed: bool
) -> tuple[Tensor, Tensor]:
    """Begins and running ends of the runs of each tile. [T, K] int32 each."""
    rules, tiles = stream.rules, rows.shape[0]
    in_reading_order = not transposed and _keeps_order(rules)
    in_order = in_reading_order and rules.causal
    split = not rules.is_bounded and not in_order and not (transposed and stream.queries < stream.tokens)
    runs = 3 * rules.classes if split else rules.classes + in_order
    begins, ends = torch.empty((2, tiles, runs), dtype=torch.int32, device=rows.device)
    # Without tables of rows by classes to read, a program has threads to spare for many classes.
    chunk = 256 if rules.allows_all and rules.window and not rules.global_classes else 64
    launch(
        find_runs_kernel, (tiles,),
        (rows, stream.classes, stream.first, stream.last, stream.floor, stream.until, stream.order, found.sums,
         stream.allow, stream.is_global, begins, ends, sizes),
        (stream.size, stream.tokens, stream.queries, rules.classes, found.blocks, rules.window, rules.valence or 0,
         stream.size.bit_length(), runs),
        TRANSPOSED=transposed, CAUSAL=rules.causal, BOUND=_bound(rules), HAS_WINDOW=rules.window > 0,
        HAS_GLOBAL=bool(rules.global_classes), MAKE_ROWS=in_reading_order, IN_ORDER=in_order, SPLIT=split,
        ALL=rules.allows_all, BLOCK_M=rows.shape[1], BLOCK_C=min(chunk, triton.next_power_of_2(rules.classes)),
    )  # fmt: skip
    return begins, ends


def _fill(
    stream: Stream,
    rows: Tensor,
    runs: tuple[Tensor, Tensor],
    meta: Tensor,
    totals: Tensor,
    entries: Tensor,
    words: Tensor,
    transposed: bool,
) -> None:
    rules, (tiles, width) = stream.rules, rows.shape
    begins, ends = runs
    if not entries.shape[0]:
        return
    launch(
        fill_lists_kernel, (entries.shape[0] // STEP.value,),
        (rows, begins, ends, meta, totals, entries, words, stream.classes, stream.first, stream.last, stream.floor,
         stream.until, stream.order, stream.allow, stream.is_global),
        (stream.size, stream.tokens, stream.queries, rules.classes, rules.window, ends.shape[1], tiles,
         tiles.bit_length(), ends.shape[1].bit_length(), words.shape[0]), Options(1 if rules.allows_all else 4),
        TRANSPOSED=transposed, CAUSAL=rules.causal, BOUND=_bound(rules), HAS_GLOBAL=bool(rules.global_classes),
        HAS_PAST=stream.queries < stream.tokens, ALL=rules.allows_all, BLOCK_M=width,
    )  # fmt: skip


def _keeps_order(rules: ClassRules) -> bool:
    """Whether the tiles of queries are in reading order."""
    return rules.valence is not None or not rules.allows_any


def _bound(rules: ClassRules) -> int:
    return 2 if rules.valence is not None else 1 if rules.budget is not None else 0

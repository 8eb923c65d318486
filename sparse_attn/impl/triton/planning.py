# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""A whole plan on a device: some fifteen launches and one wait, where the definitions in torch take hundreds.

First a sketch: the tokens sorted, the runs of each tile, how long every list will be, which is sent to the host at
once. Then the lists, in the room that the last plan of this shape needed, while the host waits for the numbers.

B batch, N tokens, M = B * N, C classes, T tiles of R rows, K runs of a tile.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

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
from sparse_attn.impl.triton.replay import Branch, Job, Packed, pack, replayed
from sparse_attn.impl.triton.sorting import SortedStream, sort_by_class, sort_by_rank, sort_by_reach
from sparse_attn.lists import TileLists
from sparse_attn.rows import kernel_key_shape, kernel_query_shape, key_rows, query_rows
from sparse_attn.rules import ClassRules
from sparse_attn.stream import Stream

# Dtypes of class ids that a plan packs with the rest, and where its lists begin there; see `_finish`.
_PACKED = (torch.int32, torch.int64)
_LISTS = 7


@dataclass(frozen=True, eq=False)
class DevicePlan:
    """What planning on a device returns.

    Args:
        kept: memory of the plan, see `_finish`.
        narrow_ids: [B, N] as given, where they are of fewer than 32 bits; None where they are among what is kept.
        rules: the rules.
        asking: Nq.
        tokens: N.
        classes: [M] int32, C for padding.
        keys: for each tile of queries the keys that it needs.
        queries: for each tile of keys the queries that need it; None where no gradient was asked for.
    """

    kept: Packed
    narrow_ids: Tensor | None
    rules: ClassRules
    asking: int
    tokens: int
    classes: Tensor
    keys: TileLists
    queries: TileLists | None

    @cached_property
    def class_ids(self) -> Tensor:
        """[B, N] as given, in memory of their own."""
        return self.kept.tensor(0) if self.narrow_ids is None else self.narrow_ids

    @cached_property
    def stream(self) -> Stream:
        """The batch as one flat stream; no kernel but those that plan asks for all of it."""
        first, last, order, floor, until = (self.kept.tensor(at) for at in range(2, 7))
        allow, is_global, _ = self.rules.tables(self.classes.device)
        return Stream(
            self.classes, first, last, floor, until, order, allow, is_global, self.rules, self.asking, self.tokens
        )


@dataclass(frozen=True, eq=False)
class Sizes:
    """How much room lists take. Compared by identity: a room that was outgrown and made anew is another one.

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
    """Memory for the lists of all kinds of tiles.

    Args:
        sizes: how many of each there is room for.
        launches: [W, 3] of all kinds.
        entries: [E] of each kind.
        words: [W, R] of each kind.
    """

    sizes: Sizes
    launches: Tensor
    entries: tuple[Tensor, ...]
    words: tuple[Tensor, ...]

    @staticmethod
    def shapes(sizes: Sizes, widths: Sequence[int]) -> list[tuple[int, ...]]:
        """Of launches, then of entries and words of each kind, whose tiles have so many rows."""
        found: list[tuple[int, ...]] = [(sizes.launches, 3)]
        for entries, words, width in zip(sizes.entries, sizes.words, widths, strict=True):
            found += [(entries,), (words, width)]
        return found

    @staticmethod
    def of(sizes: Sizes, tensors: Sequence[Tensor]) -> Room:
        """From int32 tensors of these shapes."""
        launches, *lists = tensors
        return Room(sizes, launches, tuple(lists[::2]), tuple(lists[1::2]))


@dataclass(frozen=True, eq=False)
class Sketch:
    """Where every list will lie and how long it will be: what the first part of planning leaves behind.

    Args:
        class_ids: [B, N] as given.
        stream: the batch as one flat stream.
        tiles: the tiles of queries and, for gradients, those of keys.
        runs: begins and running ends of the runs of each kind of tile.
        meta: [T, 4] of both kinds, see `TileLists`.
        totals: [7] int64, see `place_lists_kernel`.
    """

    class_ids: Tensor
    stream: Stream
    tiles: list[Tensor]
    runs: list[tuple[Tensor, Tensor]]
    meta: Tensor
    totals: Tensor

    @property
    def widths(self) -> list[int]:
        """Rows of a tile of each kind."""
        return [rows.shape[1] for rows in self.tiles]


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

    Cost: O(M log M + T C log M + entries). Waits for the device once, until it knows how long the lists are: they may
    still be in the making when this returns.
    """
    batch, tokens = class_ids.shape
    shape = (class_ids.device, batch, tokens, queries, with_gradient)
    room: Sizes | None = rules.rooms.get(shape)

    def begin(ids: Tensor, real: Tensor | None, first: Tensor | None, last: Tensor | None) -> Sketch:
        given = None if first is None or last is None else (first, last)
        return _sketch(ids, rules, real, given, queries, with_gradient)

    job = Job(begin, lambda sketch: sketch.totals, lambda sketch: _finish(sketch, room))
    inputs = (class_ids, valid, *((None, None) if bounds is None else bounds))
    sketch, totals, recorded = replayed(job, inputs, (rules, queries, with_gradient, room))
    # All that can be done while the device is at work. The next plan overwrites what a recording holds: copies.
    kept = recorded.copied()
    kinds = range(len(sketch.tiles))
    metas, tiles = ([kept.tensor(_LISTS + at + kind) for kind in kinds] for at in (0, len(kinds)))
    key_tiles, launches = tiles[0].shape[0], _LISTS + 2 * len(kinds)
    classes, narrow = kept.tensor(1), None if class_ids.dtype in _PACKED else class_ids.clone()
    lists = (
        [] if room is None else [(kept.tensor(launches + 2 * i + 1), kept.tensor(launches + 2 * i + 2)) for i in kinds]
    )
    # The only wait: how long the lists are, and whether the class ids were fit to be planned.
    *lengths, has_wrong_class, parts, _ = totals.read()
    if has_wrong_class:
        return None
    needed = Sizes(tuple(lengths[: 2 * len(kinds) : 2]), tuple(lengths[1 : 2 * len(kinds) : 2]), key_tiles + parts)
    if room is not None and room.holds(needed):
        programs = [kept.rows(launches, 0, key_tiles), kept.rows(launches, key_tiles, needed.launches)]
    else:
        made = _made_anew(sketch, rules, shape, needed)
        lists = list(zip(made.entries, made.words, strict=True))
        programs = [made.launches[:key_tiles], made.launches[key_tiles : needed.launches]]
    made_lists = [TileLists(tiles[i], lists[i][0], metas[i], lists[i][1], programs[i]) for i in kinds]
    return DevicePlan(
        kept, narrow, rules, queries, tokens, classes, made_lists[0], made_lists[1] if with_gradient else None
    )


def _made_anew(sketch: Sketch, rules: ClassRules, shape: Hashable, needed: Sizes) -> Room:
    """The lists in room of their own, which the next plan of this shape will have from the start."""
    sizes = rules.rooms[shape] = needed.with_spare()
    device = sketch.totals.device
    shapes = Room.shapes(sizes, sketch.widths)
    made = Room.of(sizes, [torch.empty(x, dtype=torch.int32, device=device) for x in shapes])
    _write(sketch, made)
    return made


def _sketch(
    class_ids: Tensor,
    rules: ClassRules,
    valid: Tensor | None,
    bounds: tuple[Tensor, Tensor] | None,
    queries: int,
    with_gradient: bool,
) -> Sketch:
    tokens, device = class_ids.shape[1], class_ids.device
    allow, is_global, _ = rules.tables(device)
    found = sort_by_class(class_ids, valid, bounds, rules)
    floor = found.first if rules.budget is None else budget_floor(found, allow, rules)
    stream = Stream(
        found.classes, found.first, found.last, floor, found.last, found.order, allow, is_global, rules, queries, tokens
    )
    shapes = kernel_key_shape(rules, tokens), kernel_query_shape(rules, tokens)
    counts = [class_ids.shape[0] * -(-queries // shapes[0].rows), 0]
    if with_gradient:
        counts[1] = class_ids.shape[0] * -(-tokens // shapes[1].rows)
    spans = torch.empty((sum(counts), 2), dtype=torch.int32, device=device)
    meta = torch.empty((sum(counts), 4), dtype=torch.int64, device=device)
    totals = torch.zeros(7, dtype=torch.int64, device=device)
    of_keys: list[tuple[Tensor, tuple[Tensor, Tensor]]] = []
    branch = Branch(device)
    with branch:
        whole, by_reach = stream, None
        if rules.valence is not None:
            until, by_reach = sort_by_reach(found, tokens, floor, rules, shapes[1].rows)
            whole = replace(stream, until=until)
        if with_gradient:
            rows = _key_tiles(whole, found) if by_reach is None else by_reach
            of_keys.append((rows, _find_runs(whole, found, rows, spans[counts[0] :], True)))
    # Neither these tiles nor their runs depend on `until`.
    rows = _query_tiles(stream, found)
    both = [(rows, _find_runs(stream, found, rows, spans, False)), *of_keys]
    branch.join()
    launch(
        place_lists_kernel, (len(both),), (spans, meta, found.bad, totals),
        (*counts, *(shape.full_step for shape in shapes), shapes[1].longest or 2**40), CHUNK=1024,
    )  # fmt: skip
    return Sketch(class_ids, whole, [tiles for tiles, _ in both], [runs for _, runs in both], meta, totals)


def _finish(sketch: Sketch, sizes: Sizes | None) -> Packed:
    """What the plan will hold: what it was made from, tiles, and the lists, as far as there is room for them.

    In this order: class ids (classes, where the ids are of fewer than 32 bits), classes, first, last, order, floor and
    until of the stream; `meta` of each kind of tiles; the tiles of each kind; launches; entries and words of each kind.
    """
    stream = sketch.stream
    ids = sketch.class_ids if sketch.class_ids.dtype in _PACKED else stream.classes
    held = [ids, stream.classes, stream.first, stream.last, stream.order, stream.floor, stream.until]
    held += [*sketch.meta.split([rows.shape[0] for rows in sketch.tiles]), *sketch.tiles]
    kept = pack(held, [] if sizes is None else Room.shapes(sizes, sketch.widths))
    if sizes is not None:
        _write(sketch, Room.of(sizes, [kept.tensor(at) for at in range(len(held), len(kept.places))]))
    return kept


def _write(sketch: Sketch, room: Room) -> None:
    """Entries, words and launches of all lists, as far as there is room."""
    counts = [rows.shape[0] for rows in sketch.tiles] + [0]
    branch = Branch(sketch.meta.device)
    with branch:
        if len(sketch.tiles) > 1:
            _fill(sketch, room, counts[0], 1)
    launch(
        rank_tiles_kernel, (sum(-(-count // 64) for count in counts),), (sketch.meta, sketch.totals, room.launches),
        (*counts[:2], sketch.stream.size // sketch.stream.tokens, room.sizes.launches), CHUNK=64,
    )  # fmt: skip
    _fill(sketch, room, 0, 0)
    branch.join()


def _query_tiles(stream: Stream, found: SortedStream) -> Tensor:
    """The asking tokens in tiles; in reading order there is only room for them, see `find_runs_kernel`."""
    rules, shape = stream.rules, kernel_key_shape(stream.rules, stream.tokens)
    if _makes_rows(stream, False):
        tiles = stream.size // stream.tokens * -(-stream.queries // shape.rows)
        return torch.empty((tiles, shape.rows), dtype=torch.int32, device=stream.classes.device)
    if stream.queries < stream.tokens:
        return query_rows(stream, shape)
    if rules.budget is not None:
        return sort_by_reach(found, stream.tokens, stream.floor, rules, shape.rows)[1]
    rank = rules.ranks(stream.classes.device)[0]
    return sort_by_rank(found, stream.tokens, rank, shape.stretch, shape.rows)


def _key_tiles(stream: Stream, found: SortedStream) -> Tensor:
    """All tokens in tiles, where no valence has sorted them; in reading order there may only be room for them."""
    shape = kernel_query_shape(stream.rules, stream.tokens)
    if _makes_rows(stream, True):
        tiles = stream.size // stream.tokens * -(-stream.tokens // shape.rows)
        return torch.empty((tiles, shape.rows), dtype=torch.int32, device=stream.classes.device)
    if shape.stretch == 0:
        return key_rows(stream, shape)
    rank = stream.rules.ranks(stream.classes.device)[1]
    return sort_by_rank(found, stream.tokens, rank, shape.stretch, shape.rows)


def _find_runs(
    stream: Stream, found: SortedStream, rows: Tensor, sizes: Tensor, transposed: bool
) -> tuple[Tensor, Tensor]:
    """Begins and running ends of the runs of each tile. [T, K] int32 each."""
    rules, tiles = stream.rules, rows.shape[0]
    in_order = not transposed and _keeps_order(rules) and rules.causal
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
        HAS_GLOBAL=bool(rules.global_classes), MAKE_ROWS=_makes_rows(stream, transposed), IN_ORDER=in_order,
        SPLIT=split, ALL=rules.allows_all, BLOCK_M=rows.shape[1],
        BLOCK_C=min(chunk, triton.next_power_of_2(rules.classes)),
    )  # fmt: skip
    return begins, ends


def _fill(sketch: Sketch, room: Room, first_tile: int, kind: int) -> None:
    """The lists of one kind of tiles: 0 those of queries, 1 those of keys."""
    stream, rows, (begins, ends) = sketch.stream, sketch.tiles[kind], sketch.runs[kind]
    entries, words = room.entries[kind], room.words[kind]
    rules, (tiles, width) = stream.rules, rows.shape
    if not entries.shape[0]:
        return
    launch(
        fill_lists_kernel, (entries.shape[0] // STEP.value,),
        (rows, begins, ends, sketch.meta[first_tile:], sketch.totals, entries, words, stream.classes, stream.first,
         stream.last, stream.floor, stream.until, stream.order, stream.allow, stream.is_global),
        (stream.size, stream.tokens, stream.queries, rules.classes, rules.window, ends.shape[1], tiles,
         tiles.bit_length(), ends.shape[1].bit_length(), words.shape[0]), Options(1 if rules.allows_all else 4),
        TRANSPOSED=kind == 1, CAUSAL=rules.causal, BOUND=_bound(rules), HAS_GLOBAL=bool(rules.global_classes),
        HAS_PAST=stream.queries < stream.tokens, ALL=rules.allows_all, BLOCK_M=width,
    )  # fmt: skip


def _keeps_order(rules: ClassRules) -> bool:
    """Whether the tiles of queries are in reading order."""
    return rules.valence is not None or not rules.allows_any


def _makes_rows(stream: Stream, transposed: bool) -> bool:
    """Whether the kernel that finds the runs makes the tiles too, which are in reading order."""
    rules = stream.rules
    if not transposed:
        return _keeps_order(rules)
    in_reading_order = rules.valence is None and kernel_query_shape(rules, stream.tokens).stretch == 0
    return in_reading_order and stream.queries == stream.tokens


def _bound(rules: ClassRules) -> int:
    return 2 if rules.valence is not None else 1 if rules.budget is not None else 0

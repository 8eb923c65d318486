# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return,attr-defined"
"""Tile lists on a device: the runs of each tile, where its list lies, its entries and its words.

What these kernels compute is defined by `sparse_attn.lists` and `sparse_attn.words`, and equal to it number by number.
B batch, N tokens, M = B * N, C classes; T tiles of BLOCK_M rows; K runs of a tile.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sparse_attn.impl.triton.sorting import BLOCK as SORT_BLOCK

# Entries that one program writes; lists are padded to a multiple of it.
STEP = tl.constexpr(64)
BLOCK = tl.constexpr(SORT_BLOCK)
SEARCHES = tl.constexpr(SORT_BLOCK.bit_length())


@triton.jit
def _search(order_ptr, sums_ptr, c, known, blocks, size, position):
    """Where in `order` the tokens of each class that lie at or after the position begin. [C] int32.

    The running counts by block tell where to look to within BLOCK tokens.
    """
    position = tl.minimum(tl.maximum(position, 0), size)
    block = position // BLOCK
    cell = c * blocks + block
    low = tl.load(sums_ptr + cell - 1, mask=known & (cell > 0), other=0)
    high = tl.load(sums_ptr + tl.minimum(cell, c * blocks + blocks - 1), mask=known, other=0)
    # A position at the very end lies in no block: there the two are equal.
    for _ in range(SEARCHES):
        is_open = low < high
        middle = (low + high) // 2
        found = tl.load(order_ptr + middle, mask=is_open, other=0)
        low = tl.where(is_open & (found < position), middle + 1, low)
        high = tl.where(is_open & (found >= position), middle, high)
    return low


@triton.jit
def _search_floor(order_ptr, floor_ptr, low, high, wanted, steps):
    """The first r in [low, high) with floor[order[r]] >= wanted, else high; within a class the floor never falls."""
    for _ in range(steps):
        is_open = low < high
        middle = (low + high) // 2
        found = tl.load(floor_ptr + tl.load(order_ptr + middle, mask=is_open, other=0), mask=is_open, other=0)
        low = tl.where(is_open & (found < wanted), middle + 1, low)
        high = tl.where(is_open & (found >= wanted), middle, high)
    return low


@triton.jit
def find_runs_kernel(
    rows_ptr, classes_ptr, first_ptr, last_ptr, floor_ptr, until_ptr, order_ptr, sums_ptr, allow_ptr, global_ptr,
    begins_ptr, ends_ptr, sizes_ptr, size, tokens, queries, num_classes, blocks, window, valence, steps, runs,
    TRANSPOSED: tl.constexpr, CAUSAL: tl.constexpr, BOUND: tl.constexpr, HAS_WINDOW: tl.constexpr,
    HAS_GLOBAL: tl.constexpr, MAKE_ROWS: tl.constexpr, IN_ORDER: tl.constexpr, SPLIT: tl.constexpr,
    ALL: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """One program a tile: its runs of each class as `sparse_attn.lists.list_keys` (or `list_queries`) defines them.

    BOUND is 0 for none, 1 for a budget, 2 for a valence. Writes the begins of the runs, the running sum of their
    lengths, and [entries in all, entries that every row sees].
    """
    tile = tl.program_id(0)
    if MAKE_ROWS:
        each = (queries + BLOCK_M - 1) // BLOCK_M
        within = tile % each * BLOCK_M + tl.arange(0, BLOCK_M)
        row = tile // each * tokens + tokens - queries + within
        inside = within < queries
        inside &= tl.load(classes_ptr + row, mask=inside, other=num_classes) < num_classes
        row = tl.where(inside, row, -1)
        tl.store(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M), row)
    else:
        row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))
    real = row >= 0
    at = tl.maximum(row, 0)
    first, last = tl.load(first_ptr + at), tl.load(last_ptr + at)
    own = tl.where(real, tl.load(classes_ptr + at), num_classes)
    lowest, highest = tl.min(tl.where(real, row, size), 0), tl.max(tl.where(real, row, -1), 0)
    first_min, first_max = tl.min(tl.where(real, first, size), 0), tl.max(tl.where(real, first, 0), 0)
    last_min, last_max = tl.min(tl.where(real, last, size), 0), tl.max(tl.where(real, last, 0), 0)
    if TRANSPOSED:
        end = last_max
        begin = lowest if CAUSAL else first_min
    else:
        end = highest + 1 if CAUSAL else last_max
        begin = first_min
    floor = tl.load(floor_ptr + at)
    reach = tl.max(tl.where(real, tl.load(until_ptr + at), -1), 0) if BOUND == 2 else last_max
    for start in range(0, num_classes, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        known = c < num_classes
        if IN_ORDER and BOUND == 2:
            # In reading order the list must not depend on the classes of later rows: every class counts as allowed.
            allowed = known
        elif ALL:
            bond = real[:, None] & known[None, :]
            allowed = known & (highest >= 0)
        else:
            if TRANSPOSED:
                cell = c[None, :] * (num_classes + 1) + own[:, None]
            else:
                cell = own[:, None] * (num_classes + 1) + c[None, :]
            bond = tl.load(allow_ptr + cell, mask=known[None, :], other=0) != 0
            allowed = tl.max(bond.to(tl.int32), 0) != 0
        low = tl.full([BLOCK_C], 2147483647, tl.int32)
        high = tl.full([BLOCK_C], -1, tl.int32)
        if HAS_WINDOW:
            if TRANSPOSED:
                low = tl.minimum(low, lowest - (0 if CAUSAL else window - 1))
                high = tl.maximum(high, highest + window)
            else:
                low = tl.minimum(low, lowest - window + 1)
                high = tl.maximum(high, highest + (1 if CAUSAL else window))
        else:
            present = tl.max((own[:, None] == c[None, :]).to(tl.int32), 0) != 0
            low = tl.where(present, tl.minimum(low, lowest), low)
            high = tl.where(present, tl.maximum(high, highest + 1), high)
        if HAS_GLOBAL:
            if TRANSPOSED:
                shown = known & (tl.max(tl.load(global_ptr + own).to(tl.int32), 0) != 0)
            else:
                shown = tl.load(global_ptr + c, mask=known, other=0) != 0
            low = tl.where(shown, tl.minimum(low, begin), low)
            high = tl.where(shown, tl.maximum(high, end), high)
        if TRANSPOSED:
            if BOUND != 1:
                low = tl.where(allowed, tl.minimum(low, begin), low)
                high = tl.where(allowed, tl.maximum(high, reach), high)
        elif BOUND != 2:
            oldest = tl.full([BLOCK_C], 0, tl.int32) + first_min
            if BOUND == 1:
                oldest = tl.min(tl.where(bond & real[:, None], floor[:, None], 2147483647), 0)
            low = tl.where(allowed, tl.minimum(low, oldest), low)
            high = tl.where(allowed, tl.maximum(high, end), high)
        low = _search(order_ptr, sums_ptr, c, known, blocks, size, tl.maximum(low, first_min))
        if IN_ORDER:
            # The tile's own tokens come last and in reading order: its runs end before it.
            high = _search(order_ptr, sums_ptr, c, known, blocks, size, lowest)
        else:
            high = _search(order_ptr, sums_ptr, c, known, blocks, size, tl.minimum(high, last_max))
        if BOUND == 2 and IN_ORDER:
            newest = high + (c == tl.max(tl.where(row == lowest, own, -1), 0)).to(tl.int32) - valence
            newest = tl.maximum(newest, _search(order_ptr, sums_ptr, c, known, blocks, size, first_min))
            low = tl.minimum(low, newest)
        elif BOUND == 2 and not TRANSPOSED:
            anchor = lowest + 1 if CAUSAL else last_min
            newest = _search(order_ptr, sums_ptr, c, known, blocks, size, anchor) - valence
            newest = tl.maximum(newest, _search(order_ptr, sums_ptr, c, known, blocks, size, first_min))
            low = tl.where(allowed, tl.minimum(low, newest), low)
            upto = _search(order_ptr, sums_ptr, c, known, blocks, size, end)
            high = tl.where(allowed, tl.maximum(high, upto), high)
        if BOUND == 1 and TRANSPOSED:
            since = _search(order_ptr, sums_ptr, c, known, blocks, size, begin)
            low = tl.where(allowed, tl.minimum(low, since), low)
            head = tl.load(sums_ptr + c * blocks - 1, mask=known & (c > 0), other=0)
            stop = tl.load(sums_ptr + (c + 1) * blocks - 1, mask=known, other=0)
            # The last query that reaches back to the tile.
            upto = _search_floor(order_ptr, floor_ptr, head, stop, tl.maximum(highest, 0) + 1, steps)
            high = tl.where(allowed, tl.maximum(high, upto), high)
        high = tl.maximum(high, low)
        spot = tile * runs + c
        if SPLIT:
            everyone = tl.max((real[:, None] & ~bond).to(tl.int32), 0) == 0
            if TRANSPOSED:
                since, upto = highest if CAUSAL else first_max, last_min
            else:
                since, upto = first_max, lowest + 1 if CAUSAL else last_min
            since = _search(order_ptr, sums_ptr, c, known, blocks, size, since)
            upto = _search(order_ptr, sums_ptr, c, known, blocks, size, upto)
            since = tl.minimum(tl.maximum(since, low), high)
            upto = tl.where(everyone, tl.minimum(tl.maximum(upto, since), high), since)
            tl.store(begins_ptr + spot, since, mask=known)
            tl.store(ends_ptr + spot, upto - since, mask=known)
            tl.store(begins_ptr + spot + num_classes, low, mask=known)
            tl.store(ends_ptr + spot + num_classes, since - low, mask=known)
            tl.store(begins_ptr + spot + 2 * num_classes, upto, mask=known)
            tl.store(ends_ptr + spot + 2 * num_classes, high - upto, mask=known)
        else:
            tl.store(begins_ptr + spot, low, mask=known)
            tl.store(ends_ptr + spot, high - low, mask=known)
    if IN_ORDER:
        # Tokens in reading order stand behind the tokens by class.
        tl.store(begins_ptr + tile * runs + num_classes, lowest + size)
        tl.store(ends_ptr + tile * runs + num_classes, tl.maximum(highest + 1, lowest) - lowest)
    tl.debug_barrier()
    used = 0
    full = 0
    for start in range(0, runs, BLOCK_C):
        k = start + tl.arange(0, BLOCK_C)
        spot = tile * runs + k
        length = tl.load(ends_ptr + spot, mask=k < runs, other=0)
        tl.store(ends_ptr + spot, used + tl.cumsum(length, 0), mask=k < runs)
        used += tl.sum(length, 0)
        if SPLIT:
            full += tl.sum(tl.where(k < num_classes, length, 0), 0)
    tl.store(sizes_ptr + tile * 2, used)
    tl.store(sizes_ptr + tile * 2 + 1, full)


@triton.jit
def _lengths(sizes_ptr, tile, inside, full_step):
    """Full entries and all entries of each list, padding included. int64."""
    used = tl.load(sizes_ptr + tile * 2, mask=inside, other=0).to(tl.int64)
    full = tl.load(sizes_ptr + tile * 2 + 1, mask=inside, other=0).to(tl.int64) // full_step * full_step
    return full, full + (used - full + STEP - 1) // STEP * STEP


@triton.jit
def place_lists_kernel(
    sizes_ptr, meta_ptr, bad_ptr, totals_ptr, key_tiles, query_tiles, key_step, query_step, longest,
    CHUNK: tl.constexpr,
):  # fmt: skip
    """The `meta` of all tiles from their sizes, and totals: [7] int64.

    Program 0 places the lists of the tiles of queries, program 1 those of the tiles of keys, which follow. The steps
    are those in which entries that every row sees are counted. Totals: entries and words of both kinds, whether a class
    is wrong, programs for the lists of the tiles of keys, and how many entries one of these takes at most.
    """
    kind = tl.program_id(0)
    full_step = tl.where(kind == 0, key_step, query_step)
    begin = kind * key_tiles
    end = begin + tl.where(kind == 0, key_tiles, query_tiles)
    entries = tl.zeros([], tl.int64)
    words = tl.zeros([], tl.int64)
    for start in range(begin, end, CHUNK):
        tile = start + tl.arange(0, CHUNK)
        inside = tile < end
        full, length = _lengths(sizes_ptr, tile, inside, full_step)
        groups = (length - full) // 32
        meta = meta_ptr + tile * 4
        tl.store(meta, entries + tl.cumsum(length, 0) - length, mask=inside)
        tl.store(meta + 1, full, mask=inside)
        tl.store(meta + 2, length, mask=inside)
        tl.store(meta + 3, words + tl.cumsum(groups, 0) - groups, mask=inside)
        entries += tl.sum(length, 0)
        words += tl.sum(groups, 0)
    tl.store(totals_ptr + 2 * kind, entries)
    tl.store(totals_ptr + 2 * kind + 1, words)
    if kind == 0:
        tl.store(totals_ptr + 4, tl.load(bad_ptr).to(tl.int64))
    else:
        limit = tl.maximum(longest, entries // query_tiles // 16 * 64)
        parts = tl.zeros([], tl.int64)
        for start in range(begin, end, CHUNK):
            tile = start + tl.arange(0, CHUNK)
            length = _lengths(sizes_ptr, tile, tile < end, full_step)[1]
            parts += tl.sum(tl.where(tile < end, tl.maximum((length + limit - 1) // limit, 1), 0), 0)
        tl.store(totals_ptr + 5, parts)
        tl.store(totals_ptr + 6, limit)


@triton.jit
def _lateness(length, tile, each, limit):
    """What tiles are launched in the order of, see `sparse_attn.lists`. int64."""
    steps = (length.to(tl.float32).to(tl.int32, bitcast=True) >> 22).to(tl.int64)
    return tl.where(length > limit, -length, (tile // each).to(tl.int64) * 512 + 511 - steps)


@triton.jit
def rank_tiles_kernel(meta_ptr, totals_ptr, launch_ptr, key_tiles, query_tiles, sequences, room, CHUNK: tl.constexpr):
    """The work of each program, see `TileLists.launch`: each program ranks CHUNK tiles among all of their kind."""
    key_chunks = (key_tiles + CHUNK - 1) // CHUNK
    is_query = tl.program_id(0) >= key_chunks
    begin = tl.where(is_query, key_tiles, 0)
    count = tl.where(is_query, query_tiles, key_tiles)
    each = tl.maximum(count // sequences, 1)
    limit = tl.where(is_query, tl.load(totals_ptr + 6), 1 << 40)
    tile = (tl.program_id(0) - tl.where(is_query, key_chunks, 0)) * CHUNK + tl.arange(0, CHUNK)
    own = tl.load(meta_ptr + (begin + tile) * 4 + 2, mask=tile < count, other=0)
    own_late = _lateness(own, tile, each, limit)
    rank = tl.zeros([CHUNK], tl.int64)
    for start in range(0, count, CHUNK):
        other = start + tl.arange(0, CHUNK)
        length = tl.load(meta_ptr + (begin + other) * 4 + 2, mask=other < count, other=0)
        late = _lateness(length, other, each, limit)
        ahead = (late[None, :] < own_late[:, None]) | (
            (late[None, :] == own_late[:, None]) & (other[None, :] < tile[:, None])
        )
        parts = tl.maximum((length + limit - 1) // limit, 1)
        rank += tl.sum(tl.where(ahead & (other < count)[None, :], parts[None, :], 0), 1)
    parts = tl.where(tile < count, tl.maximum((own + limit - 1) // limit, 1), 0)
    for part in range(0, tl.max(parts, 0).to(tl.int32)):
        at = begin + rank + part
        # What there is no room for is left out.
        known = (part < parts) & (at < room)
        tl.store(launch_ptr + at * 3, tile, mask=known)
        tl.store(launch_ptr + at * 3 + 1, part * limit, mask=known)
        tl.store(launch_ptr + at * 3 + 2, tl.minimum((part + 1) * limit, own), mask=known)


@triton.jit
def fill_lists_kernel(
    rows_ptr, begins_ptr, ends_ptr, meta_ptr, totals_ptr, entries_ptr, words_ptr,
    classes_ptr, first_ptr, last_ptr, floor_ptr, until_ptr, order_ptr, allow_ptr, global_ptr,
    size, tokens, queries, num_classes, window, runs, tiles, tile_steps, run_steps, word_room,
    TRANSPOSED: tl.constexpr, CAUSAL: tl.constexpr, BOUND: tl.constexpr, HAS_GLOBAL: tl.constexpr,
    HAS_PAST: tl.constexpr, ALL: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """One program for each STEP entries: which tokens they are, and who of the tile's rows sees them."""
    place = tl.program_id(0).to(tl.int64) * STEP
    if place >= tl.load(totals_ptr + (2 if TRANSPOSED else 0)):
        return
    # The last tile whose list begins here or before; one with an empty list begins where the next one does.
    low, high = 0, tiles
    for _ in range(tile_steps):
        middle = (low + high) // 2
        is_open = low + 1 < high
        before = is_open & (tl.load(meta_ptr + middle.to(tl.int64) * 4) <= place)
        high = tl.where(is_open & ~before, middle, high)
        low = tl.where(before, middle, low)
    tile = low.to(tl.int64)
    begins_ptr += tile * runs
    ends_ptr += tile * runs
    start = (place - tl.load(meta_ptr + tile * 4)).to(tl.int32)
    full = tl.load(meta_ptr + tile * 4 + 1).to(tl.int32)
    word_place = tl.load(meta_ptr + tile * 4 + 3)
    row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))
    at = tl.maximum(row, 0)
    row_class = tl.where(row >= 0, tl.load(classes_ptr + at), num_classes)[:, None]
    number = start + tl.arange(0, STEP)
    run = tl.zeros([STEP], tl.int32)
    stop = tl.full([STEP], 0, tl.int32) + runs
    for _ in range(run_steps):
        is_open = run < stop
        middle = (run + stop) // 2
        passed = is_open & (tl.load(ends_ptr + middle, mask=is_open, other=0) <= number)
        stop = tl.where(is_open & ~passed, middle, stop)
        run = tl.where(passed, middle + 1, run)
    listed = run < runs
    begun = tl.load(ends_ptr + run - 1, mask=listed & (run > 0), other=0)
    source = tl.load(begins_ptr + run, mask=listed, other=0) + number - begun
    entry = tl.load(order_ptr + source, mask=listed & (source < size), other=0)
    # Tokens in reading order stand behind the tokens by class.
    entry = tl.where(listed, tl.where(source < size, entry, source - size), -1)
    tl.store(entries_ptr + place + tl.arange(0, STEP), entry)
    first_word = word_place + (start - full) // 32
    if (start >= full) & (first_word + 1 < word_room):
        entry = tl.maximum(entry, 0)
        entry_class = tl.where(listed, tl.load(classes_ptr + entry), num_classes)[None, :]
        if TRANSPOSED:
            query, key, query_class, key_class = entry[None, :], at[:, None], entry_class, row_class
        else:
            query, key, query_class, key_class = at[:, None], entry[None, :], row_class, entry_class
        itself = query == key
        bond = (query >= 0) & (key >= 0)
        if not ALL:
            bond = (tl.load(allow_ptr + query_class * (num_classes + 1) + key_class) != 0) | itself
        if BOUND == 1:
            bond &= key >= tl.load(floor_ptr + query)
        if BOUND == 2:
            bond &= (query < tl.load(until_ptr + key)) | itself
        bond |= tl.abs(query - key) < window
        if HAS_GLOBAL:
            bond |= tl.load(global_ptr + key_class) != 0
        end = query + 1 if CAUSAL else tl.load(last_ptr + query)
        seen = bond & (key >= tl.load(first_ptr + query)) & (key < end)
        seen &= (query_class < num_classes) & (key_class < num_classes)
        if HAS_PAST:
            seen &= query % tokens >= tokens - queries
        # Two words of 32 entries; each bit occurs once, so the sum is the union.
        bits = tl.reshape(seen.to(tl.int32), [BLOCK_M, 2, 32]) << tl.arange(0, 32)[None, None, :]
        group = first_word + tl.arange(0, 2)
        tl.store(words_ptr + group[None, :] * BLOCK_M + tl.arange(0, BLOCK_M)[:, None], tl.sum(bits, 2))

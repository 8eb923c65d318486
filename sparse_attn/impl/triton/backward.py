# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""Backward kernels: dq walks the forward's lists, dk and dv the transposed ones. No atomics, so runs repeat exactly.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attn.impl.triton.launching import launch
from sparse_attn.impl.triton.primitives import (
    LOG2E,
    BlockSizes,
    block_d,
    class_bias,
    dkv_sizes,
    dq_sizes,
    first_tokens,
    full_length,
    grid_of,
    load_classes,
    load_rows,
    seen_bits,
    sequence_of,
    spare_of,
    store_rows,
    strides_of,
    this_and_next,
    tile_and_head,
    token_offsets,
)
from sparse_attn.memory import empty_as


@triton.jit
def _add_dq(
    dq, q, do, lse, delta, row_class, k_ptr, v_ptr, k_stride_n, v_stride_n, begin, spare,
    token, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
    MASKED: tl.constexpr, HAS_BIAS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    # What every row sees is no padding.
    spare = spare if MASKED else None
    k = load_rows(k_ptr, token_offsets(token, begin, spare, k_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    v = load_rows(v_ptr, token_offsets(token, begin, spare, v_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    s = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale_log2 - lse[:, None]
    if HAS_BIAS:
        key_class = load_classes(classes_ptr, token, num_classes)
        s += class_bias(bias_ptr, row_class[:, None], key_class[None, :], num_classes)
    if MASKED:
        s = tl.where(seen_bits(words_ptr, start, BLOCK_M, BLOCK_N), s, float("-inf"))
    dp = tl.dot(do, tl.trans(v), input_precision=PRECISION)
    ds = tl.exp2(s) * (dp - delta[:, None])
    return tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)


@triton.jit
def class_attention_bwd_dq_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, do_ptr, lse_ptr, stats_ptr, dq_ptr,
    rows_ptr, entries_ptr, meta_ptr, words_ptr, launch_ptr, classes_ptr, bias_ptr,
    q_stride_b, q_stride_h, q_stride_n, k_stride_b, k_stride_h, k_stride_n,
    v_stride_b, v_stride_h, v_stride_n, o_stride_b, o_stride_h, o_stride_n,
    do_stride_b, do_stride_h, do_stride_n, dq_stride_b, dq_stride_h, dq_stride_n,
    heads, group, num_keys, num_queries, num_classes, scale, scale_log2,
    HAS_BIAS: tl.constexpr, HAS_FULL: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """One program a (tile of queries, head); leaves lse and delta = sum(o * do) side by side for the other kernel."""
    tile, head = tile_and_head(launch_ptr)
    wide_head = head.to(tl.int64)
    list_ptr = entries_ptr + tl.load(meta_ptr + tile * 4)
    full = tl.load(meta_ptr + tile * 4 + 1).to(tl.int32)
    length = tl.load(meta_ptr + tile * 4 + 2).to(tl.int32)
    words_ptr += tl.load(meta_ptr + tile * 4 + 3) * BLOCK_M
    row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))
    sequence = sequence_of(row, num_keys)
    begin = (sequence * num_keys).to(tl.int32)
    begin_q = begin + num_keys - num_queries
    spare = spare_of(row, begin)
    q_ptr += sequence * q_stride_b + wide_head * q_stride_h
    o_ptr += sequence * o_stride_b + wide_head * o_stride_h
    do_ptr += sequence * do_stride_b + wide_head * do_stride_h
    q = load_rows(q_ptr, token_offsets(row, begin_q, 0, q_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    o = load_rows(o_ptr, token_offsets(row, begin_q, 0, o_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    do = load_rows(do_ptr, token_offsets(row, begin_q, 0, do_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    lse_offsets = (sequence * heads + head) * num_queries + token_offsets(row, begin_q, 0, 1, WIDE)
    lse = tl.load(lse_ptr + lse_offsets)
    delta = tl.sum(o.to(tl.float32) * do.to(tl.float32), 1)
    tl.store(stats_ptr + lse_offsets * 2, lse, mask=row >= 0)
    tl.store(stats_ptr + lse_offsets * 2 + 1, delta, mask=row >= 0)
    k_ptr += sequence * k_stride_b + (head // group).to(tl.int64) * k_stride_h
    v_ptr += sequence * v_stride_b + (head // group).to(tl.int64) * v_stride_h
    row_class = load_classes(classes_ptr, row, num_classes) if HAS_BIAS else row
    dq = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    if HAS_FULL:
        token = first_tokens(list_ptr, 0, full, BLOCK_N)
        for start in range(0, full, BLOCK_N):
            here, token = this_and_next(list_ptr, token, start, full, BLOCK_N, AHEAD)
            dq = _add_dq(
                dq, q, do, lse, delta, row_class, k_ptr, v_ptr, k_stride_n, v_stride_n, begin, spare,
                here, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
                False, HAS_BIAS, HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION, WIDE,
            )  # fmt: skip
    list_ptr += full
    length -= full
    token = first_tokens(list_ptr, 0, length, BLOCK_N)
    for start in range(0, length, BLOCK_N):
        here, token = this_and_next(list_ptr, token, start, length, BLOCK_N, AHEAD)
        dq = _add_dq(
            dq, q, do, lse, delta, row_class, k_ptr, v_ptr, k_stride_n, v_stride_n, begin, spare,
            here, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
            True, HAS_BIAS, HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION, WIDE,
        )  # fmt: skip
    dq_ptr += sequence * dq_stride_b + wide_head * dq_stride_h
    store_rows(dq_ptr, token_offsets(row, begin_q, 0, dq_stride_n, WIDE), dq * scale, row >= 0, HEAD_DIM, BLOCK_D)


@triton.jit
def _add_dkv(
    dk, dv, k, v, row_class, q_ptr, do_ptr, stats_ptr, q_stride_n, do_stride_n, begin_q, spare,
    token, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
    MASKED: tl.constexpr, HAS_BIAS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    # What every row sees is no padding.
    spare = spare if MASKED else None
    q = load_rows(q_ptr, token_offsets(token, begin_q, spare, q_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    do = load_rows(do_ptr, token_offsets(token, begin_q, spare, do_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    at = token_offsets(token, begin_q, spare, 2, WIDE)
    lse, delta = tl.split(tl.load(stats_ptr + at[:, None] + tl.arange(0, 2)[None, :]))
    s = tl.dot(k, tl.trans(q), input_precision=PRECISION) * scale_log2 - lse[None, :]
    if HAS_BIAS:
        query_class = load_classes(classes_ptr, token, num_classes)
        s += class_bias(bias_ptr, query_class[None, :], row_class[:, None], num_classes)
    if MASKED:
        s = tl.where(seen_bits(words_ptr, start, BLOCK_M, BLOCK_N), s, float("-inf"))
    p = tl.exp2(s)
    # Before dv: it needs nothing of p, so the matrix units work on it while p is computed, then on dv meanwhile ds is.
    dp = tl.dot(v, tl.trans(do), input_precision=PRECISION)
    dv = tl.dot(p.to(do.dtype), do, dv, input_precision=PRECISION)
    ds = p * (dp - delta[None, :])
    dk = tl.dot(ds.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit
def class_attention_bwd_dkv_kernel(
    q_ptr, k_ptr, v_ptr, do_ptr, stats_ptr, dk_ptr, dv_ptr, parts_ptr,
    rows_ptr, entries_ptr, meta_ptr, words_ptr, launch_ptr, classes_ptr, bias_ptr,
    q_stride_b, q_stride_h, q_stride_n, k_stride_b, k_stride_h, k_stride_n,
    v_stride_b, v_stride_h, v_stride_n, do_stride_b, do_stride_h, do_stride_n,
    dk_stride_b, dk_stride_h, dk_stride_n, dv_stride_b, dv_stride_h, dv_stride_n,
    heads, group, num_keys, num_queries, num_classes, scale, scale_log2,
    HAS_BIAS: tl.constexpr, HAS_FULL: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """One program a (tile of keys, key head); it alone writes its rows, summing over the query heads of its group.

    Where several programs share a list, each leaves its part of the sums in float32 for `sum_parts_kernel`.
    """
    # Lists differ much in length here: heads vary fastest, so that the longest lists of all heads start first.
    key_heads = heads // group
    program = tl.program_id(0) // key_heads
    key_head = tl.program_id(0) % key_heads
    launch_ptr += program * 3
    tile = tl.load(launch_ptr).to(tl.int64)
    since, upto = tl.load(launch_ptr + 1), tl.load(launch_ptr + 2)
    list_ptr = entries_ptr + tl.load(meta_ptr + tile * 4)
    full = tl.load(meta_ptr + tile * 4 + 1).to(tl.int32)
    length = tl.load(meta_ptr + tile * 4 + 2).to(tl.int32)
    words_ptr += tl.load(meta_ptr + tile * 4 + 3) * BLOCK_M
    row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))
    wide_head = key_head.to(tl.int64)
    sequence = sequence_of(row, num_keys)
    begin = (sequence * num_keys).to(tl.int32)
    begin_q = begin + num_keys - num_queries
    spare = spare_of(row, begin_q)
    k_ptr += sequence * k_stride_b + wide_head * k_stride_h
    v_ptr += sequence * v_stride_b + wide_head * v_stride_h
    k = load_rows(k_ptr, token_offsets(row, begin, 0, k_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    v = load_rows(v_ptr, token_offsets(row, begin, 0, v_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    q_ptr += sequence * q_stride_b
    do_ptr += sequence * do_stride_b
    stats_ptr += sequence * heads * num_queries * 2
    row_class = load_classes(classes_ptr, row, num_classes) if HAS_BIAS else row
    dk = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    dv = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    for member in range(0, group):
        head = wide_head * group + member
        q_of, do_of = q_ptr + head * q_stride_h, do_ptr + head * do_stride_h
        stats_of = stats_ptr + head * num_queries * 2
        if HAS_FULL:
            token = first_tokens(list_ptr, 0, full, BLOCK_N)
            for start in range(0, full, BLOCK_N):
                here, token = this_and_next(list_ptr, token, start, full, BLOCK_N, AHEAD)
                dk, dv = _add_dkv(
                    dk, dv, k, v, row_class, q_of, do_of, stats_of, q_stride_n, do_stride_n, begin_q, spare,
                    here, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
                    False, HAS_BIAS, HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION, WIDE,
                )  # fmt: skip
        token = first_tokens(list_ptr + full, since, upto - full, BLOCK_N)
        for start in range(since, upto - full, BLOCK_N):
            here, token = this_and_next(list_ptr + full, token, start, upto - full, BLOCK_N, AHEAD)
            dk, dv = _add_dkv(
                dk, dv, k, v, row_class, q_of, do_of, stats_of, q_stride_n, do_stride_n, begin_q, spare,
                here, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
                True, HAS_BIAS, HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION, WIDE,
            )  # fmt: skip
    if (since == 0) & (upto == length):
        at = sequence * dk_stride_b + wide_head * dk_stride_h + token_offsets(row, begin, 0, dk_stride_n, WIDE)
        store_rows(dk_ptr, at, dk * scale, row >= 0, HEAD_DIM, BLOCK_D)
        at = sequence * dv_stride_b + wide_head * dv_stride_h + token_offsets(row, begin, 0, dv_stride_n, WIDE)
        store_rows(dv_ptr, at, dv, row >= 0, HEAD_DIM, BLOCK_D)
    else:
        parts_ptr += _part_of(program, key_head, key_heads, BLOCK_M * BLOCK_D)
        spot = tl.arange(0, BLOCK_M)[:, None] * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
        tl.store(parts_ptr + spot, dk)
        tl.store(parts_ptr + BLOCK_M * BLOCK_D + spot, dv)


@triton.jit
def _part_of(program, key_head, key_heads, size):
    """Where a program leaves its two sums; programs that share lists are the first ones."""
    return (program.to(tl.int64) * key_heads + key_head) * (2 * size)


@triton.jit
def sum_parts_kernel(
    dk_ptr, dv_ptr, parts_ptr, rows_ptr, meta_ptr, launch_ptr,
    dk_stride_b, dk_stride_h, dk_stride_n, dv_stride_b, dv_stride_h, dv_stride_n, num_keys,
    scale, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The sums over the programs that share a list, always in the same order: by the first of them, for each head."""
    program, key_head = tl.program_id(0), tl.program_id(1)
    tile = tl.load(launch_ptr + program * 3).to(tl.int64)
    length = tl.load(meta_ptr + tile * 4 + 2).to(tl.int32)
    if (tl.load(launch_ptr + program * 3 + 1) > 0) | (tl.load(launch_ptr + program * 3 + 2) == length):
        return
    spot = tl.arange(0, BLOCK_M)[:, None] * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    dk = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    dv = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    done = 0
    while done < length:
        part_ptr = parts_ptr + _part_of(program, key_head, tl.num_programs(1), BLOCK_M * BLOCK_D)
        dk += tl.load(part_ptr + spot)
        dv += tl.load(part_ptr + BLOCK_M * BLOCK_D + spot)
        done = tl.load(launch_ptr + program * 3 + 2)
        program += 1
    row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))
    sequence = sequence_of(row, num_keys)
    begin = (sequence * num_keys).to(tl.int32)
    head = key_head.to(tl.int64)
    at = sequence * dk_stride_b + head * dk_stride_h + token_offsets(row, begin, 0, dk_stride_n, WIDE)
    store_rows(dk_ptr, at, dk * scale, row >= 0, HEAD_DIM, BLOCK_D)
    at = sequence * dv_stride_b + head * dv_stride_h + token_offsets(row, begin, 0, dv_stride_n, WIDE)
    store_rows(dv_ptr, at, dv, row >= 0, HEAD_DIM, BLOCK_D)


def backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    key_lists: Sequence[Tensor],
    query_lists: Sequence[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
    has_blind: bool,
    has_full: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Launch both backward kernels.

    Args:
        grad: [B, H, Nq, D], gradient of the output.
        query, key, value, classes, bias, scale, has_blind, has_full: as in `forward`.
        out, lse: what `forward` returned.
        key_lists: the lists that `forward` took.
        query_lists: their transpose.

    Returns: gradients by query, key and value.
    """
    heads, queries, head_dim = query.shape[1:]
    dq, dk, dv = empty_as(query), empty_as(key), empty_as(value)
    stats = torch.empty((*lse.shape, 2), dtype=torch.float32, device=query.device)
    if has_blind:
        for x in (dq, dk, dv, stats):
            x.zero_()
    table = classes if bias is None else bias.float() * LOG2E
    groups, keys = key.shape[1:3]
    numbers = (heads, heads // groups, keys, queries, table.shape[-1], scale, scale * LOG2E)
    strides, wide = strides_of(query, key, value, out, grad, dq, dk, dv)

    def constants(rows: Tensor, sizes: BlockSizes) -> dict[str, Any]:
        return {
            "HAS_BIAS": bias is not None, "HAS_FULL": has_full, "HEAD_DIM": head_dim, "BLOCK_D": block_d(head_dim),
            "BLOCK_M": rows.shape[1], "BLOCK_N": sizes.block_n, "PRECISION": "ieee", "WIDE": wide, "AHEAD": sizes.ahead,
        }  # fmt: skip

    rows, entries, meta, words, programs = key_lists
    sizes = dq_sizes(head_dim, query.dtype, full_length(has_full, keys), bias is not None)
    launch(
        class_attention_bwd_dq_kernel, grid_of(rows.shape[0], heads, query.shape[0]),
        (query, key, value, out, grad, lse, stats, dq, rows, entries, meta, words, programs, classes, table),
        (*strides[:18], *numbers),
        sizes.options, **constants(rows, sizes),
    )  # fmt: skip
    rows, entries, meta, words, programs = query_lists
    # A list that is shared has at least one program more than others: at most twice as many programs share one.
    shared = min(2 * (programs.shape[0] - rows.shape[0]), programs.shape[0])
    parts = stats if not shared else torch.empty(
        (shared, groups, 2, rows.shape[1], block_d(head_dim)), dtype=torch.float32, device=query.device
    )  # fmt: skip
    sizes = dkv_sizes(head_dim, query.dtype)
    launch(
        class_attention_bwd_dkv_kernel, (groups * programs.shape[0],),
        (query, key, value, grad, stats, dk, dv, parts, rows, entries, meta, words, programs, classes, table),
        (*strides[:9], *strides[12:15], *strides[18:], *numbers),
        sizes.options, **constants(rows, sizes),
    )  # fmt: skip
    if shared:
        launch(
            sum_parts_kernel, (shared, groups), (dk, dv, parts, rows, meta, programs),
            (*strides[18:], keys, scale),
            HEAD_DIM=head_dim, BLOCK_D=block_d(head_dim), BLOCK_M=rows.shape[1], WIDE=wide,
        )  # fmt: skip
    return dq, dk, dv

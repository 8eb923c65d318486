# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""Forward kernel: each program attends from one tile of queries, for one head, to the tile's list of keys.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim. Softmax is computed online in base 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparse_attn.impl.triton.launching import launch
from sparse_attn.impl.triton.primitives import (
    LOG2E,
    block_d,
    class_bias,
    first_tokens,
    forward_sizes,
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
def _attend(
    acc, total, peak, q, row_class, k_ptr, v_ptr, k_stride_n, v_stride_n, begin, spare,
    token, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
    MASKED: tl.constexpr, HAS_BIAS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    # What every row sees is no padding.
    spare = spare if MASKED else None
    k = load_rows(k_ptr, token_offsets(token, begin, spare, k_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    s = tl.dot(q, tl.trans(k), input_precision=PRECISION)
    if HAS_BIAS:
        key_class = load_classes(classes_ptr, token, num_classes)
        # The table is in units of log2, the logits are not yet: the scale is folded into the exponent below.
        s += class_bias(bias_ptr, row_class[:, None], key_class[None, :], num_classes) / scale_log2
    if MASKED:
        s = tl.where(seen_bits(words_ptr, start, BLOCK_M, BLOCK_N), s, float("-inf"))
    new_peak = tl.maximum(peak, tl.max(s, 1) * scale_log2)
    p = tl.exp2(s * scale_log2 - new_peak[:, None])
    shrink = tl.exp2(peak - new_peak)
    total = total * shrink + tl.sum(p, 1)
    acc = acc * shrink[:, None]
    v = load_rows(v_ptr, token_offsets(token, begin, spare, v_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    acc = tl.dot(p.to(v.dtype), v, acc, input_precision=PRECISION)
    return acc, total, new_peak


@triton.jit
def class_attention_fwd_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, lse_ptr,
    rows_ptr, entries_ptr, meta_ptr, words_ptr, launch_ptr, classes_ptr, bias_ptr,
    q_stride_b, q_stride_h, q_stride_n, k_stride_b, k_stride_h, k_stride_n,
    v_stride_b, v_stride_h, v_stride_n, o_stride_b, o_stride_h, o_stride_n,
    heads, group, num_keys, num_queries, num_classes, scale_log2,
    HAS_BIAS: tl.constexpr, HAS_FULL: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, FULL_N: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """One program a (tile, head)."""
    tile, head = tile_and_head(launch_ptr)
    list_ptr = entries_ptr + tl.load(meta_ptr + tile * 4)
    full = tl.load(meta_ptr + tile * 4 + 1).to(tl.int32)
    length = tl.load(meta_ptr + tile * 4 + 2).to(tl.int32)
    words_ptr += tl.load(meta_ptr + tile * 4 + 3) * BLOCK_M
    row = tl.load(rows_ptr + tile * BLOCK_M + tl.arange(0, BLOCK_M))
    sequence = sequence_of(row, num_keys)
    begin = (sequence * num_keys).to(tl.int32)
    # Queries are the last tokens of a sequence.
    begin_q = begin + num_keys - num_queries
    spare = spare_of(row, begin)
    q_ptr += sequence * q_stride_b + head.to(tl.int64) * q_stride_h
    q = load_rows(q_ptr, token_offsets(row, begin_q, 0, q_stride_n, WIDE), HEAD_DIM, BLOCK_D)
    k_ptr += sequence * k_stride_b + (head // group).to(tl.int64) * k_stride_h
    v_ptr += sequence * v_stride_b + (head // group).to(tl.int64) * v_stride_h
    row_class = load_classes(classes_ptr, row, num_classes) if HAS_BIAS else row
    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    # A finite start: a row that has seen nothing yet must not compute inf - inf.
    peak = tl.full([BLOCK_M], -1.0e30, tl.float32)
    if HAS_FULL:
        token = first_tokens(list_ptr, 0, full, FULL_N)
        for start in range(0, full, FULL_N):
            here, token = this_and_next(list_ptr, token, start, full, FULL_N, AHEAD)
            acc, total, peak = _attend(
                acc, total, peak, q, row_class, k_ptr, v_ptr, k_stride_n, v_stride_n, begin, spare,
                here, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
                False, HAS_BIAS, HEAD_DIM, BLOCK_D, BLOCK_M, FULL_N, PRECISION, WIDE,
            )  # fmt: skip
    list_ptr += full
    length -= full
    token = first_tokens(list_ptr, 0, length, BLOCK_N)
    for start in range(0, length, BLOCK_N):
        here, token = this_and_next(list_ptr, token, start, length, BLOCK_N, AHEAD)
        acc, total, peak = _attend(
            acc, total, peak, q, row_class, k_ptr, v_ptr, k_stride_n, v_stride_n, begin, spare,
            here, words_ptr, start, classes_ptr, bias_ptr, num_classes, scale_log2,
            True, HAS_BIAS, HEAD_DIM, BLOCK_D, BLOCK_M, BLOCK_N, PRECISION, WIDE,
        )  # fmt: skip
    blind = total == 0.0
    safe = tl.where(blind, 1.0, total)
    o_ptr += sequence * o_stride_b + head.to(tl.int64) * o_stride_h
    o = acc / safe[:, None]
    store_rows(o_ptr, token_offsets(row, begin_q, 0, o_stride_n, WIDE), o, row >= 0, HEAD_DIM, BLOCK_D)
    lse_ptr += (sequence * heads + head) * num_queries
    lse = tl.where(blind, 0.0, peak + tl.log2(safe))
    tl.store(lse_ptr + token_offsets(row, begin_q, 0, 1, WIDE), lse, mask=row >= 0)


def forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: Sequence[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
    has_blind: bool,
    has_full: bool,
) -> tuple[Tensor, Tensor]:
    """Launch the forward kernel.

    Args:
        query: [B, H, Nq, D], last dim contiguous, as in key and value.
        key: [B, G, N, D].
        value: [B, G, N, D].
        lists: rows, entries, meta, words, launch of `TileLists`, packed.
        classes: [B * N] int32; read where there is a bias.
        bias: [C, C] float32 or None.
        scale: multiplies the logits, > 0.
        has_blind: whether some rows are in no tile; they come out as 0.
        has_full: whether lists may begin with full entries.

    Returns: output [B, H, Nq, D] and log2-sum-exp2 [B, H, Nq] float32.
    """
    rows, entries, meta, words, programs = lists
    batch, heads, queries, head_dim = query.shape
    groups, keys = key.shape[1:3]
    out = empty_as(query)
    lse = torch.empty((batch, heads, queries), dtype=torch.float32, device=query.device)
    if has_blind:
        out.zero_()
        lse.zero_()
    sizes = forward_sizes(head_dim, query.dtype, full_length(has_full, keys))
    table = classes if bias is None else bias.float() * LOG2E
    strides, wide = strides_of(query, key, value, out)
    launch(
        class_attention_fwd_kernel, grid_of(rows.shape[0], heads, batch),
        (query, key, value, out, lse, rows, entries, meta, words, programs, classes, table),
        (*strides, heads, heads // groups, keys, queries, table.shape[-1], scale * LOG2E), sizes.options,
        HAS_BIAS=bias is not None, HAS_FULL=has_full, HEAD_DIM=head_dim, BLOCK_D=block_d(head_dim),
        BLOCK_M=rows.shape[1], BLOCK_N=sizes.block_n, FULL_N=sizes.full_n, PRECISION="ieee",
        WIDE=wide, AHEAD=sizes.ahead,
    )  # fmt: skip
    return out, lse

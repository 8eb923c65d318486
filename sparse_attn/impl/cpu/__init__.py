"""The path that a laptop runs and trains on: kernels compiled by numba, on as many threads as torch may use.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from sparse_attn.errors import ShapeError
from sparse_attn.impl.cpu.kernels import attend, attend_backward
from sparse_attn.impl.cpu.lanes import LANES
from sparse_attn.impl.cpu.places import Lists, Sizes
from sparse_attn.impl.cpu.threads import share

# So many multiplications are worth a thread: they take about as long as it takes to hand them over.
_WORTH_A_THREAD = 2**21
# Pieces of work for each thread: it takes the next when it is done with one, and the last end about together.
_PIECES = 4
# Gradients by keys are kept so many times at most.
_MOST_PARTS = 8


def forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: Sequence[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Attention over tile lists.

    Args:
        query: [B, H, Nq, D].
        key: [B, G, N, D].
        value: [B, G, N, D].
        lists: rows, entries, meta, words, launch of `TileLists`, made without full entries, for tiles of 16 m rows.
        classes: [B * N] int32, as in `Stream`; read where there is a bias.
        bias: [C, C] or None.
        scale: multiplies the logits.

    Returns: output [B, H, Nq, D], 0 for rows in no tile, and log-sum-exp [B, H, Nq] to base 2, float32 or wider.

    Cost: O(Nq keys D H) time; scratch memory that does not grow with N. The first call for a dtype compiles for some
    seconds; the machine code is kept on disk.

    Source: online softmax of Dao et al., FlashAttention (2022), with shifts that are whole powers of two: ours.
    """
    work = _Work(query, key, lists, classes, bias)
    q, k, v = (_wide(x) for x in (query, key, value))
    out, lse = torch.zeros_like(q), torch.zeros(q.shape[:3], dtype=q.dtype)
    queries, keys, values, outs, lses = (_by_head(x) for x in (q, k, v, out, lse))
    heads = q.shape[0] * q.shape[1]
    parts = 1 if work.threads == 1 else -(-_PIECES * work.threads // heads)
    cuts = work.cuts(parts)

    def some(begin: int, end: int) -> None:
        attend(queries, keys, values, work.lists, work.sizes, cuts, scale, outs, lses, begin, end)

    work.share(some, heads * parts)
    return _narrow(out, query), lse


def backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    lists: Sequence[Tensor],
    classes: Tensor,
    bias: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `forward` by query, key and value; `grad` is the gradient of the output.

    Key heads are independent; where there are fewer than threads, parts of a text get gradients by keys of their own,
    which are added at the end.
    """
    work = _Work(query, key, lists, classes, bias)
    q, k, v, o, do = (_wide(x) for x in (query, key, value, out, grad))
    heads = k.shape[0] * k.shape[1]
    parts = min(_MOST_PARTS, -(-(2 * work.threads - 1) // heads))
    cuts = work.cuts(parts)
    dq, dk, dv = torch.zeros_like(q), k.new_zeros(parts, *k.shape), v.new_zeros(parts, *v.shape)
    grads, queries, keys, values, outs, lses, d_queries = (
        _by_head(x, k.shape[1]) for x in (do, q, k, v, o, lse.to(q.dtype), dq)
    )
    d_keys, d_values = (x.flatten(3).numpy() for x in (dk, dv))

    def some(begin: int, end: int) -> None:
        attend_backward(
            grads, queries, keys, values, outs, lses, work.lists, work.sizes, cuts, scale, d_queries, d_keys, d_values,
            begin, end,
        )  # fmt: skip

    work.share(some, heads * parts)
    dk, dv = (x.sum(0) if parts > 1 else x[0] for x in (dk, dv))
    return _narrow(dq, query), _narrow(dk, key), _narrow(dv, value)


class _Work:
    """The tiles as arrays, and how they are shared out."""

    def __init__(
        self, query: Tensor, key: Tensor, lists: Sequence[Tensor], classes: Tensor, bias: Tensor | None
    ) -> None:
        rows, entries, meta, words, _ = (x.contiguous().numpy() for x in lists)
        if rows.shape[1] % LANES:
            raise ShapeError(f"the CPU takes tiles of a multiple of {LANES} rows, got {rows.shape[1]}; see `cpu_shape`")
        table = torch.zeros(0, 0) if bias is None else bias * math.log2(math.e)
        table = table.to(torch.promote_types(query.dtype, torch.float32)).contiguous()
        depth = query.shape[3] + -query.shape[3] % LANES
        self.sizes = Sizes(rows.shape[1], key.shape[2], query.shape[2], depth)
        self.lists = Lists(rows.ravel(), entries, meta, words.ravel(), classes.contiguous().numpy(), table.numpy())
        # Work done before the end of each tile, by sequence.
        self.done = meta[:, 2].reshape(query.shape[0], -1).cumsum(axis=1)
        cost = int(self.done[:, -1].sum()) * rows.shape[1] * depth * query.shape[1]
        self.threads = max(1, min(torch.get_num_threads(), cost // _WORTH_A_THREAD))

    def cuts(self, parts: int) -> NDArray[np.int64]:
        """[B, parts + 1], the tiles at which each sequence is to be cut into parts of about the same work."""
        batch, tiles = self.done.shape
        inner = [np.searchsorted(done, done[-1] * np.arange(1, parts) / parts, side="right") for done in self.done]
        ends = [np.concatenate([[0], cut, [tiles]]) + tiles * b for b, cut in zip(range(batch), inner, strict=True)]
        return np.array(ends, dtype=np.int64)

    def share(self, some: Callable[[int, int], None], pieces: int) -> None:
        """Do all pieces of work, numbered from 0; each thread takes some at a time, so that none waits long."""
        takes = min(pieces, _PIECES * self.threads)
        share(some, pairwise(pieces * i // takes for i in range(takes + 1)), self.threads)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least, D padded with zeros to a multiple of 16, one head after the other in memory."""
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    return pad(x, (0, -x.shape[3] % LANES)).contiguous() if x.shape[3] % LANES else x.contiguous()


def _narrow(x: Tensor, like: Tensor) -> Tensor:
    return x[..., : like.shape[3]].to(like.dtype).contiguous()


def _by_head(x: Tensor, heads: int | None = None) -> NDArray[Any]:
    """[B, heads, numbers], where consecutive heads may be one."""
    return x.reshape(x.shape[0], heads or x.shape[1], -1).numpy()

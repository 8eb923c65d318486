"""The path that a laptop runs and trains on: gathered keys, one fused attention call for a chunk of tiles.

B batch, H query heads, G key/value heads, N tokens, Nq queries, D head dim; T tiles of R rows in a chunk, L their
longest list. The query heads that share a key head are stacked as rows of one tile. torch's own fused CPU attention
does the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Elements of gathered keys in a chunk: enough tiles to feed every core, few enough to stay in the outer cache.
_CHUNK = 2**21

_attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_attend_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some tiles as rectangles: which rows, which keys, and the additive mask between them."""

    real: Tensor
    rows: Tensor
    keys: Tensor
    mask: Tensor


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
        lists: rows, entries, meta, words, launch of `TileLists`, made without full entries.
        classes: [B * N] int32, as in `Stream`; read where there is a bias.
        bias: [C, C] or None.
        scale: multiplies the logits.

    Returns: output [B, H, Nq, D], 0 for rows in no tile, and log-sum-exp [B, H, Nq] float32 or wider.

    Cost: O(E R D H / R) = O(Nq keys D H) time; scratch memory does not grow with N.
    """
    layout = _Layout(query, key)
    q, k, v = (_by_token(x) for x in (query, key, value))
    out = torch.zeros_like(q)
    lse = torch.zeros(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32), device=q.device)
    for chunk in _chunks(lists, layout, classes, bias, query.dtype):
        tile_out, tile_lse = _attend(
            layout.query_tiles(q, chunk), layout.key_tiles(k, chunk), layout.key_tiles(v, chunk),
            attn_mask=chunk.mask, scale=scale,
        )  # fmt: skip
        rows = chunk.rows[chunk.real]
        out[rows] = layout.from_tiles(tile_out, chunk)[chunk.real]
        lse[rows] = layout.from_tiles(tile_lse.unsqueeze(-1), chunk)[chunk.real].squeeze(-1).to(lse.dtype)
    return layout.by_head(out), layout.by_head(lse)


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
    """Gradients of `forward` by query, key and value; `grad` is the gradient of the output."""
    layout = _Layout(query, key)
    q, k, v, o, do, softmax_lse = (_by_token(x) for x in (query, key, value, out, grad, lse))
    dq = torch.zeros_like(q)
    # Sums over many tiles: in float32 at least.
    wide = torch.promote_types(k.dtype, torch.float32)
    dk, dv = torch.zeros_like(k, dtype=wide), torch.zeros_like(v, dtype=wide)
    for chunk in _chunks(lists, layout, classes, bias, query.dtype):
        tile_dq, tile_dk, tile_dv = _attend_backward(
            layout.query_tiles(do, chunk, only_real=True), layout.query_tiles(q, chunk),
            layout.key_tiles(k, chunk), layout.key_tiles(v, chunk), layout.query_tiles(o, chunk),
            layout.query_tiles(softmax_lse.unsqueeze(-1), chunk).squeeze(-1),
            0.0, False, attn_mask=chunk.mask, scale=scale,
        )  # fmt: skip
        dq[chunk.rows[chunk.real]] = layout.from_tiles(tile_dq, chunk)[chunk.real]
        keys = chunk.keys.flatten()
        dk.index_add_(0, keys, tile_dk.transpose(1, 2).flatten(0, 1).to(wide))
        dv.index_add_(0, keys, tile_dv.transpose(1, 2).flatten(0, 1).to(wide))
    return layout.by_head(dq), layout.by_head(dk.to(k.dtype)), layout.by_head(dv.to(v.dtype))


class _Layout:
    """Between tokens by head [B, H, N, D], heads by token [B * N, H, D] and tiles [T, G, H / G * R, D]."""

    def __init__(self, query: Tensor, key: Tensor) -> None:
        self.batch, self.queries, self.keys = query.shape[0], query.shape[2], key.shape[2]
        self.key_heads, self.group = key.shape[1], query.shape[1] // key.shape[1]
        self.key_width = key.shape[1] * key.shape[3]

    def by_head(self, x: Tensor) -> Tensor:
        return x.view(self.batch, -1, *x.shape[1:]).transpose(1, 2).contiguous()

    def query_index(self, position: Tensor) -> Tensor:
        """Flat position among the queries of a flat position among the keys; where it does not ask, any valid one."""
        sequence = position // self.keys
        index = position - self.keys + self.queries - sequence * (self.keys - self.queries)
        return index.clamp(min=0)

    def query_tiles(self, x: Tensor, chunk: _Chunk, only_real: bool = False) -> Tensor:
        tiles = x[chunk.rows]
        if only_real:
            tiles = tiles * chunk.real[:, :, None, None]
        tiles = tiles.view(*tiles.shape[:2], self.key_heads, self.group, tiles.shape[3])
        return tiles.permute(0, 2, 3, 1, 4).flatten(2, 3)

    def from_tiles(self, tiles: Tensor, chunk: _Chunk) -> Tensor:
        tiles = tiles.reshape(*tiles.shape[:2], self.group, -1, tiles.shape[3])
        return tiles.permute(0, 3, 1, 2, 4).flatten(2, 3)

    def key_tiles(self, x: Tensor, chunk: _Chunk) -> Tensor:
        return x[chunk.keys].transpose(1, 2)


def _by_token(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1).contiguous()


def _chunks(
    lists: Sequence[Tensor], layout: _Layout, classes: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Iterator[_Chunk]:
    """The tiles, longest first, in chunks of similar length."""
    rows, entries, meta, words, launch = lists
    launch = launch.long()
    lengths = meta[launch, 2].tolist()
    at = 0
    while at < len(lengths) and lengths[at] > 0:
        count = max(1, _CHUNK // (lengths[at] * layout.key_width))
        tiles = launch[at : at + count]
        tiles = tiles[meta[tiles, 2] > 0]
        at += count
        listed, seen = _unpack(entries, meta[tiles], words)
        row, key = rows[tiles].long(), listed.clamp(min=0)
        # A row without a token looks at the first entry, so that its softmax is finite; nobody reads it.
        seen[:, :, 0] |= row < 0
        at_row = row.clamp(min=0)
        mask = torch.zeros(seen.shape, dtype=dtype)
        if bias is not None:
            own = classes.clamp(max=bias.shape[0] - 1).long()
            mask = bias.to(dtype)[own[at_row][:, :, None], own[key][:, None, :]]
        mask = mask.masked_fill(~seen, float("-inf"))[:, None]
        yield _Chunk(row >= 0, layout.query_index(at_row), key, mask.repeat(1, 1, layout.group, 1))


def _unpack(entries: Tensor, meta: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """The lists of some tiles as a rectangle [T, L], -1 beyond a list's end, and who sees what [T, R, L] bool."""
    length = int(meta[:, 2].max())
    column = torch.arange(length)
    inside = column < meta[:, 2:3]
    listed = entries[(meta[:, 0:1] + column).clamp(max=entries.shape[0] - 1)].long()
    groups = (meta[:, 3:4] + torch.arange(length // 32)).clamp(max=words.shape[0] - 1)
    bits = words[groups].transpose(1, 2)[..., None] >> torch.arange(32, dtype=torch.int32)
    seen = ((bits & 1) != 0).flatten(2) & inside[:, None, :]
    return torch.where(inside, listed, -1), seen

"""How tokens are grouped into tiles: in reading order, by class within stretches of text, or by reach.

T tiles of R rows, M tokens in the stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attn.rules import ClassRules
from sparse_attn.stream import Stream


@dataclass(frozen=True)
class TileShape:
    """How lists are cut.

    Args:
        rows: R, tokens of a tile.
        stretch: tokens are sorted by class within stretches of so many positions of their sequence, so that the rows
            of a tile want the same keys; 0 keeps reading order (but keys under a valence and queries under a budget
            are told apart by how far they reach).
        step: lists are padded to a multiple of this.
        full_step: entries that all rows see are counted in multiples of this.
        packed: whether to make bit words.
        longest: lists of more entries than this, and than four times the mean, are left to several programs; 0 for
            one program a list.
    """

    rows: int
    stretch: int = 0
    step: int = 64
    full_step: int = 64
    packed: bool = True
    longest: int = 0


def query_rows(stream: Stream, shape: TileShape) -> Tensor:
    """The asking tokens in tiles, none across two sequences. [T, R] int32, -1 where there is no real token."""
    position = _positions(stream)[:, stream.tokens - stream.queries :]
    if shape.stretch:
        position = _sorted_by(stream, position, stream.rules.ranks(position.device)[0], shape.stretch)
    elif stream.rules.budget is not None:
        end = position + 1 if stream.rules.causal else stream.last[position]
        position = _by_reach(stream, position, end - stream.floor[position])
    return _tiled(stream, position, shape.rows)


def key_rows(stream: Stream, shape: TileShape) -> Tensor:
    """All tokens in tiles, as keys. [T, R] int32, -1 where there is no real token."""
    position = _positions(stream)
    if shape.stretch:
        position = _sorted_by(stream, position, stream.rules.ranks(position.device)[1], shape.stretch)
    elif stream.rules.valence is not None:
        position = _by_reach(stream, position, stream.until[position] - position)
    return _tiled(stream, position, shape.rows)


def _positions(stream: Stream) -> Tensor:
    """[B, N] flat positions."""
    return torch.arange(stream.size, device=stream.classes.device).view(-1, stream.tokens)


def _sorted_by(stream: Stream, position: Tensor, rank: Tensor, stretch: int) -> Tensor:
    """By stretch of the sequence, then rank of the class; padding last in its stretch."""
    keys = rank.shape[0] + rank.shape[0] % 2
    segment = position % stream.tokens // stretch
    return _snake(stream, position, segment * keys + rank[stream.classes[position].long()])


def _by_reach(stream: Stream, position: Tensor, reach: Tensor) -> Tensor:
    """By steps of reach, padding last: one token that reaches far would stretch the list of its whole tile."""
    steps = torch.tensor(reach_steps(stream.rules), device=position.device)
    real = stream.classes[position] < stream.rules.classes
    return _snake(stream, position, torch.where(real, torch.bucketize(reach, steps), len(steps) + 1))


def _snake(stream: Stream, position: Tensor, key: Tensor) -> Tensor:
    """By key, upwards in the text for even keys and downwards for odd ones.

    So a tile that holds the end of one key and the beginning of the next holds neighbours in the text.
    """
    within = position % stream.tokens
    within = torch.where(key % 2 == 0, within, stream.tokens - 1 - within)
    return position.gather(1, (key * stream.tokens + within).argsort(dim=1))


def _tiled(stream: Stream, position: Tensor, rows: int) -> Tensor:
    real = stream.classes[position] < stream.rules.classes
    position = torch.where(real, position, -1).int()
    return pad(position, (0, -position.shape[1] % rows), value=-1).view(-1, rows)


def reach_steps(rules: ClassRules) -> tuple[int, int, int, int]:
    """Where keys under a valence, or queries under a budget, are told apart by how far they reach, in positions.

    A key of a class with frequency f reaches w / f positions: C w on the average, whatever the frequencies. A query
    that may bond with a share s of the tokens reaches k / s. Each step costs a stretch of text in which to find the
    tokens of a tile; these came within some percent of the best for 17, 64 and 256 classes of English words.
    """
    far = 2**31 - 1
    if rules.valence is not None:
        unit = rules.classes * rules.valence
        return unit * 7 // 10, unit * 2, unit * 6, unit * 18
    k = rules.budget or far
    return (2 * k, far, far, far) if k < 256 else (k * 13 // 10, 2 * k, 4 * k, far)


def cpu_shape(rules: ClassRules) -> TileShape:
    """The tiles of `impl.cpu`, which takes sixteen rows at a time and masks every entry: no entries count as full."""
    # Sixteen rows want little that not all of them see; long lists cost less memory where more rows share one.
    has_short_lists = rules.is_bounded or not rules.allows_any
    return TileShape(16 if has_short_lists else 64, _stretch(rules), step=32, full_step=2**30)


def kernel_key_shape(rules: ClassRules, tokens: int) -> TileShape:
    """The tiles of queries of `impl.triton`, for sequences of so many tokens."""
    return TileShape(64, _kernel_stretch(rules, tokens), full_step=128)


def kernel_query_shape(rules: ClassRules, tokens: int) -> TileShape:
    """The tiles of keys of `impl.triton`, for dk and dv."""
    # A rare word is seen all through the text: one program for it would still be at work when all others are done.
    return TileShape(64, _kernel_stretch(rules, tokens), longest=0 if rules.valence is None else 8192)


def _kernel_stretch(rules: ClassRules, tokens: int) -> int:
    stretch = 0 if rules.is_bounded else _stretch(rules)
    # In a short text the tokens of one class that fill a tile lie all over it, and its list is as long as the text.
    return min(stretch, 128) if tokens < 1536 else stretch


def _stretch(rules: ClassRules) -> int:
    """What wastes least: reading order for a valence or a mere window, short stretches for a budget, else one sort."""
    if rules.valence is not None or not rules.allows_any:
        return 0
    return 256 if rules.budget is not None else 2**31 - 1

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
        stretch: tokens are sorted by class within stretches of so many positions, so that the rows of a tile want
            the same keys; 0 keeps reading order (for keys under a valence: sorts by reach).
        step: lists are padded to a multiple of this.
        full_step: entries that all rows see are counted in multiples of this.
        packed: whether to make bit words.
    """

    rows: int
    stretch: int = 0
    step: int = 64
    full_step: int = 64
    packed: bool = True


def query_rows(stream: Stream, shape: TileShape) -> Tensor:
    """The asking tokens in tiles, none across two sequences. [T, R] int32, -1 where there is no real token."""
    position = _positions(stream)[:, stream.tokens - stream.queries :]
    if shape.stretch:
        position = _sorted_by(position, _by_class(stream, position, shape.stretch, stream.rules.allow))
    return _tiled(stream, position, shape.rows)


def key_rows(stream: Stream, shape: TileShape) -> Tensor:
    """All tokens in tiles, as keys. [T, R] int32, -1 where there is no real token."""
    position = _positions(stream)
    if shape.stretch:
        position = _sorted_by(position, _by_class(stream, position, shape.stretch, stream.rules.allow.T))
    elif stream.rules.valence is not None:
        # Keys of similar reach share their queries; a rare class among frequent ones would stretch the whole tile.
        # Coarse steps (factors of four): each step costs a stretch of text in which to find R keys of that reach.
        reach = (stream.until[position] - position).clamp(min=max(1, stream.rules.window)).float().log2().int() // 2
        position = _sorted_by(position, torch.where(stream.classes[position] < stream.rules.classes, reach, 64))
    return _tiled(stream, position, shape.rows)


def _positions(stream: Stream) -> Tensor:
    """[B, N] flat positions."""
    return torch.arange(stream.size, device=stream.classes.device).view(-1, stream.tokens)


def _sorted_by(position: Tensor, rank: Tensor) -> Tensor:
    return position.gather(1, rank.argsort(dim=1, stable=True))


def _tiled(stream: Stream, position: Tensor, rows: int) -> Tensor:
    real = stream.classes[position] < stream.rules.classes
    position = torch.where(real, position, -1).int()
    return pad(position, (0, -position.shape[1] % rows), value=-1).view(-1, rows)


def _by_class(stream: Stream, position: Tensor, stretch: int, allow: Tensor) -> Tensor:
    """A sort key: stretch of text first, then class, classes of similar rules side by side; padding last."""
    rank = torch.full((stream.rules.classes + 1,), stream.size, dtype=torch.long)
    rank[_similar_classes(allow.cpu())] = torch.arange(stream.rules.classes)
    rank = rank.to(position.device)
    classes = stream.classes[position].long()
    key = position // stretch * stream.rules.classes + rank[classes]
    return torch.where(classes < stream.rules.classes, key, torch.iinfo(torch.long).max)


def _similar_classes(allow: Tensor) -> Tensor:
    """Classes in an order in which neighbours have similar rows: from each the nearest not yet taken."""
    distance = torch.cdist(allow.float(), allow.float(), p=1)
    taken = [int(allow.sum(1).argmax())]
    for _ in range(allow.shape[0] - 1):
        nearest = distance[taken[-1]].clone()
        nearest[taken] = torch.inf
        taken.append(int(nearest.argmin()))
    return torch.tensor(taken)


def cpu_shape(rules: ClassRules) -> TileShape:
    """The tiles of `impl.cpu`, whose lists hold no full entries: it masks by addition anyway."""
    return TileShape(64, _stretch(rules), step=32, full_step=2**30)


def kernel_key_shape(rules: ClassRules) -> TileShape:
    """The tiles of queries of `impl.triton`."""
    return TileShape(64, _stretch(rules))


def kernel_query_shape(rules: ClassRules) -> TileShape:
    """The tiles of keys of `impl.triton`, for dk and dv."""
    return TileShape(64, 0 if rules.is_bounded else _stretch(rules))


def _stretch(rules: ClassRules) -> int:
    """What wastes least: reading order for a valence or a mere window, short stretches for a budget, else one sort."""
    if rules.valence is not None or not bool(rules.allow.any()):
        return 0
    return 256 if rules.budget is not None else 2**31 - 1

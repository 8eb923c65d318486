"""Work of fixed shapes on a device, recorded once and replayed: launching it anew would take longer than running it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")

# Recording waits for the device and empties its cache of memory, some thirty milliseconds in all: it pays for shapes
# that come again and again. The first calls also compile the kernels, which cannot be done while recording.
_CALLS_BEFORE = 8
# Shapes that are remembered; a recording holds what its plan holds, once more.
_KEPT = 8


@dataclass(frozen=True, eq=False)
class _Recording(Generic[Result]):
    """A recorded graph, the memory that it reads and what it leaves behind."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor | None, ...]
    result: Result


# For each shape the recording, or how often it was asked for; the least recently used are forgotten.
_recordings: OrderedDict[Hashable, _Recording[Any] | int] = OrderedDict()
_guard = threading.Lock()


def replayed(work: Callable[..., Result], inputs: tuple[Tensor | None, ...], key: tuple[Hashable, ...]) -> Result:
    """work(*inputs), by a CUDA graph once the same key and shapes have come several times.

    A recording belongs to one thread and one stream, so that nothing is overwritten while it is read. The result of a
    replay is valid until the next one: `Packed.copies` makes what is to stay.

    Args:
        work: launches on the current device without waiting; must depend on nothing but its inputs and the key.
        inputs: tensors of one device, None for none.
        key: what else the work depends on.
    """
    device = next(x.device for x in inputs if x is not None)
    if device.type != "cuda" or torch.cuda.is_current_stream_capturing():
        return work(*inputs)
    shapes = tuple(None if x is None else (x.shape, x.dtype) for x in inputs)
    shape = (threading.get_ident(), torch.cuda.current_stream(device).cuda_stream, device, *shapes, *key)
    with _guard:
        found: _Recording[Result] | int = _recordings.pop(shape, 0)
        if isinstance(found, int):
            found += 1
        _recordings[shape] = found
        if len(_recordings) > _KEPT:
            _recordings.popitem(last=False)
    if isinstance(found, int):
        if found <= _CALLS_BEFORE:
            return work(*inputs)
        found = _recordings[shape] = _record(work, inputs)
    for mine, given in zip(found.inputs, inputs, strict=True):
        if mine is not None and given is not None:
            mine.copy_(given)
    found.graph.replay()
    return found.result


def _record(work: Callable[..., Result], inputs: tuple[Tensor | None, ...]) -> _Recording[Result]:
    own = tuple(None if x is None else x.clone() for x in inputs)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work(*own)
    return _Recording(graph, own, result)


@dataclass(frozen=True, eq=False)
class Packed:
    """Integer tensors side by side in one piece, so that copying them all is one launch; see `pack`.

    Args:
        piece: int32.
        sizes: how it is cut.
        places: for each tensor which cut it is, its shape and its dtype.
        spare: the last cut, which holds what the caller writes there.
    """

    piece: Tensor
    sizes: list[int]
    places: tuple[tuple[int, torch.Size, torch.dtype], ...]
    spare: Tensor

    def copies(self) -> list[Tensor]:
        """The tensors and, at the end, the spare part, in memory of their own."""
        cuts = torch.split_with_sizes(self.piece.clone(), self.sizes)
        made = []
        for at, shape, dtype in self.places:
            x = cuts[at] if dtype == torch.int32 else cuts[at].view(dtype)
            made.append(x if len(shape) == 1 else x.view(shape))
        return [*made, cuts[-1]]


def pack(tensors: Sequence[Tensor], spare: int) -> Packed:
    """Put int32 and int64 tensors of one device together, and leave as many places as `spare` says behind them.

    A tensor that is listed twice is stored once.
    """
    cut_of: dict[int, int] = {}
    pieces: list[Tensor] = []
    filler = torch.empty(3, dtype=torch.int32, device=tensors[0].device)
    for x in tensors:
        if id(x) not in cut_of:
            cut_of[id(x)] = len(pieces)
            flat = x.reshape(-1).view(torch.int32)
            # Every tensor begins at 16 bytes, as kernels like it.
            pieces += [flat, filler[: -flat.shape[0] % 4]]
    sizes = [x.shape[0] for x in pieces]
    piece = torch.empty(sum(sizes) + spare, dtype=torch.int32, device=filler.device)
    torch.cat(pieces, out=piece[: sum(sizes)])
    places = tuple((cut_of[id(x)], x.shape, x.dtype) for x in tensors)
    return Packed(piece, [*sizes, spare], places, piece[sum(sizes) :])

"""Work of fixed shapes on a device, recorded once and replayed: launching it anew would take longer than running it."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

Start = TypeVar("Start")
End = TypeVar("End")

# Recording waits for the device and empties its cache of memory, some thirty milliseconds in all: it pays for shapes
# that come again and again. The first calls also compile the kernels, which cannot be done while recording.
_CALLS_BEFORE = 8
# Shapes that are remembered; a recording holds what its plan holds, once more.
_KEPT = 8


class _Recording(NamedTuple):
    """Two recorded graphs, the memory that they read and what each leaves behind."""

    graphs: tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph]
    inputs: tuple[Tensor | None, ...]
    start: Any
    numbers: Arrival
    end: Any


# For each shape the recording, or how often it was asked for; the least recently used are forgotten.
_recordings: OrderedDict[Hashable, _Recording | int] = OrderedDict()
_guard = threading.Lock()
# torch records on one stream for all threads.
_recorder = threading.Lock()


class Arrival:
    """Numbers on their way from a device, which meanwhile goes on with what comes next."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = self._here = numbers
        self._ready: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._here = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._ready = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def send(self) -> Arrival:
        """Send what they are when all that was launched before has run."""
        if self._ready is not None:
            self._here.copy_(self._numbers, non_blocking=True)
            self._ready.record()
        return self

    def read(self) -> list[int]:
        """Wait for what was sent."""
        if self._ready is not None:
            self._ready.synchronize()
        found: list[int] = self._here.tolist()
        return found


@dataclass(frozen=True, eq=False)
class Job(Generic[Start, End]):
    """Work in two parts; what it depends on besides its inputs is part of the key that it comes with.

    Args:
        begin: the first part: launches on the current device without waiting.
        numbers: of what the first part leaves behind, the integers that the host will ask for.
        finish: the second part, from what the first one leaves behind; launches without waiting.
    """

    begin: Callable[..., Start]
    numbers: Callable[[Start], Tensor]
    finish: Callable[[Start], End]


def replayed(
    job: Job[Start, End], inputs: tuple[Tensor | None, ...], key: tuple[Hashable, ...]
) -> tuple[Start, Arrival, End]:
    """What both parts of a job leave behind, and its numbers; by CUDA graphs once the key has come several times.

    A recording belongs to one thread and one stream, so that nothing is overwritten while it is read. What a replay
    leaves behind, the numbers too, is valid until the next one: `Packed.copied` makes what is to stay.

    Args:
        job: what to do.
        inputs: tensors of one device for `job.begin`, None for none.
        key: what else the job depends on, its inputs' shapes and dtypes aside.
    """
    device = next(x.device for x in inputs if x is not None)
    if not _can_record(device):
        return _launched(job, inputs)
    shapes = tuple([None if x is None else (x.shape, x.dtype) for x in inputs])
    place = (threading.get_ident(), _stream_of(device), device, shapes, key)
    with _guard:
        found = _recordings.pop(place, 0)
        if isinstance(found, int):
            found += 1
        _recordings[place] = found
        if len(_recordings) > _KEPT:
            _recordings.popitem(last=False)
    if isinstance(found, int):
        if found <= _CALLS_BEFORE:
            return _launched(job, inputs)
        with _recorder:
            found = _record(job, inputs)
        with _guard:
            _recordings[place] = found
    for mine, given in zip(found.inputs, inputs, strict=True):
        if mine is not None and given is not None:
            mine.copy_(given)
    found.graphs[0].replay()
    found.numbers.send()
    found.graphs[1].replay()
    return found.start, found.numbers, found.end


def _can_record(device: torch.device) -> bool:
    return device.type == "cuda" and not torch.cuda.is_current_stream_capturing()


def _stream_of(device: torch.device) -> int:
    return int(torch.cuda.current_stream(device).cuda_stream)


def _launched(job: Job[Start, End], inputs: tuple[Tensor | None, ...]) -> tuple[Start, Arrival, End]:
    start = job.begin(*inputs)
    numbers = Arrival(job.numbers(start)).send()
    return start, numbers, job.finish(start)


# What is recorded in inference mode is replayed outside of it, too.
@torch.inference_mode(False)
def _record(job: Job[Any, Any], inputs: tuple[Tensor | None, ...]) -> _Recording:
    own = tuple(None if x is None else x.clone() for x in inputs)
    first, second = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(first, capture_error_mode="thread_local"):
        start = job.begin(*own)
    # One pool of memory: the two are replayed in the order in which they were recorded.
    with torch.cuda.graph(second, pool=first.pool(), capture_error_mode="thread_local"):
        end = job.finish(start)
    return _Recording((first, second), own, start, Arrival(job.numbers(start)), end)


class Branch:
    """Launches that others need not wait for: a branch of the graph that is being recorded, otherwise in line.

    What is made inside must be kept until `join`, and so must what it reads. One is open at a time.
    """

    def __init__(self, device: torch.device) -> None:
        is_recorded = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
        self._side = _side_stream(device) if is_recorded else None
        self._context: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> None:
        if self._side is not None:
            self._side.wait_stream(torch.cuda.current_stream(self._side.device))
            self._context = torch.cuda.stream(self._side)
        self._context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def join(self) -> None:
        """What is launched from here on waits for the branch."""
        if self._side is not None:
            torch.cuda.current_stream(self._side.device).wait_stream(self._side)


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """torch has few streams and hands them out in turn: a new one each time would soon be somebody else's."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Packed:
    """Integer tensors side by side in one piece, so that copying them all is one launch; see `pack`.

    Args:
        piece: int32.
        places: for each tensor its shape, strides, where it begins, and whether it is int64.
    """

    piece: Tensor
    places: list[tuple[tuple[int, ...], tuple[int, ...], int, bool]]

    def copied(self) -> Packed:
        """The same in memory of its own."""
        return Packed(self.piece.clone(), self.places)

    @cached_property
    def _wide(self) -> Tensor:
        return self.piece.view(torch.int64)

    def tensor(self, at: int) -> Tensor:
        """One of the tensors, by its place in the list."""
        shape, strides, begin, is_wide = self.places[at]
        return (self._wide if is_wide else self.piece).as_strided(shape, strides, begin)

    def rows(self, at: int, first: int, last: int) -> Tensor:
        """Some rows of one of the tensors."""
        shape, strides, begin, is_wide = self.places[at]
        begin += first * strides[0]
        return (self._wide if is_wide else self.piece).as_strided((last - first, *shape[1:]), strides, begin)


def pack(tensors: Sequence[Tensor], room: Sequence[tuple[int, ...]] = ()) -> Packed:
    """Put int32 and int64 tensors of one or two axes together, and behind them room for int32 ones of these shapes.

    A tensor that is listed twice is stored once. Each begins at 16 bytes, as kernels like it.
    """
    begins: dict[int, int] = {}
    pieces: list[Tensor] = []
    used = 0
    filler = torch.empty(3, dtype=torch.int32, device=tensors[0].device)
    for x in tensors:
        if id(x) not in begins:
            begins[id(x)] = used
            flat = x.reshape(-1).view(torch.int32)
            pieces += [flat, filler[: -flat.shape[0] % 4]]
            used += flat.shape[0] + -flat.shape[0] % 4
    places = [_place(tuple(x.shape), begins[id(x)], x.dtype == torch.int64) for x in tensors]
    size = used
    for shape in room:
        places.append(_place(shape, size, False))
        size += -(-math.prod(shape) // 4) * 4
    piece = torch.empty(size, dtype=torch.int32, device=filler.device)
    torch.cat(pieces, out=piece[:used])
    return Packed(piece, places)


def _place(shape: tuple[int, ...], begin: int, is_wide: bool) -> tuple[tuple[int, ...], tuple[int, ...], int, bool]:
    strides = (1,) if len(shape) == 1 else (shape[1], 1)
    return shape, strides, begin // 2 if is_wide else begin, is_wide

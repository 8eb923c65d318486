"""Work shared out among the threads in which torch's own operations run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch

_Task = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def share(work: Callable[..., None], items: Iterable[tuple[Any, ...]], threads: int) -> None:
    """Call `work` with each of the items, in so many threads; each takes the next item when it is done with one.

    The threads are those of torch's OpenMP where that can be had. They wait for work by spinning, for milliseconds, so
    that a second set of threads would find the cores taken.

    Args:
        work: runs without Python's lock for most of its time.
        items: arguments of the calls.
        threads: at least 1.

    Raises: what `work` raised.
    """
    waiting, failures = iter(list(items)), list[BaseException]()

    def take(_: Any = None) -> None:
        try:
            for item in waiting:
                work(*item)
        except BaseException as failure:
            # An exception would get lost on its way through OpenMP.
            failures.append(failure)

    run = _openmp()
    if threads == 1:
        take()
    elif run is not None:
        run(_Task(take), None, threads, 0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(take, range(threads)))
    if failures:
        raise failures[0]


@cache
def _openmp() -> Callable[..., None] | None:
    """`GOMP_parallel` of the OpenMP library that torch is linked with; None if it is of another kind or hidden."""
    for library in Path(torch.__file__).with_name("lib").glob("libtorch_cpu.*"):
        try:
            run = ctypes.CDLL(str(library)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        run.argtypes, run.restype = (_Task, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint), None
        return run
    return None

"""Kernels compiled by numba when they are first called, and kept on disk where the disk allows it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a numerical function to machine code; the code is kept for the next process where a folder allows it.

    The folder is numba's choice: NUMBA_CACHE_DIR, `__pycache__` beside the source, or the user's folder for caches.

    Args:
        function: in the part of Python that numba compiles.

    Returns:
        The compiled function. Where no folder can be written (a read-only installation without a home) it is compiled
        anew in every process, and a RuntimeWarning says so once.
    """
    try:
        kernel = njit(cache=True)(function)
        # Numba asks whether the function's own file has changed. Compiled into it is also what it calls from other
        # files: after an update it would go on calling what is no longer there.
        kept = cast(Any, kernel)._cache._cache_file
        kept._source_stamp = kept._source_stamp, _sources()
    except RuntimeError:
        # Raised here and now when no folder can be written; anything else numba has to say comes at the first call.
        _warn_of_no_cache()
        kernel = njit(function)
    return cast(Kernel, kernel)


@cache
def _sources() -> str:
    """What all modules of this package contain, as a checksum."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _warn_of_no_cache() -> None:
    warnings.warn(
        "no folder for compiled code can be written, so it is compiled anew in every process, which takes a while; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=3,
    )

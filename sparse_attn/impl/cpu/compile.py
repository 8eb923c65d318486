"""Functions compiled by numba when they are first called, and kept on disk where the disk allows it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel that runs without Python's lock; a RuntimeWarning says where no folder can keep it.

    What is kept goes by the kernel's own file: after changes in files that it calls, delete `__pycache__`.
    """
    try:
        kernel = njit(nogil=True, cache=True)(function)
    except RuntimeError:
        warnings.warn(
            "no folder for compiled code can be written, so attention on the CPU is compiled anew in every process, "
            "which takes some seconds; set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
        kernel = njit(nogil=True)(function)
    return cast(Kernel, kernel)


def inlined(function: Kernel) -> Kernel:
    """Compile a function as part of the kernels that call it."""
    return cast(Kernel, njit(function))

# Triton ships no types, and its kernels take none; the functions that launch them are typed.
# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-def,no-untyped-call,no-any-return"
"""Launches that remember what Triton compiled.

At every call Triton works out anew which of its compiled kernels the arguments ask for, and asks the driver about every
pointer: some 20 microseconds, longer than a short kernel takes to run. Where the same arguments have come before, all
but the pointers, the kernel is launched without asking again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from torch import Tensor
from triton import knobs
from triton.compiler import CompiledKernel
from triton.runtime import driver

# What launches a kernel, its function, its metadata and itself, by all that Triton chose it by; forgotten all at once
# when there are too many, as with texts of ever new lengths.
_compiled: dict[Any, tuple[Any, Any, Any, CompiledKernel]] = {}
_KEPT = 4096


class Options(NamedTuple):
    """How a kernel is compiled: warps of a program, pipeline stages, most registers of a thread."""

    num_warps: int = 4
    num_stages: int = 3
    maxnreg: int | None = None


DEFAULTS = Options()


def launch(
    kernel: Any,
    grid: tuple[int, ...],
    tensors: Sequence[Tensor],
    numbers: tuple[float, ...],
    options: Options = DEFAULTS,
    **constants: int | str,
) -> None:
    """kernel[grid](*tensors, *numbers, **constants, **options), on the current device and stream.

    Args:
        kernel: takes pointers, then numbers, then constants, in the order in which they are given here.
        grid: programs along up to three axes.
        tensors: their memory must stay until the kernel has run, as with any launch.
        numbers: integers and floats.
        options: of the compiler.
        constants: the kernel's `tl.constexpr` parameters.

    Triton compiles anew for each dtype of a tensor, for pointers that are not multiples of 16 bytes, for integers of
    different widths, that are 1 or multiples of 16, for constants, options and devices. All of them are part of the key
    here, numbers by their value; misaligned pointers, which are rare, always take Triton's own way, and so does
    everything under its interpreter, on GPUs of other makers, and while a hook waits for launches of this kernel.
    """
    pointers = [x.data_ptr() for x in tensors]
    bits = reduce(or_, pointers)
    values = tuple(constants.values())
    device = driver.active.get_current_device() if tensors[0].is_cuda else None
    key = (id(kernel), device, options, numbers, values, *[x.dtype for x in tensors])
    found = _compiled.get(key)
    if found is not None and not bits & 15 and not _is_watched(kernel):
        run, function, metadata, _ = found
        width, height, depth = (*grid, 1, 1)[:3]
        stream = driver.active.get_current_stream(device)
        run(width, height, depth, stream, function, metadata, None, None, None, *pointers, *numbers, *values)
        return
    used = kernel[grid](*tensors, *numbers, **constants, **options._asdict())
    if isinstance(used, CompiledKernel) and _can_be_kept(kernel, used, constants) and not bits & 15:
        if len(_compiled) >= _KEPT:
            _compiled.clear()
        _compiled[key] = used.run, used.function, used.packed_metadata, used


def _can_be_kept(kernel: Any, used: CompiledKernel, constants: dict[str, int | str]) -> bool:
    """Whether a compiled kernel can be launched by its position of arguments, and depends on nothing but the key.

    AMD's compiler also looks at how much memory a tensor's storage has.
    """
    names = [p.name for p in kernel.params if p.is_constexpr]
    return used.metadata.target.backend == "cuda" and names == list(constants)


def _is_watched(kernel: Any) -> bool:
    """Whether somebody hooks into the launches of this kernel, or a profiler into all."""
    enter, leave = knobs.runtime.launch_enter_hook, knobs.runtime.launch_exit_hook
    # A list of hooks since Triton 3.5, one hook or None before.
    return bool(kernel.pre_run_hooks or getattr(enter, "calls", enter) or getattr(leave, "calls", leave))

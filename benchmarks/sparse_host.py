"""What a call costs the host: Python, torch and Triton around kernels that do not run. No GPU needed.

    python -m benchmarks.sparse_host

Stands in for the GPU's driver, so that every launch comes as far as the driver's own call and no farther; the rest, the
choice of the compiled kernel included, is the real thing. Prints medians in microseconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from sparse_attn import ClassRules, class_attention, plan_classes
from sparse_attn import api as sparse_api
from sparse_attn import plan as sparse_plan

BATCH, HEADS, TOKENS, DIM = 1, 1, 512, 16
REPEATS = 400


def main() -> int:
    """Print one line for each kind of call."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        print("TRITON_INTERPRET=1 runs kernels in Python: leave it unset here", file=sys.stderr)
        return 2
    stand_in()
    for name, work in calls().items():
        print(f"{name:<42} {median_us(work):8.1f} us")
    return 0


def stand_in() -> None:
    """Replace the driver and the compiler: launches come to nothing."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import CompiledKernel
    from triton.runtime import JITFunction, driver

    from sparse_attn.impl.triton import planning  # noqa: F401 (its kernels must be made for the compiler)

    target = GPUTarget("cuda", 90, 32)

    class Compiled(CompiledKernel):  # type: ignore[misc]
        def __init__(self) -> None:
            self.name, self.src = "none", None
            self.metadata = SimpleNamespace(target=target)
            self.packed_metadata: tuple[int, ...] = ()
            self.module, self.function, self._run = object(), 0, lambda *_: None

        def __del__(self) -> None:
            pass

    def compiled(self: Any, key: str, signature: Any, device: int, *_: Any) -> Compiled:
        self.device_caches[device][0][key] = kernel = Compiled()
        return kernel

    JITFunction._do_compile = compiled
    driver.set_active(
        SimpleNamespace(
            get_current_device=lambda: 0, get_current_stream=lambda device: 0, get_current_target=lambda: target
        )
    )
    # Tensors on a CPU are let through only for the interpreter; kernels made above stay what they are.
    os.environ["TRITON_INTERPRET"] = "1"
    # On a GPU nobody looks for NaN.
    sparse_api._is_searched = lambda _: False


def calls() -> dict[str, Callable[[], object]]:
    """What is timed."""
    from sparse_attn.impl.triton import planning
    from sparse_attn.impl.triton.replay import Arrival

    rules = ClassRules(torch.ones(64, 64, dtype=torch.bool), window=64, valence=4)
    ids = torch.randint(64, (BATCH, TOKENS), generator=torch.Generator().manual_seed(0))
    plan = plan_classes(ids, rules)
    query, key, value, grad = torch.randn(4, BATCH, HEADS, TOKENS, DIM).unbind(0)
    leaves = [x.clone().requires_grad_() for x in (query, key, value)]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return class_attention(q, k, v, plan, backend="triton")

    def made() -> object:
        return sparse_plan._plan_on_device(ids, rules, None, None, TOKENS)

    def both() -> object:
        return torch.autograd.grad(attend(*leaves), leaves, grad)

    out = attend(*leaves)
    # What a recording would leave behind, in room like that of a plan of this size: made once, as by the first calls.
    made()
    room = planning.Sizes((4096, 4096), (128, 128), 16).with_spare()
    rules.rooms.update(dict.fromkeys(rules.rooms, room))
    sketch = planning._sketch(ids, rules, None, None, TOKENS, True)
    kept, numbers = planning._finish(sketch, room), Arrival(sketch.totals)

    def recorded() -> object:
        with patch.object(planning, "replayed", lambda *_: (sketch, numbers.send(), kept)):
            return made()

    torch._dynamo  # noqa: B018 (its import must not fall into a timing)
    return {
        "forward": torch.no_grad()(lambda: attend(query, key, value)),
        "forward that keeps what backward needs": lambda: attend(*leaves),
        "backward": lambda: torch.autograd.grad(out, leaves, grad, retain_graph=True),
        "forward and backward": both,
        "plan, launch by launch": made,
        "plan, around a replayed recording": recorded,
    }


def median_us(work: Callable[[], object]) -> float:
    """Median of many calls, microseconds of this thread's own time: what else the machine does counts little."""
    times = []
    for _ in range(REPEATS):
        begin = time.thread_time_ns()
        work()
        times.append((time.thread_time_ns() - begin) / 1e3)
    return sorted(times)[REPEATS // 2]


if __name__ == "__main__":
    sys.exit(main())

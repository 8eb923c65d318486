"""Launches remember the compiled kernel, and ask Triton again whenever Triton might answer differently."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch

if find_spec("triton") is None:
    pytest.skip("triton is not installed: pip install triton", allow_module_level=True)

from triton import knobs
from triton.compiler import CompiledKernel

from sparse_attn.impl.triton import launching
from sparse_attn.impl.triton.launching import Options, launch


class Compiled(CompiledKernel):
    """What Triton's call hands back, without a device."""

    def __init__(self, backend: str) -> None:
        self.metadata = SimpleNamespace(target=SimpleNamespace(backend=backend))
        self.packed_metadata, self.module, self.function = (), object(), 7
        self.launched: list[tuple[Any, ...]] = []
        self._run = lambda *args: self.launched.append(args)

    def __del__(self) -> None:
        pass


class Kernel:
    """A jitted kernel, as far as `launch` looks at it."""

    def __init__(self, backend: str = "cuda") -> None:
        self.params = [
            SimpleNamespace(name="BLOCK", is_constexpr=True),
            SimpleNamespace(name="size", is_constexpr=False),
        ]
        self.pre_run_hooks: list[object] = []
        self.asked: list[tuple[Any, ...]] = []
        self.compiled = Compiled(backend)

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def call(*args: object, **named: object) -> Compiled:
            self.asked.append((grid, args, named))
            return self.compiled

        return call


@pytest.fixture(autouse=True)
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_compiled", {})
    monkeypatch.setattr(launching, "driver", SimpleNamespace(active=SimpleNamespace(get_current_stream=lambda _: 5)))


def test_the_second_call_launches_what_the_first_one_compiled() -> None:
    kernel, x = Kernel(), torch.zeros(8)
    for _ in range(3):
        launch(kernel, (4, 2), (x,), (8, 0.5), Options(num_warps=1), BLOCK=16)
    assert kernel.asked == [((4, 2), (x, 8, 0.5), {"BLOCK": 16, "num_warps": 1, "num_stages": 3, "maxnreg": None})]
    expected = (4, 2, 1, 5, 7, (), None, None, None, x.data_ptr(), 8, 0.5, 16)
    assert kernel.compiled.launched == [expected, expected]


@pytest.mark.parametrize("change", ["dtype", "number", "constant", "options", "misaligned", "hook", "watched"])
def test_triton_is_asked_again_where_it_may_choose_another_kernel(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, x = Kernel(), torch.zeros(8)
    given: dict[str, Any] = {"tensors": (x,), "numbers": (8,), "options": Options(), "BLOCK": 16}
    changes: dict[str, dict[str, Any]] = {
        "dtype": {"tensors": (x.half(),)},
        "number": {"numbers": (9,)},
        "constant": {"BLOCK": 32},
        "options": {"options": Options(num_stages=2)},
        "misaligned": {"tensors": (x[1:],)},
    }
    launch(kernel, (1,), **given)
    if change == "hook":
        kernel.pre_run_hooks.append(print)
    if change == "watched":
        monkeypatch.setattr(knobs.runtime, "launch_enter_hook", SimpleNamespace(calls=[print]))
    for _ in range(2 if change in ("misaligned", "hook", "watched") else 1):
        launch(kernel, (1,), **(given | changes.get(change, {})))
    assert len(kernel.asked) == (3 if change in ("misaligned", "hook", "watched") else 2)
    assert not kernel.compiled.launched


def test_other_makers_and_kernels_whose_constants_come_in_another_order_are_left_to_triton() -> None:
    x = torch.zeros(8)
    for kernel, constants in ((Kernel("hip"), {"BLOCK": 16}), (Kernel(), {"OTHER": 16})):
        for _ in range(2):
            launch(kernel, (1,), (x,), (), **constants)
        assert len(kernel.asked) == 2


def test_what_is_kept_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_KEPT", 4)
    kernel, x = Kernel(), torch.zeros(8)
    for number in range(20):
        launch(kernel, (1,), (x,), (number,), BLOCK=16)
    assert len(launching._compiled) <= 4

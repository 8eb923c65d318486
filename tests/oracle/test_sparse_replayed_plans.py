"""Recorded plans: a stand-in for CUDA graphs that runs what was launched once more, on the memory that was recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from sparse_cases import draw_allow, draw_classes
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sparse_attn import ClassPlan, ClassRules, class_attention, plan_classes
from sparse_attn import plan as planned
from sparse_attn.errors import ClassRangeError
from sparse_attn.rows import kernel_key_shape, kernel_query_shape

if find_spec("triton") is None:
    pytest.skip("triton is not installed: pip install triton", allow_module_level=True)

from sparse_attn.impl.triton import budget, planning, replay, sorting

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="benchmarks.sparse_checks replays real graphs")


class Graph(TorchDispatchMode):
    """Remembers what torch computes and what is launched; a replay does it again, into the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Callable[[], object]] = []
        self.replays = 0
        self.is_inside = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        # Memory stays where it is, and so do views of it.
        if not (self.is_inside or func.is_view or func._schema.name.startswith("aten::empty")):
            self.steps.append(lambda: self._again(func, args, given, out))
        return out

    @staticmethod
    def _again(func: Any, args: Any, given: Any, out: Tensor) -> None:
        new = func(*args, **given)
        if new is not out:
            out.copy_(new)

    def launch(self, work: Callable[[], None]) -> None:
        """A kernel, whatever its interpreter does with torch."""
        self.steps.append(work)
        self.is_inside = True
        work()
        self.is_inside = False

    def pool(self) -> None:
        """Memory is not pooled here."""

    def replay(self) -> None:
        """Do it all again."""
        self.replays += 1
        for step in self.steps:
            step()


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning takes the CPU for a device that can record."""
    recording: list[Graph] = []
    real = planning.launch

    @contextmanager
    def recorded(graph: Graph, **_: Any) -> Iterator[None]:
        recording.append(graph)
        with graph:
            yield
        recording.clear()

    def launched(*args: Any, **named: Any) -> None:
        work = partial(real, *args, **named)
        recording[0].launch(work) if recording else work()

    for module in (planning, sorting, budget):
        monkeypatch.setattr(module, "launch", launched)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recorded)
    monkeypatch.setattr(replay, "_can_record", lambda _: True)
    monkeypatch.setattr(replay, "_stream_of", lambda _: 0)
    monkeypatch.setattr(replay, "_CALLS_BEFORE", 1)
    monkeypatch.setattr(replay, "_recordings", type(replay._recordings)())


def on_device(ids: Tensor, rules: ClassRules, valid: Tensor | None = None) -> ClassPlan:
    return planned._plan_on_device(ids, rules, valid, None, ids.shape[1])


def assert_same(got: ClassPlan, right: ClassPlan) -> None:
    assert got.class_ids.dtype == right.class_ids.dtype
    real = right.segments >= 0
    assert torch.equal(got.class_ids[real], right.class_ids[real])
    assert torch.equal(got.segments, right.segments)
    assert torch.equal(got.stream.order, right.stream.order)
    assert torch.equal(got.stream.until[real.flatten()], right.stream.until[real.flatten()])
    key_shape, query_shape = (shape(right.rules, right.num_keys) for shape in (kernel_key_shape, kernel_query_shape))
    pairs = (
        (got.key_lists(key_shape), right.key_lists(key_shape)),
        (got.query_lists(query_shape), right.query_lists(query_shape)),
    )
    for mine, theirs in pairs:
        for name in ("rows", "meta", "launch"):
            assert torch.equal(getattr(mine, name), getattr(theirs, name)), name
        # Behind entries and words there is room.
        for name in ("entries", "words"):
            whole = getattr(theirs, name)
            assert torch.equal(getattr(mine, name)[: whole.shape[0]], whole), name


def replays() -> list[int]:
    """How often each graph of what is recorded was replayed."""
    found = [x for x in replay._recordings.values() if not isinstance(x, int)]
    return [graph.replays for recording in found for graph in recording.graphs]


@pytest.mark.parametrize(("options", "tokens"), [({"valence": 2, "window": 5}, 70), ({"budget": 7}, 40), ({}, 40)])
def test_a_replayed_plan_is_that_of_its_own_class_ids_and_stays(options: dict[str, Any], tokens: int) -> None:
    rules = ClassRules(draw_allow(4, torch.Generator().manual_seed(3)), **options)
    ids = [draw_classes("uniform", 1, tokens, 4, torch.Generator().manual_seed(seed)) for seed in range(4)]
    valid = [torch.arange(tokens)[None] >= at for at in range(4)]
    made = [on_device(x, rules, real) for x, real in zip(ids, valid, strict=True)]
    # The first finds out how much room is needed, the second is launched, the third recorded.
    assert replays() == [2, 2]
    # All of them, after the last replay: none holds memory that a recording writes to.
    for plan, x, real in zip(made, ids, valid, strict=True):
        assert_same(plan, plan_classes(x, rules, valid=real))


def test_lists_that_outgrow_a_recorded_room_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning.Sizes, "with_spare", lambda self: self)
    rules = ClassRules(torch.zeros(1, 1, dtype=torch.bool), window=5)
    ids, at = torch.zeros(1, 70, dtype=torch.long), torch.arange(70)[None]
    for _ in range(4):
        on_device(ids, rules, at < 20)
    assert replays() == [2, 2]
    (short,) = rules.rooms.values()
    whole, part = on_device(ids, rules, at < 70), on_device(ids, rules, at < 20)
    assert replays() == [3, 3]
    assert not short.holds(next(iter(rules.rooms.values())))
    assert_same(whole, plan_classes(ids, rules, valid=at < 70))
    assert_same(part, plan_classes(ids, rules, valid=at < 20))


def test_wrong_class_ids_are_refused_by_a_recording_too() -> None:
    rules = ClassRules(torch.ones(2, 2, dtype=torch.bool), valence=1)
    ids = torch.tensor([[0, 1, 1, 0]])
    for _ in range(4):
        on_device(ids, rules)
    with pytest.raises(ClassRangeError, match=r"class id 5 at \(0, 2\) lies outside"):
        on_device(torch.tensor([[0, 1, 5, 0]]), rules)
    assert replays() == [3, 3]
    assert_same(on_device(ids, rules), plan_classes(ids, rules))


def test_a_recording_of_inference_mode_serves_outside_and_narrow_class_ids_keep_their_dtype() -> None:
    rules = ClassRules(torch.ones(3, 3, dtype=torch.bool), budget=4)
    ids = torch.tensor([[0, 1, 2, 1, 0, 0]], dtype=torch.uint8)
    with torch.inference_mode():
        for _ in range(4):
            on_device(ids, rules)
    with torch.no_grad():
        plan = on_device(ids.flip(1), rules)
    assert replays() == [3, 3]
    assert torch.equal(plan.class_ids, ids.flip(1))
    assert torch.equal(plan.segments, torch.zeros(1, 6, dtype=torch.int32))


def test_each_thread_and_stream_records_for_itself_and_few_recordings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    job = replay.Job(lambda x: x + 1, lambda x: x.long(), lambda x: 2 * x)

    def run(key: str = "a") -> list[float]:
        return replay.replayed(job, (torch.ones(1),), (key,))[2].tolist()

    assert [run() for _ in range(4)] == [[4]] * 4
    assert replays() == [3, 3]
    monkeypatch.setattr(replay, "_stream_of", lambda _: 1)
    assert [run() for _ in range(2)] == [[4]] * 2
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    # The first stream's, the second one's, and one call of a thread that has not recorded yet.
    assert replays() == [3, 3, 1, 1]
    assert sum(isinstance(x, int) for x in replay._recordings.values()) == 1
    for at in range(20):
        run(str(at))
    assert len(replay._recordings) == replay._KEPT
    assert replays() == []


def test_a_plan_of_a_device_serves_every_backend_and_compiled_graphs() -> None:
    torch._dynamo.reset()
    rules = ClassRules(torch.ones(3, 3, dtype=torch.bool), torch.randn(3, 3), valence=2)
    ids = torch.randint(3, (1, 40), generator=torch.Generator().manual_seed(0))
    plan, (query, key, value) = on_device(ids, rules), torch.randn(3, 1, 2, 40, 16).unbind(0)
    right = class_attention(query, key, value, plan, backend="reference")
    compiled: Any = torch.compile(class_attention, fullgraph=True, backend="aot_eager")
    leaf = query.clone().requires_grad_()
    for got in (
        class_attention(query, key, value, plan, backend="triton"),
        class_attention(query, key, value, plan, backend="cpu"),
        compiled(leaf, key, value, plan, backend="triton").detach(),
    ):
        torch.testing.assert_close(got, right, rtol=1e-4, atol=1e-5)

"""What planning on a device launches, where no graph can be recorded; `benchmarks.sparse_checks` replays on a GPU."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

if find_spec("triton") is None:
    pytest.skip("triton is not installed: pip install triton", allow_module_level=True)

from sparse_attn.impl.triton import replay
from sparse_attn.impl.triton.replay import Arrival, Branch, Job, pack, replayed


def test_a_job_hands_on_its_inputs_its_numbers_and_what_it_leaves() -> None:
    told: list[str] = []

    def begin(x: Tensor, missing: None) -> Tensor:
        told.append("begin")
        return x + 1

    def finish(x: Tensor) -> Tensor:
        told.append("finish")
        return 2 * x

    start, numbers, end = replayed(Job(begin, lambda x: x.long(), finish), (torch.zeros(3), None), ("key",))
    assert told == ["begin", "finish"]
    assert (start.tolist(), numbers.read(), end.tolist()) == ([1, 1, 1], [1, 1, 1], [2, 2, 2])
    # A CPU has nothing to record.
    assert not replay._recordings


def test_packed_tensors_come_apart_again_in_memory_of_their_own() -> None:
    narrow, wide = torch.arange(6, dtype=torch.int32).view(2, 3), torch.arange(10).view(5, 2)
    packed = pack([narrow, wide, narrow], room=[(3,), (2, 4)])
    packed.tensor(3).fill_(7)
    packed.tensor(4).copy_(torch.arange(8).view(2, 4))
    copied = packed.copied()
    one, two, again, few, more = (copied.tensor(at) for at in range(5))
    assert torch.equal(one, narrow)
    assert torch.equal(two, wide)
    assert torch.equal(again, narrow)
    assert (few.tolist(), more.tolist()) == ([7] * 3, [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert torch.equal(copied.rows(1, 1, 4), wide[1:4])
    assert copied.rows(4, 1, 2).tolist() == [[4, 5, 6, 7]]
    # Each begins at 16 bytes, and what is written to the piece later reaches no copy.
    assert all((x.data_ptr() - one.data_ptr()) % 16 == 0 for x in (two, few, more))
    packed.piece.zero_()
    assert torch.equal(two, wide)
    # Listed twice, stored once: 6, 20, 3 and 8 numbers, each filled up to a multiple of 4.
    assert packed.piece.shape[0] == 8 + 20 + 4 + 8


def test_without_a_device_branches_run_in_line_and_numbers_are_there() -> None:
    branch = Branch(torch.device("cpu"))
    with branch:
        x = torch.ones(2)
    branch.join()
    assert Arrival(x.long()).send().read() == [1, 1]
    with pytest.raises(ZeroDivisionError), Branch(torch.device("cpu")):
        raise ZeroDivisionError

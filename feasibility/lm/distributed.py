"""Several processes that train one model: each reads its share of every batch, gradients are averaged.

    torchrun --nproc-per-node 2 -m feasibility.lm.run --spread fsdp ...

"ddp" keeps the whole model in every process; "fsdp" (FSDP2) cuts parameters, gradients and the optimiser's state into
shares, and gathers a block's parameters when its turn comes. What is computed is what one process would compute, up to
the order of sums. Checkpoints hold whole tensors: a run may go on with another number of processes, or with one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

Spread = Literal["ddp", "fsdp"]


@dataclass(frozen=True)
class Team:
    """The processes that train together, as one of them sees it.

    Args:
        rank: its number.
        size: how many there are.
        spread: how the model is dealt out.
        device: its own.
        mesh: of all devices.
    """

    rank: int
    size: int
    spread: Spread
    device: torch.device
    mesh: DeviceMesh

    def wrap(self, learner: nn.Module, blocks: nn.ModuleList) -> nn.Module:
        """A module of the same forward pass whose backward pass ends with gradients averaged over all processes.

        Args:
            learner: from a share of a batch to its loss.
            blocks: the parts of it that are gathered one at a time.
        """
        if self.spread == "ddp":
            return DistributedDataParallel(learner)
        for block in blocks:
            fully_shard(block, mesh=self.mesh)
        # Cuts the learner itself, and returns it.
        fully_shard(learner, mesh=self.mesh)
        return learner

    def share(self, x: Tensor) -> Tensor:
        """This process's rows of a batch. [B, ...] -> [B / size, ...].

        Raises:
            ValueError: a batch that cannot be dealt out in equal shares.
        """
        if len(x) % self.size:
            raise ValueError(f"a batch of {len(x)} cannot be shared by {self.size} processes; choose a multiple")
        return x.chunk(self.size)[self.rank]

    def total(self, x: Tensor) -> Tensor:
        """The sum over all processes, which all get."""
        summed = x.clone()
        distributed.all_reduce(summed)
        return summed

    def agrees(self, answer: bool) -> bool:
        """Whether any process says yes, which all learn. Waits for all."""
        return bool(self.total(torch.tensor(int(answer), device=self.device)))

    def wait(self) -> None:
        """Until all processes are here."""
        distributed.barrier()


@contextmanager
def joined(spread: Spread) -> Iterator[Team]:
    """The team of all processes that `torchrun` started; NCCL between GPUs, gloo between CPUs.

    Raises:
        ValueError: another way of spreading a model.
        RuntimeError: `torchrun` did not start this process.
    """
    if spread not in get_args(Spread):
        raise ValueError(f"spread must be one of {', '.join(get_args(Spread))}, got {spread!r}")
    if "RANK" not in os.environ:
        raise RuntimeError(
            f"spread={spread!r} needs several processes; start it with torchrun --nproc-per-node 2 -m "
            "feasibility.lm.run"
        )
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if has_gpu else torch.device("cpu")
    if has_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if has_gpu else "gloo", device_id=device if has_gpu else None)
    try:
        rank, size = distributed.get_rank(), distributed.get_world_size()
        yield Team(rank, size, spread, device, init_device_mesh(device.type, (size,)))
    finally:
        distributed.destroy_process_group()


def whole(state: Mapping[Any, Any]) -> dict[Any, Any]:
    """A state whose shares are put together; all processes have to ask for it. Nested mappings and lists are kept."""
    return {key: _whole(value) for key, value in state.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, Mapping):
        return whole(value)
    return [_whole(item) for item in value] if isinstance(value, list) else value


def shared_like(value: Any, pattern: Tensor) -> Any:
    """A whole tensor cut into shares as another one is; anything else, and where the other is whole, as it came."""
    if not isinstance(pattern, DTensor) or not isinstance(value, Tensor) or value.shape != pattern.shape:
        return value
    return distribute_tensor(value.to(pattern.device), pattern.device_mesh, pattern.placements)

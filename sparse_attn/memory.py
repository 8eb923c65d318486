"""How activations lie in memory, and how what is computed from them should."""

from __future__ import annotations

import torch
from torch import Tensor


def last_contiguous(x: Tensor) -> Tensor:
    """x itself where its last axis is contiguous, else a copy where all axes are."""
    return x if x.stride(-1) == 1 else x.contiguous()


def empty_as(x: Tensor) -> Tensor:
    """Memory for a tensor like x, its axes in the same order; the last one is contiguous, as that of x must be.

    Callers often hold [B, N, H, D] and show it as [B, H, N, D]; as from torch's own attention, they get that back.
    """
    made = torch.empty_like(x)
    return made if made.stride(-1) == 1 else torch.empty(x.shape, dtype=x.dtype, device=x.device)

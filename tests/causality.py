"""A check that any layer can reuse: what a model says about the text so far must not depend on what comes later."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def assert_causal(
    fn: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    *,
    input_dims: Sequence[int],
    output_dim: int,
    cuts: Sequence[int],
    redraw: Callable[[Tensor, torch.Generator], Tensor],
    tolerance: float = 0.0,
    seed: int = 0,
) -> None:
    """Assert that outputs up to each cut are bit-identical when every input after it is drawn anew.

    With a tolerance they may differ by that much: for schedules that later tokens reorder, and with them the rounding.

    Args:
        fn: from the inputs to one tensor.
        inputs: tensors with a token axis.
        input_dims: the token axis of each input.
        output_dim: the token axis of the output.
        cuts: positions t; inputs at t + 1 and later change.
        redraw: a fresh tensor of the same shape and dtype as the one given.
        tolerance: the largest absolute difference that passes.
        seed: of the fresh values.
    """
    before = fn(*inputs)
    generator = torch.Generator().manual_seed(seed)
    for cut in cuts:
        changed = []
        for x, dim in zip(inputs, input_dims, strict=True):
            later = torch.arange(x.shape[dim]) > cut
            shape = [-1 if axis == dim % x.dim() else 1 for axis in range(x.dim())]
            changed.append(torch.where(later.view(shape), redraw(x, generator), x))
        after = fn(*changed)
        kept = before.narrow(output_dim, 0, cut + 1), after.narrow(output_dim, 0, cut + 1)
        difference = float((kept[0] - kept[1]).abs().max())
        assert torch.equal(*kept) or difference <= tolerance, f"outputs up to {cut} changed when inputs after {cut} did"
        assert not torch.equal(before, after), f"nothing at all changed when inputs after {cut} did: the test is blind"

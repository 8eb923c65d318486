"""A memory of constant size in place of attention: Mamba-2's state-space layer, as large as the keys that it rivals.

    S_t = exp(-d_t) S_{t-1} + d_t k_t v_t^T,    y_t = S_t^T q_t + r v_t        one S [E, D] for each head

Keys and queries are E wide and shared by all heads, values D; the step d_t > 0 is the head's own and depends on the
token. So a layer keeps H E D = E^2 numbers: with E = 384 as many as 192 keys and values of attention. Queries, keys and
values first pass a convolution over four tokens; what is read is normed and gated.

Source: Dao and Gu (2024), Transformers are SSMs, listing 1 (the form in chunks); Yang et al. (2024) for norm and gate.
B batch, H heads, N tokens, E width, D = E / H, L tokens of a chunk, M chunks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad, rms_norm, silu, softplus

TAPS, CHUNK = 4, 128
# Steps at the start, from slow to quick forgetting, spread over the heads.
SLOWEST, QUICKEST = 1e-3, 1e-1


class LinearMemory(nn.Module):
    """From what a block read to what it remembers, in place of attention.

    Args:
        dim: E.
        heads: H.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.dim, self.heads = dim, heads
        self.project = nn.Linear(dim, 4 * dim, bias=False)
        self.step = nn.Linear(dim, heads)
        self.taps = nn.Parameter(torch.zeros(3 * dim, 1, TAPS))
        self.skip = nn.Parameter(torch.ones(heads))
        with torch.no_grad():
            # At first the convolution passes on the token itself.
            self.taps[..., -1] = 1.0
            steps = torch.logspace(math.log10(SLOWEST), math.log10(QUICKEST), heads)
            # The inverse of softplus.
            self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, E] -> [B, H, N, D]; row t depends on rows 0 ... t alone.

        Cost: O(B N (L + E) E).
        """
        mixed, gate = self.project(x).split([3 * self.dim, self.dim], dim=-1)
        passed = conv1d(pad(mixed.transpose(1, 2), (TAPS - 1, 0)), self.taps.to(mixed.dtype), groups=3 * self.dim)
        query, key, value = silu(passed.transpose(1, 2)).chunk(3, dim=-1)
        value = self._by_head(value)
        step = softplus(self.step(x).float()).transpose(1, 2)
        out = remember(query * self.dim**-0.5, key, value * step[..., None].to(value.dtype), -step)
        out = out + self.skip[:, None, None].to(value.dtype) * value
        return rms_norm(out, (out.shape[-1],)) * silu(self._by_head(gate))

    def _by_head(self, x: Tensor) -> Tensor:
        """[B, N, E] -> [B, H, N, D]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def remember(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, chunk: int = CHUNK) -> Tensor:
    """y_t = sum_{s <= t} exp(a_{s+1} + ... + a_t) (q_t . k_s) v_s, in chunks: products of matrices throughout.

    Args:
        query, key: [B, N, E].
        value: [B, H, N, D].
        log_decay: a, [B, H, N] float32, <= 0.
        chunk: L.

    Returns: [B, H, N, D], as value.
    """
    batch, heads, tokens, _ = value.shape
    size = min(chunk, tokens)
    spare = -tokens % size
    query, key = (pad(x, (0, 0, 0, spare)).view(batch, -1, size, x.shape[-1]) for x in (query, key))
    value = pad(value, (0, 0, 0, spare)).view(batch, heads, -1, size, value.shape[-1])
    so_far = pad(log_decay, (0, spare)).view(batch, heads, -1, size).cumsum(-1)
    within = decays(so_far).to(value.dtype) * (query @ key.mT)[:, None]
    near = within @ value
    # What each chunk adds to the state, [B, H, M, E, D], then the state that each chunk begins with.
    last = so_far[..., -1:]
    added = key.mT[:, None] @ (value * (last - so_far).exp()[..., None].to(value.dtype))
    ends = pad(last[..., 0], (1, 0)).cumsum(-1)
    carried = decays(ends)[..., :-1, 1:].to(value.dtype)
    begun = torch.einsum("bhmc,bhced->bhmed", carried, added)
    far = (query[:, None] @ begun) * so_far.exp()[..., None].to(value.dtype)
    out: Tensor = (near + far).flatten(2, 3)[:, :, :tokens]
    return out


def decays(so_far: Tensor) -> Tensor:
    """exp(c_i - c_j) for j <= i, else exactly 0. [..., L] -> [..., L, L]."""
    gap = so_far[..., :, None] - so_far[..., None, :]
    earlier = torch.ones(gap.shape[-2:], dtype=torch.bool, device=gap.device).tril()
    return gap.masked_fill(~earlier, -torch.inf).exp()


def remember_stepwise(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor) -> Tensor:
    """The same token by token, which is what it means; arguments as in `remember`."""
    state = torch.zeros(*value.shape[:2], query.shape[-1], value.shape[-1], dtype=value.dtype, device=value.device)
    rows = []
    for token in range(query.shape[1]):
        state = state * log_decay[:, :, token, None, None].exp().to(value.dtype)
        state = state + key[:, None, token, :, None] * value[:, :, token, None, :]
        rows.append((query[:, None, token, None, :] @ state)[:, :, 0])
    return torch.stack(rows, dim=2)

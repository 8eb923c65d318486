from __future__ import annotations

import pytest
import torch

from sparse_attn import sparse_attention
from sparse_attn.errors import DtypeError, ShapeError
from sparse_attn.impl.reference import masked_attention


def draw(tokens: int = 50, listed: int = 7, heads: int = 4, key_heads: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, heads, tokens, 16, generator=generator)
    k, v = (torch.randn(2, key_heads, tokens, 16, generator=generator) for _ in range(2))
    # Drawn with repetition, -1 among them, and one query that lists nothing.
    indices = torch.randint(-1, tokens, (2, tokens, listed), generator=generator)
    indices[1, min(3, tokens - 1)] = -1
    return q, k, v, indices


@pytest.mark.parametrize(("tokens", "listed"), [(1, 1), (50, 7), (63, 64), (257, 30)])
def test_output_and_gradients_agree_with_the_reference(
    tokens: int, listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparse_attn.indexed._CHUNK", 20_000)
    q, k, v, indices = draw(tokens, listed)
    visible = torch.zeros(2, tokens, tokens + 1, dtype=torch.bool).scatter_(2, indices % (tokens + 1), True)[:, :, :-1]
    leaves = [x.double().requires_grad_() for x in (q, k, v)]
    expected = masked_attention(*leaves, visible, None, 0.25)
    got = sparse_attention(*leaves, indices, scale=0.25)
    torch.testing.assert_close(got, expected)
    grad = torch.randn_like(got)
    for one, other in zip(
        torch.autograd.grad(got, leaves, grad), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_query_that_lists_nothing_is_zero_with_zero_gradient() -> None:
    q, k, v, indices = draw()
    q.requires_grad_()
    out = sparse_attention(q, k, v, indices)
    (dq,) = torch.autograd.grad(out.sum(), q)
    assert bool((out[1, :, 3] == 0).all())
    assert bool((dq[1, :, 3] == 0).all())


def test_a_key_listed_twice_counts_once() -> None:
    q, k, v, _ = draw()
    once = torch.tensor([4, 9]).expand(2, 50, 2)
    twice = torch.tensor([9, 4, 9, -1]).expand(2, 50, 4)
    torch.testing.assert_close(sparse_attention(q, k, v, twice), sparse_attention(q, k, v, once))


def test_autocast_casts_the_inputs_and_sums_in_float32() -> None:
    q, k, v, indices = draw()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = sparse_attention(q, k.bfloat16(), v, indices)
    assert torch.equal(got, sparse_attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), indices))


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (torch.full((2, 50, 3), 50), ShapeError, r"in \[-1, 50\), got values from 50 to 50"),
        (torch.full((2, 49, 3), 0), ShapeError, r"indices must be \[B, Nq, K\]"),
        (torch.zeros(2, 50, 3), DtypeError, "indices must be int32 or int64"),
        ([[[0]]], DtypeError, "indices must be a torch.Tensor, got list"),
    ],
)
def test_bad_indices_say_what_is_wrong(indices: torch.Tensor, error: type[Exception], message: str) -> None:
    q, k, v, _ = draw()
    with pytest.raises(error, match=message):
        sparse_attention(q, k, v, indices)


def test_what_is_no_tensor_is_refused() -> None:
    q, k, _, indices = draw()
    with pytest.raises(DtypeError, match=r"value must be a torch\.Tensor, got NoneType"):
        sparse_attention(q, k, None, indices)  # type: ignore[arg-type]

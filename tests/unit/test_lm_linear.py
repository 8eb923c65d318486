"""The memory of constant size: chunks against their recurrence, causality, gradients, and its size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from causality import assert_causal
from torch import Tensor

from feasibility.lm.linear import LinearMemory, remember, remember_stepwise
from feasibility.lm.model import LanguageModel, ModelConfig
from sparse_attn import ClassRules, plan_classes

CONFIG = ModelConfig(vocab=50, dim=24, layers=2, heads=3, max_length=64, mixer="linear")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("tokens", "chunk"), [(1, 16), (37, 16), (48, 16), (20, 64)])
def test_chunks_are_the_recurrence(tokens: int, chunk: int) -> None:
    query, key, value = drawn(2, tokens, 6), drawn(2, tokens, 6, seed=1), drawn(2, 3, tokens, 4, seed=2)
    log_decay = -drawn(2, 3, tokens, seed=3).abs()
    leaves = [x.requires_grad_() for x in (query, key, value, log_decay)]
    results = [remember(*leaves, chunk), remember_stepwise(*leaves)]
    torch.testing.assert_close(*results)
    weights = drawn(*results[0].shape, seed=4)
    for one, other in zip(*(torch.autograd.grad((out * weights).sum(), leaves) for out in results), strict=True):
        torch.testing.assert_close(one, other)


def test_steep_forgetting_stays_finite() -> None:
    query, key, value = drawn(1, 300, 4).float(), drawn(1, 300, 4).float(), drawn(1, 2, 300, 3).float()
    out = remember(query, key, value, torch.full((1, 2, 300), -50.0))
    alone = (query * key).sum(-1)[:, None, :, None] * value
    torch.testing.assert_close(out, alone)


def test_rows_do_not_depend_on_later_tokens() -> None:
    torch.manual_seed(0)
    model = LanguageModel(CONFIG).eval()
    tokens = torch.randint(50, (2, 40), generator=torch.Generator().manual_seed(1))

    def redraw(x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randint(50, x.shape, generator=generator)

    with torch.no_grad():
        assert_causal(model, [tokens], input_dims=[1], output_dim=1, cuts=[0, 7, 38], redraw=redraw)


def test_it_remembers_beyond_the_convolution() -> None:
    torch.manual_seed(0)
    memory = LinearMemory(24, 3)
    x = torch.randn(1, 30, 24)
    changed = x.clone()
    changed[:, 0] += 1
    assert not torch.allclose(memory(x)[:, :, -1], memory(changed)[:, :, -1], atol=1e-7)


def test_the_state_is_as_large_as_the_keys_it_rivals() -> None:
    wide = LinearMemory(384, 6)
    rows = wide(torch.randn(1, 8, 384))
    assert rows.shape == (1, 6, 8, 64)
    # The state of a layer against keys and values of attention: 192 pairs of them.
    assert 384 * rows.shape[1] * rows.shape[3] == 192 * 2 * 384


def test_its_model_has_about_as_many_parameters() -> None:
    with torch.device("meta"):
        linear, attention = (
            LanguageModel(ModelConfig(8192, 384, 6, 6, mixer=mixer)).parameter_count()
            for mixer in ("linear", "attention")  # type: ignore[arg-type]
        )
    assert 1.0 < linear / attention < 1.06


def test_a_plan_is_refused() -> None:
    tokens = torch.zeros(1, 8, dtype=torch.int64)
    plan = plan_classes(tokens, ClassRules(torch.ones(1, 1, dtype=torch.bool)))
    with pytest.raises(ValueError, match="it takes no plan"):
        LanguageModel(CONFIG)(tokens, plan)
    with pytest.raises(ValueError, match="mixer must be one of attention, linear, got 'mamba'"):
        replace(CONFIG, mixer="mamba")  # type: ignore[arg-type]

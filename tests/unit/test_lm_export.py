"""Exported models in transformers: the same logits, dense and by class, and the class cache there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from feasibility.language_model.measure import SAMPLE
from feasibility.lm.data import Corpus
from feasibility.lm.export import Card, NotExportable, export, read_rules
from feasibility.lm.generate import Stream
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Pattern, Spec, make_pattern

transformers = pytest.importorskip("transformers")

V = 40
TABLES = {"typed": (np.arange(V) % 5).astype(np.uint8), "punctuation": (np.arange(V) == 3).astype(np.uint8)}
TYPED = make_pattern(Spec("typed", 6, 2), TABLES, 64)
DENSE = make_pattern(Spec("dense"), TABLES, 64)
IDS = torch.randint(V, (2, 48), generator=torch.Generator().manual_seed(1))


def model(tied: bool = False, vocab: int = V) -> LanguageModel:
    torch.manual_seed(0)
    net = LanguageModel(ModelConfig(vocab, 32, 2, 4, max_length=64, tied=tied))
    for weights in net.parameters():
        nn.init.normal_(weights, std=0.2)
    return net.eval()


def load(folder: Path) -> nn.Module:
    found: nn.Module = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return found


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    export(model(), tmp_path, Card("tiny"), tokeniser="{}", pattern=TYPED, dtype=torch.float32)
    return tmp_path


@pytest.mark.parametrize("tied", [False, True])
def test_a_dense_model_has_its_logits_in_transformers(tied: bool, tmp_path: Path) -> None:
    net = model(tied)
    export(net, tmp_path, Card("tiny"), tokeniser="{}", pattern=DENSE, dtype=torch.float32)
    assert not (tmp_path / "class_rules.json").exists()
    with torch.no_grad():
        close(load(tmp_path)(IDS).logits, net(IDS))


def test_attached_rules_give_the_logits_under_the_plan(folder: Path) -> None:
    from sparse_attn.integrations.transformers import attach

    net, hub = model(), load(folder)
    rules, classes = read_rules(folder)
    attach(hub, rules, classes)  # type: ignore[arg-type]
    with torch.no_grad():
        expected = net(IDS, TYPED.plan(IDS))
        close(hub(IDS).logits, expected)
        assert float((net(IDS) - expected).abs().max()) > 0.1, "the rules make no difference: the test is blind"


@pytest.mark.parametrize("attached", [False, True])
def test_the_class_cache_generates_what_the_model_does(folder: Path, attached: bool) -> None:
    from feasibility.lm.hub import HubStream
    from sparse_attn.integrations.transformers import attach

    net, hub = model(), load(folder)
    rules, classes = read_rules(folder)
    if attached:
        attach(hub, rules, classes)  # type: ignore[arg-type]
    stream, own = HubStream(hub, rules, classes, batch=2), Stream(net, TYPED, batch=2)
    close(torch.cat([stream.feed(part) for part in IDS.split(20, dim=1)], dim=1), own.feed(IDS))
    before = stream.nbytes
    got = stream.generate(30, temperature=0)
    assert torch.equal(got, own.generate(30, temperature=0))
    assert stream.nbytes == before
    if attached:
        length = IDS.shape[1] + 12
        options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        again = hub.generate(IDS, attention_mask=torch.ones_like(IDS), **options)  # type: ignore[operator]
        assert torch.equal(again, torch.cat([IDS, got], dim=1)[:, :length])


def test_half_precision_and_a_real_tokeniser(tmp_path: Path) -> None:
    corpus = Corpus.load(SAMPLE)
    net = model(vocab=len(corpus.vocab))
    pattern = make_pattern(Spec("predetermined/64", 8, 2), corpus.tables, 64)
    export(net, tmp_path, Card("tiny", {"data": "three novels"}), tokeniser=corpus.tokeniser, pattern=pattern)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "Gabriel Oak was a young man of sound judgment.\n"
    assert tokenizer(text)["input_ids"] == corpus.encode([text])[:-1].tolist()
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    rounded = model(vocab=len(corpus.vocab)).bfloat16().float()
    with torch.no_grad():
        close(load(tmp_path)(ids).logits, rounded(ids))
    assert read_rules(tmp_path)[1].tolist() == corpus.tables["predetermined/64"].tolist()
    card = (tmp_path / "README.md").read_text()
    assert "license: mit" in card
    assert "| data | three novels |" in card
    assert "predetermined/64: window 8, last 2 of each class" in card


def test_what_cannot_be_exported_says_why(tmp_path: Path, folder: Path) -> None:
    net = LanguageModel(ModelConfig(V, 32, 1, 4), output=nn.Linear(32, V))
    with pytest.raises(NotExportable, match="a linear output without bias"):
        export(net, tmp_path / "a", Card("x"), tokeniser="{}")
    positional: Pattern = make_pattern(Spec("log-sparse", 4, 1), TABLES, 64)
    with pytest.raises(NotExportable, match="log-sparse gives classes to positions"):
        export(model(), tmp_path / "a", Card("x"), tokeniser="{}", pattern=positional)
    assert not (tmp_path / "a").exists(), "what was refused leaves nothing behind"
    path = folder / "class_rules.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": "x"}))
    with pytest.raises(ValueError, match=r"expected 'asa\.lm-rules\.v1'"):
        read_rules(folder)

"""Recall and agreement: what counts as far, as a name, as a last word; and models that must get it right or wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from feasibility.language_model.measure import SAMPLE
from feasibility.lm.agreement import Pair, judge_pairs, minimal_pairs, sentence_nats
from feasibility.lm.data import Corpus
from feasibility.lm.evaluate import evaluate
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.recall import (
    by_distance,
    distances,
    last_words,
    name_entries,
    token_nats,
    told_names,
    with_and_without,
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.load(SAMPLE)


def model(vocab: int, length: int = 400) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(vocab, 16, 1, 2, max_length=length)).eval()


def test_nats_of_tokens_are_those_of_evaluate(corpus: Corpus) -> None:
    net, ids = model(len(corpus.vocab)), torch.from_numpy(corpus.ids["dev"][:1000].astype(np.int64))
    nats = token_nats(net, ids, 120, 300)
    assert nats.shape == (8 * 120,)
    np.testing.assert_allclose(nats.reshape(8, 120).sum(1), evaluate(net, ids, 120, 2).nats, rtol=1e-5)
    with pytest.raises(ValueError, match="a text of more than 120 tokens"):
        token_nats(net, ids[:120], 120, 300)


def test_distance_is_to_the_last_one_in_the_chunk() -> None:
    ids = np.array([5, 6, 5, 5, 7, 6, 5, 7])
    assert distances(ids, 7).tolist() == [0, 2, 1, 0, 4, 3, 3]
    # Chunks of three: what a chunk reads begins at its first input.
    assert distances(ids, 3).tolist() == [0, 2, 1, 0, 0, 3]


def test_names_are_capitalised_words_that_are_rare_without(corpus: Corpus) -> None:
    names = [corpus.vocab[name] for name in name_entries(corpus)]
    assert {"\u0120Bathsheba", "\u0120Gabriel"} <= set(names)
    assert not {"\u0120The", "\u0120But", "\u0120I"} & set(names)
    assert corpus.counts()[name_entries(corpus)].tolist() == sorted(corpus.counts()[name_entries(corpus)])[::-1]


def test_losses_are_dealt_out_by_distance() -> None:
    nats = np.arange(8, dtype=np.float32)
    apart, chosen = np.array([0, 1, 70, 300, 0, 63, 64, 2]), np.array([1, 1, 1, 1, 0, 1, 1, 0], dtype=bool)
    found = by_distance(nats, apart, chosen, 4)
    assert found["first"] == {"nats": [0.0, 0.0], "tokens": [1, 0]}
    assert found["<64"] == {"nats": [1.0, 5.0], "tokens": [1, 1]}
    assert found["<256"] == {"nats": [2.0, 6.0], "tokens": [1, 1]}
    assert found["<1024"]["tokens"] == [1, 0]
    both = with_and_without(nats, nats - 1, chosen, 4)
    assert both == {"short": [6.0, 11.0], "long": [2.0, 9.0], "tokens": [4, 2]}


def test_last_words_come_again_from_afar(corpus: Corpus) -> None:
    ids = corpus.encode(["They walked to the door. " + "He said no more. " * 90 + "They were at the door. The door."])
    found = np.flatnonzero(last_words(corpus, ids.astype(np.int64), len(ids) - 1))
    assert len(ids) - 1 - found[-1] > 4, "a word that has just been said does not count"
    assert [corpus.vocab[ids[1 + place]] for place in found] == ["\u0120door"]


class Copies(nn.Module):
    """Logits by how often an entry was read so far: finds any name that was told."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.vocab, self.weight = vocab, nn.Parameter(torch.zeros(1))

    def states(self, tokens: Tensor, plan: None) -> Tensor:
        return torch.nn.functional.one_hot(tokens, self.vocab).float().cumsum(1) + self.weight

    def output(self, states: Tensor) -> Tensor:
        return states


def test_a_model_that_copies_knows_the_name(corpus: Corpus) -> None:
    # The test novel is another than the one whose names these are.
    text = corpus.ids["test"].astype(np.int64)
    found = told_names(Copies(len(corpus.vocab)), corpus, text, [10, 200], 12)  # type: ignore[arg-type]
    assert found == {n: {"right": 12, "items": 12, "choices": 9} for n in ("10", "200")}
    untrained = told_names(model(len(corpus.vocab)), corpus, text, [50], 12)
    assert untrained["50"]["right"] < 8


def test_pairs_are_different_once_and_balanced() -> None:
    pairs = minimal_pairs()
    assert len(pairs) == len(set(pairs)) > 400
    assert len({pair.phenomenon for pair in pairs}) == 10
    assert not {pair.good for pair in pairs} & {pair.bad for pair in pairs}, "what is right here is nowhere wrong"
    agreement = [pair for pair in pairs if pair.phenomenon == "agreement, attractor"]
    assert sum(" is " in pair.good for pair in agreement) == len(agreement) / 2


def test_sentences_have_the_probability_of_all_their_pieces(corpus: Corpus) -> None:
    net = model(len(corpus.vocab))
    sentences = ["The men were old.", "The man with the old letters was old."]
    both = sentence_nats(net, corpus, sentences)
    for nats, sentence in zip(both, sentences, strict=True):
        ids = torch.from_numpy(np.concatenate([[0], corpus.encode([sentence])[:-1]]).astype(np.int64))
        with torch.no_grad():
            logp = net(ids[None, :-1])[0].log_softmax(-1)
        assert nats == pytest.approx(-float(logp.gather(1, ids[1:, None]).sum()), rel=1e-5)
    pairs = [Pair("a", sentences[0], sentences[1]), Pair("a", sentences[1], sentences[0]), Pair("b", *sentences)]
    # The shorter one is likelier where nothing was learnt.
    assert judge_pairs(net, corpus, pairs, batch=3) == {"a": [True, False], "b": [True]}

"""Streams: the logits of the whole forward, in any chunks, beyond the longest text, without a look ahead."""

from __future__ import annotations

import pytest
import torch
from causality import assert_causal
from torch import Tensor
from torch.nn.functional import cross_entropy

from feasibility.lm.generate import Stream, turns
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Pattern, Spec, make_pattern
from sparse_attn.errors import UnsupportedError

V = 40
TABLES = {"typed": (torch.arange(V) % 5).to(torch.uint8).numpy(), "punctuation": (torch.arange(V) == 3).numpy()}
PATTERNS = {
    name: make_pattern(Spec(name, window, valence), TABLES, 64)  # type: ignore[arg-type]
    for name, window, valence in (("typed", 6, 2), ("window", 9, None), ("dense", 0, None))
}


def model(length: int = 64) -> LanguageModel:
    torch.manual_seed(0)
    net = LanguageModel(ModelConfig(V, 32, 2, 4, max_length=length))
    for weights in net.parameters():
        # Larger than at the start, so that attention has something to say.
        torch.nn.init.normal_(weights, std=0.2)
    return net.eval()


def tokens(count: int = 64) -> Tensor:
    return torch.randint(V, (2, count), generator=torch.Generator().manual_seed(1))


def chunked(net: LanguageModel, pattern: Pattern, ids: Tensor, sizes: list[int]) -> Tensor:
    stream = Stream(net, pattern, batch=2)
    return torch.cat([stream.feed(part) for part in ids.split(sizes, dim=1)], dim=1)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("sizes", [[1] * 64, [40] + [1] * 24, [7, 1, 30, 26], [64]])
def test_any_chunks_give_the_logits_of_the_whole_forward(name: str, sizes: list[int]) -> None:
    net, pattern, ids = model(), PATTERNS[name], tokens()
    with torch.no_grad():
        whole = net(ids, pattern.plan(ids))
    torch.testing.assert_close(chunked(net, pattern, ids, sizes), whole, rtol=1e-4, atol=1e-4)


def test_positions_go_on_beyond_the_longest_text() -> None:
    ids, pattern = tokens(200), PATTERNS["typed"]
    with torch.no_grad():
        whole = model(200)(ids, pattern.plan(ids))
    torch.testing.assert_close(chunked(model(16), pattern, ids, [100] + [1] * 100), whole, rtol=1e-4, atol=1e-4)


def test_angles_are_those_of_the_model() -> None:
    net = model(300)
    cosine, sine = turns(torch.arange(300), net.config.head_dim)
    assert torch.equal(cosine, net.cosine)  # type: ignore[arg-type]
    assert torch.equal(sine, net.sine)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [[1] * 30, [20] + [1] * 10, [7, 23]])
def test_cached_rows_do_not_depend_on_later_tokens(sizes: list[int]) -> None:
    net = model()
    assert_causal(
        lambda ids: chunked(net, PATTERNS["typed"], ids, sizes),
        [tokens(30)],
        input_dims=[1],
        output_dim=1,
        cuts=[0, 11, 28],
        redraw=lambda x, generator: torch.randint(V, x.shape, generator=generator),
    )


def test_memory_stays_and_that_of_dense_attention_grows() -> None:
    net, ids = model(), tokens(64).repeat(1, 40)
    sizes = {}
    for name, pattern in PATTERNS.items():
        stream = Stream(net, pattern, batch=2)
        sizes[name] = []
        for part in ids.split(640, dim=1):
            stream.read(part, chunk=128)
            sizes[name].append(stream.nbytes)
    assert len(set(sizes["typed"])) == len(set(sizes["window"])) == 1
    assert sizes["dense"][-1] == 4 * sizes["dense"][0]


def test_reading_gives_what_each_token_cost() -> None:
    net, pattern, ids = model(), PATTERNS["typed"], tokens()
    with torch.no_grad():
        logits = net(ids, pattern.plan(ids))
    expected = cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    nats = Stream(net, pattern, batch=2).read(ids, chunk=17)
    assert bool(nats[:, 0].isnan().all())
    torch.testing.assert_close(nats[:, 1:], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PATTERNS)
def test_the_likeliest_continuation_is_that_of_the_whole_forward(name: str) -> None:
    net, pattern, ids = model(), PATTERNS[name], tokens(20)
    stream = Stream(net, pattern, batch=2)
    stream.read(ids)
    got = stream.generate(12, temperature=0)
    for _ in range(12):
        with torch.no_grad():
            ids = torch.cat([ids, net(ids, pattern.plan(ids))[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(got, ids[:, 20:])


def test_draws_repeat_and_follow_the_model() -> None:
    net, ids = model(), tokens(5)[:1].repeat(2000, 1)

    def draw(seed: int) -> tuple[Tensor, Tensor]:
        stream = Stream(net, PATTERNS["window"], batch=2000)
        stream.feed(ids)
        probabilities = stream.logits[0].softmax(-1)  # type: ignore[index]
        return stream.generate(1, seed=seed)[:, 0], probabilities

    one, probabilities = draw(0)
    assert torch.equal(one, draw(0)[0])
    assert not torch.equal(one, draw(1)[0])
    shares = torch.bincount(one, minlength=V) / 2000
    assert float((shares - probabilities).abs().max()) < 4 * 0.5 / 2000**0.5


def test_what_is_refused_says_why() -> None:
    net = model()
    with pytest.raises(UnsupportedError, match="log-sparse gives classes to positions"):
        Stream(net, make_pattern(Spec("log-sparse", 4, 1), TABLES, 64))  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="constant size"):
        Stream(net, make_pattern(Spec("original", 4), {"predetermined/17": TABLES["typed"]}, 64))  # type: ignore[dict-item]
    stream = Stream(net, PATTERNS["typed"])
    with pytest.raises(ValueError, match="feed the stream at least one token"):
        stream.generate(1)
    stream.feed(tokens(3)[:1])
    with pytest.raises(ValueError, match="got 0 and -1"):
        stream.generate(0, temperature=-1)

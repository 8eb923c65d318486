"""Reading and writing on and on: a language model whose memory and time for a token do not grow with the text.

    stream = Stream(model, pattern)            # pattern: typed memory or a window; dense attention works, and grows
    nats = stream.read(tokens)                 # [B, N], what each token cost; any length, in chunks
    new = stream.generate(100, seed=0)         # [B, 100]

The logits are those of the model's forward over the whole text, also beyond its `max_length`: nothing but the table of
angles ends there. B batch, N new tokens, H heads, D head dim, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from feasibility.lm.model import Block, LanguageModel
from feasibility.lm.patterns import Pattern
from sparse_attn import ClassCache
from sparse_attn.errors import UnsupportedError

CHUNK = 1024
# Steps before a step is captured as a CUDA graph: libraries set themselves up in the first ones.
WARM_UP = 3


class Memory(Protocol):
    """What one layer remembers of a text."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, class_ids: Tensor) -> Tensor:
        """Append tokens and attend from them: [B, H, N, D] three times and [B, N] -> [B, H, N, D]."""


class GrowingCache:
    """All keys and values so far: what dense attention must remember.

    Args:
        batch: B.
        heads: H.
        head_dim: D.
        dtype: of keys and values.
        device: where they live.

    Cost: O(T D H) for the token after T others, in time and memory.
    """

    def __init__(
        self, batch: int, heads: int, head_dim: int, dtype: torch.dtype, device: torch.device, room: int = CHUNK
    ) -> None:
        self.length = 0
        self.keys = torch.zeros(batch, heads, room, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, class_ids: Tensor) -> Tensor:
        """See `Memory`; the classes are not looked at."""
        new, total = key.shape[2], self.length + key.shape[2]
        while total > self.keys.shape[2]:
            # Twice the room each time: what has to be copied stays in proportion to the text.
            self.keys, self.values = (torch.cat([x, torch.zeros_like(x)], dim=2) for x in (self.keys, self.values))
        self.keys[:, :, self.length : total] = key
        self.values[:, :, self.length : total] = value
        self.length = total
        mask = None
        if new > 1:
            mask = torch.ones(new, total, dtype=torch.bool, device=key.device).tril(total - new)
        return scaled_dot_product_attention(query, self.keys[:, :, :total], self.values[:, :, :total], attn_mask=mask)


class Stream:
    """One text (or B of one length) that a model reads, and goes on with.

    Args:
        model: used as it is, in its dtype, without dropout. On a GPU give it float32 weights: RMSNorm's epsilon
            depends on the dtype.
        pattern: who sees whom. Patterns whose classes depend on the position have none here.
        batch: B.

    Raises:
        UnsupportedError: a pattern whose memory is not bounded (other than dense), or with classes by position.
    """

    def __init__(self, model: LanguageModel, pattern: Pattern, batch: int = 1) -> None:
        if pattern.of_position is not None or pattern.sinks:
            raise UnsupportedError(
                f"{pattern.spec.name} gives classes to positions, which a stream has no table for; use typed memory, "
                "a window or dense"
            )
        weight = next(model.parameters())
        table = None if pattern.of_entry is None else pattern.of_entry.to(weight.device)
        self.model, self.pattern = model.eval(), dataclasses.replace(pattern, of_entry=table)
        self._begin([_memory(model, pattern, batch, weight) for _ in model.blocks], weight, batch)

    def _begin(self, memories: Sequence[Memory], weight: Tensor, batch: int) -> None:
        """Nothing read yet; device and dtype are those of a weight."""
        self.memories, self.batch, self.device = memories, batch, weight.device
        # On the device, so that a step is the same program each time.
        self.length = torch.zeros((), dtype=torch.long, device=self.device)
        self.logits: Tensor | None = None
        self._noise = torch.empty(0)
        self._chosen = torch.empty(batch, 1, dtype=torch.long, device=self.device)
        self._graph: torch.cuda.CUDAGraph | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all that is remembered of the text."""
        return sum(x.nbytes for memory in self.memories for x in vars(memory).values() if isinstance(x, Tensor))

    @torch.no_grad()
    def feed(self, tokens: Tensor) -> Tensor:
        """Read tokens at once.

        Args:
            tokens: [B, N] int64, N >= 1.

        Returns: logits of the next token after each. [B, N, V]

        Raises:
            sparse_attn's errors: another batch or device; token ids beyond the table of classes are an IndexError.

        Cost: O(N (S + N)) at most for S remembered keys; memory O(N V). `read` goes by chunks.
        """
        logits = self._logits(tokens)
        last = logits[:, -1].float()
        if self.logits is None:
            self.logits = last.clone()
        else:
            # In place: a captured step reads it here.
            self.logits.copy_(last)
        return logits

    def _logits(self, tokens: Tensor) -> Tensor:
        positions = self.length + torch.arange(tokens.shape[1], device=self.device)
        cosine, sine = turns(positions, self.model.config.head_dim)
        classes = self.pattern.classes(tokens)
        x = self.model.input_table(tokens)
        for block, memory in zip(cast(Iterable[Block], self.model.blocks), self.memories, strict=True):
            query, key, value = block.project(x, cosine, sine)
            x = block.combine(x, memory.attend(query, key, value, classes))
        self.length += tokens.shape[1]
        logits: Tensor = self.model.output(self.model.norm(x))
        return logits

    def read(self, tokens: Tensor, chunk: int = CHUNK) -> Tensor:
        """Read a text of any length.

        Args:
            tokens: [B, N] int64.
            chunk: tokens at a time.

        Returns: -log p of each token given all before it, nats; nan for the first of a fresh stream. [B, N] float32

        Cost: O(N (S + chunk)).
        """
        nats = []
        for part in torch.split(tokens, chunk, dim=1):
            before = None if self.logits is None else self.logits[:, None].clone()
            logits = self.feed(part)[:, :-1].float()
            if before is None:
                before = torch.full((self.batch, 1, logits.shape[2]), torch.nan, device=self.device)
            logits = torch.cat([before, logits], dim=1)
            nats.append(cross_entropy(logits.transpose(1, 2), part, reduction="none"))
        return torch.cat(nats, dim=1)

    @torch.no_grad()
    def generate(self, count: int, temperature: float = 1.0, seed: int = 0, graph: bool = True) -> Tensor:
        """Go on with the text.

        Args:
            count: tokens to write, >= 1.
            temperature: 0 takes the likeliest; 1 draws from what the model says.
            seed: of the draws.
            graph: on a GPU, replay a step of constant size as one CUDA graph instead of launching its kernels.

        Returns: [B, count] int64.

        Raises:
            ValueError: nothing was read yet, or a count below 1, or a temperature below 0.

        Cost: O(S) a token, however long the text is.
        """
        if self.logits is None:
            raise ValueError("there is nothing to go on with: feed the stream at least one token first")
        if count < 1 or temperature < 0:
            raise ValueError(f"count must be at least 1 and temperature at least 0, got {count} and {temperature}")
        generator = torch.Generator(self.device).manual_seed(seed)
        if not len(self._noise):
            self._noise = torch.empty_like(self.logits)
        out = torch.empty(self.batch, count, dtype=torch.long, device=self.device)
        for place in range(count):
            # The largest of logits and Gumbel noise is a draw from the softmax.
            self._noise.exponential_(generator=generator).log_().mul_(-temperature)
            if graph and self._graph is None and place == WARM_UP and self._is_fixed():
                self._capture()
            if self._graph is not None and graph:
                self._graph.replay()
            else:
                self._advance()
            out[:, place] = self._chosen[:, 0]
        return out

    def _advance(self) -> None:
        """Choose a token from the logits and the noise, and read it."""
        self._chosen.copy_((cast(Tensor, self.logits) + self._noise).argmax(-1, keepdim=True))
        self.feed(self._chosen)

    def _is_fixed(self) -> bool:
        return self.device.type == "cuda" and self.pattern.rules is not None

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        with torch.cuda.graph(graph):
            self._advance()
        self._graph = graph


def _memory(model: LanguageModel, pattern: Pattern, batch: int, weight: Tensor) -> Memory:
    config = model.config
    if pattern.rules is None:
        return GrowingCache(batch, config.heads, config.head_dim, weight.dtype, weight.device)
    cache = ClassCache(pattern.rules, batch, config.heads, config.head_dim, weight.dtype, weight.device)
    if weight.device.type == "cuda":
        # A number would be frozen into the graph.
        cache.length = torch.zeros((), dtype=torch.long, device=weight.device)  # type: ignore[assignment]
    return cache


def turns(positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotary angles, as the model's own tables have them. int64 [N] -> two of [N, D / 2]."""
    speed = 10_000.0 ** (-torch.arange(0, head_dim, 2, device=positions.device) / head_dim)
    angles = positions[:, None] * speed
    return angles.cos(), angles.sin()

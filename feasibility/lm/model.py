"""A causal transformer, top to bottom: pre-norm, rotary positions, gated perceptron; its attention dense or by a plan.

    model = LanguageModel(ModelConfig(vocab=8192, dim=384, layers=6, heads=6))
    logits = model(tokens)                                  # dense causal attention
    logits = model(tokens, plan_classes(classes, rules))    # sparse_attn.class_attention, the same parameters

B batch, N tokens, H heads, D head dim, E = H D the width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention, silu
from torch.utils.checkpoint import checkpoint

from feasibility.lm.linear import LinearMemory
from sparse_attn import ClassPlan, class_attention
from sparse_attn.api import Backend

# None: dense. One plan: for all heads. Several: the heads are dealt out to them in equal groups, in order.
Plan: TypeAlias = ClassPlan | tuple[ClassPlan | None, ...] | None
Mixer = Literal["attention", "linear"]


@dataclass(frozen=True)
class ModelConfig:
    """What a model is, all of it.

    Args:
        vocab: V, entries of the vocabulary.
        dim: E, the width.
        layers: blocks of attention and perceptron.
        heads: H; E / H must be even.
        dropout: share of each block's outputs that is dropped in training.
        tied: whether the output uses the input table.
        max_length: the longest text that it reads, in tokens.
        backend: of `class_attention`, where a plan is given.
        recompute: keep only what goes into each block, and compute the rest again for the backward pass: a fraction of
            the memory, a third more time.
        mixer: "attention", or "linear" for a state of constant size in its place (`feasibility.lm.linear`), which takes
            no plan.

    Raises:
        ValueError: a number below 1, a width that the heads do not divide into even parts, dropout outside [0, 1), a
            mixer that there is not.
    """

    vocab: int
    dim: int
    layers: int
    heads: int
    dropout: float = 0.0
    tied: bool = False
    max_length: int = 2048
    backend: Backend = "auto"
    recompute: bool = False
    mixer: Mixer = "attention"

    def __post_init__(self) -> None:
        for name in ("vocab", "dim", "layers", "heads", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of 2 * heads = {2 * self.heads}, got {self.dim}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        if self.mixer not in get_args(Mixer):
            raise ValueError(f"mixer must be one of {', '.join(get_args(Mixer))}, got {self.mixer!r}")

    @property
    def head_dim(self) -> int:
        """D."""
        return self.dim // self.heads

    @property
    def hidden(self) -> int:
        """Width inside the gated perceptron: 8/3 E, so that it has as many weights as a plain one of 4 E."""
        return 64 * max(1, round(self.dim / 24))


class LanguageModel(nn.Module):
    """Predicts each next token from those so far.

    Args:
        config: its sizes.
        input_table: any module from int64 [B, N] to [B, N, E]; a learned table by default.
        output: any module from [B, N, E] to [B, N, V]; a learned linear map by default.

    Raises:
        ValueError: `config.tied` together with a table or an output of the caller's.
    """

    def __init__(
        self, config: ModelConfig, input_table: nn.Module | None = None, output: nn.Module | None = None
    ) -> None:
        super().__init__()
        if config.tied and (input_table is not None or output is not None):
            raise ValueError("tied=True ties the default table and output; leave both out, or set tied=False")
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.dim)
        self.input_table = nn.Embedding(config.vocab, config.dim) if input_table is None else input_table
        self.output = nn.Linear(config.dim, config.vocab, bias=False) if output is None else output
        _initialise(self.blocks, config.layers)
        if input_table is None:
            _initialise(self.input_table, config.layers)
        if output is None:
            _initialise(self.output, config.layers)
        if config.tied:
            self.output.weight = self.input_table.weight
        angles = _angles(config.max_length, config.head_dim)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor, plan: Plan = None) -> Tensor:
        """Logits of the next token after each.

        Args:
            tokens: [B, N] int64 in [0, V).
            plan: who sees whom, made from the classes of the same tokens; None for dense causal attention.

        Returns: [B, N, V]; row t depends on tokens 0 ... t alone, given that the rules of the plan are causal and a
            token's class depends on nothing to its right.

        Raises:
            ValueError: more tokens than `max_length`, heads that the plans do not divide, or a plan for a linear
                memory.
            sparse_attn's errors: a plan for another batch, length or device.

        Cost: O(B N E^2) a layer, and attention: O(B N^2 E) dense, O(B N k E) for k visible keys.
        """
        logits: Tensor = self.output(self.states(tokens, plan))
        return logits

    def states(self, tokens: Tensor, plan: Plan = None) -> Tensor:
        """What `output` reads: [B, N, E]; arguments and errors as in `forward`."""
        if tokens.shape[1] > self.config.max_length:
            raise ValueError(
                f"the model reads up to max_length={self.config.max_length} tokens, got {tokens.shape[1]}; "
                "cut the text, or make a model with a longer max_length"
            )
        cosine, sine = (cast(Tensor, x)[: tokens.shape[1]] for x in (self.cosine, self.sine))
        x = self.input_table(tokens)
        for block in cast(Iterable[Block], self.blocks):
            layer = partial(block, cosine=cosine, sine=sine, plan=plan)
            x = checkpoint(layer, x, use_reentrant=False) if self.config.recompute and self.training else layer(x)
        states: Tensor = self.norm(x)
        return states

    def parameter_count(self) -> int:
        """How many numbers training changes; a tied table counts once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def compile_parts(self, whole_blocks: bool = False) -> None:
        """Compile all but the attention, whose lists have another length in every batch; or whole blocks with it.

        Whole blocks are compiled twice: again at the second batch, which shows what varies.
        """
        if whole_blocks:
            # Some versions of the compiler cannot look into this question of `class_attention`; the answer is constant.
            torch.compiler.assume_constant_result(torch.amp.is_autocast_available)  # type: ignore[no-untyped-call]
        for block in cast(Iterable[Block], self.blocks):
            if whole_blocks or self.config.mixer == "linear":
                block.forward = torch.compile(block.forward)  # type: ignore[method-assign]
            else:
                block.project = torch.compile(block.project)  # type: ignore[method-assign]
                block.combine = torch.compile(block.combine)  # type: ignore[method-assign]


class Block(nn.Module):
    """Attention, then a gated perceptron, each added to what came in."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.dropout, self.backend = config.heads, config.dropout, config.backend
        self.attention_norm = nn.RMSNorm(config.dim)
        if config.mixer == "linear":
            self.memory: LinearMemory | None = LinearMemory(config.dim, config.heads)
        else:
            self.memory = None
            self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.mix = nn.Linear(config.dim, config.dim, bias=False)
        self.perceptron_norm = nn.RMSNorm(config.dim)
        self.gate = nn.Linear(config.dim, 2 * config.hidden, bias=False)
        self.shrink = nn.Linear(config.hidden, config.dim, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, plan: Plan = None) -> Tensor:
        """The whole block: [B, N, E] -> [B, N, E]; the other arguments as in `project` and `attend`."""
        if self.memory is None:
            query, key, value = self.project(x, cosine, sine)
            return self.combine(x, attend(query, key, value, plan, self.backend))
        if plan is not None:
            raise ValueError("a linear memory sees all that came before; it takes no plan")
        return self.combine(x, self.memory(self.attention_norm(x)))

    def project(self, x: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, turned by their positions, and values. [B, N, E] -> three of [B, H, N, D]."""
        qkv = self.qkv(self.attention_norm(x)).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        return rotate(query, cosine, sine), rotate(key, cosine, sine), value

    def combine(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add what was attended to ([B, H, N, D]), then the perceptron's answer. [B, N, E] -> [B, N, E]."""
        x = x + dropout(self.mix(attended.transpose(1, 2).flatten(2)), self.dropout, self.training)
        up, gate = self.gate(self.perceptron_norm(x)).chunk(2, dim=-1)
        return x + dropout(self.shrink(up * silu(gate)), self.dropout, self.training)


def attend(query: Tensor, key: Tensor, value: Tensor, plan: Plan, backend: Backend) -> Tensor:
    """Attention as the plan says; see `Plan`. Three of [B, H, N, D] -> [B, H, N, D]."""
    if isinstance(plan, tuple):
        if not plan or query.shape[1] % len(plan):
            raise ValueError(f"{query.shape[1]} heads cannot be dealt out in equal groups to {len(plan)} plans")
        queries, keys, values = (x.chunk(len(plan), dim=1) for x in (query, key, value))
        groups = zip(queries, keys, values, plan, strict=True)
        return torch.cat([attend(q, k, v, part, backend) for q, k, v, part in groups], dim=1)
    if plan is None:
        return scaled_dot_product_attention(query, key, value, is_causal=True)
    return class_attention(query, key, value, plan, backend=backend)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn pairs of coordinates by angles that grow with the position. [B, H, N, D], twice [N, D / 2] -> as x.

    Source: Su et al. (2021), RoFormer.
    """
    one, two = x.float().chunk(2, dim=-1)
    return torch.cat([one * cosine - two * sine, two * cosine + one * sine], dim=-1).to(x.dtype)


def _angles(length: int, head_dim: int) -> Tensor:
    """[N, D / 2] in radians."""
    speed = 10_000.0 ** (-torch.arange(0, head_dim, 2) / head_dim)
    return torch.arange(length)[:, None] * speed


def _initialise(part: nn.Module, layers: int) -> None:
    """Normal weights of 0.02; what is added to the stream, less, so that its size does not grow with the layers."""
    for name, module in part.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            is_added = name.endswith(("mix", "shrink"))
            nn.init.normal_(module.weight, std=0.02 / (2 * layers) ** 0.5 if is_added else 0.02)

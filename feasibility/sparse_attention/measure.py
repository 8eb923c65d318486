"""Error and time of one attention, forward and backward: what the experiment `sparse_attention` measures.

B batch, H heads, N tokens, D head dim. Times are milliseconds of wall clock, the device's work included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from feasibility.harness import Track
from feasibility.sparse_attention.patterns import HEADLINE, TABLE, Pattern, english_tags, modes, patterns
from sparse_attn import ClassPlan, ClassRules, class_attention, plan_classes
from sparse_attn.impl.reference import visible_matrix

HEAD_DIM = 64
# A plan serves so many layers.
LAYERS = 12
# Longer texts are not timed: too slow for a laptop, or too large for a small GPU.
LIMITS = {
    "cpu": {"eager_masked": 1024, "sdpa_masked": 4096, TABLE: 4096},
    "cuda": {"eager_masked": 4096, "sdpa_masked": 8192},
}
# FlexAttention compiles anew for every mask and length: these are timed at one length each.
FLEX = {"flex_table": TABLE, "flex_headline": HEADLINE}
# What not every GPU or build has; elsewhere it is left out.
OPTIONAL = ("dense_cudnn", "sdpa_masked_cudnn", *FLEX)
# Calls that one timing spans, so that a GPU's short kernels are seen.
CALLS = {"cpu": 1, "cuda": 10}
# Texts of such a length decide whether the modes are exact: several tiles, the last one not full.
EXACT_TOKENS = 257

Run = Callable[[Tensor, Tensor, Tensor], Tensor]


class Bench(NamedTuple):
    """Where and how large everything is measured.

    Args:
        device: "cpu" or "cuda".
        dtype: of query, key and value.
        heads: H.
        tokens: of a batch; a text longer than that is a batch of one.
        seed: of the tokens and the activations.
    """

    device: str
    dtype: torch.dtype
    heads: int
    tokens: int
    seed: int

    def batch(self, n: int) -> int:
        """How many texts of n tokens a batch holds."""
        return max(1, self.tokens // n)

    def inputs(self, n: int, batch: int) -> list[Tensor]:
        """Query, key, value and the gradient of the output: four times [B, H, n, 64]."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (batch, self.heads, n, HEAD_DIM)
        return [torch.randn(shape, generator=generator).to(self.device, self.dtype) for _ in range(4)]


class Times(NamedTuple):
    """Milliseconds by (run, n), one number a round.

    Args:
        total: forward and backward, ours with the plan's share of one layer of 12.
        plan: the whole plan, for patterns alone.
    """

    total: dict[tuple[str, int], list[float]]
    plan: dict[tuple[str, int], list[float]]


def make_bench(device: str, heads: int | None, seed: int) -> Bench:
    """A GPU gets bfloat16, 16 heads and 32,768 tokens a batch; a CPU float32, 2 heads and one text."""
    if device == "cuda":
        return Bench(device, torch.bfloat16, heads or 16, 32768, seed)
    return Bench(device, torch.float32, heads or 2, 1, seed)


def eager_run(plan: ClassPlan) -> Run:
    """softmax(q k^T + bias, masked) v with every matrix written out: the original's way."""
    return written_run(plan.class_ids, plan.segments, plan.rules)


def written_run(class_ids: Tensor, segments: Tensor, rules: ClassRules) -> Run:
    """`eager_run` without a plan; `segments` as in `ClassPlan`, both [B, N]."""
    hidden = ~visible_matrix(class_ids, segments, rules)[:, None]
    bias = None
    if rules.bias is not None:
        bias = rules.bias.to(class_ids.device)[class_ids[:, :, None], class_ids[:, None, :]][:, None]

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        if bias is not None:
            logits = logits + bias.to(logits.dtype)
        return torch.softmax(logits.masked_fill(hidden, -torch.inf), dim=-1) @ v

    return run


def planned_run(plan: ClassPlan, backend: str = "auto") -> Run:
    """Ours, by the named backend."""
    return lambda q, k, v: class_attention(q, k, v, plan, backend=backend)  # type: ignore[arg-type]


def dense_run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention without any other mask, by the backend that the library chooses."""
    return scaled_dot_product_attention(q, k, v, is_causal=True)


def gradients(run: Run, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Output and the gradients by query, key and value; the fourth input is the gradient of the output."""
    leaves = [x.detach().requires_grad_() for x in inputs[:3]]
    out = run(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, inputs[3])]


def visible(plan: ClassPlan) -> Tensor:
    """Who sees whom: [B, 1, N, N] bool, row = query, column = key."""
    return visible_matrix(plan.class_ids, plan.segments, plan.rules)[:, None]


def masked_run(plan: ClassPlan) -> Run:
    """The library's fused attention with the mask written out."""
    seen = visible(plan)
    return lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=seen)


def _by_backend(run: Run, backend: SDPBackend) -> Run:
    def chosen(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return run(q, k, v)

    return chosen


def _peers(bench: Bench, n: int, plans: dict[str, ClassPlan], flex_at: dict[str, int]) -> dict[str, Run]:
    """Everything that ours is compared with at one length; masks are given ready-made and cost the peers nothing."""
    limits = LIMITS[bench.device]
    # What a written-out mask says does not change what it costs: this one stands for all.
    any_plan = plans.get(TABLE)
    runs: dict[str, Run] = {"dense": dense_run}
    if any_plan is not None and n <= limits["sdpa_masked"]:
        runs["sdpa_masked"] = masked_run(any_plan)
    if any_plan is not None and n <= limits["eager_masked"]:
        runs["eager_masked"] = eager_run(any_plan)
    if bench.device == "cuda":
        runs["dense_cudnn"] = _by_backend(dense_run, SDPBackend.CUDNN_ATTENTION)
        if "sdpa_masked" in runs:
            runs["sdpa_masked_cudnn"] = _by_backend(runs["sdpa_masked"], SDPBackend.CUDNN_ATTENTION)
        runs |= {name: planned_run(plans[FLEX[name]], "flex") for name, length in flex_at.items() if length == n}
    return runs


def time_all(bench: Bench, lengths: Sequence[int], flex_at: dict[str, int], rounds: int, track: Track) -> Times:
    """Time every pattern and every peer at every length, round by round: what is compared runs side by side.

    Args:
        bench: where.
        lengths: tokens of the texts.
        flex_at: which of `FLEX` is timed at which length, on a GPU.
        rounds: how often.
        track: progress.

    Cost: rounds + 1 passes over everything; dense attention at the longest text dominates.
    """
    found = Times({}, {})
    texts = patterns(max(bench.batch(n) * n for n in lengths), bench.seed)
    for n in track(lengths, "timing"):
        limits = LIMITS[bench.device]
        _time_length(
            bench, n, {name: p for name, p in texts.items() if n <= limits.get(name, n)}, flex_at, rounds, found
        )
    return found


def _time_length(
    bench: Bench, n: int, texts: dict[str, Pattern], flex_at: dict[str, int], rounds: int, found: Times
) -> None:
    batch = bench.batch(n)
    inputs = bench.inputs(n, batch)
    ids = {name: pattern.ids(batch, n, bench.device) for name, pattern in texts.items()}
    plans = {name: plan_classes(ids[name], pattern.rules) for name, pattern in texts.items()}
    ours = {name: planned_run(plan) for name, plan in plans.items()}
    for run in ours.values():
        gradients(run, inputs)
    peers = {name: run for name, run in _peers(bench, n, plans, flex_at).items() if _works(name, run, inputs)}
    for _ in range(rounds):
        for name, run in peers.items():
            found.total.setdefault((name, n), []).append(_timed(bench, gradients, run, inputs))
        for name, run in ours.items():
            plan_ms = _timed(bench, plan_classes, ids[name], texts[name].rules)
            spent = _timed(bench, gradients, run, inputs)
            found.plan.setdefault((name, n), []).append(plan_ms)
            found.total.setdefault((name, n), []).append(spent + plan_ms / LAYERS)


def _works(name: str, run: Run, inputs: Sequence[Tensor]) -> bool:
    """Warm up; False for a peer that does not fit into memory, or an optional one that cannot run here."""
    try:
        gradients(run, inputs)
    except torch.OutOfMemoryError:
        return False
    except RuntimeError:
        if name not in OPTIONAL:
            raise
        return False
    return True


def _timed(bench: Bench, work: Callable[..., object], *given: object) -> float:
    calls = CALLS[bench.device]
    _synchronise(bench)
    begin = time.perf_counter()
    for _ in range(calls):
        work(*given)
    _synchronise(bench)
    return 1e3 * (time.perf_counter() - begin) / calls


def _synchronise(bench: Bench) -> None:
    if bench.device == "cuda":
        torch.cuda.synchronize()


def mode_errors(bench: Bench, draws: int, track: Track) -> dict[str, list[float]]:
    """How exact every mode is: our error against float64 over eager's own in the same precision, the worst of four.

    Args:
        bench: where.
        draws: fresh tokens and activations so many times.
        track: progress.

    Returns:
        mode -> one ratio a draw: the greatest among output, dq, dk, dv. Eager's own error counts as at least one
        rounding of the dtype.
    """
    found: dict[str, list[float]] = {name: [] for name in modes()}
    with one_thread():
        for draw in track(range(draws), "exactness of the modes"):
            local = bench._replace(seed=bench.seed + draw, heads=2)
            inputs = local.inputs(EXACT_TOKENS, 2)
            ids = english_tags(2 * EXACT_TOKENS, local.seed).view(2, -1).to(bench.device)
            for name, rules in modes().items():
                plan = plan_classes(ids, rules)
                truth = gradients(planned_run(plan, "reference"), [x.double() for x in inputs])
                ours, eager = (gradients(run, inputs) for run in (planned_run(plan), eager_run(plan)))
                least = torch.finfo(bench.dtype).eps
                ratios = [
                    relative_error(a, t) / max(relative_error(b, t), least)
                    for a, b, t in zip(ours, eager, truth, strict=True)
                ]
                found[name].append(max(ratios))
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Small problems gain nothing from a second thread, and lose much where another program wants its core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def relative_error(got: Tensor, truth: Tensor) -> float:
    """|got - truth| / |truth| in float64."""
    return float((got.double() - truth).norm() / truth.norm())

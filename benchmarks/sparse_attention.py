"""How fast is class-structured attention, against every peer in the same run? A gate of correctness first.

    python -m benchmarks.sparse_attention --out benchmarks/results
    python -m benchmarks.sparse_attention --tags tags.txt --classes c64.txt c256.txt --seconds 420
    python -m benchmarks.sparse_attention --patterns budget256/17 --lengths 4096 --dims 64 --no-decode

On a GPU: bf16, 16 heads, 32,768 tokens a batch. On a CPU: float32, 4 heads, one text.
Writes sparse_attention.<device>.json after every cell, so that a run cut short keeps what it has. What matters most
comes first: the gate, ours beside dense attention at every length, decoding, then the peers that compute the same
function. `python -m benchmarks.sparse_figures` draws the file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.sparse_decode import decode_cells
from benchmarks.sparse_gate import gate_checks
from benchmarks.sparse_options import GPU_TOKENS, parsed
from benchmarks.sparse_patterns import Pattern, patterns
from benchmarks.sparse_peers import (
    FLEX_AUTOTUNED,
    FLEX_SETTINGS,
    PEER_LENGTHS,
    PEERED,
    TUNE_LENGTHS,
    TUNED,
    Peer,
    check_compiled,
    dense_peers,
    flex_peer,
    masked_peers,
    mean_keys,
    planned_run,
)
from benchmarks.sparse_report import Report, environment
from benchmarks.sparse_summary import WAYS, add_speedups
from benchmarks.sparse_timing import GRAPH_LENGTH, held_mib, kernel_ms, method, peak_mib, timed, told_error, wall
from sparse_attn import ClassPlan, plan_classes

# A peer of the same function may differ from ours by rounding, relative to the output, and by no more.
TOLERANCE = {torch.bfloat16: 2e-2, torch.float32: 1e-4}


def main(argv: Sequence[str] | None = None) -> int:
    """Gate, measure, write; 1 where the gate fails."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options, text = parsed(__doc__, argv, device)
    chosen = [p for p in patterns(text) if p.name in options.patterns]
    bench = Bench(device, chosen, options, text.origins)
    print(f"writing {bench.report.path}", file=sys.stderr)
    if not bench.gate():
        print("the gate failed: nothing is timed", file=sys.stderr)
        return 1
    for dim in options.dims:
        bench.ours_and_dense(dim)
    if options.decode:
        bench.decode()
    if options.peers:
        bench.same_function()
    print("\n".join(bench.report.finish()))
    return 0


class Bench:
    """One run: what is measured, how long it may take, and the report that it fills.

    Args:
        device: "cuda" or "cpu".
        chosen: the patterns.
        options: of the command.
        origins: where tags and classes come from.
    """

    def __init__(
        self, device: str, chosen: list[Pattern], options: argparse.Namespace, origins: dict[str, str]
    ) -> None:
        self.device, self.chosen, self.options = device, chosen, options
        self.heads = 16 if device == "cuda" else 4
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.deadline = time.monotonic() + options.seconds
        head = {
            **environment(device),
            **origins,
            "timing": method(device),
            "options": {name: value for name, value in vars(options).items() if name != "out"},
        }
        self.report = Report(options.out, head)
        self._keys: dict[tuple[str, int], float] = {}

    def gate(self) -> bool:
        """Every pattern, every size, every case; whether all are right."""
        passed = True
        for pattern in self.chosen:
            for check in gate_checks(pattern, self.device, self.options.gate_lengths):
                passed &= check["passed"]
                self.report.add("gate", check)
        return passed

    def ours_and_dense(self, dim: int) -> None:
        """Dense attention, then every pattern, at every length."""
        for n in self.options.lengths:
            inputs, base = self._inputs(n, dim)
            dense = []
            for name, peer in dense_peers(self.device).items():
                pairs = base["B"] * n * (n + 1) / 2
                cell = timed(peer.run, inputs, graphs=self._graphs(inputs))
                dense.append({**base, "run": name, "kind": "dense", **cell, **_tflops(cell, base, pairs)})
            # Each dense backend against the faster of them, so that the slower one can be read off too.
            for cell in dense:
                self.report.add("cells", add_speedups(cell, dense))
            for pattern in self.chosen:
                if self._is_late(f"{pattern.name} n={n} D={dim}"):
                    continue
                self.report.add("cells", add_speedups({**base, **self._own_cell(pattern, base, inputs)}, dense))

    def decode(self) -> None:
        """Tokens one by one after a short and a long text, on this device and on the CPU."""
        pattern = next((p for p in self.chosen if p.rules.valence is not None), None)
        if pattern is None:
            return
        for device in dict.fromkeys((self.device, "cpu")):
            if not self._is_late(f"decoding on {device}"):
                for cell in decode_cells(pattern, device, 16 if device == "cuda" else 4, self.options.decode_texts):
                    self.report.add("decode", cell)

    def same_function(self) -> None:
        """The peers that compute what our patterns compute; what takes long to compile comes last."""
        first, *others = self.options.dims
        self._masked_peers(first)
        if self.device == "cuda":
            self._tuned_flex(first, FLEX_SETTINGS)
        for dim in others:
            self._masked_peers(dim)
        if self.device == "cuda":
            self._tuned_flex(first, FLEX_AUTOTUNED)

    def _masked_peers(self, dim: int) -> None:
        for n, pattern in self._peered(PEER_LENGTHS, PEERED):
            inputs, base = self._inputs(n, dim)
            plan = self._plan(pattern, base)
            for name, make in masked_peers(pattern, n, self.device).items():
                if not self._is_late(f"{name} of {pattern.name} n={n} D={dim}"):
                    cell = {**base, "run": name, "kind": "peer", "of": pattern.name}
                    self.report.add("cells", cell | self._peer_cell(make, plan, inputs))

    def _tuned_flex(self, dim: int, settings: dict[str, dict[str, Any]]) -> None:
        """FlexAttention under other settings than its defaults."""
        for n, pattern in self._peered(TUNE_LENGTHS, TUNED):
            inputs, base = self._inputs(n, dim)
            plan = self._plan(pattern, base)
            for setting, given in settings.items():
                if not self._is_late(f"flex, {setting}, of {pattern.name} n={n} D={dim}"):
                    cell = {**base, "run": f"flex, {setting}", "kind": "peer", "of": pattern.name}
                    self.report.add("cells", cell | self._peer_cell(partial(flex_peer, **given), plan, inputs))

    def _peered(self, lengths: tuple[int, ...], names: tuple[str, ...]) -> Iterator[tuple[int, Pattern]]:
        """The lengths and patterns among those asked for; where none of the lengths is, all that were asked for."""
        wanted = [n for n in lengths if n in self.options.lengths] or self.options.lengths
        by_name = {p.name: p for p in self.chosen}
        return ((n, by_name[name]) for n in wanted for name in names if name in by_name)

    def _inputs(self, n: int, dim: int) -> tuple[list[Tensor], dict[str, Any]]:
        batch = GPU_TOKENS // n if self.device == "cuda" else 1
        generator = torch.Generator(device=self.device).manual_seed(n + dim)
        shape = (batch, self.heads, n, dim)
        inputs = [torch.randn(shape, generator=generator, device=self.device, dtype=self.dtype) for _ in range(4)]
        return inputs, {"n": n, "D": dim, "H": self.heads, "B": batch}

    def _plan(self, pattern: Pattern, base: dict[str, Any]) -> ClassPlan:
        ids = pattern.class_ids[: base["B"] * base["n"]].view(base["B"], base["n"]).to(self.device)
        return plan_classes(ids, pattern.rules)

    def _own_cell(self, pattern: Pattern, base: dict[str, Any], inputs: list[Tensor]) -> dict[str, Any]:
        """Times, memory, the plan's own time and memory, useful arithmetic."""
        plan = self._plan(pattern, base)
        make = lambda: plan_classes(plan.class_ids, pattern.rules)  # noqa: E731
        at = (pattern.name, base["n"])
        if at not in self._keys:
            self._keys[at] = mean_keys(plan)
        cell = {"run": pattern.name, "kind": "ours", "bounded": pattern.is_bounded, "keys": self._keys[at]}
        cell |= timed(planned_run(plan), inputs, graphs=self._graphs(inputs))
        cell |= _tflops(cell, base, self._keys[at] * base["B"] * base["n"])
        # After it has served, so that what a plan builds on demand is counted.
        held = held_mib(plan, without=(plan.class_ids,))
        cell |= {"plan_mib": held, "plan_share": held / (8 * held_mib(inputs[0]))}
        cell |= wall("plan", make, self.device) | wall("plan_forward", torch.no_grad()(make), self.device)
        if self.device == "cuda":
            cell |= {"plan_gpu_ms": kernel_ms(make), "plan_peak_mib": peak_mib(make)}
        return cell

    def _peer_cell(
        self, make: Callable[[ClassPlan, int], Peer], plan: ClassPlan, inputs: list[Tensor]
    ) -> dict[str, Any]:
        """Times of a peer that gives what ours gives; otherwise why it has none."""
        try:
            begin = time.perf_counter()
            peer = make(plan, self.heads)
            with torch.no_grad():
                ours, theirs = planned_run(plan)(*inputs[:3]), peer.run(*inputs[:3])
            if peer.compiles:
                check_compiled()
            cell: dict[str, Any] = {"setup_s": time.perf_counter() - begin}
            cell["difference"] = float((ours - theirs).float().norm() / ours.float().norm())
            if not cell["difference"] <= TOLERANCE[self.dtype]:
                return {**cell, "failed": "gives something else"}
            cell |= timed(peer.run, inputs, WAYS[:1], self._graphs(inputs))
            if peer.prepare is not None:
                cell |= wall("plan", peer.prepare, self.device)
        # Out of memory, or one of the many ways in which torch.compile fails: the run goes on, and the cell says it.
        except Exception as error:
            return {"failed": told_error(error)}
        try:
            trained = {"both_failed": "no backward here"}
            cell |= timed(peer.run, inputs, WAYS[1:], self._graphs(inputs)) if peer.trains else trained
        except Exception as error:
            cell["both_failed"] = told_error(error)
        return add_speedups(cell, ())

    def _graphs(self, inputs: list[Tensor]) -> bool:
        """Whether to replay CUDA graphs for texts of this length."""
        return bool(self.options.graphs) and inputs[0].shape[2] <= GRAPH_LENGTH

    def _is_late(self, what: str) -> bool:
        """Whether the time is up; then the report names what was left out."""
        late: bool = time.monotonic() > self.deadline
        if late:
            self.report.add("skipped", {"run": what, "why": f"{self.options.seconds:.0f} seconds were up"})
        return late


def _tflops(cell: dict[str, Any], base: dict[str, Any], pairs: float) -> dict[str, float]:
    """Useful arithmetic a second, 10^12 operations: two products forward and five backward, over the visible pairs."""
    products = {"forward": 2, "both": 7}
    return {
        f"{way}_tflops": 2 * products[way] * base["D"] * base["H"] * pairs / cell[f"{way}_ms"] / 1e9
        for way in WAYS
        if f"{way}_ms" in cell
    }


if __name__ == "__main__":
    sys.exit(main())

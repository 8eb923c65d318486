"""Every pattern trained alike: the same model, data, order of data and number of visible keys; which predicts best?

    python -m feasibility.lm.data --out .lab/lm.npz
    python -m feasibility.lm.patterns --data .lab/lm.npz --out .lab/patterns.json
    python -m feasibility.lm.controls --data .lab/lm.npz --specs .lab/patterns.json --out RUNS --minutes 9

Two stages. First each pattern is trained at each learning rate; the rate that is best on the dev part is its
own from then on. Then all patterns are trained with each seed, all of a seed before the next, and scored on dev and
test. Where the runs that choose the rate are as long as the others, they have the first seed, and the chosen one counts
as its run: it was chosen on dev, so only its score on test is free of the choice. Runs are dealt out to the GPUs; each
leaves one line in RUNS/runs.jsonl, and lines that are there already are not run again. After so many minutes no run is
begun, and the ones in progress stop. The table is printed at the end;
RUNS/summary.json holds it. A folder is for one size of model and one length; `feasibility.language_model.record` puts
several together.

Needs torch and numpy alone (and tyro for the command line): elsewhere call `run_controls(Options(...))`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from feasibility.lm.data import Corpus, Part
from feasibility.lm.evaluate import Scores, compare, evaluate
from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.patterns import Spec, make_pattern, read_specs
from feasibility.lm.tags import load_tags
from feasibility.lm.train import Batches, TrainConfig, train
from feasibility.store import write_atomic
from sparse_attn.api import Backend

SCHEMA = "asa.lm-run.v1"
# What the question needs first: a short budget then still answers it.
PATTERNS = (
    "dense", "window", "predetermined/64", "distributional/64", "random/64.0", "permuted/64.0", "log-sparse",
    "endings/64", "separators", "predetermined/256", "distributional/256", "predetermined/17", "frequency/64", "sinks",
    "strided", "big-bird", "original+valence", "random/64.1", "permuted/64.1", "original", "original+window",
    "predetermined/256@64x1", "distributional/256@64x1", "linear", "dilated", "bonds/full+valence",
    "original/full+valence", "original/full", "original/features_only", "window|predetermined/64",
    "bonds/pos_only+valence", "bonds/features_only+valence", "original/pos_only/soft",
    "original/pos_only/escape+window", "original/none", "full-context:original+valence", "full-context:original",
    "full-context:predetermined/17",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What to train, and how long."""

    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    specs: Path = Path(".lab/patterns.json")
    """Windows and valences, of `feasibility.lm.patterns`."""
    tags: Path = Path(".lab/tags.npz")
    """Tags of `feasibility.lm.tags`; read only for patterns that begin with full-context."""
    out: Path = Path("runs")
    """Folder for runs.jsonl and summary.json."""
    patterns: tuple[str, ...] = PATTERNS
    """Patterns, the most important ones first."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of starting weights and order of data."""
    steps: int = 1000
    """Updates of a run."""
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    """Learning rates to choose from; a single one is taken as it is."""
    tune_steps: int = 1000
    """Updates of the runs that choose the rate: as many as of the others, since short runs choose lower rates."""
    minutes: float = 9.0
    """Time in all, from the call to the summary."""
    length: int = 2048
    """Tokens of a chunk."""
    batch: int = 16
    """Chunks of an update."""
    dim: int = 384
    """Width of the model."""
    layers: int = 6
    """Its blocks."""
    heads: int = 6
    """Its heads."""
    held_out: int = 10_000_000
    """Score at most so many tokens of each part."""
    workers_per_gpu: int = 1
    """Processes that share a GPU."""
    compiled: bool = True
    """torch.compile on a GPU."""
    backend: Backend = "auto"
    """Of `class_attention`."""


@dataclass(frozen=True)
class Job:
    """One run: a pattern, a rate, a seed, so many steps; tuned runs are scored on dev alone."""

    spec: Spec
    rate: float
    seed: int
    steps: int
    is_tuning: bool

    @property
    def key(self) -> str:
        """Names the run in runs.jsonl."""
        kind = "tune" if self.is_tuning else "run"
        return f"{kind} {self.spec.name} lr={self.rate:g} seed={self.seed} steps={self.steps}"


def run_controls(options: Options) -> dict[str, Any]:
    """Tune, train, score, summarise; see the module.

    Returns: the summary: for each pattern its rate, keys, and on each part nats per token for each seed; and the
        differences to dense and to the window with intervals.

    Raises:
        KeyError: a pattern that the specs lack.
        CorpusCorrupt, FileNotFoundError: see `Corpus.load`.
        ValueError: the folder holds runs of another size or length.

    Cost: patterns * (rates * tune_steps + seeds * steps) updates.
    """
    deadline = time.time() + 60 * options.minutes - 5
    _check_sizes(options)
    specs = read_specs(options.specs)
    chosen = [specs[name] for name in options.patterns]
    rates = {spec.name: options.rates[0] for spec in chosen}
    if len(options.rates) > 1:
        # Short runs only choose; long ones are runs of the first seed like any other.
        is_short = options.tune_steps != options.steps
        seed = 1000 if is_short else options.seeds[0]
        tuning = [Job(spec, rate, seed, options.tune_steps, is_short) for spec in chosen for rate in options.rates]
        _run_all(tuning, options, deadline)
        for spec in chosen:
            tried = {rate: _read(options.out).get(job.key) for rate, job in _by_rate(tuning, spec)}
            scored = {rate: line["dev"]["per_token"] for rate, line in tried.items() if line is not None}
            rates[spec.name] = min(scored, key=lambda rate: scored[rate]) if scored else options.rates[0]
    jobs = [Job(spec, rates[spec.name], seed, options.steps, False) for seed in options.seeds for spec in chosen]
    _run_all(jobs, options, deadline)
    found = _read(options.out)
    summary = summarise([line for job in jobs if (line := found.get(job.key)) is not None])
    write_atomic(options.out / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


def _check_sizes(options: Options) -> None:
    """Runs are told apart by pattern, rate, seed and steps, so a folder must be of one size."""
    asked = {"dim": options.dim, "layers": options.layers, "heads": options.heads, "max_length": options.length}
    for line in _read(options.out).values():
        there = {name: line["model"][name] for name in asked}
        if there != asked:
            raise ValueError(f"{options.out} holds runs of {there}, not of {asked}; choose another folder with --out")


def _by_rate(jobs: Iterable[Job], spec: Spec) -> Iterator[tuple[float, Job]]:
    return ((job.rate, job) for job in jobs if job.spec.name == spec.name)


def _run_all(jobs: Sequence[Job], options: Options, deadline: float) -> None:
    """Run what is not there yet, on all GPUs at once; the file grows by a line with each run that ends."""
    done = _read(options.out)
    waiting = [job for job in jobs if job.key not in done]
    gpus = torch.cuda.device_count()
    slots = [f"cuda:{gpu}" for _ in range(options.workers_per_gpu) for gpu in range(gpus)] or ["cpu"]
    lines = list(done.values())
    with _pool(len(slots)) as pool:
        # A worker is not tied to a GPU, a slot is: whoever frees it passes it on.
        running: dict[Any, str] = {}
        while waiting or running:
            while waiting and slots and time.time() < deadline:
                slot = slots.pop(0)
                running[pool.submit(run_job, waiting.pop(0), options, slot, deadline)] = slot
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                slots.append(running.pop(future))
                line = future.result()
                print(_one_line(line), file=sys.stderr, flush=True)
                if line["finished"]:
                    lines.append(line)
                    write_atomic(options.out / "runs.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def _pool(workers: int) -> Executor:
    """Processes, because Python threads would wait for one another; for one worker a thread, which starts at once."""
    if workers == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def run_job(job: Job, options: Options, device: str, deadline: float) -> dict[str, Any]:
    """Train and score one model.

    Args:
        job: what.
        options: sizes and data.
        device: "cpu", "cuda:1".
        deadline: of `time.time()`, after which it stops unfinished.

    Returns: a line of runs.jsonl.
    """
    started = time.time()
    corpus = Corpus.load(options.data)
    pattern = make_pattern(job.spec, corpus.tables, options.length)
    tags = load_tags(options.tags, corpus) if pattern.brings_classes else {}
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        # More threads would only make the processes wait for one another.
        torch.set_num_threads(1)
        # What was compiled for the last job would be looked through in vain at every call.
        torch.compiler.reset()
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(job.seed)
    sizes = ModelConfig(
        len(corpus.vocab), options.dim, options.layers, options.heads,
        max_length=options.length, backend=options.backend, mixer=pattern.mixer,
    )  # fmt: skip
    model = LanguageModel(sizes).to(device)
    classes = {part: torch.from_numpy(tags[part]).to(device) if tags else None for part in corpus.ids}
    ids = {part: torch.from_numpy(x.astype(np.int32)).to(device) for part, x in corpus.ids.items()}
    config = TrainConfig(
        job.steps, job.rate, warmup=min(100, job.steps // 5), seed=job.seed, log_every=max(1, min(50, job.steps // 4)),
        compiled=options.compiled and device.startswith("cuda"),
    )  # fmt: skip
    batches = Batches(ids["train"], options.length, options.batch, job.seed, classes["train"])
    ends = time.monotonic() + deadline - time.time()
    result = train(model, batches, config, make_plan=pattern.make_plan, deadline=ends)
    line = {
        "schema": SCHEMA, "key": job.key, "finished": result.finished, "spec": dataclasses.asdict(job.spec),
        "rate": job.rate, "seed": job.seed, "steps": job.steps, "is_tuning": job.is_tuning,
        "parameters": model.parameter_count(), "model": dataclasses.asdict(sizes), "batch": options.batch,
        "losses": {str(step): round(loss, 5) for step, loss in result.losses.items()},
        "train_s": round(result.seconds, 2), "tokens_per_second": round(result.tokens_per_second),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu", "torch": torch.__version__,
    }  # fmt: skip
    if result.finished:
        if device.startswith("cuda"):
            line["peak_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
        parts: tuple[Part, ...] = ("dev",) if job.is_tuning else ("dev", "test")
        for part in parts:
            scores = evaluate(
                model, ids[part][: options.held_out], options.length, options.batch, make_plan=pattern.make_plan,
                classes=classes[part],
            )  # fmt: skip
            line[part] = _scored(scores)
    return line | {"wall_s": round(time.time() - started, 2)}


def _scored(scores: Scores) -> dict[str, Any]:
    """As JSON: positions in 16 equal stretches of a chunk."""
    stretches = np.array_split(scores.by_position, 16)
    return {
        "per_token": scores.per_token,
        "nats": [round(float(x), 3) for x in scores.nats],
        "tokens": int(scores.tokens[0]),
        "by_position": [round(float(stretch.mean()), 5) for stretch in stretches],
    }


def _one_line(line: dict[str, Any]) -> str:
    score = f"dev {line['dev']['per_token']:.4f}" if "dev" in line else "stopped"
    return f"{line['key']:60} {score}  {line['wall_s']:.0f} s  {line['tokens_per_second']:,} tokens/s"


def _read(out: Path) -> dict[str, dict[str, Any]]:
    """The lines of runs.jsonl by key."""
    path = out / "runs.jsonl"
    if not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["key"]: line for line in lines if line["schema"] == SCHEMA}


def summarise(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """From the lines of final runs to a table: nats per token of each pattern, and paired differences.

    Args:
        lines: of runs.jsonl, without those that only chose a rate.

    Returns: part -> pattern -> keys, rate, per_token (one a seed), mean, and against_dense, against_window with their
        95% intervals over the seeds that both have.
    """
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for line in lines:
        runs.setdefault(line["spec"]["name"], {})[line["seed"]] = line
    return {part: {name: _row(runs, name, part) for name in runs} for part in ("dev", "test")}


def _row(runs: dict[str, dict[int, dict[str, Any]]], name: str, part: str) -> dict[str, Any]:
    own = runs[name]
    values = [own[seed][part]["per_token"] for seed in sorted(own)]
    first = next(iter(own.values()))
    row: dict[str, Any] = {
        "keys": first["spec"]["keys"], "window": first["spec"]["window"], "valence": first["spec"]["valence"],
        "rate": first["rate"], "per_token": values, "mean": math.fsum(values) / len(values),
        "tokens_per_second": first["tokens_per_second"],
    }  # fmt: skip
    for rival in ("dense", "window"):
        shared = sorted(own.keys() & runs.get(rival, {}).keys())
        if shared and rival != name:
            mine, theirs = ([scores_of(runs[who][seed][part]) for seed in shared] for who in (name, rival))
            difference = compare(mine, theirs)
            row[f"against_{rival}"] = {
                "value": difference.value, "ci95": list(difference.ci95), "seeds": len(shared),
                "method": difference.method,
            }  # fmt: skip
    return row


def scores_of(entry: dict[str, Any]) -> Scores:
    """The scores of one part in a line of runs.jsonl."""
    nats = np.array(entry["nats"])
    return Scores(nats, np.full(len(nats), entry["tokens"]), np.array(entry["by_position"]))


def table(summary: dict[str, Any], part: str = "test") -> str:
    """The summary of a part as Markdown, the best first."""
    rows = [
        "| pattern | keys | window | w | rate | nats a token, by seed | against dense | against window |",
        "|---" * 8 + "|",
    ]
    for name, row in sorted(summary[part].items(), key=lambda item: item[1]["mean"]):
        seeds = " / ".join(f"{value:.4f}" for value in row["per_token"])
        against = [_interval(row.get(f"against_{rival}")) for rival in ("dense", "window")]
        rows.append(
            f"| {name} | {row['keys']:.0f} | {row['window']} | {row['valence'] or ''} | {row['rate']:g} | {seeds} | "
            + " | ".join(against) + " |"
        )  # fmt: skip
    return "\n".join(rows)


def _interval(difference: dict[str, Any] | None) -> str:
    if difference is None:
        return ""
    low, high = difference["ci95"]
    return f"{difference['value']:+.4f} [{low:+.4f}, {high:+.4f}]"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    summary = run_controls(tyro.cli(Options, prog="python -m feasibility.lm.controls", description=__doc__, args=argv))
    print(table(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Does attention that follows the classes of its tokens save time and memory without changing the model?

    python -m feasibility.sparse_attention
    python -m feasibility.sparse_attention --device cpu --lengths 1024 4096 16384

The original masks attention by part of speech, but writes the whole n x n matrix out and only then forbids. Here the
same function is computed from lists of the keys that are visible. The experiment asks whether it is the same function
(error against float64, perplexity of a model trained with it), what it costs against the fastest way of computing that
function densely, and what a bounded rule (a window and the last few keys of each class) gains as texts grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from feasibility.datasets import record
from feasibility.harness import Artifact, Criterion, Experiment, Metric, Outcome, Track

if TYPE_CHECKING:
    from feasibility.sparse_attention.measure import Bench
    from feasibility.sparse_attention.scores import Baselines, Memory, Metrics, Speed


class BadConfig(ValueError):
    """Settings of a run that contradict each other or are out of range."""


@dataclass(frozen=True)
class Config:
    """What is measured, and how often."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where; auto takes a GPU if there is one."""
    heads: int | None = None
    """Attention heads of 64 numbers; 16 on a GPU and 2 on a CPU if not given."""
    short: int = 1024
    """Tokens of the text at which the unbounded mask is judged; its memory is measured at twice and four times as many
    too."""
    long: int = 4096
    """Tokens of the text at which the bounded rule is judged."""
    lengths: tuple[int, ...] = (1024, 2048, 4096)
    """Tokens of all texts that are timed."""
    longest: int = 32768
    """Tokens of the text whose memory alone is measured."""
    rounds: int = 5
    """How often everything is timed, side by side; the median counts."""
    memory_gib: float = 1.0
    """Memory that the attention of one layer may take beyond its inputs, outputs and gradients, for one text."""
    sentences: int = 1500
    """Training sentences of the toy grammar; a quarter as many are held out."""
    steps: int = 40
    """Training steps of each model."""
    seeds: int = 3
    """Models of each kind."""
    draws: int = 5
    """How often the exactness of each mode is tested, on fresh tokens."""
    seed: int = 0
    """Of tokens, activations and models; further ones count up."""


CRITERIA = (
    Criterion(
        "ppl_gap",
        "<=",
        0.5,
        "A model trained with the sparse attention must have the held-out perplexity of one trained with the dense "
        "mask, within half a percent in either direction. Same start, same batches: what is tested is that it is the "
        "same function, not that the mask is a good one.",
        "dense",
        roadmap="C1.1",
    ),
    Criterion(
        "speedup_over_masked",
        ">",
        1.5,
        "Forward and backward at n = 1,024 with the original's unbounded mask, the plan counted for one layer of 12, "
        "against the fastest other way of computing the same function on this machine, and not the slowest.",
        "eager_masked",
        roadmap="C1.2",
    ),
    Criterion(
        "memory_saved",
        ">=",
        20,
        "Peak memory of the same attention, forward and backward, beyond query, key, value, output and gradients, the "
        "plan included, against the leanest other way of computing it.",
        "eager_masked",
        roadmap="C1.3",
    ),
    Criterion(
        "mode_error",
        "<=",
        1.5,
        "Every mode (table and bias, table, bias, neither; valence, budget, window) must be exact in output and "
        "gradients: at most 1.5 times as far from float64 as plain attention in the same precision.",
        "eager_masked",
        roadmap="C1.4",
    ),
    Criterion(
        "speedup_slope",
        ">",
        0,
        "The gain must grow with the text: the slope of log speedup over log n, for a window and the last keys of each "
        "class against the fastest dense attention, masked or not.",
        "full/17",
        roadmap="C2.1",
    ),
    Criterion(
        "speedup_over_dense",
        ">=",
        2,
        "The same at n = 4,096. Dense attention without a mask is the harder opponent: it computes more but has "
        "nothing to look up.",
        "sdpa_masked",
        roadmap="C2.3",
    ),
    Criterion(
        "context_gain",
        ">",
        1,
        "Texts must fit that masked dense attention cannot hold: the longest that was measured within the memory, over "
        "the longest for the leanest masked dense attention.",
        "eager_masked",
        roadmap="C2.4",
    ),
)


def run(config: Config, track: Track) -> Outcome:
    """Train, compare with float64, time, weigh, draw.

    Raises:
        BadConfig: settings out of range, or a GPU that is not there.
    """
    _check(config)
    from feasibility.sparse_attention import scores
    from feasibility.sparse_attention.measure import make_bench
    from feasibility.sparse_attention.patterns import tag_record

    bench = make_bench(_device(config), config.heads, config.seed)
    metrics: dict[str, Metric] = {}
    baselines: dict[str, dict[str, float]] = {}
    scores.quality(metrics, baselines, bench, config, track)
    scores.exactness(metrics, baselines, bench, config, track)
    timed = scores.speed(metrics, baselines, bench, config, track)
    weighed = scores.memory(metrics, baselines, bench, config, track)
    return Outcome(
        metrics=metrics,
        baselines=baselines,
        data=(record("toy-grammar"), tag_record()),
        artifacts=_artifacts(config, timed, weighed),
        caveats=_caveats(config, bench, metrics, baselines),
        finding=_finding(config, metrics, baselines, timed, weighed),
    )


def _check(config: Config) -> None:
    if not {config.short, config.long} <= {*config.lengths} or min(config.lengths) < 1 or config.short == config.long:
        raise BadConfig(
            f"lengths are {config.lengths}, short is {config.short}, long is {config.long}; expected both among the "
            "lengths, two different ones"
        )
    least = {"longest": 1, "sentences": 100, "steps": 1, "seeds": 2, "draws": 1, "rounds": 1, "seed": 0}
    for name, bound in least.items():
        if getattr(config, name) < bound:
            raise BadConfig(f"{name} is {getattr(config, name)}, expected at least {bound}")
    if config.heads is not None and config.heads < 1:
        raise BadConfig(f"heads is {config.heads}, expected at least 1")
    if not config.memory_gib > 0:
        raise BadConfig(f"memory-gib is {config.memory_gib}, expected more than 0")


def _device(config: Config) -> str:
    import torch

    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise BadConfig("device is cuda, but no GPU can be used here; leave the flag out, or name cpu")
    return "cuda" if there and config.device != "cpu" else "cpu"


def _artifacts(config: Config, timed: Speed, weighed: Memory) -> tuple[Artifact, ...]:
    from statistics import median

    from feasibility.sparse_attention import figures
    from feasibility.sparse_attention.measure import visible
    from feasibility.sparse_attention.patterns import HEADLINE, SHOWN, TABLE, patterns
    from feasibility.sparse_attention.scores import MIB, break_even
    from sparse_attn import plan_classes

    gains = {name: {n: median(timed.gain(name, n)) for n in timed.lengths_of(name)} for name in figures.LOOKS}
    pays = {name: break_even([*row], [*row.values()]) for name, row in gains.items() if name != "dense"}
    weights = {name: {n: size / MIB for n, size in row.items()} for name, row in weighed.measured.items()}
    shown = {name: patterns(SHOWN, config.seed)[name] for name in (TABLE, "valence16/17", HEADLINE)}
    masks = {
        figures.LOOKS[name].label: visible(plan_classes(pattern.ids(1, SHOWN, "cpu"), pattern.rules))[0, 0].numpy()
        for name, pattern in shown.items()
    }
    return (
        Artifact(
            "masks.svg",
            figures.mask_chart(masks),
            f"Who sees whom in the first {SHOWN} tokens: the original's table, the table with a valence, and a window "
            "with a valence over 64 classes. The longer the text, the emptier the last two.",
        ),
        Artifact(
            "speed.svg",
            figures.speed_chart(gains, {name: n for name, n in pays.items() if n is not None}),
            "How many times as fast as the fastest dense attention, masked or not: one attention, forward and "
            f"backward, the plan counted for one layer of 12. Median of {config.rounds} rounds, axes logarithmic.",
        ),
        Artifact(
            "memory.svg",
            figures.memory_chart(weights, weighed.budget / MIB, weighed.longest, 4 * config.short),
            "Peak memory of one attention, forward and backward, beyond query, key, value, output and gradients, "
            "plan or mask included. Points are measured; dotted lines are computed up to the length at which the "
            "memory is used up. Axes logarithmic.",
        ),
    )


def _finding(config: Config, metrics: Metrics, baselines: Baselines, timed: Speed, weighed: Memory) -> str:
    eager, fused = baselines["eager_masked"], baselines["sdpa_masked"]
    gains = ", ".join(f"{metrics[f'speedup_{n}'].value:.2g}" for n in timed.lengths)
    lengths = ", ".join(f"{n:,}" for n in timed.lengths)
    return (
        f"With the original's unbounded mask at n = {config.short:,} ours is "
        f"{metrics['speedup_over_masked'].value:.2g} times as fast as the fastest other way of computing the same "
        f"({timed.same_function}; the original's written-out way {eager['speedup_over_masked']:.2g}), in "
        f"{metrics['memory_mib'].value:.3g} MiB against {fused['memory_mib']:.3g} fused and "
        f"{eager['memory_mib']:.3g} written out. A window of 64 with the last 4 keys of each of 64 classes is {gains} "
        f"times as fast as the fastest dense attention at n = {lengths}, and holds {config.longest:,} tokens in "
        f"{metrics['memory_mib_longest'].value:,.0f} MiB; masked dense attention has used up "
        f"{weighed.budget / 2**20:,.0f} MiB at {weighed.longest[weighed.leanest]:,.0f}. The perplexities of models "
        f"trained with either differ by {metrics['ppl_gap'].value:.1g} %, and no mode is more than "
        f"{metrics['mode_error'].ci95[1]:.2g} times as inexact as plain attention."
    )


def _caveats(config: Config, bench: Bench, metrics: Metrics, baselines: Baselines) -> tuple[str, ...]:
    import torch

    place = "one GPU" if bench.device == "cuda" else f"a CPU, {torch.get_num_threads()} threads"
    eager = baselines["eager_masked"]
    speed = metrics["speedup_over_masked"].value / eager["speedup_over_masked"]
    size = metrics["memory_mib"].value / eager["memory_mib"]
    return (
        f"Measured on {place}: {str(bench.dtype).split('.')[-1]}, heads of 64 numbers: {bench.heads}, texts of "
        f"{config.short:,} tokens in a batch: {bench.batch(config.short)}. Verdicts on time and memory hold for this "
        "machine and for one attention by itself; a whole model does more besides.",
        "The unit of sampling is a round, in which everything is timed once side by side (for perplexity a seed, for "
        "exactness a draw): an interval says how this machine varied, not how machines differ.",
        "The opponent is the strongest that was measured: the fastest, the leanest. Against the original's own way, "
        f"with every matrix written out, ours is {speed:.2g} times as fast at n = {config.short:,} and takes "
        f"{size:.2g} times the memory. Opponents get their masks ready-made; ours pays a twelfth of its plan, which "
        f"takes {metrics['plan_ms'].value:.3g} ms at n = {config.long:,}.",
        "Equal perplexity says that both ways compute the same function, on text of the toy grammar. Whether such a "
        "mask does a language model good is a question for an experiment of its own, language_model. The model without "
        "a mask stands beside it (dense); two seeds of one and the same model differ by "
        f"{baselines['other_seed']['ppl_gap']:.2g} %.",
        "Tags are independent draws with the frequencies of UD English EWT, the 64 classes draws with log-normal "
        "frequencies: in real text classes come in clumps.",
        "The original's features belong to words. Here they are folded into a bias by tag; finer ones need finer "
        "classes, for which the code is the same.",
        "Dense attention without a mask keeps no n x n matrix either: within the memory it would hold "
        f"{baselines['dense']['context']:,.0f} tokens, and its limit is time. Lengths that do not fit are computed, "
        f"from a curve that was off by at most {metrics['memory_curve_error'].value:.2g} % where it was tested.",
    )


EXPERIMENT = Experiment(
    name="sparse_attention",
    title="Attention that follows the classes of its tokens",
    claim="Attention over lists of visible keys gives the model of the dense mask, faster from n = 1,024 on and in "
    "less memory, and the gain grows with the text.",
    config=Config,
    smoke=Config(
        heads=1,
        short=128,
        long=512,
        lengths=(128, 512),
        longest=2048,
        rounds=2,
        memory_gib=0.0625,
        sentences=120,
        steps=3,
        seeds=2,
        draws=1,
    ),
    criteria=CRITERIA,
    run=run,
)

"""Does a language model predict better that keeps a window and the last pieces of each word class, and is it quicker?

    python -m feasibility.language_model

Two parts. On the machine at hand small models are trained on three shipped novels: the sparse attention must give the
loss curve of the dense mask, in every mode of the rules, no row may depend on later tokens, and a run that broke off
must go on to the same loss. What such a model is worth needs a GPU: 17 and 60 million parameters, texts of 2,048 and
8,192 pieces, the same number of visible keys, several seeds; and whole training steps of 100 million parameters against
dense attention. These are recorded with the project (feasibility.language_model.record says how to repeat them), and
every comparison is computed from the recorded scores of each chunk of text anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feasibility.harness import Criterion, Experiment, Metric, Outcome, Track, exact

if TYPE_CHECKING:
    from feasibility.lm.patterns import Pattern
    from sparse_attn.api import Backend

Metrics = dict[str, Metric]
Baselines = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Config:
    """What is trained on the machine at hand; the recorded trainings are as they are."""

    length: int = 64
    """Pieces of a chunk."""
    steps: int = 200
    """Training steps over which the two ways of computing attention are compared."""
    control_steps: int = 40
    """Training steps of the runs that this is compared with: dense attention, and weights that differ by rounding."""
    mode_steps: int = 3
    """Training steps over which the two ways are compared in every mode of the rules."""
    resume_steps: int = 12
    """Training steps of the run that is broken off and resumed."""
    seed: int = 0
    """Of models and of the order of the text."""


# Beginning of the metrics' names -> sizes at which the recorded models were trained.
SIZES = {
    "": "17 million parameters, n = 2,048",
    "17m_8192_": "17 million parameters, n = 8,192",
    "60m_2048_": "60 million parameters, n = 2,048",
}


def _at(prefix: str, size: str) -> tuple[Criterion, ...]:
    """The aim at every size: ahead of dense attention and of the window, and as good as what counting finds."""
    window = Criterion(
        f"{prefix}nats_over_window",
        "<",
        0,
        f"Recorded, {size}: predetermined classes must predict better than a window of as many keys.",
        "distributional",
    )
    return (
        Criterion(
            f"{prefix}nats_over_dense",
            "<",
            0,
            f"Recorded, {size}: predetermined classes must predict better than dense attention.",
            "window",
        ),
        # At the headline's size this stands above, beside random classes.
        *((window,) if prefix else ()),
        Criterion(
            f"{prefix}nats_over_distributional",
            "<=",
            0.005,
            f"Recorded, {size}: predetermined classes must come within 0.005 nats of classes found by counting.",
            "window",
        ),
    )


CRITERIA = (
    Criterion(
        "backend_gap",
        "<=",
        1e-3,
        "The largest relative difference in loss over the run between sparse attention and the dense mask written out "
        "in float64: same rules, same start, same batches. Beside it: dense attention without rules, and weights that "
        "differ by 1e-7 (jitter), which is what rounding alone does.",
        "dense",
    ),
    Criterion(
        "mode_gap",
        "<=",
        1e-3,
        "The same in every mode of the rules (full, pos_only, features_only, none), with hard, soft and escape edges, "
        "bounds, and heads in groups: the largest of them.",
        "dense",
    ),
    Criterion(
        "changed_rows",
        "<=",
        0,
        "Rows of logits up to a token that differ, be it in the last bit, when every later token is drawn anew, under "
        "typed memory, its rivals, bond rules and a linear memory: none may see the future, not even through classes.",
        "peeking",
    ),
    Criterion(
        "resume_gap",
        "<=",
        1e-6,
        "A run that broke off and went on from its checkpoint must have the losses of one that did not, in nats.",
        "other_seed",
    ),
    Criterion(
        "ppl_over_dense",
        "<=",
        0.5,
        "Recorded: held-out perplexity of a window and the last 4 of each of 64 predetermined classes may be at most "
        "half a percent above dense attention, with a fifth of the keys.",
        "window",
    ),
    Criterion(
        "nats_over_window",
        "<",
        0,
        "Recorded: with as many keys, all of them in a window, it must not predict as well: this is what the memory "
        "by class is for.",
        "random",
    ),
    Criterion(
        "nats_over_random",
        "<",
        0,
        "Recorded: predetermined classes must predict better than classes that are drawn, or it is not their meaning "
        "that helps.",
        "distributional",
    ),
    *(criterion for prefix, size in SIZES.items() for criterion in _at(prefix, size)),
    *(
        Criterion(
            f"step_speedup_{length}",
            ">=",
            least,
            f"Recorded: whole training steps of 100 million parameters at n = {length:,}, 32,768 pieces each, against "
            "dense attention by the fastest of torch's ways, compiled.",
            "dense",
        )
        for length, least in ((4096, 1.3), (8192, 1.8), (16384, 2.5))
    ),
    Criterion(
        "step_memory",
        "<=",
        100,
        "Recorded: the most memory that these steps take, in percent of dense attention's, at the worst of the three "
        "lengths.",
        "dense",
    ),
)


def run(config: Config, track: Track) -> Outcome:
    """Train small models here, and judge the recorded ones.

    Raises:
        feasibility.lm.data.CorpusCorrupt: the shipped sample is damaged.
    """
    from feasibility.language_model import recorded
    from feasibility.language_model.caveats import caveats
    from feasibility.language_model.measure import sample_record
    from feasibility.language_model.record import STEPS, read_record, read_steps, record_of

    metrics, baselines = _checks(config, track)
    record, steps = read_record(), read_steps()
    for found in (recorded.held_out(record), recorded.whole_steps(steps)):
        metrics |= found[0]
        for name, values in found[1].items():
            baselines[name] = baselines.get(name, {}) | values
    return Outcome(
        metrics,
        baselines,
        data=(sample_record(), record_of(), record_of(STEPS)),
        artifacts=recorded.charts(record, steps),
        caveats=caveats(record),
        finding=_finding(metrics),
    )


def _checks(config: Config, track: Track) -> tuple[Metrics, Baselines]:
    """Same loss as the dense mask in every mode, no leak, resumable."""
    from feasibility.language_model import measure
    from feasibility.lm.patterns import Spec, make_pattern

    lab = measure.open_lab(config.length, config.seed)
    typed = lab.pattern(measure.HEADLINE, 0.3 * config.length)
    dense = make_pattern(Spec("dense"), lab.corpus.tables, config.length)
    short = min(config.steps, config.control_steps)
    ways: tuple[tuple[str, Pattern, Backend, int, float], ...] = (
        ("sparse", typed, "auto", config.steps, 0.0),
        ("mask", typed, "reference", config.steps, 0.0),
        ("dense", dense, "auto", short, 0.0),
        ("jitter", typed, "auto", short, measure.JITTER),
    )
    losses = {
        name: measure.backend_losses(lab, pattern, backend, steps, jitter, of=config.steps)
        for name, pattern, backend, steps, jitter in track(ways, "training with each backend")
    }
    gaps = {name: measure.mode_gap(lab, name, config.mode_steps) for name in track(measure.MODES, "every mode")}
    resumed, other_seed = measure.resume_gap(lab, typed, config.resume_steps)
    cuts = [0, config.length // 2, config.length - 2]
    changed, peeked, rows = measure.changed_rows(lab, cuts)
    from_dense = measure.largest_gap(losses["dense"], losses["mask"])
    metrics = {
        "backend_gap": exact(measure.largest_gap(losses["sparse"], losses["mask"]), "", config.steps),
        "mode_gap": exact(max(gaps.values()), "", len(gaps)),
        "changed_rows": exact(changed, "rows", rows),
        "resume_gap": exact(resumed, "nats", config.resume_steps),
    }
    return metrics, {
        "dense": {"backend_gap": from_dense, "mode_gap": from_dense},
        "jitter": {"backend_gap": measure.largest_gap(losses["jitter"], losses["sparse"])},
        "peeking": {"changed_rows": float(peeked)},
        "other_seed": {"resume_gap": other_seed},
    }


def _finding(metrics: Metrics) -> str:
    from feasibility.language_model.table import words as in_words

    def said(name: str) -> str:
        return in_words(metrics[name])

    def at_all(name: str) -> str:
        return ", ".join(f"{said(f'{prefix}{name}')} ({size})" for prefix, size in SIZES.items())

    speed = " / ".join(f"{metrics[f'step_speedup_{length}'].value:.2f}" for length in (4096, 8192, 16384))
    return (
        "Sparse attention and dense mask give one loss curve in every mode, nothing leaks, and broken runs go on. "
        "Recorded, nats a piece, below 0 the first is better. A window against dense attention: "
        f"{at_all('window_nats_over_dense')}. A shorter window with the last few of each of 64 predetermined classes, "
        f"as many keys in all, against the window: {at_all('nats_over_window')}. At the first size, drawn classes "
        f"against the window: {said('random_nats_over_window')}; predetermined against drawn ones: "
        f"{said('nats_over_random')}. So what helps is to look at less, not what is kept: typed memory beats a window "
        "at no size, and the classes' meaning does not show. A linear state against the window: "
        f"{said('linear_nats_over_window')}. Tags that see the future against the same rules without: "
        f"{said('leak_nats')}. Whole training steps of 100 million parameters are {speed} times as fast as dense ones "
        "at 4,096 / 8,192 / 16,384."
    )


EXPERIMENT = Experiment(
    name="language_model",
    title="Language models that remember by class",
    claim="A language model that keeps a window and the last pieces of each predetermined class is trained exactly as "
    "by a dense mask, sees no future, costs less than dense attention, and predicts better than a window of as many "
    "keys.",
    config=Config,
    smoke=Config(steps=3, control_steps=2, mode_steps=1, resume_steps=4),
    criteria=CRITERIA,
    run=run,
)

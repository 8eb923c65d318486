"""What is a long context worth, and what does a model that remembers by class make of one?

    python -m feasibility.long_context

On the machine at hand a small model is trained on a shipped novel and then reads and writes as a stream: its logits
must be those of one forward over the whole text, also beyond the length it was trained on, no row may depend on later
tokens, and its memory must not grow. It reads 100,000 pieces, and what a piece then takes in time and memory stands
beside what it takes with dense attention. What contexts of 512 to 16,384 pieces are worth, how streams of larger models
fare, and what is recalled, needs a GPU: these runs are recorded with the project, and everything is computed from them
anew. `python -m feasibility.long_context.board` prints them as a leaderboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feasibility.harness import Artifact, Criterion, Experiment, Metric, Outcome, Track

if TYPE_CHECKING:
    from feasibility.language_model.record import Runs
    from feasibility.long_context.record import Recorded

Metrics = dict[str, Metric]


@dataclass(frozen=True)
class Config:
    """What is measured on the machine at hand; the recorded runs are as they are."""

    length: int = 128
    """Pieces of a training chunk."""
    steps: int = 30
    """Training steps."""
    keys: float = 40.0
    """Visible keys of a piece on average, with typed memory and with the window."""
    read: int = 512
    """Pieces of the text on which stream and forward are compared."""
    places: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000)
    """Where in the stream time and memory of a generated piece are taken."""
    written: int = 8
    """Pieces generated at each place in each round."""
    rounds: int = 21
    """Rounds, each at all places of all models."""
    seed: int = 0
    """Of models, order of the text, and draws."""


CRITERIA = (
    Criterion(
        "stream_gap",
        "<=",
        1e-4,
        "Logits of a stream in constant memory, over a text four times as long as any trained on, against one forward "
        "over all of it, relative to the largest logit, float32. Beside it: the same with the window's memory.",
        "window",
    ),
    Criterion(
        "changed_rows",
        "<=",
        0,
        "Rows of a stream's logits up to a token that differ, be it in the last bit, when every later token is drawn "
        "anew. Beside it: rows after that token, which must differ.",
        "later_rows",
    ),
    Criterion(
        "memory_grown",
        "<=",
        1.05,
        "Bytes that the stream remembers after 100,000 pieces over those after 1,000, on this machine.",
        "dense",
    ),
    Criterion(
        "recorded_nats_over_dense_8192",
        "<=",
        0.01,
        "Competitive at long context: trained on chunks of 8,192 pieces, three trainings each, each pattern at the "
        "better of two learning rates, typed memory may need 0.01 nats a piece (1 % of perplexity) more than dense "
        "attention (the record of language_model).",
        "window",
        roadmap="C2.2",
    ),
    Criterion(
        "recorded_nats_over_dense",
        "<=",
        0.01,
        "The same with chunks of 16,384 pieces, after a quarter of the text, one training each at one rate.",
        "window",
    ),
    Criterion(
        "recorded_time_grown",
        "<=",
        1.05,
        "Time of a generated piece after 100,000 others over that after 1,000, on a GPU.",
        "dense",
    ),
    Criterion(
        "recorded_context_gain",
        ">=",
        10,
        "Pieces that a stream had behind it over those that dense attention could remember in the same bytes.",
        "dense",
    ),
    Criterion(
        "recorded_step_speedup",
        ">",
        1,
        "A whole training step of 100 million parameters on texts of 4,096 pieces, compiled, plan included, against "
        "the fastest of PyTorch's own ways to attend densely (the record of language_model, which judges longer texts "
        "too).",
        "dense",
        roadmap="C3.4",
    ),
)


def run(config: Config, track: Track) -> Outcome:
    """Measure here, and judge the recorded runs.

    Raises:
        feasibility.lm.records.RecordMissing: there is no record, or it lacks what is judged.
        feasibility.lm.data.CorpusCorrupt: the shipped sample is damaged.
    """
    from feasibility.language_model import record as controls
    from feasibility.language_model.measure import sample_record
    from feasibility.lm.records import record_of
    from feasibility.long_context.here import here, here_chart
    from feasibility.long_context.jobs import SCHEMA
    from feasibility.long_context.record import longer_controls, read_recorded

    found, longer = read_recorded(), longer_controls(controls.read_record())
    metrics, baselines, curves = here(config, track)
    recorded, beside = judged(found, longer)
    for name, values in beside.items():
        baselines.setdefault(name, {}).update(values)
    return Outcome(
        metrics | recorded,
        baselines,
        data=(sample_record(), record_of(SCHEMA), controls.record_of()),
        artifacts=(here_chart(curves), *recorded_charts(found)),
        caveats=_caveats(found, longer),
        finding=_finding(metrics | recorded, found, config.places[-1]),
    )


def judged(found: Recorded, longer: Runs) -> tuple[Metrics, dict[str, dict[str, float]]]:
    """What the recorded runs say, and what stands beside it."""
    from feasibility.language_model.compared import difference
    from feasibility.language_model.record import read_steps
    from feasibility.language_model.recorded import whole_steps
    from feasibility.long_context import record

    contexts, streams = found.contexts, found.streams
    typed = record.TYPED
    one = next(iter(contexts[typed].values()))
    metrics = {
        "recorded_nats_over_dense_8192": difference(longer, [typed], ["dense"]),
        "recorded_nats_over_window_8192": difference(longer, [typed], ["window"]),
        "recorded_nats_over_dense": record.difference(contexts, typed, "dense"),
        "recorded_nats_over_window": record.difference(contexts, typed, "window"),
        "recorded_time_grown": record.growth(streams[typed]),
        "recorded_memory_grown": record.memory_growth(streams[typed]),
        "recorded_context_gain": record.context_gain(one, streams[typed]),
        "recorded_dense_least_ms": record.least_ms(one),
        "recorded_step_speedup": whole_steps(read_steps())[0]["step_speedup_4096"],
    }
    for name in contexts:
        metrics[f"recorded_worth_{name.partition('/')[0]}"] = record.worth(contexts, name)
        metrics[f"recorded_last_words_{name.partition('/')[0]}"] = record.last_words(contexts, name)
    window = {
        "recorded_nats_over_dense_8192": difference(longer, ["window"], ["dense"]).value,
        "recorded_nats_over_dense": record.difference(contexts, "window", "dense").value,
    }
    dense = {"recorded_time_grown": record.growth(streams["dense"]).value}
    dense |= {"recorded_context_gain": 1.0, "recorded_step_speedup": 1.0}
    return metrics, {"window": window, "dense": dense}


def recorded_charts(found: Recorded) -> tuple[Artifact, ...]:
    """Loss by position, streams, names."""
    from feasibility.long_context import figures, record

    first = {name: next(iter(seeds.values())) for name, seeds in found.contexts.items()}
    trained = int(first["dense"]["model"]["max_length"])

    def curve(positions: dict[str, float]) -> dict[int, float]:
        return {int(end): nats for end, nats in positions.items() if int(end) >= 128}

    def places(name: str, what: str, scale: float) -> dict[int, float]:
        return {int(n): place[what] * scale for n, place in found.streams[name]["places"].items()}

    return (
        Artifact(
            "positions.svg",
            figures.position_chart(
                {name: curve(line["positions"]) for name, line in first.items()},
                {name: curve(line["positions"]) for name, line in found.streams.items()},
                trained,
            ),
            f"Held-out loss by how much was read before, models trained on chunks of {trained:,} (recorded). On the "
            f"right "
            "one stream reads on beyond what was trained: angles of that size no model has seen.",
        ),
        Artifact(
            "streams.svg",
            figures.stream_chart(
                {name: places(name, "ms", 1.0) for name in found.streams},
                {name: places(name, "bytes", 2**-20) for name in found.streams},
            ),
            "Time of a generated piece and what is remembered of the text, by its length, on a GPU (recorded). Room "
            "for "
            "dense attention's keys is doubled when it is used up.",
        ),
        Artifact(
            "names.svg",
            figures.recall_chart({name: record.named(found.contexts, name) for name in found.contexts}),
            "Loss on names by how long ago they were last seen in the chunk, with the longest context and, dotted, "
            "with "
            "the shortest (recorded).",
        ),
    )


def _caveats(found: Recorded, longer: Runs) -> tuple[str, ...]:
    line, control = next(iter(found.contexts["dense"].values())), next(iter(longer["dense"].values()))
    return (
        f"The numbers named recorded_... are of runs on {line['device']}: {line['parameters'] / 1e6:.0f} million "
        f"parameters, {line['steps']} steps of {line['batch']} chunks of {line['model']['max_length']:,} pieces, "
        f"{len(found.contexts['dense'])} seed(s); those that end in _8192: {control['steps']:,} steps of "
        f"{control['batch']} chunks of 8,192, {len(longer['dense'])} seeds. The intervals of losses with one seed are "
        "over stretches of text; single trainings vary by 0.01 to 0.02 nats besides (docs/language_model.md).",
        "After so few steps patterns differ by how fast they are learnt: most of the difference stands within the "
        "first 128 pieces of a chunk, where all see nearly the same, so it is not memory. What a context is worth here "
        "is a lower bound.",
        "Dense attention means PyTorch's own fused kernels, which keep no n x n matrix. In training it needs no more "
        "memory than typed memory does; the gain in context is one of generation, where dense attention keeps all.",
        "The recorded streams of dense attention were timed without a replayed graph, in float32, with PyTorch's "
        "general kernel for a single query: they show growth, not the best that dense attention can do. "
        "recorded_dense_least_ms is computed, not measured: what a GPU of 4.8 TB/s needs to read the keys and values "
        "of 100,000 pieces once. Typed memory saves memory for certain, and time only where that much counts.",
        "reach_oldest and reach_beyond_dense are counted on a shipped novel, with the window and valence of the "
        "recorded models and a smaller vocabulary, which makes for rarer classes (docs/long_context.md has the figures "
        "with theirs). What is remembered need not be of use.",
        "Times on this machine are shown and not judged: it may be busy.",
    )


def _finding(metrics: Metrics, found: Recorded, last: int) -> str:
    def words(name: str, digits: int = 3, sign: str = "+") -> str:
        metric = metrics[name]
        low, high = metric.ci95
        return f"{metric.value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"

    model, sample = found.model, found.part("written")
    large = ""
    if model is not None:
        large = (
            f" A model of {model['parameters'] / 1e6:.0f} million parameters, trained for {model['train_s']:.0f} s, "
            "loads into transformers and writes on through the class cache"
            + (f", {sample['written']:,} pieces in one go." if sample is not None else ".")
        )
    return (
        "A stream in constant memory gives the logits of the whole forward (relative gap "
        f"{metrics['stream_gap'].value:.0e}) and sees no future. After {last:,} pieces of a novel, here, its memory is "
        f"as large as at the start, dense attention would hold {metrics['dense_pieces'].value:.0f} pieces in it, and "
        f"the next piece takes {words('time_grown', 2, '')} times as long as near the start (dense: "
        f"{words('time_grown_dense', 1, '')}). "
        "Recorded: trained on 8,192 pieces, three seeds, typed memory needs "
        f"{words('recorded_nats_over_dense_8192')} nats a piece more than dense attention and "
        f"{words('recorded_nats_over_window_8192')} more than an equal window; with 16,384, one short training, "
        f"{words('recorded_nats_over_dense')} and {words('recorded_nats_over_window')}. A context of 16,384 instead of "
        f"512 is worth {words('recorded_worth_dense')} to dense attention and {words('recorded_worth_predetermined')} "
        f"to typed memory. A generated piece takes {words('recorded_time_grown', 2, '')} times as long after 100,000 "
        "pieces as after 1,000, in the same memory, in which dense attention could keep "
        f"{100_000 / metrics['recorded_context_gain'].value:.0f} pieces. Whole training steps at 4,096 are "
        f"{words('recorded_step_speedup', 2, '')} times as fast." + large
    )


EXPERIMENT = Experiment(
    name="long_context",
    title="Long contexts and streams without end",
    claim="A model that remembers by class reads and writes on without end in constant time and memory, and predicts "
    "long "
    "texts about as well as one that keeps every word.",
    config=Config,
    smoke=Config(length=64, steps=2, keys=20.0, read=160, places=(64, 200), written=4, rounds=2),
    criteria=CRITERIA,
    run=run,
)

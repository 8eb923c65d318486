"""What the recorded runs on long texts say: the worth of a context, recall, streams.

T blocks of text (as long as the longest context), R rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric, exact
from feasibility.intervals import ratio_interval
from feasibility.language_model import record as controls
from feasibility.lm import records
from feasibility.lm.evaluate import Scores, compare
from feasibility.lm.fleet import Line
from feasibility.lm.records import RecordMissing
from feasibility.long_context.jobs import SCHEMA

TYPED = "predetermined/64"
# Where the time of a token is compared.
NEAR, FAR = "1000", "100000"
RESAMPLES = 2000
# Of an H200's memory, by its data sheet.
BYTES_PER_SECOND = 4.8e12

Floats = NDArray[np.float64]
# Pattern -> seed -> line.
Contexts = dict[str, dict[int, Line]]


@dataclass(frozen=True)
class Recorded:
    """The recorded lines by kind.

    Args:
        contexts: trainings on long texts.
        told: names told and asked for, of the same models.
        streams: of the same models, first seed.
        longest: the longest text in so much memory, or None.
        pace: a generated piece with each pattern at its best, one line a size, dtype and number of texts.
        model: main line of the model of more than 100 million parameters, or None; `part` finds its others.
        lines: all, by key.
    """

    contexts: Contexts
    told: Contexts
    streams: dict[str, Line]
    longest: Line | None
    pace: tuple[Line, ...]
    model: Line | None
    lines: dict[str, Line]

    def part(self, name: str) -> Line | None:
        """Another line of the large model: "judged", "export", "stream", "written"."""
        return None if self.model is None else self.lines.get(f"{self.model['key']} {name}")


def read_recorded(path: Path | None = None) -> Recorded:
    """The recorded runs.

    Raises:
        RecordMissing: see `records.read`; or a training or stream that the experiment judges is not there.
    """
    return recorded_of(records.read(SCHEMA, path))


def recorded_of(lines: Iterable[Line]) -> Recorded:
    """See `read_recorded`."""
    by_kind: dict[str, list[Line]] = {}
    known = {line["key"]: line for line in lines}
    for line in known.values():
        by_kind.setdefault(line["kind"], []).append(line)
    trained = _alike([line for line in by_kind.get("context", []) if line["trained"]])
    streams: dict[str, Line] = {}
    # The one that got furthest.
    for line in sorted(by_kind.get("stream", []), key=lambda line: len(line["places"])):
        if line["key"].startswith("context "):
            streams[line["spec"]["name"]] = line
    told = {f"{line['key']} told" for line in trained}
    found = Recorded(
        _by_seed(trained),
        _by_seed([line for line in by_kind.get("told", []) if line["key"] in told]),
        streams,
        next(iter(by_kind.get("longest", [])), None),
        tuple(by_kind.get("pace", [])),
        next(iter(by_kind.get("model", [])), None),
        known,
    )
    lacking = [name for name in ("dense", "window", TYPED) if name not in found.contexts or name not in found.streams]
    if lacking or any(FAR not in found.streams[x]["places"] for x in ("dense", TYPED)):
        raise RecordMissing(
            f"the record needs trainings and streams of dense, window and {TYPED} (lacks {lacking}), and streams to "
            f"{FAR}; "
            "run the jobs of feasibility.long_context.jobs again"
        )
    return found


def _alike(lines: Sequence[Line]) -> list[Line]:
    """Of trainings of several lengths only the longest that every pattern has had."""
    steps: dict[str, set[int]] = {}
    for line in lines:
        steps.setdefault(line["spec"]["name"], set()).add(line["steps"])
    most = max(set.intersection(*steps.values()), default=0) if steps else 0
    return [line for line in lines if line["steps"] == most]


def _by_seed(lines: Iterable[Line]) -> Contexts:
    found: Contexts = {}
    for line in sorted(lines, key=lambda line: int(line["seed"])):
        found.setdefault(line["spec"]["name"], {})[line["seed"]] = line
    return found


def difference(contexts: Contexts, one: str, other: str, length: int | None = None) -> Metric:
    """Nats a token that the first pattern needs more than the second with a context of so many tokens (the longest)."""
    seeds = sorted(contexts[one].keys() & contexts[other].keys())
    mine, theirs = ([_scores(contexts[name][seed], length) for seed in seeds] for name in (one, other))
    return compare(mine, theirs)


def worth(contexts: Contexts, name: str) -> Metric:
    """Nats a token that a pattern gains from the longest context over the shortest, with the same model."""
    lines = contexts[name].values()
    shortest = min(map(int, next(iter(lines))["contexts"]))
    return compare([_scores(line, shortest) for line in lines], [_scores(line) for line in lines])


def per_token(contexts: Contexts, name: str) -> dict[int, float]:
    """Context -> nats a token, mean over seeds."""
    lines = list(contexts[name].values())
    return {int(n): statistics.fmean(_scores(line, int(n)).per_token for line in lines) for n in lines[0]["contexts"]}


def _scores(line: Line, length: int | None = None) -> Scores:
    contexts = line["contexts"]
    nats = np.array(contexts[str(length or max(map(int, contexts)))])
    return Scores(nats, np.full(len(nats), line["block"]), np.empty(0))


def named(contexts: Contexts, name: str) -> dict[str, tuple[float, float, int]]:
    """How long ago a name was last seen -> nats on it with the longest and the shortest context, and their number."""
    found = {}
    for place in next(iter(contexts[name].values()))["names"]:
        sums = [
            (
                sum(line["names"][place]["nats"]),
                sum(line["names_short"][place]["nats"]),
                sum(line["names"][place]["tokens"]),
            )
            for line in contexts[name].values()
        ]
        long, short, count = (sum(x) for x in zip(*sums, strict=True))
        if count:
            found[place] = long / count, short / count, int(count / len(sums))
    return found


def last_words(contexts: Contexts, name: str) -> Metric:
    """Nats that a long context saves on the last words of sentences that were said before, but not just before."""
    lines = list(contexts[name].values())
    saved = np.concatenate([np.array(x["last_words"]["short"]) - np.array(x["last_words"]["long"]) for x in lines])
    tokens = np.concatenate([np.array(x["last_words"]["tokens"]) for x in lines])
    return ratio_interval(saved, tokens, "nats", seed=0, scale=1.0)


def growth(stream: Line, near: str = NEAR, far: str = FAR) -> Metric:
    """Time of a generated token far into the text over that near its beginning, with a bootstrap over rounds."""
    return ratio_of_medians(*(np.array(stream["places"][place]["rounds"]) for place in (far, near)))


def ratio_of_medians(one: Floats, other: Floats) -> Metric:
    """Median of some times over that of others, with a bootstrap over the rounds in which they were taken."""
    generator = np.random.default_rng(0)
    drawn = [np.median(x[generator.integers(0, len(x), (RESAMPLES, len(x)))], axis=1) for x in (one, other)]
    value = float(np.median(one) / np.median(other))
    low, high = (float(x) for x in np.percentile(drawn[0] / drawn[1], [2.5, 97.5]))
    method = f"ratio of medians, bootstrap over {len(one)} rounds each"
    return Metric(value, "x", len(one), (min(low, value), max(high, value)), method)


def memory_growth(stream: Line, near: str = NEAR, far: str = FAR) -> Metric:
    """Bytes remembered far into the text over those near its beginning."""
    return exact(stream["places"][far]["bytes"] / stream["places"][near]["bytes"], "x")


def context_gain(line: Line, stream: Line, far: str = FAR) -> Metric:
    """Times as long a text as dense attention could remember in the same bytes, at the end of the stream.

    Keys and values in float32, as the streams were measured.
    """
    each = 2 * 4 * line["model"]["layers"] * line["model"]["dim"]
    return exact(int(far) / (stream["places"][far]["bytes"] / each), "x")


def least_ms(line: Line, far: str = FAR) -> Metric:
    """Milliseconds that a GPU needs to read all keys and values of dense attention once, at its memory's full speed.

    Keys and values in bfloat16. No kernel can be quicker for one text at a time.
    """
    each = 2 * 2 * line["model"]["layers"] * line["model"]["dim"]
    milliseconds = 1e3 * int(far) * each / BYTES_PER_SECOND
    return Metric(milliseconds, "ms", 1, (milliseconds, milliseconds), "computed: bytes over 4.8 TB/s (H200)")


def longer_controls(found: controls.Record) -> controls.Runs:
    """Of the recorded controls those on the longest texts, smallest model first.

    Raises:
        RecordMissing: dense attention, window and typed memory have no texts longer than the usual ones.
    """
    names = {"dense", "window", TYPED}
    longer = [size for size, runs in found.items() if size.length > controls.HEADLINE.length and names <= set(runs)]
    if not longer:
        raise RecordMissing(
            f"the record needs trainings of {', '.join(sorted(names))} on texts of more than "
            f"{controls.HEADLINE.length:,} pieces; record some with python -m feasibility.language_model.record"
        )
    return found[min(longer, key=lambda size: (-size.length, size.dim))]


def longest_in(line: Line) -> dict[str, int]:
    """Pattern -> the longest text whose training step stayed within the memory."""
    limit = 1024 * line["gib"]
    fits: Mapping[str, Sequence[int]] = {
        name: [int(n) for n, found in by_length.items() if found["peak_mb"] <= limit]
        for name, by_length in line["found"].items()
    }
    return {name: max(lengths, default=0) for name, lengths in fits.items()}

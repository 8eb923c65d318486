"""The experiment `long_context`: what is computed from made-up runs, the leaderboard, and the small models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feasibility.harness import judge, silent
from feasibility.language_model.record import HEADLINE, Record, Runs, Size, read_record
from feasibility.lm import records
from feasibility.lm.generate import Stream
from feasibility.lm.patterns import Spec
from feasibility.lm.recipe import Trained
from feasibility.lm.records import RecordMissing
from feasibility.long_context.board import BEGIN, END, MarksMissing, board, main, put
from feasibility.long_context.experiment import EXPERIMENT, Config
from feasibility.long_context.jobs import SCHEMA, by_position
from feasibility.long_context.measure import Place, changed_rows, reach, small, stream_gap, stream_places
from feasibility.long_context.pace import pinned
from feasibility.long_context.record import (
    TYPED,
    context_gain,
    difference,
    growth,
    last_words,
    least_ms,
    longer_controls,
    longest_in,
    named,
    per_token,
    read_recorded,
    recorded_of,
    worth,
)

HARD = np.random.default_rng(0).normal(4.0, 0.2, 30)
BLOCK, NAMES, KEYS = 16384, 2, {"dense": 8192.5, "window": 270.7, TYPED: 271.2}


def context(name: str, over: float, gain: float) -> dict[str, Any]:
    """A training that needs `over` nats more than the text is hard, less `gain` with the longest context."""
    contexts = {str(n): (BLOCK * (HARD + over - gain * (n == BLOCK))).tolist() for n in (512, 4096, BLOCK)}
    bins = {place: {"nats": [3.0 * NAMES] * 30, "tokens": [NAMES] * 30} for place in ("first", "<64", "<16384")}
    short = {place: {"nats": [5.0 * NAMES] * 30, "tokens": [NAMES] * 30} for place in bins}
    return {
        "schema": SCHEMA, "kind": "context", "key": f"context {name}", "trained": True, "seed": 0, "block": BLOCK,
        "spec": dataclasses.asdict(Spec(name, keys=KEYS[name])), "contexts": contexts, "names": bins,
        "names_short": short, "last_words": {"short": [6.0] * 30, "long": [4.0] * 30, "tokens": [4] * 30},
        "positions": {"128": 5.0, "16384": 4.0}, "parameters": 17e6, "device": "none", "steps": 5, "batch": 2,
        "tokens": 1e6, "model": {"max_length": BLOCK, "layers": 6, "dim": 384},
    }  # fmt: skip


def lines() -> list[dict[str, Any]]:
    found = []
    for name, over, gain in (("dense", 0.0, 0.04), ("window", 0.03, 0.0), (TYPED, -0.01, 0.02)):
        found.append(context(name, over, gain))
        places = {
            n: {"ms": ms, "rounds": [ms, ms * 1.01, ms * 0.99], "bytes": size}
            for n, ms, size in (("1000", 1.0, 2**22), ("100000", 9.0 if name == "dense" else 1.0, 2**22))
        }
        same = {"schema": SCHEMA, "spec": {"name": name}, "seed": 0}
        read = {"places": places, "positions": {"128": 5.0, "100000": 4.2}}
        found.append({**same, "kind": "stream", "key": f"context {name} stream", **read})
        told = {"64": {"right": 20, "items": 50, "choices": 10}, "4096": {"right": 5, "items": 50, "choices": 10}}
        found.append({**same, "kind": "told", "key": f"context {name} told", "told_names": told})
    longest = {name: {"8192": {"ms": 10.0, "peak_mb": 4000}, "16384": {"ms": 20.0, "peak_mb": 9000}} for name in KEYS}
    found.append({"schema": SCHEMA, "kind": "longest", "key": "longest", "gib": 8.0, "found": longest})
    dense = {"1000": {"ms": 0.8, "bytes": 2**22}, "100000": {"ms": 1.2, "bytes": 2**28}}
    pace = {"fixed": {TYPED: {"ms": 0.9, "bytes": 2**21}}, "dense": dense, "parameters": 17e6, "dtype": "bfloat16"}
    found.append({"schema": SCHEMA, "kind": "pace", "key": "pace 17M bfloat16 batch=8", "batch": 8, **pace})
    found.append({"schema": SCHEMA, "kind": "model", "key": "model", "parameters": 119e6, "train_s": 80.0})
    found.append({"schema": SCHEMA, "kind": "written", "key": "model written", "written": 12000})
    return found


def test_contexts_are_compared_in_pairs() -> None:
    found = recorded_of(lines())
    assert difference(found.contexts, TYPED, "dense").value == pytest.approx(0.01)
    assert difference(found.contexts, TYPED, "dense", 512).value == pytest.approx(-0.01)
    assert worth(found.contexts, "dense").value == pytest.approx(0.04)
    assert worth(found.contexts, "window").value == 0.0
    assert per_token(found.contexts, "dense")[BLOCK] == pytest.approx(HARD.mean() - 0.04)
    assert last_words(found.contexts, TYPED).value == pytest.approx(0.5)
    assert named(found.contexts, TYPED)["<64"] == (3.0, 5.0, 60)


def test_streams_and_the_longest_text() -> None:
    found = recorded_of(lines())
    assert growth(found.streams["dense"]).value == pytest.approx(9.0)
    assert growth(found.streams[TYPED]).ci95 == pytest.approx((0.98, 1.02), abs=0.01)
    # 4 MiB hold the keys and values of 4 MiB / (2 * 4 * 6 * 384 bytes) = 227 tokens.
    assert context_gain(context(TYPED, 0, 0), found.streams[TYPED]).value == pytest.approx(100_000 / 227.6, rel=1e-3)
    # 100,000 keys and values of 6 layers of 384 in two bytes each, at 4.8 TB/s.
    assert least_ms(context("dense", 0, 0)).value == pytest.approx(1e5 * 2 * 2 * 6 * 384 / 4.8e9)
    assert found.longest is not None
    assert longest_in(found.longest)["dense"] == 8192
    assert found.part("written") is not None
    assert found.part("export") is None


def test_a_record_that_lacks_something_says_what() -> None:
    with pytest.raises(RecordMissing, match=r"lacks \['window'\]"):
        recorded_of([line for line in lines() if "window" not in line["key"]])
    cut_off = lines()
    del next(line for line in cut_off if line["key"] == f"context {TYPED} stream")["places"]["100000"]
    with pytest.raises(RecordMissing, match="streams to 100000"):
        recorded_of(cut_off)


def test_the_longest_texts_of_the_controls_are_taken() -> None:
    names: Runs = {"dense": {}, "window": {}, TYPED: {}}
    longer, wider, alone = Size(384, 6, 8192), Size(640, 10, 8192), Size(8, 1, 9999)
    found: Record = {HEADLINE: names, wider: names, longer: {**names, "linear": {}}, alone: {"dense": {}}}
    assert "linear" in longer_controls(found)
    with pytest.raises(RecordMissing, match="texts of more than 2,048 pieces"):
        longer_controls({HEADLINE: names})
    shipped = longer_controls(read_record())
    assert all(len(seeds) >= 3 for seeds in shipped.values())


def test_the_leaderboard_goes_into_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = board(recorded_of(lines()))
    rows = [row for row in text.splitlines() if row.startswith(("| dense", "| window", "| predetermined"))]
    assert [row.split()[1] for row in rows[:3]] == ["dense", TYPED, "window"]
    assert "| dense | 1.00 | 9.00 | 9.00 [8.82, 9.18] | 4.0 | 4.0 |" in text
    assert f"| 17M bfloat16, 8 text(s) | {TYPED} | 0.90 | 0.90 | 2 | 2 |" in text
    assert "| 17M bfloat16, 8 text(s) | dense | 0.80 | 1.20 | 4 | 256 |" in text
    record, page = tmp_path / "x.jsonl.xz", tmp_path / "page.md"
    records.keep(lines(), SCHEMA, record)
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    assert main(["--page", str(page), "--record", str(record)]) == 0
    assert page.read_text() == f"above\n{BEGIN}\n{text}\n{END}\nbelow\n"
    assert text in capsys.readouterr().out
    with pytest.raises(MarksMissing, match="once each"):
        put("no marks", text)


def test_a_whole_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.xz"
    records.keep(lines(), SCHEMA, path)
    monkeypatch.setattr(records, "path_of", lambda schema: path)
    outcome = EXPERIMENT.run(EXPERIMENT.smoke, silent)
    result = judge(EXPERIMENT, Config(), outcome, smoke=True, started_utc="", wall_s=0.0)
    # 0.01 is what typed memory needs more, which is as much as may be, and rounding decides.
    assert [c["passed"] for c in result["criteria"] if c["metric"] != "recorded_nats_over_dense"] == [True] * 7
    assert outcome.baselines["later_rows"]["changed_rows"] > 0
    first, last = EXPERIMENT.smoke.places[0], EXPERIMENT.smoke.places[-1]
    assert outcome.baselines["dense"]["memory_grown"] == pytest.approx(last / first)
    assert outcome.metrics["context_gain"].value == pytest.approx(last / outcome.metrics["dense_pieces"].value)
    assert "12,000 pieces in one go" in outcome.finding
    assert all("<svg" in artifact.content for artifact in outcome.artifacts)


@pytest.fixture(scope="module")
def typed() -> Trained:
    return small(TYPED, 48, 16.0, 3, 0)


def test_the_checks_of_streams_can_fail(typed: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stream_gap(typed, 120) < 1e-4
    changed, later, rows = changed_rows(typed, 100, [10, 60], 0)
    assert changed == 0
    assert rows == 11 + 61
    assert later > 0.9 * (89 + 39)
    # A stream whose angles are off by one place is found out where they count: between a stream and the forward.
    from feasibility.lm import generate

    turns = generate.turns
    monkeypatch.setattr(generate, "turns", lambda positions, dim: turns(positions * 2, dim))
    assert stream_gap(typed, 120) > 1e-4


def test_streams_are_timed_in_turns(typed: Trained) -> None:
    dense = small("dense", 48, 16.0, 1, 0)
    found = stream_places({TYPED: typed, "dense": dense}, [50, 200], 4, 2)
    assert found[TYPED][50].nbytes == found[TYPED][200].nbytes
    # Keys and values in float32 of two layers of 64.
    assert found["dense"][200].nbytes == 200 * 2 * 4 * 2 * 64
    assert all(place.ms > 0 and len(place.rounds) == 2 for places in found.values() for place in places.values())
    # What is timed is what a stream that read its text would do: as many keys, the same model.
    stream = Stream(dense.model, dense.pattern)
    assert pinned(stream, 100) in ("flash", "math")
    stream.feed(torch.zeros(1, 1, dtype=torch.long))
    assert [memory.length for memory in stream.memories] == [100, 100]  # type: ignore[attr-defined]


def test_ratios_of_times_are_paired_by_round() -> None:
    # A machine that is three times as slow in one round does not change the ratio.
    one, other = Place(np.array([2.0, 6.0, 2.2]), 1), Place(np.array([1.0, 3.0, 1.1]), 1)
    metric = one.over(other)
    assert metric.value == pytest.approx(2.0)
    assert metric.ci95 == pytest.approx((2.0, 2.0))


def test_reach_is_what_the_cache_remembers(typed: Trained) -> None:
    ids = typed.ids("test")[:400]
    stream = Stream(typed.model, typed.pattern)
    classes = typed.pattern.classes(ids[None])[0].numpy()
    stream.read(ids[None])
    positions = stream.memories[0]._position[0].numpy()  # type: ignore[attr-defined]
    held = 400 - np.unique(positions[positions >= 0])
    spec = typed.pattern.spec
    oldest, older = reach(classes, spec, [400])
    assert oldest.tolist() == [held.max()]
    slots = (int(classes.max()) + 1) * (spec.valence or 0) + spec.window
    assert older == pytest.approx((held > slots).mean())
    assert older > 0


def test_means_by_position_leave_out_what_was_not_read() -> None:
    nats = np.arange(200.0)
    nats[64:128] = np.nan
    assert by_position(nats) == {"64": 31.5, "200": 163.5}
    assert torch.is_grad_enabled()


def test_the_shipped_record_is_whole() -> None:
    found = read_recorded()
    assert len({line["steps"] for seeds in found.contexts.values() for line in seeds.values()}) == 1
    assert found.model is not None
    assert found.model["parameters"] > 100e6
    export = found.part("export")
    assert export is not None
    assert export["same_tokens_cache"]
    assert export["same_tokens_generate"]
    assert export["logits_gap_cached"] < 1e-4 * export["logits_size"]

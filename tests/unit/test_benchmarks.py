import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import sparse_attention, sparse_checks, sparse_figures, sparse_gate, sparse_peers
from benchmarks.sparse_decode import decode_cells
from benchmarks.sparse_patterns import Pattern, patterns, read_text
from benchmarks.sparse_summary import add_speedups, break_even, flex_tuned, summarise, told
from benchmarks.sparse_timing import gradients, held_mib, replays, timed
from sparse_attn import plan_classes
from sparse_attn.impl.reference import visible_matrix

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def pattern(name: str, tokens: int = 512) -> Pattern:
    return next(p for p in patterns(read_text(None, [], tokens)) if p.name == name)


def cells(times: dict[int, float], plan: float) -> list[dict]:
    """Our cells at these lengths, against a dense backend whose time grows with n."""
    found = []
    for n, ms in times.items():
        base = {"n": n, "D": 64, "H": 4, "B": 32768 // n}
        peer = {**base, "run": "dense", "kind": "dense", "forward_ms": n / 1024, "both_ms": 3 * n / 1024}
        ours = {**base, "run": "budget256/17", "kind": "ours", "bounded": True, "plan_ms": plan}
        ours["keys"] = 100.0 if n < 4096 else 110.0
        ours |= {"forward_ms": ms, "both_ms": 3 * ms}
        found += [peer, add_speedups(ours, [peer])]
    return found


@pytest.mark.parametrize(
    ("speedups", "expected", "words"),
    [
        # Straight in the logarithms: 1/2 at 1,024 and 2 at 4,096 cross at 2,048.
        ({1024: 0.5, 4096: 2.0}, 2048, "~ 2050"),
        # Ahead, behind, ahead again: only what stays ahead counts.
        ({1024: 1.1, 2048: 0.5, 8192: 2.0}, 4096, "~ 4100"),
        ({1024: 1.5, 2048: 2.0}, 1024, "<= 1024"),
        ({1024: 0.5, 2048: 0.9}, None, "> 2048"),
        ({}, None, "not measured"),
    ],
)
def test_break_even(speedups: dict[int, float], expected: float | None, words: str) -> None:
    found = break_even(speedups)
    assert found == (expected if expected is None else pytest.approx(expected))
    assert told(speedups) == words


def test_speedups_are_against_the_faster_dense_backend_and_count_a_twelfth_of_the_plan() -> None:
    dense = [{"forward_ms": 6.0, "both_ms": 20.0, "both_graph_ms": 18.0}, {"forward_ms": 8.0, "both_ms": 16.0}]
    ours = {"forward_ms": 2.0, "both_ms": 4.0, "both_graph_ms": 3.0, "plan_ms": 48.0, "plan_forward_ms": 12.0}
    add_speedups(ours, dense)
    assert (ours["forward_speedup"], ours["both_speedup"], ours["both_graph_speedup"]) == (3, 4, 6)
    # Forward alone needs only the lists of the forward pass.
    assert (ours["forward_total_ms"], ours["forward_speedup_with_plan"]) == (3, 2)
    assert (ours["both_total_ms"], ours["both_speedup_with_plan"]) == (8, 2)


def test_summary_tells_break_even_flatness_peers_and_decoding() -> None:
    measured = cells({1024: 2.0, 2048: 1.0, 4096: 1.2, 8192: 0.9}, plan=12.0)
    here = {"n": 4096, "D": 64, "of": "budget256/17", "kind": "peer"}
    measured += [
        {**here, "run": "flex", "forward_ms": 9.0, "both_ms": 9.0},
        {**here, "run": "flex, autotuned", "forward_ms": 3.0, "both_ms": 12.0},
        {**here, "run": "eager", "failed": "OutOfMemoryError"},
    ]
    decode = [{"run": "decode x", "device": "cpu", "after": n, "token_ms": 1.0, "cache_mib": 2.0} for n in (9, 900)]
    found = summarise(measured, decode)
    assert [x["without_plan"] for x in found["break_even"]] == ["~ 1450", "~ 1450"]
    assert found["break_even"][0]["with_plan_n"] == pytest.approx(2048)
    assert [(x["from"], x["to"], x["slowest"], x["fastest"]) for x in found["flatness"]] == [(2048, 8192, 1.2, 0.9)] * 2
    assert [x["slowest_per_key"] for x in found["flatness"]] == pytest.approx([1.2 / 1.1] * 2)
    assert [x["peer"] for x in found["against_the_same_function"]] == ["flex, autotuned", "flex"]
    assert [x["ratio"] for x in found["against_the_same_function"]] == pytest.approx([2.5, 2.5])
    assert found["decode"] == [
        {"run": "decode x", "device": "cpu", "short": 9, "long": 900, "time_ratio": 1.0, "memory_ratio": 1.0}
    ]
    assert next(iter(flex_tuned(measured)))["forward_setting"] == "flex, autotuned"


def test_classes_from_files_serve_the_pattern_that_holds_them(tmp_path: Path) -> None:
    few, many, short = (tmp_path / name for name in ("few.txt", "many.txt", "short.txt"))
    few.write_text("\n".join(str(i % 60) for i in range(100)))
    many.write_text("\n".join(str(i % 200) for i in range(300)))
    short.write_text("3 4 5")
    text = read_text(None, [many, few], 90)
    assert text.classes[64].tolist() == [i % 60 for i in range(90)]
    assert text.classes[256].tolist() == list(range(90))
    assert text.origins["classes/256"] == "many.txt: 300 tokens of running text"
    with pytest.raises(ValueError, match=r"both hold ids of 64 classes: give one file for each"):
        read_text(None, [few, few], 90)
    with pytest.raises(ValueError, match=r"holds ids from 0 to 199, expected 0 to 16"):
        read_text(many, [], 90)
    with pytest.raises(ValueError, match=r"holds 3 ids, 90 are needed: use a longer text"):
        read_text(short, [], 90)


def test_gate_finds_a_wrong_result_and_a_loud_blind_row(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = pattern("budget256/17")
    assert sparse_gate.check(chosen, "blind", 60, DEVICE)["passed"]
    assert sparse_gate.check(chosen, "text", 1, DEVICE)["passed"]
    right = sparse_gate.planned_run
    monkeypatch.setattr(sparse_gate, "planned_run", lambda plan: lambda q, k, v: right(plan)(q, k, v) * 1.05)
    assert not sparse_gate.check(chosen, "text", 60, DEVICE)["passed"]
    monkeypatch.setattr(sparse_gate, "planned_run", lambda plan: lambda q, k, v: right(plan)(q, k, v) + 1e-12)
    assert not sparse_gate.check(chosen, "blind", 60, DEVICE)["passed"]


@pytest.mark.parametrize("name", ["full/17", "budget256/17", "window64+valence4/64", "window256"])
def test_peers_compute_the_same_function(name: str) -> None:
    chosen = pattern(name, 320)
    plan = plan_classes(chosen.class_ids.view(1, -1).to(DEVICE), chosen.rules)
    seen = visible_matrix(plan.class_ids, plan.segments, plan.rules)
    assert torch.equal(sparse_peers.written_mask(plan)[:, 0], seen)
    assert sparse_peers.mean_keys(plan) == pytest.approx(float(seen.sum()) / 320)
    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    inputs = [torch.randn(1, 2, 320, 16, device=DEVICE, dtype=dtype) for _ in range(4)]
    expected = gradients(sparse_peers.planned_run(plan), *inputs)
    for other, make in sparse_peers.masked_peers(chosen, 320, DEVICE).items():
        if not other.startswith("flex"):
            for got, right in zip(gradients(make(plan, 2).run, *inputs), expected, strict=True):
                torch.testing.assert_close(got, right, rtol=1e-2, atol=2e-2 if DEVICE == "cuda" else 1e-5)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_sorted_by_class_is_the_same_and_uncompiled_flex_is_never_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sparse_peers.torch, "compile", lambda f, **_: f)
    chosen = pattern("budget256/17", 300)
    plan = plan_classes(chosen.class_ids.view(2, 150).repeat(1, 2), chosen.rules)
    q, k, v = (torch.randn(2, 2, 300, 16) for _ in range(3))
    expected = sparse_peers.planned_run(plan)(q, k, v)
    for by_class in (False, True):
        peer = sparse_peers.flex_peer(plan, 2, by_class=by_class)
        torch.testing.assert_close(peer.run(q, k, v), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(sparse_peers.Uncompiled, match="made no graph"):
        sparse_peers.check_compiled()


def test_reordering_rows_has_its_gradient() -> None:
    order = torch.stack([torch.randperm(5), torch.randperm(5)])
    there, back = sparse_peers._rows(order, 3), sparse_peers._rows(order.argsort(dim=1), 3)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    moved = sparse_peers._Reorder.apply(x, there, back)
    assert torch.equal(moved[1, 2, 0], x[1, 2, order[1, 0]])
    assert torch.autograd.gradcheck(lambda y: sparse_peers._Reorder.apply(y, there, back), x)


def test_timing_gives_flat_cells_and_memory_counts_each_storage_once() -> None:
    inputs = [torch.randn(1, 1, 8, 4) for _ in range(4)]
    cell = timed(lambda q, k, v: q * k + v, inputs)
    assert set(cell) == {f"{way}_{part}" for way in ("forward", "both") for part in ("ms", "p20", "p80")}
    assert all(0 < cell[f"{way}_p20"] <= cell[f"{way}_ms"] <= cell[f"{way}_p80"] for way in ("forward", "both"))
    one = torch.zeros(2**18)
    assert held_mib({"a": one, "b": [one[:5], torch.zeros(2**18)]}) == 2
    assert held_mib([one, torch.zeros(2**18)], without=(one,)) == 1


@pytest.mark.skipif(DEVICE == "cuda", reason="there graphs are captured")
def test_a_graph_that_cannot_be_captured_is_told_and_does_not_end_the_run() -> None:
    (failed,) = replays("both_graph", lambda: None).items()
    assert failed[0] == "both_graph_failed"
    assert failed[1].startswith("RuntimeError: ")


def test_tables_show_replayed_graphs_beside_launched_work() -> None:
    measured = cells({1024: 2.0, 4096: 1.0}, plan=12.0)
    for cell in measured:
        cell["both_graph_ms"] = cell["both_ms"] / 2
    for dense, ours in zip(measured[::2], measured[1::2], strict=True):
        add_speedups(ours, [dense])
    flex = {"n": 4096, "D": 64, "of": "budget256/17", "run": "flex", "kind": "peer"}
    measured.append({**flex, "forward_ms": 9.0, "forward_graph_ms": 8.0, "both_ms": 20.0, "both_graph_ms": 18.0})
    shown = "\n".join(line for table in sparse_figures.tables({"cells": measured}) for line in table)
    assert "| forward and backward, as a replayed graph, D = 64 | n = 1,024 | n = 4,096 | break-even n |" in shown
    assert "| ms, as replayed graphs, n = 4,096, D = 64 | budget 256 |" in shown
    assert "| flex | 8 / 18 |" in shown
    assert "| flex | 9 / 20 |" in shown
    ways = {x["way"]: x["ratio"] for x in summarise(measured, [])["against_the_same_function"]}
    assert ways == {"forward": 9, "both": pytest.approx(20 / 3), "both_graph": 12}


def test_decoding_keeps_its_memory() -> None:
    found = list(decode_cells(pattern("window64+valence4/64"), "cpu", 1, (30, 300), tokens=3))
    assert [x["after"] for x in found] == [30, 300, 30, 300]
    assert found[0]["cache_mib"] == found[1]["cache_mib"]
    assert found[3]["cache_mib"] == 10 * found[2]["cache_mib"]
    assert all(0 < x["token_p20"] <= x["token_ms"] for x in found)


def test_the_command_writes_a_file_that_the_figures_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--out", str(tmp_path), "--patterns", "window256", "full/17", "--lengths", "64", "128", "--dims", "16"]
    given += ["--gate-lengths", "1", "63", "--decode-texts", "10", "20", "--no-peers"]
    assert sparse_attention.main(given) == 0
    assert capsys.readouterr().out.startswith("break-even")
    (written,) = tmp_path.iterdir()
    result = json.loads(written.read_text())
    assert result["schema"] == "asa.benchmark.v2"
    assert result["complete"]
    assert [check["n"] for check in result["gate"]] == [1, 63, 1, 63]
    ours = [x for x in result["cells"] if x["kind"] == "ours"]
    assert [(x["run"], x["n"]) for x in ours] == [(p, n) for n in (64, 128) for p in ("full/17", "window256")]
    assert all(not isinstance(x, dict | list) for cell in result["cells"] for x in cell.values())
    assert ours[1]["keys"] == pytest.approx(32.5)
    assert sparse_figures.main([str(written), "--out", str(tmp_path)]) == 0
    assert "| no bound |" in capsys.readouterr().out
    ElementTree.parse(tmp_path / "sparse_attention_speed.D16.svg")


def test_what_time_does_not_allow_is_named(tmp_path: Path) -> None:
    given = ["--out", str(tmp_path), "--patterns", "window256", "--lengths", "64", "--dims", "16", "--seconds", "0"]
    assert sparse_attention.main([*given, "--gate-lengths", "1"]) == 0
    (written,) = tmp_path.iterdir()
    left_out = [x["run"] for x in json.loads(written.read_text())["skipped"]]
    assert left_out[0] == "window256 n=64 D=16"
    assert "flex of window256 n=64 D=16" in left_out


def test_a_failed_gate_times_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_gate, "planned_run", lambda plan: lambda q, k, v: q + k + v)
    given = ["--out", str(tmp_path), "--patterns", "window256", "--lengths", "64", "--gate-lengths", "63"]
    assert sparse_attention.main(given) == 1
    (written,) = tmp_path.iterdir()
    assert json.loads(written.read_text())["cells"] == []
    with pytest.raises(SystemExit):
        sparse_figures.main([str(written), "--out", str(tmp_path)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--patterns", "window9"], "no such pattern: ['window9']"),
        (["--lengths", "0"], "lengths and dims are at least 1, got [0]"),
        (["--tags", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_misuse_ends_with_code_2(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        sparse_attention.main(given)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_figures_refuse_what_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"schema": "asa.benchmark.v1", "cells": []}')
    with pytest.raises(SystemExit):
        sparse_figures.main([str(wrong)])
    assert "holds 'asa.benchmark.v1', expected 'asa.benchmark.v2'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_checks_are_recorded_right_wrong_and_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(device: str) -> Iterator[tuple[str, bool, dict[str, Any]]]:
        yield "holds", True, {"error": "1e-3"}
        yield "does not hold", False, {}
        raise RuntimeError("no\n memory")

    # Interpreted kernels are slow; the oracles run them.
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    given = ["--out", str(tmp_path), "--only", "refusals", "agreement/2"]
    assert sparse_checks.main(given) == 0
    (written,) = tmp_path.iterdir()
    result = json.loads(written.read_text())
    assert (result["schema"], result["failed"], result["complete"]) == ("asa.checks.v1", [], True)
    assert {x["check"] for x in result["checks"]} == {"refusals", "agreement/2"}
    assert result["torch"] == torch.__version__
    monkeypatch.setitem(sparse_checks.CHECKS, "repeats", wrong)
    assert sparse_checks.main(["--out", str(tmp_path), "--only", "repeats"]) == 1
    result = json.loads(written.read_text())
    assert result["failed"] == ["repeats: does not hold", "repeats: after 2"]
    assert result["checks"][2]["error"] == "RuntimeError: no memory"

"""The jobs that a GPU is lent for, at tiny sizes on the CPU: every line that the record needs comes out of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from feasibility.language_model.measure import SAMPLE
from feasibility.lm.fleet import run_all
from feasibility.lm.patterns import Spec, write_specs
from feasibility.long_context.jobs import LongestJob, Options, jobs
from feasibility.long_context.model import Options as ModelOptions
from feasibility.long_context.model import jobs as model_jobs
from feasibility.long_context.pace import KERNELS, PaceJob
from feasibility.long_context.record import growth, longest_in, memory_growth, per_token
from feasibility.scaling.jobs import SIZES

SPECS = (Spec("dense", keys=32.5), Spec("predetermined/64", 4, 1, 12.0))
PLACES = (40, 400)
PLACED = ("50", "400")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(SIZES, "tiny", (16, 1, 2))
    return "tiny"


def test_contexts_and_the_longest_text(tmp_path: Path, tiny: str) -> None:
    options = Options(
        SAMPLE, SPECS, size=tiny, length=128, batch=2, steps=3, contexts=(32, 128), places=PLACES, items=2,
        held_out=600,
    )  # fmt: skip
    short = [dataclasses.replace(job, limit=256) if isinstance(job, LongestJob) else job for job in jobs(options)]
    found = run_all(short, tmp_path, 2.0)
    assert not (tmp_path / "failures.txt").exists()
    assert all(line["finished"] for line in found.values())
    context = {line["spec"]["name"]: {0: line} for line in found.values() if line["kind"] == "context"}
    assert set(per_token(context, "dense")) == {32, 128}
    assert len(context["dense"][0]["contexts"]["32"]) == 4
    assert set(context["dense"][0]["positions"]) == {"64", "128"}
    streams = {line["spec"]["name"]: line for line in found.values() if line["kind"] == "stream"}
    assert memory_growth(streams["predetermined/64"], *map(str, PLACES)).value == 1.0
    assert growth(streams["dense"], *map(str, PLACES)).value > 0
    (told,) = [line for line in found.values() if line["key"].endswith("dense n=128 seed=0 steps=3x2 told")]
    assert set(told["told_names"]) == {"64"}
    (longest,) = [line for line in found.values() if line["kind"] == "longest"]
    assert longest_in(longest) == {"dense": 256, "predetermined/64": 256}


def test_the_pace_of_each_pattern_at_its_best(tmp_path: Path, tiny: str) -> None:
    cases = tuple(PaceJob(SAMPLE, tiny, dtype, 2, (50, 400), SPECS, 2, 4) for dtype in ("float32", "bfloat16"))
    found = run_all(cases, tmp_path, 1.0)
    assert not (tmp_path / "failures.txt").exists()
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        line = found[f"pace tiny {dtype} batch=2"]
        assert line["finished"]
        # Keys and values of one layer of 16 for two texts.
        assert {n: here["bytes"] for n, here in line["dense"].items()} == {
            n: int(n) * 2 * size * 16 * 2 for n in PLACED
        }
        assert all(len(here["rounds"]) == 5 and here["kernel"] in KERNELS for here in line["dense"].values())
        assert line["fixed"]["predetermined/64"]["ms"] > 0


def test_a_model_goes_all_the_way(tmp_path: Path, tiny: str) -> None:
    pytest.importorskip("transformers")
    specs = tmp_path / "specs.json"
    write_specs(specs, SPECS)
    options = ModelOptions(
        SAMPLE, specs, size=tiny, length=64, batch=2, seconds=0.1, folder=tmp_path / "hub", places=PLACES, items=1,
        written=900, write_s=5.0, held_out=300,
    )  # fmt: skip
    found = run_all(model_jobs(options), tmp_path / "runs", 2.0)
    lines = {key.rpartition(" ")[2]: line for key, line in found.items()}
    assert {"judged", "export", "stream", "written"} < set(lines)
    assert not [line.get("failed", line["key"]) for line in lines.values() if not line["finished"]]
    assert lines["export"]["logits_gap_cached"] < 1e-4
    assert lines["export"]["same_tokens_cache"]
    assert lines["written"]["written"] == 900
    assert sum(found["items"] for found in lines["judged"]["minimal_pairs"].values()) == 498
    assert (tmp_path / "hub" / "README.md").read_text() == lines["export"]["card"]

"""The recorded run of the whole protocol, and its charts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feasibility.harness import Metric
from feasibility.predetermined_embeddings.experiment import CRITERIA, Config
from feasibility.predetermined_embeddings.figures_more import sizes
from feasibility.predetermined_embeddings.record import RECORD, TOLD, NotFull, charts, keep, read_record, shown
from feasibility.predetermined_embeddings.tables import BLOCKS


def test_the_record_has_the_whole_protocol() -> None:
    recorded = read_record()
    assert recorded.facts["config"]["full"]
    assert recorded.facts["config"]["seeds"] == 10
    assert {criterion.metric for criterion in CRITERIA} <= recorded.metrics.keys()
    assert {f"without {block}, new words" for block in BLOCKS} <= recorded.metrics.keys()
    assert {"predetermined > tied, many", "learned > tied, few"} <= recorded.metrics.keys()
    assert sizes(recorded.metrics, "shots ", " learned") == [0, 1, 2, 4, 8, 16]
    assert sizes(recorded.metrics, "curve learned ") == [100, 300, 500, 1_000, 3_000, 10_000, 30_000, 100_000]
    assert sizes(recorded.metrics, "text ", " predetermined") == [10_000, 100_000, 1_000_000]
    assert shown(recorded).keys() == {f"full: {name}" for name in TOLD}
    assert not {"keep", "text"} & recorded.facts["config"].keys()


def test_every_part_has_its_chart() -> None:
    drawn = charts(read_record().metrics, recorded=True)
    assert [chart.name for chart in drawn] == ["curve.svg", "shots.svg", "blocks.svg", "text.svg"]
    assert all(str(chart.content).rstrip().endswith("</svg>") and "Recorded" in chart.caption for chart in drawn)


def test_a_run_without_a_part_has_no_chart_of_it() -> None:
    one = Metric(0.2, "nats", 3, (0.1, 0.3), "made up")
    metrics = {f"curve {label} {size}": one for label in ("learned", "predetermined", "gaussian") for size in (10, 100)}
    assert [chart.name for chart in charts(metrics, recorded=False)] == ["curve.svg"]


def test_only_results_of_the_whole_protocol_are_kept(tmp_path: Path) -> None:
    result = json.loads((RECORD.parents[2] / "results/reference/predetermined_embeddings.json").read_text())
    path = tmp_path / "predetermined_embeddings.json"
    path.write_text(json.dumps(result))
    with pytest.raises(NotFull, match="is not a result of --full; run python"):
        keep(path, "a GPU", tmp_path / "record.json")
    path.write_text(json.dumps({**result, "config": {**Config().__dict__, "full": True, "keep": "/here"}}))
    count = keep(path, "a GPU", tmp_path / "record.json")
    again = read_record(tmp_path / "record.json")
    assert len(again.metrics) == count == len(result["metrics"])
    assert again.facts["trained_on"] == "a GPU"
    assert again.facts["config"]["layers"] == 4
    assert "keep" not in again.facts["config"]
    assert again.metrics["ppl_gap"].value == result["metrics"]["ppl_gap"]["value"]
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(NotFull, match="has schema None, expected"):
        read_record(tmp_path / "x.json")

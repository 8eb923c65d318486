"""The experiment `h6`: lifts follow from sums, intervals cover, and the verdict is about the worst size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feasibility.h6 import figures as h6_figures
from feasibility.h6.arcs import measure_arcs
from feasibility.h6.findings import corrected, heads_above, lift_over, of_size, worst
from feasibility.h6.masks import CONTROLS, STRATA
from feasibility.h6.record import PUBLISHED, RecordUnusable, by_size, keep, read_record
from feasibility.h6.statistics import holm, over_chunks_and_seeds, p_value, stratified_auc
from feasibility.h6.train import SCHEMA, SIZES
from feasibility.harness import Metric


def model(size: str, seed: int, parameters: int = 1, lift: float = 0.1, chunks: int = 40) -> dict[str, Any]:
    """Made-up sums: every control gets 70 % of the population, the mask so much of the rest more."""
    generator = np.random.default_rng([seed, parameters])
    whole = generator.uniform(50, 60, chunks)
    own = whole * (0.7 + 0.3 * (lift + generator.normal(0, 0.02, chunks)))
    sums = {}
    for kind in ("", "norm ", "unmarked "):
        sums |= {f"{kind}population": whole, f"{kind}asa": own}
        sums |= {kind + control: 0.7 * whole for control in CONTROLS}
    sums |= {"raw whole": whole, "raw asa": own, "raw published": 0.4 * whole, "raw row": 0.7 * whole}
    sums |= {"auc won": whole * 6, "auc of": whole * 10, "beta": generator.normal(lift, 0.1, chunks)}
    strata = np.ones((chunks, len(STRATA)))
    strata[:, -1] = 0
    sums |= {"strata won": strata * 55, "strata of": strata * 100, "nats dense": whole}
    sums |= {f"nats {control}": whole * 1.3 for control in CONTROLS} | {"nats asa": whole * 1.2}
    head = {"population": 1.0, "auc": 0.5, "beta": 0.0, "se beta": 1.0}
    heads = [
        head | {f"{what} {control}": value for control in ("row_distance", "window") for what, value in pair.items()}
        for pair in ({"lift": 0.2, "se": 0.01}, {"lift": 0.02, "se": 0.01}, {"lift": -0.2, "se": 0.01})
    ]
    return {
        "size": size, "seed": seed, "parameters": parameters, "pieces": 100, "tokens": 1, "heads": heads,
        "shape": [1, 3], "chunks": {name: values.tolist() for name, values in sums.items()},
    }  # fmt: skip


def test_lift_is_the_share_of_what_the_control_leaves_out() -> None:
    found = lift_over([model("a", 0), model("a", 1)], "row")
    assert found.value == pytest.approx(10.0, abs=0.5)
    assert found.ci95[0] < found.value < found.ci95[1]
    assert "40 chunks and 2 training seeds" in found.method


def test_seeds_that_differ_widen_the_interval() -> None:
    like = lift_over([model("a", seed) for seed in range(3)], "row").ci95
    unlike = lift_over([model("a", seed, lift=lift) for seed, lift in enumerate((0.0, 0.1, 0.2))], "row").ci95
    assert unlike[1] - unlike[0] > 5 * (like[1] - like[0])


def test_models_of_different_chunks_cannot_be_put_together() -> None:
    with pytest.raises(ValueError, match="expected models measured on the same chunks"):
        over_chunks_and_seeds([], [], lambda: np.zeros(1), "")
    one = {"chunks": {"x": [1.0, 2.0], "y": [1.0]}}
    with pytest.raises(ValueError, match="expected models measured on the same chunks"):
        over_chunks_and_seeds([one], ["x", "y"], lambda x, y: x / y, "")


def test_intervals_cover_the_truth() -> None:
    hits = 0
    for trial in range(60):
        values = np.random.default_rng(trial).normal(3.0, 1.0, (1, 50))
        found = over_chunks_and_seeds([{"chunks": {"x": values[0]}}], ["x"], lambda x: x / 50, "", seed=trial)
        hits += found.ci95[0] <= 3.0 <= found.ci95[1]
    assert hits >= 52


def test_holm_is_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_p_is_small_where_the_interval_is_far_from_the_null() -> None:
    assert p_value(Metric(1.0, "", 9, (0.0, 2.0), "")) == pytest.approx(0.05, abs=1e-3)
    assert p_value(Metric(4.0, "", 9, (3.0, 5.0), "")) < 1e-10
    assert p_value(Metric(0.0, "", 9, (0.0, 0.0), "")) == 1.0


def test_strata_are_weighted_by_their_pairs() -> None:
    assert stratified_auc(np.array([9.0, 50.0]), np.array([10.0, 100.0])) == pytest.approx(59 / 110)


def test_heads_are_corrected_within_their_model() -> None:
    assert heads_above([model("a", 0), model("a", 1)], "window") == (2 * 2, 6)
    family = corrected({size: of_size([model(size, 0)]) for size in ("a", "b")})
    assert family.keys() == {"a", "b"}
    assert all(p < 1e-6 for each in family.values() for p in each.values())


def test_the_worst_size_speaks_with_the_worst_ends() -> None:
    figures = {"a": Metric(1.0, "%", 9, (0.5, 1.5), "m"), "b": Metric(2.0, "%", 9, (-1.0, 4.0), "m")}
    size, found = worst(figures)
    assert (size, found.value, found.ci95) == ("a", 1.0, (-1.0, 1.5))
    assert "worst of 2 sizes" in found.method
    assert worst(figures, max)[1].ci95 == (0.5, 4.0)


def test_records_are_kept_and_read(tmp_path: Path) -> None:
    for gpu, lines in enumerate(([model("b", 0, 9), model("a", 1, 3)], [model("a", 0, 3)])):
        (tmp_path / f"h6-{gpu}.json").write_text(json.dumps({"schema": SCHEMA, "models": lines}))
    runs = sorted(tmp_path.glob("h6-*.json"))
    record, published = tmp_path / "h6.json.xz", tmp_path / "h6.json"
    assert keep(runs, record, published) == 3
    assert {size: [one["seed"] for one in same] for size, same in read_record(record).items()} == {
        "a": [0, 1],
        "b": [0],
    }
    assert read_record(published) == read_record(record)


def test_records_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordUnusable, match="there twice"):
        by_size([model("a", 0), model("a", 0)])
    with pytest.raises(RecordUnusable, match="different texts"):
        by_size([model("a", 0), model("a", 1, chunks=5)])
    (tmp_path / "x.json").write_text(json.dumps({"schema": "other", "models": []}))
    with pytest.raises(RecordUnusable, match=r"has schema 'other', expected 'asa.h6-run.v1'"):
        read_record(tmp_path / "x.json")


def test_the_shipped_record_is_the_published_one() -> None:
    models = read_record()
    assert models == read_record(PUBLISHED)
    assert {size: [one["seed"] for one in same] for size, same in models.items()} == {size: [0, 1, 2] for size in SIZES}
    for one in (one for same in models.values() for one in same):
        assert len(one["heads"]) == np.prod(one["shape"])
        # In every chunk every control allows as many pairs as the mask.
        pairs = [np.array(one["chunks"][f"pairs {name}"]) for name in ("asa", *CONTROLS)]
        assert all(np.allclose(other, pairs[0], rtol=1e-3) for other in pairs)


def test_gold_arcs_are_let_through_more_often_than_chance() -> None:
    found = measure_arcs("test", 60, 0)
    assert 80 < found.recall.value < 97
    assert found.matched.value < found.recall.value
    assert found.lift > 10
    assert found.recall.n > 1


def test_charts_name_what_they_show() -> None:
    models = {size: [model(size, 0)] for size in ("5M", "17M")}
    figures = {size: of_size(same) for size, same in models.items()}
    raw = h6_figures.raw_chart(figures)
    assert "5M parameters" in raw
    assert "73.0" in raw
    assert raw == h6_figures.raw_chart(figures)
    for chart in (h6_figures.lift_chart(figures), h6_figures.cut_chart(figures)):
        assert all(name in chart for name in h6_figures.NAMES.values())
    heads = h6_figures.head_chart({size: same[0] for size, same in models.items()})
    assert "layer" in heads
    distances = h6_figures.distance_chart({"5M": [Metric(0.5, "", 9, (0.4, 0.6), "m")] * (len(STRATA) - 1) + [None]})
    assert "100-199" in distances

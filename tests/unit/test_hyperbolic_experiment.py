"""The experiment: the published data set, its arithmetic, and a small run from end to end."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from feasibility.harness import Outcome, judge, median_of, silent
from feasibility.hyperbolic_embeddings import CRITERIA, EXPERIMENT, NOT_PUBLISHED, BadConfig, Config, read_graph, run
from feasibility.hyperbolic_figures import benefit_chart, distortion_chart, plain_word
from feasibility.hyperbolic_yardstick import Yardstick, benefits, over_seeds
from hyperbolic.graph import GraphError, build_graph, closure
from periodic_table.lexicon import UnknownSynset, load_lexicon


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(EXPERIMENT.smoke, silent)


def test_the_mammals_are_the_published_set() -> None:
    graph = read_graph("mammal.n.01")
    assert (len(graph), int(closure(graph).sum())) == (1180, 6540)
    assert not {*NOT_PUBLISHED} & {*graph.names}
    whole = {name for edge in load_lexicon().subtree("mammal.n.01") for name in edge}
    assert {*NOT_PUBLISHED} < whole
    assert len(whole) == 1182


def test_the_closure_is_the_published_one_pair_by_pair(asa_data: Path) -> None:
    graph = read_graph("mammal.n.01")
    ours = {(graph.names[u], graph.names[v]) for u, v in np.argwhere(closure(graph))}
    with (asa_data / "hyperbolic" / "mammal_closure.csv").open(encoding="utf-8", newline="") as file:
        assert ours == {(row["id1"], row["id2"]) for row in csv.DictReader(file)}


def test_any_noun_can_be_the_root_and_only_mammals_are_filtered() -> None:
    graph = read_graph("dog.n.01")
    assert len(graph) == 190
    assert graph.names[graph.root] == "dog.n.01"
    with pytest.raises(UnknownSynset, match=r"no synset 'dgo.n.01'"):
        read_graph("dgo.n.01")


def test_a_word_with_hardly_anything_below_it_is_no_root() -> None:
    with pytest.raises(GraphError, match=r"only 0 edges are below 'aardvark.n.01' .*; name a more general word"):
        read_graph("aardvark.n.01")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": (1, 2)}, r"at least 2 dimensions, got dims=\(1, 2\)"),
        ({"dim": 1}, "and dim=1"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"timing_runs": 0}, "timing_runs must be at least 1"),
        ({"iterations": -3}, "iterations must be at least 1, got -3"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        run(dataclasses.replace(EXPERIMENT.smoke, **change), silent)


def test_the_smoke_run_is_judged_on_every_criterion(outcome: Outcome) -> None:
    record = judge(EXPERIMENT, EXPERIMENT.smoke, outcome, smoke=True, started_utc="", wall_s=0.0)
    assert [criterion["metric"] for criterion in record["criteria"]] == [criterion.metric for criterion in CRITERIA]
    assert record["verdict"] in ("GO", "NO-GO", "INCONCLUSIVE")
    assert {"G4"} == {criterion.roadmap for criterion in CRITERIA} - {""}


def test_the_baselines_bound_what_can_be_had(outcome: Outcome) -> None:
    ceiling, chance = outcome.baselines["tree_metric"], outcome.baselines["random_control"]
    assert ceiling["distortion"] == pytest.approx(0, abs=1e-12)
    assert (ceiling["map_neighbours"], ceiling["map_closure"], ceiling["benefit_distortion"]) == (1.0, 1.0, 100.0)
    assert chance["benefit_distortion"] < 0
    for name in ("distortion", "stress1"):
        assert ceiling[name] <= outcome.metrics[name].value < chance[name]
    for name in ("rho", "map_neighbours", "map_closure"):
        assert ceiling[name] >= outcome.metrics[name].value > chance[name]


def test_every_dimension_is_reported_for_both_geometries(outcome: Outcome) -> None:
    for name in ("distortion", "distortion_worst", "map_neighbours", "map_closure", "rho", "stress1"):
        for where in (outcome.metrics, outcome.baselines["euclidean_stress"]):
            assert {name, f"{name}_d2"} <= set(where)
    nodes = len(read_graph("feline.n.01"))
    assert outcome.metrics["memory_bytes"].value == nodes * 3 * 8
    assert outcome.metrics["memory_bytes_d2"].value == nodes * 2 * 8


def test_only_the_timed_construction_is_reported_as_a_time(outcome: Outcome) -> None:
    assert [name for name in outcome.metrics if name.startswith("construct_s")] == ["construct_s"]
    assert "median and range of 3 runs" in outcome.metrics["construct_s"].method


def test_the_worst_case_is_against_the_graph_and_of_layouts_also_against_their_tree(outcome: Outcome) -> None:
    for row in (outcome.metrics, outcome.baselines["published_construction"]):
        assert {"distortion_worst_tree", "distortion_worst_tree_d2"} <= set(row)
    for flat in ("euclidean_stress", "euclidean_absolute", "tree_metric"):
        assert not any("worst_tree" in name for name in outcome.baselines[flat])


def test_an_edge_that_the_tree_leaves_out_counts_in_the_worst_case() -> None:
    chain = [(f"n{i + 1}", f"n{i}") for i in range(5)]
    found = Yardstick(build_graph([*chain, ("m1", "n0"), ("m2", "m1"), ("m3", "m2"), ("n5", "m3")])).curved(3, 0)
    # n5 and n4 share an edge of the graph, and are far apart in the tree, which reaches n5 over m3.
    assert found["distortion_worst"] > 3 > found["distortion_worst_tree"]


def test_no_dimension_but_the_judged_one_need_be_named() -> None:
    outcome = run(dataclasses.replace(EXPERIMENT.smoke, dims=(), seeds=1), silent)
    assert "distortion" in outcome.metrics
    assert not [name for name in outcome.metrics if name.endswith("_d2")]
    with pytest.raises(BadConfig, match=r"got dims=\(\) and dim=1"):
        run(dataclasses.replace(EXPERIMENT.smoke, dims=(), dim=1), silent)


def test_a_root_with_too_many_pairs_is_refused_with_what_they_would_take() -> None:
    with pytest.raises(GraphError, match=r"'entity.n.01' .* 82,115 nodes; .* take 502 GiB, .* less general word"):
        read_graph("entity.n.01")


def test_a_run_depends_on_its_seed_alone(outcome: Outcome) -> None:
    again = run(EXPERIMENT.smoke, silent)
    timed = {name for name in outcome.metrics if name.startswith("construct_s")}
    for name in set(outcome.metrics) - timed:
        assert outcome.metrics[name] == again.metrics[name], name
    assert outcome.artifacts == again.artifacts
    other = run(dataclasses.replace(EXPERIMENT.smoke, seed=5), silent)
    assert other.metrics["distortion"].value != outcome.metrics["distortion"].value


def test_the_figures_are_well_formed_svg(outcome: Outcome) -> None:
    assert [artifact.name for artifact in outcome.artifacts] == ["disk.svg", "distortion.svg", "benefit.svg"]
    for artifact in outcome.artifacts:
        assert ElementTree.fromstring(artifact.content).tag.endswith("svg")
        assert artifact.caption


def test_the_default_judges_a_dimension_that_it_reports() -> None:
    config = Config()
    assert config.dim in config.dims
    assert (config.root, config.dims, config.seeds) == ("mammal.n.01", (2, 3, 5, 10), 3)


def test_each_measure_meets_its_own_best_opponent() -> None:
    curved = {"distortion": 0.1, "stress1": 0.1, "rho": 0.9, "map_neighbours": 0.9, "map_closure": 0.6}
    first = {"distortion": 0.2, "stress1": 0.4, "rho": 0.6, "map_neighbours": 0.3, "map_closure": 0.8}
    second = {"distortion": 0.4, "stress1": 0.2, "rho": 0.3, "map_neighbours": 0.6, "map_closure": 0.4}
    assert benefits(curved, [first, second]) == pytest.approx(
        {
            "benefit_distortion": 50.0,
            "benefit_stress1": 50.0,
            "benefit_rho": 50.0,
            "benefit_map_neighbours": 50.0,
            "benefit_map_closure": -25.0,
        }
    )


def test_seeds_become_students_interval_within_what_a_measure_can_be() -> None:
    metric = over_seeds([1.0, 2.0, 3.0], "distortion")
    # t(0.975, 2) = 4.3027, standard error 1 / sqrt(3).
    assert metric.value == 2.0
    assert metric.ci95 == pytest.approx((0.0, 2 + 4.302653 / np.sqrt(3)), abs=1e-5)
    assert over_seeds([0.99, 1.0, 1.0], "map_closure").ci95[1] == 1.0
    assert over_seeds([-30.0, -60.0, 0.0], "benefit_rho").ci95[0] < -60
    assert over_seeds([0.5, 0.5], "rho").ci95 == (0.5, 0.5)
    assert "2 seeds, all alike" in over_seeds([0.5, 0.5], "rho").method
    alone = over_seeds([0.5], "rho")
    assert (alone.ci95, alone.n) == ((0.5, 0.5), 1)
    assert "one seed, spread unknown" in alone.method


def test_the_range_of_seven_runs_is_the_interval_of_their_median() -> None:
    metric = median_of([3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0], "s")
    assert (metric.value, metric.ci95, metric.n) == (4.0, (1.0, 7.0), 7)
    assert "98.4 % interval" in metric.method


def test_a_shuffled_embedding_is_no_better_than_chance() -> None:
    yardstick = Yardstick(read_graph("feline.n.01"))
    assert yardstick.shuffled(3, 0)["map_neighbours"] < 0.2
    assert yardstick.curved(3, 0)["map_neighbours"] > 0.99


def test_charts_are_deterministic(outcome: Outcome) -> None:
    lines = {"flat": {2: 0.2, 5: 0.1}, "curved": {2: 0.02, 5: 0.004}}
    assert distortion_chart(lines) == distortion_chart(lines)
    assert "0.4 %" in distortion_chart(lines)
    assert benefit_chart(outcome.metrics, 3) == benefit_chart(outcome.metrics, 3)
    assert "exact tree" in benefit_chart(outcome.metrics, 3)
    assert "MAP" not in benefit_chart(outcome.metrics, 3)
    assert plain_word("bengal_tiger.n.01") == "bengal tiger"

"""The experiment: the published data set, its arithmetic, and a small run from end to end."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from feasibility.harness import Metric, Outcome, judge, median_of, silent
from feasibility.hyperbolic_embeddings.experiment import (
    CRITERIA,
    EXPERIMENT,
    NOT_PUBLISHED,
    BadConfig,
    Config,
    read_graph,
    run,
)
from feasibility.hyperbolic_embeddings.figures import benefit_chart, distortion_chart, plain_word
from feasibility.hyperbolic_embeddings.labels import adjusted_mutual_information, agreement, branch_labels
from feasibility.hyperbolic_embeddings.learned import LEARNED, link_split, masks, transitive_split
from feasibility.hyperbolic_embeddings.peers import peers
from feasibility.hyperbolic_embeddings.rows import CURVED, FLAT, OTHER_DIMENSIONS, Comparison, Plan, compare
from feasibility.hyperbolic_embeddings.verdicts import PEERS, verdict
from feasibility.hyperbolic_embeddings.yardstick import ERRORS, GAINS, Yardstick, benefits, over_seeds
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
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
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
    timed = {name for name in outcome.metrics if name.startswith(("construct_s", "learn_s", "pairs_per_s", "seconds_"))}
    for name in set(outcome.metrics) - timed:
        assert outcome.metrics[name] == again.metrics[name], name
    assert outcome.artifacts[:4] == again.artifacts[:4]
    other = run(dataclasses.replace(EXPERIMENT.smoke, seed=5), silent)
    assert other.metrics["distortion"].value != outcome.metrics["distortion"].value


def test_the_figures_are_well_formed_svg(outcome: Outcome) -> None:
    assert [artifact.name for artifact in outcome.artifacts] == [
        "disk.svg",
        "distortion.svg",
        "benefit.svg",
        "training.svg",
        "comparison.csv",
        "bars.svg",
        "bars.csv",
        "grid.csv",
    ]
    assert all(artifact.caption for artifact in outcome.artifacts)
    for artifact in outcome.artifacts[:4]:
        assert ElementTree.fromstring(artifact.content).tag.endswith("svg")


def test_the_default_judges_a_dimension_that_it_reports() -> None:
    config = Config()
    assert config.dim in config.dims
    assert (config.root, config.dims, config.seeds) == ("mammal.n.01", (2, 3, 5, 10), 3)


def test_every_measure_has_its_own_best_on_either_side() -> None:
    curved = [{"distortion": 0.1, "map_closure": 0.6, "rho": 0.9}, {"distortion": 0.3, "map_closure": 0.9}]
    flat = [{"distortion": 0.2, "map_closure": 0.8, "ami": 0.5}, {"distortion": 0.4, "map_closure": 0.4, "rho": 0.6}]
    assert benefits(curved, flat) == pytest.approx(
        {"benefit_distortion": 50.0, "benefit_map_closure": 12.5, "benefit_rho": 50.0}
    )


def test_every_embedding_stands_beside_the_metrics(outcome: Outcome) -> None:
    learned = {variant.name for variant in LEARNED}
    assert learned | {"euclidean_stress", "euclidean_absolute", "tree_metric"} <= set(outcome.baselines)
    for name in learned:
        row = outcome.baselines[name]
        assert {"map_learned", "learn_s", "pairs_per_s"} <= set(row)
        assert (
            ("map_links" in row) == ("map_transitive_0" in row) == (not name.startswith("euclidean") or "bias" in name)
        )
        assert ("map_learned_d2" in row) == (name in OTHER_DIMENSIONS)
    assert outcome.metrics["map_learned"].value > 0.95
    assert outcome.baselines["euclidean"]["map_learned"] < 0.6 < outcome.baselines["euclidean_bias"]["map_learned"]
    judged = {name.removeprefix("benefit_") for name in outcome.metrics if name.startswith("benefit_")}
    # The smoke tree is too small for branches of ten words at depth 3.
    assert {name for name in judged if "_d2" not in name} == {*ERRORS, *GAINS} - {"ami", "ari", "knn"}


def test_only_what_was_measured_with_every_seed_competes() -> None:
    found = Comparison({(3, 0): {"construction": {"rho": 0.9}, "lorentz": {"rho": 0.8}, "poincare": {"rho": 1.0}}})
    found.rows[3, 0] |= {"euclidean": {"rho": 0.5}, "euclidean_squared": {"rho": 0.7}}
    found.rows[3, 1] = {"construction": {"rho": 0.7}, "lorentz": {"rho": 0.6}, "euclidean": {"rho": 0.4}}
    found.rows[2, 0] = {"construction": {"rho": 0.1}}
    assert found.rivals(3) == [
        ([{"rho": 0.9}, {"rho": 0.8}], [{"rho": 0.5}]),
        ([{"rho": 0.7}, {"rho": 0.6}], [{"rho": 0.4}]),
    ]


def test_the_finding_judges_every_measure_and_recommends(outcome: Outcome) -> None:
    for words in (
        "tree distances (+",
        "hidden links",
        "ancestors, learned",
        "Recommendation: the hyperbolic construct",
    ):
        assert words in outcome.finding
    table = list(csv.reader(str(outcome.artifacts[4].content).splitlines()))
    assert table[0][:2] == ["measure, 3 dimensions", "construction"]
    assert {len(row) for row in table} == {len(table[0])}
    told = {row[0]: row[-1] for row in table[1:]}
    assert told["distortion"] == "GO"
    assert {told["distortion_worst"], told["pairs_per_s"]} == {""}


@pytest.mark.parametrize(
    ("ends", "expected"), [((5.0, 9.0), "GO"), ((-9.0, 4.9), "NO-GO"), ((4.0, 6.0), "INCONCLUSIVE")]
)
def test_the_lower_end_of_the_interval_decides(ends: tuple[float, float], expected: str) -> None:
    assert verdict(Metric(sum(ends) / 2, "%", 3, ends, "")) == expected


def test_hidden_pairs_are_never_given() -> None:
    graph = read_graph("feline.n.01")
    above, edges = masks(graph)
    links = link_split(above, edges, 0)
    assert not (links.given & links.sought).any()
    assert not (links.sought & edges).any()
    assert ((links.given | links.sought) == above).all()
    assert links.sought.sum() == round(0.2 * (above & ~edges).sum())
    for share in (0.0, 0.1):
        split = transitive_split(above, edges, share, 0)
        for one, other in itertools.combinations((split.given, split.sought, split.chosen_on), 2):
            assert not (one & other).any()
        assert (split.given & edges).sum() == edges.sum()
        assert (split.given & ~edges).sum() == round(share * (above & ~edges).sum())
        assert (transitive_split(above, edges, share, 0).sought == split.sought).all()
        assert (transitive_split(above, edges, share, 1).sought != split.sought).any()


def test_branches_are_the_labels_of_clusters_and_neighbours() -> None:
    edges = [(f"b{i}", "root") for i in range(2)] + [(f"c{i}", f"b{i}") for i in range(2)]
    edges += [(f"d{i}", f"c{i}") for i in range(2)]
    edges += [(f"leaf{i:02}", f"d{i % 2}") for i in range(24)] + [("stray", "c0")]
    graph = build_graph(edges)
    labels = branch_labels(graph)
    assert {graph.names[label] for label in set(labels.tolist()) - {-1}} == {"d0", "d1"}
    assert (labels >= 0).sum() == 26
    perfect = agreement(Yardstick(graph).hops, labels)
    assert perfect == {"ami": pytest.approx(1.0), "ari": 1.0, "knn": 1.0}
    noise = np.random.default_rng(0).random((len(graph), len(graph)))
    chance = agreement(noise + noise.T, labels)
    assert abs(chance["ami"]) < 0.2
    assert chance["knn"] < 0.9
    assert agreement(noise + noise.T, np.full(len(graph), -1)) == {}


def test_mutual_information_is_adjusted_for_chance() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 200)
    for kept in (0.0, 0.5, 1.0):
        second = np.where(rng.random(200) < kept, first, rng.integers(0, 7, 200))
        ours = adjusted_mutual_information(first, second)
        assert ours == pytest.approx(sklearn.adjusted_mutual_info_score(first, second), abs=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_other_libraries_learn_from_the_same_pairs() -> None:
    pytest.importorskip("geoopt")
    graph = read_graph("feline.n.01")
    found = peers(graph, closure(graph), 3, 0, share=0.3)
    row = found["geoopt_poincare"]
    assert 0.2 < row["map_learned"] <= 1.0
    assert row["pairs_per_s"] > 1000
    assert set(found) <= {*PEERS}


def test_the_whole_protocol_asks_everything_everywhere() -> None:
    quick = Plan((2, 5), 5, (0, 1, 2), False, 60, 100, 10)
    assert {len(quick.variants(*cell)) for cell in quick.cells()} == {len(LEARNED), 3, 2}
    assert quick.cells() == [(5, 0), (5, 1), (5, 2), (2, 0)]
    whole = dataclasses.replace(quick, every=True)
    assert whole.cells() == [(dim, seed) for dim in (5, 2) for seed in (0, 1, 2)]
    small = Yardstick(build_graph([(f"n{i}", f"n{(i - 1) // 3}") for i in range(1, 40)]))
    found = compare(small, Plan((2,), 2, (0,), True, 2, 2, 5), silent)
    assert {*CURVED, *FLAT} == set(found.rows[2, 0])


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
    assert "tree distances" in benefit_chart(outcome.metrics, 3)
    assert plain_word("bengal_tiger.n.01") == "bengal tiger"

"""The experiment as a whole at smoke size, and its parts."""

import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from feasibility.harness import judge, silent
from feasibility.md_parser.cost import eisner_operations, slope
from feasibility.md_parser.experiment import EXPERIMENT, BadConfig, Config, run
from feasibility.md_parser.measure import percentile
from feasibility.toy_grammar.rules import MalformedGrammar

SMALL = Config(sentences=40, permutations=2, repeats=2)


@pytest.fixture(scope="module")
def outcome():
    return run(SMALL, silent)


def test_a_small_run_can_be_judged(outcome):
    record = judge(EXPERIMENT, SMALL, outcome, smoke=True, started_utc="2025-01-01T00:00:00+00:00", wall_s=1.0)
    assert {c["roadmap"] for c in record["criteria"]} >= {"G3a", "G3b", "G3c"}
    assert record["metrics"]["uas"]["value"] == record["metrics"]["las"]["value"]
    assert record["metrics"]["uas"]["value"] > 90
    assert record["metrics"]["cost_exponent"]["n"] == 2 * 5


def test_baselines_are_ordered_as_they_must_be(outcome):
    rows = outcome.baselines
    assert rows["previous"]["uas"] < rows["greedy"]["uas"] < rows["eisner"]["uas"]
    assert rows["pcfg_marginals"]["uas"] >= rows["greedy"]["uas"]
    assert rows["without_charges_and_valence"]["uas"] < 40
    assert [name for name in rows if name.startswith("after_")] == ["after_0_steps", "after_10_steps"]
    assert rows["after_0_steps"]["steps_mean"] == 0
    assert rows["after_10_steps"]["steps_mean"] == 10
    assert outcome.metrics["uas_permuted"].value < 60
    for force in ("attraction", "repulsion", "backbone", "hierarchy", "shadow", "valence"):
        assert 0 <= rows[f"without_{force}"]["uas"] <= 100


def test_the_reactive_mode_stands_beside_its_own_charges(outcome):
    assert outcome.metrics["uas_reactive"].value > 90
    assert outcome.metrics["uas_reactive"].value == outcome.metrics["las_reactive"].value
    assert outcome.metrics["coverage_reactive"].value > 90
    assert {"learned_greedy", "learned_eisner", "learned_votes_eisner"} <= set(outcome.baselines)


def test_equal_seeds_give_equal_results(outcome):
    again = run(SMALL, silent)
    timed = {"us_per_sentence", "time_exponent"}
    for name, metric in outcome.metrics.items():
        if name not in timed:
            assert metric == again.metrics[name], name
    drawings = {a.name: a.content for a in outcome.artifacts if a.name != "cost.svg"}
    assert drawings == {a.name: a.content for a in again.artifacts if a.name != "cost.svg"}


def test_artifacts_are_drawings_and_a_page(outcome):
    artifacts = {artifact.name: artifact for artifact in outcome.artifacts}
    assert set(artifacts) == {
        "accuracy.svg",
        "steps.svg",
        "cost.svg",
        "arcs.svg",
        "relaxation.html",
        "reaction.html",
    }
    for name, artifact in artifacts.items():
        assert artifact.caption
        if name.endswith(".svg"):
            assert ET.fromstring(artifact.content).tag.endswith("svg")
            assert not re.search(r"<dc:date>", artifact.content)


def test_an_animation_that_cannot_be_written_is_refused_before_any_work():
    def never(items, label, total=None):
        raise AssertionError("work was begun")

    with pytest.raises(ValueError, match=r"ends in '\.avi'"):
        run(dataclasses.replace(SMALL, animate=Path("film.avi")), never)


def test_a_grammar_without_the_wanted_lengths_is_refused():
    with pytest.raises(MalformedGrammar, match="no sentence of 1 to 1 words"):
        run(dataclasses.replace(SMALL, min_length=1, max_length=1), silent)


def test_a_grammar_of_few_sentences_can_be_run_too(tmp_path):
    path = tmp_path / "few.toml"
    path.write_text(
        'format = "toy_grammar.v1"\nstart = "S"\n'
        'rules = [{ left = "S", right = ["N", "V", "N"], head = 2, weight = 1 }]\n'
        '[lexicon]\nN = { upos = "NOUN", words = ["n"] }\nV = { upos = "VERB", words = ["v"] }\n'
        '[labels]\nsubj = [[["V"], ["N"], "left"]]\nobj = [[["V"], ["N"], "right"]]\n',
        encoding="utf-8",
    )
    config = dataclasses.replace(SMALL, grammar=path, min_length=2, max_length=3)
    outcome = run(config, silent)
    assert outcome.metrics["uas"].value == 100
    assert "uas_long" not in outcome.metrics
    assert outcome.data[0].origin == "user"
    assert outcome.metrics["cost_exponent"].n == 2 * 5
    judge(EXPERIMENT, config, outcome, smoke=True, started_utc="", wall_s=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_length": 8, "max_length": 5}, "lengths from 8 to 5"),
        ({"min_length": 0}, "lengths from 0 to 10"),
        ({"steps": 0}, "steps is 0"),
        ({"sentences": 1}, "sentences is 1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(BadConfig, match=message):
        run(Config(**change), silent)


def test_slope_finds_the_exponent_and_its_uncertainty():
    lengths = [5, 10, 20, 40, 80] * 3
    assert slope(lengths, [7.0 * n**1.5 for n in lengths]).value == pytest.approx(1.5)
    noisy = slope(lengths, np.array(lengths) ** 2.0 * np.random.default_rng(0).lognormal(0, 0.3, len(lengths)))
    assert noisy.ci95[0] < 2.0 < noisy.ci95[1]


def test_eisner_is_cubic():
    lengths = [200, 400, 800]
    assert slope(lengths, [eisner_operations(n) for n in lengths]).value == pytest.approx(3.0, abs=0.02)


def test_percentile_is_an_order_statistic():
    metric = percentile(list(range(1, 101)), 0.95, "steps")
    assert metric.value == 95
    assert metric.ci95[0] < 95 < metric.ci95[1] <= 100
    assert percentile([3, 3, 3], 0.95, "steps").ci95 == (3.0, 3.0)

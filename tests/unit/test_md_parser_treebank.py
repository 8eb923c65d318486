"""The experiment on a treebank: which files it takes, what it keeps, and the whole of it on a tiny treebank."""

import dataclasses
import functools
import gzip
import lzma
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from dynamics.conllu import MalformedTreebank, Sentence
from dynamics.reactive import train
from feasibility import datasets
from feasibility.harness import judge, silent
from feasibility.md_parser import experiment, treebank_cost
from feasibility.md_parser.treebank import EXPERIMENT, BadConfig, Config, run
from feasibility.md_parser.treebank_cost import Cost, crossover
from feasibility.md_parser.treebank_data import TreebankMissing, find_parts, load_treebank, trained
from feasibility.md_parser.treebank_spatial import counted_field, known_tags, static_scores
from feasibility.toy_grammar.rules import load_grammar
from feasibility.toy_grammar.sentences import sample


def rows(sentences) -> str:
    lines = []
    for words, upos, tags, heads, labels in sentences:
        lines += [
            f"{place}\t{word}\t_\t{tag}\t{fine}\t_\t{head}\t{label}\t_\t_\n"
            for place, (word, tag, fine, head, label) in enumerate(
                zip(words, upos, tags, heads, labels, strict=True), 1
            )
        ]
        lines.append("\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A treebank of the toy grammar: a hundred training sentences, thirty to judge, twenty to test."""
    folder = tmp_path_factory.mktemp("tiny")
    grammar = load_grammar()
    drawn = [
        (s.words, [grammar.lexicon[tag].upos for tag in s.tags], s.tags, s.heads.tolist(), s.labels)
        for s in sample(grammar, 150, 4, 12, (0, 77))
    ]
    (folder / "toy-ud-train.conllu.xz").write_bytes(lzma.compress(rows(drawn[:100]).encode()))
    (folder / "toy-ud-dev.conllu").write_text(rows(drawn[100:130]), encoding="utf-8")
    (folder / "toy-ud-test.conllu.gz").write_bytes(gzip.compress(rows(drawn[130:]).encode()))
    return folder


def test_a_treebank_is_found_by_its_training_part(tiny, tmp_path):
    parts = find_parts(tiny)
    assert list(parts) == ["train", "dev", "test"]
    assert find_parts(parts["train"]) == parts
    treebank = load_treebank(tiny)
    assert {split: len(found) for split, found in treebank.splits.items()} == {"train": 100, "dev": 30, "test": 20}
    assert not treebank.english
    assert [record.origin for record in treebank.data] == ["user"] * 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"0 training parts \(no .conllu file\)"),
        (("a-dev.conllu",), r"0 training parts \(a-dev.conllu\)"),
        (("a-train.conllu", "b-train.conllu.xz"), r"2 training parts \(a-train.conllu, b-train.conllu.xz\)"),
        (("a-train.conllu", "b-dev.conllu"), "a-train.conllu has neither a dev nor a test part"),
    ],
)
def test_a_folder_without_a_treebank_is_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(TreebankMissing, match=message):
        load_treebank(tmp_path)
    with pytest.raises(TreebankMissing, match="is no folder"):
        load_treebank(tmp_path / "none")


def test_malformed_sentences_stop_the_run_or_are_counted(tiny, tmp_path):
    for path in find_parts(tiny).values():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    dev = tmp_path / "toy-ud-dev.conllu"
    dev.write_text("1\tonly nine columns\n\n" + dev.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(MalformedTreebank, match=r"toy-ud-dev.conllu:1: 2 columns"):
        load_treebank(tmp_path)
    treebank = load_treebank(tmp_path, skip_bad=True)
    assert len(treebank.splits["dev"]) == 30
    assert [place for place, _ in treebank.skipped["dev"]] == [1]


def test_what_was_trained_is_kept_until_data_settings_or_code_change(tmp_path, monkeypatch):
    monkeypatch.setenv("ASA_CACHE", str(tmp_path / "cache"))
    code = tmp_path / "code.py"
    code.write_text("x = 1", encoding="utf-8")
    calls = []

    def fetch(*what):
        def learn():
            calls.append(what)
            return len(calls)

        return trained(
            "number",
            learn,
            lambda path, model: path.write_text(str(model), encoding="utf-8") and None,
            lambda path: int(path.read_text(encoding="utf-8")),
            *what,
            sources=[code],
        )[0]

    assert [fetch("a", 0), fetch("a", 0), fetch("a", 1), fetch("b", 0), fetch("a", 0)] == [1, 1, 2, 3, 1]
    code.write_text("x = 2", encoding="utf-8")
    assert fetch("a", 0) == 4
    assert {path.parent for path in (tmp_path / "cache").rglob("*.npz")} == {
        datasets.cache_folder() / "md_parser_treebank"
    }


def test_counted_charges_are_frequencies_without_distance():
    bank = [
        Sentence(("a", "dog"), ("DET", "NOUN"), (), (2, 0), ("det", "root")),
        Sentence(("the", "old", "dog"), ("DET", "ADJ", "NOUN"), (), (3, 3, 0), ("det", "amod", "root")),
    ]
    field = counted_field(bank)
    types = field.types
    noun, det = types.index("NOUN"), types.index("DET")
    # Two determiners to the left of nouns, both bonds; one adjective to the right of a determiner, no bond.
    assert field.charges[noun + 1, det, 0, 0] == pytest.approx(np.log(2.5 / 3))
    assert field.charges[det + 1, types.index("ADJ"), 1, 0] == pytest.approx(np.log(0.5 / 2))
    assert field.charges[0, det, 1, 0] == pytest.approx(np.log(0.5 / 3))
    assert field.labels[field.label_of[noun + 1, det, 0]] == "det"
    plain, near = (static_scores(field, ("DET", "NOUN", "NOUN"), term) for term in (0.0, 1.0))
    assert plain[2, 1] == pytest.approx(plain[3, 1], abs=1e-5)
    assert near[2, 1] - near[3, 1] == pytest.approx(np.log(2.0), abs=1e-5)
    assert known_tags(field, ("DET", "SYM")) == ("DET", types[-1])


def test_the_crossover_lies_where_the_curves_meet():
    costs = [Cost(n, 1.0, 1.0, 0.0, 100.0 * n, 0.0, 0.0, 0.01 * n**3) for n in (20, 40, 80, 160, 320)]
    assert crossover(costs) == pytest.approx(100.0, rel=1e-6)
    assert crossover([cost._replace(eisner=1.0) for cost in costs]) == 320
    assert crossover([cost._replace(eisner=1e9) for cost in costs]) == 20


def test_the_flag_ud_chooses_the_experiment(tmp_path):
    assert experiment.chosen(["--steps", "50", "--ud", "there"]) is EXPERIMENT
    assert experiment.chosen(["--ud=there"]) is EXPERIMENT
    assert experiment.chosen(["--steps", "50"]) is experiment.EXPERIMENT
    with pytest.raises(experiment.BadConfig, match=r"run feasibility.md_parser.treebank"):
        experiment.run(experiment.Config(ud=tmp_path), silent)
    shared = {field.name for field in dataclasses.fields(Config)} & {
        f.name for f in dataclasses.fields(experiment.Config)
    }
    assert {"ud", "steps", "seed", "animate"} <= shared


@pytest.mark.parametrize("change", [{"steps": 0}, {"limit": -1}, {"seed": -1}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(BadConfig, match=f"{next(iter(change))} is {next(iter(change.values()))}"):
        run(Config(**change), silent)


@pytest.fixture(scope="module")
def outcome(tiny, tmp_path_factory):
    """The whole experiment on the tiny treebank, with tables to match."""
    small = functools.partial(train.Settings, charge_bits=15, label_bits=9, tag_bits=10, coupling_bits=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(train, "Settings", small)
        patch.setattr(treebank_cost, "LENGTHS", (20, 40, 80))
        patch.setattr(treebank_cost, "REPEATS", 2)
        return run(Config(ud=tiny), silent)


def test_a_run_on_any_treebank_can_be_judged(outcome, tiny):
    record = judge(EXPERIMENT, Config(ud=tiny), outcome, smoke=False, started_utc="", wall_s=1.0)
    assert len(record["criteria"]) == 16
    assert record["metrics"]["uas"]["value"] > 85
    assert record["metrics"]["coverage_repaired"]["value"] == 100
    assert record["metrics"]["uas_test"]["n"] == 20
    assert any("another treebank" in caveat for caveat in record["caveats"])


def test_every_comparison_is_there(outcome):
    rows = outcome.baselines
    decoders = {"greedy", "cle", "eisner", "eisner_expected"}
    expected = {"control", "graph", "transition", "spatial", "spatial_permuted_repaired", "words_at_random"}
    expected |= {prefix + name for prefix in ("", "votes_", "counts_", "read_by_") for name in decoders}
    couplings = ("siblings", "upbonds", "crossing", "root", "votes", "details", "all_couplings")
    expected |= {f"without_{name}" for name in couplings} | {"sites_free", "sites_3d", "sites_8d"}
    expected |= {f"after_{steps}_steps" for steps in (0, 1, 2, 4, 8, 16, 32, 100)}
    assert expected <= set(rows)
    assert rows["words_at_random"]["uas"] < 50
    lost = outcome.metrics["las_loss_sites_3d"]
    assert lost.value == pytest.approx(rows["sites_free"]["las"] - rows["sites_3d"]["las"])
    assert lost.ci95[0] <= lost.value <= lost.ci95[1]
    assert any("a place of each site in three dimensions" in caveat for caveat in outcome.caveats)
    assert rows["spatial_permuted_repaired"]["uas"] < 50
    assert 1.5 < rows["after_2_steps"]["steps_mean"] <= 2
    # Nothing else is read from the state at rest than what the parser reads, but for the repair.
    assert rows["read_by_eisner_expected"]["uas"] == pytest.approx(outcome.metrics["uas"].value, abs=3)


def test_figures_are_drawings_and_a_page(outcome):
    artifacts = {artifact.name: artifact for artifact in outcome.artifacts}
    assert set(artifacts) == {
        "accuracy.svg", "ablations.svg", "steps.svg", "cost.svg", "valence.svg", "arcs.svg", "relaxation.html",
    }  # fmt: skip
    for name, artifact in artifacts.items():
        assert artifact.caption
        if name.endswith(".svg"):
            assert ET.fromstring(artifact.content).tag.endswith("svg")

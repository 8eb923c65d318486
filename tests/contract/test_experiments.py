"""What every experiment owes its users: help, a smoke run without optional libraries, a valid and full result."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import jsonschema
import pytest
from test_imports import OPTIONAL, ROOT, fresh

import feasibility
from feasibility import EXPERIMENTS
from feasibility.__main__ import UnknownExperiment, experiment_named
from feasibility.roadmap import BY_ID

SCHEMA = json.loads((Path(feasibility.__file__).parent / "result.v1.schema.json").read_text(encoding="utf-8"))
# What an experiment is built on; it runs without all other optional libraries.
NEEDS = {
    name: {"torch"}
    for name in ("sparse_attention", "predetermined_embeddings", "language_model", "h6", "long_context", "scaling")
}
MAIN = "import runpy; sys.argv = {argv!r}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_definition(name: str) -> None:
    experiment = experiment_named(name)
    assert experiment.name == name
    assert dataclasses.is_dataclass(experiment.config)
    assert experiment.config.__dataclass_params__.frozen
    assert isinstance(experiment.smoke, experiment.config)
    assert experiment.config().seed == 0
    for criterion in experiment.criteria:
        assert criterion.why
        assert criterion.baseline
        assert criterion.roadmap == "" or criterion.roadmap in BY_ID


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_flag_is_explained(name: str) -> None:
    source = Path(experiment_named(name).run.__code__.co_filename).read_text(encoding="utf-8")
    for field in dataclasses.fields(experiment_named(name).config):
        assert re.search(rf'^    {field.name}: .*\n    """.+', source, re.MULTILINE), f"{field.name} has no help"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smoke_run_in_a_fresh_process_without_optional_libraries(name: str, tmp_path: Path) -> None:
    argv = [f"feasibility.{name}", "--smoke", "--out", str(tmp_path), "--json", str(tmp_path / "mine" / "x.json")]
    blocked = tuple({*OPTIONAL} - NEEDS.get(name, set()))
    printed = fresh(MAIN.format(argv=argv, module=f"feasibility.{name}"), blocked=blocked)
    assert "verdict:" in printed
    record = json.loads((tmp_path / "mine" / "x.json").read_text(encoding="utf-8"))
    jsonschema.validate(record, SCHEMA)
    assert record["smoke"] is True
    assert record["environment"]["torch"] is None or "torch" not in printed
    assert record["data"], "a result says which data it saw"
    for artifact in record["artifacts"]:
        assert (tmp_path / artifact["path"]).stat().st_size > 0


def test_no_two_criteria_claim_the_same_id_of_the_roadmap() -> None:
    ids = [c.roadmap for name in EXPERIMENTS for c in experiment_named(name).criteria if c.roadmap]
    assert len(ids) == len(set(ids))


def test_an_unknown_experiment_is_named() -> None:
    with pytest.raises(UnknownExperiment, match="no experiment 'md_passer'; there are: md_parser"):
        experiment_named("md_passer")


def test_list_names_what_exists_and_what_it_covers() -> None:
    printed = fresh(MAIN.format(argv=["feasibility", "--list"], module="feasibility"))
    for name in EXPERIMENTS:
        assert name in printed
    assert "G3a" in printed
    assert str(ROOT) not in printed

"""The README quotes nothing that a committed result does not hold, and its commands exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

import feasibility
from feasibility import EXPERIMENTS, store
from feasibility.report.__main__ import with_verdicts

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCHEMA = json.loads((Path(feasibility.__file__).parent / "result.v1.schema.json").read_text(encoding="utf-8"))


def test_the_table_of_verdicts_is_the_reference_results() -> None:
    assert with_verdicts(README, REFERENCE) == README, (
        "run: python -m feasibility.report --results results/reference --readme README.md"
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_reference_results_are_full_runs_of_a_clean_commit(name: str) -> None:
    record = store.load(REFERENCE / f"{name}.json")
    jsonschema.validate(record, SCHEMA)
    assert record["smoke"] is False
    assert record["environment"]["git_dirty"] is False


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in (README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        commands = re.findall(r"(?:`|^    )make (?:[A-Z]+=\S+ )?([a-z]+)", document, re.MULTILINE)
        assert commands
        assert set(commands) <= targets


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", document.read_text(encoding="utf-8")):
            path = next(filter(None, target))
            assert (document.parent / path).exists(), f"{document.name} links to {path}"


def test_files_speak_of_the_project_alone() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    # Written apart, so that this file does not name them either.
    banned = [re.compile(word) for word in ("/wo" + "rk/", "/ro" + "ot/", "Co-Authored" + "-By", r"/\.lib" + "rary")]
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".json", ".txt", ".j2", ".svg", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            for pattern in banned:
                assert not pattern.search(text), f"{name} names {pattern.pattern}"

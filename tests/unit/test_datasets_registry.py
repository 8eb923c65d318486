from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from feasibility import datasets
from feasibility.datasets import DATASETS, locate, record
from periodic_table.lexicon.storage import SHIPPED, read_manifest

ROOT = Path(__file__).resolve().parents[2]
# Licences that allow a copy to be passed on by this project.
FREE = ("MIT", "WordNet 3.0 licence", "CC BY-SA 4.0")


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_is_complete(name) -> None:
    dataset = DATASETS[name]
    assert dataset.name == name
    assert re.fullmatch(r"[0-9a-f]{64}", dataset.sha256)
    assert dataset.size > 0
    assert dataset.licence
    assert dataset.source
    assert dataset.version
    assert dataset.shipped or dataset.local
    # Only that ending is unpacked, and a local path is given without it.
    assert dataset.local is None or not dataset.local.endswith(".xz")


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.url])
def test_a_download_is_pinned_to_a_whole_commit_and_a_free_licence(name) -> None:
    dataset = DATASETS[name]
    commit = re.fullmatch(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/([0-9a-f]{40})/.+", dataset.url)
    assert commit
    assert commit[1].startswith(dataset.version)
    assert dataset.licence in ("CC BY-SA 3.0", "CC BY-SA 4.0", "public domain")


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.ships])
def test_what_ships_is_whole_free_and_needs_no_settings(name, monkeypatch) -> None:
    monkeypatch.delenv("ASA_DATA", raising=False)
    assert record(name).origin == "shipped"
    assert locate(name).stat().st_size == DATASETS[name].size
    assert DATASETS[name].licence in FREE


def test_the_lexicons_own_manifest_agrees() -> None:
    manifest, dataset = read_manifest(), DATASETS["wordnet-3.0-extract"]
    assert (manifest.name, manifest.version, manifest.sha256) == (dataset.name, dataset.version, dataset.sha256)
    assert locate(dataset.name) == SHIPPED


def test_real_data_are_what_the_registry_says(asa_data, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ASA_CACHE", str(tmp_path))
    here = [name for name, dataset in DATASETS.items() if datasets.origin_of(dataset) == "local"]
    assert "ud-english-ewt-dev" in here
    for name in here:
        assert locate(name).stat().st_size == DATASETS[name].size


def test_the_page_lists_every_dataset_with_its_licence() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    ways = {name: "ships" if d.ships else "`get`" if d.url else "local folder only" for name, d in DATASETS.items()}
    assert rows == [
        f"| `{d.name}` | {d.version} | {ways[d.name]} | {d.licence} | {d.source} |" for d in DATASETS.values()
    ]


def run(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "feasibility.datasets", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=60, check=False)


def test_the_command_line(tmp_path) -> None:
    env = {"PATH": "/usr/bin:/bin", "ASA_CACHE": str(tmp_path)}
    listed = run("list", env=env)
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in DATASETS)
    assert re.search(r"wordnet-3.0-extract +3.0 +shipped", listed.stdout)
    assert re.search(r"semcor-3.0 +3.0 +not here, no download", listed.stdout)
    assert run("path", "toy-grammar", env=env).stdout.strip() == str(locate("toy-grammar"))
    missing = run("path", "semcor-3.0", env=env)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.startswith("error: DatasetMissing: semcor-3.0 is not here; set ASA_DATA")
    assert run("get", env=env).returncode == 2
    assert run(env=env).returncode == 2


def test_verify_finds_everything_that_ships_whole(tmp_path) -> None:
    done = run("verify", env={"PATH": "/usr/bin:/bin", "ASA_CACHE": str(tmp_path)})
    assert done.returncode == 0
    assert [line.split(": ")[0].split() for line in done.stdout.splitlines()] == [
        [name, "ok,", "shipped"] for name, dataset in DATASETS.items() if dataset.ships
    ]


def test_a_wrong_local_folder_is_an_error_before_any_row(tmp_path) -> None:
    env = {"PATH": "/usr/bin:/bin", "ASA_CACHE": str(tmp_path), "ASA_DATA": str(tmp_path / "typo")}
    for word in ("list", "verify"):
        done = run(word, env=env)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: DatasetMissing: ASA_DATA is ")


def test_verify_finds_damage_and_says_so_with_its_exit_status(tmp_path) -> None:
    data = tmp_path / "data" / "lm"
    data.mkdir(parents=True)
    (data / "tinyshakespeare.txt").write_text("Exit, pursued by a bear.")
    env = {"PATH": "/usr/bin:/bin", "ASA_CACHE": str(tmp_path / "cache"), "ASA_DATA": str(tmp_path / "data")}
    done = run("verify", env=env)
    assert done.returncode == 1
    assert re.search(r"wordnet-3.0-extract +ok, shipped: ", done.stdout)
    assert re.search(r"tinyshakespeare +DAMAGED: .* expected 86c4e6aa", done.stdout)
    assert run("verify", "toy-grammar", env=env).returncode == 0


def test_importing_reads_no_data_and_no_network_library() -> None:
    code = "import sys, feasibility.datasets; print(sorted({'pooch', 'requests', 'tyro', 'rich'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"

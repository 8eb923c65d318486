"""Compiled code where it can be kept, and where it cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import dynamics
from dynamics.arborescence import greedy

PARSE = """
from dynamics import Parser
print(Parser().parse(["She", "reads", "books"], ["PRON", "VERB", "NOUN"]).heads.tolist())
"""


def test_compiled_code_is_kept_where_a_folder_can_be_written(tmp_path) -> None:
    package = copied(tmp_path)
    code = "import numpy; from dynamics.arborescence import greedy; print(greedy(numpy.zeros((3, 3))).size)"
    done = python(code, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "kept"))
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "kept").rglob("arborescence.greedy-*.nbc"))
    assert not list(package.rglob("*.nbc"))


def test_compiled_code_is_renewed_when_any_module_changes(tmp_path) -> None:
    package = copied(tmp_path)
    code = "import numpy; from dynamics.arborescence import is_tree; print(is_tree(numpy.array([0, 1])))"

    def saved() -> bool:
        done = python(code, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "kept"), NUMBA_DEBUG_CACHE="1")
        assert done.stdout.strip().endswith("True"), done.stderr
        return "data saved" in done.stdout

    assert saved()
    assert not saved()
    with (package / "forces.py").open("a") as file:
        file.write("# changed\n")
    assert saved()


def test_a_read_only_installation_without_a_home_warns_once_and_parses(tmp_path) -> None:
    # A file where the folder should be stops a superuser too, whom permissions do not stop.
    (copied(tmp_path) / "__pycache__").touch()
    done = python(PARSE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[2, 0, 2]"
    assert done.stderr.count("RuntimeWarning") == 1
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in done.stderr


def test_kernels_can_be_read_as_python() -> None:
    score = np.random.default_rng(0).normal(size=(6, 6))
    np.testing.assert_array_equal(greedy(score), greedy.py_func(score))


def copied(folder: Path) -> Path:
    package = folder / "dynamics"
    shutil.copytree(Path(dynamics.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def python(code: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code that finds the package in a folder, and no place for caches but what `env` names."""
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME"), "/dev/null")
    command = [sys.executable, "-P", "-c", code]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **nowhere, **env}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, timeout=280, check=False)

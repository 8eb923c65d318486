"""Which package may import which, what imports cost, and what still works without the optional libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A package may import the ones named here and no other of ours.
MAY_IMPORT = {
    "periodic_table": set(),
    "dynamics": {"periodic_table"},
    "hyperbolic": set(),
    "sparse_attn": set(),
    "feasibility": {"periodic_table", "dynamics", "hyperbolic", "sparse_attn"},
}
# Libraries that only the named places may import.
ONLY_IN = {
    "torch": ("sparse_attn", "feasibility"),
    "triton": ("sparse_attn/impl/triton",),
    "nltk": ("periodic_table/lexicon",),
    "spacy": ("periodic_table/integrations",),
    "transformers": ("sparse_attn/integrations", "feasibility/lm/hub.py", "feasibility/long_context/model.py"),
}
OPTIONAL = ("torch", "nltk", "spacy", "geoopt", "triton")
NEEDS = {"sparse_attn": {"torch"}}

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked for this test")
sys.meta_path.insert(0, Block())
"""


def sources() -> list[Path]:
    return sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_packages_import_in_one_direction() -> None:
    wrong = {
        (str(path.relative_to(ROOT)), other)
        for path in sources()
        for other in imported(path) & (MAY_IMPORT.keys() - MAY_IMPORT[path.relative_to(ROOT).parts[0]])
        if other != path.relative_to(ROOT).parts[0]
    }
    assert wrong == set()


def test_heavy_libraries_stay_in_their_rooms() -> None:
    wrong = {
        (str(path.relative_to(ROOT)), library)
        for path in sources()
        for library in imported(path) & ONLY_IN.keys()
        if not path.relative_to(ROOT).as_posix().startswith(ONLY_IN[library])
    }
    assert wrong == set()


def fresh(code: str, blocked: tuple[str, ...] = ()) -> str:
    """Run code in a new interpreter in which some libraries cannot be imported; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=set(blocked)) + code],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", MAY_IMPORT)
@pytest.mark.parametrize("library", OPTIONAL)
def test_every_public_name_is_there_without(package: str, library: str) -> None:
    if library in NEEDS.get(package, ()):
        pytest.skip(f"{package} is built on {library}")
    fresh(f"import {package}\nfor name in {package}.__all__: getattr({package}, name)", (library,))


@pytest.mark.parametrize("package", sorted(MAY_IMPORT.keys() - NEEDS.keys()))
def test_imports_are_quick_and_without_torch(package: str) -> None:
    code = f"import time; start = time.process_time(); import {package}; print(time.process_time() - start)"
    code += "\nassert 'torch' not in sys.modules and 'numba' not in sys.modules"
    assert min(float(fresh(code)) for _ in range(3)) < 0.3

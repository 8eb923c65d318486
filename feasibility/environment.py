"""On what a result was made: commit, interpreter, machine, library versions, and a checksum of our own code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("periodic_table", "dynamics", "hyperbolic", "sparse_attn", "feasibility")
LIBRARIES = ("numpy", "scipy", "numba", "matplotlib", "torch", "triton", "geoopt")


def environment() -> dict[str, Any]:
    """The `environment` block of an `asa.result.v1` record, as it is now: take it before the run.

    Versions are read from the installed packages' metadata, so that torch is not imported for its version.
    `gpu` is None here; `gpu_name` tells it after a run.
    """
    return {
        **_git(),
        "code_sha256": code_sha256(),
        "python": platform.python_version(),
        "os": platform.platform(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **{name: _version(name) for name in LIBRARIES},
        "gpu": None,
    }


def code_sha256() -> str:
    """A checksum over the project's own sources, by relative path: equal code, equal sum."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in {".py", ".toml", ".j2", ".html", ".json"} and path.is_file():
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _git() -> dict[str, Any]:
    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy may sit inside somebody else's repository: only our own counts.
    top = ask("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != ROOT:
        return {"git_commit": None, "git_dirty": None}
    changes = ask("status", "--porcelain")
    return {"git_commit": ask("rev-parse", "HEAD"), "git_dirty": None if changes is None else bool(changes)}


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_name() -> str | None:
    """The GPU, where the run has used torch and torch sees one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())

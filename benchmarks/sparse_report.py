"""The result file, schema asa.benchmark.v2.

It is written whole after every entry, so that a run cut short keeps what it has.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.sparse_summary import GRAPHS, LAYERS, SCHEMA, WAYS, summarise, summary_lines
from feasibility.store import write_atomic

CAVEATS = (
    "forward and both: as launched, so that where the device is done sooner than the host can launch (short texts, a "
    "busy host) they are the host's times; forward_graph and both_graph: the same work as a replayed CUDA graph, "
    "which is the device's own time. Everyone is timed both ways; compare like with like.",
    "speedup: against the faster dense backend, which ignores the rules, in the same run. It leaves the plan out; "
    f"speedup_with_plan and total_ms count 1/{LAYERS} of plan_ms (forward: of plan_forward_ms), for a plan serves "
    f"{LAYERS} layers.",
    "plan_ms of a peer: its block mask (FlexAttention; built from per-block extremes of what our plan knows of each "
    "token, whose own cost is not counted) or its written-out mask.",
    "flex sorted: with permuting query, key and value and putting back the output counted.",
    "Decoding: one layer; the dense cache is given ready-filled and nothing is appended to it.",
)


class Report:
    """One result file in the making.

    Args:
        folder: where it goes.
        head: where the numbers come from; `device` names the file.
    """

    def __init__(self, folder: Path, head: dict[str, Any]) -> None:
        self.path = folder / f"sparse_attention.{short_name(head['device'])}.json"
        self._begin = time.monotonic()
        self._content: dict[str, Any] = {"schema": SCHEMA, "summary": {}, **head, "caveats": list(CAVEATS)}
        for section in ("gate", "cells", "decode", "skipped"):
            self._content[section] = []
        self._write()

    @property
    def cells(self) -> list[dict[str, Any]]:
        """What has been timed so far."""
        found: list[dict[str, Any]] = self._content["cells"]
        return found

    def add(self, section: str, entry: dict[str, Any]) -> None:
        """Append an entry, say it on stderr, write the file anew."""
        self._content[section].append(entry)
        print(_line(section, entry), file=sys.stderr, flush=True)
        self._write()

    def finish(self) -> list[str]:
        """The summary to read."""
        self._write(complete=True)
        return summary_lines(self._content["summary"])

    def _write(self, complete: bool = False) -> None:
        self._content["summary"] = summarise(self.cells, self._content["decode"])
        self._content["wall_s"] = round(time.monotonic() - self._begin, 1)
        self._content["complete"] = complete
        write_atomic(self.path, json.dumps(self._content, indent=1, default=str) + "\n")


def _sources() -> dict[str, Any]:
    """The commit that is measured; where sources travel without their history, the caller names it."""
    named = os.environ.get("ASA_COMMIT")
    if named:
        return {"commit": named}
    changed = _output("git", "status", "--porcelain", "--untracked-files=no").splitlines()
    return {"commit": _output("git", "rev-parse", "HEAD") or "unknown", "changed_files": changed}


def environment(device: str) -> dict[str, Any]:
    """Where the numbers come from."""
    found: dict[str, Any] = {
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **_sources(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": None,
        "layers_per_plan": LAYERS,
    }
    if find_spec("triton") is not None:
        import triton

        found["triton"] = triton.__version__
    if device == "cpu":
        return {**found, "device": f"CPU, {torch.get_num_threads()} threads", "cpu": platform.machine()}
    return {
        **found,
        "device": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or None,
    }


def _output(*command: str) -> str:
    """What a program prints, or nothing where it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def short_name(device: str) -> str:
    """The device in a file name: h200, cpu."""
    name = device.split(",")[0].removeprefix("NVIDIA").strip().lower()
    return "".join(c if c.isalnum() else "-" for c in name) or "unknown"


def _line(section: str, entry: dict[str, Any]) -> str:
    """One line for whoever waits."""
    if section == "gate":
        verdict = "right" if entry["passed"] else f"WRONG: ours {entry['ours']}, eager {entry['eager']}"
        problem = f"{entry['pattern']:22} {entry['case']:8} n={entry['n']:<5}"
        return f"gate {problem} {entry['share']:.2f} of the error allowed: {verdict}"
    if section == "skipped":
        return f"left out: {entry['run']} ({entry['why']})"
    if section == "decode":
        return (
            f"{entry['run']:34} {entry['device']:4} after {entry['after']:<7} {entry['token_ms']:7.3f} ms a token, "
            f"{entry['cache_mib']:.2f} MiB"
        )
    line = f"{entry['run']:24} {entry.get('of', ''):22} n={entry['n']:<6} D={entry['D']:<4}"
    if "failed" in entry:
        return f"{line} {entry['failed']}"
    for way in (*WAYS, *GRAPHS):
        if f"{way}_ms" in entry:
            line += f" {way} {entry[f'{way}_ms']:8.3f} ms"
        if f"{way}_speedup_with_plan" in entry:
            line += f" ({entry[f'{way}_speedup']:.2f}x, with plan {entry[f'{way}_speedup_with_plan']:.2f}x)"
    return line + (f" plan {entry['plan_ms']:.2f} ms" if "plan_ms" in entry else "")

"""Many measurements on many GPUs in little time: jobs are dealt out in order, each result is a line of JSON at once.

    lines = run_all(jobs, Path("runs"), minutes=4)

A job that breaks is noted and does not stop the others; what is there already is not done again; after so many minutes
no job is begun, and jobs are told when they must have ended.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

import torch

from feasibility.store import write_atomic

Line = dict[str, Any]
Save = Callable[[Line], None]


class Job(Protocol):
    """One measurement. Its instances are pickled, so they are dataclasses of plain values."""

    @property
    def key(self) -> str:
        """Names its main line among all lines."""

    def run(self, device: str, deadline: float, save: Save) -> None:
        """Measure on a device ("cpu", "cuda:1"), end by the deadline (of `time.time()`), save lines that have a key.

        The job counts as done when a line with its own key and "finished": True was saved.
        """


def run_all(
    jobs: Sequence[Job],
    out: Path,
    minutes: float,
    *,
    known: Mapping[str, Line] | None = None,
    devices: Sequence[str] | None = None,
) -> dict[str, Line]:
    """Run what is not there yet, one job at a time on each device, in the order given.

    Args:
        jobs: the most important ones first.
        out: folder; <device>.jsonl grows with each line, lines.jsonl holds all in the end, failures.txt what broke.
        minutes: from the call to the end.
        known: lines from elsewhere that count as done.
        devices: all GPUs by default, or the CPU where there are none.

    Returns: key -> line, of this call and of earlier ones in this folder; not the known ones.
    """
    deadline = time.time() + 60 * minutes
    devices = devices or [f"cuda:{gpu}" for gpu in range(torch.cuda.device_count())] or ["cpu"]
    out.mkdir(parents=True, exist_ok=True)
    finished = {key for key, line in {**(known or {}), **read_lines(out)}.items() if line.get("finished")}
    waiting = [job for job in jobs if job.key not in finished]
    pools = {device: _pool(len(devices)) for device in devices}
    running: dict[Future[str | None], tuple[str, Job]] = {}
    free = list(devices)
    while True:
        while waiting and free and time.time() < deadline:
            device, job = free.pop(0), waiting.pop(0)
            running[pools[device].submit(_run_one, job, device, deadline, out)] = device, job
        if not running:
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            device, job = running.pop(future)
            failure = _failure_of(future)
            if failure is not None:
                _note(out, f"{job.key} on {device}\n{failure}")
                # Nothing is certain of a process that broke on a GPU.
                pools[device].shutdown(wait=False, cancel_futures=True)
                pools[device] = _pool(len(devices))
            free.append(device)
    for pool in pools.values():
        pool.shutdown(wait=False, cancel_futures=True)
    lines = read_lines(out)
    write_atomic(out / "lines.jsonl", "".join(json.dumps(line) + "\n" for line in lines.values()))
    return lines


def attempt(save: Save, key: str, make: Callable[[], Line]) -> bool:
    """Save what is made; if that breaks, note why under its key and go on. Returns whether it was made."""
    try:
        save(make())
    except Exception:  # one part that breaks must not take the others with it
        save({"key": key, "finished": False, "failed": traceback.format_exc()})
        return False
    return True


def read_lines(out: Path) -> dict[str, Line]:
    """All lines of a folder's .jsonl files by key, later ones in place of earlier ones."""
    return lines_of(sorted(out.glob("*.jsonl")))


def lines_of(paths: Iterable[Path]) -> dict[str, Line]:
    """All lines of these files by key; a last line that was cut off by a kill is left out."""
    found = {}
    for path in paths:
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            found[line["key"]] = line
    return found


def _pool(devices: int) -> Executor:
    """A process, because Python threads of several devices would wait for one another; for one device a thread."""
    if devices == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _run_one(job: Job, device: str, deadline: float, out: Path) -> str | None:
    """Run a job; returns what broke, or None."""
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        # More threads would only make the processes wait for one another.
        torch.set_num_threads(1)
        # What was compiled for the last job would be looked through in vain at every call.
        torch.compiler.reset()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = time.time()

    def save(line: Line) -> None:
        facts = {"device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"}
        line = {**line, **facts, "torch": torch.__version__, "wall_s": round(time.time() - started, 2)}
        with (out / f"{device.replace(':', '')}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{device} {line['wall_s']:7.1f} s  {line['key']}", file=sys.stderr, flush=True)

    try:
        job.run(device, deadline, save)
    except Exception:  # a broken job must not take the others with it
        return traceback.format_exc()
    return None


def _failure_of(future: Future[str | None]) -> str | None:
    try:
        return future.result()
    except Exception:  # the process died
        return traceback.format_exc()


def _note(out: Path, text: str) -> None:
    print(text, file=sys.stderr, flush=True)
    with (out / "failures.txt").open("a", encoding="utf-8") as file:
        file.write(text + "\n")

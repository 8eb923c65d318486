"""`python -m feasibility`: the scorecard and the report, and what an interruption costs (nothing but the time)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from feasibility import EXPERIMENTS, store
from feasibility.__main__ import UNFINISHED

ROOT = Path(__file__).resolve().parents[2]


def start(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "feasibility", "--smoke", "--out", str(out), *words]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A suite that runs in the background has Ctrl-C switched off, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def check_folder(out: Path) -> None:
    """Whatever happened: every result file there is whole, its artifacts are there, no scratch is left."""
    for path in out.glob("*.json"):
        for artifact in store.load(path)["artifacts"]:
            assert (out / artifact["path"]).is_file()
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("how", "names"), [(signal.SIGKILL, ()), (signal.SIGINT, ("md_parser", "hyperbolic_embeddings"))]
)
def test_a_second_run_takes_up_an_interrupted_one(tmp_path: Path, how: signal.Signals, names: tuple[str, ...]) -> None:
    first = start(tmp_path, *names)
    wait_for(tmp_path / f"{EXPERIMENTS[0]}.json", first)
    os.kill(first.pid, how)
    first.communicate(timeout=60)
    assert first.returncode == (-9 if how is signal.SIGKILL else 130)
    assert (tmp_path / UNFINISHED).is_file()
    kept = (tmp_path / f"{EXPERIMENTS[0]}.json").read_bytes()

    # As a kill in the middle of a write leaves it; its process is dead.
    (tmp_path / f".{EXPERIMENTS[1]}.json.{first.pid}.tmp").write_text("{half")
    second = start(tmp_path, *names, "--json", str(tmp_path / "mine" / "scorecard.json"))
    printed, progress = second.communicate(timeout=240)
    assert second.returncode == 0, progress
    assert f"{EXPERIMENTS[0]}: kept from the interrupted run" in progress
    assert (tmp_path / f"{EXPERIMENTS[0]}.json").read_bytes() == kept
    assert set(store.load_all(tmp_path)) == set(names or EXPERIMENTS)
    check_folder(tmp_path)
    assert not (tmp_path / UNFINISHED).exists()

    assert "Scorecard" in printed
    assert "not measured" in printed
    assert "Month 3: radical go/no-go: UNCLEAR" in printed, "smoke runs decide nothing"
    assert (tmp_path / "report.html").stat().st_size > 20_000
    scorecard = json.loads((tmp_path / "mine" / "scorecard.json").read_text(encoding="utf-8"))
    assert scorecard["schema"] == "asa.scorecard.v1"


def test_a_half_written_result_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).write_text(json.dumps({"started": "2020-01-01T00:00:00+00:00", "names": [EXPERIMENTS[0]]}))
    (tmp_path / f"{EXPERIMENTS[0]}.json").write_text('{"schema": "asa.result.v1", "exper')
    run = start(tmp_path, EXPERIMENTS[0])
    _, progress = run.communicate(timeout=120)
    assert run.returncode == 0, progress
    assert "kept" not in progress
    check_folder(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("md_passer",), "no experiment 'md_passer'"),
        (("--seed", "-1"), "--seed is -1, expected an integer of at least 0"),
        (("--json", "."), "--json: cannot write"),
    ],
)
def test_misuse_is_found_before_any_work(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    run = start(tmp_path, *words)
    _, progress = run.communicate(timeout=60)
    assert run.returncode == 2
    assert progress.count("\n") == 1
    assert message in progress
    assert not list(tmp_path.iterdir())


def test_a_part_of_an_interrupted_run_leaves_the_rest_owed(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).write_text(json.dumps({"started": "2020-01-01T00:00:00+00:00", "names": list(EXPERIMENTS)}))
    run = start(tmp_path, EXPERIMENTS[1])
    _, progress = run.communicate(timeout=120)
    assert run.returncode == 0, progress
    assert json.loads((tmp_path / UNFINISHED).read_text())["names"] == [EXPERIMENTS[0], *EXPERIMENTS[2:]]


def test_a_reader_that_stops_reading_costs_nothing(tmp_path: Path) -> None:
    command = (
        f"{sys.executable} -m feasibility {EXPERIMENTS[1]} --smoke --out {tmp_path} | true; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").is_file()
    assert not (tmp_path / UNFINISHED).exists()

"""Several processes train as one: DDP and FSDP2 over gloo, two processes, the same loss curve to 1e-5."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lm_cases import write_lab

from feasibility.lm.distributed import Team, joined, shared_like, whole
from feasibility.lm.run import Options, main, run


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    out = tmp_path / "same.json"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launch, "-m", "feasibility.lm.same_loss", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert found["processes"] == 2
    assert len(found["alone"]["losses"]) == 12
    # Resumed: FSDP2 saved whole tensors, broke off, and DDP went on from them.
    for way in ("ddp", "fsdp", "fsdp, recomputing", "fsdp, broken off and resumed by ddp"):
        assert found[way]["gap"] < 1e-5, way
    assert found["alone"]["losses"]["12"] < found["alone"]["losses"]["1"] - 0.1
    assert 0 < found["jittered"]["gap"] < 1e-5


def test_shares_are_equal_rows() -> None:
    teams = [Team(rank, 2, "ddp", torch.device("cpu"), None) for rank in (0, 1)]  # type: ignore[arg-type]
    x = torch.arange(12).view(4, 3)
    assert torch.equal(torch.cat([team.share(x) for team in teams]), x)
    with pytest.raises(ValueError, match="a batch of 3 cannot be shared by 2 processes"):
        teams[0].share(x[:3])


def test_plain_states_stay_as_they_are() -> None:
    state = {"a": torch.ones(2), "b": {"c": [torch.zeros(1), 3]}}
    found = whole(state)
    assert found["a"] is state["a"]
    assert found["b"]["c"][1] == 3
    assert shared_like(state["a"], torch.ones(2)) is state["a"]


def test_errors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RuntimeError, match="needs several processes; start it with torchrun"), joined("fsdp"):
        pass
    with pytest.raises(ValueError, match="spread must be one of ddp, fsdp, got 'zero'"), joined("zero"):  # type: ignore[arg-type]
        pass


def test_one_model_by_name(tmp_path: Path) -> None:
    lab = write_lab(tmp_path)
    options = Options(
        lab / "lm.npz", lab / "patterns.json", "random/8.0", tmp_path / "one",
        steps=8, rate=1e-2, length=32, batch=4, dim=16, layers=1, heads=2, save_every=4,
    )  # fmt: skip
    line = run(options)
    assert line["finished"]
    assert line["dev"]["per_token"] < 3.7
    assert json.loads((tmp_path / "one" / "result.json").read_text())["dev"] == line["dev"]
    assert (tmp_path / "one" / "run.pt").is_file()
    assert json.loads((tmp_path / "one" / "log.jsonl").read_text().splitlines()[-1])["step"] == 8
    # It is done: the same command trains no further and scores the same.
    assert run(options)["dev"] == line["dev"]


def test_what_is_not_there_is_exit_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none.npz")]) == 2
    assert "error: FileNotFoundError" in capsys.readouterr().err

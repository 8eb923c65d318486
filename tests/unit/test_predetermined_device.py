"""The trainings of the whole protocol on a machine that has torch and little else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feasibility.predetermined_embeddings import device
from feasibility.predetermined_embeddings.experiment import Config
from feasibility.predetermined_embeddings.jobs import Kept, Unfinished


def test_whatever_happens_the_bundle_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    errors: list[Exception | None] = [Unfinished("2 models are not trained"), RuntimeError("no memory"), None]
    seen: list[Config] = []

    def carry_out(config: Config, track: object, kept: Kept) -> None:
        seen.append(config)
        kept.add([f"model{len(seen)}"], [{"dev": 1.0, "excess": np.ones(3)}])
        if error := errors[len(seen) - 1]:
            raise error

    monkeypatch.setattr(device, "carry_out", carry_out)
    for number in range(3):
        done = device.train(str(tmp_path / "out.npz"), 2.0, keep=str(tmp_path / "keep"), workers=3, seeds=2)
        assert done == (number == 2)
        # Also what the earlier runs left in the folder.
        with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
            assert len(file.files) == 2 * (number + 1)
    assert seen[0].full
    assert (seen[0].seeds, seen[0].minutes, seen[0].dim, seen[0].processes) == (2, 2.0, 144, 3)
    said = capsys.readouterr()
    assert "2 models are not trained" in said.out
    assert "RuntimeError: no memory" in said.err
    assert f"3 models in {tmp_path / 'out.npz'}; all of the protocol" in said.out


def test_a_bundle_of_another_machine_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Kept(None, tmp_path / "earlier.npz")
    there.add(["model"], [{"dev": 1.0}])
    there.close()
    monkeypatch.setattr(device, "carry_out", lambda config, track, kept: kept["model"])
    earlier = str(tmp_path / "earlier.npz")
    assert device.train(str(tmp_path / "out.npz"), keep=str(tmp_path / "keep"), earlier=earlier)

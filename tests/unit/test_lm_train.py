"""Training: it learns, it repeats, it goes on after kill -9 to the same loss, it never scores padding."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from feasibility.lm.model import LanguageModel, ModelConfig
from feasibility.lm.train import IGNORED, Batches, CheckpointMismatch, TrainConfig, token_loss, train

SIZES = ModelConfig(vocab=20, dim=16, layers=1, heads=2, dropout=0.1, max_length=16)
TEXT = torch.arange(2000) % 7 + torch.randint(3, (2000,), generator=torch.Generator().manual_seed(0))
CONFIG = TrainConfig(steps=12, lr=1e-2, warmup=2, log_every=4, save_every=4)

# A process of its own, slow enough to be killed in the middle.
RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests/unit")
from test_lm_train import *
def slowly(items, label, total=None):
    for item in items:
        yield item
        time.sleep(float(sys.argv[2]))
result = train(model(), batches(), CONFIG, Path(sys.argv[1]), track=slowly)
print(repr(result.losses))
"""


def model() -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(SIZES)


def batches() -> Batches:
    return Batches(TEXT, length=16, batch=4, seed=5)


def test_the_loss_falls() -> None:
    config = TrainConfig(steps=60, lr=1e-2, warmup=5, log_every=20)
    losses = train(model(), batches(), config).losses
    assert list(losses) == [20, 40, 60]
    assert losses[60] < losses[20] - 0.3


def test_the_same_seed_gives_the_same_run() -> None:
    assert train(model(), batches(), CONFIG).losses == train(model(), batches(), CONFIG).losses


def test_a_killed_run_goes_on_to_the_same_loss(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    child = subprocess.Popen([sys.executable, "-c", RUN, str(path), "0.3"], stdout=subprocess.PIPE)
    while not path.exists() and child.poll() is None:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert child.communicate()[0] == b""
    assert torch.load(path, weights_only=True)["step"] in (4, 8)
    resumed = train(model(), batches(), CONFIG, path).losses
    whole = train(model(), batches(), CONFIG).losses
    assert resumed.keys() == whole.keys()
    assert max(abs(resumed[step] - whole[step]) for step in whole) < 1e-6


def test_a_finished_checkpoint_trains_no_further(tmp_path: Path) -> None:
    first = model()
    train(first, batches(), CONFIG, tmp_path / "run.pt")
    again = model()
    assert train(again, batches(), CONFIG, tmp_path / "run.pt").finished
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(model(), batches(), CONFIG, tmp_path / "run.pt")
    with pytest.raises(CheckpointMismatch, match="is of another run"):
        train(model(), batches(), TrainConfig(steps=13), tmp_path / "run.pt")


def test_log_lines(tmp_path: Path) -> None:
    train(model(), batches(), CONFIG, log=tmp_path / "logs" / "run.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "logs" / "run.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert lines[-1]["eta_s"] == 0
    assert lines[0]["loss"] > 0
    assert lines[0]["tokens_per_second"] > 0


def test_the_deadline_ends_a_run() -> None:
    result = train(model(), batches(), CONFIG, deadline=time.monotonic() - 1)
    assert not result.finished
    assert result.losses == {}


def test_padding_is_never_scored() -> None:
    class Padded:
        def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
            inputs, targets = batches()[step]
            targets = targets.clone()
            targets[:, 8:] = IGNORED
            return inputs, targets

    net = model().eval()
    inputs, targets = Padded()[0]
    total, count = token_loss(net, net.states(inputs), targets)
    log_p = net(inputs).log_softmax(-1)[:, :8].gather(-1, targets[:, :8, None])
    assert int(count) == 4 * 8
    torch.testing.assert_close(total, -log_p.sum())
    assert train(model(), Padded(), CONFIG).losses[12] > 0


def test_batches_are_a_function_of_seed_and_step() -> None:
    one, other = batches(), batches()
    for step in (40, 3, 40):
        assert torch.equal(one[step][0], other[step][0])
        assert torch.equal(one[step][0][:, 1:], one[step][1][:, :-1])
    assert not torch.equal(one[0][0], Batches(TEXT, 16, 4, seed=6)[0][0])


def test_a_pass_reads_every_chunk_once() -> None:
    line = Batches(torch.arange(2000), length=16, batch=4, seed=0)
    starts = torch.cat([line[step][0][:, 0] for step in range(30)])
    assert len(starts.unique()) == len(starts) == 120
    assert len((starts % 16).unique()) == 1


def test_a_text_may_bring_its_classes() -> None:
    seen = []

    def make_plan(inputs: Tensor, classes: Tensor) -> None:
        seen.append(torch.equal(classes, inputs * 2))

    train(model(), Batches(TEXT, 16, 4, seed=5, classes=2 * TEXT), CONFIG, make_plan=make_plan)
    assert seen == [True] * 12
    with pytest.raises(ValueError, match="expected a class for each of 2000 tokens, got 3"):
        Batches(TEXT, 16, 4, seed=5, classes=TEXT[:3])


def test_rate_rises_and_falls() -> None:
    config = TrainConfig(steps=100, lr=1.0, warmup=10)
    assert config.rate(0) == pytest.approx(0.1)
    assert config.rate(10) == pytest.approx(1.0)
    assert config.rate(55) == pytest.approx(0.5)
    assert config.rate(100) == pytest.approx(0.0)


def test_errors_are_named() -> None:
    with pytest.raises(ValueError, match="a batch of 4 chunks of 16 tokens needs a text of 81 tokens, got 30"):
        Batches(TEXT[:30], 16, 4, 0)
    with pytest.raises(ValueError, match="lr must be above 0, got 0"):
        TrainConfig(steps=1, lr=0.0)
    with pytest.raises(ValueError, match="save_every must be at least 1, got 0"):
        TrainConfig(steps=1, save_every=0)
    broken = model()
    with torch.no_grad():
        broken.norm.weight.fill_(torch.inf)
    with pytest.raises(FloatingPointError, match="not finite before step 4"):
        train(broken, batches(), CONFIG)

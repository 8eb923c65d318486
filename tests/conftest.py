"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from feasibility.harness import Artifact, Criterion, Experiment, Metric, Outcome, Track, exact

if not torch.cuda.is_available():
    # Triton reads it when it is first imported, and many libraries import it: so before any test module is read.
    os.environ["TRITON_INTERPRET"] = "1"

# The same examples in every run, and no failure for a slow machine; `--hypothesis-profile default` searches anew.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def asa_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is not there."""
    folder = os.environ.get("ASA_DATA")
    if not folder:
        pytest.skip("ASA_DATA is not set: this test compares with data that the project does not ship")
    return Path(folder)


@dataclass(frozen=True)
class ToyConfig:
    """Config of an experiment that only tests run."""

    value: float = 95.0
    """The accuracy that it reports."""
    half_width: float = 1.0
    """Half of its interval."""
    seed: int = 0
    """Not used by it, but every experiment has one."""


def _toy_run(config: ToyConfig, track: Track) -> Outcome:
    for _ in track(range(2), "measuring"):
        pass
    low, high = config.value - config.half_width, config.value + config.half_width
    return Outcome(
        metrics={"uas": Metric(config.value, "%", 100, (low, high), "made up for a test"), "steps": exact(7, "steps")},
        baselines={"greedy": {"uas": 90.0, "steps": 0.0}},
        artifacts=(
            Artifact(
                "box.svg", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><g id="a"/></svg>', "A box."
            ),
        ),
        caveats=("This is a test.",),
        finding="It came out as it was told to.",
    )


@pytest.fixture
def toy() -> Experiment:
    """A complete experiment that takes no time: one roadmap criterion (>= 80) and one of its own (>= 95)."""
    return Experiment(
        name="md_parser",
        title="Toy",
        claim="The toy claims nothing.",
        config=ToyConfig,
        smoke=ToyConfig(value=85.0),
        criteria=(
            Criterion("uas", ">=", 80.0, "the roadmap's bar", baseline="greedy", roadmap="G3b"),
            Criterion("steps", "<=", 100.0, "the roadmap's bar", baseline="greedy", roadmap="G3a"),
        ),
        run=_toy_run,
    )

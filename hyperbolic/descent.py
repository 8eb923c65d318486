"""How points are learned: the recipe, one pass after the other, and the checkpoint between them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hyperbolic.manifolds import Geometry
from hyperbolic.storage import read_npz, write_npz

Points = NDArray[np.floating[Any]]
Pairs = NDArray[np.int64]
Dtype = Literal["float64", "float32"]

# Greatest |x| in the ball. The usual 1e-5 stops float64 at radius 12.2 and costs MAP .07 in the plane.
BALL_LIMIT = {"float64": 1.0 - 1e-10, "float32": 1.0 - 1e-5}
# The same as a radius, 23.7 and 12.2, for both models of curved space.
RADIUS_LIMIT = {dtype: 2.0 * math.atanh(limit) for dtype, limit in BALL_LIMIT.items()}
# From a random start: so many passes at a hundredth of the rate, before subtrees are far apart.
BURN_IN = 20
CHECKPOINT = "hyperbolic.checkpoint.v1"
SECONDS_BETWEEN_CHECKPOINTS = 20.0


class BadCheckpoint(ValueError):
    """A checkpoint that does not belong to this run; the message says in what it differs."""


@dataclass(frozen=True)
class Recipe:
    """How points are learned; the defaults are what the figures of docs/hyperbolic.md were measured with.

    Args:
        epochs: passes over all pairs.
        negatives: nodes drawn a pair, uniformly from those that are not among the node's positives.
        rates: learning rate at the beginning and at the end, linear between.
        start: "tree" begins with a layout of the spanning tree (flat space: classical scaling of its distances),
            "random" within 0.001 of the centre, with 20 passes of burn-in.
        bias: flat space only: one more number a node, added to the distance of a candidate.
        squared: flat space only: score by the squared distance.
        dtype: "float64" or "float32", of the points; sums are always float64.
        seed: of start, order and negatives, 0 or more.
    """

    epochs: int = 400
    negatives: int = 50
    rates: tuple[float, float] = (0.5, 0.01)
    start: Literal["tree", "random"] = "tree"
    bias: bool = False
    squared: bool = False
    dtype: Dtype = "float64"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.negatives < 1 or self.seed < 0:
            raise ValueError(
                "expected at least one epoch, one negative and a seed of 0 or more, got "
                f"epochs={self.epochs}, negatives={self.negatives}, seed={self.seed}"
            )
        if len(self.rates) != 2 or not all(np.isfinite(rate) and rate > 0 for rate in self.rates):
            raise ValueError(f"expected two positive learning rates, first and last, got rates={self.rates}")
        if self.dtype not in BALL_LIMIT:
            raise ValueError(f"expected dtype 'float64' or 'float32', got {self.dtype!r}")
        if self.start not in ("tree", "random"):
            raise ValueError(f"expected start='tree' or start='random', got {self.start!r}")
        if self.bias and self.squared:
            raise ValueError("choose between bias and squared: the score is one or the other")


@dataclass
class State:
    """Where a run stands: what a checkpoint holds. The number of losses is the number of finished epochs."""

    points: Points
    bias: Points
    losses: list[float] = field(default_factory=list)
    compared: int = 0


@dataclass(frozen=True, eq=False)
class Descent:
    """Passes over the pairs; the n-th one depends on the state and on n alone.

    Args:
        geometry: where the points live.
        recipe: rates, negatives, seed.
        pairs: [M, 2] int, (node, ancestor).
        start: [N + 1] int, above: [M] int: the positives of node u, never drawn as its negatives.
    """

    geometry: Geometry
    recipe: Recipe
    pairs: Pairs
    start: Pairs
    above: Pairs

    def walk(self, state: State) -> None:
        """Do one pass and move the state on.

        Raises:
            FloatingPointError: a coordinate is not finite any more, which flat space can reach at a high rate.
        """
        from hyperbolic import kernels

        epoch, recipe = len(state.losses), self.recipe
        rng = np.random.default_rng([recipe.seed, 1, epoch])
        pairs = self.pairs[rng.permutation(len(self.pairs))]
        seed = rng.integers(2**63, dtype=np.uint64)
        common = (pairs, self.start, self.above, recipe.negatives, self.rates(epoch))
        if self.geometry == "euclidean":
            loss, compared = kernels.euclidean_pass(state.points, state.bias, recipe.squared, *common, seed)
        elif self.geometry == "poincare":
            loss, compared = kernels.poincare_pass(state.points, *common, BALL_LIMIT[recipe.dtype], seed)
        else:
            limit = math.cosh(RADIUS_LIMIT[recipe.dtype])
            loss, compared = kernels.lorentz_pass(state.points, *common, limit, seed)
        if not (np.isfinite(loss) and np.isfinite(state.points).all()):
            raise FloatingPointError(
                f"points are not finite any more after epoch {epoch + 1}; lower the rates, now {recipe.rates}"
            )
        state.losses.append(float(loss))
        state.compared += int(compared)

    def rates(self, epoch: int) -> tuple[float, float]:
        """The learning rate at the beginning and at the end of an epoch, counted from 0."""
        first, last = self.recipe.rates
        begin, end = (first + (last - first) * (epoch + step) / self.recipe.epochs for step in (0, 1))
        if self.recipe.start == "random" and epoch < min(BURN_IN, self.recipe.epochs // 2):
            return begin / 100.0, end / 100.0
        return begin, end

    def clamped(self, points: Points) -> float:
        """The share of points on the clamp, 0 to 1; none in flat space."""
        if self.geometry == "euclidean":
            return 0.0
        space = points if self.geometry == "poincare" else points[:, 1:]
        length = np.linalg.norm(space.astype(np.float64), axis=1)
        radius = 2.0 * np.arctanh(length) if self.geometry == "poincare" else np.arcsinh(length)
        return float(np.mean(radius > RADIUS_LIMIT[self.recipe.dtype] - 0.1))


class Checkpoint:
    """A state on disk, with a description of the run that it belongs to."""

    def __init__(self, path: Path, description: dict[str, Any]) -> None:
        self.path, self.description = path, {"kind": CHECKPOINT, **description}
        self.kept = time.monotonic()

    def restore(self, state: State) -> None:
        """Bring a fresh state to where the file left off, if there is one.

        Raises:
            BadCheckpoint: the file is of another run.
            BadFile: it is no checkpoint.
        """
        if not self.path.exists():
            return
        arrays, found = read_npz(self.path, CHECKPOINT)
        differ = [name for name, value in self.description.items() if _plain(value) != found.get(name)]
        if differ:
            told = ", ".join(f"{name} {found.get(name)!r} instead of {self.description[name]!r}" for name in differ)
            raise BadCheckpoint(f"{self.path} belongs to another run: it has {told}; name another file or delete it")
        state.points, state.bias = arrays["points"], arrays["bias"]
        state.losses, state.compared = arrays["losses"].tolist(), int(found["compared"])

    def keep(self, state: State, *, last: bool) -> None:
        """Write the state, if it is the last one or some time has passed."""
        if last or time.monotonic() - self.kept > SECONDS_BETWEEN_CHECKPOINTS:
            arrays = {"points": state.points, "bias": state.bias, "losses": np.array(state.losses)}
            write_npz(self.path, arrays, {**self.description, "compared": state.compared})
            self.kept = time.monotonic()


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value

"""Tables of word vectors that are known before training, all of one size and one spectrum, and modules that hold them.

Axes: `V` entries of the vocabulary (100 places, then BOUNDARY and UNKNOWN), `W` places, `E` width, `K` rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feasibility.toy_world.grammar import World
from periodic_table import coordinates

PLACES = 100
BOUNDARY, UNKNOWN = PLACES, PLACES + 1
VOCABULARY = PLACES + 2
# What a table is made of: the blocks that speak of meaning and not of form, frequency or number of senses. Chosen among
# four sets on dev sentences and new words of seeds that the experiment does not use.
BLOCKS = ("block", "supersense", "kind", "kin", "verb", "definition", "company")
# Directions of the coordinates that a table keeps.
RANK = 32
# Share of a row's square that tells words apart which the coordinates cannot: "of" from "in". The same in every table.
CODE_SHARE = 0.2
# Root mean square of an entry of a table that is known beforehand, and of one that is learned from nothing, where the
# training begins. Each is the better of the two for its kind on dev sentences.
SCALE, LEARNED_SCALE = 0.2, 0.02


@dataclass(frozen=True)
class Condition:
    """How one side of a model gets its word vectors.

    Args:
        table: "" for none (learned from nothing), or a kind that `word_table` knows.
        scale: of a learned part that is added to the table; 0 freezes it.
        adapter: whether a learned linear map is applied to the table.
        rank: of the learned part, 0 for no bound.
        unknown: share of the tokens that the model reads as UNKNOWN in training.
    """

    table: str = ""
    scale: float = 0.0
    adapter: bool = False
    rank: int = 0
    unknown: float = 0.0


CONDITIONS = {
    "learned": Condition(scale=1.0),
    "predetermined": Condition("coordinates"),
    "world": Condition("world"),
    "residual": Condition("coordinates", scale=0.3),
    "initialised": Condition("coordinates", scale=1.0),
    "adapter": Condition("coordinates", adapter=True),
    "gaussian": Condition("gaussian"),
    "orthonormal": Condition("orthonormal"),
    "binary": Condition("binary"),
    "shuffled": Condition("shuffled"),
    "pos": Condition("pos"),
    "ppmi": Condition("ppmi"),
    "learned_rank": Condition(scale=1.0, rank=RANK),
    "learned_unknown": Condition(scale=1.0, unknown=0.05),
}


class UnknownTable(LookupError):
    """A kind of table that there is not."""


def word_table(
    kind: str, world: World, dim: int, seed: int, sentences: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """A table of a kind, for the places of a world.

    Each is sqrt(1 - c) structure + sqrt(c) code. The structure has the `RANK` leading directions of its source, with
    the singular values of the coordinates whatever the source, in a random subspace; the code is Gaussian. So all
    differ in which word has which row and in nothing that could be had more cheaply. Exceptions: "orthonormal" is
    spread as evenly as V rows in E axes can be, and "pos" has fewer directions; both have the same norm.

    Args:
        kind: "coordinates" (of each place's word, `BLOCKS`, each of the same weight), "shuffled"
            (these, dealt out to other words), "pos" (part of speech alone), "gaussian", "binary", "orthonormal",
            "ppmi" (what stands near what, counted in `sentences`), "world" (what the grammar itself says of a place:
            the best that any table could know).
        world: which word stands where. A misaligned world gives each open-class word another's coordinates of the same
            part of speech; "shuffled" takes them from any word.
        dim: E, at least `RANK`.
        seed: of subspace, code and shuffling.
        sentences: [S, L] int64 places, -1 after the end; for "ppmi" alone.

    Returns:
        [V, E] float32 with root mean square `SCALE`; the rows of BOUNDARY and UNKNOWN are Gaussian.

    Raises:
        UnknownTable: no such kind, or "ppmi" without sentences.
        ValueError: dim below `RANK`.
    """
    if dim < RANK:
        raise ValueError(f"a table of rank {RANK} needs dim >= {RANK}, got {dim}")
    rng = np.random.default_rng([seed, 7])
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:RANK]
    code = rng.standard_normal((VOCABULARY, dim))
    if kind == "orthonormal":
        code[:] = 0.0
        code[:, : min(dim, VOCABULARY)] = np.linalg.qr(rng.standard_normal((VOCABULARY, VOCABULARY)))[0][:, :dim]
        return _scaled(code)
    left, values = _directions(kind, world, rng, sentences)
    structure = np.zeros((VOCABULARY, dim))
    structure[:PLACES] = (left * values) @ turn
    structure[PLACES:] = rng.standard_normal((2, dim))
    return _scaled(np.sqrt(1 - CODE_SHARE) * _scaled(structure) + np.sqrt(CODE_SHARE) * _scaled(code))


def _scaled(table: NDArray[np.float64]) -> NDArray[np.float32]:
    table = table.copy()
    for rows in (slice(0, PLACES), slice(PLACES, None)):
        table[rows] *= SCALE / np.sqrt(np.square(table[rows]).mean())
    return table.astype(np.float32)


def _directions(
    kind: str, world: World, rng: np.random.Generator, sentences: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[W, K] orthonormal columns and [K] singular values."""
    left, values = _coordinate_directions()
    left = left[world.own]
    if kind == "coordinates":
        return left, values
    if kind == "shuffled":
        return left[rng.permutation(PLACES)], values
    if kind == "world":
        return _leading(np.hstack([_one_hot(world.pos), uses(world)]))[0], values
    if kind == "pos":
        return _leading(_one_hot(world.pos))
    if kind == "gaussian":
        return _leading(rng.standard_normal((PLACES, 4 * RANK)))[0], values
    if kind == "binary":
        return _leading(rng.choice(np.array([-1.0, 1.0]), (PLACES, 4 * RANK)))[0], values
    if kind == "ppmi" and sentences is not None:
        return _leading(_ppmi(sentences))[0], values
    raise UnknownTable(
        f"no table {kind!r}; there are coordinates, world, shuffled, pos, gaussian, binary, orthonormal and, with "
        "sentences, ppmi"
    )


@cache
def _balanced() -> NDArray[np.float64]:
    """[W, axes] coordinates of the table's words in their own places, each block of total variance 1."""
    from feasibility.toy_world.grammar import build_world

    words, tags = zip(*build_world().words, strict=True)
    parts = [coordinates.matrix(words, tags, (name,)) for name in BLOCKS]
    centred = [part - part.mean(axis=0) for part in parts]
    return np.hstack([part / np.sqrt(np.square(part).sum(axis=1).mean()) for part in centred])


@cache
def _coordinate_directions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _leading(_balanced())


def uses(world: World) -> NDArray[np.float64]:
    """[W, 4 W] 0 or 1: what each place selects and what selects it, in both kinds."""
    return np.hstack([part for table in world.licensed.astype(float) for part in (table, table.T)])


def _one_hot(labels: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[float(label == other) for other in sorted(set(labels))] for label in labels])


def features(world: World) -> NDArray[np.float64]:
    """[W, axes] float64, the coordinates of the word in each place: what side information there is."""
    return _balanced()[world.own]


def _leading(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, values, _ = np.linalg.svd(matrix - matrix.mean(axis=0), full_matrices=False)
    kept = values[:RANK] * (values[:RANK] > 1e-9 * values[0])
    return np.pad(left[:, :RANK], ((0, 0), (0, RANK - len(kept)))), np.pad(kept, (0, RANK - len(kept)))


def _ppmi(sentences: NDArray[np.int64]) -> NDArray[np.float64]:
    """[W, 4 W] positive mutual information with the words one and two before and after.

    Source: Bullinaria and Levy (2007).
    """
    parts = []
    for gap in (1, 2):
        first, second = sentences[:, :-gap].ravel(), sentences[:, gap:].ravel()
        both = (first >= 0) & (second >= 0)
        counts = np.zeros((PLACES, PLACES))
        np.add.at(counts, (first[both], second[both]), 1.0)
        parts += [counts, counts.T]
    counts = np.hstack(parts)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(np.maximum(np.log(counts / expected), 0.0), posinf=0.0), dtype=np.float64)


class Table(nn.Module):
    """Word vectors of which any part may be known beforehand: rows = (fixed + scale * free P)(1 + on A).

    All conditions have the same tensors, so that models of several conditions can be trained in one batch.

    Args:
        condition: which parts are learned.
        fixed: [V, E], the table where there is one.
        generator: of the learned part where there is no table.
    """

    fixed: Tensor
    scale: Tensor
    project: Tensor
    adapted: Tensor

    def __init__(self, condition: Condition, fixed: NDArray[np.float32] | None, dim: int, generator: torch.Generator):
        super().__init__()
        start = torch.zeros(VOCABULARY, dim) if fixed is None else torch.as_tensor(fixed)
        project = torch.eye(dim)
        if condition.rank:
            basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0][:, : condition.rank]
            project = basis @ basis.T
        self.register_buffer("fixed", start)
        self.register_buffer("scale", torch.tensor(condition.scale))
        self.register_buffer("project", project)
        self.register_buffer("adapted", torch.tensor(float(condition.adapter)))
        noise = LEARNED_SCALE * torch.randn(VOCABULARY, dim, generator=generator)
        self.free = nn.Parameter(noise if fixed is None else torch.zeros(VOCABULARY, dim))
        self.adapter = nn.Parameter(torch.zeros(dim, dim))

    def rows(self) -> Tensor:
        """[V, E], as the model reads them now."""
        rows = self.fixed + self.scale * self.free @ self.project
        return rows + self.adapted * (rows @ self.adapter)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N] int64 -> [B, N, E]."""
        return nn.functional.embedding(tokens, self.rows())


class Output(nn.Module):
    """Logits from a table of word vectors, after a learned map where the table is frozen; and a learned bias.

    Args:
        condition, fixed, dim, generator: as for `Table`.
    """

    def __init__(self, condition: Condition, fixed: NDArray[np.float32] | None, dim: int, generator: torch.Generator):
        super().__init__()
        # Without the map a frozen output could neither turn nor sharpen its logits.
        self.table = Table(condition, fixed, dim, generator)
        self.table.adapted.fill_(float(fixed is not None))
        self.bias = nn.Parameter(torch.zeros(VOCABULARY))

    def forward(self, states: Tensor) -> Tensor:
        """[B, N, E] -> [B, N, V]."""
        return states @ self.table.rows().T + self.bias

"""Tables of word vectors that are known before training, all of one size and one spectrum.

Axes: `V` entries of the vocabulary (100 places, then BOUNDARY and UNKNOWN), `W` places, `E` width, `K` rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from feasibility.toy_world.grammar import World
from periodic_table import coordinates

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

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
        blocks: of the coordinates, where they are the table.
        like: the condition whose recipe it is trained with; "" for its own.
    """

    table: str = ""
    scale: float = 0.0
    adapter: bool = False
    rank: int = 0
    unknown: float = 0.0
    blocks: tuple[str, ...] = BLOCKS
    like: str = ""


# An output with the rows of the input.
TIED = "tied"
CONDITIONS = {
    "learned": Condition(scale=1.0),
    "predetermined": Condition("coordinates"),
    "world": Condition("world"),
    "residual": Condition("coordinates", scale=0.3),
    "initialised": Condition("coordinates", scale=1.0),
    "adapter": Condition("coordinates", adapter=True),
    "gaussian": Condition("gaussian"),
    "orthonormal": Condition("orthonormal", like="gaussian"),
    "binary": Condition("binary", like="gaussian"),
    "shuffled": Condition("shuffled"),
    "pos": Condition("pos", like="gaussian"),
    "ppmi": Condition("ppmi", like="gaussian"),
    "learned_rank": Condition(scale=1.0, rank=RANK, like="learned"),
    "learned_unknown": Condition(scale=1.0, unknown=0.05, like="learned"),
    **{f"without_{name}": Condition("coordinates", blocks=tuple(b for b in BLOCKS if b != name), like="predetermined")
       for name in BLOCKS},
    **{f"only_{name}": Condition("coordinates", blocks=(name,), like="predetermined") for name in BLOCKS},
}  # fmt: skip


class UnknownTable(LookupError):
    """A kind of table that there is not."""


def word_table(
    kind: str,
    world: World,
    dim: int,
    seed: int,
    sentences: NDArray[np.int64] | None = None,
    blocks: tuple[str, ...] = BLOCKS,
) -> Floats32:
    """A table of a kind, for the places of a world.

    Args:
        kind: "coordinates" (of each place's word), "shuffled" (these, dealt out to other words), "pos" (part of speech
            alone), "gaussian", "binary", "orthonormal", "ppmi" (what stands near what, counted in `sentences`),
            "world" (what the grammar itself says of a place: the best that any table could know).
        world: which word stands where. A misaligned world gives each open-class word another's coordinates of the same
            part of speech; "shuffled" takes them from any word.
        dim: E, at least `RANK`.
        seed: of subspace, code and shuffling.
        sentences: [S, L] int64 places, -1 after the end; for "ppmi" alone.
        blocks: of the coordinates, each of the same weight.

    Returns:
        [V, E] float32 with root mean square `SCALE`, see `assemble`; the rows of BOUNDARY and UNKNOWN are Gaussian.

    Raises:
        UnknownTable: no such kind, or "ppmi" without sentences.
        ValueError: dim below `RANK`.
    """
    if dim < RANK:
        raise ValueError(f"a table of rank {RANK} needs dim >= {RANK}, got {dim}")
    if kind == "orthonormal":
        return evenly_spread(VOCABULARY, dim, 2, seed)
    return assemble(lambda rng: _directions(kind, world, rng, sentences, blocks), dim, 2, seed)


def assemble(
    directions: Callable[[np.random.Generator], tuple[Floats, Floats]], dim: int, others: int, seed: int
) -> Floats32:
    """A table of sqrt(1 - c) structure + sqrt(c) code.

    The structure has the leading directions of its source, with the singular values of the coordinates whatever the
    source, in a random subspace; the code is Gaussian. So all tables differ in which word has which row and in nothing
    that could be had more cheaply. Exceptions: `evenly_spread`, and part of speech alone, which has fewer directions;
    both have the same norm.

    Args:
        directions: makes [W, K] orthonormal columns and [K] singular values.
        dim: E, at least K.
        others: further entries after the W words, with Gaussian rows.
        seed: of subspace and code.

    Returns: [W + others, E] float32.
    """
    rng, chosen = np.random.default_rng([seed, 7]), np.random.default_rng([seed, 8])
    left, values = directions(chosen)
    words, rank = left.shape
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:rank]
    code = rng.standard_normal((words + others, dim))
    structure = np.vstack([(left * values) @ turn, rng.standard_normal((others, dim))])
    mixed = np.sqrt(1 - CODE_SHARE) * _scaled(structure, others) + np.sqrt(CODE_SHARE) * _scaled(code, others)
    return _scaled(mixed, others)


def evenly_spread(vocabulary: int, dim: int, others: int, seed: int) -> Floats32:
    """[V, E] rows of an orthogonal matrix: spread as evenly as V rows in E axes can be."""
    code = np.zeros((vocabulary, dim))
    square = np.random.default_rng([seed, 7]).standard_normal((vocabulary, vocabulary))
    code[:, : min(dim, vocabulary)] = np.linalg.qr(square)[0][:, :dim]
    return _scaled(code, others)


def _scaled(table: Floats | Floats32, others: int) -> Floats32:
    table = table.copy()
    words = len(table) - others
    for rows in (slice(0, words), slice(words, None)):
        table[rows] *= SCALE / np.sqrt(np.square(table[rows]).mean())
    return table.astype(np.float32)


def _directions(
    kind: str,
    world: World,
    rng: np.random.Generator,
    sentences: NDArray[np.int64] | None,
    blocks: tuple[str, ...] = BLOCKS,
) -> tuple[Floats, Floats]:
    left, values = _coordinate_directions()
    left = left[world.own]
    if kind == "coordinates":
        return (left if blocks == BLOCKS else leading(_balanced(blocks), RANK)[0][world.own]), values
    if kind == "shuffled":
        return left[rng.permutation(PLACES)], values
    if kind == "world":
        return leading(np.hstack([one_hot(world.pos), uses(world)]), RANK)[0], values
    if kind == "pos":
        return leading(one_hot(world.pos), RANK)
    if kind == "gaussian":
        return leading(rng.standard_normal((PLACES, 4 * RANK)), RANK)[0], values
    if kind == "binary":
        return leading(rng.choice(np.array([-1.0, 1.0]), (PLACES, 4 * RANK)), RANK)[0], values
    if kind == "ppmi" and sentences is not None:
        return leading(mutual_information(sentences, PLACES), RANK)[0], values
    raise UnknownTable(
        f"no table {kind!r}; there are coordinates, world, shuffled, pos, gaussian, binary, orthonormal and, with "
        "sentences, ppmi"
    )


@cache
def _balanced(blocks: tuple[str, ...] = BLOCKS) -> Floats:
    """[W, axes] coordinates of the table's words in their own places."""
    from feasibility.toy_world.grammar import build_world

    words, tags = zip(*build_world().words, strict=True)
    return balanced(words, tags, blocks)


def balanced(words: Sequence[str], tags: Sequence[str], blocks: tuple[str, ...]) -> Floats:
    """[W, axes] coordinates of words, each block centred and of total variance 1 (0 where all words are alike)."""
    parts = [coordinates.matrix(words, tags, (name,)) for name in blocks]
    centred = [part - part.mean(axis=0) for part in parts]
    spread = [np.sqrt(np.square(part).sum(axis=1).mean()) for part in centred]
    return np.hstack([part / (size or 1.0) for part, size in zip(centred, spread, strict=True)])


@cache
def _coordinate_directions() -> tuple[Floats, Floats]:
    return leading(_balanced(), RANK)


def uses(world: World) -> Floats:
    """[W, 4 W] 0 or 1: what each place selects and what selects it, in both kinds."""
    return np.hstack([part for table in world.licensed.astype(float) for part in (table, table.T)])


def one_hot(labels: Sequence[str]) -> Floats:
    """[W, kinds] 0 or 1."""
    return np.array([[float(label == other) for other in sorted(set(labels))] for label in labels])


def features(world: World) -> Floats:
    """[W, axes] float64, the coordinates of the word in each place: what side information there is."""
    return _balanced()[world.own]


def leading(matrix: Floats, rank: int) -> tuple[Floats, Floats]:
    """The strongest directions of a matrix without its mean row: [W, K] left vectors and [K] singular values.

    Directions that it does not have are 0.
    """
    left, values, _ = np.linalg.svd(matrix - matrix.mean(axis=0), full_matrices=False)
    kept = values[:rank] * (values[:rank] > 1e-9 * values[0])
    missing = rank - len(kept)
    return np.pad(left[:, :rank] * (kept > 0), ((0, 0), (0, missing))), np.pad(kept, (0, missing))


def mutual_information(sentences: NDArray[np.int64], words: int) -> Floats:
    """[W, 4 W] positive mutual information with the words one and two before and after.

    Args:
        sentences: [S, L] int64 in [0, W), -1 for what is no word.
        words: W.

    Source: Bullinaria and Levy (2007).
    """
    parts = []
    for gap in (1, 2):
        first, second = sentences[:, :-gap].ravel(), sentences[:, gap:].ravel()
        both = (first >= 0) & (second >= 0)
        pairs = first[both] * words + second[both]
        counts = np.bincount(pairs, minlength=words**2).reshape(words, words).astype(np.float64)
        parts += [counts, counts.T]
    counts = np.hstack(parts)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(np.maximum(np.log(counts / expected), 0.0), posinf=0.0), dtype=np.float64)

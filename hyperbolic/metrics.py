"""How well distances keep a graph: distortion of its metric, and retrieval of what is near or above a node.

All definitions refuse numbers that are not finite, since a comparison with NaN is false and would read as a perfect
rank, and count ties against the embedding, since points that coincide tell nothing apart.

Axis legend: N nodes; row u, column v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pairs = NDArray[np.intp]

# Rows compared at once: few enough for a processor's cache.
_BLOCK = 128


@dataclass(frozen=True)
class Distortion:
    """How far the distances d of an embedding are from the distances t of a graph, over all pairs; r = d/t.

    Args:
        average: min over scales s of mean |s r - 1|; 0 is perfect.
        worst: max r / min r; 1 is perfect, infinite where two nodes share a place.
        scale: the s of the average.
        stress1: Kruskal's stress-1, sqrt(sum (c d - t)^2 / sum (c d)^2) with the c that makes it least.
        rho: Spearman's rank correlation of d and t; 0 where all distances are equal.
    """

    average: float
    worst: float
    scale: float
    stress1: float
    rho: float


@dataclass(frozen=True, eq=False)
class Retrieval:
    """How well each node's row of scores, ascending, finds the nodes that it should.

    Args:
        average_precision: one value a node that has something to find, in the order of the nodes.
        map: their mean, 0 to 1.
        mean_rank: mean over all sought pairs of 1 + the wrong nodes at the same score or a lower one.
    """

    average_precision: Floats
    map: float
    mean_rank: float


def distortion(distances: ArrayLike, targets: ArrayLike) -> Distortion:
    """Compare the distances of an embedding with those of the graph, over all pairs of different nodes.

    Args:
        distances: [N, N] symmetric, >= 0.
        targets: [N, N] symmetric, > 0 off the diagonal.

    Raises:
        ValueError: unequal shapes, fewer than 2 nodes, a number that is not finite, a matrix that is not symmetric (up
            to rounding, 1e-9 relative), or distances that are all 0.

    Cost: O(N^2 log N) time, some 50 N^2 bytes.
    """
    d, t = _pairs(distances, targets)
    ratio = d / t
    # min over c of sum (c d - t)^2 / sum (c d)^2: the sine of the angle between d and t.
    aligned = float(d @ t) ** 2 / (float(d @ d) * float(t @ t))
    scale = _best_scale(ratio)
    return Distortion(
        average=_average(ratio, scale),
        worst=_worst(ratio),
        scale=scale,
        stress1=float(np.sqrt(max(0.0, 1.0 - aligned))),
        rho=_spearman(d, t),
    )


def average_distortion(distances: ArrayLike, targets: ArrayLike) -> float:
    """The `average` of `distortion` alone, which is much cheaper.

    Raises:
        ValueError: see `distortion`.
    """
    d, t = _pairs(distances, targets)
    ratio = d / t
    return _average(ratio, _best_scale(ratio))


def worst_distortion(distances: ArrayLike, targets: ArrayLike) -> float:
    """The `worst` of `distortion` alone, which is much cheaper.

    Raises:
        ValueError: see `distortion`.
    """
    d, t = _pairs(distances, targets)
    return _worst(d / t)


def retrieval(scores: ArrayLike, sought: ArrayLike, ignored: ArrayLike | None = None) -> Retrieval:
    """Rank all other nodes of each row by score, lowest first, and see where the sought ones come.

    For the j-th best sought node v of u the precision is j / (j + #{w not sought: score(u, w) <= score(u, v)}).
    Distances with `adjacency` give the MAP of neighbours, `path_excess` with `closure` the MAP of ancestors.

    Args:
        scores: [N, N] float, low is near; the diagonal is ignored.
        sought: [N, N] bool.
        ignored: [N, N] bool, neither right nor wrong: what was given in training, where the rest is to be predicted.

    Raises:
        ValueError: unequal shapes, a score that is not finite, or nothing sought.

    Cost: O(N * sought pairs).
    """
    s, wanted = _square(scores, "scores"), np.asarray(sought, dtype=bool).copy()
    if s.shape != wanted.shape:
        raise ValueError(f"expected scores and sought of one shape, got {s.shape} and {wanted.shape}")
    np.fill_diagonal(wanted, False)
    if not wanted.any():
        raise ValueError("nothing is sought: expected at least one true value off the diagonal")
    aside = np.zeros_like(wanted) if ignored is None else np.asarray(ignored, dtype=bool)
    if aside.shape != s.shape:
        raise ValueError(f"expected scores and ignored of one shape, got {s.shape} and {aside.shape}")
    others = ~(wanted | aside)
    np.fill_diagonal(others, False)
    node, found = np.nonzero(wanted)
    hits, wrong = s[node, found], np.empty(len(node), dtype=np.int64)
    for start in range(0, len(node), _BLOCK):
        part = slice(start, start + _BLOCK)
        wrong[part] = np.count_nonzero((s[node[part]] <= hits[part, None]) & others[node[part]], axis=1)
    # Within a node the better hit has fewer wrong nodes before it, or as many.
    wrong = wrong[np.lexsort((wrong, node))]
    count = np.bincount(node)
    count = count[count > 0]
    first = np.cumsum(count) - count
    place = np.arange(len(node)) - np.repeat(first, count) + 1
    each = np.add.reduceat(place / (place + wrong), first) / count
    return Retrieval(each, float(each.mean()), 1.0 + float(wrong.mean()))


def path_excess(distances: ArrayLike, from_root: ArrayLike, weight: float = 0.95) -> Floats:
    """Turn symmetric distances into a score that finds ancestors: d(u, v) + weight * d(root, v), low is likely.

    The way from u over v to the root is no detour exactly if v lies between them. With weight 1 in an exact tree all
    ancestors of u score alike and everything else higher; a weight just below 1 puts the nearest ancestor first.

    Args:
        distances: [..., N] from one or several nodes u to all nodes v.
        from_root: [N] from the top node to all nodes v.
        weight: 0 to 1; in flat trees little changes between 0.8 and 1, for deep ones see `excess_weight`.

    Returns:
        [..., N] float64, how unlikely each v is above u.
    """
    score: Floats = np.asarray(distances, dtype=np.float64) + weight * np.asarray(from_root, dtype=np.float64)
    return score


def excess_weight(depth: float) -> float:
    """The weight of `path_excess` for a tree of so many levels: 0.95, or nearer to 1 where the tree is deep.

    max(0.95, 1 - 0.5 / depth): an ancestor k edges up scores (1 - weight) k more than the nearest one, which stays
    below half an edge, and a node one edge beside the way 1 + weight more. With 0.95 alone the farthest ancestors would
    come after some of these in a tree of 40 levels.

    Args:
        depth: edges from the root to the farthest node.
    """
    return max(0.95, 1.0 - 0.5 / max(depth, 1.0))


def _pairs(distances: ArrayLike, targets: ArrayLike) -> tuple[Floats, Floats]:
    """Both matrices as lists of all pairs i < j, checked."""
    d, t = _square(distances, "distances"), _square(targets, "targets")
    if d.shape != t.shape or len(d) < 2:
        raise ValueError(f"expected two matrices of one size of at least 2, got {d.shape} and {t.shape}")
    upper = np.triu_indices(len(d), 1)
    d, t = _both_ways(d, upper, "distances"), _both_ways(t, upper, "targets")
    if (d < 0).any() or (t <= 0).any() or not d.any():
        raise ValueError("expected distances >= 0, not all 0, and targets > 0 for all pairs of different nodes")
    return d, t


def _both_ways(matrix: Floats, upper: tuple[Pairs, Pairs], what: str) -> Floats:
    """The values of all pairs i < j, refused where those of (j, i) are others."""
    values, mirrored = matrix[upper], matrix.T[upper]
    wrong = np.flatnonzero(np.abs(values - mirrored) > 1e-9 * np.maximum(np.abs(values), np.abs(mirrored)))
    if len(wrong):
        i, j = int(upper[0][wrong[0]]), int(upper[1][wrong[0]])
        raise ValueError(
            f"expected {what} that are symmetric; {len(wrong)} pairs are not: [{i}, {j}] is {matrix[i, j]:g} and "
            f"[{j}, {i}] is {matrix[j, i]:g}"
        )
    return values


def _average(ratio: Floats, scale: float) -> float:
    return float(np.abs(scale * ratio - 1.0).mean())


def _worst(ratio: Floats) -> float:
    smallest = float(ratio.min())
    return float(ratio.max()) / smallest if smallest > 0 else float("inf")


def _best_scale(ratio: Floats) -> float:
    """The s that makes mean |s r - 1| least: sum r |s - 1/r| is least at the weighted median of 1/r, weights r."""
    falling = np.sort(ratio)[::-1]
    total = np.cumsum(falling)
    return 1.0 / float(falling[np.searchsorted(total, total[-1] / 2.0)])


def _spearman(d: Floats, t: Floats) -> float:
    from scipy.stats import rankdata

    x, y = rankdata(d), rankdata(t)
    x -= x.mean()
    y -= y.mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0 else 0.0


def _square(matrix: ArrayLike, what: str) -> Floats:
    m = np.asarray(matrix, dtype=np.float64)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ValueError(f"expected {what} as a square matrix [n, n], got shape {m.shape}")
    bad = int((~np.isfinite(m)).sum())
    if bad:
        raise ValueError(f"{bad} of the {what} are not finite; a rank or a mean over them would be meaningless")
    return m

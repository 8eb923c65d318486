"""Do embedded words fall into the branches they come from? Clusters and nearest neighbours against labels of the tree.

The labels are known to whoever knows the tree, and reconstruction gives all of it: these figures show what a geometry
keeps, not what it predicts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feasibility.periodic_table.clusters import adjusted_rand
from hyperbolic.graph import Graph, hops_from, spanning_tree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEPTH, FEWEST, NEIGHBOURS = 3, 10, 5


def branch_labels(graph: Graph) -> Ints:
    """The ancestor at depth 3 of each word, [n]; -1 above it, and in branches of fewer than 10 words."""
    tree = spanning_tree(graph)
    order, parent = hops_from(tree, tree.root)
    depth, label = np.zeros(len(tree), dtype=np.int64), np.full(len(tree), -1, dtype=np.int64)
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
        label[node] = node if depth[node] == DEPTH else label[parent[node]]
    sizes = np.bincount(label[label >= 0], minlength=len(tree))
    label[(label >= 0) & (sizes[label] < FEWEST)] = -1
    return label


def agreement(distances: Floats, labels: Ints) -> dict[str, float]:
    """How well average linkage and the five nearest neighbours find the labels.

    Args:
        distances: [n, n].
        labels: [n], -1 where a word has none and is left out.

    Returns:
        ami, ari: of as many clusters as there are labels; knn: share of words whose five nearest others outvote
        every other label (ties count against). Empty where there are not two labels.

    Cost: O(n^2 log n).
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    kept = np.flatnonzero(labels >= 0)
    truth = np.unique(labels[kept], return_inverse=True)[1]
    if len(kept) == 0 or truth.max() < 1:
        return {}
    among = distances[np.ix_(kept, kept)].copy()
    np.fill_diagonal(among, 0.0)
    found = fcluster(linkage(squareform(among, checks=False), "average"), truth.max() + 1, "maxclust")
    np.fill_diagonal(among, np.inf)
    near = np.argsort(among, axis=1, kind="stable")[:, :NEIGHBOURS]
    votes = np.zeros((len(kept), truth.max() + 1))
    np.add.at(votes, (np.arange(len(kept))[:, None], truth[near]), 1.0)
    own = votes[np.arange(len(kept)), truth]
    votes[np.arange(len(kept)), truth] = -1.0
    return {
        "ami": adjusted_mutual_information(truth, found),
        "ari": adjusted_rand(truth, found),
        "knn": float(np.mean(own > votes.max(axis=1))),
    }


def adjusted_mutual_information(first: ArrayLike, second: ArrayLike) -> float:
    """What two divisions of the same items tell about one another beyond chance: 1 for equal ones, 0 for unrelated.

    (I - E[I]) / ((H1 + H2) / 2 - E[I]), E over all divisions of the same sizes.

    Source: Vinh, Epps and Bailey 2010, equation 24a for E[I].
    """
    from scipy.special import gammaln

    table = np.zeros((len(np.unique(first)), len(np.unique(second))))
    rows, columns = np.unique(first, return_inverse=True)[1], np.unique(second, return_inverse=True)[1]
    np.add.at(table, (rows, columns), 1.0)
    n, a, b = table.sum(), table.sum(axis=1), table.sum(axis=0)
    outer = np.outer(a, b)
    full = table > 0
    shared = float(np.sum(table[full] / n * np.log(n * table[full] / outer[full])))
    expected = 0.0
    log = gammaln(np.arange(int(n) + 2))  # ln (k - 1)! at k
    for size, other in ((int(x), int(y)) for x in a for y in b):
        k = np.arange(max(1, size + other - int(n)), min(size, other) + 1)
        ways = log[size + 1] + log[other + 1] + log[int(n) - size + 1] + log[int(n) - other + 1] - log[int(n) + 1]
        ways = ways - log[k + 1] - log[size - k + 1] - log[other - k + 1] - log[int(n) - size - other + k + 1]
        expected += float(np.sum(k / n * np.log(n * k / (size * other)) * np.exp(ways)))
    mean = 0.5 * (_entropy(a / n) + _entropy(b / n))
    return 1.0 if mean == expected else (shared - expected) / (mean - expected)


def _entropy(shares: Floats) -> float:
    return -float(np.sum(shares * np.log(shares)))

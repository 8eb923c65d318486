"""Named edges -> a checked graph: what every embedding, metric and picture of this package starts from.

An edge is a pair (child, parent): "cat" -> "feline". A child may have several parents; cycles are refused. Names are
all str or all int.
"""

from __future__ import annotations

import reprlib
import warnings
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Name: TypeAlias = str | int
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pairs = NDArray[np.int64]


class GraphError(ValueError):
    """The edges do not form one rooted graph without cycles; the message names the nodes at fault."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A checked, connected graph of child -> parent edges with one root; made by `build_graph`.

    Args:
        names: the nodes in alphabetical or numerical order; every array of this package has one row a name, in it.
        edges: [m, 2] int, (child, parent) as positions in `names`, in ascending order.
        root: position of the one node above all others.
    """

    names: tuple[Name, ...]
    edges: Pairs
    root: int

    def __len__(self) -> int:
        return len(self.names)


def build_graph(edges: Any, root: Name | None = None) -> Graph:
    """Check (child, parent) pairs and number their nodes.

    Args:
        edges: pairs of names, each a tuple or list of two str or of two int; or an integer array [m, 2]; or a directed
            networkx graph, edges from child to parent. A pair that is given twice counts once, with a warning.
        root: name of the top node. Left out, the one node without a parent. Where several have none, a name that is
            not in the edges becomes a new node above them: this joins a forest.

    Returns:
        The graph, its nodes in alphabetical order whatever the order of the edges.

    Raises:
        GraphError: an edge that is not two names of one kind (NaN is no name), no edges, a self-loop, a cycle, several
            tops without a named root, an undirected graph, or a named root that is not above all others. The message
            names the nodes, or the position of the edge.

    Cost: O(edges * log edges).
    """
    given, alone = _pairs_and_loners(edges)
    if root is not None and (isinstance(root, bool) or not isinstance(root, (str, int))):
        raise GraphError(f"expected the root's name as a str or an int, got {reprlib.repr(root)}")
    if not given:
        raise GraphError("no edges; expected at least one (child, parent) pair")
    _refuse_mixed_names(given, root)
    repeated = [pair for pair, count in Counter(given).items() if count > 1]
    if repeated:
        warnings.warn(f"{len(repeated)} edges are given more than once and count once: {_some(repeated)}", stacklevel=2)
    pairs: set[tuple[Any, Any]] = set(given)
    loops = sorted(child for child, parent in pairs if child == parent)
    if loops:
        raise GraphError(f"self-loops at {_some(loops)}; a node cannot be its own parent")

    tops = sorted(({parent for _, parent in pairs} - {child for child, _ in pairs}) | alone)
    if root is not None and len(tops) > 1 and not any(root in pair for pair in pairs):
        pairs |= {(top, root) for top in tops}
        tops = [root]
    _refuse_cycles(pairs)
    if root is None and len(tops) > 1:
        raise GraphError(
            f"{len(tops)} nodes have no parent: {_some(tops)}; "
            f"name a root that is not among the nodes to join them under it{_turned_round(pairs)}"
        )
    if root is not None and tops != [root]:
        raise GraphError(
            f"the root {root!r} is not above all nodes; without a parent: {_some(tops)}. "
            "Name that one, or, where there are several, a new name to join them under it"
        )
    names = tuple(sorted({name for pair in pairs for name in pair}))
    index = {name: i for i, name in enumerate(names)}
    numbered = np.array(sorted((index[child], index[parent]) for child, parent in pairs), dtype=np.int64)
    return Graph(names, numbered, index[tops[0]])


def parents_of(graph: Graph) -> list[list[int]]:
    """The parents of every node, in alphabetical order: [n] lists of positions."""
    parents: list[list[int]] = [[] for _ in graph.names]
    for child, parent in graph.edges.tolist():
        parents[child].append(parent)
    return parents


def neighbours_of(graph: Graph) -> list[list[int]]:
    """Parents and children of every node, in alphabetical order: [n] lists of positions."""
    neighbours: list[list[int]] = [[] for _ in graph.names]
    for child, parent in graph.edges.tolist():
        neighbours[child].append(parent)
        neighbours[parent].append(child)
    return [sorted(nodes) for nodes in neighbours]


def adjacency(graph: Graph) -> Bools:
    """Which nodes share an edge, either way: [n, n] bool, symmetric."""
    joined = np.zeros((len(graph), len(graph)), dtype=bool)
    joined[graph.edges[:, 0], graph.edges[:, 1]] = joined[graph.edges[:, 1], graph.edges[:, 0]] = True
    return joined


def closure(graph: Graph) -> Bools:
    """Which node is above which: [n, n] bool, [u, v] true where v is an ancestor of u (never u itself).

    Cost: O(n * edges) bit operations, n^2 bytes.
    """
    above = np.zeros((len(graph), len(graph)), dtype=bool)
    parents = parents_of(graph)
    for node in _downwards(graph):
        for parent in parents[node]:
            above[node] |= above[parent]
            above[node, parent] = True
    return above


# Every spanning tree and every learner of a graph asks for the same lists.
@lru_cache(maxsize=8)
def above_lists(graph: Graph) -> tuple[Pairs, Pairs]:
    """The ancestors of every node as lists, for graphs whose `closure` would not fit.

    Returns:
        start: [n + 1] int; above: [pairs] int, so that those of node u are above[start[u]:start[u + 1]], ascending.
        Asked again, the same arrays: not to be changed.

    Cost: O(pairs log pairs).
    """
    parents = parents_of(graph)
    above: list[Pairs] = [np.zeros(0, dtype=np.int64)] * len(graph)
    for node in _downwards(graph)[1:]:
        own = parents[node]
        above[node] = np.unique(np.concatenate([np.array(own, dtype=np.int64), *(above[parent] for parent in own)]))
    start = np.concatenate([[0], np.cumsum([len(nodes) for nodes in above])]).astype(np.int64)
    return start, np.concatenate(above)


def hop_distances(graph: Graph) -> Floats:
    """How many edges the shortest path between any two nodes has, directions ignored: [n, n] float64.

    Cost: O(n * edges) time, 8 n^2 bytes.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    ones = np.ones(len(graph.edges))
    matrix = csr_array((ones, (graph.edges[:, 0], graph.edges[:, 1])), shape=(len(graph), len(graph)))
    distances: Floats = shortest_path(matrix, method="D", directed=False, unweighted=True)
    return distances


def hops_from(graph: Graph, start: int) -> tuple[list[int], list[int]]:
    """Walk the graph breadth first from one node.

    Returns:
        order: all nodes, nearest first. towards_start: the node before each one on its way from `start`; -1 there.
    """
    neighbours = neighbours_of(graph)
    towards_start, order, waiting = [-1] * len(graph), [start], deque([start])
    while waiting:
        node = waiting.popleft()
        for other in neighbours[node]:
            if other != start and towards_start[other] < 0:
                towards_start[other] = node
                order.append(other)
                waiting.append(other)
    return order, towards_start


def spanning_tree(graph: Graph) -> Graph:
    """The graph with one parent a node: the one with most nodes above it, the first by name where two have as many.

    This keeps most (node, ancestor) pairs, and never an edge that follows from others (cat -> mammal beside
    cat -> feline -> mammal).

    Cost: O(n) for a tree; else see `above_lists`.
    """
    if len(graph.edges) == len(graph) - 1:
        return graph
    above = np.diff(above_lists(graph)[0])
    kept = [
        (node, min(parents, key=lambda parent: (-above[parent], parent)))
        for node, parents in enumerate(parents_of(graph))
        if parents
    ]
    return Graph(graph.names, np.array(kept, dtype=np.int64), graph.root)


def tree_centre(tree: Graph) -> int:
    """The node whose farthest node is nearest; of two such nodes, the one nearer to the root."""
    end = hops_from(tree, tree.root)[0][-1]
    order, towards_end = hops_from(tree, end)
    path = [order[-1]]
    while path[-1] != end:
        path.append(towards_end[path[-1]])
    middle = {path[(len(path) - 1) // 2], path[len(path) // 2]}
    return next(node for node in hops_from(tree, tree.root)[0] if node in middle)


def _downwards(graph: Graph) -> list[int]:
    """All nodes, every parent before its children."""
    children: list[list[int]] = [[] for _ in graph.names]
    missing = [0] * len(graph)
    for child, parent in graph.edges.tolist():
        children[parent].append(child)
        missing[child] += 1
    order = [graph.root]
    for node in order:
        for child in children[node]:
            missing[child] -= 1
            if missing[child] == 0:
                order.append(child)
    return order


def _pairs_and_loners(edges: Any) -> tuple[list[tuple[Name, Name]], set[Any]]:
    """Edges of any accepted kind as pairs; of a networkx graph also the nodes that have none."""
    alone: set[Any] = set()
    if hasattr(edges, "is_directed"):
        if not edges.is_directed():
            raise GraphError("an undirected graph does not tell children from parents; expected a DiGraph")
        alone = {node for node, degree in edges.degree() if degree == 0}
        if edges.number_of_nodes() == 0:
            raise GraphError("the graph has no nodes; expected at least one (child, parent) edge")
        edges = edges.edges()
    if isinstance(edges, np.ndarray):
        edges = edges.tolist()
    if not hasattr(edges, "__iter__"):
        raise GraphError(f"expected (child, parent) pairs, a DiGraph or a word, got {reprlib.repr(edges)}")
    if isinstance(edges, str):
        raise GraphError(
            f"expected edges, got the name {edges!r}; embed({edges!r}, lexicon=...) embeds what is below a word"
        )
    pairs = [_named_pair(position, edge) for position, edge in enumerate(edges)]
    if alone and len({type(name) for pair in pairs for name in pair} | {type(node) for node in alone}) > 1:
        raise GraphError(f"nodes without an edge have names of another kind: {_some(list(alone))}")
    return pairs, alone


def _named_pair(position: int, edge: object) -> tuple[Name, Name]:
    """An edge as it must be: without this, "ab" would pass for a -> b, and a missing name for a node called nan."""
    if isinstance(edge, (tuple, list, np.ndarray)) and len(edge) == 2:
        child, parent = (name.item() if isinstance(name, np.generic) else name for name in edge)
        for kind in (str, int):
            if isinstance(child, kind) and isinstance(parent, kind) and bool not in (type(child), type(parent)):
                return child, parent
    raise GraphError(
        f"edge {position} (counted from 0) is {reprlib.repr(edge)}; expected a (child, parent) pair of two str, "
        "such as ('cat', 'feline'), or of two int"
    )


def _refuse_mixed_names(given: Sequence[tuple[Name, Name]], root: Name | None) -> None:
    kind = str if isinstance(given[0][0], str) else int
    for position, pair in enumerate(given):
        if not isinstance(pair[0], kind):
            raise GraphError(
                f"edge {position} (counted from 0) is {pair!r}, and edge 0 is {given[0]!r}: names of one kind"
            )
    if root is not None and not isinstance(root, kind):
        raise GraphError(f"the root {root!r} and the nodes, such as {given[0][0]!r}, have names of two kinds")


def _turned_round(pairs: set[tuple[Any, Any]]) -> str:
    """A hint where one node alone is nobody's parent: the edges of a tree from parents to children look like that."""
    bottoms = {child for child, _ in pairs} - {parent for _, parent in pairs}
    if len(bottoms) > 1:
        return ""
    return f". Or do the edges run from parent to child? Only {_some(sorted(bottoms))} has no child here"


def _refuse_cycles(pairs: set[tuple[Any, Any]]) -> None:
    from graphlib import CycleError, TopologicalSorter

    sorter: TopologicalSorter[Any] = TopologicalSorter()
    for child, parent in sorted(pairs):
        sorter.add(child, parent)
    try:
        sorter.prepare()
    except CycleError as error:
        raise GraphError(f"the edges form a cycle: {' -> '.join(map(str, reversed(error.args[1])))}") from None


def _some(items: Sequence[Any], limit: int = 5) -> str:
    shown = ", ".join(repr(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"

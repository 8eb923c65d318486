"""Edges become a checked graph, or an error that names the nodes."""

from __future__ import annotations

import numpy as np
import pytest

from hyperbolic.graph import (
    GraphError,
    above_lists,
    adjacency,
    build_graph,
    closure,
    hop_distances,
    hops_from,
    neighbours_of,
    spanning_tree,
    tree_centre,
)

CATS = [("cat", "feline"), ("lion", "feline"), ("feline", "carnivore"), ("dog", "carnivore")]


def test_nodes_are_in_alphabetical_order_whatever_the_order_of_the_edges() -> None:
    graph, reversed_graph = build_graph(CATS), build_graph(CATS[::-1])
    assert graph.names == ("carnivore", "cat", "dog", "feline", "lion")
    assert graph.names[graph.root] == "carnivore"
    assert np.array_equal(graph.edges, reversed_graph.edges)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([], "no edges"),
        ([("cat", "cat"), ("cat", "feline")], "self-loops at 'cat'"),
        ([("a", "b"), ("b", "c"), ("c", "a")], "the edges form a cycle: .*a -> .*b"),
        ([("a", "root"), ("b", "c"), ("c", "b")], "the edges form a cycle"),
        ([("cat", "feline"), ("dog", "canine")], "2 nodes have no parent: 'canine', 'feline'"),
        ([("feline", "cat"), ("feline", "lion")], "from parent to child. Only 'feline' has no child here"),
        (7, r"expected \(child, parent\) pairs, a DiGraph or a word, got 7"),
        ([("mule", "horse"), ("mule", "donkey")], "2 nodes have no parent: 'donkey', 'horse'"),
    ],
)
def test_bad_edges_are_refused_by_name(edges: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build_graph(edges)


@pytest.mark.parametrize(
    ("edge", "shown"),
    [
        (("b", float("nan")), r"\('b', nan\)"),
        ((None, "b"), r"\(None, 'b'\)"),
        ((1, "b"), r"\(1, 'b'\)"),
        ((1.0, 2.0), r"\(1\.0, 2\.0\)"),
        ((True, False), r"\(True, False\)"),
        ("ab", "'ab'"),
        (("a", "b", "c"), r"\('a', 'b', 'c'\)"),
        (("a",), r"\('a',\)"),
        ({"a", "b"}, r"\{'a', 'b'\}"),
        (None, "None"),
    ],
)
def test_an_edge_that_is_not_two_names_is_refused_by_position(edge: object, shown: str) -> None:
    with pytest.raises(GraphError, match=rf"edge 2 \(counted from 0\) is {shown}; expected a \(child, parent\) pair"):
        build_graph([*CATS[:2], edge, *CATS[2:]])


def test_names_are_of_one_kind() -> None:
    with pytest.raises(GraphError, match=r"edge 2 .* is \(1, 2\), and edge 0 is .*: names of one kind"):
        build_graph([*CATS[:2], (1, 2)])
    numbered = build_graph([(10, 2), (2, 1)])
    assert (numbered.names, numbered.root) == ((1, 2, 10), 0)


def test_edges_that_follow_from_others_are_left_out_of_the_spanning_tree() -> None:
    chain = [("d", "c"), ("c", "b"), ("b", "a")]
    whole = build_graph([*chain, ("d", "b"), ("d", "a"), ("c", "a")])
    assert spanning_tree(whole).edges.tolist() == build_graph(chain).edges.tolist()


def test_ancestors_as_lists_are_the_closure() -> None:
    graph = build_graph([*CATS, ("cat", "pet"), ("pet", "animal"), ("feline", "animal")], root="top")
    start, above = above_lists(graph)
    for node, row in enumerate(closure(graph)):
        assert above[start[node] : start[node + 1]].tolist() == np.flatnonzero(row).tolist()


def test_the_name_of_the_root_must_be_a_name() -> None:
    with pytest.raises(GraphError, match="the root 5 and the nodes, such as 'cat', have names of two kinds"):
        build_graph([("cat", "feline"), ("dog", "canine")], root=5)  # type: ignore[arg-type]


def test_lists_are_pairs_too() -> None:
    assert build_graph([list(pair) for pair in CATS]).names == build_graph(CATS).names  # type: ignore[misc]


def test_a_long_list_of_nodes_is_cut() -> None:
    with pytest.raises(GraphError, match=r"'p0', 'p1', 'p2', 'p3', 'p4' and 3 more"):
        build_graph([(f"c{i}", f"p{i}") for i in range(8)])


def test_duplicates_count_once_and_are_mentioned() -> None:
    with pytest.warns(UserWarning, match=r"1 edges are given more than once and count once: \('cat', 'feline'\)"):
        graph = build_graph([*CATS, CATS[0]])
    assert len(graph.edges) == len(CATS)


def test_a_new_root_joins_a_forest() -> None:
    graph = build_graph([("cat", "feline"), ("dog", "canine")], root="animal")
    assert graph.names[graph.root] == "animal"
    assert {graph.names[parent] for child, parent in graph.edges if graph.names[child] == "feline"} == {"animal"}


def test_a_misspelt_root_of_one_tree_is_not_a_new_root() -> None:
    with pytest.raises(GraphError, match="the root 'carnivor' is not above all nodes; without a parent: 'carnivore'"):
        build_graph(CATS, root="carnivor")


def test_a_root_below_others_is_refused() -> None:
    with pytest.raises(GraphError, match="the root 'feline' is not above all nodes"):
        build_graph(CATS, root="feline")


def test_closure_of_a_node_with_two_parents() -> None:
    graph = build_graph([("mule", "horse"), ("mule", "donkey"), ("horse", "equine"), ("donkey", "equine")])
    above = closure(graph)
    mule, equine = graph.names.index("mule"), graph.names.index("equine")
    assert above[mule].sum() == 3
    assert not above[equine].any()
    assert not above.diagonal().any()


def test_hops_ignore_directions() -> None:
    graph = build_graph(CATS)
    hops = hop_distances(graph)
    assert hops[graph.names.index("cat"), graph.names.index("dog")] == 3
    assert np.array_equal(hops, hops.T)
    assert np.array_equal(adjacency(graph), hops == 1)
    assert neighbours_of(graph)[graph.names.index("feline")] == [0, 1, 4]


def test_the_spanning_tree_keeps_the_parent_with_most_above_it_then_the_first_by_name() -> None:
    deep = build_graph([("b", "root"), ("c", "b"), ("x", "c"), ("x", "b")])
    tree = spanning_tree(deep)
    assert [(tree.names[c], tree.names[p]) for c, p in tree.edges] == [("b", "root"), ("c", "b"), ("x", "c")]
    equal = spanning_tree(build_graph([("b", "root"), ("a", "root"), ("x", "b"), ("x", "a")]))
    assert ("x", "a") in [(equal.names[c], equal.names[p]) for c, p in equal.edges]
    assert spanning_tree(tree) is tree


@pytest.mark.parametrize(("length", "centre"), [(1, "n0"), (2, "n1"), (3, "n1"), (4, "n2"), (7, "n3")])
def test_the_centre_of_a_path_is_its_middle_and_of_two_the_one_nearer_the_root(length: int, centre: str) -> None:
    tree = build_graph([(f"n{i + 1}", f"n{i}") for i in range(length)])
    assert tree.names[tree_centre(tree)] == centre


def test_a_walk_starts_at_its_start_and_reaches_everything() -> None:
    graph = build_graph(CATS)
    start = graph.names.index("lion")
    order, back = hops_from(graph, start)
    assert order[0] == start
    assert back[start] == -1
    assert sorted(order) == list(range(len(graph)))
    hops = hop_distances(graph)[start]
    assert [hops[node] for node in order] == sorted(hops)

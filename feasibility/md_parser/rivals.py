"""The rivals of the experiment `md_parser_treebank`: trained on the same sentences, given the same tags.

graph: a structured perceptron that finds the best projective tree. mira: the same with another way of training, which
is stronger. transition: a greedy arc-hybrid parser trained by a dynamic oracle. All share one labeller.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.conllu import Sentence
from feasibility.md_parser.rivals_graph import Graph, label_graph, parse_graph, train_graph
from feasibility.md_parser.rivals_hash import Bank, Ints, encode
from feasibility.md_parser.rivals_transition import parse_transition, train_transition
from feasibility.md_parser.treebank_data import trained

Tree = tuple[NDArray[np.int64], Sequence[str]]


class Rival(NamedTuple):
    """A trained rival and what it found.

    Args:
        trees: of each list of sentences that it was given.
        cpu_s: seconds of CPU time that training took.
        sentences_per_second: parsed, without labels, from numbers that stand ready.
    """

    trees: list[list[Tree]]
    cpu_s: float
    sentences_per_second: float


def rivals(train: Sequence[Sentence], parts: Sequence[Sequence[Sentence]], seed: int, key: object) -> dict[str, Rival]:
    """Train all rivals, or take them from the cache, and let them parse.

    Args:
        train: gold trees.
        parts: lists of sentences to parse.
        seed: of the training.
        key: what tells these training sentences from others.

    Cost: about three minutes for UD English EWT, once.
    """
    bank = encode(train)
    banks = [encode(part, bank.labels) for part in parts]
    what = (key, seed)
    code = _sources()
    graph, graph_s = trained("graph", lambda: train_graph(bank, seed), _save, _load, *what, sources=code)
    mira, mira_s = trained("mira", lambda: train_graph(bank, seed, passive=True), _save, _load, *what, sources=code)
    weights, transition_s = trained(
        "transition", lambda: train_transition(bank, seed), _save_weights, _load_weights, *what, sources=code
    )
    found = {}
    ways: tuple[tuple[str, Callable[[Bank], Ints], float], ...] = (
        ("graph", lambda some: parse_graph(graph, some), graph_s),
        ("mira", lambda some: parse_graph(mira, some), mira_s),
        ("transition", lambda some: parse_transition(weights, some), transition_s),
    )
    for name, parse, cpu_s in ways:
        parse(banks[0])
        start = time.process_time()
        heads = [parse(some) for some in banks]
        speed = sum(map(len, parts)) / max(1e-9, time.process_time() - start)
        trees = [list(_trees(graph, some, one)) for some, one in zip(banks, heads, strict=True)]
        found[name] = Rival(trees, cpu_s, speed)
    return found


def _trees(graph: Graph, bank: Bank, heads: Ints) -> Iterable[Tree]:
    labels = label_graph(graph, bank, heads)
    for a, b in zip(bank.start[:-1], bank.start[1:], strict=True):
        yield heads[a:b], [bank.labels[label] for label in labels[a:b]]


def _sources() -> list[Path]:
    return [Path(__file__).with_name(f"rivals_{part}.py") for part in ("hash", "graph", "transition")]


def _save(path: Path, graph: Graph) -> None:
    _save_arrays(path, arcs=graph.arcs, relations=graph.relations, labels=np.array(graph.labels))


def _load(path: Path) -> Graph:
    with np.load(path, allow_pickle=False) as file:
        return Graph(file["arcs"], file["relations"], tuple(file["labels"].tolist()))


def _save_weights(path: Path, weights: NDArray[np.float32]) -> None:
    _save_arrays(path, weights=weights)


def _load_weights(path: Path) -> NDArray[np.float32]:
    with np.load(path, allow_pickle=False) as file:
        weights: NDArray[np.float32] = file["weights"]
        return weights


def _save_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    scratch = path.with_name(f".{path.name}")
    with scratch.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    scratch.replace(path)

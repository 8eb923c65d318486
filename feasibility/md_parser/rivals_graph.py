"""Rivals of `md_parser`: the best projective tree by a structured perceptron or by MIRA, with a labeller on top.

Source: McDonald, Crammer and Pereira 2005, Online large-margin training of dependency parsers (features, MIRA); Collins
2002 (averaged perceptron); Eisner 1996 (search).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.arborescence import eisner
from dynamics.compile import compiled
from feasibility.md_parser.rivals_hash import (
    OUTSIDE,
    ROOT,
    SIZE,
    UNIVERSAL,
    Bank,
    Ints,
    Weights,
    averaged,
    mix,
    template_hashes,
    templates_of,
)

EPOCHS, LABEL_EPOCHS = 6, 3
# By how much a wrong head is made to look better in training, so that what is right must be so by a margin; and the
# largest update of a weight, 0 where all are 1.
PERCEPTRON, MIRA = (20.0, 0.0), (1.0, 0.01)
# h head, d dependent; w word, e its ending, u universal and x fine part of speech; l and r the neighbours to the left
# and right, ll and rr the next ones.
_NAMES = "hw hu hx dw du dx hxl hxr dxl dxr hul hur dul dur he de dxll dxrr dwl dwr hwr hwl"
_TEMPLATES = templates_of(
    _NAMES,
    "hw hx, hw, hx, dw dx, dw, dx, hw hx dw dx, hx dw dx, hw dw dx, hw hx dx, hw hx dw, hw dw, hx dx, hu du,"
    "hw du, hu dw,"
    "hx hxr dxl dx, hxl hx dxl dx, hx hxr dx dxr, hxl hx dx dxr, hx hxr dx, hxl hx dx, hx dxl dx, hx dx dxr,"
    "hu hur dul du, hul hu dul du, hu hur du dur, hul hu du dur,"
    "he de, hx de dx, he hx dx, he, de, hx dxl dx dxr, hxl hx hxr dx, hx dxll dxl dx, hx dx dxr dxrr,"
    "hx dwl dx, hx dx dwr, hwl hx dx, hx hwr dx",
)
_BETWEEN = 1000
# Twice every template, at most 18 tags in between in two ways, and their numbers in two ways.
_TAGS = 18
_MOST = 2 * len(_TEMPLATES) + 2 * _TAGS + 4
_VERB, _MARK = UNIVERSAL.index("VERB"), UNIVERSAL.index("PUNCT")


class Graph(NamedTuple):
    """A trained model.

    Args:
        arcs: [2^22] float32, weights of arcs.
        relations: [2^22] float32, weights of labels on arcs.
        labels: the relations.
    """

    arcs: Weights
    relations: Weights
    labels: tuple[str, ...]


def train_graph(bank: Bank, seed: int, epochs: int = EPOCHS, passive: bool = False) -> Graph:
    """Train on gold trees; those with crossing arcs are learned from as far as the search can follow.

    Args:
        bank: with heads and labels.
        seed: of the order of the sentences.
        epochs: passes over the bank.
        passive: updates just large enough to right the tree, but small (MIRA), instead of the perceptron's, all alike.

    Cost: O(epochs * (arcs + sum of n^3)); about a minute for the 12,544 sentences of UD English EWT.
    """
    rng = np.random.default_rng(seed)
    sentences = len(bank.start) - 1
    order = np.stack([rng.permutation(sentences) for _ in range(max(epochs, LABEL_EPOCHS))])
    atoms = (bank.word, bank.ending, bank.upos, bank.xpos, bank.bit)
    arcs, drift = np.zeros(SIZE, np.float32), np.zeros(SIZE)
    margin, largest = MIRA if passive else PERCEPTRON
    times = _train_arcs(*atoms, bank.head, bank.start, order[:epochs].ravel(), margin, largest, arcs, drift)
    arcs = averaged(arcs, drift, times)
    relations, drift = np.zeros(SIZE, np.float32), np.zeros(SIZE)
    times = _train_labels(
        *atoms, bank.head, bank.label, bank.start, order[:LABEL_EPOCHS].ravel(), len(bank.labels), relations, drift
    )
    return Graph(arcs, averaged(relations, drift, times), bank.labels)


def parse_graph(model: Graph, bank: Bank) -> Ints:
    """[N] int64, heads of all sentences: the best projective tree of each."""
    return _parse(bank.word, bank.ending, bank.upos, bank.xpos, bank.bit, bank.start, model.arcs)


def label_graph(model: Graph, bank: Bank, heads: Ints) -> Ints:
    """[N] int64, indices of the labels of given trees.

    Args:
        model: trained.
        bank: the sentences.
        heads: [N], counted from 1 within the sentence; 0 is ROOT.
    """
    atoms = (bank.word, bank.ending, bank.upos, bank.xpos, bank.bit)
    return _label(*atoms, heads, bank.start, len(model.labels), model.relations)


@compiled
def frames(word: Ints, ending: Ints, upos: Ints, xpos: Ints) -> Ints:
    """[4, P + 4], properties of the particles of a sentence, d at d + 2, with two places outside at either end."""
    out = np.full((4, word.size + 5), OUTSIDE, np.int64)
    out[:, 2] = ROOT
    out[0, 3:-2], out[1, 3:-2], out[2, 3:-2], out[3, 3:-2] = word, ending, upos, xpos
    return out


@compiled
def arc_features(framing: Ints, between: int, h: int, d: int, out: Ints) -> int:
    """Hashes of the features of one arc; returns how many there are.

    Args:
        framing: of the sentence.
        between: what stands between the two, see `with_one_more`.
        h: head, 0 is ROOT.
        d: dependent.
        out: long enough for two features a template and two a tag; written to.
    """
    i, j = h + 2, d + 2
    word, ending, upos, xpos = framing
    atoms = np.array([
        word[i], upos[i], xpos[i], word[j], upos[j], xpos[j],
        xpos[i - 1], xpos[i + 1], xpos[j - 1], xpos[j + 1], upos[i - 1], upos[i + 1], upos[j - 1], upos[j + 1],
        ending[i], ending[j], xpos[j - 2], xpos[j + 2], word[j - 1], word[j + 1], word[i + 1], word[i - 1],
    ])  # fmt: skip
    apart = abs(h - d)
    near = apart if apart <= 4 else 5 if apart <= 6 else 6 if apart <= 9 else 7 if apart <= 14 else 8
    side = 1 if h < d else 2
    far = mix(side, near)
    count = template_hashes(atoms, _TEMPLATES, mix(far, 7), out, 0)
    count = template_hashes(atoms, _TEMPLATES, mix(side, 8), out, count)
    pair, coarse = mix(mix(side, xpos[i]), xpos[j]), mix(mix(far, upos[i]), upos[j])
    for bit in range(_TAGS):
        if (between >> bit) & 1:
            out[count] = mix(mix(pair, _BETWEEN), bit)
            out[count + 1] = mix(mix(coarse, _BETWEEN), bit)
            count += 2
    numbers = between >> _TAGS
    out[count], out[count + 1] = mix(mix(pair, _BETWEEN + 1), numbers), mix(mix(coarse, _BETWEEN + 1), numbers)
    by_word = mix(mix(side, _BETWEEN + 2), numbers)
    out[count + 2], out[count + 3] = mix(mix(by_word, word[i]), 1), mix(mix(by_word, word[j]), 2)
    return count + 4


@compiled
def with_one_more(between: int, bit: int) -> int:
    """What stands between two particles, and one word more: the set of its tags as bits, then counts of two tags.

    Args:
        between: so far; verbs and punctuation are counted up to three.
        bit: number of the tag of the next word.
    """
    verbs, marks = (between >> _TAGS) & 3, (between >> (_TAGS + 2)) & 3
    verbs, marks = min(3, verbs + (bit == _VERB)), min(3, marks + (bit == _MARK))
    tags = (between & ((1 << _TAGS) - 1)) | (1 << bit)
    return tags | (verbs << _TAGS) | (marks << (_TAGS + 2))


@compiled
def tags_between(bit: Ints, h: int, d: int) -> int:
    """What stands strictly between two particles, see `with_one_more`."""
    between = 0
    for place in range(min(h, d), max(h, d) - 1):
        between = with_one_more(between, bit[place])
    return between


@compiled
def arc_scores(word: Ints, ending: Ints, upos: Ints, xpos: Ints, bit: Ints, weights: Weights) -> NDArray[np.float64]:
    """[P, P] float64, score[h, d] of one sentence.

    Cost: O(N^2) features.
    """
    size = word.size + 1
    framing = frames(word, ending, upos, xpos)
    scores = np.zeros((size, size))
    found = np.empty(_MOST, np.int64)
    for h in range(size):
        for direction in (-1, 1):
            between = 0
            d = h + direction
            while 1 <= d < size:
                count = arc_features(framing, between, h, d, found)
                for feature in found[:count]:
                    scores[h, d] += weights[feature & (SIZE - 1)]
                between = with_one_more(between, bit[d - 1])
                d += direction
    return scores


@compiled
def _train_arcs(
    word: Ints, ending: Ints, upos: Ints, xpos: Ints, bit: Ints, head: Ints, start: Ints,
    order: Ints, margin: float, largest: float, weights: Weights, drift: NDArray[np.float64],
) -> int:  # fmt: skip
    """Updates for every word whose head the search got wrong; returns the time of averaging."""
    found = np.empty(_MOST, np.int64)
    time = 0
    for s in order:
        a, b = start[s], start[s + 1]
        scores = arc_scores(word[a:b], ending[a:b], upos[a:b], xpos[a:b], bit[a:b], weights) + margin
        for d in range(1, b - a + 1):
            scores[head[a + d - 1], d] -= margin
        heads = eisner(scores)
        framing = frames(word[a:b], ending[a:b], upos[a:b], xpos[a:b])
        lack, norm = 0.0, 1e-9
        for d in range(1, b - a + 1):
            if heads[d - 1] != head[a + d - 1]:
                lack += scores[heads[d - 1], d] - scores[head[a + d - 1], d]
                # The squared length of the change: about as many features as the two arcs have templates.
                norm += 4.0 * _TEMPLATES.shape[0]
        size = 1.0 if largest == 0.0 else min(largest, max(0.0, lack) / norm)
        for d in range(1, b - a + 1):
            gold = head[a + d - 1]
            if heads[d - 1] != gold:
                for h, change in ((gold, size), (heads[d - 1], -size)):
                    count = arc_features(framing, tags_between(bit[a:b], h, d), h, d, found)
                    for feature in found[:count]:
                        weights[feature & (SIZE - 1)] += change
                        drift[feature & (SIZE - 1)] += change * time
        time += 1
    return time


@compiled
def _parse(word: Ints, ending: Ints, upos: Ints, xpos: Ints, bit: Ints, start: Ints, weights: Weights) -> Ints:
    heads = np.zeros(word.size, np.int64)
    for s in range(start.size - 1):
        a, b = start[s], start[s + 1]
        heads[a:b] = eisner(arc_scores(word[a:b], ending[a:b], upos[a:b], xpos[a:b], bit[a:b], weights))
    return heads


@compiled
def _best_label(found: Ints, labels: int, weights: Weights) -> int:
    best, choice = -np.inf, 0
    for label in range(labels):
        score = 0.0
        for feature in found:
            score += weights[(feature + label * 2654435761) & (SIZE - 1)]
        if score > best:
            best, choice = score, label
    return choice


@compiled
def _train_labels(
    word: Ints, ending: Ints, upos: Ints, xpos: Ints, bit: Ints, head: Ints, label: Ints, start: Ints,
    order: Ints, labels: int, weights: Weights, drift: NDArray[np.float64],
) -> int:  # fmt: skip
    found = np.empty(_MOST, np.int64)
    time = 0
    for s in order:
        a, b = start[s], start[s + 1]
        framing = frames(word[a:b], ending[a:b], upos[a:b], xpos[a:b])
        for d in range(1, b - a + 1):
            h, gold = head[a + d - 1], label[a + d - 1]
            count = arc_features(framing, tags_between(bit[a:b], h, d), h, d, found)
            chosen = _best_label(found[:count], labels, weights)
            if chosen != gold and gold >= 0:
                for name, change in ((gold, 1.0), (chosen, -1.0)):
                    for feature in found[:count]:
                        place = (feature + name * 2654435761) & (SIZE - 1)
                        weights[place] += change
                        drift[place] += change * time
            time += 1
    return time


@compiled
def _label(
    word: Ints, ending: Ints, upos: Ints, xpos: Ints, bit: Ints, heads: Ints, start: Ints, labels: int, weights: Weights
) -> Ints:
    found = np.empty(_MOST, np.int64)
    out = np.zeros(word.size, np.int64)
    for s in range(start.size - 1):
        a, b = start[s], start[s + 1]
        framing = frames(word[a:b], ending[a:b], upos[a:b], xpos[a:b])
        for d in range(1, b - a + 1):
            h = heads[a + d - 1]
            count = arc_features(framing, tags_between(bit[a:b], h, d), h, d, found)
            out[a + d - 1] = _best_label(found[:count], labels, weights)
    return out

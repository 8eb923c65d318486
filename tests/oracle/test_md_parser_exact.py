"""Dynamic programs over a grammar against an enumeration of all its derivations."""

from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from dynamics import eisner
from feasibility.toy_grammar.affinity import expected
from feasibility.toy_grammar.exact import bond_posteriors, viterbi_heads
from feasibility.toy_grammar.rules import MalformedGrammar, load_grammar

GRAMMAR = load_grammar()
LONGEST = 8


@cache
def derivations(symbol: str, length: int) -> tuple:
    """All (probability, tags, heads relative to the span with None at the top, place of the head word)."""
    if symbol in GRAMMAR.lexicon:
        return ((1.0, (symbol,), (None,), 0),) if length == 1 else ()
    total = sum(rule.weight for rule in GRAMMAR.rules if rule.left == symbol)
    found = []
    for rule in GRAMMAR.rules:
        if rule.left == symbol:
            for parts in _split(rule.right, length):
                found.append(_join(rule, rule.weight / total, parts))
    return tuple(found)


def _split(symbols, length):
    if len(symbols) == 1:
        yield from ((d,) for d in derivations(symbols[0], length))
        return
    for first in range(1, length - len(symbols) + 2):
        for d in derivations(symbols[0], first):
            for rest in _split(symbols[1:], length - first):
                yield (d, *rest)


def _join(rule, probability, parts):
    starts = np.cumsum([0, *(len(tags) for _, tags, _, _ in parts)])
    top = int(starts[rule.head]) + parts[rule.head][3]
    tags, heads = [], []
    for i, (p, sub, inner, _) in enumerate(parts):
        probability *= p
        tags += sub
        above = None if i == rule.head else top
        heads += [above if h is None else h + int(starts[i]) for h in inner]
    return probability, tuple(tags), tuple(heads), top


def sentences():
    for length in range(1, LONGEST + 1):
        yield from derivations(GRAMMAR.start, length)


def test_expected_bonds_and_pairs_against_all_derivations():
    size = len(GRAMMAR.tags)
    bonds, pairs = np.zeros((size, size, 2 * LONGEST + 1)), np.zeros((size, size, 2 * LONGEST + 1))
    roots, words, total = np.zeros(size), np.zeros(size), 0.0
    for p, tags, heads, top in sentences():
        if len(tags) < 4:
            continue
        total += p
        kinds = [GRAMMAR.tags.index(tag) for tag in tags]
        roots[kinds[top]] += p
        for d, kind in enumerate(kinds):
            words[kind] += p
            for h, other in enumerate(kinds):
                if h != d:
                    pairs[other, kind, LONGEST + d - h] += p
                    bonds[other, kind, LONGEST + d - h] += p * (heads[d] == h)
    found = expected(GRAMMAR, 4, LONGEST)
    for fast, plain in zip(found, (bonds, pairs, roots, words), strict=True):
        np.testing.assert_allclose(fast, plain / total, atol=1e-12)


def test_viterbi_and_posteriors_against_all_derivations():
    by_tags = defaultdict(list)
    for p, tags, heads, _ in sentences():
        by_tags[tags].append((p, tuple(0 if h is None else h + 1 for h in heads)))
    ambiguous = 0
    for tags, found in by_tags.items():
        posterior = np.zeros((len(tags) + 1, len(tags) + 1))
        for p, heads in found:
            posterior[heads, np.arange(1, len(tags) + 1)] += p
        posterior /= sum(p for p, _ in found)
        np.testing.assert_allclose(bond_posteriors(GRAMMAR, tags), posterior, atol=1e-12)
        best = max(p for p, _ in found)
        # Several derivations may be equally good; any of their trees will do.
        assert tuple(viterbi_heads(GRAMMAR, tags).tolist()) in {h for p, h in found if p > best * (1 - 1e-12)}
        ambiguous += len({h for _, h in found}) > 1
    assert ambiguous > 20


def test_tags_that_the_grammar_does_not_derive_are_refused():
    for exact in (viterbi_heads, bond_posteriors):
        with pytest.raises(MalformedGrammar, match="does not derive the tags Det Det"):
            exact(GRAMMAR, ("Det", "Det"))


def test_marginals_expect_more_right_heads_than_viterbi():
    tags = ("Name", "Vt", "Name", "P", "Name", "P", "Name", "P", "Name")
    posterior = bond_posteriors(GRAMMAR, tags)
    np.testing.assert_allclose(posterior[:, 1:].sum(axis=0), 1.0)
    places = np.arange(1, len(tags) + 1)
    assert posterior[eisner(posterior), places].sum() >= posterior[viterbi_heads(GRAMMAR, tags), places].sum() - 1e-12

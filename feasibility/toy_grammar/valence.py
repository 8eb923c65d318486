"""How many dependents of each label the rules give a head word: its valence."""

from __future__ import annotations

import math

from feasibility.toy_grammar.rules import Grammar, Rule, head_tags


def valences(grammar: Grammar) -> dict[tuple[str, str], tuple[float, float]]:
    """The least and the greatest number of dependents with a label that a word of a tag has in any derivation.

    A word collects its dependents along its spine, the chain of phrases that it heads. The least is a shortest path
    up the spine and the greatest a longest one; where a loop of the rules adds a dependent, it is infinite.

    Args:
        grammar: checked.

    Returns:
        (tag, label) -> (least, most), for every label that a head of this tag can give.

    Cost: O(labels * T * rules * symbols).

    Source: ours; Bellman and Ford.
    """
    keys = sorted({(head, label) for (head, _, _), label in grammar.labels.items()})
    return {key: (_extreme(grammar, *key, greatest=False), _extreme(grammar, *key, greatest=True)) for key in keys}


def _extreme(grammar: Grammar, tag: str, label: str, greatest: bool) -> float:
    """The greatest or least count over all complete spines of a tag; 0 where the tag heads none."""
    best, none = (max, -math.inf) if greatest else (min, math.inf)
    heads = head_tags(grammar.rules, grammar.tags)
    count = dict.fromkeys(heads, none)
    count[tag] = 0.0
    # A path without a loop has fewer rules than there are symbols; what still grows afterwards grows for ever.
    for round_ in range(2 * len(count)):
        for rule in grammar.rules:
            value = best(
                count[rule.left], count[rule.right[rule.head]] + _gain(grammar, heads, rule, tag, label, greatest)
            )
            if value != count[rule.left]:
                count[rule.left] = value if round_ < len(count) else math.inf
    # A spine is complete where its phrase is the sentence or itself a dependent.
    tops = {grammar.start} | {symbol for rule in grammar.rules for _, symbol in rule.dependents()}
    value = best(count[top] for top in tops)
    return value if value != none else 0.0


def _gain(
    grammar: Grammar, heads: dict[str, frozenset[str]], rule: Rule, tag: str, label: str, greatest: bool
) -> float:
    """How many dependents of the label one rule adds to a head of the tag."""
    best = max if greatest else min
    return float(
        sum(
            best(grammar.labels.get((tag, dependent, side)) == label for dependent in heads[symbol])
            for side, symbol in rule.dependents()
        )
    )

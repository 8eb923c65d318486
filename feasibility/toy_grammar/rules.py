"""A probabilistic context-free grammar with heads, read from a TOML file and checked before anything uses it."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

FORMAT = "toy_grammar.v1"
# Weights are relative; beyond this their sum could leave the finite numbers.
MOST_WEIGHT = 1e12
UPOS = frozenset(
    "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()  # noqa: SIM905
)

Side = Literal["left", "right"]


class MalformedGrammar(ValueError):
    """A grammar that cannot be used; the message says what came, what was expected and what to do."""


@dataclass(frozen=True)
class Rule:
    """One rewriting rule, such as NP -> Det N with the noun as its head.

    Args:
        left: the symbol that is rewritten.
        right: at least one symbol, in word order.
        head: index into `right` of the child whose head word heads the whole.
        weight: positive; relative to the other rules of the same left side.
    """

    left: str
    right: tuple[str, ...]
    head: int
    weight: float

    def dependents(self) -> list[tuple[Side, str]]:
        """The children beside the head child, each with the side of the head on which it stands."""
        return [
            ("left" if place < self.head else "right", symbol)
            for place, symbol in enumerate(self.right)
            if place != self.head
        ]


@dataclass(frozen=True)
class Entry:
    """The words of one tag, all equally likely, and the universal part of speech they belong to."""

    upos: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One rule of at most two children, with its probability: what every dynamic program here runs over.

    Args:
        left: index of the rewritten symbol.
        first: index of the first child.
        second: index of the second child, -1 where there is none.
        head_first: whether the head word comes from the first child.
        probability: of this step given `left`.
    """

    left: int
    first: int
    second: int
    head_first: bool
    probability: float


@dataclass(frozen=True)
class Grammar:
    """A checked grammar.

    Args:
        name: where it came from, for messages and results.
        start: the symbol of a whole sentence.
        rules: as in the file.
        lexicon: tag -> its words.
        labels: (head tag, dependent tag, side of the dependent) -> label, complete for every bond that can occur.
        symbols: tags first, then nonterminals, then the inner symbols that split rules of three or more children.
        steps: the rules split into at most two children; unary steps are ordered so that a child is
            finished before its parent.
    """

    name: str
    start: str
    rules: tuple[Rule, ...]
    lexicon: dict[str, Entry]
    labels: dict[tuple[str, str, Side], str]
    symbols: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, in the order of the file; tag t is symbol t."""
        return tuple(self.lexicon)


def load_grammar(path: Path | None = None) -> Grammar:
    """Read a grammar from a TOML file; without a path, the toy grammar that ships with the package.

    Raises:
        MalformedGrammar: the file is not TOML or breaks one of the conditions that `parse_grammar` checks.
        OSError: the file cannot be read.
    """
    if path is None:
        text = files(__package__).joinpath("toy.toml").read_text(encoding="utf-8")
        return parse_grammar(text, "toy.toml (shipped)")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MalformedGrammar(f"{path}: expected UTF-8 text ({error}); save the file as UTF-8") from error
    return parse_grammar(text, str(path))


def parse_grammar(text: str, name: str) -> Grammar:
    """Check the text of a grammar file and prepare it.

    Args:
        text: TOML with `format`, `start`, `rules`, `lexicon`, `labels`; the shipped toy.toml shows every field.
        name: for messages.

    Raises:
        MalformedGrammar: bad TOML, wrong format, a missing or mistyped field, an unknown symbol, a weight that is
            not positive, a head outside its rule, an empty lexicon, a nonterminal that cannot be reached or can
            never end, a cycle of one-child rules, or a possible bond without a label.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MalformedGrammar(f"{name}: not valid TOML ({error}); compare it with the shipped toy.toml") from error
    if table.get("format") != FORMAT:
        raise MalformedGrammar(f"{name}: format is {table.get('format')!r}, expected {FORMAT!r}")
    lexicon = _read_lexicon(table.get("lexicon"), name)
    rules = _read_rules(table.get("rules"), lexicon, name)
    start = table.get("start")
    if not isinstance(start, str) or start not in {rule.left for rule in rules}:
        raise MalformedGrammar(f"{name}: start is {start!r}, expected the left side of some rule")
    _check_reach(start, rules, lexicon, name)
    labels = _read_labels(table.get("labels"), lexicon, name)
    _check_labels(rules, labels, lexicon, name)
    symbols, steps = _split(rules, tuple(lexicon), name)
    return Grammar(name, start, rules, lexicon, labels, symbols, steps)


def _read_lexicon(table: Any, name: str) -> dict[str, Entry]:
    if not isinstance(table, dict) or not table:
        raise MalformedGrammar(f"{name}: [lexicon] is missing or empty; expected tag = {{ upos, words }} for every tag")
    lexicon = {}
    for tag, entry in table.items():
        words = entry.get("words") if isinstance(entry, dict) else None
        if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
            raise MalformedGrammar(f"{name}: words of tag {tag!r} are {words!r}, expected a list of at least one word")
        if len(set(words)) < len(words):
            raise MalformedGrammar(f"{name}: tag {tag!r} lists a word twice in {words}; remove the repetition")
        if not isinstance(entry.get("upos"), str) or entry["upos"] not in UPOS:
            raise MalformedGrammar(
                f"{name}: upos of tag {tag!r} is {entry.get('upos')!r}, expected one of {' '.join(sorted(UPOS))}"
            )
        lexicon[tag] = Entry(entry["upos"], tuple(words))
    return lexicon


def _read_rules(rows: Any, lexicon: dict[str, Entry], name: str) -> tuple[Rule, ...]:
    if not isinstance(rows, list) or not rows:
        raise MalformedGrammar(
            f"{name}: rules are missing or empty; expected a list of {{ left, right, head, weight }}"
        )
    rules = tuple(_read_rule(row, f"{name}: rule {number}") for number, row in enumerate(rows, 1))
    known = {rule.left for rule in rules} | set(lexicon)
    for number, rule in enumerate(rules, 1):
        if rule.left in lexicon:
            raise MalformedGrammar(f"{name}: rule {number} rewrites {rule.left!r}, which is a tag of the lexicon")
        unknown = [symbol for symbol in rule.right if symbol not in known]
        if unknown:
            raise MalformedGrammar(
                f"{name}: rule {number} ({rule.left} -> {' '.join(rule.right)}) uses {', '.join(unknown)}, "
                f"which no rule rewrites and the lexicon lacks; expected one of {' '.join(sorted(known))}"
            )
    return rules


def _read_rule(row: Any, place: str) -> Rule:
    if not isinstance(row, dict) or not {"left", "right", "head", "weight"} <= row.keys():
        raise MalformedGrammar(f"{place} is {row!r}, expected {{ left, right, head, weight }}")
    left, right, head, weight = row["left"], row["right"], row["head"], row["weight"]
    if (
        not isinstance(left, str)
        or not isinstance(right, list)
        or not right
        or not all(isinstance(s, str) for s in right)
    ):
        raise MalformedGrammar(
            f"{place}: expected one symbol left and a list of at least one right, got {left!r} -> {right!r}"
        )
    if isinstance(head, bool) or not isinstance(head, int) or not 1 <= head <= len(right):
        raise MalformedGrammar(f"{place}: head is {head!r}, expected the place of the head child, 1 to {len(right)}")
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight <= MOST_WEIGHT:
        raise MalformedGrammar(
            f"{place}: weight is {weight!r}, expected a positive number of at most {MOST_WEIGHT:g}; "
            f"delete a rule to forbid it"
        )
    return Rule(left, tuple(right), head - 1, float(weight))


def _check_reach(start: str, rules: tuple[Rule, ...], lexicon: dict[str, Entry], name: str) -> None:
    """Every nonterminal must be able to end in words, and every symbol must be reachable from the start."""
    ending, changed = set(lexicon), True
    while changed:
        new = {rule.left for rule in rules if ending.issuperset(rule.right)} - ending
        ending, changed = ending | new, bool(new)
    endless = sorted({rule.left for rule in rules} - ending)
    if endless:
        raise MalformedGrammar(
            f"{name}: {', '.join(endless)} can never end in words, because every rule of it needs it again; "
            f"add a rule that ends"
        )
    reached, frontier = {start}, [start]
    while frontier:
        left = frontier.pop()
        for symbol in {s for rule in rules if rule.left == left for s in rule.right} - reached:
            reached.add(symbol)
            frontier.append(symbol)
    useless = sorted(({rule.left for rule in rules} | set(lexicon)) - reached)
    if useless:
        raise MalformedGrammar(
            f"{name}: {', '.join(useless)} cannot be reached from {start}; use it in a rule or delete it"
        )


def _read_labels(table: Any, lexicon: dict[str, Entry], name: str) -> dict[tuple[str, str, Side], str]:
    if not isinstance(table, dict):
        raise MalformedGrammar(
            f"{name}: [labels] is missing; expected label = [[head tags, dependent tags, side], ...]"
        )
    labels: dict[tuple[str, str, Side], str] = {}
    for label, bonds in table.items():
        for bond in bonds if isinstance(bonds, list) else [bonds]:
            match bond:
                case [[*heads], [*dependents], ("left" | "right") as side]:
                    pass
                case _:
                    raise MalformedGrammar(
                        f"{name}: label {label!r} has {bond!r}, "
                        f"expected [[head tags], [dependent tags], 'left' or 'right']"
                    )
            unknown = [str(tag) for tag in (*heads, *dependents) if not isinstance(tag, str) or tag not in lexicon]
            if unknown:
                raise MalformedGrammar(f"{name}: label {label!r} uses {', '.join(unknown)}, which the lexicon lacks")
            for key in [(head, dependent, side) for head in heads for dependent in dependents]:
                if labels.setdefault(key, label) != label:
                    raise MalformedGrammar(f"{name}: the bond {key} has two labels, {labels[key]!r} and {label!r}")
    return labels


def head_tags(rules: tuple[Rule, ...], tags: Iterable[str]) -> dict[str, frozenset[str]]:
    """symbol -> the tags that its head word can have."""
    heads: defaultdict[str, set[str]] = defaultdict(set, {tag: {tag} for tag in tags})
    for _ in rules:  # a head tag climbs at least one rule a round
        for rule in rules:
            heads[rule.left] |= heads[rule.right[rule.head]]
    return {symbol: frozenset(found) for symbol, found in heads.items()}


def _check_labels(
    rules: tuple[Rule, ...], labels: dict[tuple[str, str, Side], str], lexicon: dict[str, Entry], name: str
) -> None:
    """Every bond that the rules can form must have a label."""
    heads = head_tags(rules, lexicon)
    for rule in rules:
        for side, symbol in rule.dependents():
            for head in sorted(heads[rule.right[rule.head]]):
                for dependent in sorted(heads[symbol]):
                    if (head, dependent, side) not in labels:
                        raise MalformedGrammar(
                            f"{name}: {rule.left} -> {' '.join(rule.right)} bonds {dependent} to {head} on its {side}, "
                            f"which has no label; add it under [labels]"
                        )


def _split(rules: tuple[Rule, ...], tags: tuple[str, ...], name: str) -> tuple[tuple[str, ...], tuple[Step, ...]]:
    """Rules of three or more children become chains of two, so that every dynamic program is over pairs.

    The chain is cut so that the head child is always on the side of the inner symbol, which thus has the same head.
    """
    order = _unary_order(rules, name)
    symbols = [*tags, *order]
    index = {symbol: number for number, symbol in enumerate(symbols)}
    total: defaultdict[str, float] = defaultdict(float)
    for rule in rules:
        total[rule.left] += rule.weight
    unary, binary = [], []
    for rule in rules:
        left, right, head = index[rule.left], [index[symbol] for symbol in rule.right], rule.head
        probability = rule.weight / total[rule.left]
        while len(right) > 2:
            inner = len(symbols)
            symbols.append(f"{rule.left}|{inner}")
            if head > 0:
                binary.append(Step(left, right[0], inner, False, probability))
                right, head = right[1:], head - 1
            else:
                binary.append(Step(left, inner, right[-1], True, probability))
                right = right[:-1]
            left, probability = inner, 1.0
        if len(right) == 2:
            binary.append(Step(left, right[0], right[1], head == 0, probability))
        else:
            unary.append(Step(left, right[0], -1, True, probability))
    unary.sort(key=lambda step: step.left)
    return tuple(symbols), (*binary, *unary)


def _unary_order(rules: tuple[Rule, ...], name: str) -> list[str]:
    """The nonterminals, each after those that it can become through a rule of one child."""
    graph: dict[str, dict[str, None]] = {rule.left: {} for rule in rules}
    for rule in rules:
        if len(rule.right) == 1 and rule.right[0] in graph:
            graph[rule.left][rule.right[0]] = None
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise MalformedGrammar(
            f"{name}: the one-child rules go in a circle ({' -> '.join(error.args[1])}); remove one of them"
        ) from error

"""Where everything on the poster goes: all lengths in pixels."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from periodic_table.element import Element
from periodic_table.poster.groups import COLUMNS, NAMES, column

CELL_WIDTH, CELL_HEIGHT, GAP, MARGIN = 66, 72, 3, 28
# Of the head and the row labels at scale 1, which fits a hundred words.
HEADER, HEADINGS, LEFT, WIDTH = 118, 54, 92, 1900
# The order of the blocks, in the legend and within a compartment.
ORDER = (
    "NOUN", "PROPN", "PRON", "NUM", "VERB", "AUX", "ADJ", "ADV", "ADP", "DET", "CCONJ", "SCONJ", "PART", "INTJ",
    "PUNCT", "SYM", "X",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One element on the poster.

    Args:
        element: what it shows.
        number: its place in the reading order, from 1.
        symbol: one to three characters, unique on the poster.
        x, y: of its upper left corner.
    """

    element: Element
    number: int
    symbol: str
    x: float
    y: float


@dataclass(frozen=True)
class Span:
    """A column, a row, or a part of speech below them: what it is called, where it begins, and how long it is."""

    name: str
    start: float
    length: float
    across: float = 0.0


@dataclass(frozen=True)
class Poster:
    """A laid-out table.

    Args:
        title: for the head.
        scale: of the head and the row labels.
        cells: in reading order.
        groups: the columns.
        periods: the rows; their names are "1" to "5".
        below: the parts of speech of the function words; `start` is x and `across` y.
        width, height: of the whole.
    """

    title: str
    scale: float
    cells: tuple[Cell, ...]
    groups: tuple[Span, ...]
    periods: tuple[Span, ...]
    below: tuple[Span, ...]
    width: float
    height: float


def lay_out(elements: Iterable[Element], title: str, aspect: float = 1.5) -> Poster:
    """Give every element its cell.

    Args:
        elements: any number of them.
        title: for the head.
        aspect: width by height that the main body should have.

    Cost: O(n log n) for n elements, and the search for the widths: 0.1 s for 1,000.
    """
    every = list(elements)
    compartments: defaultdict[tuple[int, int], list[Element]] = defaultdict(list)
    for element in every:
        if element.pos in COLUMNS:
            compartments[NAMES.index(column(element)), element.abstraction].append(element)
    wide, high = grid({place: len(members) for place, members in compartments.items()}, aspect)
    body = max(sum(wide.values()), 9) * CELL_WIDTH + len(wide) * GAP
    scale = round(max(1.0, body / WIDTH), 2)
    left, top = LEFT * scale, (HEADER + HEADINGS) * scale
    columns, rows = _edges(wide, left, CELL_WIDTH), _edges(high, top, CELL_HEIGHT)
    placed: list[tuple[Element, float, float]] = []
    for (group, period), members in compartments.items():
        # Within a compartment one part of speech after the other, and like meanings together.
        members.sort(key=lambda one: (ORDER.index(one.pos), one.supersense or "", one.lemma))
        for place, element in enumerate(members):
            down, across = divmod(place, wide[group])
            placed.append((element, columns[group] + across * CELL_WIDTH, rows[period] + down * CELL_HEIGHT))
    bottom = top + sum(high.values()) * CELL_HEIGHT + len(high) * GAP
    others = [element for element in every if element.pos not in COLUMNS]
    function_words, below, bottom = _lower(others, bottom + 36, left, left + body)
    return Poster(
        title,
        scale,
        _cells(placed + function_words),
        tuple(Span(NAMES[group], columns[group], wide[group] * CELL_WIDTH) for group in sorted(wide)),
        tuple(Span(str(period), rows[period], high[period] * CELL_HEIGHT) for period in sorted(high)),
        below,
        left + body + MARGIN,
        bottom + MARGIN + 24 * scale,
    )


def grid(sizes: Mapping[tuple[int, int], int], aspect: float) -> tuple[dict[int, int], dict[int, int]]:
    """How many cells wide each column and how many high each row must be to hold all compartments.

    Greedy: the step that makes most room for the cells that have none yet, per cell of area that it adds.

    Args:
        sizes: (column, row) -> number of cells.
        aspect: width by height that is wanted.

    Returns:
        width of each column and height of each row, in cells.
    """
    wide = {column: 1 for column, _ in sizes}
    high = {row: 1 for _, row in sizes}

    def missing() -> int:
        return sum(max(0, number - wide[column] * high[row]) for (column, row), number in sizes.items())

    def cost(line: dict[int, int], name: int) -> float:
        before = missing()
        line[name] += 1
        gained, shape = before - missing(), sum(wide.values()) * CELL_WIDTH / (sum(high.values()) * CELL_HEIGHT)
        line[name] -= 1
        added = sum(high.values()) if line is wide else sum(wide.values())
        return added * max(shape / aspect, aspect / shape) ** 2 / max(gained, 1e-6)

    while missing():
        steps = [(cost(line, name), which, name) for which, line in enumerate((wide, high)) for name in line]
        _, which, name = min(steps)
        (wide, high)[which][name] += 1
    return wide, high


def _edges(sizes: Mapping[int, int], start: float, cell: float) -> dict[int, float]:
    """Where each column or row begins, with a gap between them."""
    names = sorted(sizes)
    begins = itertools.accumulate((sizes[name] * cell + GAP for name in names), initial=start)
    return dict(zip(names, begins, strict=False))


def _lower(
    elements: Sequence[Element], top: float, left: float, right: float
) -> tuple[list[tuple[Element, float, float]], tuple[Span, ...], float]:
    """Function words in rows across the whole width, one part of speech after the other."""
    placed, heads = [], []
    x, y = left, top
    ordered = sorted(elements, key=lambda one: (ORDER.index(one.pos), one.lemma))
    for tag, members in itertools.groupby(ordered, key=lambda one: one.pos):
        row = list(members)
        if x > left and x + len(row) * CELL_WIDTH > right:
            x, y = left, y + CELL_HEIGHT + 26
        heads.append(Span(tag, x, len(row) * CELL_WIDTH, y))
        for element in row:
            if x + CELL_WIDTH > right:
                x, y = left, y + CELL_HEIGHT
            placed.append((element, x, y))
            x += CELL_WIDTH
        x += 3 * GAP
    return placed, tuple(heads), y + CELL_HEIGHT


def _cells(placed: Sequence[tuple[Element, float, float]]) -> tuple[Cell, ...]:
    ordered = sorted(placed, key=lambda one: (one[2], one[1]))
    symbols = unique_symbols([element.lemma for element, _, _ in ordered])
    return tuple(
        Cell(element, number, symbol, round(x, 1), round(y, 1))
        for number, ((element, x, y), symbol) in enumerate(zip(ordered, symbols, strict=True), 1)
    )


def unique_symbols(lemmas: Sequence[str]) -> list[str]:
    """A symbol for each word, as chemistry makes them: its first letter and one or two later ones; all different."""
    taken: set[str] = set()
    # Short words have the fewest letters to choose from.
    first = sorted(range(len(lemmas)), key=lambda place: (len(lemmas[place]), place))
    symbols = {place: _symbol(lemmas[place], taken) for place in first}
    return [symbols[place] for place in range(len(lemmas))]


def _symbol(lemma: str, taken: set[str]) -> str:
    letters = [character for character in lemma if character.isalnum()] or list(lemma[:1] or "?")
    first, rest = letters[0].upper(), [letter.lower() for letter in letters[1:]]
    short = [first] if len(lemma) == 1 else []
    pairs = (first + letter for letter in rest)
    triples = (first + a + b for a, b in itertools.combinations(rest, 2))
    spare = (f"{first}{number}" for number in itertools.count(1))
    symbol = next(one for one in itertools.chain(short, pairs, triples, spare) if one not in taken)
    taken.add(symbol)
    return symbol

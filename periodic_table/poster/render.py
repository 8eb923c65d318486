"""A laid-out poster as the text of an SVG or HTML file: same table, same bytes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from periodic_table.element import Isotope
from periodic_table.poster.groups import COLUMNS, USUAL, column, mark, valence
from periodic_table.poster.layout import (
    CELL_HEIGHT,
    CELL_WIDTH,
    GAP,
    HEADER,
    HEADINGS,
    LEFT,
    MARGIN,
    ORDER,
    Cell,
    Poster,
)

SOURCE = "Senses: WordNet 3.0; verb classes: VerbNet 3.3; bonds: UD English EWT, CC BY-SA 4.0."
PERIODS = {
    1: ("things one", "can touch"),
    2: ("seen or done", "bodily"),
    3: ("social facts,", "events"),
    4: ("properties,", "states"),
    5: ("thought,", "relations"),
}
# On a page: at most so many bonds and senses of the chosen word.
BONDS, SENSES = 12, 8


@dataclass(frozen=True)
class Block:
    """One part of speech as the poster shows it: its name in words, and the colours of its cells."""

    name: str
    fill: str
    edge: str


# Hues by kinship: names of things blue and green, verbs red, modifiers yellow, function words violet and grey. The dark
# one of each pair is legible on the light one (contrast at least 4.5).
BLOCKS: Mapping[str, Block] = {
    "NOUN": Block("noun", "#cfe3f7", "#2b6cb0"),
    "PROPN": Block("name", "#c3ebe6", "#1a6b62"),
    "PRON": Block("pronoun", "#d3efcb", "#376f28"),
    "NUM": Block("numeral", "#e3f0b8", "#5a6b16"),
    "VERB": Block("verb", "#fbd3cb", "#a93221"),
    "AUX": Block("auxiliary", "#fbdcc0", "#984c0f"),
    "ADJ": Block("adjective", "#fdeab0", "#7f6009"),
    "ADV": Block("adverb", "#f6e0a4", "#705912"),
    "ADP": Block("adposition", "#e2d7f5", "#6340ab"),
    "DET": Block("determiner", "#ecd4f0", "#85388f"),
    "CCONJ": Block("coordinator", "#d8daf6", "#4249a8"),
    "SCONJ": Block("subordinator", "#d8daf6", "#4249a8"),
    "PART": Block("particle", "#f4d3e2", "#9b3565"),
    "INTJ": Block("interjection", "#f7d0d6", "#a82c44"),
    "PUNCT": Block("punctuation", "#e4e6ea", "#56606e"),
    "SYM": Block("symbol", "#e4e6ea", "#56606e"),
    "X": Block("other", "#e4e6ea", "#56606e"),
}


def draw(poster: Poster, kind: Literal["svg", "html"]) -> str:
    """A poster as the text of a file.

    Args:
        poster: as `lay_out` gives it.
        kind: "svg", a picture whose cells have tooltips, or "html", a page of its own with search, details and a filter
            by colour.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("periodic_table.poster", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    svg = environment.get_template("table.svg.j2").render(
        poster=poster,
        k=poster.scale,
        blocks=BLOCKS,
        cells=[(cell, _look(cell)) for cell in poster.cells],
        groups=[(span, _wrapped(span.name, span.length / poster.scale)) for span in poster.groups],
        periods=[(span, PERIODS[int(span.name)]) for span in poster.periods],
        legend=_legend(poster),
        left=LEFT,
        margin=MARGIN,
        head=HEADER + HEADINGS,
        size=(CELL_WIDTH - GAP, CELL_HEIGHT - GAP),
        source=SOURCE,
    )
    if kind == "svg":
        return svg
    # In a script element only "</" could end the data early.
    data = json.dumps([_details(cell) for cell in poster.cells], ensure_ascii=False).replace("</", "<\\/")
    return environment.get_template("table.html.j2").render(poster=poster, svg=Markup(svg), data=Markup(data))


def _legend(poster: Poster) -> list[tuple[str, Block, float]]:
    present = {cell.element.pos for cell in poster.cells}
    tags = [tag for tag in ORDER if tag in present]
    begins = itertools.accumulate((30 + 6.1 * len(BLOCKS[tag].name) for tag in tags), initial=0.0)
    return [(tag, BLOCKS[tag], round(x, 1)) for tag, x in zip(tags, begins, strict=False)]


def _wrapped(name: str, width: float) -> list[str]:
    lines: list[str] = []
    for word in name.split():
        if lines and 5.4 * (len(lines[-1]) + 1 + len(word)) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _look(cell: Cell) -> dict[str, Any]:
    element, block = cell.element, BLOCKS[cell.element.pos]
    sense = _meaning(element.supersense)
    return {
        "fill": block.fill,
        "edge": block.edge,
        "valence": valence(element) or "",
        "sense": sense,
        "word_size": _fitting(element.lemma, 10.5),
        "sense_size": _fitting(sense, 8),
        "title": f"{element.lemma}, {block.name}; {sense or 'no sense'}; abstraction {element.abstraction}",
    }


def _fitting(text: str, size: float) -> float:
    """A font size at which a text fits into a cell."""
    return round(min(size, (CELL_WIDTH - GAP - 6) / (0.54 * max(len(text), 1))), 1)


def _meaning(supersense: str | None) -> str:
    """What stands at the foot of a cell: a supersense without its part of speech."""
    own = {"noun.Tops": "kind", "adj.all": "quality", "adj.pert": "relation", "adj.ppl": "state", "adv.all": "manner"}
    return own.get(supersense or "", (supersense or "").partition(".")[2])


def _details(cell: Cell) -> dict[str, Any]:
    """What the page shows of the chosen word, and the text that its search looks through."""
    element, block = cell.element, BLOCKS[cell.element.pos]
    facts = {
        "block": f"{block.name} ({element.pos})",
        "group": column(element) if element.pos in COLUMNS else None,
        "period": f"{element.abstraction}, {' '.join(PERIODS[element.abstraction])}",
        "meaning": element.supersense,
        "verb class": element.verb_class,
    }
    known = [(name, value) for name, value in facts.items() if value]
    arrows = {"head": "takes", "dependent": "is"}
    bonds = [(f"{arrows[site.role]} {site.relation}", site.expected) for site in element.valence]
    senses = [(_sense(sense), round(sense.probability, 3)) for sense in element.senses]
    text = [
        element.lemma,
        *(value for _, value in known),
        *map(mark, element.valence),
        *(name for name, _ in senses[:3]),
    ]
    return {
        "n": cell.number,
        "symbol": cell.symbol,
        "lemma": element.lemma,
        "block": element.pos,
        "fill": block.fill,
        "edge": block.edge,
        "facts": known,
        "counted": any(site.expected != USUAL for site in element.valence),
        "bonds": bonds[:BONDS],
        "senses": senses[:SENSES],
        "text": " ".join(text).lower(),
    }


def _sense(sense: Isotope) -> str:
    kind = sense.supersense.partition(".")[2]
    return kind if sense.synset is None else f"{sense.synset} ({kind})"

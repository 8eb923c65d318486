"""The poster: every word has one place, nothing overlaps, the files are whole, and misuse is named."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from periodic_table import PeriodicTable
from periodic_table.element import UPOS, Element, Isotope, Site
from periodic_table.poster import Poster, draw, lay_out
from periodic_table.poster.__main__ import main
from periodic_table.poster.groups import column, valence
from periodic_table.poster.layout import CELL_HEIGHT, CELL_WIDTH, ORDER, grid, unique_symbols
from periodic_table.poster.render import BLOCKS


def element(lemma: str, pos: str = "NOUN", *sites: str, abstraction: int = 1) -> Element:
    valence = tuple(Site(site[1:], "head" if site[0] == ">" else "dependent", 0.3) for site in sites)
    return Element(lemma, pos, "noun.animal", None, abstraction, valence, (Isotope("dog.n.01", "noun.animal", 1.0),))


@pytest.fixture(scope="module")
def poster() -> Poster:
    return lay_out(PeriodicTable.load("v0.1"), "A title")


@pytest.mark.parametrize("version", ["v0.1", "v1.0"])
def test_every_word_has_a_cell_and_no_two_overlap(version: str) -> None:
    table = PeriodicTable.load(version)
    poster = lay_out(table, "A title")
    assert sorted((cell.element.lemma, cell.element.pos) for cell in poster.cells) == sorted(
        (one.lemma, one.pos) for one in table
    )
    places = sorted((cell.y, cell.x) for cell in poster.cells)
    rows: dict[float, list[float]] = {}
    for y, x in places:
        rows.setdefault(y, []).append(x)
    assert all(b - a >= CELL_WIDTH - 0.2 for xs in rows.values() for a, b in pairwise(xs))
    assert all(b - a >= CELL_HEIGHT - 0.2 for a, b in pairwise(sorted(rows)))
    assert max(x for _, x in places) + CELL_WIDTH < poster.width
    assert max(y for y, _ in places) + CELL_HEIGHT < poster.height


def test_words_stand_in_the_row_of_their_abstraction_and_the_column_of_their_group(poster: Poster) -> None:
    rows = {span.name: (span.start, span.start + span.length) for span in poster.periods}
    columns = {span.name: (span.start, span.start + span.length) for span in poster.groups}
    open_words = [cell for cell in poster.cells if cell.element.pos in ("NOUN", "VERB", "ADJ", "ADV", "PROPN")]
    for cell in open_words:
        top, bottom = rows[str(cell.element.abstraction)]
        left, right = columns[column(cell.element)]
        assert top <= cell.y < bottom
        assert left <= cell.x < right
    assert [cell.number for cell in poster.cells] == list(range(1, 101))


def test_the_column_is_the_first_bond_that_sets_a_word_apart() -> None:
    assert column(element("give", "VERB", ">nsubj", ">obj", ">iobj")) == "gives someone"
    assert column(element("see", "VERB", ">nsubj", ">obj")) == "takes an object"
    assert column(element("sleep", "VERB", ">nsubj")) == "goes alone"
    assert column(element("afraid", "ADJ", ">cop")) == "after be"
    assert column(element("red", "ADJ", ">cop", "<amod")) == "both ways"
    assert column(element("wooden", "ADJ", "<amod")) == "before a noun"
    weak = dataclasses.replace(element("see", "VERB"), valence=(Site("obj", "head", 0.09),))
    assert column(weak) == "goes alone"
    with pytest.raises(KeyError):
        column(element("the", "DET"))


def test_valence_counts_what_a_word_takes_and_not_what_it_is() -> None:
    assert valence(element("give", "VERB", ">nsubj", ">obj", "<advcl")) == 2


def test_the_grid_holds_all_cells() -> None:
    sizes = {(0, 1): 7, (0, 2): 1, (3, 1): 2, (5, 5): 30}
    wide, high = grid(sizes, aspect=1.5)
    assert set(wide) == {0, 3, 5}
    assert set(high) == {1, 2, 5}
    assert all(wide[column] * high[row] >= number for (column, row), number in sizes.items())
    assert grid({}, 1.5) == ({}, {})


def test_symbols_are_short_and_all_different() -> None:
    words = ["be", "bear", "break", "become", "beef", "b", "bee", ",", "$", "...", "İ", "a b", "50", "bebe", "bbb"]
    symbols = unique_symbols(words)
    assert len(set(symbols)) == len(words)
    assert symbols[:2] == ["Be", "Ba"]
    assert unique_symbols(["dog"] * 40) != ["Do"] * 40
    assert all(a != b for a, b in combinations(unique_symbols(["dog"] * 40), 2))
    table = unique_symbols([one.lemma for one in PeriodicTable.load("v1.0")])
    assert len(set(table)) == 1000
    assert max(map(len, table)) <= 3


def test_the_picture_is_well_formed_and_the_same_every_time(poster: Poster) -> None:
    svg = draw(poster, "svg")
    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    cells = [group for group in root.iter(f"{name}g") if group.get("class") == "cell"]
    assert len(cells) == 100
    assert all(cell.find(f"{name}title") is not None for cell in cells)
    texts = {text.text for text in root.iter(f"{name}text")}
    assert {"give", "possession", "Gi", "A title", "gives someone"} <= texts
    assert svg == draw(lay_out(PeriodicTable.load("v0.1"), "A title"), "svg")


def test_the_page_holds_the_details_of_every_word(poster: Poster) -> None:
    html = draw(poster, "html")
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])
    assert len(data) == 100
    give = next(one for one in data if one["lemma"] == "give")
    assert ["verb class", "give-13.1"] in give["facts"]
    assert ["takes iobj", 0.1] in give["bonds"]
    assert give["counted"] is False, "the hand-made table has no numbers"
    assert "possession" in give["text"]
    assert "http" not in html.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched"


def test_strange_words_do_no_harm() -> None:
    words = [element("</script><b>", "NOUN"), element("a & b", "VERB"), element("", "X"), element("🙂" * 30, "SYM")]
    poster = lay_out(words, "<T>")
    ElementTree.fromstring(draw(poster, "svg"))
    html = draw(poster, "html")
    assert "</script><b>" not in html
    assert len(json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])) == 4
    assert lay_out([], "empty").cells == ()
    ElementTree.fromstring(draw(lay_out([], "empty"), "svg"))


def test_every_part_of_speech_has_colours_that_can_be_read() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert set(BLOCKS) == set(ORDER) == set(UPOS)
    for block in BLOCKS.values():
        assert (luminance(block.fill) + 0.05) / (luminance(block.edge) + 0.05) >= 4.0, block.name


def test_the_command_writes_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "t.svg")]) == 0
    assert main(["--out", str(tmp_path / "t.HTML")]) == 0
    assert "100 words" in capsys.readouterr().out
    assert (tmp_path / "t.svg").read_text(encoding="utf-8").startswith("<svg")
    assert (tmp_path / "t.HTML").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "t.pdf"], "UnknownPosterFormat: --out t.pdf ends in '.pdf', expected .svg or .html"),
        (["--out", "t.svg", "--version", "v7"], "no table 'v7'; there are v0.1, v1.0"),
    ],
)
def test_misuse_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1

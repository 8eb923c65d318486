from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from feasibility import scorecard
from feasibility.cli import perform
from feasibility.harness import silent
from feasibility.roadmap import ITEMS


@pytest.fixture
def results(toy):
    record, _ = perform(toy, toy.config(), silent, smoke=False)
    record["artifacts"] = []
    return {"md_parser": record}


def test_every_criterion_of_the_roadmap_has_a_row(results) -> None:
    rows = scorecard.rows(results)
    assert [row.item for row in rows] == list(ITEMS)
    by_id = {row.item.id: row for row in rows}
    assert by_id["G3b"].verdict == "GO"
    assert by_id["G3b"].value == "95 % [94, 96]"
    assert by_id["G3b"].baseline == "greedy 90"
    assert by_id["G1"].verdict == "not measured"


def test_a_smoke_run_decides_nothing(results) -> None:
    assert scorecard.passed(results) == {"G3a": True, "G3b": True}
    results["md_parser"]["smoke"] = True
    assert scorecard.passed(results) == {"G3a": None, "G3b": None}


def test_a_changed_configuration_decides_nothing_and_says_so(results) -> None:
    results["md_parser"]["changed"] = ["--value 99"]
    assert scorecard.passed(results) == {"G3a": None, "G3b": None}
    assert "**GO** (changed configuration)" in scorecard.markdown(results)


def test_one_criterion_is_judged_once(results) -> None:
    results["other"] = {**results["md_parser"], "experiment": "other"}
    with pytest.raises(scorecard.MeasuredTwice, match="is judged by md_parser and by other"):
        scorecard.rows(results)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (97.694, "97.69"),
        (100.0, "100"),
        (0.02264, "0.0226"),
        (1234.5, "1,234"),
        (2.1e-5, "2.1e-05"),
        (-3, "-3"),
        (99.996, "100.00"),
        (0.99996, "1.0000"),
    ],
)
def test_numbers_are_short_and_comparable(value, text) -> None:
    assert scorecard.number(value) == text


def test_the_printed_scorecard_shows_measured_and_unmeasured(results) -> None:
    text = StringIO()
    scorecard.print_scorecard(results, Console(file=text, width=140))
    printed = text.getvalue()
    assert "uas 95 % [94, 96]" in printed
    assert printed.count("not measured") == len(ITEMS) - 2
    assert "Month 3: radical go/no-go: UNCLEAR." in printed
    assert "incremental/radical: 70/30" in printed


def test_markdown_lists_the_measured_and_names_the_rest(results) -> None:
    text = scorecard.markdown(results)
    assert "| G3b |" in text
    assert "| G1 |" not in text
    assert "Not measured yet: G1, G2, G3c, G4, C1.1" in text

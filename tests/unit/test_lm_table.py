"""The table of recorded trainings, and the page that shows it."""

from __future__ import annotations

import pytest

from feasibility.environment import ROOT
from feasibility.language_model.record import read_record
from feasibility.language_model.table import BEGIN, END, HEAD, MarksMissing, html, into, markdown, rows

PAGE = ROOT / "docs" / "language_model.md"


@pytest.fixture(scope="module")
def text() -> str:
    return markdown(read_record())


def test_the_page_shows_the_shipped_record(text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert into(page, text) == page


def test_every_pattern_of_every_size_has_a_row(text: str) -> None:
    record = read_record()
    lines = text.splitlines()
    assert len(lines) == 2 + sum(len(runs) for runs in record.values())
    # A bar in a name is no new cell.
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(HEAD) + 1}
    window = next(line for line in lines if line.startswith("| 60 million, n = 2,048 | window |"))
    assert window.split(" | ")[5].count(".") == 3
    assert window.endswith("|  |")


def test_the_page_of_its_own_has_as_many_rows() -> None:
    record = {size: runs for size, runs in read_record().items() if size.dim == 640}
    assert html(record).count("<tr>") == 1 + len(rows(record)) == 5
    assert "<td>60 million, n = 2,048</td>" in html(record)


def test_the_table_goes_between_its_marks() -> None:
    assert into(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(MarksMissing, match="<!-- trainings -->"):
        into("a", "new")

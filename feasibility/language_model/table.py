"""One table of all recorded trainings: size by size and pattern by pattern, against dense attention and the window.

python -m feasibility.language_model.table                                 # print it
python -m feasibility.language_model.table --page docs/language_model.md   # and put it into the page
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from feasibility.harness import Metric
from feasibility.language_model.compared import difference, per_token, seed_by_seed
from feasibility.language_model.record import Record, Runs, Size, parameters_of, read_record
from feasibility.store import write_atomic

BEGIN, END = "<!-- trainings -->", "<!-- /trainings -->"
HEAD = ("parameters, n", "pattern", "keys", "rate", "beyond dense", "seed by seed", "beyond the window")

STYLE = (
    "body{font:14px sans-serif;margin:8px}table{border-collapse:collapse}"
    "td,th{padding:2px 10px 2px 0;text-align:left;white-space:nowrap}tr{border-bottom:1px solid #DADCE0}"
)


class MarksMissing(ValueError):
    """A page without the two marks between which the table goes."""


def words(metric: Metric) -> str:
    """+0.012 [+0.001, +0.023]."""
    return f"{metric.value:+.3f} [{metric.ci95[0]:+.3f}, {metric.ci95[1]:+.3f}]"


def size_in_words(size: Size, runs: Runs) -> str:
    """17 million, n = 2,048."""
    return f"{parameters_of(runs) / 1e6:.0f} million, n = {size.length:,}"


def rows(record: Record) -> list[tuple[str, ...]]:
    """The table's cells, without its head: on the test novels, the best pattern of each size on top.

    Cost: two bootstraps a row, a few seconds in all.
    """
    found: list[tuple[str, ...]] = []
    for size, runs in record.items():
        words_of_size = size_in_words(size, runs)
        over = {name: difference(runs, [name], ["dense"]) for name in runs}
        for name in sorted(over, key=lambda name: over[name].value):
            line = next(iter(runs[name].values()))
            keys = "a state" if name == "linear" else f"{line['spec']['keys']:,.0f}"
            cells = (f"{per_token(runs, name):.3f} nats in all", "", "")
            if name != "dense":
                each = " ".join(f"{value:+.3f}" for value in seed_by_seed(runs, name, "dense"))
                beyond = "" if name == "window" else words(difference(runs, [name], ["window"]))
                cells = words(over[name]), each, beyond
            found.append((words_of_size, name, keys, f"{line['rate']:g}", *cells))
    return found


def markdown(record: Record) -> str:
    """The table for a page."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows(record)]
    return "\n".join(lines)


def html(record: Record) -> str:
    """The table as a page of its own."""
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in [("th", HEAD), *(("td", row) for row in rows(record))]
    )
    return (
        f"<!doctype html><meta charset='utf-8'><title>Trainings</title><style>{STYLE}</style>"
        f"<table>{head}{''.join(body)}</table>\n"
    )


def into(page: str, text: str) -> str:
    """The page with the text between its marks.

    Raises:
        MarksMissing: the page lacks them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise MarksMissing(f"the page needs a line {BEGIN} and after it a line {END}, between which the table goes")
    return f"{before}{begin}\n{text}\n{end}{after}"


@dataclass(frozen=True)
class Options:
    """Where the table goes."""

    page: Path | None = None
    """A Markdown file with the two marks."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.language_model.table", description=__doc__, args=argv)
    text = markdown(read_record())
    print(text)
    if options.page is not None:
        write_atomic(options.page, into(options.page.read_text(encoding="utf-8"), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Rebuild the report, or the README's table of verdicts, from results on disk; runs nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from feasibility import scorecard, store
from feasibility.cli import guarded
from feasibility.report import write_report

BEGIN, END = "<!-- verdicts: begin -->", "<!-- verdicts: end -->"


class NoMarkers(ValueError):
    """A README without the two comment lines between which the table of verdicts goes."""


class NoResults(LookupError):
    """A folder without results."""


@dataclass(frozen=True)
class Options:
    """What to read and what to write."""

    results: Path = Path("results")
    """Folder with the result files."""
    out: Path | None = None
    """The page to write; report.html in the results folder by default."""
    readme: Path | None = None
    """Instead of the page, refresh the table of verdicts between the markers of this Markdown file."""


def with_verdicts(text: str, results: Path) -> str:
    """A Markdown text with the table of verdicts of a results folder between its markers.

    Raises:
        NoMarkers: the text does not have each marker once, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise NoMarkers(f"expected {BEGIN} and then {END}, each once; put them where the table should stand")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    return f"{head}{BEGIN}\n{scorecard.markdown(store.load_all(results))}{END}{tail}"


def _build(options: Options) -> int:
    if not store.load_all(options.results):
        raise NoResults(f"{options.results} has no results; run `python -m feasibility --out {options.results}` first")
    if options.readme is not None:
        store.write_atomic(options.readme, with_verdicts(options.readme.read_text(encoding="utf-8"), options.results))
        print(options.readme)
    else:
        print(write_report(options.results, options.out))
    return 0


def main() -> None:
    """Entry point of `python -m feasibility.report`."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.report", description=__doc__)
    sys.exit(guarded(lambda: _build(options)))


if __name__ == "__main__":
    main()

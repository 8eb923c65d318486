"""Entry point of `python -m periodic_table.poster`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import periodic_table.poster
from periodic_table.poster import draw, lay_out
from periodic_table.storage import write_atomic
from periodic_table.table import PeriodicTable


class UnknownPosterFormat(ValueError):
    """A file name that is neither .svg nor .html."""


@dataclass(frozen=True)
class Options:
    """What to draw, and where to."""

    out: Path = Path("table.svg")
    """File to write: .svg, or .html for one with search and details."""
    version: str = "v0.1"
    """Version of the table: "v0.1", a hundred words, or "v1.0", a thousand."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw a table; exit status 0, or 2 with one line on stderr."""
    import tyro

    program = "python -m periodic_table.poster"
    options = tyro.cli(Options, prog=program, description=periodic_table.poster.__doc__, args=argv)
    kind = options.out.suffix.lower()
    try:
        if kind not in (".svg", ".html"):
            raise UnknownPosterFormat(f"--out {options.out} ends in {kind!r}, expected .svg or .html")
        poster = lay_out(PeriodicTable.load(options.version), f"The semantic periodic table {options.version}")
        write_atomic(options.out, draw(poster, "svg" if kind == ".svg" else "html").encode())
    except (LookupError, ValueError, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {len(poster.cells):,} words")
    return 0


if __name__ == "__main__":
    sys.exit(main())

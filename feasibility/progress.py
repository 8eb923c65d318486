"""Progress on stderr: a live bar on a terminal, one line a stage elsewhere; stdout stays for results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from feasibility.harness import T, Track


@contextmanager
def tracking(prefix: str = "") -> Iterator[Track]:
    """A `Track` that shows every stage of a run while the context is open."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def track(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
            label = f"{prefix}{label}"
            if not console.is_terminal:
                console.print(label, highlight=False)
            task = bars.add_task(label, total=total if total is not None else _length(items))
            for item in items:
                yield item
                bars.advance(task)
            bars.remove_task(task)

        yield track


def _length(items: Iterable[T]) -> int | None:
    return len(items) if isinstance(items, Sized) else None

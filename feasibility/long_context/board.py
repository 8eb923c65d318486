"""The leaderboard of long contexts, from the recorded runs.

python -m feasibility.long_context.board                              # print it
python -m feasibility.long_context.board --page docs/long_context.md  # and put it into the page
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feasibility.harness import Metric
from feasibility.long_context.record import (
    FAR,
    NEAR,
    Recorded,
    difference,
    growth,
    last_words,
    longest_in,
    per_token,
    read_recorded,
    worth,
)
from feasibility.store import write_atomic

BEGIN, END = "<!-- leaderboard -->", "<!-- /leaderboard -->"


class MarksMissing(ValueError):
    """A page without the two marks between which the leaderboard goes."""


def board(found: Recorded) -> str:
    """All tables as Markdown, the best of each on top."""
    parts = [_losses(found), _streams(found), _told(found)]
    if found.pace:
        parts.append(_pace(found))
    if found.longest is not None:
        parts.append(_longest(found))
    return "\n\n".join(parts)


def _losses(found: Recorded) -> str:
    losses = {name: per_token(found.contexts, name) for name in found.contexts}
    lengths = sorted(next(iter(losses.values())))
    line = next(iter(found.contexts["dense"].values()))
    rows = [
        f"Held-out nats a piece with contexts of so many pieces; {line['parameters'] / 1e6:.0f} million parameters, "
        f"trained on {line['tokens'] / 1e6:.1f} million pieces in chunks of {lengths[-1]:,}, "
        f"{len(found.contexts['dense'])} seed(s):",
        "",
        f"| pattern | keys | {' | '.join(f'{n:,}' for n in lengths)} | beyond dense at {lengths[-1]:,} | "
        "worth of the context | saved on last words |",
        "|---" * (len(lengths) + 5) + "|",
    ]
    for name in sorted(losses, key=lambda name: losses[name][lengths[-1]]):
        keys = next(iter(found.contexts[name].values()))["spec"]["keys"]
        cells = [f"{losses[name][n]:.4f}" for n in lengths]
        beyond = "" if name == "dense" else words(difference(found.contexts, name, "dense"))
        rest = [beyond, words(worth(found.contexts, name)), words(last_words(found.contexts, name))]
        rows.append(f"| {name} | {keys:,.0f} | {' | '.join([*cells, *rest])} |")
    return "\n".join(rows)


def _streams(found: Recorded) -> str:
    places = max((list(line["places"]) for line in found.streams.values()), key=len)
    rows = [
        "Milliseconds of a generated piece after so many, one text, and what is remembered of it:",
        "",
        f"| pattern | {' | '.join(f'{int(n):,}' for n in places)} | time at {int(FAR):,} over {int(NEAR):,} | MiB at "
        f"{int(NEAR):,} | at {int(FAR):,} |",
        "|---" * (len(places) + 4) + "|",
    ]
    slowest = {"ms": math.inf}
    for name in sorted(found.streams, key=lambda name: (found.streams[name]["places"].get(FAR, slowest)["ms"], name)):
        line = found.streams[name]
        times = [f"{line['places'][n]['ms']:.2f}" if n in line["places"] else "" for n in places]
        sizes = [f"{line['places'][n]['bytes'] / 2**20:.1f}" if n in line["places"] else "" for n in (NEAR, FAR)]
        grown = words(growth(line), 2) if FAR in line["places"] else ""
        rows.append(f"| {name} | {' | '.join([*times, grown, *sizes])} |")
    return "\n".join(rows)


def _pace(found: Recorded) -> str:
    places = sorted({int(n) for line in found.pace for n in line["dense"]})
    first, last = places[0], places[-1]
    rows = [
        "The same with each pattern at its best: the fastest kernel, steps replayed as one CUDA graph, no spare room "
        "(weights as they were drawn; keys and values of dense attention for so many pieces):",
        "",
        f"| model | pattern | {' | '.join(f'ms at {n:,}' for n in places)} | MiB at {first:,} | at {last:,} |",
        "|---" * (len(places) + 4) + "|",
    ]
    for line in found.pace:
        label = f"{line['parameters'] / 1e6:.0f}M {line['dtype']}, {line['batch']} text(s)"
        each = {name: dict.fromkeys(map(str, places), here) for name, here in line["fixed"].items()}
        for name, found_here in {**each, "dense": line["dense"]}.items():
            times = [f"{found_here[str(n)]['ms']:.2f}" if str(n) in found_here else "" for n in places]
            ends = [f"{found_here[str(n)]['bytes'] / 2**20:.0f}" if str(n) in found_here else "" for n in (first, last)]
            rows.append(f"| {label} | {name} | {' | '.join([*times, *ends])} |")
    return "\n".join(rows)


def _told(found: Recorded) -> str:
    if not found.told:
        return "No names were told."
    first = next(iter(next(iter(found.told.values())).values()))["told_names"]
    choices = next(iter(first.values()))["choices"]
    rows = [
        f"A name told so many pieces ago is the likeliest of {choices} (percent; chance {100 / choices:.0f}):",
        "",
        f"| pattern | {' | '.join(f'{int(n):,}' for n in first)} | items each |",
        "|---" * (len(first) + 2) + "|",
    ]
    for name, seeds in sorted(found.told.items()):
        lines = [line["told_names"] for line in seeds.values()]
        items = sum(line[next(iter(first))]["items"] for line in lines)
        shares = [sum(line[n]["right"] for line in lines) / sum(line[n]["items"] for line in lines) for n in first]
        rows.append(f"| {name} | {' | '.join(f'{100 * share:.0f}' for share in shares)} | {items} |")
    return "\n".join(rows)


def _longest(found: Recorded) -> str:
    assert found.longest is not None
    line = found.longest
    rows = [
        f"The longest single text in a training step within {line['gib']:g} GiB (17 million parameters, blocks "
        "computed again for the backward pass; doubled until it does not fit), and the time of that step:",
        "",
        "| pattern | pieces | ms |",
        "|---|---|---|",
    ]
    for name, length in sorted(longest_in(line).items()):
        ms = line["found"][name].get(str(length), {}).get("ms", math.nan)
        rows.append(f"| {name} | {length:,} | {ms:,.0f} |")
    return "\n".join(rows)


def words(metric: Metric, digits: int = 3) -> str:
    """A metric with its interval, as a cell."""
    low, high = metric.ci95
    return f"{metric.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def put(page: str, text: str) -> str:
    """The page with the text between its marks.

    Raises:
        MarksMissing: it has none.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise MarksMissing(f"the page needs the lines {BEGIN} and {END} once each, around where the leaderboard goes")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"


@dataclass(frozen=True)
class Options:
    """What to make."""

    page: Path | None = None
    """Also put it between the marks of this page."""
    record: Path | None = None
    """Another record than the shipped one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.long_context.board", description=__doc__, args=argv)
    text = board(read_recorded(options.record))
    print(text)
    if options.page is not None:
        write_atomic(options.page, put(options.page.read_text(encoding="utf-8"), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())

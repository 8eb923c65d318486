"""Draw a result of `python -m benchmarks.sparse_attention`, and print its tables in Markdown.

    python -m benchmarks.sparse_figures benchmarks/results/sparse_attention.h200.json --out docs/images

Writes sparse_attention_speed.D64.svg (and .png), one for each head dim measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.sparse_summary import GRAPHS, SCHEMA, WAYS, break_even, flex_tuned, own_patterns, series

# Okabe and Ito's palette, which stays apart for every kind of colour vision; each line has a marker of its own besides.
STYLE = {
    "window64+valence4/64": ("#0072B2", "o", "window 64 + valence 4 of 64 classes"),
    "window64+valence1/256": ("#56B4E9", "s", "window 64 + valence 1 of 256"),
    "valence16/17": ("#009E73", "^", "valence 16 of 17"),
    "budget256/17": ("#E69F00", "D", "budget 256"),
    "full/17": ("#D55E00", "v", "no bound"),
    "window256": ("#CC79A7", "P", "window 256 alone"),
}
TITLES = {
    "forward": "forward",
    "both": "forward and backward",
    "forward_graph": "forward, as a replayed graph",
    "both_graph": "forward and backward, as a replayed graph",
}
TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="JSON of python -m benchmarks.sparse_attention")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the figures")
    options = parser.parse_args(argv)
    try:
        result = read(options.result)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    for dim in sorted({dim for _, dim in own_patterns(result["cells"])}):
        figure = speed_figure(result, dim)
        for ending in ("svg", "png"):
            path = options.out / f"sparse_attention_speed.D{dim}.{ending}"
            # No date inside: the same result gives the same file.
            figure.savefig(path, dpi=160, metadata={"Date": None} if ending == "svg" else None)
            print(f"wrote {path}", file=sys.stderr)
        plt.close(figure)
    print("\n\n".join("\n".join(table) for table in tables(result)))
    return 0


def read(path: Path) -> dict[str, Any]:
    """A result file.

    Raises:
        ValueError: not JSON, another schema, or a run without timed patterns.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); run python -m benchmarks.sparse_attention again") from error
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        found = result.get("schema") if isinstance(result, dict) else type(result).__name__
        raise ValueError(f"{path} holds {found!r}, expected {SCHEMA!r}: run python -m benchmarks.sparse_attention")
    if not own_patterns(result["cells"]):
        raise ValueError(f"{path} holds no timed pattern: the run ended at its gate or before; run it again")
    return result


def speed_figure(result: dict[str, Any], dim: int) -> Figure:
    """Times as fast as dense attention against n, forward and forward and backward side by side.

    Solid lines leave the plan out, dotted ones count its share; a ring marks where a solid line crosses 1.
    """
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "asa", "svg.fonttype": "none"})
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.2), sharey=True, layout="constrained")
    for ax, way in zip(axes, WAYS, strict=True):
        lengths = _draw_way(ax, result["cells"], dim, way)
        _frame(ax, lengths)
        ax.set_title(TITLES[way])
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(max(low, 0.1), high)
    axes[0].set_ylabel("times as fast as dense attention\n(the faster backend of torch, which sees every pair)")
    handles, labels = axes[0].get_legend_handles_labels()
    key = [
        Line2D([], [], color="0.35", lw=1.8, label="the plan left out"),
        Line2D([], [], color="0.35", lw=1.1, ls=":", label=f"with 1/{result['layers_per_plan']} of the plan"),
        Line2D([], [], color="0.35", ls="", marker="o", mfc="white", ms=8, label="break-even"),
    ]
    names = [*labels, *(str(x.get_label()) for x in key)]
    figure.legend([*handles, *key], names, loc="outside lower center", ncols=3)
    first = result["cells"][0]
    where = f"{result['device']}, torch {result['torch']}"
    figure.suptitle(f"{where}: {first['H']} heads of {dim}, {_tokens(result['cells'])}", fontsize=10)
    return figure


def _draw_way(ax: Axes, cells: list[dict[str, Any]], dim: int, way: str) -> list[int]:
    """One line for each pattern; returns the lengths."""
    lengths: set[int] = set()
    for pattern, its_dim in own_patterns(cells):
        if its_dim != dim:
            continue
        colour, marker, label = STYLE.get(pattern, ("0.4", "x", pattern))
        without = dict(sorted(series(cells, pattern, dim, f"{way}_speedup").items()))
        counted = dict(sorted(series(cells, pattern, dim, f"{way}_speedup_with_plan").items()))
        ax.plot(list(without), list(without.values()), color=colour, marker=marker, ms=5, lw=1.8, label=label)
        ax.plot(list(counted), list(counted.values()), color=colour, ls=":", lw=1.3)
        crossing = break_even(without)
        if crossing is not None and min(without.values()) < 1:
            ax.plot(crossing, 1, marker="o", ms=9, mfc="white", mec=colour, mew=1.6, zorder=4)
        lengths |= without.keys()
    return sorted(lengths)


def _frame(ax: Axes, lengths: list[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.axhline(1, color="black", lw=1.2, zorder=1)
    ax.set_xlim(lengths[0] / 1.2, lengths[-1] * 1.6)
    ax.annotate(
        "dense", (1, 1), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points", ha="right"
    )
    ax.xaxis.set_major_locator(FixedLocator(lengths))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
    ax.yaxis.set_major_locator(FixedLocator(TICKS))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("n, tokens of a text")
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)


def _tokens(cells: list[dict[str, Any]]) -> str:
    sizes = {x["B"] * x["n"] for x in cells}
    return f"{sizes.pop():,} tokens a batch" if len(sizes) == 1 else "one text"


def tables(result: dict[str, Any]) -> Iterator[list[str]]:
    """The tables of docs/sparse_attn.md: speed by length for each way and head dim, then the same rules by others.

    As launched, and, where they were timed, as replayed graphs.
    """
    cells = result["cells"]
    for dim in sorted({dim for _, dim in own_patterns(cells)}):
        for way in (*reversed(WAYS), *reversed(GRAPHS)):
            if any(f"{way}_ms" in x for x in cells if x["D"] == dim):
                yield _speed_table(cells, dim, way)
    for ways in (WAYS, GRAPHS):
        others = [x for x in cells if "of" in x and f"{ways[0]}_ms" in x]
        for n, dim in sorted({(x["n"], x["D"]) for x in others}, key=lambda at: (at[1], at[0])):
            yield _peer_table(cells, n, dim, ways)


def _speed_table(cells: list[dict[str, Any]], dim: int, way: str) -> list[str]:
    """Speed without the plan and, in brackets, with its share."""
    patterns = [p for p, d in own_patterns(cells) if d == dim]
    lengths = sorted({n for p in patterns for n in series(cells, p, dim, f"{way}_speedup")})
    head = [f"{TITLES[way]}, D = {dim}", *(f"n = {n:,}" for n in lengths), "break-even n"]
    rows = []
    for pattern in patterns:
        without = series(cells, pattern, dim, f"{way}_speedup")
        counted = series(cells, pattern, dim, f"{way}_speedup_with_plan")
        entries = [_speed(without.get(n), counted.get(n)) for n in lengths]
        ends = [_rounded(break_even(x), x) for x in (without, counted)]
        rows.append([STYLE.get(pattern, ("", "", pattern))[2], *entries, f"{ends[0]} ({ends[1]})"])
    return _markdown(head, rows)


def _speed(without: float | None, counted: float | None) -> str:
    if without is None:
        return "-"
    return f"{without:.1f}" if counted is None else f"{without:.1f} ({counted:.1f})"


def _peer_table(cells: list[dict[str, Any]], n: int, dim: int, ways: Sequence[str]) -> list[str]:
    """Milliseconds, forward / forward and backward, of everyone who computes the same function."""
    here = [x for x in cells if (x["n"], x["D"]) == (n, dim)]
    patterns = list(dict.fromkeys(x["of"] for x in here if "of" in x))
    # Of the settings of FlexAttention only the best is a row, beside its defaults.
    runs = list(dict.fromkeys(x["run"] for x in here if "of" in x and not x["run"].startswith("flex,")))
    tuned = [{**x, "of": x["pattern"], "run": "flex tuned"} for x in flex_tuned(here)]
    runs += ["flex tuned"] if len(tuned) and max(x["tried"] for x in tuned) > 2 else []
    here = here + tuned
    rows = [["ours", *(_ms(here, pattern, None, ways) for pattern in patterns)]]
    rows += [[run, *(_ms(here, run, pattern, ways) for pattern in patterns)] for run in runs]
    dense = [x["run"] for x in here if x.get("kind") == "dense"]
    rows += [[run, *[_ms(here, run, None, ways)] * len(patterns)] for run in dense]
    how = "" if ways == WAYS else ", as replayed graphs"
    return _markdown([f"ms{how}, n = {n:,}, D = {dim}", *(STYLE.get(p, ("", "", p))[2] for p in patterns)], rows)


def _ms(here: list[dict[str, Any]], run: str, of: str | None, ways: Sequence[str]) -> str:
    cell = next((x for x in here if x["run"] == run and x.get("of") == of), {})
    return " / ".join(f"{cell[f'{way}_ms']:.3g}" if f"{way}_ms" in cell else "-" for way in ways)


def _rounded(n: float | None, speedups: dict[int, float]) -> str:
    if n is None:
        return f"> {max(speedups):,}" if speedups else "-"
    return f"<= {n:,.0f}" if n == min(speedups) else f"{round(n, -2):,.0f}"


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    sys.exit(main())

"""From the cells of a run to its message: break-even lengths, flatness, ours against others, decoding.

Plain numbers in and out: no torch, so that figures and tables can be made anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

SCHEMA = "asa.benchmark.v2"
LAYERS = 12
# Forward alone, and forward and backward: launched as usual, so that a busy host shows in short texts; and, on a GPU,
# replayed as a graph, which is the device's own time.
WAYS = ("forward", "both")
GRAPHS = ("forward_graph", "both_graph")
# What is told of the plan and of memory: the largest over all lengths. Shares are of query, key, value, output and
# their gradients.
_WORST = {
    "plan_ms": "plan ms",
    "plan_gpu_ms": "of these on the GPU",
    "plan_share": "plan's share of memory",
    "extra_share": "working memory's share",
}
Cell = dict[str, Any]


def add_speedups(cell: Cell, dense: Iterable[Cell]) -> Cell:
    """The cell, with how many times as fast it is as the faster dense backend, and its share of the plan counted.

    `<way>_speedup` leaves the plan out, `<way>_total_ms` and `<way>_speedup_with_plan` count a 12th of it: one plan
    serves 12 layers. Where forward runs alone, the plan counts as it is made without gradients.
    """
    dense = list(dense)
    for way in (*WAYS, *GRAPHS):
        if f"{way}_ms" not in cell:
            continue
        fastest = min((x[f"{way}_ms"] for x in dense if f"{way}_ms" in x), default=None)
        total = None
        plan = cell.get("plan_forward_ms" if way.startswith("forward") else "plan_ms", cell.get("plan_ms"))
        if plan is not None:
            total = cell[f"{way}_total_ms"] = cell[f"{way}_ms"] + plan / LAYERS
        if fastest is not None:
            cell[f"{way}_speedup"] = fastest / cell[f"{way}_ms"]
            if total is not None:
                cell[f"{way}_speedup_with_plan"] = fastest / total
    return cell


def summarise(cells: list[Cell], decode: list[Cell]) -> dict[str, Any]:
    """Break-even first; every entry is flat."""
    return {
        "break_even": list(_break_evens(cells)),
        "flatness": list(_flatness(cells)),
        "plan_and_memory": list(_worst(cells)),
        "against_the_same_function": list(_against_masked(cells)),
        "flex_tuned": list(flex_tuned(cells)),
        "decode": list(_decode_ratios(decode)),
    }


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The summary to read, break-even first."""
    lines = []
    for x in summary["break_even"]:
        lines.append(
            f"break-even {x['pattern']:22} D={x['D']:<4} {x['way']:13} n {x['without_plan']:>9}, "
            f"with the plan {x['with_plan']:>9}"
        )
    for x in summary["flatness"]:
        lines.append(
            f"flatness   {x['pattern']:22} D={x['D']:<4} {x['way']:13} n = {x['from']} to {x['to']}: slowest "
            f"{x['slowest']:.2f} of the time at {x['from']}, {x['slowest_per_key']:.2f} for each key that a token sees"
        )
    for x in summary["plan_and_memory"]:
        told_worst = ", ".join(f"{name} {x[key]:.3g}" for key, name in _WORST.items() if key in x)
        lines.append(f"at worst   {x['pattern']:22} D={x['D']:<4} {told_worst}")
    for x in summary["against_the_same_function"]:
        lines.append(
            f"same rules {x['pattern']:22} D={x['D']:<4} {x['way']:13} n={x['n']:<6} {x['ratio']:.2f} times as fast as "
            f"{x['peer']}, the fastest of {x['peers']}"
        )
    for x in summary["decode"]:
        lines.append(
            f"decoding   {x['run'].removeprefix('decode '):22} {x['device']:5} after {x['long']} tokens "
            f"{x['time_ratio']:.2f} of the time and {x['memory_ratio']:.2f} of the memory after {x['short']}"
        )
    return lines


def break_even(speedups: dict[int, float]) -> float | None:
    """The length from which on ours stays ahead, interpolated in the logarithms; None if it is never.

    Args:
        speedups: n -> times as fast as dense.

    Returns: n; the shortest length measured where ours is ahead at all of them.
    """
    lengths = sorted(speedups)
    behind = [n for n in lengths if speedups[n] < 1]
    if not lengths or (behind and behind[-1] == lengths[-1]):
        return None
    if not behind:
        return float(lengths[0])
    last = behind[-1]
    after = lengths[lengths.index(last) + 1]
    share = -math.log(speedups[last]) / (math.log(speedups[after]) - math.log(speedups[last]))
    return math.exp(math.log(last) + share * (math.log(after) - math.log(last)))


def told(speedups: dict[int, float]) -> str:
    """A break-even in words: "~ 1790", "<= 1024" (always ahead), "> 32768" (not yet ahead), "not measured"."""
    n = break_even(speedups)
    if not speedups:
        return "not measured"
    if n is None:
        return f"> {max(speedups)}"
    return f"<= {min(speedups)}" if n == min(speedups) and speedups[min(speedups)] >= 1 else f"~ {round(n, -1):.0f}"


def series(cells: list[Cell], pattern: str, dim: int, key: str) -> dict[int, float]:
    """n -> one number of our cells of a pattern and head dim."""
    return {x["n"]: x[key] for x in cells if x["run"] == pattern and x["D"] == dim and key in x}


def own_patterns(cells: list[Cell]) -> list[tuple[str, int]]:
    """(pattern, D) of our own cells, in the order in which they were measured, dims together."""
    found = {(x["run"], x["D"]): None for x in cells if x.get("kind") == "ours"}
    return sorted(found, key=lambda x: x[1])


def _break_evens(cells: list[Cell]) -> Iterable[Cell]:
    for pattern, dim in own_patterns(cells):
        for way in (*WAYS, *GRAPHS):
            without = series(cells, pattern, dim, f"{way}_speedup")
            if not without:
                continue
            counted = series(cells, pattern, dim, f"{way}_speedup_with_plan")
            yield {
                "pattern": pattern,
                "D": dim,
                "way": way,
                "without_plan": told(without),
                "without_plan_n": break_even(without),
                "with_plan": told(counted),
                "with_plan_n": break_even(counted),
            }


def _flatness(cells: list[Cell]) -> Iterable[Cell]:
    """Time at one bound and one number of tokens, against that at the shortest n from 2,048 on."""
    for pattern, dim in own_patterns(cells):
        bounded = [x for x in cells if x["run"] == pattern and x["D"] == dim and x["bounded"] and x["n"] >= 2048]
        sizes = {x["B"] * x["n"] for x in bounded}
        if len(bounded) < 2 or len(sizes) > 1:
            continue
        for way in (*WAYS, *GRAPHS):
            times = series(bounded, pattern, dim, f"{way}_ms")
            if len(times) > 1:
                first, last = min(times), max(times)
                ratios = {n: ms / times[first] for n, ms in times.items()}
                # In short texts a token does not have as many keys to see as its bound allows.
                keys = {x["n"]: x["keys"] for x in bounded}
                yield {
                    "pattern": pattern,
                    "D": dim,
                    "way": way,
                    "from": first,
                    "to": last,
                    "slowest": max(ratios.values()),
                    "fastest": min(ratios.values()),
                    "last": ratios[last],
                    "slowest_per_key": max(x * keys[first] / keys[n] for n, x in ratios.items()),
                }


def _worst(cells: list[Cell]) -> Iterable[Cell]:
    for pattern, dim in own_patterns(cells):
        found = {key: series(cells, pattern, dim, key).values() for key in _WORST}
        known = {key: [x for x in values if x is not None] for key, values in found.items()}
        yield {"pattern": pattern, "D": dim, **{key: max(values) for key, values in known.items() if values}}


def _against_masked(cells: list[Cell]) -> Iterable[Cell]:
    """Ours against the fastest other way to compute the same function."""
    for ours in cells:
        if ours.get("kind") != "ours":
            continue
        for way in (*WAYS, *GRAPHS):
            same = {
                x["run"]: x[f"{way}_ms"]
                for x in cells
                if x.get("of") == ours["run"] and (x["n"], x["D"]) == (ours["n"], ours["D"]) and f"{way}_ms" in x
            }
            if same and f"{way}_ms" in ours:
                best = min(same, key=lambda name: same[name])
                yield {
                    "pattern": ours["run"],
                    "D": ours["D"],
                    "n": ours["n"],
                    "way": way,
                    "ratio": same[best] / ours[f"{way}_ms"],
                    "peer": best,
                    "peers": len(same),
                }


def flex_tuned(cells: list[Cell]) -> Iterable[Cell]:
    """The fastest FlexAttention of each problem among all tried: both orders, settings, torch's search."""
    for of, n, dim in dict.fromkeys((x["of"], x["n"], x["D"]) for x in cells if "of" in x):
        tried = [x for x in cells if (x.get("of"), x["n"], x["D"]) == (of, n, dim) and x["run"].startswith("flex")]
        entry = {"pattern": of, "n": n, "D": dim, "tried": len(tried)}
        for way in (*WAYS, *GRAPHS):
            ran = [x for x in tried if f"{way}_ms" in x]
            if ran:
                best = min(ran, key=lambda x: x[f"{way}_ms"])
                entry |= {f"{way}_ms": best[f"{way}_ms"], f"{way}_setting": best["run"]}
        yield entry


def _decode_ratios(decode: list[Cell]) -> Iterable[Cell]:
    for run, device in dict.fromkeys((x["run"], x["device"]) for x in decode):
        some = sorted((x for x in decode if (x["run"], x["device"]) == (run, device)), key=lambda x: x["after"])
        short, long = some[0], some[-1]
        yield {
            "run": run,
            "device": device,
            "short": short["after"],
            "long": long["after"],
            "time_ratio": long["token_ms"] / short["token_ms"],
            "memory_ratio": long["cache_mib"] / short["cache_mib"],
        }

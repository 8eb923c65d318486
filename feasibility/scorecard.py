"""Results side by side with the roadmap: one row a criterion, measured or not, and the decision that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from feasibility.decision import Decision, month_3, month_6
from feasibility.roadmap import ITEMS, Item

Results = Mapping[str, dict[str, Any]]

NOT_MEASURED = "not measured"
_STYLES = {"GO": "bold green", "NO-GO": "bold red", "INCONCLUSIVE": "bold yellow", "UNCLEAR": "bold yellow"}
_OPERATORS = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}


class MeasuredTwice(ValueError):
    """Two criteria that claim the same id of the roadmap."""


@dataclass(frozen=True)
class Row:
    """One criterion of the roadmap as the scorecard shows it; the texts are empty where nothing measured it."""

    item: Item
    verdict: str
    metric: str = ""
    threshold: str = ""
    value: str = ""
    baseline: str = ""
    experiment: str = ""
    note: str = ""


def rows(results: Results) -> list[Row]:
    """Every criterion of the roadmap in its order, joined with the experiments' judged criteria."""
    measured = _measured(results)
    return [_row(item, *measured[item.id]) if item.id in measured else Row(item, NOT_MEASURED) for item in ITEMS]


def _measured(results: Results) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Roadmap id -> (result, judged criterion).

    Raises:
        MeasuredTwice: two criteria claim the same id, so that one would hide the other.
    """
    measured: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for record in results.values():
        for criterion in record["criteria"]:
            name = criterion["roadmap"]
            if name in measured:
                other = measured[name][0]["experiment"]
                raise MeasuredTwice(f"{name} is judged by {other} and by {record['experiment']}; only one may claim it")
            if name:
                measured[name] = record, criterion
    return measured


def note(record: dict[str, Any]) -> str:
    """Why a run is not the one that the criteria were fixed for: "smoke", "changed configuration", or nothing."""
    return "smoke" if record["smoke"] else "changed configuration" if record["changed"] else ""


def _row(item: Item, record: dict[str, Any], criterion: dict[str, Any]) -> Row:
    return Row(
        item=item,
        verdict=word(criterion["passed"]),
        metric=criterion["metric"],
        threshold=threshold_text(criterion),
        value=value_text(criterion["value"], criterion["unit"], criterion["ci95"]),
        baseline=f"{criterion['baseline']['name']} {number(criterion['baseline']['value'])}",
        experiment=record["experiment"],
        note=note(record),
    )


def passed(results: Results) -> dict[str, bool | None]:
    """Roadmap id -> True | False | None for the decision rules.

    A smoke run, or one with a changed configuration, decides nothing and counts as open.
    """
    measured = _measured(results).items()
    return {name: None if note(record) else criterion["passed"] for name, (record, criterion) in measured}


def decisions(results: Results) -> dict[str, Decision]:
    """The month-3 and the month-6 decision as the results stand."""
    state = passed(results)
    return {"Month 3: radical go/no-go": month_3(state), "Month 6: final path": month_6(state)}


def word(passed: bool | None) -> str:
    """The verdict of one criterion."""
    return {True: "GO", False: "NO-GO", None: "INCONCLUSIVE"}[passed]


def number(value: float) -> str:
    """A number at a precision that a reader can compare: 97.69, 0.0226, 1,234, 2.1e-05."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = 0 if abs(value) >= 1000 else 2 if abs(value) >= 1 else 4
        text = f"{value:,.{digits}f}"
        # Zeros go only where they are exact: 99.996 is 100.00 and not 100, which would look like all.
        exact = "." in text and float(text.replace(",", "")) == value
        return text.rstrip("0").rstrip(".") if exact else text
    return f"{value:.2g}"


def value_text(value: float, unit: str, ci95: list[float]) -> str:
    """A value with its interval: "96.7 % [95.9, 97.4]"; nothing sampled, no interval."""
    text = f"{number(value)} {unit}".strip()
    return text if ci95[0] == ci95[1] else f"{text} [{number(ci95[0])}, {number(ci95[1])}]"


def threshold_text(criterion: dict[str, Any]) -> str:
    """A threshold: "≥ 80 %"."""
    return f"{_OPERATORS[criterion['op']]} {number(criterion['threshold'])} {criterion['unit']}".strip()


def share_text(decision: Decision) -> str:
    """How the work is shared after a decision, as a sentence."""
    return f"Allocation, incremental/radical: {decision.allocation[0]}/{decision.allocation[1]}."


def _stdout() -> Console:
    """Standard output; in a pipe or a file, where there is no width to ask for, wide enough for the tables."""
    console = _Stdout()
    return console if console.is_terminal else _Stdout(width=140)


class _Stdout(Console):
    """A console that lets the caller know when nobody reads any more (`... | head`)."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _verdict_cell(verdict: str, note: str = "") -> Text:
    return Text(f"{verdict} ({note})" if note else verdict, style=_STYLES.get(verdict, "dim"))


def print_scorecard(results: Results, console: Console | None = None) -> None:
    """Print every criterion of the roadmap and the two decisions to stdout."""
    console = console or _stdout()
    table = Table(box=box.SIMPLE_HEAD, title="Scorecard", title_justify="left", title_style="bold", pad_edge=False)
    for heading in ("", "criterion", "threshold", "value [95 %]", "baseline", "verdict"):
        table.add_column(heading, overflow="fold")
    phase = ""
    for row in rows(results):
        if row.item.phase != phase:
            phase = row.item.phase
            table.add_section()
            table.add_row("", Text(phase, style="italic"))
        table.add_row(
            row.item.id,
            row.item.statement,
            row.threshold or row.item.threshold,
            f"{row.metric} {row.value}".strip(),
            row.baseline,
            _verdict_cell(row.verdict, row.note),
        )
    console.print(table)
    for name, decision in decisions(results).items():
        console.print(
            Text.assemble(
                (f"{name}: ", "bold"),
                (decision.outcome, _STYLES.get(decision.outcome, "bold cyan")),
                f". {decision.reason} {share_text(decision)}",
            )
        )


def print_result(record: dict[str, Any], path: Path, console: Console | None = None) -> None:
    """Print one result to stdout: its criteria, its baselines, its verdict and where it was written."""
    console = console or _stdout()
    console.print(Text(record["title"], style="bold"))
    console.print(Text(record["claim"], style="italic"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("criterion", "roadmap", "threshold", "value [95 %]", "baseline", "verdict"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("criterion", "verdict"))
    for criterion in record["criteria"]:
        table.add_row(
            criterion["metric"],
            criterion["roadmap"] or "ours",
            threshold_text(criterion),
            value_text(criterion["value"], criterion["unit"], criterion["ci95"]),
            f"{criterion['baseline']['name']} {number(criterion['baseline']['value'])}",
            _verdict_cell(word(criterion["passed"])),
        )
    console.print(table)
    console.print(_comparison_table(record))
    if record["finding"]:
        console.print(Text(record["finding"]))
    for caveat in record["caveats"]:
        console.print(Text(f"note: {caveat}", style="dim"))
    console.print(Text.assemble("verdict: ", _verdict_cell(record["verdict"], note(record))))
    console.print(f"written to {path} in {record['wall_s']:.1f} s", highlight=False, soft_wrap=True)


def comparison(record: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    """This run and its baselines on the named metrics, as a table of texts with its headings.

    Runs are rows and metrics columns, or the other way round where there are more metrics than runs. Metrics that no
    baseline has are left out; no table is left where that is all of them.
    """
    baselines: dict[str, dict[str, float]] = record["baselines"]
    shared = [name for name in names if any(name in values for values in baselines.values())]
    runs = {"this run": {name: record["metrics"][name]["value"] for name in shared}, **baselines}
    table = [["", *(_with_unit(name, record) for name in shared)]]
    table += [
        [run, *(number(values[name]) if name in values else "" for name in shared)] for run, values in runs.items()
    ]
    if not shared:
        return []
    return [list(row) for row in zip(*table, strict=True)] if len(shared) > len(runs) else table


def _with_unit(name: str, record: dict[str, Any]) -> str:
    return f"{name} {record['metrics'][name]['unit']}".strip()


def _comparison_table(record: dict[str, Any]) -> Table:
    """The comparison on the metrics that are judged; the report has all of them."""
    judged = list(dict.fromkeys(criterion["metric"] for criterion in record["criteria"]))
    headings, *lines = comparison(record, judged)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", overflow="fold", no_wrap=place == 0)
    for line in lines:
        table.add_row(*line, style="bold" if line[0] == "this run" else "")
    return table


def markdown(results: Results) -> str:
    """The table of verdicts as Markdown, for the README: measured criteria one by one, the others in one line."""
    lines = ["| | criterion | threshold | value [95 %] | baseline | verdict |", "|---|---|---|---|---|---|"]
    open_ids = []
    for row in rows(results):
        if row.verdict == NOT_MEASURED:
            open_ids.append(row.item.id)
            continue
        verdict = f"**{row.verdict}**" + (f" ({row.note})" if row.note else "")
        value = f"`{row.metric}` {row.value}"
        cells = (row.item.id, row.item.statement, row.threshold, value, row.baseline, verdict)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Not measured yet: {', '.join(open_ids)}.", ""]
    for name, decision in decisions(results).items():
        lines.append(f"- **{name}: {decision.outcome}.** {decision.reason} {share_text(decision)}")
    return "\n".join(lines) + "\n"

"""From `results/*.json` and their figures to one HTML text."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from feasibility import EXPERIMENTS, scorecard, store

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
REPORT = "report.html"


class BadFigure(ValueError):
    """A figure that a result names but that is not there or does not parse."""


def write_report(results: Path, out: Path | None = None) -> Path:
    """Write the report of a results folder and return its path (`<results>/report.html` by default).

    Raises:
        store.BadResult: a result file cannot be used.
        BadFigure: a figure is missing or broken.
    """
    path = out or results / REPORT
    store.write_atomic(path, render(results))
    return path


def render(results: Path) -> str:
    """The report of a results folder as HTML: everything inline, readable offline."""
    records = store.load_all(results)
    ordered = sorted(records.values(), key=_place)
    environment = Environment(
        loader=PackageLoader("feasibility.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=scorecard.number, word=scorecard.word, threshold=scorecard.threshold_text, slug=_slug
    )
    environment.globals.update(
        value_text=scorecard.value_text,
        comparison=scorecard.comparison,
        note=scorecard.note,
        interval_chart=interval_chart,
    )
    return environment.get_template("report.html.j2").render(
        phases=[(phase, list(rows)) for phase, rows in groupby(scorecard.rows(records), lambda row: row.item.phase)],
        decisions=scorecard.decisions(records),
        sections=[(record, _figures(record, results)) for record in ordered],
        made=max((record["started_utc"] for record in ordered), default=""),
    )


def _place(record: dict[str, Any]) -> int:
    name = record["experiment"]
    return EXPERIMENTS.index(name) if name in EXPERIMENTS else len(EXPERIMENTS)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z]+", "-", text.lower()).strip("-")


def _figures(record: dict[str, Any], results: Path) -> list[dict[str, Any]]:
    """The artifacts of one result as HTML: SVG inline, pages in a frame, pictures as data."""
    figures = []
    for index, artifact in enumerate(record["artifacts"]):
        path = results / artifact["path"]
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise BadFigure(
                f"{path} is named in {record['experiment']}.json but is not there; "
                f"run `python -m feasibility.{record['experiment']}` again"
            ) from None
        figures.append(
            {
                "caption": artifact["caption"],
                "html": _embed(content, artifact, f"{_slug(record['experiment'])}-{index}-", path),
                "kind": artifact["kind"],
                "path": artifact["path"],
            }
        )
    return figures


def _embed(content: bytes, artifact: Mapping[str, str], prefix: str, path: Path) -> Markup | str:
    kind, caption = artifact["kind"], artifact["caption"]
    if kind == "svg":
        return Markup(_inline_svg(content, caption, prefix, path))
    if kind == "html":
        frame = Markup('<iframe loading="lazy" sandbox="allow-scripts" title="{}" srcdoc="{}"></iframe>')
        return frame.format(caption, content.decode())
    if kind in ("gif", "png"):
        data = base64.b64encode(content).decode()
        return Markup('<img alt="{}" src="data:image/{};base64,{}">').format(caption, kind, data)
    return ""


def _inline_svg(content: bytes, caption: str, prefix: str, path: Path) -> str:
    """An SVG fit to stand beside others in one page: unique ids, no page-wide styles, size left to the page, a name."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise BadFigure(f"{path} is not well-formed SVG ({error}); run its experiment again") from error
    for parent in root.iter():
        for child in list(parent):
            # matplotlib styles `*`, which would reach the whole page; its metadata says nothing.
            if child.tag in (f"{{{SVG}}}{name}" for name in ("style", "metadata", "script")):
                parent.remove(child)
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, prefix + value)
            elif name in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
                element.set(name, "#" + prefix + value[1:])
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{prefix}"))
    root.set("role", "img")
    root.set("aria-label", caption)
    if "viewBox" in root.attrib:
        # As wide as it was drawn where there is room, narrower where there is not.
        root.attrib.pop("height", None)
        width = root.attrib.pop("width", "100%")
        root.set("style", f"max-width: {width}{'px' if width.isdecimal() else ''}")
    return ElementTree.tostring(root, encoding="unicode")


def interval_chart(criterion: Mapping[str, Any]) -> Markup:
    """A criterion as a small picture: baseline (hollow), value with its interval, threshold with its good side."""
    low, high = criterion["ci95"]
    threshold, baseline = criterion["threshold"], criterion["baseline"]["value"]
    ends = [low, high, threshold, baseline]
    margin = 0.12 * (max(ends) - min(ends)) or 1.0
    left, width = min(ends) - margin, max(ends) - min(ends) + 2 * margin

    def x(value: float) -> float:
        return float(round(200 * (value - left) / width, 1))

    good = (x(threshold), 200 - x(threshold)) if criterion["op"] in (">=", ">") else (0.0, x(threshold))
    return Markup(
        '<svg class="interval" viewBox="0 0 200 22" role="img">'
        "<title>threshold {}, value {}, interval {} to {}, {} {}</title>"
        '<rect class="good" x="{}" width="{}" y="1" height="20"/>'
        '<line class="threshold" x1="{}" x2="{}" y1="1" y2="21"/>'
        '<circle class="baseline" cx="{}" cy="11" r="4"/>'
        '<line class="ci" x1="{}" x2="{}" y1="11" y2="11"/><circle class="point" cx="{}" cy="11" r="4"/></svg>'
    ).format(
        *map(scorecard.number, (threshold, criterion["value"], low, high)),
        criterion["baseline"]["name"],
        scorecard.number(baseline),
        *good,
        x(threshold),
        x(threshold),
        x(baseline),
        x(low),
        x(high),
        x(criterion["value"]),
    )

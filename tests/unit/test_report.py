from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from feasibility import store
from feasibility.cli import perform
from feasibility.harness import Artifact, silent
from feasibility.report import BadFigure, render, write_report
from feasibility.report.__main__ import BEGIN, END, NoMarkers, with_verdicts

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 2 1" width="9in">'
    "<style>*{stroke: red}</style><defs><clipPath id='c'/><path id='p'/></defs>"
    "<g clip-path='url(#c)'><use xlink:href='#p'/><title>hover</title></g></svg>"
)


@pytest.fixture
def results(toy, tmp_path):
    record, _ = perform(toy, toy.config(), silent, smoke=False)
    artifacts = [
        Artifact("one.svg", SVG, "First figure."),
        Artifact("two.svg", SVG, "Second figure."),
        Artifact("moving.html", "<script>let a = 1 && 2;</script>", "A page."),
        Artifact("moving.gif", b"GIF89a", "An animation."),
    ]
    store.save({**record, "finding": "5 < 6 & <b>so</b> on"}, artifacts, tmp_path)
    return tmp_path


def test_the_page_is_self_contained(results) -> None:
    page = write_report(results).read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page
    assert "url(http" not in page


def test_two_figures_do_not_share_ids_or_style_the_page(results) -> None:
    page = render(results)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "md-parser-0-p" in ids
    assert 'href="#md-parser-1-p"' in page
    assert "url(#md-parser-1-c)" in page
    assert "stroke: red" not in page
    assert "<title>hover</title>" in page


def test_what_results_say_is_escaped(results) -> None:
    page = render(results)
    assert "5 &lt; 6 &amp; &lt;b&gt;so&lt;/b&gt; on" in page
    assert 'srcdoc="&lt;script&gt;let a = 1 &amp;&amp; 2;' in page
    assert "data:image/gif;base64,R0lGODlh" in page


def test_scorecard_stands_before_the_sections_and_smoke_is_marked(results, toy) -> None:
    record, artifacts = perform(replace(toy, title="Small"), toy.smoke, silent, smoke=True)
    store.save(record, artifacts, results)
    page = render(results)
    assert page.index("Scorecard") < page.index(">Small ")
    assert "GO (smoke)" in page


def test_no_results_still_make_a_page(tmp_path) -> None:
    assert "not measured" in render(tmp_path)


def test_a_missing_or_broken_figure_is_named(results) -> None:
    figure = results / "md_parser" / "one.svg"
    figure.write_text("<svg")
    with pytest.raises(BadFigure, match=r"one\.svg is not well-formed SVG"):
        render(results)
    figure.unlink()
    with pytest.raises(BadFigure, match=r"run `python -m feasibility\.md_parser` again"):
        render(results)


def test_interval_charts_parse(results) -> None:
    charts = re.findall(r'<svg class="interval".*?</svg>', render(results))
    assert len(charts) == 2
    for chart in charts:
        numbers = [float(x) for e in ElementTree.fromstring(chart) for k, x in e.items() if k in ("cx", "x1", "width")]
        assert all(0 <= number <= 200 for number in numbers)


def test_verdicts_go_between_the_markers(results) -> None:
    text = with_verdicts(f"before\n{BEGIN}\nstale table\n{END}\nafter\n", results)
    assert text.startswith(f"before\n{BEGIN}\n| | criterion")
    assert text.endswith(f"{END}\nafter\n")
    assert "stale table" not in text
    for text in ("nothing", f"{END}{BEGIN}", f"{BEGIN}{END}{END}"):
        with pytest.raises(NoMarkers, match="each once"):
            with_verdicts(text, results)


def test_every_picture_has_a_name(results) -> None:
    page = render(results)
    assert 'aria-label="First figure."' in page
    assert 'title="A page."' in page
    assert 'alt="An animation."' in page

"""Animations: refused before any work where they cannot be made, and made of what they claim."""

import importlib.util
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from dynamics import Parser, film
from dynamics.animate import BackendUnavailable, NothingRecorded, UnknownFormat, animate, check_format, stage

WORDS, UPOS = ["She", "</script>", "old", "books"], ["PRON", "VERB", "ADJ", "NOUN"]


@pytest.fixture(scope="module")
def parse():
    return Parser().parse(WORDS, UPOS, record=True)


def scene_of(page: str) -> dict:
    return json.loads(re.search(r"const scene = (.*?);\n", page).group(1))


def test_the_page_holds_the_whole_run_and_fetches_nothing(parse):
    page = animate(parse, WORDS, UPOS, ".html")
    scene = scene_of(page)
    assert scene["words"] == WORDS
    assert len(scene["positions"]) == len(scene["bonds"]) == len(scene["energy"]) == parse.steps + 1
    assert scene["heads"] == parse.heads.tolist()
    assert np.shape(scene["positions"]) == (parse.steps + 1, 5, 3)
    assert page.count("</script>") == 1, "a word must not end the script"
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert "prefers-reduced-motion" in page
    assert len(page) < 60_000


def test_bonds_of_the_last_moment_are_the_tree(parse):
    last = scene_of(animate(parse, WORDS, UPOS, ".html"))["bonds"][-1]
    firm = {word: head for head, word, share in last if share > 0.5}
    assert [firm[d] for d in range(1, 5)] == parse.heads.tolist()


def test_the_stage_puts_root_above_the_middle(parse):
    staged = stage(parse.trajectory.positions)
    np.testing.assert_allclose(staged[:, 1:, 0].mean(axis=1), 0.0, atol=1e-12)
    assert (staged[:, 0] == 0.0).all()
    np.testing.assert_array_equal(staged[:, 1:, 2], parse.trajectory.positions[:, 1:, 2])


def test_a_gif_moves(parse, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(film, "FRAMES", 4)
    monkeypatch.setattr(film, "HOLD", 2)
    picture = Image.open(io.BytesIO(animate(parse, WORDS, UPOS, ".GIF")))
    assert picture.format == "GIF"
    assert picture.size == (film.WIDTH, film.HEIGHT)
    assert picture.n_frames >= 4
    assert picture.info["loop"] == 0


def test_an_mp4_is_a_film(parse, monkeypatch):
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setattr(film, "FRAMES", 3)
    monkeypatch.setattr(film, "HOLD", 1)
    content = animate(parse, WORDS, UPOS, ".mp4")
    assert content[4:8] == b"ftyp"
    assert len(content) > 1000


def test_moments_cover_the_run_and_rest_at_its_end():
    shown = film.moments(100)
    assert shown[0] == 0
    assert shown[-film.HOLD :] == [100] * film.HOLD
    assert shown == sorted(shown)
    assert film.moments(0) == [0] * (1 + film.HOLD)


def test_unknown_formats_are_refused():
    with pytest.raises(UnknownFormat, match=r"ends in '\.avi', expected one of \.html, \.gif, \.mp4"):
        check_format(Path("film.avi"))


def test_mp4_without_its_library_names_the_extra(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "imageio_ffmpeg" else found(name))
    with pytest.raises(BackendUnavailable, match=r"\[viz\]"):
        check_format(Path("film.mp4"))


def test_a_parse_without_a_trajectory_cannot_be_shown():
    with pytest.raises(NothingRecorded, match="record=True"):
        animate(Parser().parse(WORDS, UPOS), WORDS, UPOS, ".html")

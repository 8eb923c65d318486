"""One relaxation as an animation: words are spheres, the height of a word is its rank in the tree, bonds are lines.

.html is a self-contained page to turn and replay, .gif a picture that moves, .mp4 a film (needs the extra `viz`).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynamics.parser import Parse

FORMATS = (".html", ".gif", ".mp4")

# Colours by universal part of speech, told apart by most colour-blind eyes, on light and on dark ground.
COLORS = {
    "VERB": "#d55e00",
    "AUX": "#e8905a",
    "NOUN": "#0072b2",
    "PROPN": "#56b4e9",
    "PRON": "#4f8fc0",
    "ADJ": "#009e73",
    "NUM": "#5bbf9f",
    "ADV": "#e69f00",
    "ADP": "#cc79a7",
    "SCONJ": "#b35f8f",
    "CCONJ": "#a58ab8",
    "PART": "#b0a24a",
    "DET": "#8c8c8c",
    "PUNCT": "#b5b5b5",
}
OTHER_COLOR = "#a08060"
# Bonds weaker than this are not drawn.
FAINT = 0.02


class UnknownFormat(ValueError):
    """An animation in a format that cannot be written."""


class BackendUnavailable(ImportError):
    """A library that this format needs is not installed."""


class NothingRecorded(ValueError):
    """A parse without its trajectory."""


def check_format(path: Path) -> None:
    """Make sure, before any work is done, that an animation can be written to this path.

    Raises:
        UnknownFormat: the suffix is none of .html, .gif, .mp4.
        BackendUnavailable: .mp4 without imageio-ffmpeg; the message names the extra that brings it.
    """
    if path.suffix.lower() not in FORMATS:
        raise UnknownFormat(f"{path} ends in {path.suffix!r}, expected one of {', '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise BackendUnavailable(
            "an .mp4 needs imageio-ffmpeg: pip install 'atomic-semantic-attention[viz]', or ask for .html or .gif"
        )


def animate(parse: Parse, words: Sequence[str], upos: Sequence[str], suffix: str) -> str | bytes:
    """Turn a recorded parse into an animation.

    Args:
        parse: with its trajectory.
        words: [N].
        upos: [N], universal parts of speech, for the colours.
        suffix: .html, .gif or .mp4.

    Returns:
        The content of the file: text for .html, bytes otherwise.

    Raises:
        UnknownFormat, BackendUnavailable: see `check_format`.
        NothingRecorded: the parse has no trajectory.

    Cost: seconds for .gif and .mp4, which draw some 60 pictures.
    """
    check_format(Path(f"animation{suffix}"))
    if parse.trajectory is None:
        raise NothingRecorded("the parse has no trajectory; call parser.parse(..., record=True)")
    if suffix.lower() == ".html":
        return page(parse, words, upos)
    from dynamics.film import gif, mp4

    return gif(parse, words, upos) if suffix.lower() == ".gif" else mp4(parse, words, upos)


def page(parse: Parse, words: Sequence[str], upos: Sequence[str]) -> str:
    """A self-contained HTML page: drag to turn, play and pause, a slider for the step. Nothing is fetched.

    Args:
        parse: with its trajectory.
        words: [N].
        upos: [N].
    """
    trajectory = parse.trajectory
    assert trajectory is not None
    bonds = [
        [
            [int(trajectory.heads[d, k]), int(d) + 1, round(float(shares[d, k]), 3)]
            for d, k in zip(*np.nonzero(shares > FAINT), strict=True)
        ]
        for shares in trajectory.populations
    ]
    scene = {
        "words": list(words),
        "upos": list(upos),
        "colors": [color_of(tag) for tag in upos],
        "positions": np.round(stage(trajectory.positions), 3).tolist(),
        "bonds": bonds,
        "energy": np.round(trajectory.energy, 3).tolist(),
        "heads": parse.heads.tolist(),
        "labels": list(parse.labels),
        "lowered": turns(parse.heads),
    }
    template = files(__package__).joinpath("animation.html").read_text(encoding="utf-8")
    # A word may contain "</script>"; inside a script element, "<" is written as its escape.
    return template.replace("/*SCENE*/", json.dumps(scene, separators=(",", ":")).replace("<", "\\u003c"))


def stage(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions for the eye: the sentence is centred, ROOT stands above its middle, and depth is stretched a little.

    Args:
        positions: [T, P, 3] float64.
    """
    staged = positions.copy()
    staged[:, :, 1] *= 2.0
    staged[:, :, 0] -= staged[:, 1:, 0].mean(axis=1, keepdims=True)
    staged[:, 0] = 0.0
    return staged


def turns(heads: NDArray[np.int64]) -> list[bool]:
    """Which words have their name a row lower: every second one of a head's childless dependents, which stand close.

    Args:
        heads: [N] int64, counted from 1; 0 is ROOT.
    """
    bare = [d for d in range(1, len(heads) + 1) if d not in set(heads.tolist())]
    before: dict[int, int] = {}
    lowered = [False] * len(heads)
    for d in bare:
        head = int(heads[d - 1])
        lowered[d - 1] = before.get(head, 0) % 2 == 1
        before[head] = before.get(head, 0) + 1
    return lowered


def color_of(upos: str) -> str:
    """The colour of a universal part of speech."""
    return COLORS.get(upos, OTHER_COLOR)

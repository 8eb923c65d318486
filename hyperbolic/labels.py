"""Which names fit into a picture: text boxes that overlap neither one another nor the frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FONT_SIZE = 12.0
# Advance widths of Helvetica in em, rounded up; 0.58 covers all other lower-case letters and digits.
_NARROW, _WIDE = dict.fromkeys("ijl.,:;'|!()[] ftr-", 0.36), dict.fromkeys("mwMWGOQ@%", 0.9)


@dataclass(frozen=True)
class Box:
    """A rectangle, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether two boxes share an area."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, other: Box) -> bool:
        """Whether this box lies inside another."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True)
class Label:
    """A text with the place that it got; `baseline` is the y of its letters' feet."""

    text: str
    box: Box
    baseline: float
    size: float


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """How wide a text is in a font like Helvetica, at most: in the unit of the font size."""
    return size * sum(_NARROW.get(letter, _WIDE.get(letter, 0.72 if letter.isupper() else 0.58)) for letter in text)


def place_labels(wanted: Iterable[tuple[str, Floats, float]], limit: int, frame: Box) -> list[Label]:
    """Place labels beside their points, first come first served.

    Args:
        wanted: (text, [2] point, radius of its mark), most important first.
        limit: stop after so many have found a place.
        frame: all boxes stay inside.

    Returns:
        Those that fit, each beside its own point: outwards, inwards, right, left, below or above it; clear of the marks
        of those placed before.
    """
    placed: list[Label] = []
    taken: list[Box] = []
    for text, point, radius in wanted:
        if len(placed) == limit:
            break
        free = (
            label
            for label in _candidates(text, point, radius)
            if label.box.within(frame) and not any(label.box.overlaps(box) for box in taken)
        )
        found = next(free, None)
        if found is not None:
            placed.append(found)
            taken += [found.box, _box(point, 2 * radius, 2 * radius)]
    return placed


def _candidates(text: str, point: Floats, radius: float) -> Iterable[Label]:
    sides = [np.array(side) for side in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))]
    far = float(np.linalg.norm(point))
    if far > radius:
        sides = [point / far, -point / far, *sides]
    width, height = text_width(text), 1.1 * FONT_SIZE
    for side in sides:
        # The box touches the mark on that side: its centre moves by its own half extent as well.
        centre = point + side * (radius + 3.0) + side * np.array([width, height]) / 2.0
        yield Label(text, _box(centre, width, height), float(centre[1]) + 0.34 * FONT_SIZE, FONT_SIZE)


def _box(centre: Floats, width: float, height: float) -> Box:
    x, y = float(centre[0]), float(centre[1])
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

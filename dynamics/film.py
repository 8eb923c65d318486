"""The pictures of an animated .gif or .mp4: one relaxation, drawn step by step."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from dynamics.animate import FAINT, color_of, stage, turns
from dynamics.parser import Parse

# Pixels; even numbers, as film formats want them.
WIDTH, HEIGHT = 720, 448
MILLISECONDS = 90
FRAMES, HOLD = 46, 16


def gif(parse: Parse, words: Sequence[str], upos: Sequence[str]) -> bytes:
    """An animated GIF that plays for ever.

    Args:
        parse: with its trajectory.
        words: [N].
        upos: [N].
    """
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames(parse, words, upos)]
    # One palette for all pictures, so that colours do not flicker.
    palette = pictures[-1].quantize(colors=128)
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    small[0].save(
        buffer, format="GIF", save_all=True, append_images=small[1:], duration=MILLISECONDS, loop=0, optimize=True
    )
    return buffer.getvalue()


def mp4(parse: Parse, words: Sequence[str], upos: Sequence[str]) -> bytes:
    """An H.264 film.

    Args:
        parse: with its trajectory.
        words: [N].
        upos: [N].
    """
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relaxation.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), (WIDTH, HEIGHT), fps=1000 / MILLISECONDS, macro_block_size=2, ffmpeg_log_level="error"
        )
        writer.send(None)
        for frame in frames(parse, words, upos):
            writer.send(np.ascontiguousarray(frame))
        writer.close()
        return path.read_bytes()


def moments(last: int) -> list[int]:
    """Which steps are shown: all of a short run, ever fewer of a long one, and the end for a while.

    Args:
        last: number of the last step.
    """
    shown = np.unique(np.round(last * np.linspace(0.0, 1.0, FRAMES) ** 1.3).astype(int))
    return [*shown.tolist(), *[last] * HOLD]


def frames(parse: Parse, words: Sequence[str], upos: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
    """Draw picture after picture.

    Args:
        parse: with its trajectory.
        words: [N].
        upos: [N].

    Returns:
        Pictures of [HEIGHT, WIDTH, 3] uint8.
    """
    trajectory = parse.trajectory
    assert trajectory is not None
    positions = stage(trajectory.positions)
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.93))
    curve = figure.add_axes((0.77, 0.86, 0.2, 0.1))
    shown = moments(len(positions) - 1)
    # The eye stands far enough away that nothing of a long sentence comes too near.
    away = max(14.0, 2.5 * float(np.abs(positions[:, :, :2]).max()))
    views = [_project(positions[m], 0.30 + 0.25 * number / len(shown), away) for number, m in enumerate(shown)]
    wide = max(np.abs(flat[:, 0]).max() for flat, _ in views)
    deep = max(-flat[:, 1].min() for flat, _ in views)
    for moment, (flat, order) in zip(shown, views, strict=True):
        axes.clear()
        axes.set(xlim=(-wide - 0.9, wide + 0.7), ylim=(-deep - 1.3, 0.75))
        axes.axis("off")
        for level in range(int(deep + 0.2) + 1):
            axes.axhline(-level, color="#e3e5e9", linestyle=(0, (3, 4)), linewidth=1, zorder=0)
        _draw_bonds(axes, flat, trajectory.populations[moment], trajectory.heads)
        colors = ["#22252a", *(color_of(tag) for tag in upos)]
        sizes = np.array([90.0] + [230.0] * len(words))
        across, height = flat[order].T
        axes.scatter(across, height, s=sizes[order], c=[colors[i] for i in order], edgecolors="white", zorder=3)
        _name(axes, flat, words, parse.labels if moment == shown[-1] else (), parse.heads)
        axes.text(0.015, 0.985, f"step {moment}", transform=axes.transAxes, fontsize=13, va="top", color="#22252a")
        _draw_energy(curve, trajectory.energy, moment)
        canvas.draw()  # type: ignore[no-untyped-call]
        yield np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def _project(points: NDArray[np.float64], yaw: float, away: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """[P, 2] places on the picture and the particles from the farthest to the nearest, seen turned about the height."""
    depth = -points[:, 0] * np.sin(yaw) + points[:, 1] * np.cos(yaw)
    zoom = away / (away + depth)
    across = (points[:, 0] * np.cos(yaw) + points[:, 1] * np.sin(yaw)) * zoom
    return np.stack([across, points[:, 2] * zoom - 0.05 * depth], axis=1), np.argsort(-depth)


def _draw_bonds(
    axes: Axes, flat: NDArray[np.float64], populations: NDArray[np.float64], heads: NDArray[np.int64]
) -> None:
    """Lines from head to dependent, the stronger the bond the darker and thicker."""
    words, kept = np.nonzero(populations > FAINT)
    shares = populations[words, kept]
    lines = np.stack([flat[heads[words, kept]], flat[words + 1]], axis=1)
    colors = [(0.24, 0.26, 0.3, min(1.0, 0.05 + 0.8 * share)) for share in shares.tolist()]
    axes.add_collection(LineCollection(list(lines), colors=colors, linewidths=0.8 + 3.0 * shares, zorder=2))


def _name(
    axes: Axes, flat: NDArray[np.float64], words: Sequence[str], labels: Sequence[str], heads: NDArray[np.int64]
) -> None:
    """Words below their spheres, and below these, if there are any, the labels of their bonds."""
    halo = [withStroke(linewidth=3, foreground="white")]
    axes.annotate("ROOT", flat[0], (0, 9), textcoords="offset points", ha="center", fontsize=8, color="#7b8088")
    crowded = len(words) > 8
    for d, (word, lowered) in enumerate(zip(words, turns(heads), strict=True), 1):
        lower = -38 if crowded and lowered else -18
        style: Any = {"textcoords": "offset points", "ha": "center", "path_effects": halo}
        axes.annotate(word, flat[d], (0, lower), fontsize=9 if crowded else 10, weight="bold", **style)
        if labels:
            axes.annotate(labels[d - 1], flat[d], (0, lower - 9), fontsize=7, color="#7b8088", **style)


def _draw_energy(axes: Axes, energy: NDArray[np.float64], moment: int) -> None:
    """The free energy of the whole run as a small curve, with a dot at the present."""
    axes.clear()
    axes.axis("off")
    axes.plot(energy, color="#7b8088", linewidth=1.3)
    axes.plot(moment, energy[moment], "o", color="#d55e00", markersize=5)
    axes.set_title("free energy", fontsize=8, color="#7b8088", loc="right", pad=2)

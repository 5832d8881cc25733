"""Poses drawn onto pictures: skeletons, keypoints, and names of the animals, in the colors of the report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.plots.style import ANIMAL_COLORS
from ssl_behavior.recording import observed_points
from ssl_behavior.skeleton import Skeleton, front_and_back
from ssl_behavior.videos.drawing import Color, Number, Strokes, draw_arrow, draw_text, rgb, text_size
from ssl_behavior.videos.lanes import Deed

__all__ = ["PoseStyle", "animal_color", "draw_directions", "draw_names", "draw_poses", "middles_of"]

_WHITE, _DARK = (255, 255, 255), (16, 18, 22)
_FRONT = 1.5
"""Radius of the front keypoint, which shows where an animal looks, in those of the others."""
_OUTLINE_ALPHA = 0.55
_FADED = 0.35


@dataclass(frozen=True, kw_only=True)
class PoseStyle:
    """Sizes of a drawn pose, pixels.

    Parameters
    ----------
    edges : pairs of numbers of keypoints to draw a line between.
    front : number of the keypoint that is drawn larger.
    line : width of lines.
    dot : radius of keypoints.
    text : height of letters.
    """

    edges: tuple[tuple[int, int], ...]
    front: int
    line: Number
    dot: Number
    text: int

    @classmethod
    def of(cls, skeleton: Skeleton, unit: Number) -> "PoseStyle":
        """Style for a skeleton; `unit` is 1 for a movie of 720 lines."""
        edges = tuple((skeleton.index(one), skeleton.index(other)) for one, other in skeleton.edges)
        return cls(
            edges=edges, front=front_and_back(skeleton)[0], line=3.0 * unit, dot=3.4 * unit,
            text=max(9, round(16 * unit)),
        )  # fmt: skip


def animal_color(animal: int) -> Color:
    """Color of an animal, as in the report."""
    return rgb(ANIMAL_COLORS[animal % len(ANIMAL_COLORS)])


def draw_poses(picture: np.ndarray, points: np.ndarray, style: PoseStyle, actors: Sequence[int] = ()) -> None:
    """Draw all animals; missing points, and lines to them, are left out.

    Parameters
    ----------
    points : float [individual, keypoint, 2], pixels of the picture; NaN = missing.
    actors : numbers of the animals that stand out, drawn last; empty = all alike.
    """
    order = sorted(range(len(points)), key=lambda animal: animal in actors)
    for animal in order:
        faded = bool(actors) and animal not in actors
        _draw_pose(picture, points[animal], animal, style, _FADED if faded else 1.0)


def _draw_pose(picture: np.ndarray, points: np.ndarray, animal: int, style: PoseStyle, alpha: Number) -> None:
    if not observed_points(points).any():
        return
    color, radii = animal_color(animal), np.full(len(points), style.dot)
    radii[style.front] *= _FRONT
    strokes = Strokes(picture, points, float(radii.max()))
    for one, other in style.edges:
        strokes.line(points[one], points[other], style.line / 2)
    for point, radius in zip(points, radii.tolist(), strict=True):
        strokes.dot(point, radius)
    strokes.paint(_DARK, _OUTLINE_ALPHA * alpha, wider=max(1.0, 0.4 * style.line))
    strokes.paint(color, alpha)
    if animal % 2:
        # Open keypoints of every second animal, so that color is not the only difference.
        strokes.clear()
        for point, radius in zip(points, radii.tolist(), strict=True):
            strokes.dot(point, radius - max(1.0, 0.4 * style.dot))
        strokes.paint(_WHITE, alpha)


def middles_of(points: np.ndarray) -> np.ndarray:
    """Mean observed point of each animal, [..., keypoint, 2] -> float64 [..., 2]; NaN where none is observed."""
    seen = observed_points(points)[..., None]
    sums = np.where(seen, points, 0.0).sum(axis=-2, dtype=np.float64)
    counts = seen.sum(axis=-2)
    middles: np.ndarray = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return middles


def draw_names(picture: np.ndarray, points: np.ndarray, names: Sequence[str], style: PoseStyle) -> None:
    """Write the name of each animal that is seen above it; names keep clear of each other."""
    height, width = picture.shape[:2]
    taken: list[tuple[float, float, float]] = []
    line = 1.25 * style.text
    for animal, name in enumerate(names):
        own = points[animal][observed_points(points[animal])]
        inside = own[((own >= 0) & (own < (width, height))).all(axis=1)]
        if not len(inside):
            continue
        half = text_size(name, style.text)[0] / 2 + 3
        x = float(np.clip(inside[:, 0].mean(), half, max(half, width - half)))
        y = max(0.6 * line, float(inside[:, 1].min()) - 0.9 * line)
        for _ in names:
            met = [other for other in taken if abs(other[0] - x) < other[2] + half and abs(other[1] - y) < line]
            if not met:
                break
            y = met[0][1] + line
        taken.append((x, y, half))
        draw_text(picture, x, y, name, style.text, _darker(animal_color(animal)), _WHITE, anchor="center")


def _darker(color: Color) -> Color:
    red, green, blue = (round(0.75 * part) for part in color)
    return red, green, blue


def draw_directions(picture: np.ndarray, points: np.ndarray, deeds: Sequence[Deed], style: PoseStyle) -> None:
    """Draw an arrow from agent to target for each behavior that has both, in the color of the behavior."""
    middles = middles_of(points)
    for place, deed in enumerate(dict.fromkeys(one for one in deeds if -1 not in (one.agent, one.target))):
        if deed.agent == deed.target:
            continue
        tail, tip = middles[deed.agent], middles[deed.target]
        # Several arrows of a pair lie beside each other.
        way = tip - tail
        side = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-9) if np.isfinite(way).all() else np.zeros(2)
        shift = side * (2 + 3.5 * place) * style.line
        draw_arrow(picture, (tail + shift).tolist(), (tip + shift).tolist(), deed.color, 1.3 * style.line, 0.9)

"""Files for TensorBoard's projector: points, metadata and a sprite of poses.

tensorboard --logdir FOLDER

`vectors.tsv` and `metadata.tsv` can be loaded into any other projector, too.
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, write_text
from ssl_behavior.plots.style import ANIMAL_COLORS
from ssl_behavior.reports.contents import MOST_POINTS, Ethogram, FrameMap, Report
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.skeleton import Skeleton, front_and_back

__all__ = ["PROJECTOR_POINTS", "write_projector"]


PROJECTOR_POINTS = 10_000
"""Default number of points: the limit of the projector's own t-SNE."""

_MARKER = "projector_config.pbtxt"
_WIDEST_PX = 8192
"""Maximum width of a picture in all browsers."""

_LARGEST_PX = 48
_FINER = 3


def write_projector(
    report: Report,
    vectors: np.ndarray,
    folder: Path,
    points: int = PROJECTOR_POINTS,
    seed: int = 0,
    overwrite: bool = False,
) -> int:
    """Write the projector's files, whole or not at all; returns the number of points.

    Parameters
    ----------
    report : report with a map; its points, or a random part, are written.
    vectors : float [point, dim] of the map's points.
    points : maximum number of points; above it, a random sample.

    Raises
    ------
    InputError
        If the report has no map, there are too many points, or the folder cannot be written.
    """
    frames = report.map
    if frames is None:
        raise InputError("the projector needs a report with a map: this report has none")
    if not 1 <= points <= MOST_POINTS:
        raise InputError(f"TensorBoard's projector shows 1 to {MOST_POINTS:,} points, got {points:,}")
    assert len(vectors) == len(frames.xy)
    picks = np.arange(len(vectors))
    if len(picks) > points:
        picks = np.sort(numpy_generator(seed, "projector").choice(len(vectors), points, replace=False))
    with atomic_folder(folder, overwrite, _MARKER) as partial:
        np.savetxt(partial / "vectors.tsv", vectors[picks], fmt="%.5g", delimiter="\t")
        write_text(partial / "metadata.tsv", _metadata(report, frames, picks))
        side = 0
        if frames.poses is not None:
            side = min(_LARGEST_PX, _WIDEST_PX // math.ceil(math.sqrt(len(picks))))
            _draw_sprite(frames.poses[picks], report.skeleton, side).save(partial / "sprite.png")
        _write_projector_config(partial, len(picks), vectors.shape[1], side)
    return len(picks)


def _write_projector_config(folder: Path, points: int, dim: int, side: int) -> None:
    """Write `projector_config.pbtxt`; thumbnails of the sprite are `side` pixels wide, 0 = no sprite."""
    from tensorboard.plugins.projector import ProjectorConfig, visualize_embeddings

    config = ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="frames", tensor_shape=[points, dim], tensor_path="vectors.tsv", metadata_path="metadata.tsv"
    )
    if side:
        embedding.sprite.image_path = "sprite.png"
        embedding.sprite.single_image_dim.extend([side, side])
    visualize_embeddings(str(folder), config)


def _metadata(report: Report, frames: FrameMap, picks: np.ndarray) -> str:
    """A line per point: recording and animals, frame, seconds, the cluster and every label."""
    recording, frame = frames.recording[picks], frames.frame[picks]
    every = (*((report.clusters,) if report.clusters else ()), *report.labels)
    columns = [_words(ethogram, ethogram.at(recording, frame)) for ethogram in every]
    actors: tuple[str, ...] = {"scene": (), "animal": ("agent",), "pair": ("agent", "target")}[report.unit]
    header = ["recording", *actors, "frame", "seconds", *(_one_line(ethogram.name) for ethogram in every)]
    lines = ["\t".join(header)]
    for row, (number, at) in enumerate(zip(recording.tolist(), frame.tolist(), strict=True)):
        own = report.recordings[number]
        who = [_one_line(name) for name in (own.recording, *(getattr(own, name) for name in actors))]
        lines.append("\t".join([*who, str(at), f"{at / own.fps:.2f}", *(column[row] for column in columns)]))
    return "\n".join(lines) + "\n"


def _words(ethogram: Ethogram, values: np.ndarray) -> list[str]:
    words = [*(_one_line(word) for word in ethogram.words), "none"]
    return [words[value] for value in values.tolist()]


def _one_line(text: str) -> str:
    """Text without tabs and line ends, which would break the table."""
    return " ".join(text.split())


def _draw_sprite(poses: np.ndarray, skeleton: Skeleton, side: int) -> Image.Image:
    """All thumbnails as one picture, row by row from the top left: drawn large, then made small.

    Parameters
    ----------
    poses : float [point, individual, keypoint, 2], NaN = missing.
    """
    across = math.ceil(math.sqrt(len(poses)))
    # The projector expects a square of thumbnails.
    sprite = Image.new("RGB", (across * side, across * side), "white")
    large = side * _FINER
    for row in range(math.ceil(len(poses) / across)):
        strip = Image.new("RGB", (across * large, large), "white")
        draw = ImageDraw.Draw(strip)
        for column, pose in enumerate(poses[row * across : (row + 1) * across]):
            _draw_pose(draw, pose, skeleton, column * large, large)
        sprite.paste(strip.resize((across * side, side), Image.Resampling.BOX), (0, row * side))
    return sprite


def _draw_pose(draw: ImageDraw.ImageDraw, pose: np.ndarray, skeleton: Skeleton, left: int, side: int) -> None:
    seen = np.isfinite(pose).all(axis=-1)
    if not seen.any():
        return
    low, high = pose[seen].min(axis=0), pose[seen].max(axis=0)
    scale = 0.84 * side / max(float((high - low).max()), 1e-9)
    places = (pose - (low + high) / 2) * scale + np.array([left + side / 2, side / 2])
    wide, (front, _) = max(2, side // 20), front_and_back(skeleton)
    for animal, (points, there) in enumerate(zip(places, seen, strict=True)):
        color = ANIMAL_COLORS[animal % len(ANIMAL_COLORS)]
        for first, second in skeleton.edges:
            a, b = skeleton.index(first), skeleton.index(second)
            if there[a] and there[b]:
                draw.line([tuple(points[a].tolist()), tuple(points[b].tolist())], fill=color, width=wide)
        for point in np.flatnonzero(there).tolist():
            (x, y), radius = points[point].tolist(), wide * (2 if point == front else 1)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)

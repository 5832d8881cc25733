"""Maps of embeddings: two-dimensional maps, the channels that color them, and files for TensorBoard's projector.

tensorboard --logdir FOLDER

`vectors.tsv` and `metadata.tsv` can be loaded into any other projector, too.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder
from ssl_behavior.numerics import oriented, principal_components
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.recording import observed_points
from ssl_behavior.report.contents import MOST_POINTS, Channel, Ethogram, FrameMap, Report, front_and_back
from ssl_behavior.seeds import derive_seed, numpy_generator
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.windows import WindowReader

__all__ = [
    "MAPS",
    "PROJECTOR_POINTS",
    "check_map",
    "draw_map",
    "named",
    "program_channels",
    "tracking_channels",
    "write_projector",
]

MAPS = {"pca": "", "tsne": "openTSNE", "umap": "umap"}
"""Map -> the package that computes it."""

_FEWEST_POINTS = 10


def check_map(kind: str) -> None:
    """Check that a map can be drawn, before it is computed.

    Raises
    ------
    InputError
        If there is no such map, or its package is not installed.
    """
    if kind not in MAPS:
        raise InputError(f"unknown `map` {kind!r}; known: {list(MAPS)}")
    if MAPS[kind] and find_spec(MAPS[kind]) is None:
        raise InputError(
            f"`map={kind}` needs {MAPS[kind]}: pip install 'ssl-behavior[maps]'; `map=pca` needs no package"
        )


def draw_map(points: np.ndarray, kind: str = "pca", seed: int = 0) -> tuple[np.ndarray, str]:
    """Coordinates float32 [point, 2], and a description. t-SNE and UMAP start from the principal components.

    Parameters
    ----------
    points : float [point, dim].
    kind : one of `MAPS`.

    Raises
    ------
    InputError
        If `kind` cannot be drawn, or there are fewer than ten points for t-SNE or UMAP.
    """
    check_map(kind)
    components, shares = _principal(points)
    if kind == "pca":
        return components, f"PCA: {shares[0]:.0%} and {shares[1]:.0%} of the variance"
    if len(points) < _FEWEST_POINTS:
        raise InputError(f"`map={kind}` needs at least {_FEWEST_POINTS} frames, got {len(points)}: use `map=pca`")
    # The recommended initial spread of t-SNE is 1e-4 (Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x).
    start = (components / max(float(components[:, 0].std()), 1e-12) * 1e-4).astype(np.float64)
    number = derive_seed(seed, "map", kind) % 2**31
    return (_tsne if kind == "tsne" else _umap)(points, start, number)


def _principal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the first two principal components, their shares of the variance); of one column, the second is 0."""
    mean = points.mean(axis=0, dtype=np.float64)
    centered = points - mean.astype(points.dtype)
    covariance = (centered.T @ centered).astype(np.float64) / max(1, len(points))
    found, variances = principal_components(torch.from_numpy(covariance), 2)
    axes, shares = np.zeros((points.shape[1], 2)), np.zeros(2)
    axes[:, : len(variances)] = oriented(found).numpy()
    shares[: len(variances)] = variances.numpy() / max(float(covariance.trace()), 1e-12)
    return (centered @ axes.astype(points.dtype)).astype(np.float32), shares


def _tsne(points: np.ndarray, start: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    import openTSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    drawn = openTSNE.TSNE(perplexity=perplexity, initialization=start, random_state=seed, n_jobs=1).fit(points)
    return np.asarray(drawn, np.float32), f"t-SNE, perplexity {perplexity:.0f}"


def _umap(points: np.ndarray, start: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    import umap

    neighbors = min(15, len(points) - 1)
    # UMAP starts from a square of side 10, and seeded runs use one thread.
    init = (start * 1e4).astype(np.float32)
    drawn = umap.UMAP(n_neighbors=neighbors, init=init, random_state=seed, n_jobs=1).fit_transform(points)
    return np.asarray(drawn, np.float32), f"UMAP, {neighbors} neighbors"


_CHUNK_FRAMES = 32_768
_MARGIN_SECONDS = 10.0
"""Margin read before and after a chunk: programs look back by up to five seconds."""


def tracking_channels(store: Store, frames: np.ndarray) -> tuple[Channel, ...]:
    """Share of observed points and, where the store has it, their mean confidence.

    Parameters
    ----------
    frames : rows of the store, ascending.
    """
    seen = observed_points(store.keypoints[frames])
    share = Channel(
        name="points seen", units="%", values=seen.mean(axis=(1, 2)) * 100.0, about="Share of the keypoints observed."
    )
    if store.confidence is None:
        return (share,)
    confidence = store.confidence[frames]
    usable = seen & np.isfinite(confidence)
    count = usable.sum(axis=(1, 2))
    total = np.where(usable, confidence, 0.0).sum(axis=(1, 2), dtype=np.float64)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return share, Channel(name="confidence", values=mean, about="The tracker's confidence, mean of the points seen.")


def program_channels(
    store: Store, rows: Sequence[StoreRow], names: Sequence[str], recording: np.ndarray, frame: np.ndarray
) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    """A channel for every attribute of the programs, and notices about those left out.

    Parameters
    ----------
    rows : the report's recordings.
    names : names or globs of programs.
    recording, frame : recording and frame of each point, ascending.

    Raises
    ------
    InputError
        If a name matches no program.
    """
    config = ProgramsConfig(names=tuple(names)) if names else None
    if config is None:
        return (), ()
    try:
        fps = common_fps(rows, "so no program was measured")
        programs = ProgramSet(config, store.skeleton, fps)
    except InputError as error:
        return (), (f"The map cannot be colored by programs: {error}.",)
    # Only programs that cannot run are left out; training also leaves out constant ones.
    notices = programs.notices
    reader = WindowReader([(store, row) for row in rows], 1)
    programs.fit(reader)
    values = np.concatenate([_values(programs, reader, i, frame[recording == i]) for i in range(len(rows))])
    table = zip(programs.names, programs.units, programs.attribute_facts, values.T, strict=True)
    channels = tuple(
        Channel(name=named(name), units="" if units == "1" else units, values=own, about=facts.description)
        for name, units, facts, own in table
        if np.isfinite(own).any()
    )
    return channels, notices


def named(attribute: str) -> str:
    """Name of an attribute in the report.

    >>> named("nose_tail_distance.greater")
    'nose tail distance, greater'
    """
    return attribute.replace("_", " ").replace(".", ", ")


def _values(programs: ProgramSet, reader: WindowReader, pick: int, frame: np.ndarray) -> np.ndarray:
    """float32 [frame, attribute] of some frames of a recording, a chunk of it at a time."""
    row = reader.sources[pick][1]
    margin = int(_MARGIN_SECONDS * row.fps)
    out = np.empty((len(frame), programs.num_attributes), np.float32)
    for start in range(0, row.frames, _CHUNK_FRAMES):
        mine = np.flatnonzero((frame >= start) & (frame < start + _CHUNK_FRAMES))
        if not len(mine):
            continue
        first = max(0, start - margin)
        stop = min(row.frames, start + _CHUNK_FRAMES + margin)
        with torch.inference_mode():
            out[mine] = programs.measure(reader.read([(pick, first, stop - first)]))[0, frame[mine] - first].numpy()
    return out


PROJECTOR_POINTS = 10_000
"""Default number of points: the limit of the projector's own t-SNE."""

_MARKER = "projector_config.pbtxt"
_WIDEST_PX = 8192
"""Maximum width of a picture in all browsers."""

_LARGEST_PX = 48
_FINER = 3
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


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
        (partial / "metadata.tsv").write_text(_metadata(report, frames, picks), encoding="utf-8", newline="\n")
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
    """A line per point: recording, frame, seconds, the cluster and every label."""
    recording, frame = frames.recording[picks], frames.frame[picks]
    every = (*((report.clusters,) if report.clusters else ()), *report.labels)
    columns = [_words(ethogram, ethogram.at(recording, frame)) for ethogram in every]
    lines = ["\t".join(["recording", "frame", "seconds", *(_one_line(ethogram.name) for ethogram in every)])]
    for row, (number, at) in enumerate(zip(recording.tolist(), frame.tolist(), strict=True)):
        own = report.recordings[number]
        lines.append(
            "\t".join([_one_line(own.id), str(at), f"{at / own.fps:.2f}", *(column[row] for column in columns)])
        )
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
        color = _COLORS[animal % len(_COLORS)]
        for first, second in skeleton.edges:
            a, b = skeleton.index(first), skeleton.index(second)
            if there[a] and there[b]:
                draw.line([tuple(points[a].tolist()), tuple(points[b].tolist())], fill=color, width=wide)
        for point in np.flatnonzero(there).tolist():
            (x, y), radius = points[point].tolist(), wide * (2 if point == front else 1)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)

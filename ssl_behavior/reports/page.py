"""A report as one HTML file without external resources.

The page holds JSON for names and tables, and packed arrays for large data. An array is split into byte planes, deflated
and encoded in base64; browsers decode it with `DecompressionStream`. Coordinates are rounded to whole steps, fine
enough for drawing.
"""

import base64
import hashlib
import json
import math
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ssl_behavior.bouts import runs
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, write_errors_explained, write_text
from ssl_behavior.reports.contents import Channel, Ethogram, FrameMap, Report
from ssl_behavior.reports.table_rows import difference_rows, discovery_rows, distinctive_labels
from ssl_behavior.skeleton import Skeleton, front_and_back

__all__ = ["check_page", "pack", "packed_report", "render_report", "safe_json", "write_report"]

_STEPS = 8190
"""Steps per longest side of the example bouts: a tenth of a pixel on a wide screen."""

_POSE_STEPS = 254
_POSE_MISSING = 255
_CHANNEL_STEPS = 254
_CHANNEL_UNKNOWN = 255
_CHANNEL_TAILS = (5.0, 95.0)
_MAP_TAILS = (0.05, 99.95)
_UINT16 = 65535
_CLOCK_SECONDS = 59.95


def pack(array: np.ndarray) -> dict[str, Any]:
    """Array as text with its type and shape: little endian, byte plane by byte plane, deflated, base64."""
    array = np.ascontiguousarray(array)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    planes = array.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T
    text = base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "text": text}


def safe_json(value: Any) -> str:
    """JSON for a script element: its content can neither close the element nor open a comment."""
    text = json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _without_nan(value: Any) -> Any:
    """Values for JSON: NaN and infinity become None, arrays become lists."""
    if isinstance(value, np.ndarray):
        return _without_nan(value.tolist())
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def packed_report(report: Report) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """JSON contents of a page, and its arrays by the names that the JSON refers to."""
    arrays: dict[str, np.ndarray] = {}
    every = ([("clusters", report.clusters)] if report.clusters else []) + [("labels", one) for one in report.labels]
    facts: dict[str, Any] = {
        "title": report.title,
        "unit": report.unit,
        "recordings": [asdict(one) | {"title": one.title, "actors": str(one.actors)} for one in report.recordings],
        "individuals": report.individuals,
        "skeleton": _skeleton(report.skeleton),
        "ethograms": [_ethogram(kind, one, f"ethogram{i}", arrays) for i, (kind, one) in enumerate(every)],
        "map": None if report.map is None else _map(report.map, arrays),
        "bouts": _bouts(report, [one.name for _, one in every], arrays),
        "cards": [{"cluster": card.cluster, "share": card.share} for card in report.cards],
        "transitions": report.transitions,
        "discoveries": discovery_rows(report),
        "profiles": [asdict(profile) for profile in report.profiles],
        "scores": [{"title": one.title, "score": one.score, "bars": one.bars} for one in report.scores],
    }
    return facts, arrays


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    front, back = front_and_back(skeleton)
    return {
        "keypoints": skeleton.keypoints,
        "edges": [[skeleton.index(a), skeleton.index(b)] for a, b in skeleton.edges],
        "front": front,
        "back": back,
        "exchangeable": skeleton.exchangeable,
    }


def _ethogram(kind: str, ethogram: Ethogram, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    parts = [None if own is None else runs(own) for own in ethogram.frames]
    counts = [-1 if own is None else len(own) for own in parts]
    every = [run for own in parts if own is not None for run in own]
    arrays[f"{name}_lengths"] = np.array([stop - start for start, stop, _ in every], np.uint32)
    arrays[f"{name}_values"] = np.array([value for *_, value in every], np.int16)
    return {
        "kind": kind, "name": ethogram.name, "words": ethogram.words, "background": ethogram.background,
        "shared": ethogram.of_recording, "counts": counts, "lengths": f"{name}_lengths", "values": f"{name}_values",
    }  # fmt: skip


def _map(frames: FrameMap, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    low, high = np.percentile(frames.xy, _MAP_TAILS, axis=0)
    width = np.maximum(high - low, 1e-9)
    # Far outliers stand at the edge: spread over all of them, the steps would be too coarse for the rest.
    edge, far = low - width, high + width
    inside = np.clip(frames.xy, edge, far)
    arrays["map_xy"] = np.rint((inside - edge) / (far - edge) * _UINT16).astype(np.uint16).T
    arrays["map_recording"] = frames.recording.astype(np.uint16 if frames.recording.max() <= _UINT16 else np.uint32)
    # Differences are small numbers, which deflate well.
    arrays["map_frame"] = np.diff(frames.frame.astype(np.uint32), prepend=np.uint32(0))
    facts: dict[str, Any] = {
        "method": frames.method,
        "points": len(frames.xy),
        "edge": edge,
        "far": far,
        "clipped": int((inside != frames.xy).any(axis=1).sum()),
        "channels": [_channel(one, f"channel{i}", arrays) for i, one in enumerate(frames.channels)],
        "poses": frames.poses is not None,
        "nearest": frames.nearest is not None,
    }
    if frames.poses is not None:
        arrays["map_poses"], sizes = _poses(frames.poses)
        facts["pose_size"] = float(sizes.max(initial=0.0)) or 1.0
        arrays["map_pose_sizes"] = np.rint(sizes / facts["pose_size"] * _UINT16).astype(np.uint16)
    if frames.nearest is not None:
        arrays["map_nearest"] = frames.nearest.astype(np.int32)
    return facts


def _channel(channel: Channel, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    known = np.isfinite(channel.values)
    low, high = np.percentile(channel.values[known], _CHANNEL_TAILS) if known.any() else (0.0, 1.0)
    high = high if high > low else low + 1.0
    steps = np.full(len(known), _CHANNEL_UNKNOWN, np.uint8)
    scaled = np.clip((channel.values[known] - low) / (high - low), 0.0, 1.0)
    steps[known] = np.rint(scaled * _CHANNEL_STEPS).astype(np.uint8)
    arrays[name] = steps
    return {
        "name": channel.name, "units": channel.units, "about": channel.about, "low": low, "high": high, "values": name,
    }  # fmt: skip


def _poses(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses as uint8 [point, individual, keypoint, 2] in steps of the pose's longer side, and these sides [point]."""
    flat = poses.reshape(len(poses), -1, 2)
    missing = ~np.isfinite(flat).all(axis=2)
    low = np.where(missing[..., None], np.inf, flat).min(axis=1)
    high = np.where(missing[..., None], -np.inf, flat).max(axis=1)
    sizes = np.where(np.isfinite(low).all(axis=1), (high - low).max(axis=1), 0.0)
    with np.errstate(invalid="ignore"):
        steps = (flat - low[:, None]) / np.maximum(sizes, 1e-9)[:, None, None] * _POSE_STEPS
    steps = np.where(missing[..., None], _POSE_MISSING, np.rint(steps))
    return steps.astype(np.uint8).reshape(poses.shape), sizes


def _bouts(report: Report, names: list[str], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    bouts = report.bouts
    if not bouts:
        return {"count": 0}
    table = [
        (report.numbers[one.recording], one.start, one.stop, names.index(one.ethogram) if one.ethogram else -1,
         one.value, one.first, len(one.track), len(one.neighbors), int(one.among_examples))
        for one in bouts
    ]  # fmt: skip
    neighbors = [neighbor for one in bouts for neighbor in one.neighbors]
    arrays["bouts"] = np.array(table, np.int32).T
    arrays["neighbors"] = np.array([neighbor.bout for neighbor in neighbors], np.int32)
    arrays["distances"] = np.array([neighbor.distance for neighbor in neighbors], np.float32)
    step = max(_extent(one.track) for one in bouts) / _STEPS or 1.0
    tracks = [_quantized(one.track, step) for one in bouts]
    arrays["tracks"] = np.concatenate([steps for steps, _ in tracks])
    arrays["observed"] = np.packbits(np.concatenate([seen for _, seen in tracks]).reshape(-1), bitorder="little")
    return {"count": len(bouts), "step": step}


def _extent(track: np.ndarray) -> float:
    """Longer side of a track's bounding box."""
    points = track.reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return float(np.ptp(points, axis=0).max()) if len(points) else 0.0


def _quantized(track: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Time differences of a track in whole steps, uint16 modulo 2^16, and the mask of observed points.

    A missing point keeps its last position. Small differences compress well under deflate, and zeros to almost nothing.
    """
    seen = np.isfinite(track).all(axis=-1)
    points = np.where(seen[..., None], track, np.nan)
    origin = np.nanmin(points.reshape(-1, 2), axis=0) if seen.any() else np.zeros(2)
    steps = np.rint(np.where(seen[..., None], (track - origin) / step, 0.0)).astype(np.int64)
    last = np.where(seen, np.arange(len(track))[:, None, None], -1)
    last = np.maximum.accumulate(last, axis=0)
    held = np.take_along_axis(steps, np.maximum(last, 0)[..., None], axis=0)
    held = np.where((last >= 0)[..., None], held, 0)
    return np.diff(held, axis=0, prepend=0).astype(np.uint16), seen


_NARROW = "\u202f"
"""A space at which no line is broken."""

_HERE = Path(__file__).parent
_LIBRARIES = ("d3.min.js", "plot.umd.min.js")
_SCRIPTS = (
    "base.js", "data.js", "palette.js", "state.js", "skeleton.js", "map.js", "ethogram.js", "player.js", "cards.js",
    "charts.js", "filters.js", "main.js",
)  # fmt: skip


def check_page(path: Path, overwrite: bool) -> None:
    """Refuse a path that cannot be written, before the long computation.

    Raises
    ------
    InputError
        If it exists and `overwrite` is False, or is a folder.
    """
    if path.is_dir():
        raise InputError(f"`out` {path} is a folder: give the name of a file, such as {path / 'report.html'}")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another `out`, or pass `overwrite` to replace it")


def write_report(report: Report, path: Path) -> None:
    """Write the page, atomically.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    text = render_report(report)
    with write_errors_explained(path), atomic_file(path) as partial:
        write_text(partial, text)


def render_report(report: Report) -> str:
    """The page as HTML.

    Names in it cannot become code: the template escapes its values, the scripts get JSON that cannot leave its element,
    and the page's content security policy allows its own scripts only and loads no external resource.
    """
    facts, arrays = packed_report(report)
    scripts = [_read("vendor", name) for name in _LIBRARIES]
    # One function scope for all our scripts, so that they leave no globals.
    scripts.append("(() => {\n'use strict';\n" + "".join(_read("assets", name) for name in _SCRIPTS) + "})();\n")
    every = ((report.clusters,) if report.clusters else ()) + report.labels
    return _environment().get_template("report.html.jinja").render(
        report=report,
        ethograms=every,
        differences=difference_rows(report),
        discoveries=facts["discoveries"],
        front=report.skeleton.keypoints[facts["skeleton"]["front"]],
        parts=_parts(report),
        style=Markup(_read("assets", "report.css")),
        licenses="\n\n".join(_read("vendor", f"LICENSE-{name}.txt") for name in ("d3", "plot")),
        facts=Markup(safe_json(facts)),
        arrays={name: pack(array) for name, array in arrays.items()},
        scripts=[Markup(script) for script in scripts],
        script_sources=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
    )  # fmt: skip


def _parts(report: Report) -> list[tuple[str, str]]:
    """(anchor, name) of the parts of this page."""
    parts = [
        ("map", "Map", report.map), ("player", "Player", report.bouts), ("ethogram", "Ethogram", True),
        ("clusters", "Clusters", report.cards), ("transitions", "Transitions", report.transitions is not None),
        ("discoveries", "Worth a look", report.discovery), ("profiles", "Profiles", report.profiles),
        ("scores", "Probe results", report.scores), ("about", "About", True),
    ]  # fmt: skip
    return [(anchor, name) for anchor, name, there in parts if there]


def _read(folder: str, name: str) -> str:
    return (_HERE / folder / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.tests["same_as"] = lambda one, other: one is other
    filters = {"share": _share, "seconds": _seconds, "short": _short, "moment": _moment}
    environment.filters |= filters | {"telling": distinctive_labels}
    return environment


def _share(value: float) -> str:
    r"""
    >>> _share(0.034), _share(0.34), _share(0.0004)
    ('3.4\u202f%', '34\u202f%', '0.04\u202f%')
    """
    percent = value * 100
    digits = 0 if percent >= 9.95 or not percent else 1 if percent >= 0.1 else 2
    return f"{percent:.{digits}f}{_NARROW}%"


def _seconds(value: float) -> str:
    r"""
    >>> _seconds(0.333), _seconds(12.3), _seconds(400.0)
    ('0.33\u202fs', '12\u202fs', '6.7\u202fmin')
    """
    if value >= 120:
        return f"{value / 60:.1f}{_NARROW}min"
    return f"{value:.{2 if value < 1 else 1 if value < 10 else 0}f}{_NARROW}s"


def _short(value: float) -> str:
    """
    >>> _short(0.01234), _short(1234.5)
    ('0.0123', '1,234')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _moment(span: dict[str, int], report: Report) -> str:
    """Words for the place of a bout; seconds of animals and pairs, as in `timeText` of data.js."""
    own = report.recordings[span["recording"]]
    seconds = span["start"] / own.fps
    in_seconds = own.agent and seconds < _CLOCK_SECONDS
    return f"{own.title}, {f'{seconds:.1f} s' if in_seconds else _frame_time(span['start'], own.fps)}"


def _frame_time(frame: int, fps: float) -> str:
    """
    >>> _frame_time(1890, 30.0), _frame_time(1799, 30.0)
    ('1:03.0', '1:00.0')
    """
    minutes, seconds = divmod(round(frame / fps, 1), 60)
    return f"{minutes:.0f}:{seconds:04.1f}"

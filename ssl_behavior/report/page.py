"""A report as one HTML file that needs nothing else: no network, no other file."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, told_plainly
from ssl_behavior.report.contents import Report
from ssl_behavior.report.payload import pack, packed_report, safe_json

__all__ = ["check_page", "render_report", "write_report"]

_NARROW = "\u202f"
"""A space at which no line is broken."""

_HERE = Path(__file__).parent
_LIBRARIES = ("d3.min.js", "plot.umd.min.js")
_SCRIPTS = (
    "base.js", "data.js", "palette.js", "state.js", "skeleton.js", "map.js", "ethogram.js", "player.js", "cards.js",
    "charts.js", "filters.js", "main.js",
)  # fmt: skip


def check_page(path: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises
    ------
    InputError
        If it is there already and `overwrite` is False, or is a folder.
    """
    if path.is_dir():
        raise InputError(f"--out {path} is a folder: give the name of a file, such as {path / 'report.html'}")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another --out, or pass --overwrite to replace it")


def write_report(report: Report, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    text = render_report(report)
    with told_plainly(path), atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def render_report(report: Report) -> str:
    """The page. Names are shown, never run: what the template gets is escaped, what the scripts get is JSON that cannot
    leave its element, and the page's own policy lets browsers run its scripts and no others, and load nothing."""
    facts, arrays = packed_report(report)
    scripts = [_read("vendor", name) for name in _LIBRARIES]
    # One scope for all of ours, and none of it left on the page.
    scripts.append("(() => {\n'use strict';\n" + "".join(_read("assets", name) for name in _SCRIPTS) + "})();\n")
    every = ((report.clusters,) if report.clusters else ()) + report.labels
    return _environment().get_template("report.html.jinja").render(
        report=report,
        ethograms=every,
        front=report.skeleton.keypoints[facts["skeleton"]["front"]],
        parts=_parts(report),
        style=Markup(_read("assets", "report.css")),
        licences="\n\n".join(_read("vendor", f"LICENSE-{name}.txt") for name in ("d3", "plot")),
        facts=Markup(safe_json(facts)),
        arrays={name: pack(array) for name, array in arrays.items()},
        scripts=[Markup(script) for script in scripts],
        script_sources=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
    )  # fmt: skip


def _parts(report: Report) -> list[tuple[str, str]]:
    """(anchor, name) of the parts that there are."""
    parts = [
        ("map", "Map", report.map), ("player", "Player", report.bouts), ("ethogram", "Ethogram", True),
        ("clusters", "Clusters", report.cards), ("transitions", "Transitions", report.transitions is not None),
        ("discoveries", "Worth a look", report.discoveries), ("profiles", "Profiles", report.profiles),
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
    environment.filters |= {"share": _share, "seconds": _seconds, "short": _short, "frame_time": _frame_time}
    return environment


def _share(value: float) -> str:
    r"""
    >>> _share(0.034), _share(0.34), _share(0.0004)
    ('3.4\u202f%', '34\u202f%', '0.04\u202f%')
    """
    shown = value * 100
    digits = 0 if shown >= 9.95 or not shown else 1 if shown >= 0.1 else 2
    return f"{shown:.{digits}f}{_NARROW}%"


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


def _frame_time(frame: int, fps: float) -> str:
    """
    >>> _frame_time(1890, 30.0), _frame_time(1799, 30.0)
    ('1:03.0', '1:00.0')
    """
    minutes, seconds = divmod(round(frame / fps, 1), 60)
    return f"{minutes:.0f}:{seconds:04.1f}"

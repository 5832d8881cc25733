"""Files of the page of the labeling application: its own assets, and scripts of the report that it draws with."""

from pathlib import Path

from ssl_behavior import errors

__all__ = ["PAGE", "page_file"]

_ASSETS = Path(__file__).parent / "assets"
# The package `reports` itself takes a second to import, and the page does not wait for it.
_REPORTS = Path(errors.__file__).parent / "reports"

PAGE = _ASSETS / "page.html"

_SHARED = {
    "base.js": _REPORTS / "assets" / "base.js",
    "palette.js": _REPORTS / "assets" / "palette.js",
    "skeleton.js": _REPORTS / "assets" / "skeleton.js",
    "d3.min.js": _REPORTS / "vendor" / "d3.min.js",
}
"""Scripts of the report by their names under /assets/."""


def page_file(name: str) -> Path | None:
    """File served as /assets/`name`; None if the page has no such file. A name with a folder in it is never a file."""
    own = {path.name: path for path in _ASSETS.iterdir() if path.suffix in (".js", ".css", ".svg")}
    return (own | _SHARED).get(name)

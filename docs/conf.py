"""Sphinx configuration of the documentation site; `make docs` builds it.

The source folder is the repository, so that links between pages, results and the README are the same in the site and
on a code host.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from ssl_behavior import __version__

project = "ssl-behavior"
author = copyright = "the ssl-behavior developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "site_directives",
]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "DECISIONS.md",
    "benchmarks/results/*.md",
    "docs/**",
]
exclude_patterns = ["docs/tutorials/**", "docs/site/**", "docs/**.py"]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

# Tutorials run in their own folder; a copy keeps the files that they write out of the sources.
TUTORIALS = HERE.parent / "build" / "tutorials"
shutil.rmtree(TUTORIALS, ignore_errors=True)
shutil.copytree(HERE / "tutorials", TUTORIALS)

sphinx_gallery_conf = {
    "examples_dirs": ["build/tutorials"],
    "gallery_dirs": ["docs/gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1,
    "plot_gallery": True,
    "reset_modules": ("matplotlib", "site_directives.clear_folder"),
    "capture_repr": ("_repr_html_", "__repr__"),
    "ignore_repr_types": r"matplotlib\..*|numpy\.ndarray\[Axes\]",
}

html_theme = "pydata_sphinx_theme"
html_title = "ssl-behavior"
html_static_path = ["site/static"]
html_extra_path = ["site/root"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
}

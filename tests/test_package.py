"""The wheel: it holds everything that the package needs, and nothing of the repository around it."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("setuptools")
    source, out = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("wheel")
    # Building leaves folders beside the source.
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "tests", "benchmarks", "docs", "demo", "build")
    shutil.copytree(ROOT, source, ignore=unwanted)
    build = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, out], cwd=source, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    tracked = subprocess.run(["git", "ls-files", "ssl_behavior", "pretrain", "probe"], cwd=ROOT, capture_output=True)
    if tracked.returncode:
        pytest.skip("not a git repository")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert set(tracked.stdout.decode().splitlines()) <= names
    others = {name.split("/")[0] for name in names} - {"ssl_behavior", "pretrain", "probe"}
    assert all(name.endswith(".dist-info") for name in others)


def test_the_installed_wheel_runs(wheel, tmp_path):
    folder = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(folder)
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import ssl_behavior; from ssl_behavior.cli import main; "
        f"from ssl_behavior.reports.page import _environment; _environment().get_template('report.html.jinja'); "
        f"assert ssl_behavior.__file__.startswith({str(folder)!r}); sys.exit(main(['--version']))"
    )
    shown = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (shown.returncode, shown.stdout.strip()) == (0, f"ssl-behavior {version}"), shown.stderr


def test_the_citation_names_the_version_and_the_license():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {project['version']}\n" in citation and f"license: {project['license']}\n" in citation

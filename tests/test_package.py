"""The package: what the wheel holds, its version and requirements, and the files around it that name them."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from ssl_behavior.commands import VERBS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution as an installer builds it."""
    pytest.importorskip("setuptools")
    source, out = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("wheel")
    # Building leaves folders beside the source.
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "tests", "benchmarks", "docs", "demo", "build")
    shutil.copytree(ROOT, source, ignore=unwanted)
    build("build_sdist", out, source)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    build("build_wheel", out, out / sdist.name.removesuffix(".tar.gz"))
    (found,) = out.glob("*.whl")
    return found


def build(what, out, source):
    program = f"from setuptools.build_meta import {what}; import sys; {what}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, out], cwd=source, check=True, capture_output=True)


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
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (shown.returncode, shown.stdout.strip()) == (0, f"ssl-behavior {version}"), shown.stderr


def test_the_citation_names_the_version_and_the_license():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {project['version']}\n" in citation and f"license: {project['license']}\n" in citation


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_newest_changes_are_those_of_this_version():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert next(one for one in headings if one != "Unreleased") == project()["version"]
    assert "Unreleased" not in headings[1:]


def test_requirements_have_lower_bounds_and_no_others():
    extras = [one for extra in project()["optional-dependencies"].values() for one in extra]
    for requirement in project()["dependencies"] + extras:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement), requirement


def test_the_lowest_versions_are_those_of_the_package():
    path = ROOT / "tests" / "tools" / "check_versions.py"
    spec = importlib.util.spec_from_file_location("check_versions", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    lowest, newest = (tool.requirements(name, "torch==9") for name in ("lowest", "newest"))
    assert newest[1:] == project()["dependencies"][1:] and lowest[0] == newest[0] == "torch==9"
    assert all("==" in one for one in lowest)
    assert all((ROOT / name).exists() for name in (*tool.SOURCES, *tool.TESTS))


def commands_of(workflow):
    """Lines that the workflow runs, once for each value of the matrix."""
    for job in workflow["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        choices = [one for values in matrix.values() for one in values if isinstance(one, dict)] or [{}]
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                for choice in choices:
                    yield re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda name, own=choice: own[name[1]], line)


def test_the_workflow_runs_what_is_there():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    lines = list(commands_of(workflow))
    made = {name for line in lines for name in re.findall(r"^make (\S+)", line)}
    assert {"lint", "test-whole", "test-minimal", "test-newest"} <= made <= targets
    named = {name for line in lines for name in re.findall(r"-c (\S+)", line)}
    assert named == {"constraints.txt"} and (ROOT / "constraints.txt").exists()
    extras = {name for line in lines for name in re.findall(r'"\.\[(\w+)\]"', line)}
    assert extras <= set(project()["optional-dependencies"])


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_issue_templates_are_forms_that_name_what_exists(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name == "config.yml":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert form["name"] and form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in form["body"])
    assert {field["type"] for field in form["body"]} <= {"input", "textarea", "dropdown", "checkboxes"}
    verbs = set(re.findall(r"`ssl-behavior ([a-z]+)", path.read_text(encoding="utf-8")))
    assert verbs <= set(VERBS)
    assert all((ROOT / name).exists() for name in re.findall(r"docs/\w+\.md", path.read_text(encoding="utf-8")))


def test_the_image_copies_what_is_there():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied and all((ROOT / name).exists() and f"!{name}" in allowed for name in copied)
    extras = re.findall(r"\.\[([\w,]+)\]", "\n".join(lines))
    assert set(extras[0].split(",")) <= set(project()["optional-dependencies"])

"""The installed package with the lowest or the newest versions of its dependencies, in a new virtual environment.

    python tests/tools/check_versions.py lowest FOLDER --torch torch==2.13.0

Builds the wheel, installs it in FOLDER, runs verbs on small simulated data, uses the package from Python, and runs a
part of the tests. At the end FOLDER is removed, unless a step failed.

pip looks for torch where its own configuration says. On Linux its default is a build for CUDA of several GB. To avoid
that, name a version of which pip finds a CPU build, or tell pip where such builds are: PIP_FIND_LINKS (a folder of
wheels) or PIP_EXTRA_INDEX_URL (an index).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "ssl_behavior", "pretrain", "probe")
TEST_TOOLS = ("pytest", "hypothesis", "beartype", "pandas", "matplotlib", "pyarrow")
TESTS = (
    "tests/ssl_behavior/test_store.py",
    "tests/ssl_behavior/test_embedding.py",
    "tests/ssl_behavior/test_checkpoint.py",
    "tests/ssl_behavior/test_files.py",
    "tests/ssl_behavior/clusters",
    "tests/ssl_behavior/retrieval",
    "tests/pretrain/test_run.py",
    "tests/probe/test_run.py",
)
VERBS = """
simulate --out store --recordings 6 --frames 600
info store
pretrain store --out run --recipe summaries_tiny --steps 20 --device cpu
info run
embed run store --out embeddings --device cpu
cluster embeddings --out clusters --clusters 4
neighbors embeddings --query train/mouse001:100
report store embeddings --clusters clusters --out report.html
probe run store --task behavior --out probe --seeds 1 --references none --device cpu
"""
SESSION = """
import ssl_behavior as sb
print(sb.__file__, sb.Store("store"), sb.load("run"), sb.Embeddings("embeddings"), sep="\\n")
"""


def requirements(versions: str, torch: str = "") -> list[str]:
    """The package's dependencies: at their lower bounds, or free; `torch` replaces the requirement of torch.

    >>> requirements("lowest", "torch==2.13.0")[:2]
    ['torch==2.13.0', 'numpy==1.26']
    """
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = [one.replace(">=", "==") if versions == "lowest" else one for one in listed]
    return [torch if torch and one.startswith("torch") else one for one in wanted]


def build_wheel(python: Path, work: Path) -> Path:
    """Build the wheel from a copy of the sources: building leaves folders beside them."""
    source = work / "source"
    for name in SOURCES:
        place = source / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)
    run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work, source)
    (wheel,) = work.glob("*.whl")
    return wheel


def run(*words: object, cwd: Path = ROOT) -> None:
    """Print a command and run it; an error ends the program."""
    command = [str(word) for word in words]
    print(f"\n$ {' '.join(command)}", flush=True)
    subprocess.run(command, cwd=cwd, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def check(versions: str, folder: Path, torch: str, tests: Sequence[str]) -> None:
    """Install, run the verbs, use the package from Python, and run the tests."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    wheel = build_wheel(python, folder / "work")
    run(python, "-m", "pip", "install", "--quiet", *requirements(versions, torch), wheel)
    run(python, "-m", "pip", "list")
    data = folder / "work" / "data"
    data.mkdir()
    for line in VERBS.strip().splitlines():
        run(python, "-m", "ssl_behavior", *line.split(), cwd=data)
    run(python, "-c", SESSION, cwd=data)
    if tests:
        # The tools of the tests must not change a version under test.
        run(python, "-m", "pip", "install", "--quiet", *requirements(versions, torch), *TEST_TOOLS)
        # Early versions of jaxtyping cannot check the types of these tests.
        options = ("-o", "addopts=--import-mode=importlib --strict-markers", "-m", "not slow", "-q")
        run(python, "-m", "pytest", *options, *tests)


def main() -> int:
    """Parse the command line and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", choices=("lowest", "newest"))
    parser.add_argument("folder", type=Path, help="new virtual environment; an older one is replaced")
    parser.add_argument("--torch", default="", metavar="SPEC", help="install this torch, e.g. torch==2.13.0")
    parser.add_argument("--no-tests", action="store_true", help="only install the package and run the verbs")
    options = parser.parse_args()
    tests = () if options.no_tests else TESTS
    folder = options.folder.resolve()
    if folder.exists() and not (folder / "pyvenv.cfg").exists():
        parser.error(f"{folder} exists and is no virtual environment")
    try:
        check(options.versions, folder, options.torch, tests)
    except subprocess.CalledProcessError as error:
        print(f"failed: {error}; the environment stays in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

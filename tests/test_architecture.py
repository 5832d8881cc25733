"""Architecture: allowed imports, and constructs that no file may contain. Checked on the source, without running it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ssl_behavior", "pretrain", "probe")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
LIBRARY = {path: tree for path, tree in TREES.items() if path.is_relative_to(ROOT / "ssl_behavior")}
LONGEST_FUNCTION = 60
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Exceptions each with its reason: a restricted unpickler for foreign files, and the error that torch raises.
MAY_IMPORT_PICKLE = {"ssl_behavior/io/pickled_npy.py", "ssl_behavior/checkpoint.py"}
# The command line: these modules, and every `main` and `_parser`.
COMMAND_LINE = {
    "pretrain/command.py", "pretrain/config_sources.py", "probe/annotate_command.py", "probe/calms21/command.py",
    "probe/command.py", "probe/labeling/command.py", "ssl_behavior/cli.py",
}  # fmt: skip
# Functions that name options of other programs: git, and the official converter of CalMS21.
MAY_NAME_OPTIONS = {"git_commit", "_refuse_features", "_npy_sequences"}
MAY_PRINT = {"ssl_behavior/cli.py", "ssl_behavior/commands/demo.py"}
# torchrun tells a process its device and its place, and nothing else does. The command line sets up its own process.
MAY_READ_THE_ENVIRONMENT = {"ssl_behavior/cli.py", "ssl_behavior/device.py", "ssl_behavior/processes.py"}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def calls(tree):
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def lines_of(function):
    """Lines of a function less its docstring."""
    length = function.end_lineno - function.lineno + 1
    first = function.body[0]
    return length - (first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0)


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def texts(tree, but):
    """String constants of a module, without docstrings and without functions of the names `but`."""
    left_out = {id(n) for f in functions(tree) if f.name in but for n in ast.walk(f)}
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out | docstrings:
            yield node


def test_layers_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_functions_are_short():
    lengths = {(name_of(p), f.name): lines_of(f) for p, tree in TREES.items() for f in functions(tree)}
    assert not {where: n for where, n in lengths.items() if n > LONGEST_FUNCTION}
    ordered = sorted(lengths.values())
    assert ordered[len(ordered) // 2] <= 12 and ordered[int(len(ordered) * 0.9)] < 30


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_unsafe_or_loud(path):
    tree, name = TREES[path], name_of(path)
    for call, node in calls(tree):
        assert call != "print" or name in MAY_PRINT, f"{name}:{node.lineno} prints"
        assert call not in ("eval", "exec"), f"{name}:{node.lineno} runs text"
        keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if call == "torch.load":
            assert keywords.get("weights_only") == "True", f"{name}:{node.lineno} could run a pickle's code"
        assert keywords.get("allow_pickle", "False") == "False", f"{name}:{node.lineno} could run a pickle's code"
        assert not (call.endswith("load_state_dict") and keywords.get("strict") == "False"), f"{name}:{node.lineno}"
    if name not in MAY_IMPORT_PICKLE:
        assert not PICKLES & set(imported(tree)), f"{name} imports a pickle"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_errors_are_never_swallowed_and_random_numbers_never_global(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} catches everything"
            kept = any(isinstance(step, ast.Raise) for step in ast.walk(node))
            broad = {"Exception", "BaseException", "OSError"} & set(ast.unparse(node.type).strip("()").split(", "))
            silent = all(isinstance(step, ast.Pass) for step in node.body)
            assert kept or not (broad and silent), f"{path}:{node.lineno} passes over any error"
    loose = {"np.random.seed", "np.random.rand", "np.random.randn", "np.random.randint", "random.seed", "torch.seed"}
    assert not loose & {call for call, _ in calls(TREES[path])}


@pytest.mark.parametrize("directory", ["pretrain", "probe", "ssl_behavior"])
def test_library_messages_name_no_options(directory):
    found = [
        f"{name_of(path)}:{text.lineno}: {text.value}"
        for path, tree in TREES.items()
        if path.is_relative_to(ROOT / directory)
        and name_of(path) not in COMMAND_LINE
        and not path.is_relative_to(ROOT / "ssl_behavior" / "commands")
        for text in texts(tree, {"main", "_parser"} | MAY_NAME_OPTIONS)
        if re.search(r"--[a-z]", text.value)
    ]
    assert not found, "name arguments in backticks; the command line shows them as options"


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_knows_no_environment_and_no_working_directory(path):
    if name_of(path) in MAY_READ_THE_ENVIRONMENT:
        return
    text = ast.unparse(LIBRARY[path])
    for word in ("os.environ", "os.getenv", "os.getcwd", "Path.cwd"):
        assert word not in text, f"{name_of(path)} uses {word}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_and_public_name_says_what_it_is(path):
    tree = TREES[path]
    if not tree.body:
        return
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
    public = [ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and "__all__" in ast.unparse(n)]
    promised = {name for names in public for name in names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in promised:
            assert ast.get_docstring(node), f"{name_of(path)}: {node.name} has no docstring"


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, ssl_behavior, ssl_behavior.commands; sys.exit(int(bool({'torch', 'numpy'} & set(sys.modules))))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_benchmark_can_be_the_first_import():
    """Its verb imports it late; in the process of other tests, earlier imports could hide a circular one."""
    assert subprocess.run([sys.executable, "-c", "import probe.calms21.run"], cwd=ROOT).returncode == 0

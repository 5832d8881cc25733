"""Documents: links resolve, and every command, option and name in them exists. No job runs."""

import ast
import contextlib
import functools
import importlib
import io
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from pretrain import recipes
from ssl_behavior import cli
from ssl_behavior.commands import VERBS
from ssl_behavior.skeleton import Skeleton

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST_WORDS_OF_README = 1400
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"--[a-z][\w.-]*\w")
DOTTED = re.compile(r"--(?:method|data|optim|loop)\.[\w.]+")
COMMAND = "ssl-behavior"
ACTIONS = {"submission": ("write", "check", "score"), "labels": ("add", "rename", "merge", "drop", "undo")}


def name_of(page):
    return page.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, *languages):
    return [code for language, code in FENCE.findall(text_of(page)) if language in languages]


def prose(page):
    return FENCE.sub("", text_of(page))


def anchors(page):
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page):
    """The words of every command of ours: lines of shell blocks, and code within sentences."""
    lines = "\n".join(blocks(page, "", "shell")).replace("\\\n", " ").splitlines()
    for line in [*lines, *INLINE_CODE.findall(prose(page))]:
        if line.startswith(f"{COMMAND} "):
            yield shlex.split(line, comments=True)


def recipe_of(command):
    """The recipe that a command names, or the default."""
    return command[command.index("--recipe") + 1] if "--recipe" in command else "summaries"


RECIPES = {"summaries", "cpc", "joint"} | {recipe_of(c) for page in PAGES for c in commands(page)} - {"NAME"}


@functools.cache
def known_options():
    """Arguments -> what the command says: help of every verb and action, configuration of every recipe named."""
    asked = [[verb, "--help"] for verb in VERBS]
    asked += [[verb, action, "--help"] for verb, actions in ACTIONS.items() for action in actions]
    asked += [["pretrain", "--print-config", "--recipe", name] for name in sorted(RECIPES)]
    answers = {}
    for arguments in asked:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert cli.main(arguments) == 0, f"{COMMAND} {shlex.join(arguments)} fails"
        answers[tuple(arguments)] = out.getvalue()
    return answers


@pytest.fixture(scope="module")
def options():
    """(verb,) or (verb, action) -> its options."""
    return {key[:-1]: set(OPTION.findall(text)) for key, text in known_options().items() if key[-1] == "--help"}


@pytest.fixture(scope="module")
def configurations():
    """Recipe -> its configuration."""
    return {key[-1]: yaml.safe_load(text) for key, text in known_options().items() if "--recipe" in key}


@each_page
def test_links_lead_to_files_and_headings(page):
    for target in LINK.findall(INLINE_CODE.sub("", prose(page))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{name_of(page)} links to {target}, which is not there"
        assert not anchor or anchor in anchors(other), f"{name_of(page)} links to {target}, which has no such heading"


@each_page
def test_verbs_and_options_exist(page, options):
    for command in commands(page):
        _, verb, *rest = command
        if verb in ("VERB", "--help"):
            continue
        assert verb in VERBS, f"{name_of(page)}: {shlex.join(command)}"
        known = options[(verb, *(word for word in rest[:1] if word in ACTIONS.get(verb, ())))]
        for option in (word for word in rest if word.startswith("--") and not DOTTED.fullmatch(word)):
            assert option in known, f"{name_of(page)}: {verb} has no option {option}"


@each_page
def test_dotted_options_are_keys_of_the_recipe(page, configurations):
    for command in commands(page):
        for option in filter(DOTTED.fullmatch, command):
            recipe = recipe_of(command)
            assert has_key(configurations[recipe], option), f"{name_of(page)}: {recipe} has no {option}"
    for option in DOTTED.findall(prose(page)):
        assert any(has_key(one, option) for one in configurations.values()), f"{name_of(page)}: no recipe has {option}"


def has_key(configuration, option):
    """Whether a configuration has what a dotted option sets."""
    *groups, key = option.removeprefix("--").split(".")
    for group in groups:
        configuration = configuration.get(group) if isinstance(configuration, dict) else None
    return isinstance(configuration, dict) and key in configuration


@each_page
def test_options_in_sentences_exist(page, options):
    of_any = set().union(*options.values())
    for first, *rest in map(str.split, INLINE_CODE.findall(prose(page))):
        known = options.get((first,), of_any if first.startswith("--") else None)
        for option in OPTION.findall(" ".join([first, *rest])) if known is not None else ():
            assert option in known or DOTTED.fullmatch(option), f"{name_of(page)}: {first} has no {option}"


@each_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = [*blocks(page, "", "shell"), *INLINE_CODE.findall(prose(page))]
    assert {name for text in code for name in re.findall(r"^make ([\w-]+)", text, re.MULTILINE)} <= targets


@each_page
def test_python_examples_name_what_exists(page):
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ssl_behavior":
                assert hasattr(importlib.import_module("ssl_behavior"), node.attr), ast.unparse(node)


@each_page
def test_toml_examples_are_skeletons(page):
    for code in blocks(page, "toml"):
        assert Skeleton.from_dict(tomllib.loads(code)).num_individuals == 2


def test_the_readme_is_short_and_keeps_its_two_commands():
    text = text_of(ROOT / "README.md")
    assert len(text.split()) < MOST_WORDS_OF_README
    assert re.search(r"^make demo\b", text, re.MULTILINE) and re.search(r"^make test\b", text, re.MULTILINE)


def linked_from(page):
    """Pages of docs that a page links to."""
    targets = (target.partition("#")[0] for target in LINK.findall(prose(page)))
    found = {(page.parent / target).resolve() for target in targets if target.endswith(".md")}
    return {other for other in found if (ROOT / "docs") in other.parents}


def test_every_page_is_reached_from_the_index():
    start = ROOT / "docs" / "index.md"
    seen, ahead = {start}, linked_from(start)
    while ahead:
        seen |= ahead
        ahead = {other for page in ahead for other in linked_from(page)} - seen
    assert set((ROOT / "docs").rglob("*.md")) == seen


@pytest.mark.parametrize("page", ["pretrain.md", "recipes.md"])
def test_every_recipe_is_listed(page):
    assert set(recipes.RECIPES) <= set(INLINE_CODE.findall(text_of(ROOT / "docs" / page)))


def rows_below(heading):
    """The lines of the table below a heading of CONTRIBUTING.md, without its header."""
    table = text_of(ROOT / "CONTRIBUTING.md").partition(f"## {heading}")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_the_rooms_of_the_map_are_there():
    rooms = {room for row in rows_below("Map of the house") for room in INLINE_CODE.findall(row.split("|")[1])}
    missing = [room for room in rooms if not (ROOT / room).exists() and not (ROOT / "ssl_behavior" / room).exists()]
    assert rooms and not missing


@pytest.mark.parametrize("row", rows_below("Where do I change"), ids=lambda row: row.split("|")[1].strip())
def test_the_places_to_change_are_there(row):
    code = INLINE_CODE.findall(row)
    files = [ROOT / one for one in code if "/" in one]
    assert files and all(file.exists() for file in files), [file for file in files if not file.exists()]
    text = "\n".join(text_of(file) for file in files if file.is_file())
    # Options are tested elsewhere; NAME and FILE stand for a reader's own.
    names = [one for one in code if "/" not in one and "--" not in one and "NAME" not in one]
    for word in (word for name in names for word in re.findall(r"[A-Za-z_]\w*", name) if word != "RECIPE"):
        assert re.search(rf"\b{word}\b", text), f"{word} is in none of {files}"

"""Parts of the site that come from the code: help texts, configuration keys, recipes, and docstrings."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

_ENTRY = re.compile(r"([\w*`][\w*`, ]*?) : (.*)")


class HelpText(SphinxDirective):
    """Help text of a verb: `{help-text} pretrain`, or of an action: `{help-text} labels add`."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        from ssl_behavior import cli

        words = self.arguments[0].split() + self.arguments[1:]
        os.environ["COLUMNS"] = "96"
        with contextlib.redirect_stdout(io.StringIO()) as out:
            cli.main([*words, "--help"])
        return [nodes.literal_block(out.getvalue(), out.getvalue(), language="text")]


class ConfigurationKeys(SphinxDirective):
    """Table of the keys of a recipe's configuration: key, default, meaning."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from pretrain.recipes import RECIPES

        rows = list(_keys_of(RECIPES[self.arguments[0]](), ""))
        lines = ["| key | value | meaning |", "|---|---|---|"]
        lines += [f"| `{key}` | `{_cell(value)}` | {_cell(meaning)} |" for key, value, meaning in rows]
        return self.parse_text_to_nodes("\n".join(lines))


def _keys_of(config: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    meanings = _meanings(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _keys_of(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", repr(value), meanings.get(field.name, "")


def _meanings(cls: type) -> dict[str, str]:
    """Meaning of each field: the text below it, or its entry in the class's docstring; also those of base classes."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(one):
            continue
        entries = re.findall(r"^    (\w[\w, ]*) : (.+(?:\n        .+)*)", one.__doc__ or "", re.MULTILINE)
        for names, text in entries:
            found |= dict.fromkeys(names.replace(" ", "").split(","), " ".join(text.split()))
        documented = ModuleAnalyzer.for_module(one.__module__).find_attr_docs()
        found |= {name: " ".join(lines).strip() for (owner, name), lines in documented.items() if owner == one.__name__}
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def names_before_types(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Entries such as `steps : training steps` say what an argument is; numpydoc's format has a type there."""
    section, changed = "", []
    for number, line in enumerate(lines):
        if set(line.strip()) == {"-"} and number:
            section = lines[number - 1].strip()
        entry = _ENTRY.match(line) if section in ("Parameters", "Attributes") else None
        if entry:
            changed += [entry[1], f"    {entry[2]}"]
        else:
            changed.append(line)
    lines[:] = [re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", line) for line in changed]


def link_the_gallery(app: Sphinx, name: str, source: list[str]) -> None:
    """Links to the scripts of tutorials, which a code host follows, lead to their pages in the site."""
    source[0] = re.sub(r"\]\(((?:\.\./|docs/)*)tutorials/GALLERY_HEADER\.rst\)", r"](\1gallery/index.rst)", source[0])
    source[0] = re.sub(r"\]\(((?:\.\./|docs/)*)tutorials/(\w+)\.py\)", r"](\1gallery/\2.rst)", source[0])


def clear_folder(gallery_conf: Any, name: Any) -> None:
    """Remove what the tutorial before left in its folder: every tutorial begins like on a reader's machine."""
    folder = Path(gallery_conf["src_dir"]) / gallery_conf["examples_dirs"][0]
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix not in (".py", ".rst"):
            path.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("help-text", HelpText)
    app.add_directive("configuration-keys", ConfigurationKeys)
    app.connect("source-read", link_the_gallery)
    # Before napoleon, which reads numpydoc's format.
    app.connect("autodoc-process-docstring", names_before_types, priority=400)
    return {"parallel_read_safe": True}


__all__ = ["setup"]

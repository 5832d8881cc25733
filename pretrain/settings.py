"""From recipe, configuration file and options to one checked RunConfig."""

import dataclasses
import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import jsonargparse
import yaml

from pretrain.config import RunConfig, run_config_from_dict, run_config_to_dict
from pretrain.job import Options
from pretrain.recipes import RECIPES
from pretrain.runfolder import recorded_config, recorded_stores, with_kept_programs, with_own_programs
from ssl_behavior.errors import InputError
from ssl_behavior.methods import METHODS
from ssl_behavior.splits import split_patterns

__all__ = ["config_as_yaml", "resolve_config", "resolve_stores"]

_DEFAULT_RECIPE = "summaries"


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, except that 1e-4 is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def resolve_config(options: Options) -> RunConfig:
    """Recipe (or, resuming without naming one, the run's own configuration) < file < dotted < named options.

    Raises
    ------
    InputError
        If the recipe or a key is unknown (the nearest known one is named), or a value is not acceptable.
    """
    values = _file_values(options.config) if options.config else {}
    base = _with_method(_base(options, values), values, options.config)
    overrides = dict(options.overrides)
    if options.split:
        if "data.labeled" in overrides:
            raise InputError("--split and --labeled both say whose labels are learned from; give one of them")
        train, others = split_patterns(options.split)
        overrides |= {"data.labeled": json.dumps(train), "data.not_labeled": json.dumps(others)}
    if options.programs:
        base = dataclasses.replace(base, method=with_own_programs(base.method, options.programs))
    _check_known(base, overrides)
    arguments = [f"--{key}={_listed(base, key, text)}" for key, text in overrides.items()]
    if options.config:
        arguments.insert(0, f"--config={json.dumps(values, default=str)}")
    return run_config_from_dict(_parsed(base, arguments, options.config), _where(options.config))


def resolve_stores(options: Options) -> list[Path]:
    """The stores named, or when resuming without naming any, those the run was started with.

    Raises
    ------
    InputError
        If none are named and there is no run to take them from.
    """
    assert options.out is not None
    return list(options.stores) or recorded_stores(options.out)


def config_as_yaml(config: RunConfig) -> str:
    """What --print-config prints and --config reads."""
    values = json.loads(json.dumps(run_config_to_dict(config)))
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110)


def _base(options: Options, values: Mapping[str, Any]) -> RunConfig:
    """The recipe named, else that of the same name as the file's method, else the default one."""
    named = options.recipe or options.config
    if options.resume and not named and options.out and (options.out / "config.json").exists():
        config = recorded_config(options.out)
        return dataclasses.replace(config, method=with_kept_programs(config.method, options.out))
    method = values.get("algorithm")
    recipe = options.recipe or (method if isinstance(method, str) and method in RECIPES else _DEFAULT_RECIPE)
    if recipe not in RECIPES:
        raise InputError(f"unknown recipe {recipe!r}; known: {sorted(RECIPES)}")
    return RECIPES[recipe]()


def _file_values(file: Path) -> dict[str, Any]:
    """A configuration file's keys; of a run's config.json, those of its configuration."""
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise InputError(f"--config {file}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--config {file}: neither YAML nor JSON ({reason})") from None
    if not isinstance(values, dict):
        raise InputError(f"--config {file}: expected keys and values, got {type(values).__name__}")
    return values["config"] if values.get("format") == "ssl-behavior run" else values


def _with_method(base: RunConfig, values: Mapping[str, Any], file: Path | None) -> RunConfig:
    name = values.get("algorithm")
    if name is None:
        return base
    if name not in METHODS:
        raise InputError(f"--config {file}: algorithm: expected one of {sorted(METHODS)}, got {name!r}")
    same = METHODS[name].Config is type(base.method)
    return base if same else dataclasses.replace(base, method=METHODS[name].Config())


def _check_known(base: RunConfig, overrides: Mapping[str, str]) -> None:
    known = _keys(base)
    for key in overrides:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean --{near[0]}?" if near else "--print-config shows all of them"
            raise InputError(f"unknown option --{key}; {hint}")


def _keys(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value, of groups and of what is in them."""
    keys = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        keys[prefix + field.name] = value
        if dataclasses.is_dataclass(value):
            keys |= _keys(value, f"{prefix}{field.name}.")
    return keys


def _listed(base: RunConfig, key: str, text: str) -> str:
    """A list may be written without its brackets."""
    return f"[{text}]" if isinstance(_keys(base)[key], tuple) and not text.startswith("[") else text


def _parsed(base: RunConfig, arguments: list[str], file: Path | None) -> dict[str, Any]:
    parser = _parser(base)
    try:
        parsed: dict[str, Any] = _plain(parser.parse_args(arguments))
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        sentence = _without_python(str(error))
        raise InputError(f"{_where(file)}: {sentence}") from None
    del parsed["config"]
    return parsed


def _plain(value: Any) -> Any:
    """Namespaces as dictionaries, also those inside lists, which the parser leaves as they are."""
    if isinstance(value, jsonargparse.Namespace):
        return {key: _plain(item) for key, item in vars(value).items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _where(file: Path | None) -> str:
    return f"configuration (options and {file})" if file else "configuration"


def _without_python(message: str) -> str:
    """
    >>> _without_python("Expected a <class 'float'>. Got value: x")
    'expected float, got x'
    """
    message = re.sub(r"<class '(\w+)'>", r"\1", message).replace("typing.Literal", "one of ")
    message = re.sub(r'Parser key "([^"]*)":', r"\1:", message)
    return " ".join(message.replace("Expected a ", "expected ").replace(". Got value:", ", got").split())


def _parser(base: RunConfig) -> jsonargparse.ArgumentParser:
    """One typed argument per key, with the values of `base` as defaults."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--algorithm", type=str)
    hints = get_type_hints(RunConfig)
    for field in dataclasses.fields(base):
        value = getattr(base, field.name)
        if dataclasses.is_dataclass(value):
            parser.add_class_arguments(type(value), field.name)
        else:
            parser.add_argument(f"--{field.name}", type=hints[field.name])
    parser.set_defaults(run_config_to_dict(base))
    return parser

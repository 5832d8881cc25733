"""From recipe, configuration file and options to one RunConfig."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pretrain.command import Options
from pretrain.config import RunConfig, run_config_from, run_config_to_dict
from pretrain.recipes import RECIPES
from pretrain.run_folder import recorded_config, recorded_stores, with_kept_programs, with_own_programs
from ssl_behavior.errors import InputError
from ssl_behavior.splits import split_patterns

__all__ = ["config_as_yaml", "resolve_config", "resolve_stores"]

_DEFAULT_RECIPE = "summaries"


class _Loader(yaml.SafeLoader):
    """YAML with text for numbers, dates, true and null: the configuration's types decide what they are."""

    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012


def resolve_config(options: Options) -> RunConfig:
    """The configuration from recipe < file < dotted options < named options; the last one that has a key wins.

    `--resume` without `--recipe` and `--config` starts from the recorded configuration of the run.

    Raises
    ------
    InputError
        If the recipe or a key is unknown (the message names the nearest known key), or a value is not acceptable.
    """
    file = _file_values(options.config) if options.config else {}
    tag = {key: value for key, value in file.items() if key == "algorithm"}
    base = run_config_from(_base(options, file), tag, where=f"--config {options.config}")
    if options.programs:
        base = replace(base, method=with_own_programs(base.method, options.programs))
    known = _keys(base)
    overrides = {key: _option_value(key, value, known) for key, value in options.overrides.items()}
    if options.split:
        if "data.labeled" in overrides:
            raise InputError("--split and --labeled both choose the recordings with labels to learn; give one of them")
        train, others = split_patterns(options.split)
        overrides |= {"data.labeled": train, "data.not_labeled": others}
    where = f"configuration (options and {options.config})" if options.config else "configuration"
    return run_config_from(base, file, overrides, where=where)


def resolve_stores(options: Options) -> list[Path]:
    """The stores of the command line; without any, the recorded stores of the run to resume.

    Raises
    ------
    InputError
        If there are no stores on the command line and no run.
    """
    assert options.out is not None
    return list(options.stores) or recorded_stores(options.out)


def config_as_yaml(config: RunConfig) -> str:
    """YAML as printed by --print-config and read by --config."""
    values = json.loads(json.dumps(run_config_to_dict(config)))
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110)


def _base(options: Options, file: Mapping[str, Any]) -> RunConfig:
    """The recipe of --recipe, else the recipe with the name of the file's method, else the default recipe."""
    named = options.recipe or options.config
    if options.resume and not named and options.out and (options.out / "config.json").exists():
        config = recorded_config(options.out)
        return replace(config, method=with_kept_programs(config.method, options.out))
    method = file.get("algorithm")
    recipe = options.recipe or (method if method in list(RECIPES) else _DEFAULT_RECIPE)
    if recipe not in RECIPES:
        raise InputError(f"unknown recipe {recipe!r}; known: {sorted(RECIPES)}")
    return RECIPES[recipe]()


def _file_values(file: Path) -> dict[str, Any]:
    """Keys of a configuration file; of a run's config.json, those of its configuration."""
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise InputError(f"--config {file}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--config {file}: neither YAML nor JSON ({reason})") from None
    if isinstance(values, dict) and values.get("format") == "ssl-behavior run":
        values = values.get("config")
    if not isinstance(values, dict):
        raise InputError(f"--config {file}: expected keys and values, got {type(values).__name__}")
    return values


def _keys(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value of all groups and fields."""
    keys = {}
    for name, value in vars(config).items():
        keys[prefix + name] = value
        if is_dataclass(value):
            keys |= _keys(value, f"{prefix}{name}.")
    return keys


def _option_value(key: str, value: str | list[str], known: Mapping[str, Any]) -> Any:
    """Text of a dotted option, or its YAML for lists (brackets may be missing) and mappings; lists as they are."""
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean --{near[0]}?" if near else "--print-config shows all of them"
        raise InputError(f"unknown option --{key}; {hint}")
    if isinstance(value, list) or isinstance(known[key], str | int | float):
        return value
    bare = isinstance(known[key], tuple) and not value.startswith("[")
    try:
        return yaml.load(f"[{value}]" if bare else value, Loader=_Loader)
    except yaml.YAMLError:
        form = "a list such as 4,8,16" if bare else "YAML"
        raise InputError(f"--{key}: expected {form}, got {value!r}; quote items with special characters") from None

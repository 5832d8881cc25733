"""Configurations are frozen dataclasses; here they become JSON and come back, with every key and type checked."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ssl_behavior.errors import InputError

__all__ = ["config_from_dict", "differing_keys"]

Config = TypeVar("Config")


def config_from_dict(cls: type[Config], values: Any, where: str) -> Config:
    """Rebuild a configuration from what `dataclasses.asdict` gave, lists becoming tuples where the class says so.

    Parameters
    ----------
    cls : a dataclass whose fields are numbers, strings, tuples, mappings, literals and further dataclasses.
    values : decoded JSON or YAML.
    where : names the place in errors, e.g. "run/config.json: method".

    Raises
    ------
    InputError
        If a key is unknown or missing, a value has another type, or the class itself refuses the values.
    """
    assert dataclasses.is_dataclass(cls)
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected keys and values of {cls.__name__}, got {values!r}")
    hints = get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known: {sorted(known)}")
    if missing := [name for name, field in known.items() if name not in values and _required(field)]:
        raise InputError(f"{where}: the key {missing[0]!r} is missing")
    converted = {name: _convert(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return cls(**converted)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return config_from_dict(hint, value, where)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _first_that_fits(get_args(hint), value, where)
    if origin is Literal and value in get_args(hint):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_tuple(get_args(hint), value, where)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {key: _convert(get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool, type(None)) and type(value) is hint:
        return value
    expected = f"one of {list(get_args(hint))}" if origin is Literal else getattr(hint, "__name__", str(hint))
    raise InputError(f"{where}: expected {expected}, got {value!r}")


def _convert_tuple(hints: tuple[Any, ...], values: list[Any] | tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(values)
    if len(hints) != len(values):
        raise InputError(f"{where}: expected {len(hints)} values, got {list(values)}")
    return tuple(
        _convert(hint, value, f"{where}[{i}]") for i, (hint, value) in enumerate(zip(hints, values, strict=True))
    )


def _first_that_fits(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    refusals = []
    for hint in hints:
        try:
            return _convert(hint, value, where)
        except InputError as error:
            refusals.append(error)
    raise refusals[0]


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (old, new) for every value that differs; None where a side has no such key.

    >>> differing_keys({"optim": {"lr": 0.1}, "seed": 0}, {"optim": {"lr": 0.2}, "seed": 0})
    {'optim.lr': (0.1, 0.2)}
    """
    flat_old, flat_new = _flat(old), _flat(new)
    keys = [*flat_old, *(key for key in flat_new if key not in flat_old)]
    return {key: (flat_old.get(key), flat_new.get(key)) for key in keys if flat_old.get(key) != flat_new.get(key)}


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(values, Mapping) and values:
        parts = (_flat(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in values.items())
        return {key: value for part in parts for key, value in part.items()}
    return {prefix: list(values) if isinstance(values, tuple) else values}

"""Configurations: frozen dataclasses, written as JSON and read back with every key and type checked."""

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ssl_behavior.errors import InputError

__all__ = ["config_from_dict", "config_from_layers", "differing_keys"]

Config = TypeVar("Config")

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULLS = (None, "null", "~", "")


def config_from_dict(cls: type[Config], values: Any, where: str, key: str = "") -> Config:
    """Build a configuration from the output of `dataclasses.asdict`; missing keys have the defaults of the class.

    `where`, `key` and the errors raised are those of `config_from_layers`.
    """
    return config_from_layers(cls, [values], where, key)


def config_from_layers(cls: type[Config], layers: Sequence[Any], where: str, key: str = "") -> Config:
    """Build a configuration from several layers; for each key the last layer that has it wins.

    Nested configurations are merged the same way; any other value replaces that of earlier layers. Text is read as the
    type of its field: "1e-3" as a float, "yes" as a bool, "null" as None.

    Parameters
    ----------
    cls : a dataclass whose fields are numbers, strings, tuples, mappings, literals and further dataclasses.
    layers : configurations of this class, and mappings (decoded JSON or YAML) with some of its keys.
    where : source of the layers, for errors, e.g. "run/config.json".
    key : dotted key of the configuration in this source, "" for all of it.

    Raises
    ------
    InputError
        If a key is unknown or missing, a value has another type, or the class refuses the values.
    """
    assert dataclasses.is_dataclass(cls)
    if len(layers) == 1 and isinstance(layers[0], cls):
        return layers[0]
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    mappings = [_as_mapping(cls, layer, where, key) for layer in layers]
    given = {name: [one[name] for one in mappings if name in one] for name in fields}
    if missing := [name for name, field in fields.items() if not given[name] and _required(field)]:
        raise _refusal(where, key, f"the key {missing[0]!r} is missing")
    converted = {
        name: _convert(hints[name], values, where, f"{key}.{name}".lstrip("."))
        for name, values in given.items()
        if values
    }
    try:
        return cls(**converted)
    except ValueError as error:
        raise _refusal(where, key, str(error)) from None


def _as_mapping(cls: type, layer: Any, where: str, key: str) -> Mapping[str, Any]:
    """Field name -> value of a layer; refuses what is no mapping, and unknown keys."""
    known = [field.name for field in dataclasses.fields(cls)]
    if isinstance(layer, cls):
        return {name: getattr(layer, name) for name in known}
    if not isinstance(layer, Mapping):
        raise _refusal(where, key, f"expected keys and values of {cls.__name__}, got {layer!r}")
    if unknown := sorted(set(map(str, layer)) - set(known)):
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise _refusal(where, key, f"unknown key {unknown[0]!r}{hint}; known: {sorted(known)}")
    return layer


def _refusal(where: str, key: str, problem: str) -> InputError:
    return InputError(": ".join(part for part in (where, key, problem) if part))


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(hint: Any, values: Sequence[Any], where: str, key: str) -> Any:
    """The value of a field from those of all layers that have it, the last one winning."""
    origin, value = get_origin(hint), values[-1]
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return config_from_layers(hint, values, where, key)
    if origin in (Union, types.UnionType):
        return _convert_union(get_args(hint), values, where, key)
    if origin is Literal and value in get_args(hint):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_tuple(get_args(hint), value, where, key)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {name: _convert(get_args(hint)[1], [item], where, f"{key}.{name}") for name, item in value.items()}
    if hint in (int, float, bool, str):
        value = _read_text(hint, value) if isinstance(value, str) else value
        if hint is float and type(value) is int:
            return float(value)
        if type(value) is hint:
            return value
    raise _refusal(where, key, f"expected {_described(hint)}, got {values[-1]!r}")


def _read_text(hint: type, text: str) -> Any:
    """Text as a number or a bool; the text itself if it is no such value."""
    if hint is bool:
        return _BOOLEANS.get(text.lower(), text)
    try:
        # YAML writes infinity as .inf.
        return hint(text.replace(".inf", "inf") if hint is float else text)
    except ValueError:
        return text


def _described(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return f"one of {list(get_args(hint))}"
    if origin is tuple:
        return "a list"
    return "keys and values" if origin in (dict, Mapping) else getattr(hint, "__name__", str(hint))


def _convert_tuple(hints: tuple[Any, ...], values: Sequence[Any], where: str, key: str) -> tuple[Any, ...]:
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(values)
    if len(hints) != len(values):
        raise _refusal(where, key, f"expected {len(hints)} values, got {list(values)}")
    return tuple(
        _convert(hint, [value], where, f"{key}[{i}]") for i, (hint, value) in enumerate(zip(hints, values, strict=True))
    )


def _convert_union(hints: tuple[Any, ...], values: Sequence[Any], where: str, key: str) -> Any:
    """The first alternative that fits; None (or its text) discards the layers before it."""
    others = [hint for hint in hints if hint is not type(None)]
    if len(others) < len(hints):
        values = [*takewhile(lambda value: value not in _NULLS, reversed(values))][::-1]
        if not values:
            return None
    refusals = []
    for hint in others:
        try:
            return _convert(hint, values, where, key)
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

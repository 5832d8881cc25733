"""Checks of types and shapes while tests run, each value once: jaxtyping's own wrapper takes most of the tests' time.

`--jaxtyping-packages` in pyproject.toml has `jaxtyping.jaxtyped` decorate every function and dataclass. In each call it
binds the arguments anew, and checks them before the call and again with the result. Here beartype checks all of them
once, and only functions with arrays among their arguments or results have a scope for the names of axes.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

_original = jaxtyping.jaxtyped
_AXES = _original("context")
_checks = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))


def jaxtyped(*, typechecker: Callable[..., Any]) -> Callable[[Any], Any]:
    """Decorator that stands in for `jaxtyping.jaxtyped`, as its import hook calls it."""
    return functools.partial(_decorated, typechecker)


def _decorated(typechecker: Callable[..., Any], checked: Any) -> Any:
    """A function or class with checks."""
    if inspect.isclass(checked):
        if dataclasses.is_dataclass(checked) and "__init__" in vars(checked):
            checked.__init__ = _decorated(typechecker, checked.__init__)
        return checked
    if not isinstance(checked, FunctionType) or _makes_values_later(checked):
        return _original(checked, typechecker=typechecker)
    return _checked(checked)


def _makes_values_later(fn: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(fn) or inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)


def _checked(fn: FunctionType) -> Callable[..., Any]:
    written = fn.__annotations__
    hints = {name: _resolved(hint, fn.__globals__) for name, hint in written.items()}
    fn.__annotations__ = hints
    try:
        checked = _checks(fn)
    finally:
        fn.__annotations__ = written
    if not any(map(_has_arrays, hints.values())):
        return checked

    @functools.wraps(fn)
    def with_axes(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _AXES:
            return checked(*args, **kwargs)

    return with_axes


def _resolved(hint: Any, names: dict[str, Any]) -> Any:
    """A hint without strings; names that are not there (yet) are not checked."""
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"hint": hint}), names, include_extras=True)["hint"]
    except NameError:
        return Any


def _has_arrays(hint: Any) -> bool:
    if isinstance(hint, list):
        return any(map(_has_arrays, hint))
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_has_arrays, get_args(hint)))


jaxtyping.jaxtyped = jaxtyped

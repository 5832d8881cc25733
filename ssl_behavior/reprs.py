"""Representations of objects in a terminal, in a notebook, and as data frames."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.terminal import listed

__all__ = ["Described", "data_frame", "described_columns"]


class Described:
    """Object with a description: `repr` prints it, and notebooks show it as a table."""

    def _headline(self) -> str:
        """What the object is, and its size."""
        raise NotImplementedError

    def _facts(self) -> Sequence[tuple[str, str]]:
        """Names of further facts, and the facts."""
        return ()

    def __repr__(self) -> str:
        facts = self._facts()
        width = max((len(name) for name, _ in facts), default=0)
        return "\n".join([self._headline(), *(f"  {name:<{width}}  {fact}" for name, fact in facts)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(fact)}</td></tr>'
            for name, fact in self._facts()
        )
        return f"<div><strong>{escape(self._headline())}</strong><table>{rows}</table></div>"


def data_frame(columns: Mapping[str, Sequence[Any]]) -> Any:
    """A pandas DataFrame of these columns.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ModuleNotFoundError:
        raise InputError("data frames need pandas: pip install pandas") from None
    return DataFrame(dict(columns))


def described_columns(groups: Mapping[str, int]) -> str:
    """Column groups of an embedding, with their widths."""
    return listed([f"{name} ({width})" for name, width in groups.items()])

"""Representations of objects in a terminal and in a notebook."""

from collections.abc import Sequence
from html import escape

__all__ = ["Described"]


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

"""The checks of types and shapes that tests run with (`conftest.py` beside this folder) let no mistake pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import beartype
import jaxtyping
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.numerics import principal_axes
from ssl_behavior.recording import Labels

pytestmark = pytest.mark.skipif(jaxtyping.jaxtyped.__module__ == "jaxtyping", reason="types are not checked")

Channel = Float[Tensor, " channel"]


def check(thing):
    """As the import hook decorates it."""
    return jaxtyping.jaxtyped(typechecker=beartype.beartype)(thing)


@check
def added(one: Float[Tensor, "time channel"], other: Channel, turned: bool = False) -> Float[Tensor, "time channel"]:
    return (one + other).T if turned else one + other


@check
def either(number: float, given: Channel | None = None) -> Channel | None:
    return torch.full((2,), number, dtype=torch.int64 if number > 9 else torch.float32) if given is None else given


@check
def halved(number: float) -> int:
    return int(number / 2) if number > 0 else number / 2


@check
@dataclass
class Track:
    x: Float[Tensor, " time"]
    y: Float[Tensor, " time"]
    name: str = ""


class Tools:
    @check
    def of_this(self, number: int) -> str:
        return "" if number else 0

    @staticmethod
    @check
    def of_none(number: int) -> "Tools":
        return Tools()

    @classmethod
    @check
    def of_class(cls, number: int) -> int:
        return number


@check
def later(number: int) -> Iterator[int]:
    yield number


ONES, LINE = torch.ones(3, 2), torch.ones(2)


def test_right_calls_pass():
    assert added(ONES, other=LINE).shape == (3, 2)
    assert either(1.0) is not None and either(1.0, LINE) is LINE
    assert halved(2.5) == 1
    assert Track(LINE, LINE).name == ""
    assert Tools().of_this(1) == "" and Tools.of_class(2) == 2 and isinstance(Tools.of_none(1), Tools)
    assert list(later(3)) == [3]


@pytest.mark.parametrize(
    "call",
    [
        lambda: added(ONES, LINE[:1]),
        lambda: added(ONES, other=torch.ones(2, dtype=torch.int64)),
        lambda: added(ONES[0], LINE),
        lambda: added(ONES, LINE, turned=True),
        lambda: added(ONES, LINE, 1),
        lambda: either(10.0),
        lambda: either(1),
        lambda: halved(-1.0),
        lambda: Track(ONES[:, 0], LINE),
        lambda: Track(LINE, LINE, 3),
        lambda: Tools().of_this(0),
        lambda: Tools().of_this("1"),
        lambda: Tools.of_none(1.0),
        lambda: Tools.of_class("2"),
        lambda: principal_axes(LINE, 1),
        lambda: principal_axes(ONES, 1.0),
        lambda: Labels(vocabulary=("a", "b"), frames=[0, 1]),
    ],
)  # fmt: skip
def test_wrong_calls_raise(call):
    with pytest.raises(jaxtyping.TypeCheckError):
        call()


def test_mistakes_of_types_are_type_errors():
    """As the plain library raises them, for instance for values of a damaged file."""
    assert issubclass(jaxtyping.TypeCheckError, TypeError)


def test_generators_are_checked_when_they_are_called():
    with pytest.raises(jaxtyping.TypeCheckError):
        later("3")


def test_axes_of_one_call_say_nothing_about_the_next():
    assert added(ONES, LINE).shape == (3, 2)
    assert added(torch.ones(2, 5), torch.ones(5)).shape == (2, 5)

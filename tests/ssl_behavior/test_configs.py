from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

import pytest

from ssl_behavior.configs import config_from_dict, differing_keys
from ssl_behavior.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 3
    kind: Literal["thick", "thin"] = "thin"


@dataclass(frozen=True, kw_only=True)
class Outer:
    rate: float
    steps: tuple[int, ...] = (1, 2)
    range_px: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)
    inners: tuple[Inner, ...] = ()
    name: str | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if self.rate <= 0:
            raise ValueError("rate must be > 0")


FULL = Outer(rate=0.5, steps=(3, 5), inner=Inner(kind="thick"), inners=(Inner(width=7),), name="x", weights={"a": 1.0})


def test_a_config_survives_json():
    import json

    assert config_from_dict(Outer, json.loads(json.dumps(asdict(FULL))), "file") == FULL


def test_whole_numbers_become_floats_where_the_class_says_so():
    rate = config_from_dict(Outer, {"rate": 2}, "file").rate
    assert isinstance(rate, float) and rate == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 1.0, "rat": 2}, r"file: unknown key 'rat'; known: .*'rate'"),
        ({}, r"file: the key 'rate' is missing"),
        ({"rate": "fast"}, r"file\.rate: expected float, got 'fast'"),
        ({"rate": True}, r"file\.rate: expected float, got True"),
        ({"rate": 1.0, "steps": [1, 2.5]}, r"file\.steps\[1\]: expected int, got 2\.5"),
        ({"rate": 1.0, "steps": 3}, r"file\.steps: expected"),
        ({"rate": 1.0, "range_px": [1.0]}, r"file\.range_px: expected 2 values"),
        ({"rate": 1.0, "inner": {"kind": "fat"}}, r"file\.inner\.kind: expected one of \['thick', 'thin'\], got 'fat'"),
        ({"rate": 1.0, "inner": 3}, r"file\.inner: expected keys and values of Inner"),
        ({"rate": 1.0, "name": 3}, r"file\.name: expected str, got 3"),
        ({"rate": 1.0, "weights": {"a": "b"}}, r"file\.weights\.a: expected float"),
        ({"rate": -1.0}, r"file: rate must be > 0"),
        ([1], "expected keys and values of Outer"),
    ],
)
def test_what_does_not_fit_is_named(values, message):
    with pytest.raises(InputError, match=message):
        config_from_dict(Outer, values, "file")


def test_differing_keys_sees_changed_missing_and_new_values_and_not_lists_for_tuples():
    old = {"a": {"x": (1, 2), "y": 1}, "gone": 3}
    new = {"a": {"x": [1, 2], "y": 2}, "new": {"z": 4}}
    assert differing_keys(old, new) == {"a.y": (1, 2), "gone": (3, None), "new.z": (None, 4)}

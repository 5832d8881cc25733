from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import pytest

from ssl_behavior.configs import config_from_dict, config_from_layers, differing_keys
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
        ({"rate": 1.0, "rat": 2}, r"file: unknown key 'rat' \(did you mean 'rate'\?\); known: .*'rate'"),
        ({}, r"file: the key 'rate' is missing"),
        ({"rate": "fast"}, r"file: rate: expected float, got 'fast'"),
        ({"rate": True}, r"file: rate: expected float, got True"),
        ({"rate": 1.0, "steps": [1, 2.5]}, r"file: steps\[1\]: expected int, got 2\.5"),
        ({"rate": 1.0, "steps": 3}, r"file: steps: expected"),
        ({"rate": 1.0, "range_px": [1.0]}, r"file: range_px: expected 2 values"),
        ({"rate": 1.0, "inner": {"kind": "fat"}}, r"file: inner\.kind: expected one of \['thick', 'thin'\], got 'fat'"),
        ({"rate": 1.0, "inner": 3}, r"file: inner: expected keys and values of Inner"),
        ({"rate": 1.0, "name": 3}, r"file: name: expected str, got 3"),
        ({"rate": 1.0, "weights": {"a": "b"}}, r"file: weights\.a: expected float"),
        ({"rate": -1.0}, r"file: rate must be > 0"),
        ([1], "expected keys and values of Outer"),
    ],
)
def test_what_does_not_fit_is_named(values, message):
    with pytest.raises(InputError, match=message):
        config_from_dict(Outer, values, "file")


@dataclass(frozen=True, kw_only=True)
class Leaves:
    count: int = 1
    rate: float = 1.0
    on: bool = False
    name: str = ""
    ids: tuple[str, ...] = ()
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"count": "010"}, Leaves(count=10)),
        ({"count": "10_000"}, Leaves(count=10_000)),
        ({"rate": "1e-3"}, Leaves(rate=1e-3)),
        ({"rate": ".inf"}, Leaves(rate=float("inf"))),
        ({"on": "Yes"}, Leaves(on=True)),
        ({"on": "off"}, Leaves(on=False)),
        ({"name": "1e-3"}, Leaves(name="1e-3")),
        ({"ids": ["12", "no", "2024-01-01"]}, Leaves(ids=("12", "no", "2024-01-01"))),
        ({"inner": "null"}, Leaves()),
        ({"inner": {"width": "5"}}, Leaves(inner=Inner(width=5))),
    ],
)
def test_text_is_read_as_the_type_of_its_field(values, expected):
    assert config_from_dict(Leaves, values, "file") == expected


@pytest.mark.parametrize("values", [{"count": "2.0"}, {"count": ""}, {"on": "1"}, {"rate": "fast"}, {"inner": "5"}])
def test_text_of_another_type_is_refused(values):
    with pytest.raises(InputError, match=f"file: {next(iter(values))}: expected .*, got '"):
        config_from_dict(Leaves, values, "file")


def test_the_last_layer_wins_key_by_key_and_replaces_lists_and_mappings():
    layers = [FULL, {"inner": {"width": 11}, "steps": [7], "weights": {"b": 2}}, {"rate": 2}, {"steps": [13]}]
    merged = config_from_layers(Outer, layers, "file")
    assert merged == replace(FULL, rate=2.0, steps=(13,), inner=Inner(kind="thick", width=11), weights={"b": 2.0})
    assert config_from_layers(Outer, [FULL], "file") is FULL


def test_null_discards_earlier_layers_of_a_nested_configuration():
    full = Leaves(inner=Inner(width=11, kind="thick"))
    assert config_from_layers(Leaves, [full, {"inner": {"width": 7}}], "file").inner == Inner(width=7, kind="thick")
    assert config_from_layers(Leaves, [full, {"inner": None}], "file").inner is None
    assert config_from_layers(Leaves, [full, {"inner": None}, {"inner": {"width": 7}}], "file").inner == Inner(width=7)


def test_errors_name_source_and_dotted_key():
    with pytest.raises(InputError, match=r"^run: method\.inner\.kind: expected one of \['thick', 'thin'\], got 'fat'$"):
        config_from_layers(Outer, [FULL, {"inner": {"kind": "fat"}}], "run", "method")


def test_differing_keys_sees_changed_missing_and_new_values_and_not_lists_for_tuples():
    old = {"a": {"x": (1, 2), "y": 1}, "gone": 3}
    new = {"a": {"x": [1, 2], "y": 2}, "new": {"z": 4}}
    assert differing_keys(old, new) == {"a.y": (1, 2), "gone": (3, None), "new.z": (None, 4)}

import io
import os
import pickle
import subprocess
from collections import OrderedDict

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.pickled_npy import load_plain_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def load(content):
    return load_plain_pickle(io.BytesIO(content), "some file")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(2 * 3 * 5.0).reshape(2, 3, 5),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([1, 2], dtype=">i2"),
        np.array(["a", "bcd"]),
        np.zeros((0, 7), dtype=np.float32),
        np.array([True, False]),
    ],
    ids=str,
)
def test_arrays_round_trip(array, protocol):
    loaded = load(pickle.dumps({"x": array}, protocol=protocol))["x"]
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == array.dtype


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_scalars_and_object_arrays(protocol):
    value = {"a": [1, 2.5, "text", None, True], "b": (np.float64(3.5), np.int64(7)), "c": {"d": np.ones(3)}}
    loaded = load(pickle.dumps(np.array(value, dtype=object), protocol=protocol))
    assert loaded["a"] == value["a"] and loaded["b"] == (3.5, 7)
    np.testing.assert_array_equal(loaded["c"]["d"], np.ones(3))


def test_numpy_1_and_2_names():
    content = pickle.dumps(np.arange(3), protocol=0)
    assert b"numpy._core.multiarray" in content or b"numpy.core.multiarray" in content
    plain = content.replace(b"numpy._core.", b"numpy.core.")
    for text in (plain, plain.replace(b"numpy.core.", b"numpy._core.")):
        np.testing.assert_array_equal(load(text), [0, 1, 2])


class Evil:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hostile_pickle_runs_nothing(tmp_path, protocol):
    trace = tmp_path / "trace"
    for evil in (
        Evil(os.system, f"touch {trace}"),
        Evil(subprocess.check_call, ["touch", str(trace)]),
        Evil(eval, f"open({str(trace)!r}, 'w')"),
        Evil(open, str(trace), "w"),
        Evil(np.load, str(trace)),
        Evil(np.fromfile, str(trace)),
    ):
        for value in (evil, {"a": {"keypoints": evil}}, np.array([evil], dtype=object)):
            with pytest.raises(InputError, match=r"asks to run .*Nothing of it was run"):
                load(pickle.dumps(value, protocol=protocol))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cbuiltins\n__import__\n(S'os'\ntR.", "builtins.__import__"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"cnumpy\nos.system\n(S'true'\ntR.", "numpy.os.system"),
        (b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.", "_reconstruct.__globals__"),
        (b"cnumpy._core._core.multiarray\n_reconstruct\n.", "numpy._core._core"),
    ],
)
def test_error_names_the_forbidden_global(content, name):
    with pytest.raises(InputError) as error:
        load(content)
    assert name in str(error.value)


def test_classes_of_others_are_refused():
    with pytest.raises(InputError, match=r"collections\.OrderedDict"):
        load(pickle.dumps(OrderedDict(a=1)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"garbage",
        b"cnumpy\ndtype\n(S'V999999999'\ntR.",
        b"cnumpy\ndtype\n(S'O'\ntRcnumpy\ndtype\nb.",
        b"cnumpy.core.multiarray\nscalar\n}(S'__code__'\nI1\nub.",
        b"\x80\x04r\xff\xff\xff\xff.",
        b"\x80\x04B\xff\xff\xff\x7fx.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fx.",
    ],
)
def test_damaged_pickles_end_in_one_sentence(content):
    with pytest.raises(InputError, match="some file: damaged pickle"):
        load(content)


def test_an_array_cannot_be_pointers():
    """An object array made of bytes instead of a list would turn the file's bytes into addresses."""
    content = pickle.dumps(np.zeros(4, dtype=np.int64), protocol=0).replace(b"Vi8\n", b"VO8\n")
    assert b"VO8\n" in content
    with pytest.raises(InputError, match="damaged pickle"):
        load(content)


def test_a_dictionary_that_holds_itself_ends():
    value = {"a": np.ones(2)}
    value["self"] = value
    loaded = load(pickle.dumps(value))
    assert loaded["self"] is loaded

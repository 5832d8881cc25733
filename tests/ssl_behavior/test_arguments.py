from pathlib import Path

import numpy as np
import pytest

from ssl_behavior.arguments import check_number, several, whole_number
from ssl_behavior.errors import InputError


def test_one_name_is_a_list_of_one():
    assert several("r12", "recordings") == several(["r12"], "recordings") == ("r12",)
    assert several(Path("a/b"), "paths") == ("a/b",) and several((), "paths") == ()
    assert several(np.array(["a", "b"]), "only") == ("a", "b")


@pytest.mark.parametrize("wrong", [None, 3, {"a": 1}, ["a", 2], [None]])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises(InputError, match="`only` must be a name or a list of names, got "):
        several(wrong, "only")


@pytest.mark.parametrize("wrong", [None, 2.5, "2", True, 0, np.float64(3)])
def test_what_is_no_whole_number_is_refused(wrong):
    assert whole_number(np.int64(4), "k", 1) == 4
    with pytest.raises(InputError, match="`k` must be a whole number of 1 or more, got "):
        whole_number(wrong, "k", 1)


@pytest.mark.parametrize("wrong", [None, "30", True, [30]])
def test_what_is_no_number_is_refused(wrong):
    check_number(np.float32(30), "fps")
    with pytest.raises(InputError, match="`fps` must be a number, got "):
        check_number(wrong, "fps")

"""Twenty steps give the numbers they gave; `python tests/golden/regenerate.py` writes new ones, for review."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from ssl_behavior.methods import METHODS

FOLDER = Path(__file__).parent
REGENERATE = runpy.run_path(str(FOLDER / "regenerate.py"))


def test_every_method_has_its_numbers():
    assert set(REGENERATE["CONFIGS"]) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_first_steps_are_what_they_were(name):
    expected = json.loads((FOLDER / f"{name}.json").read_text())["losses"]
    got = REGENERATE["losses"](name)
    assert len(got) == REGENERATE["STEPS"] and got[-1] < got[0]
    np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg="if this was meant: python tests/golden/regenerate.py")

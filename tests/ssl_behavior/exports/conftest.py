import pytest

from .made import make_place


@pytest.fixture(scope="session")
def place(dyad, tmp_path_factory):
    return make_place(tmp_path_factory.mktemp("exports"), dyad)

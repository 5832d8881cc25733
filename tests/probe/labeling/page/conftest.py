"""One store, one server and one browser for the tests of the page."""

import re

import numpy as np
import pytest

from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording
from tests.probe.labeling.page.film import FILM_FRAMES, FILMED, film, with_telling_places
from tests.probe.labeling.page.visitor import DEFINITION, EVIL, Visitor, opened
from tests.probe.labeling.server_process import write_embeddings


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Folders of a store, of embeddings that separate its behaviors, and of the video of one recording."""
    folder = tmp_path_factory.mktemp("page")
    recordings = [make_recording(name, length) for name, length in {"walk": 900, EVIL: 901, "third/one": 902}.items()]
    recordings.append(with_telling_places(make_recording(FILMED, FILM_FRAMES)))
    store = write_store(folder / "store", recordings)
    generator = np.random.default_rng(0)
    centers = generator.normal(0, 1, (3, 8))
    array = centers[store.labels("behavior")] + generator.normal(0, 0.5, (store.num_frames, 8))
    write_embeddings(store, folder / "embeddings", array.astype(np.float32))
    return {"store": folder / "store", "embeddings": folder / "embeddings", "videos": film(folder / "videos")}


@pytest.fixture(scope="session")
def shared(data, tmp_path_factory):
    """One server for most tests: each has a behavior of its own."""
    with opened(data, tmp_path_factory.mktemp("shared") / "project") as found:
        yield found


@pytest.fixture
def behavior(shared, request):
    """A behavior that no other test answers about."""
    name = re.sub(r"[^a-z]+", "_", request.node.name).removeprefix("test_")[-50:].strip("_")
    shared[2].add_behavior(name=name, definition=DEFINITION, annotator="Ada")
    return name


@pytest.fixture
def visit(browser):
    visitors = []

    def make(address):
        visitors.append(Visitor(browser, address))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()

"""A browser without cookie, one with it, and a session that notes its calls."""

import pytest
from starlette.testclient import TestClient

from probe.labeling.server import application
from tests.probe.labeling.fake_session import ORIGIN, TOKEN, Session


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def app(session):
    return application(session, token=TOKEN, hosts=["127.0.0.1", "localhost", "::1"])


@pytest.fixture
def stranger(app):
    """A browser without a cookie."""
    return TestClient(app, base_url=ORIGIN, headers={"origin": ORIGIN})


@pytest.fixture
def client(stranger):
    """A browser that opened the address of the terminal."""
    assert stranger.get(f"/?token={TOKEN}").status_code == 200
    return stranger

"""Figures are closed after each test, and none may be open before it."""

import pytest

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def pyplot(monkeypatch):
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("Agg")
    settings = dict(matplotlib.rcParams)
    assert not pyplot.get_fignums()
    yield pyplot
    pyplot.close("all")
    assert dict(matplotlib.rcParams) == settings


@pytest.fixture
def ax():
    """Axes of a figure that pyplot does not know."""
    from matplotlib.figure import Figure

    return Figure(figsize=(6, 4), layout="constrained").subplots()


@pytest.fixture
def legend():
    """Entries of the legend of axes."""

    def entries(ax):
        return [] if ax.get_legend() is None else [text.get_text() for text in ax.get_legend().get_texts()]

    return entries

"""The notebook runs, cell by cell in a kernel, and shows what a reader expects."""

import json
from pathlib import Path

import pytest

from tests.test_documents import ROOT

pytestmark = pytest.mark.docs
NOTEBOOK = ROOT / "docs" / "notebooks" / "first_session.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Code cells after a run in an empty folder."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    paths = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(paths))
    # Tests draw without a screen; a notebook draws into its cells.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / "run.ipynb")
    return [cell for cell in notebook.cells if cell.cell_type == "code"][1:]


def shown(cell, kind):
    """Outputs of a type that a cell shows."""
    return [output["data"][kind] for output in cell.outputs if kind in output.get("data", {})]


def cell_with(cells, text):
    return next(cell for cell in cells if text in cell.source)


def test_twenty_cells_lead_from_tracks_to_a_labeled_ethogram(cells):
    assert len(cells) == 20 and all(cell.execution_count for cell in cells)
    assert shown(cell_with(cells, "predicted = {"), "image/png")
    assert "Labels of 2 recordings" in shown(cell_with(cells, "found = sb.annotate"), "text/html")[0]


def test_objects_show_themselves_as_tables(cells):
    for text in ("store", "encoder", "recording = store", "clusters = sb.cluster", "cards = sb", "results = sb"):
        cell = next(cell for cell in cells if cell.source.splitlines()[-1] in (text, text.partition(" ")[0]))
        assert any("<table" in one for one in shown(cell, "text/html")), cell.source


def test_nothing_warns_and_progress_ends_at_its_end(cells):
    said = [output for cell in cells for output in cell.outputs if output.output_type == "stream"]
    assert not [output.text for output in said if output.name == "stderr"]
    assert not any("Traceback" in output.text for output in said)


def test_the_notebook_is_kept_without_outputs():
    kept = json.loads(Path(NOTEBOOK).read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in kept["cells"])

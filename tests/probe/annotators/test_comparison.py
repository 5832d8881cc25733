from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from probe.annotators.comparison import AnnotatorMatrix, draw_annotators, markdown_matrix, ordered, rich_matrix
from ssl_behavior.errors import InputError

NAMES = ("1", "2", "a|b", "[bold]", "9")
ALIKE = (1, 4)


@pytest.fixture
def similarity():
    values = np.full((5, 5), 0.1) + 0.01 * np.add.outer(np.arange(5), np.arange(5))
    values[ALIKE], values[ALIKE[::-1]] = 0.9, 0.9
    np.fill_diagonal(values, 1.0)
    return AnnotatorMatrix("cosine", NAMES, values)


@pytest.fixture
def transfer():
    values = np.random.default_rng(0).random((5, 5))
    values[2] = np.nan
    return AnnotatorMatrix("macro F1", NAMES, values, rows="labels of", columns="in the style of")


def test_matrix_tables_show_all_values(transfer):
    screen = StringIO()
    Console(file=screen, width=200).print(rich_matrix(transfer))
    for text in (screen.getvalue(), markdown_matrix(transfer)):
        assert text.count("undefined") == 5 and "[bold]" in text
        assert all(f"{value:.3f}" in text for value in transfer.values[~np.isnan(transfer.values)])
    lines = markdown_matrix(transfer).splitlines()
    assert lines[0] == "**macro F1**" and r"a\|b" in lines[2]
    assert len({line.replace(r"\|", "").count("|") for line in lines[2:]}) == 1


def test_order_puts_similar_annotators_side_by_side(similarity):
    joined, order = ordered(similarity.values)
    places = [list(order).index(index) for index in ALIKE]
    assert abs(places[0] - places[1]) == 1 and sorted(order) == list(range(5))
    assert set(joined[0, :2]) == set(ALIKE) and joined[0, 2] == pytest.approx(0.1)


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_annotator_figure_is_written(similarity, transfer, tmp_path, ending):
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / f"annotators{ending}"
    whole = replace(transfer, values=np.nan_to_num(transfer.values))
    draw_annotators([similarity, transfer, whole], path)
    assert path.stat().st_size > 5000 and [p.name for p in path.parent.iterdir()] == [path.name]


def test_unknown_figure_suffix_is_an_error(similarity, tmp_path):
    with pytest.raises(InputError, match="ends in"):
        draw_annotators([similarity], tmp_path / "x.doc")

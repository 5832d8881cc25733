"""What objects say of themselves in a terminal and in a notebook."""

from dataclasses import replace

import numpy as np
import pytest

import ssl_behavior
from ssl_behavior.recording import Labels
from ssl_behavior.reprs import Described


class Box(Described):
    def _headline(self):
        return "Box <1>"

    def _facts(self):
        return [("size", "2 & 3"), ("lid", "no")]


def test_facts_stand_below_each_other_and_names_are_no_markup():
    assert repr(Box()) == "Box <1>\n  size  2 & 3\n  lid   no"
    page = Box()._repr_html_()
    assert "<strong>Box &lt;1&gt;</strong>" in page and ">2 &amp; 3</td>" in page and page.count("<tr>") == 2


@pytest.fixture
def recording(dyad):
    labels = Labels(vocabulary=("sniff", "rest"), frames=np.zeros(90, np.int64))
    return replace(dyad("cage <b>", 90, missing=0.5), labels={"S1": labels})


def test_a_recording_is_one_line_and_a_table(recording):
    assert repr(recording) == "Recording 'cage <b>': 90 frames (3.0 s) at 30 per second, 2 animals x 7 keypoints"
    page = recording._repr_html_()
    assert "cage &lt;b&gt;" in page and "resident, intruder" in page and ">S1<" in page and "% of the points" in page


def test_a_store_says_what_is_in_it(recording, dyad, tmp_path):
    other = replace(dyad("other", 60), fps=25.0)
    said = repr(ssl_behavior.write_store(tmp_path / "store", [recording, other]))
    assert "2 recordings, 150 frames (0.00 h) at 25 and 30 per second" in said
    for words in ("animals     resident, intruder", "labels      S1: sniff, rest", "recordings  cage <b>, other"):
        assert words in said

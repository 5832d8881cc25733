import csv
import io

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import annotated_recording, streams_of, unique_behavior_names
from ssl_behavior.io.annotation_writers import check_simba, simba_csv
from ssl_behavior.recording import Labels, StreamFacts

from .random_labels import behavior_masks, for_any_labels


@for_any_labels
def test_every_behavior_is_a_column_of_zeros_and_ones(recording):
    header, *rows = csv.reader(io.StringIO(simba_csv(recording)))
    names = unique_behavior_names(streams_of([recording]))
    assert header[:2] == ["", "background"] and sorted(header[2:]) == sorted(names.values())
    table = np.array(rows, dtype=int).reshape(recording.num_frames, len(header))
    assert table[:, 0].tolist() == list(range(recording.num_frames))
    for one, frames in behavior_masks(recording).items():
        np.testing.assert_array_equal(table[:, header.index(names[one])], frames)
    np.testing.assert_array_equal(table[:, 1], ~table[:, 2:].any(axis=1))


def test_the_table_looks_like_deepethograms():
    labels = Labels(vocabulary=("rest", "chase", "bite"), frames=np.array([0, 1, 1, 2, -1]), background="rest")
    made = simba_csv(annotated_recording("r", 30.0, {"S1": labels}))
    assert made == ",background,chase,bite\n0,1,0,0\n1,0,1,0\n2,0,1,0\n3,0,0,1\n4,1,0,0\n"


@pytest.mark.parametrize("name", ["background", "a,b", 'say "a"', "a\nb", " a"])
def test_names_that_cannot_be_columns_are_refused(name):
    with pytest.raises(InputError, match="cannot be a column for SimBA"):
        check_simba([StreamFacts(name="S1", classes=("x", name))])
    check_simba([StreamFacts(name="S1", classes=("x", name), background=name)])

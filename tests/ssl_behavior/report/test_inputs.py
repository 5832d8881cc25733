import json
import shutil

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.report import Span, read_description

from .conftest import FRAMES


@pytest.fixture
def broken(folders, tmp_path):
    def make(which, change=None, **arrays):
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(folders[which], folder)
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        if change:
            name, edit = change
            contents = json.loads((folder / name).read_text())
            edit(contents)
            (folder / name).write_text(json.dumps(contents))
        return folder

    return make


def test_a_description_as_cards_discoveries_and_profiles(folders):
    told = read_description(folders["described"], ["walk", "other"])
    card = told.cards[3]
    assert (card.cluster, card.sentence, card.num_bouts, card.bout_seconds) == (
        3,
        "Sentence of <u>3</u>",
        12,
        (0.5, 1.0, 2.0),
    )
    # Of its labels one is less frequent here than elsewhere, and one not at all.
    assert [(one.label, one.frames, one.share, one.lift) for one in card.enrichment] == [
        ("social & more", 40, 0.4, 2.0)
    ]
    assert card.differences[0].name == "nose tail distance, greater" and card.differences[0].usual == 90.0
    assert next(one.cluster for one in told.discoveries) == 4 and len(told.discoveries) == 2
    assert told.discoveries[0].reason == "S1 explains 12% of it; 50% is base"
    assert "during S1 social & more" in told.discoveries[1].reason and told.discoveries[1].score == "2.5 bits"
    span, cluster = told.bouts()[0]
    assert isinstance(span, Span) and span.recording == 0 and cluster == told.discoveries[1].cluster
    (profile,) = told.profiles
    assert (profile.name, profile.groups.count("control"), profile.shares.shape) == ("treatment", 4, (7, 5))
    assert [test.effect for test in profile.tests] == [0.0, 0.5, 1.0, 1.5, 2.0] and profile.tests[1].between == (
        "control",
        "drug<i>",
    )
    of = "the 3 recordings that were described, not of the 2 in this report"
    assert told.notes == ("Described <b>briefly</b>.", f"Sentences and numbers of clusters are of {of}.")
    assert read_description(folders["described"], list(FRAMES)).notes == told.notes[:1]


def test_a_description_without_groups_has_no_profiles(broken):
    folder = broken("described")
    (folder / "profiles.json").unlink()
    assert read_description(folder, ["walk"]).profiles == ()


def test_bouts_of_recordings_that_are_not_shown_are_left_out(folders):
    told = read_description(folders["described"], ["other"])
    assert len(told.discoveries) == 1 and not told.bouts()


def test_a_description_that_is_none_is_told(broken, folders):
    with pytest.raises(InputError, match=r"it has no cards\.json"):
        read_description(folders["store"], ["walk"])
    with pytest.raises(InputError, match=r"cards\.json is not as expected \(KeyError\('share'\)\)"):
        read_description(broken("described", ("cards.json", lambda contents: contents["clusters"][1].pop("share"))), [])
    with pytest.raises(InputError, match=r"profiles\.json is not as expected"):
        read_description(broken("described", ("profiles.json", lambda contents: contents.pop("animals"))), [])

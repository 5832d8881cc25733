"""Real recordings: the references are as strong as they should be."""

import pytest
import torch

from probe.experiment import Experiment
from probe.frozen_probes import run_experiment
from probe.references import hand_features, pca_reference, raw_keypoints
from probe.scores import score_row
from probe.tasks import make_task, parse_macro
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.splits import Split
from ssl_behavior.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.data]

TRAIN, TUNE, EVALUATE = ("02", "03", "05", "16", "22"), ("24",), ("34", "36")


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def rats(real_data, tmp_path):
    folder = real_data / "rat_dyads"
    names = (*TRAIN, *TUNE, *EVALUATE)
    options = ImportOptions(fps=30.0, annotations=tuple(folder / f"{name}_annot.txt" for name in names))
    import_recordings([folder / f"{name}_dlc_tracks.csv.gz" for name in names], tmp_path / "rats", options)
    return Store(tmp_path / "rats")


def recordings_labeled_by(store, names):
    return tuple(row for row in store.rows if row.id.startswith(names))


def test_hand_features_beat_raw_keypoints(rats, tmp_path):
    task = make_task(rats, "S1")
    split = Split(
        recordings_labeled_by(rats, TRAIN),
        recordings_labeled_by(rats, TUNE),
        recordings_labeled_by(rats, EVALUATE),
        "test",
        False,
        "by hand",
    )
    macro = parse_macro(task, "aggression,social")
    experiment = Experiment(rats, task, split, macro, stride=10)
    raw = raw_keypoints(rats, split.train, tmp_path)
    pca = pca_reference(hand_features(rats, split.train, tmp_path), split.train, tmp_path)
    ap = {}
    for reference in (raw, pca):
        seed_predictions = [run_experiment(experiment, reference.array(seed), seed) for seed in range(2)]
        row = score_row(experiment, [macro], reference.name, reference.dim, 100.0, seed_predictions)
        ap[reference.name] = row.macros[0].ap.mean
        assert row.undefined == ()
    assert ap["PCA-64 of hand features"] > 1.5 * ap["raw keypoints"] > 0.15

"""Settings that make no sense, and settings that come back from JSON as they were."""

import json
from dataclasses import asdict, replace

import pytest

from probe.calms21.baselines import BASELINES, TRANSFERS, Augmentation, BaselineConfig, Phase, Transfer
from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError

ALL = BASELINES | TRANSFERS


@pytest.mark.parametrize("name", ALL)
def test_baseline_configs_round_trip_through_json(name):
    written = json.loads(json.dumps(asdict(ALL[name])))
    assert config_from_dict(BaselineConfig, written, "here") == ALL[name]


def test_class_weights_round_trip_through_json():
    for weights in ({"groom": 5.0}, "balanced", None):
        config = replace(BASELINES["conv1d"], class_weights=weights)
        assert config_from_dict(BaselineConfig, json.loads(json.dumps(asdict(config))), "here") == config


@pytest.mark.parametrize(
    "name,value", [("batch_size", 0), ("train_stride", 0), ("predict_stride", 0), ("phases", ()),
                   ("class_weights", {"groom": 0.0})]
)  # fmt: skip
def test_invalid_baseline_settings_are_errors(name, value):
    with pytest.raises(InputError, match=name.removesuffix("s")):
        replace(BASELINES["conv1d"], **{name: value})


def test_invalid_phases_and_optimizers_are_errors():
    for wrong, word in (
        ({"epochs": 0, "lr": 1.0}, "epochs"),
        ({"epochs": 1, "lr": 0.0}, "lr"),
    ):
        with pytest.raises(InputError, match=word):
            Phase(**wrong)
    with pytest.raises(InputError, match="head"):
        config_from_dict(Transfer, {"head": "half"}, "here")
    for wrong in ({"rotate": -1.0}, {"shift": -0.1}, {"reflect": 1.1}, {"swap": -0.1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Augmentation(**wrong)


def test_with_epochs_scales_all_phases():
    config = TRANSFERS["task3_as_run"]
    assert config.epochs == 50
    assert [phase.epochs for phase in config.with_epochs(10).phases] == [6, 4]
    assert [phase.epochs for phase in config.with_epochs(1).phases] == [1, 1]
    assert config.with_epochs(50) == config

"""Recipe < file < dotted options < named options; every error is one sentence."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pretrain.command import parse_options
from pretrain.config import DataConfig, OptimConfig, RunConfig, run_config_from, run_config_to_dict
from pretrain.config_sources import config_as_yaml, resolve_config, resolve_stores
from pretrain.recipes import RECIPES
from pretrain.run_folder import open_run
from ssl_behavior.errors import InputError
from ssl_behavior.methods import METHODS, CPCConfig, MethodConfig
from ssl_behavior.methods.joint import JointConfig


def resolve(*argv):
    return resolve_config(parse_options(["STORE", "--out", "RUN", *argv]))


def test_a_recipe_is_the_start_and_dotted_options_change_it():
    config = resolve("--recipe", "cpc_tiny", "--optim.lr", "1e-4", "--method.encoder.latent_dim=16", "--seed", "7")
    tiny = RECIPES["cpc_tiny"]()
    assert config.optim.lr == 1e-4 and config.method.encoder.latent_dim == 16 and config.seed == 7
    assert config.data == tiny.data and config.method.horizons_frames == tiny.method.horizons_frames


@pytest.mark.parametrize("text", ["6,12", "[6,12]", "[6, 12]"])
def test_lists_are_written_with_or_without_brackets(text):
    assert resolve("--recipe", "cpc", "--method.horizons_frames", text).method.horizons_frames == (6, 12)
    assert resolve("--recipe", "cpc", f"--method.horizons_frames={text}").method.horizons_frames == (6, 12)


def test_named_options_reach_the_configuration():
    config = resolve("--validation", "rec*", "b c", "--subset", "train", "--validation-share", "0.2", "--steps", "9")
    assert config.data.validation == ("rec*", "b c") and config.data.subsets == ("train",)
    assert config.data.validation_share == 0.2 and config.steps == 9


def test_a_file_lies_between_recipe_and_options(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 50\noptim:\n  lr: 1e-4\n  weight_decay: 0.5\nmethod:\n  encoder: {latent_dim: 9}\n")
    config = resolve("--recipe", "cpc_tiny", "--config", str(file), "--optim.lr", "0.25")
    assert (config.steps, config.optim.lr, config.optim.weight_decay) == (50, 0.25, 0.5)
    assert (
        config.method.encoder.latent_dim == 9
        and config.method.encoder.contexter_dim == RECIPES["cpc_tiny"]().method.encoder.contexter_dim
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_survives_print_config_and_json(recipe, tmp_path):
    config = RECIPES[recipe]()
    file = tmp_path / "config.yaml"
    file.write_text(config_as_yaml(config))
    assert resolve("--config", str(file)) == config
    assert run_config_from(json.loads(json.dumps(run_config_to_dict(config))), where="file") == config
    assert RECIPES[recipe].__doc__


def test_a_runs_config_json_repeats_it(tmp_path):
    config = resolve("--recipe", "cpc_tiny", "--seed", "5")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"format": "ssl-behavior run", "config": run_config_to_dict(config), "seed": 5}))
    assert resolve("--config", str(file)) == config


MISTAKES = {
    "unknown dotted": (
        ["--recipe", "cpc", "--method.horizon", "3"],
        "unknown option --method.horizon; did you mean --method.horizons_frames",
    ),
    "unknown group key": (["--optim.lrr", "3"], "unknown option --optim.lrr; did you mean --optim.lr"),
    "far off": (["--data.xyzzy", "3"], "unknown option --data.xyzzy"),
    "no value": (["--optim.lr"], "--optim.lr needs a value"),
    "list without commas": (
        ["--method.horizons_frames", "24", "48"],
        "--method.horizons_frames takes one value; lists are written with commas: 24,48",
    ),
    "not a number": (["--optim.lr", "fast"], "optim.lr: expected float, got 'fast'"),
    "not whole": (["--steps", "2.5"], "steps: expected int, got '2.5'"),
    "list of words": (
        ["--recipe", "cpc", "--method.horizons_frames", "soon,later"],
        r"method.horizons_frames\[0\]: expected int, got 'soon'",
    ),
    "out of range": (["--steps", "0"], "steps must be at least 1, got 0"),
    "method refuses": (["--recipe", "cpc", "--method.temperature", "-1"], "temperature must be above 0"),
    "recipe": (["--recipe", "best"], "unknown recipe 'best'; known: .*'cpc_tiny'"),
    "device": (["--device", "tpu"], "device must be one of .*, got tpu"),
    "precision": (["--precision", "int4"], "precision must be one of .*, got int4"),
    "choice": (
        ["--optim.optimizer", "sgd"],
        r"optim.optimizer: expected one of \['adamw', 'madgrad', 'muon'\], got 'sgd'",
    ),
    "share": (["--validation-share", "1"], r"data.validation_share must be in \[0, 1\), got 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_sentence(mistake):
    argv, message = MISTAKES[mistake]
    with pytest.raises(InputError, match=message) as caught:
        resolve(*argv)
    assert "\n" not in str(caught.value) and "<class" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("optim: {lrr: 1}", r"optim: unknown key 'lrr' \(did you mean 'lr'\?\); known: .*'betas'"),
        ("learning: 1", "unknown key 'learning'; known: .*'steps'"),
        ("- 1", "expected keys and values, got list"),
        ("a: [", "neither YAML nor JSON"),
        ("", "expected keys and values"),
        ("steps: many", "steps: expected int, got 'many'"),
        ("algorithm: magic", "algorithm: expected one of .*, got 'magic'"),
        ("algorithm: [cpc]", r"algorithm: expected one of .*, got \['cpc'\]"),
        ("optim: 3", "optim: expected keys and values of OptimConfig, got '3'"),
        ("method: {encoder: {mixer: 3}}", "method.encoder.mixer: expected keys and values of MixerConfig, got '3'"),
        ("format: ssl-behavior run", "expected keys and values"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        resolve("--config", str(tmp_path / "c.yaml"))
    assert "c.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nope\.yaml: cannot be read"):
        resolve("--config", str(tmp_path / "nope.yaml"))
    with pytest.raises(InputError, match="cannot be read"):
        resolve("--config", str(tmp_path))


def test_resuming_without_naming_a_start_takes_the_runs_own_configuration_and_stores(tmp_path):
    config = resolve("--recipe", "cpc_tiny", "--seed", "5", "--optim.lr", "0.25")
    open_run(tmp_path / "run", config, {"data_fingerprint": "x"}, resume=False, stores=["/stores/a", "/stores/b"])
    options = parse_options(["--out", str(tmp_path / "run"), "--resume"])
    assert resolve_config(options) == config
    assert resolve_stores(options) == [Path("/stores/a"), Path("/stores/b")]
    changed = parse_options(["--out", str(tmp_path / "run"), "--resume", "--seed", "6"])
    assert resolve_config(changed) == dataclasses.replace(config, seed=6)
    named = parse_options(["--out", str(tmp_path / "run"), "--resume", "--recipe", "cpc_tiny"])
    assert resolve_config(named) == RECIPES["cpc_tiny"]()


def test_resume_without_stores_needs_a_run(tmp_path):
    options = parse_options(["--out", str(tmp_path / "run"), "--resume"])
    with pytest.raises(InputError, match="is not a run"):
        resolve_stores(options)


@pytest.mark.parametrize(
    ("record", "message"),
    [("{}", "is not a run"), ('{"format": "ssl-behavior run", "version": 2, "config": {}}', "format version 2")],
)
def test_a_run_of_another_kind_or_a_newer_version_is_refused(tmp_path, record, message):
    (tmp_path / "config.json").write_text(record)
    with pytest.raises(InputError, match=message):
        resolve_config(parse_options(["--out", str(tmp_path), "--resume"]))


def test_what_every_run_needs():
    with pytest.raises(InputError, match="--out RUN is missing"):
        parse_options(["STORE"])
    with pytest.raises(InputError, match="name at least one store"):
        parse_options(["--out", "RUN"])
    assert parse_options(["--print-config"]).print_config


def test_an_unknown_plain_option_exits_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_options(["STORE", "--out", "RUN", "--fast"])
    assert caught.value.code == 2
    assert "--fast" in capsys.readouterr().err


def test_help_imports_neither_torch_nor_yaml():
    code = (
        "import sys; from pretrain.command import main\n"
        "try: main(['--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "assert 'torch' not in sys.modules and 'yaml' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for option in ("STORE", "--out", "--resume", "--print-config", "--validation-share", "--device"):
        assert option in done.stdout


def test_print_config_prints_yaml_that_holds_everything(capsys):
    from pretrain.command import main

    assert main(["--print-config", "--recipe", "cpc_tiny"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == json.loads(json.dumps(run_config_to_dict(RECIPES["cpc_tiny"]())))


def test_configurations_check_themselves():
    with pytest.raises(InputError, match=r"optim.betas must be in \[0, 1\)"):
        OptimConfig(betas=(0.9, 1.0))
    with pytest.raises(InputError, match="seed must be >= 0"):
        RunConfig(method=CPCConfig(), seed=-1)
    with pytest.raises(InputError, match=r"algorithm: expected one of .*, got None"):
        run_config_from({}, where="file")


def test_the_default_recipe_is_summary_prediction_everywhere(capsys):
    from pretrain.command import main
    from pretrain.estimator import PoseEmbedder

    assert resolve() == RECIPES["summaries"]() == RECIPES[PoseEmbedder().recipe]()
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "default: summaries" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_names_a_method_starts_from_its_recipe(tmp_path):
    """Not from the default one's batches and optimizer."""
    (tmp_path / "c.yaml").write_text("algorithm: cpc\nsteps: 7\n")
    assert resolve("--config", str(tmp_path / "c.yaml")) == dataclasses.replace(RECIPES["cpc"](), steps=7)


def test_every_method_is_in_the_union():
    assert {method.Config for method in METHODS.values()} == set(get_args(MethodConfig))


def test_the_tag_chooses_the_class_and_another_method_starts_from_its_defaults():
    tiny = RECIPES["cpc_tiny"]()
    same = run_config_from(tiny, {"algorithm": "cpc", "method.key_dim": 7}, where="here")
    assert same == dataclasses.replace(tiny, method=dataclasses.replace(tiny.method, key_dim=7))
    other = run_config_from(tiny, {"method.cpc": 0.5, "algorithm": "joint"}, where="here")
    assert other == dataclasses.replace(tiny, method=JointConfig(cpc=0.5))
    assert run_config_from(tiny, {"method": JointConfig()}, where="here").method == JointConfig()


def test_a_layer_may_break_what_a_later_one_mends():
    layers = [RECIPES["cpc"](), {"algorithm": "joint", "data.sampling.rare_share": 0.5}]
    with pytest.raises(InputError, match="both make up for rare classes"):
        run_config_from(*layers, where="here")
    assert not run_config_from(*layers, {"method.labels.balanced": "false"}, where="here").method.labels.balanced


def test_layers_hold_groups_as_configurations_mappings_or_dotted_keys():
    base = RECIPES["cpc_tiny"]()
    expected = dataclasses.replace(base, data=DataConfig(window_frames=99, batch_size=3))
    layers = {"data": DataConfig(window_frames=99)}, {"data": {"batch_size": 5}}, {"data.batch_size": 3}
    assert run_config_from(base, *layers, where="here") == expected


@pytest.mark.parametrize("form", ["--data.recordings=12,no,2024-01-01", "--recordings"])
def test_ids_stay_text(form, tmp_path):
    ids = ("12", "no", "2024-01-01")
    assert resolve(form, *(ids if form == "--recordings" else ())).data.recordings == ids
    (tmp_path / "c.yaml").write_text("data: {recordings: [12, no, 2024-01-01]}\ninit: 123\n")
    config = resolve("--config", str(tmp_path / "c.yaml"))
    assert config.data.recordings == ids and config.init == "123"


def test_an_option_changes_a_key_of_a_group_and_replaces_a_mapping(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "algorithm: joint\nmethod: {encoder: {latent_dim: 9}, labels: {weights: {a: 2}}}\n"
    )
    options = ["--method.encoder", "{embedder_dim: 7}", "--method.labels.weights", "{b: 3}"]
    method = resolve("--config", str(tmp_path / "c.yaml"), *options).method
    assert (method.encoder.latent_dim, method.encoder.embedder_dim, method.labels.weights) == (9, 7, {"b": 3.0})


def test_merge_keys_of_yaml_work(tmp_path):
    (tmp_path / "c.yaml").write_text("optim:\n  <<: {lr: 0.5, warmup_steps: 7}\n  lr: 0.25\n")
    optim = resolve("--config", str(tmp_path / "c.yaml")).optim
    assert (optim.lr, optim.warmup_steps) == (0.25, 7)

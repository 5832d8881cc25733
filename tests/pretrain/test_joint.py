"""Training with labels: whose are used, what is kept, where it starts."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from pretrain.config import DataConfig
from pretrain.data import labeled_sources, open_data
from pretrain.loop import label_scores
from pretrain.run import complete_config, new_method, train
from pretrain.warm_start import take_encoder
from ssl_behavior.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.errors import InputError
from ssl_behavior.joint_predictions import Style, predict_row, style_of, with_labels
from ssl_behavior.labeled_windows import LabelFacts, Sampling, label_facts
from ssl_behavior.methods.joint import JointConfig, LabelsConfig
from ssl_behavior.recording import Labels
from ssl_behavior.store import Store, write_store
from tests.conftest import fingerprint

HEAD = {"hidden_dim": 6, "dropout": 0.2, "input_dropout": 0.1, "balanced": False, "linear": 0.25}


@pytest.fixture(scope="module")
def labeled(tmp_path_factory):
    """Four recordings with labels, of two annotators, and one without."""
    from tests.pretrain.conftest import two_animals

    path = tmp_path_factory.mktemp("labeled") / "store"
    recordings = []
    for number, frames in enumerate((211, 307, 157, 401, 263)):
        recording = two_animals(f"rec{number}", frames, subset="test" if number == 3 else "train")
        labels = np.arange(frames) // 19 % 4 - 1
        what = Labels(
            vocabulary=("attack", "mount", "other"), frames=labels, annotator=str(number % 2), background="other"
        )
        recordings.append(recording if number == 4 else replace(recording, labels={"what": what}))
    write_store(path, recordings)
    return path


@pytest.fixture(scope="session")
def joint(tiny):
    method = JointConfig(**vars(tiny.method), labels=LabelsConfig(**HEAD))
    data = replace(tiny.data, sampling=Sampling(rare_share=0.5), validation=("rec2",))
    return replace(tiny, method=method, data=data)


def ids(reader, picks):
    return [reader.sources[pick][1].id for pick in picks]


def test_labels_of_the_training_part_alone_are_shown(labeled, joint):
    config = complete_config(joint, [labeled])
    data = open_data([labeled], config.data, 0, config.labels)
    assert ids(data.train, data.train.labeled) == ["rec0", "rec1"]
    assert ids(data.validation, data.validation.labeled) == ["rec2"]
    assert [row.id for _, row in data.train.sources] == ["rec0", "rec1", "rec3", "rec4"]
    assert (data.train.labels(2, 0, 401) == -1).all(), "a test recording gives its tracks only"


def test_recordings_held_out_by_chance_have_labels(labeled, joint):
    config = complete_config(joint, [labeled])
    for seed in range(5):
        data = open_data([labeled], replace(config.data, validation=()), seed, config.labels)
        assert len(data.validation.labeled) == len(data.validation.sources) == 1


def test_every_stream_has_a_recording_held_out_and_keeps_one(tmp_path, make_recording, joint):
    streams = {"a": [0, 1, 2, 3, 4, 5, 6], "b": [0, 1], "c": [6]}
    recordings = []
    for number in range(7):
        frames = 60 + number
        labels = Labels(vocabulary=("other", "yes"), frames=np.arange(frames) // 9 % 2, background="other")
        own = {name: labels for name, numbers in streams.items() if number in numbers}
        recordings.append(replace(make_recording(f"rec{number}", frames, subset="train"), labels=own))
    store = write_store(tmp_path / "s", recordings)
    config = replace(joint.data, validation=(), validation_share=0.2)
    facts = label_facts([(store, row) for row in store.rows])
    for seed in range(6):
        data = open_data([store.path], config, seed, facts)
        held_out = {row.id for _, row in data.validation.sources}
        assert len(held_out & {"rec0", "rec1"}) == 1 and "rec6" not in held_out and len(held_out) <= 2


def test_rare_classes_are_made_up_for_once(labeled, joint, tmp_path, capsys):
    with pytest.raises(InputError, match=r"rare_share 0.5 and method.labels.balanced both make up for rare classes"):
        replace(joint, method=replace(joint.method, labels=LabelsConfig(**HEAD | {"balanced": True})))
    both = ["--data.sampling.rare_share", "0.3", "--method.labels.balanced", "true"]
    words = ["pretrain", str(labeled), "--out", str(tmp_path / "run"), "--recipe", "joint", *both]
    assert main(words) == 2 and not (tmp_path / "run").exists()
    assert "choose one, --method.labels.balanced false or" in capsys.readouterr().err


def test_whose_labels_must_be_said_where_no_subset_says_it(store, joint):
    with pytest.raises(InputError, match=r"no recording has the subset 'train': .*`labeled`"):
        complete_config(joint, [store])


def test_named_recordings_are_taken_and_others_are_not(labeled, joint):
    sources = [(Store(labeled), row) for row in Store(labeled).rows]
    chosen = labeled_sources(sources, DataConfig(labeled=("rec[13]",)))
    assert [row.id for _, row in chosen] == ["rec1", "rec3"]


def test_streams_and_annotators_are_written_into_the_configuration(labeled, joint, tmp_path):
    train(replace(joint, steps=1), [labeled], tmp_path / "run")
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())["config"]["method"]["labels"]
    assert recorded["annotators"] == ["0", "1"]
    assert recorded["streams"] == [{"name": "what", "classes": ["attack", "mount", "other"], "background": "other"}]


@pytest.fixture(scope="module")
def finished(labeled, joint, tmp_path_factory):
    run = tmp_path_factory.mktemp("joint") / "run"
    train(joint, [labeled], run)
    return run


def test_the_best_for_a_stream_is_kept_and_found(finished):
    best = json.loads((finished / "checkpoints" / "best.json").read_text())
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    tried = {line["step"]: line["ap/what"] for line in lines if "ap/what" in line}
    assert set(tried) == {5, 10, 12} and all("f1/what" in line for line in lines if "ap/what" in line)
    step = max(tried, key=lambda key: (tried[key], -key))
    assert best["streams"]["what"]["checkpoint"] == f"step-{step:09d}"
    assert best["streams"]["what"]["ap"] == pytest.approx(tried[step])
    assert find_checkpoint(finished, best="what").name == f"step-{step:09d}"
    with pytest.raises(InputError, match=r"no best weights for labels 'nothing': it has those for \['what'\]"):
        find_checkpoint(finished, best="nothing")


def test_a_resumed_run_is_the_uninterrupted_one(labeled, joint, finished, tmp_path):
    train(replace(joint, steps=12), [labeled], tmp_path / "run")
    assert fingerprint(tmp_path / "run") == fingerprint(finished)
    halves = tmp_path / "halves"
    assert main(["pretrain", str(labeled), "--out", str(halves), "--config", str(finished / "config.json")]) == 0
    checkpoint = sorted((halves / "checkpoints").glob("step-*"))[-1]
    for path in checkpoint.iterdir():
        path.unlink()
    checkpoint.rmdir()
    assert main(["pretrain", "--out", str(halves), "--resume"]) == 0
    assert fingerprint(halves) == fingerprint(finished)


def test_scores_are_those_of_the_predictions(labeled, joint, finished):
    config = complete_config(joint, [labeled])
    data = open_data([labeled], config.data, 0, config.labels)
    method = load_checkpoint(finished)
    scores = label_scores(method, data.validation, torch.float32)
    store = Store(labeled)
    predicted = predict_row(method, store, store.row("rec2"), "0")["what"]
    labels = store.labels("what")[store.row("rec2").slice]
    known = labels >= 0
    f1 = []
    for number in (0, 1):
        claim, truth = predicted[known].argmax(axis=1) == number, labels[known] == number
        f1.append(2 * (claim & truth).sum() / (claim.sum() + truth.sum()))
    assert scores["f1/what"] == pytest.approx(np.mean(f1)) and set(scores) == {"ap/what", "f1/what"}


def test_a_stream_that_is_not_held_out_has_no_score_and_no_perfect_loss(tmp_path, make_recording, joint):
    def labels(name, frames):
        return {name: Labels(vocabulary=("other", "yes"), frames=np.arange(frames) // 9 % 2, background="other")}

    names = ["a", "a", "a", "b"]
    recordings = [
        replace(make_recording(f"rec{n}", 90 + n, subset="train"), labels=labels(name, 90 + n))
        for n, name in enumerate(names)
    ]
    write_store(tmp_path / "s", recordings)
    config = replace(joint, data=replace(joint.data, validation=("rec1",)), steps=5)
    train(config, [tmp_path / "s"], tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    (seen,) = [line for line in lines if "ap/a" in line]
    assert "label/a" in seen and "label/b" not in seen and "ap/b" not in seen and seen["loss"] > 0


def test_predictions_do_not_depend_on_the_chunk_and_sum_to_one(labeled, finished):
    method, store = load_checkpoint(finished), Store(labeled)
    row = store.row("rec4")
    predicted = predict_row(method, store, row, "0")["what"]
    assert predicted.shape == (row.frames, 3) and np.allclose(predicted.sum(axis=1), 1, atol=1e-6)


def test_warning_names_the_style_of_a_recording(labeled, finished):
    method, store = load_checkpoint(finished), Store(labeled)
    by_nobody, by_one = store.row("rec4"), store.row("rec1")
    styles = {name: [predict_row(method, store, row, name)["what"] for row in (by_nobody, by_one)] for name in "01"}
    assert not np.array_equal(styles["0"][0], styles["1"][0]), "another annotator says something else"
    np.testing.assert_array_equal(predict_row(method, store, by_one)["what"], styles["1"][1])
    with pytest.warns(
        UserWarning, match=r"no annotator is named, .* labeled as annotator '0', the first of \['0', '1'\], would"
    ):
        np.testing.assert_array_equal(predict_row(method, store, by_nobody)["what"], styles["0"][0])
    stranger = replace(by_one, annotators={"what": "7"})
    with pytest.warns(UserWarning, match="labels what: annotator '7' was not learned, so frames are labeled as"):
        np.testing.assert_array_equal(predict_row(method, store, stranger)["what"], styles["0"][1])
    with pytest.raises(InputError, match=r"annotator 'x' was not learned; the model knows \['0', '1'\]"):
        predict_row(method, store, by_one, "x")
    only, nobody = LabelFacts(annotators=("0",)), LabelFacts(annotators=("", "0"))
    assert style_of(only, by_nobody, stream="what") == Style("0"), "one style is no choice"
    assert style_of(nobody, by_nobody, stream="what").annotator == ""
    assert "labeled as an unknown annotator would" in style_of(nobody, stranger, stream="what").warning


def test_a_method_without_labels_says_so(tiny, store):
    data = open_data([store], tiny.data, 0)
    with pytest.raises(InputError, match="cpc run was not trained with labels"):
        with_labels(new_method(tiny, data), "cpc run")


def test_a_run_starts_from_another_runs_encoder(labeled, tiny, joint, tmp_path):
    train(tiny, [labeled], tmp_path / "cpc")
    narrow = replace(joint.method, horizons_frames=(4,), encoder=replace(joint.method.encoder, latent_dim=9))
    wanted = replace(joint, init=str(tmp_path / "cpc"), method=narrow)
    config = complete_config(wanted, [labeled])
    assert config.method.encoder == tiny.method.encoder and config.method.horizons_frames == (2, 6)
    data = open_data([labeled], config.data, 0, config.labels)
    method, other = new_method(config, data), load_checkpoint(tmp_path / "cpc")
    taken = take_encoder(method, config.init)
    assert taken == ("featurizer", "embedder", "contexters", "prediction")
    for name in taken:
        for key, value in getattr(other, name).state_dict().items():
            assert torch.equal(getattr(method, name).state_dict()[key], value)
    train(replace(wanted, steps=1), [labeled], tmp_path / "run")
    train(replace(wanted, steps=1), [labeled], tmp_path / "run", resume=True)  # asked for as it was


def test_what_cannot_be_started_from_is_told(labeled, joint, tmp_path, make_recording, tiny):
    with pytest.raises(InputError, match="there is no such run or checkpoint folder"):
        complete_config(replace(joint, init=str(tmp_path / "none")), [labeled])
    other = write_store(tmp_path / "fast", [make_recording("a", 99, fps=60.0)])
    data = open_data([other.path], replace(tiny.data, validation_share=0.0), 0)
    method = new_method(tiny, data)
    method.fit_inputs(data.train)
    save_checkpoint(tmp_path / "sixty", method)
    with pytest.raises(InputError, match=r"at 60 frames per second, these recordings have .* at 30"):
        train(replace(joint, init=str(tmp_path / "sixty")), [labeled], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_labels_are_scored_where_there_is_no_validation_loss(tmp_path, make_recording, joint, capsys):
    def recording(number, labels):
        frames = np.full(4001, -1)
        frames[: len(labels)] = labels
        labels = Labels(vocabulary=("other", "yes"), frames=frames, background="other")
        return replace(make_recording(f"rec{number}", 4001, subset="train"), labels={"what": labels})

    few, all_of_it = np.arange(20) // 5 % 2, np.arange(4001) // 9 % 2
    write_store(tmp_path / "s", [recording(0, all_of_it), recording(1, few)])
    data = replace(joint.data, validation=("rec1",), sampling=Sampling())
    config = replace(joint, method=replace(joint.method, cpc=0.0), data=data, steps=10)
    train(config, [tmp_path / "s"], tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    seen = {line["step"]: line for line in lines if line["split"] == "validation"}
    assert {line["loss"] for line in seen.values()} == {None}, "a batch in which nobody looked says nothing"
    best = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert set(best) == {"streams"} and best["streams"]["what"]["ap"] == max(line["ap/what"] for line in seen.values())
    assert find_checkpoint(tmp_path / "run", best="what").name == best["streams"]["what"]["checkpoint"]
    assert find_checkpoint(tmp_path / "run", best=True) == find_checkpoint(tmp_path / "run")
    output = capsys.readouterr().out
    assert "the labels alone choose the best checkpoint" in output and ", AP what 0." in output
    assert main(["info", str(tmp_path / "run")]) == 0
    train(config, [tmp_path / "s"], tmp_path / "run", resume=True)


def test_a_split_file_names_the_labels(labeled, tmp_path, capsys):
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["rec0", "rec[12]"], "test": ["rec3"]}))
    arguments = ["pretrain", str(labeled), "--out", str(tmp_path / "run"), "--recipe", "joint", "--split", str(split)]
    assert main([*arguments, "--print-config"]) == 0
    assert "labeled: [rec0, 'rec[12]']" in capsys.readouterr().out
    assert main([*arguments, "--labeled", "rec0"]) == 2
    assert "--split and --labeled both choose the recordings" in capsys.readouterr().err
    split.write_text(json.dumps({"test": ["rec3"]}))
    assert main(arguments) == 2
    assert "there is no part 'train' to learn from" in capsys.readouterr().err


def test_a_stream_of_one_class_is_refused(tmp_path, make_recording, joint):
    one = Labels(vocabulary=("attack", "other"), frames=np.ones(99, int), background="other")
    recordings = [replace(make_recording(f"rec{n}", 99, subset="train"), labels={"what": one}) for n in range(3)]
    write_store(tmp_path / "s", recordings)
    with pytest.raises(InputError, match=r"labels what: no training frame shows attack: learning needs two classes"):
        train(joint, [tmp_path / "s"], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def relabeled(path, out, change):
    """The same tracks in another store, with labels changed by a function."""
    recordings = [replace(one, labels={k: change(v) for k, v in one.labels.items()}) for one in Store(path)]
    return write_store(out, recordings).path


def test_classes_in_another_order_are_not_learned_under_the_old_names(labeled, finished, tmp_path, capsys):
    def turned(labels):
        return replace(labels, vocabulary=("other", "attack", "mount"))

    other = relabeled(labeled, tmp_path / "turned", turned)
    arguments = ["pretrain", str(other), "--out", str(tmp_path / "run"), "--config", str(finished / "config.json")]
    assert main(arguments) == 2
    assert "the configuration learns the labels what: attack, mount, other" in capsys.readouterr().err


def test_a_run_is_not_resumed_on_changed_labels(labeled, joint, tmp_path):
    train(replace(joint, steps=1), [labeled], tmp_path / "run")

    def other(labels):
        return replace(labels, frames=np.where(labels.frames == 0, 1, labels.frames))

    changed = relabeled(labeled, tmp_path / "changed", other)
    with pytest.raises(InputError, match="data_fingerprint was"):
        train(replace(joint, steps=1), [changed], tmp_path / "run", resume=True)


def test_a_run_goes_on_when_what_it_started_from_is_gone(labeled, tiny, joint, tmp_path):
    train(tiny, [labeled], tmp_path / "cpc")
    config = replace(joint, init=str(tmp_path / "cpc"), steps=2)
    train(config, [labeled], tmp_path / "run")
    (tmp_path / "cpc").rename(tmp_path / "moved")
    assert main(["pretrain", "--out", str(tmp_path / "run"), "--resume"]) == 0


@pytest.fixture(scope="module")
def two_encoders(labeled, tiny, tmp_path_factory):
    """Runs to start from."""
    folder = tmp_path_factory.mktemp("encoders")
    for seed, name in enumerate(("one", "two")):
        train(replace(tiny, steps=1, seed=seed), [labeled], folder / name)
    return folder


def test_a_run_keeps_what_it_started_from(labeled, joint, two_encoders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(two_encoders)
    run, config = tmp_path / "run", replace(joint, init="one", steps=1)
    train(config, [labeled], run)
    assert json.loads((run / "config.json").read_text())["config"]["init"] == str(two_encoders / "one")
    resume = ["pretrain", "--out", str(run), "--resume"]
    assert main([*resume, "--init", "two"]) == 2
    output = capsys.readouterr().err
    assert f"cannot be resumed with --init two: it has started from {two_encoders / 'one'}" in output
    assert main([*resume, "--init", "nowhere"]) == 2 and "with --init nowhere: it has" in capsys.readouterr().err
    shutil.copytree("one", tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    for same in (str(two_encoders / "one"), "copy"):
        assert main([*resume, "--init", same]) == 0, "the same encoder, wherever it is now"
    train(replace(config, init=""), [labeled], run, resume=True)  # it need not be named again
    assert json.loads((run / "config.json").read_text())["config"]["init"] == str(two_encoders / "one")


def test_a_run_from_random_weights_takes_no_encoder_later(labeled, joint, two_encoders, tmp_path):
    train(replace(joint, steps=1), [labeled], tmp_path / "run")
    later = replace(joint, steps=1, init=str(two_encoders / "one"))
    with pytest.raises(InputError, match="it has started from random weights; leave `init` out"):
        train(later, [labeled], tmp_path / "run", resume=True)


def test_a_run_killed_before_its_first_checkpoint_keeps_it_too(labeled, joint, two_encoders, tmp_path, monkeypatch):
    run, config = tmp_path / "run", replace(joint, init=str(two_encoders / "one"), steps=1)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("pretrain.run._trainer", interrupted)
        train(config, [labeled], run)
    with pytest.raises(InputError, match=f"it has started from {two_encoders / 'one'}"):
        train(replace(config, init=str(two_encoders / "two")), [labeled], run, resume=True)
    train(replace(config, init=""), [labeled], run, resume=True)
    train(config, [labeled], tmp_path / "whole")
    assert fingerprint(run) == fingerprint(tmp_path / "whole")


def interrupted(*_):
    raise KeyboardInterrupt


def test_held_out_windows_without_labels_give_no_loss_and_no_crash(labeled, joint, tmp_path, capsys):
    method, data = replace(joint.method, cpc=0.0), replace(joint.data, validation=("rec4",))
    train(replace(joint, method=method, data=data, steps=5), [labeled], tmp_path / "run")
    assert "too little was seen in them, to validate on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "cpc", "--labeled", "rec0"], "this recipe learns from no labels; choose joint"),
        (["--recipe", "joint", "--labeled", "mouse*"], "--labeled: .*no recording matches 'mouse"),
        (["--recipe", "joint", "--streams", "nope"], "labels called 'nope'"),
        (["--recipe", "joint", "--data.recordings_per_batch", "2"], "leave it at 0"),
        (["--recipe", "joint", "--init", "missing"], "there is no such run or checkpoint folder"),
    ],
)
def test_mistakes_with_labels_are_one_sentence(labeled, tmp_path, capsys, words, message):
    assert main(["pretrain", str(labeled), "--out", str(tmp_path / "run"), *words]) == 2
    assert re.search(message, capsys.readouterr().err) and not (tmp_path / "run").exists()


def test_a_split_that_learns_what_it_scores_is_refused(labeled, tmp_path, capsys):
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["*"], "test": ["rec3"]}))
    arguments = ["pretrain", str(labeled), "--out", str(tmp_path / "run"), "--recipe", "joint", "--split", str(split)]
    assert main(arguments) == 2
    assert "'rec3' is in the training part of the split and in another" in capsys.readouterr().err


def test_a_linear_reading_knows_the_labels_before_the_first_step(labeled, joint):
    scores = {}
    for share in (0.0, 0.5):
        config = replace(joint, method=replace(joint.method, labels=replace(joint.method.labels, linear=share)))
        config = complete_config(config, [labeled])
        data = open_data([labeled], config.data, 0, config.labels)
        method = new_method(config, data)
        method.fit_inputs(data.train)
        scores[share] = label_scores(method.eval(), data.train, torch.float32)["ap/what"]
    assert scores[0.5] > 0.6 > scores[0.0], scores


def test_probabilities_are_the_heads_and_the_readings_by_share(labeled, joint):
    predicted = {}
    for share in (0.0, 0.25, 1.0):
        config = replace(joint, method=replace(joint.method, labels=replace(joint.method.labels, linear=share)))
        config = complete_config(config, [labeled])
        data = open_data([labeled], config.data, 0, config.labels)
        method = new_method(config, data)
        method.fit_inputs(data.train)
        predicted[share] = method.eval().label_probabilities(data.train.read([(0, 0, 97)]), "1")["what"]
    torch.testing.assert_close(predicted[0.25], 0.75 * predicted[0.0] + 0.25 * predicted[1.0])
    assert not torch.allclose(predicted[0.0], predicted[1.0], atol=0.05)


def test_the_reading_is_of_the_trained_encoder_in_the_end(labeled, joint, tmp_path):
    config = replace(joint, steps=3, optim=replace(joint.optim, lr=0.05))
    train(config, [labeled], tmp_path / "run")
    method = load_checkpoint(tmp_path / "run")
    kept = {name: tensor.clone() for name, tensor in method.linear_readings.state_dict().items()}
    config = complete_config(config, [labeled])
    data = open_data([labeled], config.data, 0, config.labels)
    fresh = new_method(config, data)
    fresh.fit_inputs(data.train)
    before = fresh.linear_readings.state_dict()
    method.finish(data.train)
    again = method.linear_readings.state_dict()
    assert all(torch.allclose(kept[name], again[name], atol=1e-4) for name in kept)
    assert not all(torch.allclose(kept[name], before[name], atol=1e-2) for name in kept)


@pytest.fixture(scope="module")
def summaries_run(labeled, tiny_summaries, tmp_path_factory):
    run = tmp_path_factory.mktemp("summaries") / "run"
    train(replace(tiny_summaries, steps=2), [labeled], run)
    return run


def test_labels_fine_tune_an_encoder_of_summary_prediction(labeled, joint, summaries_run, tmp_path):
    """It has no contexts: heads read the latents, and nothing is predicted."""
    config = replace(joint, init=str(summaries_run), method=replace(joint.method, cpc=0.0), steps=2)
    train(config, [labeled], tmp_path / "run")
    method, other = load_checkpoint(tmp_path / "run"), load_checkpoint(summaries_run)
    assert method.channel_groups == {"latent": other.config.encoder.latent_dim}
    assert method.label_heads is not None and method.config.encoder == other.config.encoder
    complete = complete_config(config, [labeled])
    begun = new_method(complete, open_data([labeled], complete.data, 0, complete.labels))
    assert take_encoder(begun, config.init) == ("featurizer", "embedder", "contexters")
    for key, value in other.embedder.state_dict().items():
        assert torch.equal(begun.embedder.state_dict()[key], value)


def test_labels_and_tracks_go_on_with_what_an_encoder_has_learned_from_tracks(labeled, joint, summaries_run, tmp_path):
    run = tmp_path / "run"
    config = replace(joint, init=str(summaries_run), steps=2)
    train(config, [labeled], run)
    method, other = load_checkpoint(run), load_checkpoint(summaries_run)
    assert (method.config.cpc, method.config.summary) == (0.0, joint.method.cpc)
    assert (
        method.config.targets.summaries == other.config.summaries
        and method.targets.program_codes.programs.names == other.targets.program_codes.programs.names
    )
    for name in ("targets.program_codes", "targets.summaries", "embedder.coding"):
        one, two = (part.get_submodule(name).state_dict() for part in (method, other))
        assert one and all(torch.equal(one[key], two[key]) for key in two)
    assert not torch.equal(method.targets.head.weight, other.targets.head.weight), "it learns on"
    fresh = method.fresh(0).state_dict()
    assert all(torch.equal(fresh[name], value) for name, value in method.state_dict().items() if "summaries" in name)
    train(config, [labeled], run, resume=True)  # named again, it goes on


def test_summaries_of_an_encoder_without_a_mixer_and_wrong_weights_are_refused(labeled, joint):
    with pytest.raises(InputError, match="joint: summary needs an encoder with a mixer"):
        complete = complete_config(replace(joint, method=replace(joint.method, summary=1.0)), [labeled])
        new_method(complete, open_data([labeled], complete.data, 0, complete.labels))
    with pytest.raises(InputError, match="weights cpc and summary must be 0 or more"):
        replace(joint, method=replace(joint.method, summary=-1.0))


def test_the_weight_of_summaries_is_that_of_its_own_option(labeled, joint, summaries_run):
    asked = replace(joint, init=str(summaries_run), method=replace(joint.method, summary=0.2))
    method = complete_config(asked, [labeled]).method
    assert (method.cpc, method.summary) == (0.0, 0.2)


def test_fine_tuning_goes_on_and_labels_and_tracks_begin_at_a_fine_tuned_encoder(
    labeled, joint, summaries_run, tmp_path
):
    tuned, run = tmp_path / "tuned", tmp_path / "run"
    config = replace(joint, init=str(summaries_run), method=replace(joint.method, cpc=0.0), steps=1)
    for resume in (False, True):
        train(config, [labeled], tuned, resume=resume)
    train(replace(joint, init=str(tuned), steps=1), [labeled], run)
    method = load_checkpoint(run)
    assert method.config.summary and method.targets.program_codes.scale > 0, "targets were fitted for it"


def test_summaries_start_from_summaries_and_others_are_fitted_anew(labeled, tiny_summaries, summaries_run, tmp_path):
    other = load_checkpoint(summaries_run)
    for name, weight in (("same", other.config.program_weight), ("other", 0.9)):
        method = replace(tiny_summaries.method, program_weight=weight)
        config = replace(tiny_summaries, init=str(summaries_run), method=method, steps=1)
        train(config, [labeled], tmp_path / name)
        scale = load_checkpoint(tmp_path / name).targets.program_codes.scale / other.targets.program_codes.scale
        assert abs(float(scale) - weight / other.config.program_weight) < 0.1


def test_contexts_that_an_encoder_has_not_are_refused(labeled, joint, summaries_run):
    method = replace(joint.method, cpc=0.0, labels=replace(joint.method.labels, reads="contexts"))
    with pytest.raises(InputError, match=r"reads is contexts, and encoder\.directions none"):
        complete_config(replace(joint, init=str(summaries_run), method=method), [labeled])

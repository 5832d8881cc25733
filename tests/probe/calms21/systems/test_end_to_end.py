"""Systems whose training is the pretraining job: what they may learn from, and what is trained only once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probe.calms21 import encoder_cache
from probe.calms21.effort_presets import EFFORTS
from probe.calms21.systems import EndToEnd, EndToEndConfig, FrozenAnnotatorProbe, PostprocessingConfig, run_system
from probe.experiment import BALANCED, PLAIN, Problem
from probe.representations import Representation
from probe.tasks import make_task, parse_macro, task_parts
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels
from ssl_behavior.splits import Split
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording

LENGTHS = (211, 157, 193, 173, 149, 181, 199)
SETTINGS = EFFORTS["minutes"].settings("joint") | {
    "steps": 2, "data.window_frames": 150, "data.batch_size": 4, "loop.validate_every": 1,
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """Two annotators of "behavior", and "groom" in some recordings; the last is to be scored on."""
    recordings = []
    for number, frames in enumerate(LENGTHS):
        made = make_recording(f"r{number}", frames)
        labels = {"behavior": replace(made.labels["behavior"], annotator=str(1 + number % 2))}
        if number in (4, 5):
            shown = np.arange(frames) // 23 % 2
            labels = {"groom": Labels(vocabulary=("other", "groom"), frames=shown, background="other")}
        recordings.append(replace(made, labels=labels))
    return write_store(tmp_path / "store", recordings)


def problem_of(store, part):
    task = task_parts(replace(make_task(store, "behavior"), annotators=("1", "2")))[part]
    return Problem(store, task, parse_macro(task))


def system_of(store, tmp_path, extra_rows=(), recipe="joint", settings=SETTINGS, **config):
    config = EndToEndConfig(recipe=recipe, settings=settings, **config)
    return EndToEnd("end to end", "a test", config, tmp_path / "runs", store, [store.row(name) for name in extra_rows])


def recorded(run):
    return json.loads((Path(run) / "config.json").read_text())["config"]


def test_parts_with_the_same_training_recordings_share_a_run(store, tmp_path):
    extra_rows = ["r0", "r1", "r2", "r3", "r4", "r5"]
    system = system_of(store, tmp_path, extra_rows, all_tasks=True)
    said = {}
    for part, names in (("annotator 1", ["r0", "r2"]), ("annotator 2", ["r1", "r3"])):
        problem = problem_of(store, part)
        fitted = system.fit(problem, [store.row(name) for name in names], 0)
        said[part] = fitted.predict([store.row("r6")])
        assert recorded(fitted.facts["run"])["data"]["labeled"] == extra_rows
    assert len([path for path in (tmp_path / "runs").iterdir() if path.is_dir()]) == 1
    streams = [stream["name"] for stream in recorded(fitted.facts["run"])["method"]["labels"]["streams"]]
    assert streams == ["behavior", "groom"]
    probability = said["annotator 1"][PLAIN]
    assert probability.shape == (LENGTHS[6], 3) and np.allclose(probability.sum(axis=1), 1, atol=1e-5)
    assert not np.array_equal(probability, said["annotator 1"][BALANCED])
    weighed = system_of(
        store, tmp_path, extra_rows, settings=SETTINGS | {"method.labels.balanced": True}, all_tasks=True
    )
    both = weighed.fit(problem_of(store, "annotator 1"), [store.row("r0"), store.row("r2")], 0).predict(
        [store.row("r6")]
    )
    assert np.array_equal(both[PLAIN], both[BALANCED]), (
        "classes that weighed the same in training are not weighed again"
    )


def test_fold_excludes_labels_of_held_out_recordings_only(store, tmp_path):
    extra_rows = ["r0", "r1", "r2", "r3", "r4"]
    system = system_of(store, tmp_path, extra_rows, all_tasks=True)
    fitted = system.fit(problem_of(store, "annotator 1"), [store.row("r0")], 0)
    assert recorded(fitted.facts["run"])["data"]["labeled"] == ["r0", "r1", "r3", "r4"]


def test_single_task_system_trains_on_its_stream_without_scored_tracks(store, tmp_path):
    tracks = ("r0", "r1", "r2", "r3", "r4")
    system = system_of(store, tmp_path, recipe="finetune", tracks=tracks)
    fitted = system.fit(problem_of(store, "annotator 2"), [store.row("r1"), store.row("r3")], 3)
    config = recorded(fitted.facts["run"])
    assert config["data"]["labeled"] == ["r1", "r3"] and config["data"]["recordings"] == list(tracks)
    assert [stream["name"] for stream in config["method"]["labels"]["streams"]] == ["behavior"]
    assert config["seed"] == 3 and system.extra_training_rows == ()
    assert config["data"]["validation_share"] == 0.0, "nothing is held out where nothing is chosen"
    again = system.fit(problem_of(store, "annotator 2"), [store.row("r1"), store.row("r3")], 3)
    assert again.facts["run"] == fitted.facts["run"]


def test_finished_run_is_reused_and_interrupted_run_continues(store, tmp_path, monkeypatch):
    system = system_of(store, tmp_path, recipe="finetune", tracks=("r1", "r3"))
    rows = [store.row("r1"), store.row("r3")]

    def interrupted(*_, **__):
        raise SystemExit(130)

    with monkeypatch.context() as stopped:
        stopped.setattr(encoder_cache, "train", interrupted)
        with pytest.raises(SystemExit, match="130"):
            system.fit(problem_of(store, "annotator 2"), rows, 0)
    trained = system.fit(problem_of(store, "annotator 2"), rows, 0).facts
    assert trained["checkpoint"] == "step-000000002"
    monkeypatch.setattr(encoder_cache, "train", lambda *_, **__: pytest.fail("it was trained again"))
    assert system.fit(problem_of(store, "annotator 2"), rows, 0).facts["run"] == trained["run"]


def test_labeled_only_trains_on_labeled_tracks_only(store, tmp_path):
    system = system_of(store, tmp_path, recipe="finetune", tracks=("r0", "r1", "r3"), labeled_only=True)
    fitted = system.fit(problem_of(store, "annotator 2"), [store.row("r1"), store.row("r3")], 0)
    assert recorded(fitted.facts["run"])["data"]["recordings"] == ["r1", "r3"]


def test_best_checkpoint_without_held_out_labels(store, tmp_path):
    settings = SETTINGS | {"data.validation_share": 0.0}
    system = system_of(store, tmp_path, recipe="finetune", settings=settings, best=True)
    fitted = system.fit(problem_of(store, "annotator 1"), [store.row("r0"), store.row("r2")], 0)
    assert fitted.facts["checkpoint"] == "step-000000002"


def test_rare_class_sampling_conflicts_with_balanced_scores():
    with pytest.raises(InputError, match="rare_share"):
        EndToEndConfig(recipe="joint", settings={"data.sampling.rare_share": 0.5})


def test_unknown_style_has_a_note(store, tmp_path):
    system = system_of(store, tmp_path, recipe="finetune")
    task = make_task(store, "behavior")
    fitted = system.fit(Problem(store, task, parse_macro(task)), [store.row("r0"), store.row("r2")], 0)
    fitted.predict([store.row("r6"), store.row("r1"), store.row("r3")])
    assert fitted.facts["styles"] == {"1": "1", "2": "1"}
    assert fitted.facts["notes"] == [
        "labels behavior: annotator '2' was not learned, so frames are labeled as annotator '1', the only learned one, "
        "would"
    ]


def test_frozen_annotator_probe_learns_all_styles(store):
    generator = np.random.default_rng(0)
    shown = np.maximum(store.labels("behavior"), 0)
    array = (np.eye(3)[shown] * 2 + generator.normal(size=(store.num_frames, 3))).astype(np.float32)
    extra_rows = [store.row(f"r{number}") for number in range(4)]
    system = FrozenAnnotatorProbe(Representation("known", (array,)), store, extra_rows, stride=2)
    problem = problem_of(store, "annotator 1")
    fitted = system.fit(problem, [store.row("r0"), store.row("r2")], 0)
    assert fitted.facts["annotators"] == ["1", "2"] and system.extra_training_rows == tuple(extra_rows)
    said = fitted.predict([store.row("r6")])[PLAIN]
    truth = store.labels("behavior")[store.row("r6").slice]
    assert (said.argmax(axis=1) == truth)[truth >= 0].mean() > 0.8


def test_annotators_with_the_same_recordings_share_a_head(store, monkeypatch):
    array = np.random.default_rng(0).normal(size=(store.num_frames, 3)).astype(np.float32)
    train, heads, learned = [store.row(f"r{number}") for number in range(4)], {}, []
    made = FrozenAnnotatorProbe._learned
    monkeypatch.setattr(FrozenAnnotatorProbe, "_learned", lambda self, *a: learned.append(a[1]) or made(self, *a))
    said = {}
    for annotator in ("1", "2"):
        system = FrozenAnnotatorProbe(Representation("noise", (array,)), store, train, stride=2, heads=heads)
        problem = problem_of(store, f"annotator {annotator}")
        rows = [row for row in train if row.annotators["behavior"] == annotator]
        said[annotator] = system.fit(problem, rows, 0).predict([store.row("r6")])[PLAIN]
    assert len(learned) == len(heads) == 1
    assert not np.array_equal(said["1"], said["2"])
    # Of fewer recordings another one is learned.
    system.fit(problem, rows[:1], 0)
    assert len(learned) == 2


def test_tasks_share_the_fold_runs_of_a_joint_model(store, tmp_path):
    extra_rows = ["r0", "r1", "r2", "r3", "r4", "r5"]
    system = system_of(store, tmp_path, extra_rows, all_tasks=True)
    groom = replace(make_task(store, "groom"), kind="binary")
    problems = {
        ("r0", "r2"): problem_of(store, "annotator 1"),
        ("r1", "r3"): problem_of(store, "annotator 2"),
        ("r4", "r5"): Problem(store, groom, parse_macro(groom)),
    }
    seen = []
    for names, problem in problems.items():
        learned = tuple(store.row(name) for name in names)
        split = Split(learned, (), (store.row("r6"),), "test", False, "by hand")
        predictions = run_system(system, problem, split, 0, PostprocessingConfig(folds=2))
        models = predictions.facts["models"]
        assert [recorded(model["run"])["data"]["labeled"] for model in models] == seen or not seen
        seen = [recorded(model["run"])["data"]["labeled"] for model in models]
        assert all(len(set(labeled) & set(names)) == 1 for labeled in seen), "a model learns one of the two recordings"
    assert sorted(seen[0] + seen[1]) == extra_rows, "each fold leaves out what the other learns"
    assert len([path for path in (tmp_path / "runs").iterdir() if path.is_dir()]) == 2


def test_problem_with_too_few_common_folds_has_its_own(store, tmp_path):
    rows = [store.row(name) for name in ("r0", "r1", "r2", "r3")]
    system = system_of(store, tmp_path, ["r0", "r1", "r2", "r3", "r4", "r5"], all_tasks=True)
    task = make_task(store, "behavior")
    few = Problem(store, task, parse_macro(task))
    for num_folds in (2, 3, 4):
        folds = system.folds(few, rows, num_folds, 0)
        assert len(folds) == num_folds
        assert sorted(row.id for fold in folds for row in fold.held_out) == ["r0", "r1", "r2", "r3"]

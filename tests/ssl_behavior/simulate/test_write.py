import hashlib
import json

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.simulate import write
from ssl_behavior.simulate.group_plans import group_plans
from ssl_behavior.simulate.recording_plans import Plan, calms21_files, equal_plans, simulate_plan
from ssl_behavior.simulate.write import simulate_calms21, simulate_store, write_plans


def _contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_store_holds_the_planned_recordings(tmp_path):
    store = simulate_store(tmp_path / "store", 7, 211, seed=3, tasks=("behavior", "groom"))
    plans = equal_plans(7, 211, tasks=("behavior", "groom"))
    assert [row.id for row in store.rows] == [plan.id for plan in plans]
    assert set(store.streams) == {"behavior", "groom"}
    assert store.stream("behavior").background == "other"
    expected = simulate_plan(plans[4], 3)
    found = store.recording(plans[4].id)
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)
    np.testing.assert_array_equal(found.labels["groom"].frames, expected.labels["groom"].frames)
    assert {row.subset for row in store.rows} == {"train", "validation", "test"}


def test_the_result_does_not_depend_on_the_workers(tmp_path):
    for workers in (1, 3):
        simulate_store(tmp_path / f"store{workers}", 11, 307, workers=workers, missing=0.1)
        simulate_calms21(tmp_path / f"json{workers}", 0.001, workers=workers)
    assert _contents(tmp_path / "store1") == _contents(tmp_path / "store3")
    assert _contents(tmp_path / "json1") == _contents(tmp_path / "json3")


def test_groups_of_several_sizes_share_a_store_and_do_not_depend_on_the_workers(tmp_path):
    plans = group_plans(9, 607, (1, 2, 4), missing=0.05, swaps=0.5, not_looked_for=0.5)
    stores = [write_plans(tmp_path / f"store{workers}", plans, 3, workers=workers) for workers in (1, 3)]
    assert _contents(stores[0].path) == _contents(stores[1].path)
    assert stores[0].individuals == ("mouse1", "mouse2", "mouse3", "mouse4") and stores[0].skeleton.exchangeable
    assert {len(row.absent) for row in stores[0].rows} == {0, 2, 3}
    for plan in plans:
        expected, found = simulate_plan(plan, 3), stores[0].recording(plan.id)
        np.testing.assert_array_equal(found.keypoints, expected.keypoints)
        assert set(found.pair_labels) == {"interactions", "identity_swaps"}
        for number, behavior in enumerate(found.pair_labels["interactions"].vocabulary):
            same = expected.pair_labels["interactions"].vocabulary.index(behavior)
            for agent in range(4):
                for target in range(4):
                    np.testing.assert_array_equal(
                        found.pair_labels["interactions"].frames(agent, target, number, 607),
                        expected.pair_labels["interactions"].frames(agent, target, same, 607),
                    )


def test_no_plans_are_refused(tmp_path):
    with pytest.raises(InputError, match="no recordings to write"):
        write_plans(tmp_path / "store", [], 0)


def test_the_calms21_layout_is_the_releases(tmp_path):
    seen = []
    out = simulate_calms21(tmp_path / "calms21", 0.001, on_written=lambda plan, recording: seen.append(plan.id))
    files = calms21_files(0.001)
    assert {str(p.relative_to(out)) for p in out.rglob("*.json")} == {
        "simulated.json",
        *(f"{name}.json" for name in files),
    }
    for name, groups in files.items():
        read = json.loads((out / f"{name}.json").read_text())
        assert {g: list(s) for g, s in read.items()} == {g: [p.id for p in plans] for g, plans in groups.items()}
        for group, plans in groups.items():
            for plan in plans:
                sequence = read[group][plan.id]
                assert np.shape(sequence["keypoints"]) == (plan.num_frames, 2, 2, 7)
                assert ("annotations" in sequence) == (plan.subset != "unlabeled")
    assert len(seen) == sum(len(plans) for groups in files.values() for plans in groups.values())
    read = json.loads((out / "task3_new_behaviors/calms21_task3_train.json").read_text())
    sequence = read["groom"]["task3/groom/train/mouse001_task3_groom"]
    assert sequence["metadata"]["vocab"] == {"other": 0, "groom": 1}


def test_existing_output_is_replaced_only_with_overwrite(tmp_path):
    simulate_store(tmp_path / "store", 2, 31)
    before = _contents(tmp_path / "store")
    with pytest.raises(InputError, match="exists already"):
        simulate_store(tmp_path / "store", 3, 31)
    with pytest.raises(InputError, match="exists already"):
        simulate_calms21(tmp_path / "store", 0.001)
    assert _contents(tmp_path / "store") == before
    assert len(simulate_store(tmp_path / "store", 3, 31, overwrite=True)) == 3


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(plan, seed):
        raise RuntimeError(plan.id)

    monkeypatch.setattr(write, "simulate_plan", fail)
    for simulate in (lambda: simulate_store(tmp_path / "a", 3, 31), lambda: simulate_calms21(tmp_path / "b", 0.001)):
        with pytest.raises(RuntimeError):
            simulate()
    assert not list(tmp_path.iterdir())


def test_two_recordings_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="id 'twice'"):
        write_plans(tmp_path / "store", [Plan(id="twice", num_frames=5)] * 2, 0)


def test_zero_workers_raise(tmp_path):
    with pytest.raises(InputError, match="workers"):
        simulate_store(tmp_path / "store", 2, 31, workers=0)

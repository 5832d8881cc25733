import hashlib
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.importer import import_release
from ssl_behavior.io import calms21_release
from ssl_behavior.io.calms21_release import PARTS, check_release, find_release, release_features
from ssl_behavior.simulate.recording_plans import calms21_files
from ssl_behavior.store import Store

URL = "https://data.caltech.edu/records/s0vdx-0k302"


@pytest.fixture
def release(make, tmp_path):
    """The release, with recordings of a few frames, unpacked."""
    folder, seed = tmp_path / "release", 0
    for key, part in PARTS.items():
        (folder / part.name).mkdir(parents=True)
        for name in part.files:
            subset = name.partition("_")[2] if key != "unlabeled" else "unlabeled"
            contents = {}
            for group in part.groups:
                where = {"task1": "task1", "task2": f"task2/annotator{group[-1]}", "task3": f"task3/{group}"}.get(
                    key, ""
                )
                contents[group] = {}
                for number in (1, 2):
                    seed += 1
                    values = make.calms21_sequence(
                        5 + seed % 7, seed, None if key == "unlabeled" else np.arange(5 + seed % 7) % 2, group[-1],
                        {"other": 0, group: 1} if key == "task3" else None,
                    )  # fmt: skip
                    id = f"{where}/{subset}/mouse{number:03d}" if where else f"unlabeled_videos/{name}_{number}"
                    contents[group][id] = values
            make.write_calms21_json(folder / part.name / f"calms21_{name}.json", contents)
    return folder


def test_simulated_releases_have_the_same_files_and_groups():
    groups = {f"{part.name}/calms21_{name}": list(part.groups) for part in PARTS.values() for name in part.files}
    assert {name: list(plans) for name, plans in calms21_files(1e-3).items()} == groups


def pack(release, part, keep=False):
    """Replace a part's folder by its zip."""
    folder = release / PARTS[part].name
    with zipfile.ZipFile(release / f"{folder.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{folder.name}/{file.name}")
    if not keep:
        shutil.rmtree(folder)
    return release / f"{folder.name}.zip"


def add_features(release, part):
    for file in sorted((release / PARTS[part].name).glob("calms21_*.json")):
        contents = {
            group: {name: {"features": np.zeros((len(v["keypoints"]), 32)).tolist()} for name, v in sequences.items()}
            for group, sequences in json.loads(file.read_text()).items()
        }
        name = file.name.replace("calms21_", "taskprog_features_")
        (file.parent / name).write_text(json.dumps(contents))


def contents_of(store):
    rows = {row.id: (row.subset, dict(row.annotators), row.content_hash) for row in store.rows}
    labels = {stream: store.labels(stream).tolist() for stream in store.streams}
    return rows, labels


def test_unpacked_and_packed_releases_give_one_and_the_same_store(release, tmp_path):
    found = find_release(release)
    assert found.whole == tuple(PARTS) and not found.notes and not found.missing_part_notices() and not found.archives()
    import_release(found, tmp_path / "unpacked")
    for part in PARTS:
        pack(release, part)
    packed = find_release(release)
    assert packed.whole == tuple(PARTS) and list(packed.archives()) == list(PARTS)
    report = import_release(packed, tmp_path / "packed")
    one, other = Store(tmp_path / "unpacked"), Store(tmp_path / "packed")
    # The members of a zip lie in the order of their names, so test comes before train there.
    rows, _ = contents_of(one)
    assert rows == contents_of(other)[0] and len(report.recordings) == len(one)
    assert set(one.streams) == {"behavior", *PARTS["task3"].groups}
    assert {row.subset for row in one.rows} == {"train", "test", "unlabeled"}
    annotators = {row.id.split("/")[0]: set() for row in one.rows}
    for row in one.rows:
        annotators[row.id.split("/")[0]] |= {row.annotators["behavior"]} if "behavior" in row.annotators else set()
    assert annotators == {"task1": {"0"}, "task2": set("12345"), "task3": set(), "unlabeled_videos": set()}


def test_parts_are_chosen(release, tmp_path):
    found = find_release(release)
    import_release(found, tmp_path / "store", ["task3"])
    assert {row.id.split("/")[0] for row in Store(tmp_path / "store").rows} == {"task3"}
    with pytest.raises(InputError, match=r"no parts \['task4'\]"):
        import_release(found, tmp_path / "none", ["task4"])
    shutil.rmtree(release / "task2_annotation_styles")
    with pytest.raises(InputError, match="none of the parts"):
        import_release(find_release(release), tmp_path / "none", ["task2"])
    assert not (tmp_path / "none").exists()


def test_location_of_unpacked_parts_does_not_matter(release):
    (release / "downloads" / "once more").mkdir(parents=True)
    (release / "task1_classic_classification").rename(release / "downloads" / "once more" / "task1")
    (release / ".hidden").mkdir()
    shutil.copy(release / "task2_annotation_styles" / "calms21_task2_test.json", release / ".hidden")
    assert find_release(release).whole == tuple(PARTS)


def test_unpacked_files_win_over_the_zip(release, tmp_path):
    archive = pack(release, "task1", keep=True)
    found = find_release(release)
    assert found.notes == (f"{archive}: skipped, because its tracks are there unpacked",) and not found.archives()
    report = import_release(found, tmp_path / "store")
    assert found.notes[0] in report.notices
    (release / "task1_classic_classification" / "calms21_task1_test.json").unlink()
    found = find_release(release)
    assert found.archives() == {"task1": archive} and "not all tracks" in found.notes[0]
    assert found.whole == tuple(PARTS)


def test_missing_parts_are_listed_with_their_uses(release):
    shutil.rmtree(release / "task2_annotation_styles")
    (release / "task3_new_behaviors" / "calms21_task3_train.json").unlink()
    found = find_release(release)
    assert found.whole == ("task1", "unlabeled")
    two, three = found.missing_part_notices()
    assert two == (
        f"{release} has neither task2_annotation_styles.zip nor the folder task2_annotation_styles: Task 2 cannot be "
        f"run without it; download task2_annotation_styles.zip from {URL}"
    )
    assert "has no calms21_task3_train.json: Task 3 cannot be run" in three
    found.require(["task1", "unlabeled"])
    with pytest.raises(InputError, match="Task 2 cannot be run"):
        found.require(["task1", "task2"])


def test_folder_without_release_raises(release, tmp_path):
    with pytest.raises(InputError, match="does not exist; give the folder"):
        find_release(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file; give the folder"):
        find_release(pack(release, "task1", keep=True))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no part of the CalMS21 release; expected task1_classic_classification, "):
        find_release(tmp_path / "empty")
    shutil.copytree(release / "task1_classic_classification", release / "again")
    with pytest.raises(InputError, match=r"calms21_task1_test.json is in .* twice"):
        find_release(release)


def test_truncated_zip_raises_with_its_size(release):
    archive = pack(release, "task1")
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"it has 1,000 bytes, the release's has 457,357,950 from https"):
        find_release(release)


def test_wrong_size_or_md5_raises(release, monkeypatch):
    archive = pack(release, "task1")
    found = find_release(release)
    size = archive.stat().st_size
    with pytest.raises(InputError, match=f"{archive} has {size:,} bytes, the release's .* has 457,357,950; it was cut"):
        check_release(found)
    sums = {"size": size, "md5": hashlib.md5(archive.read_bytes()).hexdigest()}
    monkeypatch.setitem(PARTS, "task1", replace(PARTS["task1"], **sums))
    assert check_release(found) == []
    monkeypatch.setitem(PARTS, "task1", replace(PARTS["task1"], **sums | {"md5": "0" * 32}))
    assert check_release(found, hashes=False) == []
    with pytest.raises(InputError, match=rf"MD5 sum {sums['md5']}, the release's .* has 0000.* download it again"):
        check_release(found)
    assert check_release(found, parts=["task2"]) == []


@pytest.mark.parametrize("factor, fits", [(0.94, False), (0.96, True), (1.049, True), (1.06, False)])
def test_sizes_known_in_megabytes_are_compared_loosely(release, monkeypatch, factor, fits):
    archive = pack(release, "task2")
    size = round(archive.stat().st_size * factor)
    monkeypatch.setitem(PARTS, "task2", replace(PARTS["task2"], size=size))
    if fits:
        assert check_release(find_release(release), hashes=False) == []
    else:
        with pytest.raises(InputError, match="has about"):
            check_release(find_release(release), hashes=False)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("part, group", [("task3", "groom"), ("task2", "annotator-id_4")])
def test_missing_behavior_or_annotator_raises(release, part, group, packed, monkeypatch):
    name = PARTS[part].files[1]
    file = release / PARTS[part].name / f"calms21_{name}.json"
    contents = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in contents.items() if key != group}))
    if packed:
        monkeypatch.setitem(PARTS, part, replace(PARTS[part], size=0))
        pack(release, part)
    found = find_release(release)
    with pytest.raises(InputError, match=rf"calms21_{name}.json has no recording of {group}; it has .*, or allow"):
        check_release(found, hashes=False)
    (notice,) = check_release(found, hashes=False, partial=True)
    assert f"no recording of {group}" in notice


def test_progress_counts_every_byte(release):
    archive = pack(release, "task1")
    seen = []
    calms21_release._md5(archive, seen.append)
    assert sum(seen) == archive.stat().st_size


@pytest.mark.parametrize("packed", [False, True])
def test_released_features_are_found_beside_the_tracks(release, tmp_path, packed):
    add_features(release, "task1")
    add_features(release, "task2")
    if packed:
        pack(release, "task1")
    found = find_release(release)
    assert found.whole == tuple(PARTS) and len(found.features["task1"]) == 2
    features = release_features(found, ["task1"])
    import_release(found, tmp_path / "store", ["task1"])
    lengths = {row.id: row.frames for row in Store(tmp_path / "store").rows}
    assert {name: len(values) for name, values in features.read(lengths)} == lengths
    with pytest.raises(InputError, match=r"no taskprog_features_\*.json beside the tracks of task3_new_behaviors"):
        release_features(found, ["task1", "task3"])

from dataclasses import replace

import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import ROLES, SKELETONS, Skeleton, front_and_back, load_skeleton, save_skeleton

THREE = Skeleton(name="three", keypoints=("a", "b", "c"), roles={"nose": "a", "tail_base": "c"})


@pytest.mark.parametrize("name", SKELETONS)
def test_built_in_skeletons_have_what_the_features_ask_for(name):
    skeleton = SKELETONS[name]
    assert load_skeleton(name) is skeleton and skeleton.num_individuals == 2
    assert skeleton.role("neck", "center", "head", "nose") != skeleton.role("tail_base")


@pytest.mark.parametrize("name", SKELETONS)
def test_mirroring_twice_is_nothing(name):
    order = SKELETONS[name].mirror_order()
    assert [order[i] for i in order] == list(range(len(order)))


def test_left_and_right_are_exchanged():
    skeleton = SKELETONS["calms21"]
    names = [skeleton.keypoints[i] for i in skeleton.mirror_order()]
    assert names == ["nose", "right_ear", "left_ear", "neck", "right_hip", "left_hip", "tail_base"]


def test_the_first_role_there_is_counts():
    assert THREE.role("neck", "nose", "tail_base") == 0
    with pytest.raises(
        InputError, match=r"no keypoint with the role 'neck' or 'head' \(it has \['nose', 'tail_base'\]"
    ):
        THREE.role("neck", "head")


WRONG = {
    "no keypoints": ({"keypoints": ()}, "names no keypoints"),
    "repeated keypoint": ({"keypoints": ("a", "c", "c")}, r"keypoint names must differ, got \['c'\]"),
    "repeated animal": ({"individuals": ("x", "x")}, r"individual names must differ, got \['x'\]"),
    "edge": ({"edges": (("a", "z"),)}, "an edge names 'z'"),
    "mirror pair": ({"mirror_pairs": (("a", "z"),)}, "a mirror pair names 'z'"),
    "role's keypoint": ({"roles": {"nose": "z"}}, "role 'nose' names 'z'"),
    "role": ({"roles": {"fin": "a"}}, "unknown roles"),
    "point in two mirror pairs": ({"mirror_pairs": (("a", "b"), ("a", "c"))}, "mirror pair"),
    "point its own mirror": ({"mirror_pairs": (("a", "a"),)}, "mirror pair"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_skeleton_is_refused(case):
    changes, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        replace(THREE, **changes)


BAD_FILES = {
    "not TOML": ("name = ", "not TOML"),
    "no name": ("keypoints = ['a']", "the key 'name' is missing"),
    "no keypoints": ("name = 'x'", "the key 'keypoints' is missing"),
    "unknown key": ("name = 'x'\nkeypoints = ['a']\nlegs = 4", r"unknown keys \['legs'\]"),
    "number for a name": ("name = 'x'\nkeypoints = [1]", "expected a name in quotes, got 1"),
    "one name for a list": ("name = 'x'\nkeypoints = 'nose'", "keypoints"),
    "edge of three": ("name = 'x'\nkeypoints = ['a']\nedges = [['a', 'a', 'a']]", "expected a pair"),
    "roles as a list": ("name = 'x'\nkeypoints = ['a']\nroles = ['nose']", "roles"),
    "text for yes or no": ("name = 'x'\nkeypoints = ['a']\nexchangeable = 'no'", "exchangeable"),
    "number for a list": ("name = 'x'\nkeypoints = 3", "keypoints"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_invalid_file_raises_with_its_name(case, tmp_path):
    text, message = BAD_FILES[case]
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_skeleton(str(tmp_path / "mine.toml"))
    assert "mine.toml" in str(caught.value)


def test_missing_file_raises(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "bytes", tmp_path / "bytes" / "below"):
        with pytest.raises(InputError, match=path.name):
            load_skeleton(str(path))


ODD = Skeleton(
    name='quo"te \\ back \n line \t tab \x7f é 🐀',
    keypoints=('"', "\\", "left ear"),
    roles=dict(zip(ROLES[:3], ('"', "\\", "left ear"), strict=True)),
    edges=(('"', "\\"),),
    mirror_pairs=(('"', "left ear"),),
    individuals=("a\\nb", "c"),
    exchangeable=True,
)


@pytest.mark.parametrize("skeleton", [*SKELETONS.values(), ODD, THREE], ids=lambda s: s.name[:3])
def test_what_is_saved_is_read_back(skeleton, tmp_path):
    save_skeleton(skeleton, tmp_path / "skeleton.toml")
    assert load_skeleton(str(tmp_path / "skeleton.toml")) == skeleton
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton


@pytest.mark.parametrize(
    ("roles", "ends"),
    [
        ({}, (0, 3)),
        ({"center": "b"}, (0, 3)),
        ({"nose": "b"}, (1, 3)),
        ({"nose": "d"}, (3, 0)),
        ({"tail_base": "c"}, (0, 2)),
        ({"tail_base": "a"}, (3, 0)),
        ({"head": "c", "tail_base": "b"}, (2, 1)),
    ],
)
def test_ends_of_a_drawn_body(roles, ends):
    assert front_and_back(Skeleton(name="s", keypoints=("a", "b", "c", "d"), roles=roles)) == ends

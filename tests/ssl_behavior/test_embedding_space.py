import numpy as np
import pytest
import torch

from ssl_behavior.embedding_space import Space, SpaceConfig, sample_frames
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import write_json

FRAMES = (211, 97, 151)
GROUPS = {"latent": 5, "time": 2, "features": 7}


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


def write_embeddings(folder, array, groups=GROUPS, checkpoint="c" * 64, frames=FRAMES):
    folder.mkdir(exist_ok=True)
    np.save(folder / "embeddings.npy", array)
    offsets = np.cumsum([0, *frames])
    rows = [
        {"id": f"r{n}", "offset": int(offset), "frames": many, "fps": 30.0}
        for n, (offset, many) in enumerate(zip(offsets, frames, strict=False))
    ]
    contents = {
        "format": "ssl-behavior embeddings", "version": 1, "channel_groups": groups, "checkpoint": checkpoint,
        "store": "s", "recordings": rows,
    }  # fmt: skip
    write_json(folder / "embeddings.json", contents)
    return Embeddings(folder)


@pytest.fixture
def array():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(sum(FRAMES), 3)) @ rng.normal(size=(3, 14)) * 3 + rng.normal(size=14) * 10
    return (values + 0.1 * rng.normal(size=values.shape)).astype(np.float16)


def test_columns_have_mean_0_and_spread_1_and_time_is_left_out(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array)
    space = Space.fit(embeddings)
    points = np.concatenate([block for _, block in space.blocks(embeddings)])
    assert points.shape == (sum(FRAMES), 12) and points.dtype == np.float32
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(points.std(axis=0), 1, atol=1e-4)
    kept = array[:, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13]].astype(np.float64)
    np.testing.assert_allclose(points, (kept - kept.mean(axis=0)) / kept.std(axis=0), atol=1e-3)


def test_named_groups_are_selected(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array)
    assert Space.fit(embeddings, SpaceConfig(only=("time",))).dim == 2
    assert Space.fit(embeddings, SpaceConfig(without=("lat*",))).dim == 9
    with pytest.raises(InputError, match="no columns 'latents'"):
        Space.fit(embeddings, SpaceConfig(only=("latents",)))


def test_principal_components_keep_distances_where_few_dimensions_hold_them(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array)
    whole, few = Space.fit(embeddings), Space.fit(embeddings, SpaceConfig(most_dims=4))
    frames = np.array([3, 400, 17, 250])
    a, b = whole.gather(embeddings, frames), few.gather(embeddings, frames)
    assert b.shape == (4, 4)
    distances = [np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (a, b)]
    np.testing.assert_allclose(distances[0], distances[1], atol=0.3)
    np.testing.assert_allclose(few.points(array[frames]), b, atol=1e-5)
    variance = np.concatenate([block for _, block in few.blocks(embeddings)]).var(axis=0)
    assert (np.diff(variance) <= 1e-6).all(), "the largest first"


def test_a_stretch_is_its_frames_and_what_was_embedded_stays_as_it_is(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array.astype(np.float32))
    space = Space.fit(embeddings, SpaceConfig(only=("*",)), rows=embeddings.rows[1:])
    assert space.dim == 14 and (array == embeddings.array).all()
    ((span, points),) = space.blocks(embeddings, slice(211, 308))
    assert span == slice(0, 97)
    np.testing.assert_array_equal(points, space.gather(embeddings, np.arange(211, 308)))
    np.testing.assert_allclose(space.mean.numpy(), array[211:].astype(float).mean(axis=0), atol=1e-3)
    array[220, 3] = np.nan
    bad = write_embeddings(tmp_path / "b", array)
    with pytest.raises(InputError, match="recording 'r1', frame 9, has numbers that are not finite"):
        list(space.blocks(bad, slice(211, 308)))


def test_unit_points_lie_on_a_sphere(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array)
    points = Space.fit(embeddings, SpaceConfig(unit=True)).gather(embeddings, np.arange(50))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_embeddings_of_one_group_are_read_and_left_as_they_are(tmp_path, array, dtype):
    embeddings = write_embeddings(tmp_path / "e", array.astype(dtype), groups={"latent": 14})
    block = array.astype(dtype)
    points = Space.fit(embeddings).points(block)
    assert np.array_equal(block, array.astype(dtype)) and points.std() > 0.5
    np.testing.assert_array_equal(embeddings.array, array.astype(dtype))


def test_a_space_read_back_gives_the_same_points(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array)
    space = Space.fit(embeddings, SpaceConfig(most_dims=3, unit=True))
    space.save(tmp_path)
    modes = {(tmp_path / name).stat().st_mode for name in ("space.json", "space.safetensors")}
    assert len(modes) == 1, "whoever may read one may read the other"
    again = Space.load(tmp_path)
    assert again.config == space.config and np.array_equal(again.points(array[:9]), space.points(array[:9]))
    (tmp_path / "space.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="is damaged: its space cannot be read"):
        Space.load(tmp_path)


def test_constant_column_is_zero(tmp_path, array):
    array[:, 0] = 4
    embeddings = write_embeddings(tmp_path / "e", array)
    assert not Space.fit(embeddings).points(array)[:, 0].any()
    constant = write_embeddings(tmp_path / "c", np.ones_like(array))
    with pytest.raises(InputError, match="all numbers are the same in every frame"):
        Space.fit(constant)


def test_nonfinite_numbers_raise_with_recording_and_frame(tmp_path, array):
    space = Space.fit(write_embeddings(tmp_path / "e", array))
    array[211 + 13, 3] = np.nan
    bad = write_embeddings(tmp_path / "b", array)
    for do in (lambda: list(space.blocks(bad)), lambda: Space.fit(bad), lambda: space.gather(bad, np.array([5, 224]))):
        with pytest.raises(InputError, match="recording 'r1', frame 13, has numbers that are not finite"):
            do()


def test_embeddings_of_another_encoder_or_columns_are_refused(tmp_path, array):
    space = Space.fit(write_embeddings(tmp_path / "e", array))
    other = write_embeddings(tmp_path / "o", array, checkpoint="d" * 64)
    with pytest.raises(InputError, match=r"made by another checkpoint .* than the embeddings that the index was built"):
        space.check(other, "the index")
    fewer = write_embeddings(tmp_path / "f", array, groups={"latent": 14})
    with pytest.raises(InputError, match="embed with the same `only`"):
        space.check(fewer, "the index")


def test_a_sample_is_of_the_recordings_asked_for(tmp_path, array):
    embeddings = write_embeddings(tmp_path / "e", array)
    some = sample_frames(embeddings.rows[1:], 40, 0)
    assert len(set(some)) == 40 and (np.diff(some) > 0).all() and some.min() >= 211
    assert np.array_equal(sample_frames(embeddings.rows[1:2], 100, 0), np.arange(211, 308))
    assert not np.array_equal(some, sample_frames(embeddings.rows[1:], 40, 1))

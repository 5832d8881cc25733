import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector import projector_config_pb2, projector_plugin
from werkzeug.test import Client

from ssl_behavior.errors import InputError
from ssl_behavior.reports import write_projector

from .conftest import EVIL


@pytest.fixture
def folder(gathered, tmp_path):
    write_projector(gathered.report, gathered.points, tmp_path / "p", points=97, seed=2)
    return tmp_path / "p"


def test_the_files_say_what_the_map_says(folder, gathered):
    vectors = np.loadtxt(folder / "vectors.tsv", delimiter="\t")
    header, *lines = (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert vectors.shape == (97, 13) and len(lines) == 97
    assert header.split("\t") == ["recording", "frame", "seconds", "clusters", "S1", "S2"]
    report, frames = gathered.report, gathered.report.map
    where = {
        (report.recordings[r].id, int(f)): i
        for i, (r, f) in enumerate(zip(frames.recording, frames.frame, strict=True))
    }
    for vector, line in zip(vectors, lines, strict=True):
        recording, frame, _, cluster, label, _ = line.split("\t")
        point = where[recording, int(frame)]
        np.testing.assert_allclose(vector, gathered.points[point], rtol=1e-3, atol=1e-4)
        at = frames.recording[[point]], frames.frame[[point]]
        assert (
            int(cluster) == report.clusters.at(*at)[0] and label == report.labels[0].words[report.labels[0].at(*at)[0]]
        )
    assert any(line.startswith(EVIL) for line in lines)


def test_thumbnails_are_in_the_order_of_the_points(folder, gathered):
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), projector_config_pb2.ProjectorConfig())
    (embedding,) = config.embeddings
    side = embedding.sprite.single_image_dim[0]
    assert list(embedding.tensor_shape) == [97, 13] and side == embedding.sprite.single_image_dim[1]
    with Image.open(folder / "sprite.png") as sprite:
        assert sprite.size == (10 * side, 10 * side)
        pixels = np.asarray(sprite).reshape(10, side, 10, side, 3).swapaxes(1, 2).reshape(100, side, side, 3)
    drawn = (pixels < 250).any(axis=(1, 2, 3))
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()[1:]
    report, frames = gathered.report, gathered.report.map
    where = {
        (report.recordings[r].id, int(f)): i
        for i, (r, f) in enumerate(zip(frames.recording, frames.frame, strict=True))
    }
    poses = frames.poses[[where[(line.split("\t")[0], int(line.split("\t")[1]))] for line in lines]]
    assert drawn[:97].tolist() == np.isfinite(poses).all(axis=-1).any(axis=(1, 2)).tolist() and not drawn[97:].any()


def test_tensorboard_itself_serves_them(folder):
    plugin = projector_plugin.ProjectorPlugin(base_plugin.TBContext(logdir=str(folder)))
    plugin._run_paths = {".": str(folder)}
    apps = plugin.get_plugin_apps()
    answer = {name: Client(apps[name]).get(f"/?run=.&name=frames{more}") for name, more in (
        ("/tensor", "&num_rows=97"), ("/metadata", "&num_rows=97"), ("/sprite_image", ""),
    )}  # fmt: skip
    assert all(one.status_code == 200 for one in answer.values())
    tensor = np.frombuffer(answer["/tensor"].data, np.float32).reshape(97, 13)
    np.testing.assert_allclose(tensor, np.loadtxt(folder / "vectors.tsv", delimiter="\t"), rtol=1e-6)
    assert answer["/metadata"].data.count(b"\n") == 98 and answer["/sprite_image"].mimetype == "image/png"


def test_it_can_be_all_points_and_not_too_many(gathered, tmp_path):
    assert write_projector(gathered.report, gathered.points, tmp_path / "p") == 619
    with pytest.raises(InputError, match="exists already"):
        write_projector(gathered.report, gathered.points, tmp_path / "p")
    assert write_projector(gathered.report, gathered.points, tmp_path / "p", points=7, overwrite=True) == 7
    with pytest.raises(InputError, match="1 to 100,000 points, got 100,001"):
        write_projector(gathered.report, gathered.points, tmp_path / "q", points=100_001)

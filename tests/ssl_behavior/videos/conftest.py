"""Made videos: dark shapes at the poses' places, and the number of each frame as black and white blocks."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embeddings_folder import store_embeddings
from ssl_behavior.recording import Labels, PairLabels
from ssl_behavior.resampling import resample
from ssl_behavior.store import Store, write_store

av = pytest.importorskip("av")

WIDTH, HEIGHT = 320, 240
BLOCK, BITS = 16, 8
CLOCK = 600


def numbered(number, keypoints=None, size=(WIDTH, HEIGHT)):
    """A picture: the number's bits in the left lower corner, and a black disc at each point [..., 2]."""
    picture = np.full((size[1], size[0], 3), 150, np.uint8)
    rows, columns = np.mgrid[: size[1], : size[0]]
    for x, y in [] if keypoints is None else keypoints.reshape(-1, 2):
        if np.isfinite(x + y):
            picture[np.hypot(columns - x, rows - y) <= 9] = 20
    for bit in range(BITS):
        picture[-BLOCK:, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    return picture


def number_in(picture, block=BLOCK):
    """The number that the blocks of a picture say."""
    height = picture.shape[0]
    bits = [picture[round(height - block / 2), round((bit + 0.5) * block)].mean() > 127 for bit in range(BITS)]
    return sum(bit << place for place, bit in enumerate(bits))


def write_video(path, frames, keypoints=None, times=None, codec="libx264", options=None, size=(WIDTH, HEIGHT), fps=30):
    """Write a video of numbered frames; `times` in s gives it a variable rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if times is not None:
            stream.codec_context.time_base = Fraction(1, CLOCK)
        for number in range(frames):
            points = None if keypoints is None else keypoints[number]
            frame = av.VideoFrame.from_ndarray(numbered(number, points, size), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * CLOCK), Fraction(1, CLOCK)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def uneven_times(frames):
    """Times of a variable rate, whole units of the clock."""
    steps = np.array([17, 20, 33, 20])[np.arange(frames) % 4]
    return np.cumsum(steps) / CLOCK - steps[0] / CLOCK


FRAMES = {"day1/m1": 61, "day1/m2": 50}


def shifted(recording):
    """A recording whose animals are inside of the made videos."""
    keypoints = recording.keypoints * 0.35 + np.array([40, 20], np.float32)
    return replace(recording, keypoints=keypoints.astype(np.float32), resolution_px=(float(WIDTH), float(HEIGHT)))


@pytest.fixture(scope="session")
def store(dyad, tmp_path_factory) -> Store:
    """Two short recordings with a label stream, one of agents and targets, and missing points."""
    made = []
    for place, (id, frames) in enumerate(FRAMES.items()):
        recording = shifted(dyad(id, frames, seed=place, missing=0.02))
        fights = (np.arange(frames) // 15 % 2).astype(np.int16)
        labels = {"S1": Labels(vocabulary=("rest", "fight"), frames=fights, background="rest")}
        acts = PairLabels(vocabulary=("chase", "groom"), bouts=np.array([(0, 1, 0, 5, 30), (1, 1, 1, 20, 40)]))
        made.append(replace(recording, labels=labels, pair_labels={"acts": acts}))
    return write_store(tmp_path_factory.mktemp("videos") / "store", made)


@pytest.fixture(scope="session")
def resampled(dyad, tmp_path_factory) -> Store:
    """One recording, measured at uneven times, resampled to 20 per second."""
    recording = replace(shifted(dyad("m1", 61)), times=uneven_times(61))
    return write_store(tmp_path_factory.mktemp("resampled") / "store", [resample(recording, 20.0)])


@pytest.fixture(scope="session")
def videos(store, tmp_path_factory):
    """Folder with a video of the first recording, with frames that are coded out of order."""
    folder = tmp_path_factory.mktemp("folder")
    row = store.rows[0]
    write_video(folder / "cam" / "m1.mp4", row.frames, store.keypoints[row.slice], options={"bf": "3", "g": "12"})
    return folder


CLUSTERS = 3


@pytest.fixture(scope="session")
def clustered(store, tmp_path_factory, saved_clusters):
    """Folder with `embeddings` and `clusters` of the store: runs of ten frames, cluster 2 only in the first."""
    folder = tmp_path_factory.mktemp("clustered")
    labels = [np.arange(row.frames) // 10 % (CLUSTERS - place) for place, row in enumerate(store.rows)]
    generator, middles = np.random.default_rng(0), 3 * np.eye(CLUSTERS, 5, dtype=np.float32)
    values = [middles[own] + generator.normal(0, 0.1, (len(own), 5)) for own in labels]
    sequences = [(row.id, own.astype(np.float32)) for row, own in zip(store.rows, values, strict=True)]
    embeddings = store_embeddings(folder / "embeddings", store, store.rows, sequences, "latent", lambda: "c" * 64)
    saved_clusters(folder / "clusters", embeddings, np.concatenate(labels).astype(np.int32), middles)
    return folder


def frame_clusters(rows, labels):
    return FrameClusters(rows, labels.astype(np.int32), int(labels.max()) + 1)

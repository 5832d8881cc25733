"""A recording whose frames can be told from its video, and from its skeletons."""

import importlib.util
from dataclasses import replace

import numpy as np

FILMED, FILM_FRAMES, FILM_SIZE = "filmed", 240, (480, 360)
BITS, BIT_SIZE = 10, 24
"""Black and white squares at the top of a picture: the number of its frame in binary."""
COLUMNS, COLUMN, LEFT, ROWS = 16, 26, 40, (120, 240)
"""Places of the animals, each in a row of its own: at column `frame % 16`, and at column `frame // 16`."""


def with_telling_places(recording):
    """The recording with small animals whose places are the number of the frame."""
    number = np.arange(recording.num_frames)
    x = LEFT + COLUMN * np.stack([number % COLUMNS, number // COLUMNS], axis=1)
    places = np.stack([x, np.broadcast_to(ROWS, x.shape)], axis=-1)[:, :, None, :]
    points = recording.keypoints.shape[2]
    body = np.stack([np.linspace(-2, 2, points), np.zeros(points)], axis=-1)
    return replace(recording, keypoints=(places + body).astype(np.float32))


def film(folder):
    """Folder with the video; None without PyAV."""
    if any(importlib.util.find_spec(name) is None for name in ("av", "ssl_behavior.videos")):
        return None
    import av

    folder.mkdir()
    with av.open(str(folder / f"{FILMED}.mp4"), "w") as out:
        stream = out.add_stream("libvpx-vp9", rate=30)
        stream.width, stream.height, stream.pix_fmt = *FILM_SIZE, "yuv420p"
        stream.options = {"cpu-used": "8", "deadline": "realtime"}
        for number in range(FILM_FRAMES):
            picture = np.full((*FILM_SIZE[::-1], 3), 235, np.uint8)
            for bit in range(BITS):
                picture[:BIT_SIZE, bit * BIT_SIZE : (bit + 1) * BIT_SIZE] = 255 * (number >> bit & 1)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return folder

"""Videos from the web application, whole and in ranges."""

import numpy as np
import pytest

from probe.labeling.byte_ranges import chosen_range
from tests.probe.labeling.fake_session import error_of

BYTES = np.random.default_rng(0).bytes(1_000_003)


@pytest.fixture
def video(tmp_path, session):
    file = tmp_path / "film.mp4"
    file.write_bytes(BYTES)
    session.answers["video"] = file
    return file


URL = "/api/video?recording=r1"


def test_a_video_comes_whole(client, video):
    answer = client.get(URL)
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["content-type"] == "video/mp4" and answer.headers["accept-ranges"] == "bytes"
    assert (
        answer.headers["content-length"] == str(len(BYTES)) and answer.headers["cache-control"] == "private, no-cache"
    )
    assert "film" not in str(answer.headers)


LAST = len(BYTES) - 1


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, None),
        ("bytes=0-0", 0, 1),
        ("bytes=100-299", 100, 300),
        ("bytes=262140-600000", 262140, 600001),
        ("bytes=1000000-", 1_000_000, None),
        (f"bytes={LAST}-{LAST}", LAST, None),
        ("bytes=500-99999999999", 500, None),
        ("bytes=-7", len(BYTES) - 7, None),
        ("bytes=-99999999999", 0, None),
        ("Bytes = 5 - 9", 5, 10),
    ],
)
def test_ranges_of_a_video(client, video, asked, start, stop):
    answer = client.get(URL, headers={"range": asked})
    stop = len(BYTES) if stop is None else stop
    assert (answer.status_code, answer.content) == (206, BYTES[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BYTES)}"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("asked", [f"bytes={len(BYTES)}-", f"bytes={10**17}-", "bytes=-0", "bytes=2000000-3000000"])
def test_ranges_beyond_the_end(client, video, asked):
    answer = client.get(URL, headers={"range": asked})
    assert answer.status_code == 416 and answer.headers["content-range"] == f"bytes */{len(BYTES)}"


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=5-2", "frames=0-9", "bytes=0-4,8-9", "bytes=a-b", "0-5", "bytes=٣-"]
)
def test_ranges_that_are_none_give_the_whole(client, video, asked):
    answer = client.get(URL, headers={"range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, BYTES)


def test_the_end_of_a_range_may_be_left_out():
    assert chosen_range("bytes=3-", 10) == (3, 10) and chosen_range("bytes=0-99", 10) == (0, 10)
    with pytest.raises(ValueError, match="0 bytes"):
        chosen_range("bytes=0-", 0)


def test_heads_have_no_body(client, video):
    whole, part = client.head(URL), client.head(URL, headers={"range": "bytes=5-9"})
    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", str(len(BYTES)))
    assert (part.status_code, part.content, part.headers["content-length"]) == (206, b"", "5")


def test_a_browser_that_has_the_file_gets_it_again_only_if_it_changed(client, video):
    headers = client.head(URL).headers
    tag, date = headers["etag"], headers["last-modified"]
    assert client.get(URL, headers={"if-none-match": tag}).status_code == 304
    part = {"range": "bytes=0-4"}
    assert [client.get(URL, headers=part | {"if-range": one}).status_code for one in (tag, date)] == [206, 206]
    video.write_bytes(b"another film")
    for old in (tag, '"other"'):
        answer = client.get(URL, headers=part | {"if-range": old})
        assert (answer.status_code, answer.content) == (200, b"another film")
    assert client.get(URL, headers={"if-none-match": tag}).status_code == 200


def test_an_empty_video(client, video):
    video.write_bytes(b"")
    assert client.get(URL).content == b"" and client.get(URL, headers={"range": "bytes=0-"}).status_code == 416


def test_a_recording_without_a_video(session, client, video):
    video.unlink()
    assert "cannot be read" in error_of(client.get(URL), 404)
    session.answers["video"] = None
    assert "no video of this recording" in error_of(client.get(URL), 404)
    assert "“recording”" in error_of(client.get("/api/video"), 400)

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.reports import (
    MOST_POINTS,
    AnimalProfiles,
    Channel,
    Ethogram,
    ExampleBout,
    FrameMap,
    Neighbor,
    ProfileTest,
    Report,
    ReportRecording,
    Scores,
)
from ssl_behavior.skeleton import SKELETONS

from .conftest import card

SKELETON = SKELETONS["rat_dyads"]
RECORDINGS = (ReportRecording(id="a", frames=11, fps=30.0), ReportRecording(id="b", frames=7, fps=25.0))
TEST = ProfileTest(cluster=1, effect=0.0, p=1.0, q=1.0, between=("g", "h"))
TRACK = np.zeros((3, 2, 5, 2), np.float32)


def ethogram(name="clusters", words=("0", "1", "2"), **fields):
    first, second = np.array([0] * 4 + [2] * 7), np.array([1] * 3 + [-1] * 4)
    return Ethogram(**{"name": name, "words": words, "frames": [first, second]} | fields)


def frame_map(**fields):
    xy = np.arange(10.0).reshape(5, 2)
    return FrameMap(
        **{"method": "m", "xy": xy, "recording": np.array([0, 0, 0, 1, 1]), "frame": np.array([0, 5, 10, 2, 6])}
        | fields
    )


def report(**fields):
    defaults = {
        "title": "t",
        "recordings": RECORDINGS,
        "skeleton": SKELETON,
        "individuals": ("x", "y"),
        "clusters": ethogram(),
    }
    return Report(**defaults | fields)


def bout(start=2, stop=5, **fields):
    return ExampleBout(
        **{
            "recording": "a",
            "start": start,
            "stop": stop,
            "ethogram": "clusters",
            "value": 0,
            "first": 1,
            "track": TRACK,
        }
        | fields
    )


def test_ethogram_at_returns_values_of_frames():
    one = ethogram(frames=[np.array([0] * 4 + [2] * 7), None])
    values = one.at(np.array([0, 0, 0, 0, 1]), np.array([0, 3, 4, 10, 5]))
    assert values.tolist() == [0, 0, 2, 2, -1]


def test_everything_together_is_accepted():
    whole = report(
        labels=(ethogram("S1", ("rest", "bite", "chase"), background="rest"),),
        map=frame_map(
            channels=(Channel(name="speed", values=np.ones(5)),), poses=np.zeros((5, 2, 5, 2)),
            nearest=np.array([0, 1, -1, 0, 0]),
        ),
        bouts=(bout(neighbors=(Neighbor(bout=1, distance=2.0),)), bout(6, 9)),
        cards=(card(2),),
        transitions=np.zeros((3, 3)),
        profiles=(AnimalProfiles(name="p", animals=("r",), groups=("g",), shares=np.ones((1, 3)), tests=(TEST,)),),
    )  # fmt: skip
    assert whole.num_clusters == 3 and report(clusters=None).num_clusters == 0


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("frames and fps must be above 0", lambda: ReportRecording(id="a", frames=0, fps=30.0)),
        ("values must be -1 to 1", lambda: ethogram(words=("0", "1"))),
        ("background 'sleep' is not in", lambda: ethogram(background="sleep")),
        ("1 to 100,000 points", lambda: frame_map(xy=np.zeros((MOST_POINTS + 1, 2)))),
        ("finite numbers", lambda: frame_map(xy=np.full((5, 2), np.nan))),
        ("4 values of 'speed'", lambda: frame_map(channels=(Channel(name="speed", values=np.ones(4)),))),
        ("4 values of 'nearest'", lambda: frame_map(nearest=np.zeros(4))),
        ("in order of recordings and frames", lambda: frame_map(frame=np.array([5, 0, 10, 2, 6]))),
        ("needs a group and shares", lambda: AnimalProfiles(name="p", animals=("r",), groups=(), shares=np.eye(1))),
        ("1 cells under 2 headings", lambda: Scores(title="t", header=("a", "b"), cells=(("x",),))),
        ("there are no recordings", lambda: report(recordings=())),
        ("two ethograms have the same name", lambda: report(labels=(ethogram(),))),
        ("has 1 recordings, but the report has 2", lambda: report(clusters=ethogram(frames=[np.zeros(11, int)]))),
        ("'b' has 7 frames, but 11 values", lambda: report(clusters=ethogram(frames=[np.zeros(11, int)] * 2))),
        ("refer to cluster 3", lambda: report(cards=(card(3),))),
        (r"transitions: shape \[2, 2\] does not fit 3", lambda: report(transitions=np.zeros((2, 2)))),
        ("outside of the report's recordings", lambda: report(bouts=(bout(9, 12),))),
        ("outside of the report's recordings", lambda: report(bouts=(bout(recording="c"),))),
        ("its track must have shape", lambda: report(bouts=(bout(track=TRACK[:, :1]),))),
        ("unknown ethogram 'S9'", lambda: report(bouts=(bout(ethogram="S9"),))),
        ("among the 1 example bouts", lambda: report(bouts=(bout(neighbors=(Neighbor(bout=1, distance=0.0),)),))),
        ("recordings do not have", lambda: report(map=frame_map(frame=np.array([0, 5, 11, 2, 6])))),
        ("recordings do not have", lambda: report(map=frame_map(recording=np.array([0, 0, 0, 1, 2])))),
        ("nearest bouts must be among the 0", lambda: report(map=frame_map(nearest=np.zeros(5, int)))),
    ],
)  # fmt: skip
def test_inconsistent_contents_raise(words, make):
    with pytest.raises(InputError, match=words):
        make()

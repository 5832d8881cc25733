"""DeepLabCut's file names: the video, the network, and the variant of its tracks.

DeepLabCut names its output `<video>DLC_<network>_<project>shuffle<N>_<snapshot>`, then `_el`, `_bx` or `_sk` (how
detections were joined to tracks), then `_filtered`. SuperAnimal writes `<video>_superanimal_<model>_...`, DeepLabCut 1
`<video>DeepCut_<network>...`; other people write `<video>_dlc_tracks`.
"""

import re
from dataclasses import dataclass

__all__ = ["TrackName", "parse_track_name"]

_NETWORKS = (
    "resnet", "mobnet", "mobilenet", "effnet", "efficientnet", "dlcrnet", "hrnet", "dekr", "rtmpose", "ctd", "cspnext",
    "tokenpose", "animaltokenpose", "fasterrcnn", "ssdlite", "snapshot", "superanimal",
)  # fmt: skip
"""Beginnings of the word after `DLC_`; DeepLabCut 3 writes them with capitals, such as `HrnetW32`."""
_NETWORK = rf"(?i:(?:top[_\-]?down|bottom[_\-]?up)?[_\-]?(?:{'|'.join(_NETWORKS)}).*)"
_PLAIN_WORDS = "tracks?|tracking|poses?|predictions?|outputs?|results?|coordinates|coords|points|filtered|raw|el|bx|sk"
# The video's name is matched greedily: a name may hold `DLC_` itself, so the last suffix is the tracker's.
_SUFFIXES = (
    re.compile(rf"(.+)((?:DLC|DeepCut)_{_NETWORK})"),
    re.compile(r"(.+)((?:DLC|DeepCut)_.*(?:shuffle\d+|snapshot[_\-]?(?:best[_\-]?)?\d+).*)"),
    re.compile(rf"(.*[^_\-. ])[_\-. ]+(dlc[_\-. ]{_NETWORK})"),
    re.compile(rf"(.*[^_\-. ])[_\-. ]+(dlc(?:[_\-. ]+(?:{_PLAIN_WORDS}))*)", re.IGNORECASE),
    re.compile(r"(.*[^_\-. ])[_\-. ]+(superanimal_[a-z].*)", re.IGNORECASE),
)
_VARIANT = re.compile(r"(?:_(el|bx|sk|ctd))?(_?filtered)?$", re.IGNORECASE)
_TRACK_METHODS = ("", "sk", "bx", "el", "ctd")
"""How detections were joined to tracks, in rising order of preference: skeleton, box, ellipse (the default), CTD."""
_SNAPSHOT = re.compile(r"(?:snapshot[_\-]?(?:best[_\-]?)?|_)(\d+)(?!.*_\d)", re.IGNORECASE)
_SHUFFLE = re.compile(r"shuffle(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class TrackName:
    """Parts of a track file's name.

    Parameters
    ----------
    video : the name before the tracker's suffix; the whole name if it has no such suffix.
    scorer : the tracker's suffix without its variant, such as "DLC_resnet50_socialMay1shuffle1_500000"; "" if none.
    track_method : "el", "bx", "sk", "ctd", or "".
    is_filtered : whether the tracks were smoothed by the tracker's filter.
    """

    video: str
    scorer: str = ""
    track_method: str = ""
    is_filtered: bool = False

    @property
    def recording(self) -> str:
        """Name that all variants of one video share."""
        return self.video if self.scorer else re.sub(r"_filtered$", "", self.video, flags=re.IGNORECASE)

    @property
    def preference(self) -> tuple[bool, int, int, int]:
        """Sort key; the highest is taken: filtered over raw, then the track method, latest snapshot and shuffle."""
        snapshot, shuffle = _SNAPSHOT.search(self.scorer), _SHUFFLE.search(self.scorer)
        return (
            self.is_filtered,
            _TRACK_METHODS.index(self.track_method),
            int(snapshot[1]) if snapshot else 0,
            int(shuffle[1]) if shuffle else 0,
        )

    def has(self, word: str) -> bool:
        """Whether a word of the option `variant` describes this file: raw, filtered, a track method, or scorer text."""
        word = word.lower()
        if word in ("raw", "filtered"):
            return self.is_filtered == (word == "filtered")
        return word == self.track_method if word in _TRACK_METHODS else word in self.scorer.lower()


def parse_track_name(name: str) -> TrackName:
    """Parts of a file name without its extensions.

    >>> parse_track_name("pilot_DLC_day1DLC_resnet50_socialMay1shuffle1_500000_el_filtered")
    ... # doctest: +NORMALIZE_WHITESPACE
    TrackName(video='pilot_DLC_day1', scorer='DLC_resnet50_socialMay1shuffle1_500000', track_method='el',
              is_filtered=True)
    >>> parse_track_name("pilot_DLC_day1").video
    'pilot_DLC_day1'
    """
    for suffix in _SUFFIXES:
        match = suffix.fullmatch(name)
        if match:
            video, scorer = match.groups()
            variant = _VARIANT.search(scorer)
            assert variant is not None
            method, filtered = variant.groups()
            return TrackName(video, scorer[: variant.start()], (method or "").lower(), filtered is not None)
    return TrackName(name, is_filtered=name.lower().endswith("_filtered"))

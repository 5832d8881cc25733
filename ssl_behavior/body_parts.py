"""Names of body parts in trackers' files: the role each usually has, its side, and lines to draw between them.

Words compare without case, separators and order: `BASE_TAIL`, `tailBase`, `tail base` and `Tail_base` are one name.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = [
    "ROLES",
    "ROLE_NAMES",
    "all_usual",
    "animal_and_rest",
    "animals_in_names",
    "mirror_pairs",
    "roles_by_name",
    "same_name",
    "usual_edges",
]

ROLES = (
    "nose", "left_ear", "right_ear", "head", "neck", "center", "left_hip", "right_hip",
    "tail_base", "tail_middle", "tail_tip",
)  # fmt: skip
"""The body parts a feature or a program may ask for."""

ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "nose": ("nose", "snout", "nose tip", "snout tip", "muzzle"),
    "left_ear": ("left ear", "l ear", "left ear base", "left ear tip"),
    "right_ear": ("right ear", "r ear", "right ear base", "right ear tip"),
    "head": (
        "head", "head center", "head centre", "head midpoint", "mid head", "head top", "forehead", "head base",
        "between ears", "implant",
    ),
    "neck": ("neck", "neck base", "nape", "spine 1", "upper spine", "spine top", "shoulder center", "thorax top"),
    "center": (
        "center", "centre", "centroid", "wcentroid", "pcentroid",
        "body center", "body centre", "mouse center", "center spine", "center back",
        "mid back", "middle back", "mid spine", "middle spine", "mid body", "body middle", "body", "back", "torso",
        "thorax", "trunk", "spine 2", "spine 3", "spine", "lower spine",
    ),
    "left_hip": ("left hip", "l hip", "left rear hip", "left flank", "left side", "left lateral", "left lat"),
    "right_hip": ("right hip", "r hip", "right rear hip", "right flank", "right side", "right lateral", "right lat"),
    "tail_base": (
        "tail base", "tail root", "tail start", "tail torso interface", "tti", "tail 0", "rump", "tail", "tail 1",
        "abdomen tip", "abdomen",
    ),
    "tail_middle": ("tail middle", "tail mid", "tail center", "tail centre", "tail 2"),
    "tail_tip": ("tail tip", "tail end", "tail last", "tail 3", "tail 4"),
}  # fmt: skip
"""Role -> the names that a body part of this role usually has; a name before another one wins."""

_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _plain(name: str) -> str:
    """Letters and digits of a name.

    >>> _plain("Left_ear"), _plain("left ear"), _plain("LeftEar")
    ('leftear', 'leftear', 'leftear')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _words(name: str) -> tuple[str, ...]:
    """Sorted words of a name; l and r are left and right.

    >>> _words("BASE_TAIL"), _words("tailBase"), _words("ear_L")
    (('base', 'tail'), ('base', 'tail'), ('ear', 'left'))
    """
    return tuple(sorted(_SIDES.get(word, word) for word in (found.lower() for found in _WORD.findall(name))))


def same_name(one: str, other: str) -> bool:
    """Whether two names are equal but for case, separators and the order of words."""
    return _plain(one) == _plain(other) or _words(one) == _words(other)


def roles_by_name(bodyparts: Sequence[str]) -> dict[str, str]:
    """Role -> body part, for the body parts with a usual name; a body part has one role.

    >>> roles_by_name(["snout", "earL", "TTI", "spine1", "mid_back"])
    {'nose': 'snout', 'left_ear': 'earL', 'neck': 'spine1', 'center': 'mid_back', 'tail_base': 'TTI'}
    """
    roles: dict[str, str] = {}
    for role in ROLES:
        free = [part for part in bodyparts if part not in roles.values()]
        named = (part for name in ROLE_NAMES[role] for part in free if same_name(part, name))
        if (part := next(named, None)) is not None:
            roles[role] = part
    return roles


def all_usual(bodyparts: Sequence[str]) -> bool:
    """Whether every body part has a usual name, so that none of them can be the base of a tail under another name.

    >>> all_usual(["head", "centroid", "wcentroid"]), all_usual(["nose", "k3"])
    (True, False)
    """
    usual = [name for names in ROLE_NAMES.values() for name in names]
    return all(any(same_name(part, name) for name in usual) for part in bodyparts)


def mirror_pairs(bodyparts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (left, right) of body parts whose names differ in the side alone.

    >>> mirror_pairs(["nose", "ear_L", "ear_R", "leftHip", "rightHip"])
    (('ear_L', 'ear_R'), ('leftHip', 'rightHip'))
    """
    by_words = {_words(part): part for part in bodyparts}
    pairs = []
    for part in bodyparts:
        words = _words(part)
        if "left" in words and "right" not in words:
            other = by_words.get(tuple(sorted("right" if word == "left" else word for word in words)))
            if other is not None:
                pairs.append((part, other))
    return tuple(pairs)


_MIDLINE = ("nose", "head", "neck", "center", "tail_base", "tail_middle", "tail_tip")
_BESIDE = {"left_ear": ("head", "neck", "nose"), "left_hip": ("tail_base", "center")}


def usual_edges(roles: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Lines to draw: along the middle of the body, and from it to ears and hips."""
    edges = list(pairwise(roles[role] for role in _MIDLINE if role in roles))
    for left, anchors in _BESIDE.items():
        anchor = next((roles[role] for role in anchors if role in roles), None)
        sides = (roles[role] for role in (left, left.replace("left", "right")) if role in roles)
        edges += [(side, anchor) for side in sides if anchor is not None]
    return tuple(edges)


_SPECIES = r"(?:mouse|mice|rat|animal|individual|ind|subject|track|fly|fish|bee|vole|id|m|r|a)"
_WHO = rf"(?:{_SPECIES}?[_\-. ]?\d{{1,2}}|resident|intruder|male|female|black|white|res|int)"
_AFTER = re.compile(rf"(?P<part>.+?)[_\-. ]+(?P<who>{_WHO})", re.IGNORECASE)
_BEFORE = re.compile(rf"(?P<who>{_WHO})[_\-. ]+(?P<part>.+)", re.IGNORECASE)
_MIN_SHARED = 0.5
"""Share of the body parts that the animals of one table must have in common."""


def animal_and_rest(name: str) -> tuple[str, str] | None:
    """The animal in a name, and the rest of the name; None without one.

    >>> animal_and_rest("cage3_mouse1"), animal_and_rest("resident-nose"), animal_and_rest("nose")
    (('mouse1', 'cage3'), ('resident', 'nose'), None)
    """
    match = _AFTER.fullmatch(name) or _BEFORE.fullmatch(name)
    return None if match is None else (match["who"], match["part"])


def animals_in_names(keypoints: Sequence[str], fewest: int = 2) -> dict[str, dict[str, str]]:
    """Animal -> body part -> name of the keypoint, where the names of the keypoints name `fewest` animals or more.

    Every name must name an animal, and the animals must share at least half of their body parts; otherwise empty.

    >>> animals_in_names(["Nose_1", "Tail_1", "Nose_2", "Tail_2"])
    {'1': {'Nose': 'Nose_1', 'Tail': 'Tail_1'}, '2': {'Nose': 'Nose_2', 'Tail': 'Tail_2'}}
    >>> animals_in_names(["mouse1_nose", "mouse2_nose"])
    {'mouse1': {'nose': 'mouse1_nose'}, 'mouse2': {'nose': 'mouse2_nose'}}
    >>> animals_in_names(["nose", "tail_1", "tail_2"])
    {}
    """
    for pattern in (_AFTER, _BEFORE):
        matches = [pattern.fullmatch(name) for name in keypoints]
        animals: dict[str, dict[str, str]] = defaultdict(dict)
        for match in matches:
            if match is not None:
                animals[match["who"]][match["part"]] = match[0]
        parts = [set(found) for found in animals.values()]
        if all(matches) and len(animals) >= fewest and _shared(parts) >= _MIN_SHARED:
            return dict(animals)
    return {}


def _shared(parts: Sequence[set[str]]) -> float:
    return len(set.intersection(*parts)) / len(set.union(*parts))

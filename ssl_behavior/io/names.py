"""Which skeleton a file's body parts belong to, and in which order."""

import re
from collections.abc import Sequence

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import ROLES, SKELETONS, Skeleton

__all__ = ["choose_skeleton", "match_keypoints"]

_ALIASES = {
    "snout": "nose", "nosetip": "nose", "tail": "tailbase", "tailroot": "tailbase", "tailbase": "tailbase",
    "lear": "leftear", "earleft": "leftear", "earl": "leftear", "leftearbase": "leftear",
    "rear": "rightear", "earright": "rightear", "earr": "rightear", "rightearbase": "rightear",
    "lhip": "lefthip", "hipleft": "lefthip", "hipl": "lefthip",
    "rhip": "righthip", "hipright": "righthip", "hipr": "righthip",
    "centre": "center", "bodycenter": "center", "bodycentre": "center", "centroid": "center", "body": "center",
    "neckbase": "neck", "nape": "neck", "tailend": "tailtip", "tailmid": "tailmiddle",
}  # fmt: skip
"""Other people's words for a body part, letters only -> ours."""


def _plain(name: str) -> str:
    """Left_ear, left ear, LeftEar, left-ear -> leftear."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def match_keypoints(skeleton: Skeleton, bodyparts: Sequence[str]) -> list[int] | None:
    """For each keypoint of `skeleton` the position of its body part, or None if one has none.

    A name matches by its letters alone, or through a list of common other names (snout = nose, tail = tail base).

    >>> match_keypoints(SKELETONS["calms21"], ["tail", "RightEar", "LeftEar", "snout", "neck", "hip_r", "hip_l"])
    [3, 2, 1, 4, 6, 5, 0]
    """
    plain = [_plain(name) for name in bodyparts]
    alias = [_ALIASES.get(name, name) for name in plain]
    order = []
    for keypoint in skeleton.keypoints:
        wanted = _plain(keypoint)
        candidates = [names.index(wanted) for names in (plain, alias) if wanted in names]
        if not candidates:
            return None
        order.append(candidates[0])
    return order if len(set(order)) == len(order) else None


def choose_skeleton(bodyparts: Sequence[str], given: Skeleton | None, where: str) -> tuple[Skeleton, list[int]]:
    """The skeleton to read a file with, and for each of its keypoints the position of its body part.

    The skeleton given by the person may name fewer keypoints than the file has; a built-in one is chosen only
    if it names exactly the file's.

    Raises
    ------
    InputError
        If the given skeleton names a keypoint the file lacks; if none is given and no built-in one fits, with the
        lines of TOML to write.
    """
    if given is not None:
        order = match_keypoints(given, bodyparts)
        if order is None:
            raise InputError(
                f"{where}: the skeleton {given.name!r} names {list(given.keypoints)}, but the file's body parts are "
                f"{list(bodyparts)}; name the file's body parts in the skeleton's TOML file"
            )
        return given, order
    for skeleton in SKELETONS.values():
        order = match_keypoints(skeleton, bodyparts) if skeleton.num_keypoints == len(bodyparts) else None
        if order is not None:
            return skeleton, order
    raise InputError(
        f"{where}: its body parts {list(bodyparts)} are those of no built-in skeleton ({sorted(SKELETONS)}); write "
        f"these lines to a file, correct the roles, and pass it as --skeleton FILE:\n\n{_template(bodyparts)}"
    )


def _template(bodyparts: Sequence[str]) -> str:
    roles: dict[str, str] = {}
    for name in bodyparts:
        plain = _ALIASES.get(_plain(name), _plain(name))
        roles |= {role: name for role in ROLES if _plain(role) == plain and role not in roles}
    quoted = ", ".join(f'"{name}"' for name in bodyparts)
    lines = ['name = "my_animal"', f"keypoints = [{quoted}]", "exchangeable = false", "", "[roles]"]
    return "\n".join(lines + [f'{role} = "{name}"' for role, name in roles.items()])

"""Skeletons: names of keypoints, edges, mirror pairs, and the roles that features need.

A file's body parts are matched to a skeleton by name.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file

__all__ = ["ROLES", "SKELETONS", "Skeleton", "choose_skeleton", "load_skeleton", "match_keypoints", "save_skeleton"]

ROLES = (
    "nose", "left_ear", "right_ear", "head", "neck", "center", "left_hip", "right_hip",
    "tail_base", "tail_middle", "tail_tip",
)  # fmt: skip
"""The body parts a feature or a program may ask for."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Keypoints, edges, mirror pairs and roles of an animal.

    Parameters
    ----------
    name : a short name, e.g. "calms21".
    keypoints : names in the order of the keypoint axis.
    roles : role -> keypoint name; roles are the words of `ROLES`.
    edges : pairs of keypoints to draw a line between (and the graph of graph networks).
    mirror_pairs : pairs that a reflection exchanges (left ear, right ear).
    individuals : the usual names of the animals, in the order of the individual axis.
    exchangeable : True if the animals are anonymous (and may be swapped), False if the tracker identifies them.

    Raises
    ------
    InputError
        If a name is repeated or an edge, pair or role names an unknown keypoint or role.
    """

    name: str
    keypoints: tuple[str, ...]
    roles: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()
    mirror_pairs: tuple[tuple[str, str], ...] = ()
    individuals: tuple[str, ...] = ("animal0", "animal1")
    exchangeable: bool = False

    def __post_init__(self) -> None:
        if not self.keypoints:
            raise InputError(f"skeleton {self.name!r}: it names no keypoints")
        for what, names in (("keypoint", self.keypoints), ("individual", self.individuals)):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise InputError(f"skeleton {self.name!r}: {what} names must differ, got {repeated} more than once")
        used = [("an edge", n) for pair in self.edges for n in pair]
        used += [("a mirror pair", n) for pair in self.mirror_pairs for n in pair]
        used += [(f"role {role!r}", n) for role, n in self.roles.items()]
        for where, keypoint in used:
            if keypoint not in self.keypoints:
                raise InputError(
                    f"skeleton {self.name!r}: {where} names {keypoint!r}, which is not among its keypoints "
                    f"{list(self.keypoints)}"
                )
        mirrored = [name for pair in self.mirror_pairs for name in pair]
        if len(set(mirrored)) != len(mirrored):
            raise InputError(
                f"skeleton {self.name!r}: a keypoint can be in one mirror pair only, got {list(self.mirror_pairs)}"
            )
        unknown = sorted(set(self.roles) - set(ROLES))
        if unknown:
            raise InputError(f"skeleton {self.name!r}: unknown roles {unknown}; known: {list(ROLES)}")

    @property
    def num_keypoints(self) -> int:
        return len(self.keypoints)

    @property
    def num_individuals(self) -> int:
        return len(self.individuals)

    def index(self, keypoint: str) -> int:
        """Position of a keypoint on the keypoint axis."""
        return self.keypoints.index(keypoint)

    def role(self, *roles: str) -> int:
        """Index of the keypoint with the first of `roles` that this skeleton has.

        Raises
        ------
        InputError
            If it has none of them.
        """
        for role in roles:
            if role in self.roles:
                return self.index(self.roles[role])
        wanted = " or ".join(repr(role) for role in roles)
        raise InputError(
            f"skeleton {self.name!r} has no keypoint with the role {wanted} (it has {sorted(self.roles)}); "
            "name one under [roles] in the skeleton's TOML file"
        )

    def mirror_order(self) -> list[int]:
        """The keypoint order after a reflection: left and right exchanged."""
        order = list(range(self.num_keypoints))
        for left, right in self.mirror_pairs:
            i, j = self.index(left), self.index(right)
            order[i], order[j] = j, i
        return order

    def to_dict(self) -> dict[str, Any]:
        """Dictionary for JSON; `from_dict` reads it back."""
        return asdict(self) | {"roles": dict(self.roles)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "skeleton") -> "Skeleton":
        """Build a skeleton from decoded TOML or JSON.

        Raises
        ------
        InputError
            If a key is missing, unknown or of the wrong kind.
        """
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"{source}: unknown keys {unknown}; a skeleton has {sorted(known)}")
        for key in ("name", "keypoints"):
            if key not in values:
                raise InputError(f"{source}: the key {key!r} is missing")
        try:
            return cls(
                name=_string(values["name"]),
                keypoints=tuple(_string(v) for v in _of_kind(list, "keypoints", values)),
                roles={_string(k): _string(v) for k, v in _of_kind(dict, "roles", values, {}).items()},
                edges=tuple(_pair(v) for v in _of_kind(list, "edges", values, [])),
                mirror_pairs=tuple(_pair(v) for v in _of_kind(list, "mirror_pairs", values, [])),
                individuals=tuple(_string(v) for v in _of_kind(list, "individuals", values, ["animal0", "animal1"])),
                exchangeable=_of_kind(bool, "exchangeable", values, False),
            )
        except TypeError as error:
            raise InputError(f"{source}: {error}") from None


def _of_kind(kind: type, key: str, values: Mapping[str, Any], default: Any = None) -> Any:
    value = values.get(key, default)
    value = list(value) if isinstance(value, tuple) else value
    if not isinstance(value, kind):
        words = {list: "a list", dict: "a table", bool: "true or false"}
        raise TypeError(f"{key}: expected {words[kind]}, got {value!r}")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a name in quotes, got {value!r}")
    return value


def _pair(value: Any) -> tuple[str, str]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TypeError(f"expected a pair of keypoint names, got {value!r}")
    return _string(value[0]), _string(value[1])


CALMS21 = Skeleton(
    name="calms21",
    keypoints=("nose", "left_ear", "right_ear", "neck", "left_hip", "right_hip", "tail_base"),
    roles={name: name for name in ("nose", "left_ear", "right_ear", "neck", "left_hip", "right_hip", "tail_base")},
    edges=(
        ("nose", "left_ear"), ("nose", "right_ear"), ("left_ear", "neck"), ("right_ear", "neck"),
        ("neck", "left_hip"), ("neck", "right_hip"), ("left_hip", "tail_base"), ("right_hip", "tail_base"),
    ),
    mirror_pairs=(("left_ear", "right_ear"), ("left_hip", "right_hip")),
    individuals=("resident", "intruder"),
)  # fmt: skip
"""Two mice from above, CalMS21 (Sun et al. 2021, arXiv:2104.02710): a black resident and a white intruder."""

RAT_DYADS = Skeleton(
    name="rat_dyads",
    keypoints=("top", "body", "tail", "tail-m", "tail-e"),
    roles={"head": "top", "center": "body", "tail_base": "tail", "tail_middle": "tail-m", "tail_tip": "tail-e"},
    edges=(("top", "body"), ("body", "tail"), ("tail", "tail-m"), ("tail-m", "tail-e")),
    individuals=("individual1", "individual2"),
    exchangeable=True,
)
"""Two anonymous rats of the figshare record 30393298: top of the head, center of the body, three points of the tail."""

MOUSE_BOXES = Skeleton(
    name="mouse_boxes",
    keypoints=("tail", "body", "head", "nose"),
    roles={"tail_base": "tail", "center": "body", "head": "head", "nose": "nose"},
    edges=(("nose", "head"), ("head", "body"), ("body", "tail")),
    individuals=("mouse1", "mouse2"),
    exchangeable=True,
)
"""Two mice as boxes of four body parts, whose centers serve as keypoints."""

SKELETONS: dict[str, Skeleton] = {s.name: s for s in (CALMS21, RAT_DYADS, MOUSE_BOXES)}


def load_skeleton(name_or_path: str) -> Skeleton:
    """A built-in skeleton by name, or one from a TOML file.

    A file has `name`, `keypoints`, and as needed `[roles]`, `edges`, `mirror_pairs`, `individuals`, `exchangeable`.

    Raises
    ------
    InputError
        If there is no such built-in skeleton and no such file, or the file is not a skeleton.
    """
    if name_or_path in SKELETONS:
        return SKELETONS[name_or_path]
    path = Path(name_or_path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"skeleton {name_or_path!r}: neither built in ({sorted(SKELETONS)}) nor a TOML file that can be read"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from None
    return Skeleton.from_dict(values, source=str(path))


def save_skeleton(skeleton: Skeleton, path: Path) -> None:
    """Write a skeleton as TOML for `load_skeleton`: a template for a new animal."""
    values = skeleton.to_dict()
    roles = values.pop("roles")
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    lines += ["", "[roles]", *(f"{key} = {_toml(value)}" for key, value in roles.items())]
    with atomic_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # JSON's strings are TOML's, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


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
    """Skeleton that fits a file, and the position of the body part of each of its keypoints.

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
        f"these lines to a file, correct the roles, and pass it as `skeleton`:\n\n{_template(bodyparts)}"
    )


def _template(bodyparts: Sequence[str]) -> str:
    roles: dict[str, str] = {}
    for name in bodyparts:
        plain = _ALIASES.get(_plain(name), _plain(name))
        roles |= {role: name for role in ROLES if _plain(role) == plain and role not in roles}
    quoted = ", ".join(f'"{name}"' for name in bodyparts)
    lines = ['name = "my_animal"', f"keypoints = [{quoted}]", "exchangeable = false", "", "[roles]"]
    return "\n".join(lines + [f'{role} = "{name}"' for role, name in roles.items()])

"""Skeletons: names of keypoints, edges, mirror pairs, and the roles that features need.

A file's body parts are matched to a skeleton by name.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ssl_behavior.body_parts import (
    ROLES,
    all_usual,
    animals_in_names,
    mirror_pairs,
    roles_by_name,
    same_name,
    usual_edges,
)
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, write_text

__all__ = [
    "ASSUMED",
    "DEFAULT_INDIVIDUALS",
    "FLAT",
    "FRONT_ROLES",
    "ROLES",
    "SKELETONS",
    "Skeleton",
    "are_anonymous",
    "body_axis",
    "choose_skeleton",
    "front_and_back",
    "load_skeleton",
    "match_keypoints",
    "save_skeleton",
    "with_individuals",
]

DEFAULT_INDIVIDUALS = ("animal0", "animal1")
"""Individuals of a skeleton that names none."""

ASSUMED = "by_name"
"""Name of a skeleton whose roles come from the names of its body parts."""

FRONT_ROLES = ("neck", "center", "head", "nose")
"""Roles that may be the front of the body axis, the best first; its back is the base of the tail."""

_DRAWN_FRONT = ("nose", "head", "neck", "center")
_DRAWN_BACK = ("tail_base", "center", "tail_middle")

FLAT = "several_animals"
"""Name of a skeleton whose body parts name their animals, mostly several, see `body_parts.animals_in_names`."""


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
    individuals: tuple[str, ...] = DEFAULT_INDIVIDUALS
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

    @property
    def names_individuals(self) -> bool:
        """False where nothing was said about the animals, and `individuals` are the default."""
        return self.individuals is not DEFAULT_INDIVIDUALS

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
                individuals=tuple(_string(v) for v in _of_kind(list, "individuals", values))
                if "individuals" in values
                else DEFAULT_INDIVIDUALS,
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
        write_text(partial, "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # JSON's strings are TOML's, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def front_and_back(skeleton: Skeleton) -> tuple[int, int]:
    """Keypoints to draw as both ends of the body, front first; an end without a role is the first or last keypoint.

    >>> front_and_back(SKELETONS["calms21"])
    (0, 6)
    """
    front, back = (
        next((skeleton.role(role) for role in roles if role in skeleton.roles), None)
        for roles in (_DRAWN_FRONT, _DRAWN_BACK)
    )
    last = skeleton.num_keypoints - 1
    if front == back:  # no roles, or one point for both
        return 0, last
    front = (last if back == 0 else 0) if front is None else front
    return front, (0 if front == last else last) if back is None else back


def body_axis(skeleton: Skeleton) -> tuple[int, int]:
    """The keypoints at the front and at the back of the body axis, from which heading and body length follow.

    Raises
    ------
    InputError
        If the skeleton has no such pair.
    """
    roles = skeleton.roles
    if "tail_base" in roles and any(role in roles for role in FRONT_ROLES):
        return skeleton.role(*FRONT_ROLES), skeleton.role("tail_base")
    have = f"the role{'s' * (len(roles) != 1)} {', '.join(roles)}" if roles else "no roles"
    advice = (
        "one point has no direction, so track two or more points of each animal"
        if skeleton.num_keypoints == 1
        else "if one of them is such a point, name its role in a `skeleton` file and import again"
    )
    raise InputError(
        "heading and body length need a keypoint at the base of the tail (role tail_base) and another "
        f"one ({', '.join(FRONT_ROLES)}), but skeleton {skeleton.name!r} has {have} for "
        f"{', '.join(skeleton.keypoints)}; {advice}"
    )


_ANONYMOUS = re.compile(r"(.*?)[\s_\-.]*\d+")


def are_anonymous(individuals: Sequence[str]) -> bool:
    """Whether the names of animals are numbers of a tracker, such as mouse1 and mouse2, and say nothing of identities.

    >>> are_anonymous(["individual1", "individual2"]), are_anonymous(["resident", "intruder"])
    (True, False)
    """
    matches = [_ANONYMOUS.fullmatch(name) for name in individuals]
    return all(matches) and len({match[1] for match in matches if match}) == 1


def with_individuals(skeleton: Skeleton, individuals: Sequence[str], exchangeable: bool | None = None) -> Skeleton:
    """The skeleton with the names of a recording's animals.

    Parameters
    ----------
    exchangeable : None = by the names: those of a built-in or given skeleton keep its own value, other names are
        exchangeable if they are anonymous, see `are_anonymous`.
    """
    if exchangeable is None:
        own = set(individuals) == set(skeleton.individuals) and skeleton.name != ASSUMED
        exchangeable = skeleton.exchangeable if own else are_anonymous(individuals)
    return replace(skeleton, individuals=tuple(individuals), exchangeable=exchangeable)


def match_keypoints(skeleton: Skeleton, bodyparts: Sequence[str]) -> list[int] | None:
    """For each keypoint of `skeleton` the position of its body part, or None if one has none.

    A name matches by its words alone, or through its role (snout = nose, tail = tail base).

    >>> match_keypoints(SKELETONS["calms21"], ["tail", "RightEar", "LeftEar", "snout", "neck", "hip_r", "hip_l"])
    [3, 2, 1, 4, 6, 5, 0]
    """
    roles, found = roles_by_name(skeleton.keypoints), roles_by_name(bodyparts)
    role_of = {keypoint: role for role, keypoint in roles.items()}
    order = []
    for keypoint in skeleton.keypoints:
        named = [index for index, part in enumerate(bodyparts) if same_name(part, keypoint)]
        by_role = found.get(role_of.get(keypoint, ""))
        if not named and by_role is None:
            return None
        order.append(named[0] if named else list(bodyparts).index(str(by_role)))
    return order if len(set(order)) == len(order) else None


def choose_skeleton(bodyparts: Sequence[str], given: Skeleton | None, where: str) -> tuple[Skeleton, list[int]]:
    """Skeleton that fits a file, and the position of the body part of each of its keypoints.

    A given skeleton may name fewer keypoints than the file has. A built-in one is chosen only if it names exactly the
    file's. Otherwise the roles come from the names of the body parts, see `body_parts.roles_by_name`. An animal of one
    point, or of points with usual names alone, needs no tail base here; jobs that need one refuse it.

    Raises
    ------
    InputError
        If the given skeleton names a keypoint that the file lacks; if none is given, no built-in one fits, and a body
        part of an unknown name may be the front or the base of the tail, with the lines of TOML to write.
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
    # Roles belong to the animals: whoever divides the body parts among them asks again.
    flat = Skeleton(name=FLAT, keypoints=tuple(bodyparts)), list(range(len(bodyparts)))
    if animals_in_names(bodyparts):
        return flat
    roles = roles_by_name(bodyparts)
    if len(bodyparts) == 1:
        # Whatever its name, the only point of an animal is where the animal is.
        roles = roles or {"center": bodyparts[0]}
    elif not all_usual(bodyparts) and ("tail_base" not in roles or not any(role in roles for role in FRONT_ROLES)):
        if animals_in_names(bodyparts, fewest=1):
            return flat
        raise InputError(
            f"{where}: the roles of its body parts {list(bodyparts)} are not known: features need the base of the tail "
            f"and one of {list(FRONT_ROLES)}. Write these lines to a file, complete the roles, and pass it as "
            f"`skeleton`:\n\n{_template(bodyparts, roles)}"
        )
    assumed = Skeleton(
        name=ASSUMED, keypoints=tuple(bodyparts), roles=roles, edges=usual_edges(roles),
        mirror_pairs=mirror_pairs(bodyparts),
    )  # fmt: skip
    return assumed, list(range(len(bodyparts)))


def _template(bodyparts: Sequence[str], roles: Mapping[str, str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in bodyparts)
    lines = ['name = "my_animal"', f"keypoints = [{quoted}]", "exchangeable = false", "", "[roles]"]
    return "\n".join(lines + [f'{role} = "{name}"' for role, name in roles.items()])

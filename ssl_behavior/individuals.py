"""Individuals of several recordings, matched by name, whatever their order in a file.

Keypoints are matched by name, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ssl_behavior.body_parts import same_name
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording, take_or_missing
from ssl_behavior.skeleton import ASSUMED, DEFAULT_INDIVIDUALS, FRONT_ROLES, Skeleton, with_individuals
from ssl_behavior.terminal import counted, listed

__all__ = ["IndividualsByName", "advise_individuals", "align_keypoints"]

_MIN_SHARED = 0.5
"""Share of the first recording's keypoints that another one of the same import must have."""


class IndividualsByName:
    """The individuals of an import: chosen, renamed and ordered by name in every recording.

    The first recording decides names and order, unless they are given.

    Parameters
    ----------
    chosen : name in the store -> name in the files, in the order of the store; empty = all, by their own names.
    exchangeable : None = by the names, see `ssl_behavior.skeleton.with_individuals`.
    skeleton : given by the user, who may have named the individuals in it.

    Attributes
    ----------
    skeleton : the skeleton of all recordings, with their individuals; None before the first.
    """

    def __init__(
        self, chosen: Mapping[str, str], exchangeable: bool | None = None, skeleton: Skeleton | None = None
    ) -> None:
        self._chosen, self._exchangeable, self._given = dict(chosen), exchangeable, skeleton
        self.skeleton: Skeleton | None = None
        self._anonymous: dict[tuple[str, ...], str] = {}

    def matched(self, recording: Recording) -> Recording:
        """The recording with the individuals and keypoints of the import, in its order.

        Raises
        ------
        InputError
            If it has other individuals, and no names are given to match them.
        """
        if self.skeleton is not None:
            recording = align_keypoints(recording, self.skeleton)
        names = self._names(recording)
        if self.skeleton is None:
            self.skeleton = self._with(recording.skeleton, names)
            order = tuple(names)
        else:
            order = self._order(recording, tuple(names), self.skeleton)
        left_out = [own for own in recording.individuals if own not in names.values()]
        notes = [f"animals left out, neither chosen nor in the skeleton: {listed(left_out)}"] if left_out else []
        pick = [recording.individuals.index(names[name]) for name in order]
        notes += _left_out_bouts(recording, pick)
        return replace(
            recording,
            keypoints=recording.keypoints[:, pick],
            confidence=None if recording.confidence is None else recording.confidence[:, pick],
            skeleton=self.skeleton,
            individuals=self.skeleton.individuals,
            pair_labels={
                stream: labels.of_individuals(pick, len(recording.individuals))
                for stream, labels in recording.pair_labels.items()
            },
            notes=(*recording.notes, *notes),
        )

    def _with(self, skeleton: Skeleton, names: Mapping[str, str]) -> Skeleton:
        exchangeable = self._exchangeable
        if exchangeable is None and self._given is not None:
            exchangeable = self._given.exchangeable
        return with_individuals(skeleton, tuple(names), exchangeable)

    def _names(self, recording: Recording) -> dict[str, str]:
        """Name in the store -> name in the recording, of the chosen individuals."""
        own = recording.individuals
        if self._chosen:
            if all(name in own for name in self._chosen.values()):
                return self._chosen
            if all(name in own for name in self._chosen):
                return {name: name for name in self._chosen}
            absent = sorted(name for name in self._chosen.values() if name not in own)
            raise InputError(
                f"{_of(recording)} has the animals {listed(own)}; `individuals` names {listed(absent)}, which "
                "is not among them"
            )
        named = self._given.individuals if self._given is not None else DEFAULT_INDIVIDUALS
        if self._given is not None and set(named) <= set(own):
            return {name: name for name in named}
        if self._given is None or named == DEFAULT_INDIVIDUALS:
            return {name: name for name in own}
        if len(own) == len(named) and (self._given.exchangeable or self._exchangeable):
            return {name: name for name in own}
        raise InputError(
            f"{_of(recording)} has the animals {listed(own)}; the skeleton {self._given.name!r} has "
            f"{listed(named)}: {_ask(named, own)}"
        )

    def _order(self, recording: Recording, names: tuple[str, ...], skeleton: Skeleton) -> tuple[str, ...]:
        expected = skeleton.individuals
        if set(names) == set(expected):
            return expected
        if len(names) != len(expected):
            raise InputError(
                f"{_of(recording)} has {_counted(names)}, the recordings before have {_counted(expected)}; "
                "choose the animals with `individuals`, or import the recordings into two stores"
            )
        if skeleton.exchangeable:
            self._anonymous[names] = recording.id
            return names
        raise InputError(
            f"{_of(recording)} has the animals {listed(names)}, the recordings before have {listed(expected)}: "
            f"{_ask(expected, names)}, rename them in the file, or import it into another store"
        )

    def sentences(self) -> Iterator[str]:
        """What the import says about the animals, most important first."""
        skeleton = self.skeleton
        if skeleton is None:
            return
        names = skeleton.individuals
        if len(names) != 2:
            count = "one animal" if len(names) == 1 else f"{len(names)} animals"
            more = "" if len(names) == 1 else "; import again and choose two with `individuals`"
            yield (
                f"the recordings have {count} ({listed(names)}): features, task programs, pretraining and embedding "
                f"need two{more}"
            )
        for other, recording in self._anonymous.items():
            yield (
                f"{recording} names its animals {listed(other)}, not {listed(names)}: matched by position, "
                "because they are exchangeable"
            )
        if len(names) > 1:
            yield _about_identity(skeleton)
        if skeleton.name == ASSUMED:
            roles = ", ".join(f"{role} = {part}" for role, part in skeleton.roles.items())
            others = [part for part in skeleton.keypoints if part not in skeleton.roles.values()]
            rest = f"; without a role: {', '.join(others)}" if others else ""
            yield f"roles assumed from the names of the body parts: {roles}{rest}; a `skeleton` file changes them"
        if not ("tail_base" in skeleton.roles and any(role in skeleton.roles for role in FRONT_ROLES)):
            yield (
                f"the keypoints ({', '.join(skeleton.keypoints)}) give no heading and no body length: features, task "
                "programs, pretraining and embedding need the base of the tail and another point"
            )


def _left_out_bouts(recording: Recording, picks: Sequence[int]) -> list[str]:
    """Notes that count the bouts whose agent or target is not chosen."""
    counts = {stream: labels.num_about_others(picks) for stream, labels in recording.pair_labels.items()}
    return [
        f"{stream}: {counted(count, 'bout')} of animals that are left out, as agent or target, left out, too"
        for stream, count in counts.items()
        if count
    ]


def _about_identity(skeleton: Skeleton) -> str:
    names = listed(skeleton.individuals)
    if skeleton.exchangeable:
        return (
            f"the animals {names} are taken as exchangeable: the embedding does not depend on their order. If the "
            "tracker identifies them in every recording, pass `exchangeable=False`"
        )
    return (
        f"the animals {names} are taken as identified: the embedding depends on their identities, so a "
        "tracker that swaps them changes it"
    )


def _counted(individuals: Sequence[str]) -> str:
    return f"{len(individuals)} animal{'s' * (len(individuals) != 1)} ({listed(individuals)})"


def _of(recording: Recording) -> str:
    return f"{recording.source}: recording {recording.id!r}" if recording.source else f"recording {recording.id!r}"


def _ask(names: Sequence[str], own: Sequence[str]) -> str:
    return f"assign the animals with `individuals`, for example `individuals={_pairs(names, own)}`"


def _pairs(names: Sequence[str], own: Sequence[str]) -> str:
    others = [name for name in own if name not in names]
    return " ".join(f"{name}={name if name in own else others.pop(0)}" for name in names)


def advise_individuals(names: Sequence[str], own: Sequence[str]) -> str:
    """Advice for a store whose animals have other names, or another order, than those that are known.

    >>> advise_individuals(["resident", "intruder"], ["m1", "m2"])
    'Import its recordings again and assign the animals, for example `individuals=resident=m1 intruder=m2`'
    """
    return f"Import its recordings again and assign the animals, for example `individuals={_pairs(names, own)}`"


def align_keypoints(recording: Recording, skeleton: Skeleton) -> Recording:
    """The recording with the keypoints of a skeleton, matched by name; those that it lacks are missing.

    Raises
    ------
    InputError
        If it lacks more than half of them.
    """
    own = recording.skeleton.keypoints
    wanted = skeleton.keypoints
    places = [next((i for i, name in enumerate(own) if same_name(name, keypoint)), -1) for keypoint in wanted]
    if sum(place >= 0 for place in places) < _MIN_SHARED * len(places):
        raise InputError(
            f"{_of(recording)} has the keypoints {list(own)}, the recordings before have {list(skeleton.keypoints)}; "
            "one store has one skeleton: import it into another store, or name common keypoints in a `skeleton` file"
        )
    if places == list(range(len(own))):
        return replace(recording, skeleton=skeleton)
    absent = [name for name, place in zip(wanted, places, strict=True) if place < 0]
    extra = [name for i, name in enumerate(own) if i not in places]
    notes = [f"body parts that are missing, unlike in the first recording: {', '.join(absent)}"] if absent else []
    notes += [f"body parts left out, which the first recording lacks: {', '.join(extra)}"] if extra else []
    confidence = None if recording.confidence is None else take_or_missing(recording.confidence, places, axis=2)
    keypoints = take_or_missing(recording.keypoints, places, axis=2)
    return replace(
        recording, keypoints=keypoints, confidence=confidence, skeleton=skeleton, notes=(*recording.notes, *notes)
    )

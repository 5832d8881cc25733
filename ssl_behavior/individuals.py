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

_MANY_ANIMALS = 8
"""More names are not repeated in advice, and may be pieces of tracks."""
_MIN_SHARED = 0.5
"""Share of the first recording's keypoints that another one of the same import must have."""


class IndividualsByName:
    """The individuals of an import: chosen, renamed and ordered by name in every recording.

    The first recording decides names and order, unless they are given; animals that only later recordings have follow.
    A recording may lack some: its names must be among the known ones, or all known ones among its names.

    Parameters
    ----------
    chosen : name in the store -> name in the files, in the order of the store; empty = all, by their own names.
    exchangeable : None = by the names, see `ssl_behavior.skeleton.with_individuals`.
    skeleton : given by the user, who may have named the individuals in it.

    Attributes
    ----------
    skeleton : the skeleton of the recordings so far, with their individuals; None before the first.
    """

    def __init__(
        self, chosen: Mapping[str, str], exchangeable: bool | None = None, skeleton: Skeleton | None = None
    ) -> None:
        self._chosen, self._exchangeable, self._given = dict(chosen), exchangeable, skeleton
        self.skeleton: Skeleton | None = None
        self._usual: Skeleton | None = None
        self._found: set[str] = set()
        self._anonymous: dict[tuple[str, ...], tuple[tuple[str, ...], str]] = {}

    def matched(self, recording: Recording) -> Recording:
        """The recording with the keypoints of the import, and with those of its individuals that it has, in its order.

        Raises
        ------
        InputError
            If it has other individuals, and no names are given to match them; if two of its animals have one name, or
            one of them has only keypoints that the first recording lacks.
        """
        _check_names(recording)
        whole = recording
        if self.skeleton is not None:
            recording = align_keypoints(recording, self.skeleton)
        own = self._own(recording, self._names(recording))
        left_out = [name for name in recording.individuals if name not in own.values()]
        notes = [f"animals left out, neither chosen nor in the skeleton: {listed(left_out)}"] if left_out else []
        picks = [recording.individuals.index(name) for name in own.values()]
        notes += _left_out_bouts(recording, picks)
        found = _with_animals(recording, tuple(own), picks)
        assert self.skeleton is not None
        _check_points(whole, recording, own)
        self._found.update(own)
        return replace(found, skeleton=self.skeleton, notes=(*found.notes, *notes))

    def completed(self, recording: Recording) -> Recording:
        """A recording from `matched` with all individuals so far: those that it lacks are missing in every frame."""
        assert self.skeleton is not None
        names = self.skeleton.individuals
        if recording.individuals != names:
            places = [recording.individuals.index(name) if name in recording.individuals else -1 for name in names]
            recording = _with_animals(recording, names, places)
        return recording if recording.skeleton is self.skeleton else replace(recording, skeleton=self.skeleton)

    def check_found(self) -> None:
        """Refuse a chosen individual that no recording has; call it after the last recording.

        Raises
        ------
        InputError
            Naming the individual, and those that the recordings have.
        """
        lacking = [own for new, own in self._chosen.items() if new not in self._found]
        if lacking:
            there = [own for new, own in self._chosen.items() if new in self._found]
            raise InputError(
                f"`individuals` names {listed(lacking)}, which no recording has; of those named, they have "
                f"{listed(there)}: correct the name, or leave it out"
            )

    def _with(self, individuals: tuple[str, ...]) -> Skeleton:
        exchangeable = self._exchangeable
        if exchangeable is None and self._given is not None:
            exchangeable = self._given.exchangeable
        assert self._usual is not None
        return with_individuals(self._usual, individuals, exchangeable)

    def _first(self, recording: Recording, names: tuple[str, ...]) -> Skeleton:
        """Skeleton of the import, by its first recording; chosen and given names that it lacks may come later."""
        self._usual = recording.skeleton
        few = set(names) < set(self._named) and self._named != DEFAULT_INDIVIDUALS
        return self._with(tuple(self._chosen) or (self._named if few else names))

    @property
    def _named(self) -> tuple[str, ...]:
        """Individuals that the given skeleton names."""
        return self._given.individuals if self._given is not None and self._given.names_individuals else ()

    def _names(self, recording: Recording) -> dict[str, str]:
        """Name in the store -> name in the recording, of those chosen individuals that it has."""
        own = recording.individuals
        if self._chosen:
            return self._names_of_chosen(recording)
        named = self._named
        unnamed = named == DEFAULT_INDIVIDUALS and not set(named) <= set(own)
        if self._given is None or not named or unnamed:
            return {name: name for name in own}
        if set(named) <= set(own) or set(own) <= set(named):
            return {name: name for name in named if name in own}
        if len(own) == len(named) and (self._given.exchangeable or self._exchangeable):
            return {name: name for name in own}
        raise InputError(
            f"{_of(recording)} has the animals {listed(own)}; the skeleton {self._given.name!r} has "
            f"{listed(named)}: {_ask(named, own)}"
        )

    def _names_of_chosen(self, recording: Recording) -> dict[str, str]:
        own, same = set(recording.individuals), {name: name for name in self._chosen}
        for names in (self._chosen, same):
            if set(names.values()) <= own:
                return names
        for names in (self._chosen, same):
            if own <= set(names.values()):
                return {new: old for new, old in names.items() if old in own}
        absent = listed(sorted(name for name in self._chosen.values() if name not in own))
        others = listed([name for name in recording.individuals if name not in self._chosen.values()])
        raise InputError(
            f"{_of(recording)} has the animals {listed(recording.individuals)}; `individuals` names {absent}, which is "
            f"not among them, and leaves out {others}: name {others}, too, or rename it in the file if it is {absent}"
        )

    def _own(self, recording: Recording, names: Mapping[str, str]) -> dict[str, str]:
        """Name in the store -> name in the recording, in the order of the store, which may get more animals."""
        if self.skeleton is None:
            self.skeleton = self._first(recording, tuple(names))
        expected, own = self.skeleton.individuals, tuple(names)
        if own in self._anonymous:
            known, _ = self._anonymous[own]
            return dict(zip(known, names.values(), strict=True))
        if not set(own) <= set(expected):
            if not set(expected) <= set(own):
                return self._by_position(recording, names)
            self._add(recording, (*expected, *(name for name in own if name not in expected)))
        return {name: names[name] for name in self.skeleton.individuals if name in names}

    def _by_position(self, recording: Recording, names: Mapping[str, str]) -> dict[str, str]:
        """Exchangeable animals with other names, which are as many as before.

        Raises
        ------
        InputError
            If they are more or fewer, or told apart.
        """
        assert self.skeleton is not None
        expected, own = self.skeleton.individuals, tuple(names)
        if len(own) != len(expected):
            raise InputError(
                f"{_of(recording)} has {_counted(own)}, the recordings before have {_counted(expected)}, and neither "
                f"list contains the other: {_who_is_who(expected, own)}, or import the recordings into two stores"
            )
        if not self.skeleton.exchangeable:
            raise InputError(
                f"{_of(recording)} has the animals {listed(own)}, the recordings before have {listed(expected)}: "
                f"{_ask(expected, own)}, rename them in the file, or import it into another store"
            )
        self._anonymous[own] = expected, recording.id
        return dict(zip(expected, names.values(), strict=True))

    def _add(self, recording: Recording, individuals: tuple[str, ...]) -> None:
        """Add animals to the skeleton.

        Raises
        ------
        InputError
            If the names then tell the animals apart, and earlier ones were matched by position.
        """
        widened = self._with(individuals)
        if self._anonymous and not widened.exchangeable:
            other, (_, id) = next(iter(self._anonymous.items()))
            raise InputError(
                f"{_of(recording)} has {_counted(recording.individuals)}, whose names tell the animals apart, but "
                f"those of {id} ({listed(other)}) were matched by position; assign the animals with `individuals`, or "
                "import the recordings into two stores"
            )
        self.skeleton = widened

    def sentences(self) -> Iterator[str]:
        """What the import says about the animals, most important first."""
        skeleton = self.skeleton
        if skeleton is None:
            return
        for other, (known, recording) in self._anonymous.items():
            every = dict.fromkeys([*known, *other])
            overlap = len(every) < len(known) + len(other) and len(every) <= _MANY_ANIMALS
            yield (
                f"{recording} names its animals {listed(other)}, not {listed(known)}: matched by position, "
                "because they are exchangeable" + f"; `individuals={' '.join(every)}` matches them by name" * overlap
            )
        number = len(skeleton.individuals)
        if number > _MANY_ANIMALS:
            yield (
                f"number of animals: {number} ({listed(skeleton.individuals, 6)}), and features grow with their "
                f"{number * (number - 1):,} ordered pairs; if these are pieces of tracks, link them in the tracker, or "
                "choose animals with `individuals`"
            )
        if number > 1:
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


def _check_names(recording: Recording) -> None:
    names = recording.individuals
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{_of(recording)} names the animal {listed(repeated)} twice, among {listed(names)}; rename one in the file"
        )


def _check_points(whole: Recording, aligned: Recording, own: Mapping[str, str]) -> None:
    """Refuse a recording in which an animal has only body parts that the first recording lacks."""
    if whole.skeleton.keypoints == aligned.skeleton.keypoints:
        return
    lost = [name for name in aligned.absent if name in own.values() and name not in whole.absent]
    if lost:
        known = aligned.skeleton.keypoints
        parts = [part for part in whole.skeleton.keypoints if not any(same_name(part, one) for one in known)]
        raise InputError(
            f"{_of(whole)}: the body parts of {listed(lost)} are unknown to the first recording ({', '.join(parts)}), "
            "and would be lost: import this file first, or give a `skeleton` with all body parts"
        )


def _with_animals(recording: Recording, names: tuple[str, ...], places: Sequence[int]) -> Recording:
    """The recording with other animals; `places` : of each in the recording, -1 = missing in every frame."""
    if list(places) == list(range(len(recording.individuals))):
        return replace(recording, individuals=names)
    known, streams = recording.confidence, recording.pair_labels
    return replace(
        recording,
        keypoints=take_or_missing(recording.keypoints, places, axis=1),
        confidence=None if known is None else take_or_missing(known, places, axis=1),
        individuals=names,
        pair_labels={
            name: labels.of_individuals(places, len(recording.individuals)) for name, labels in streams.items()
        },
    )


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


def _who_is_who(known: Sequence[str], own: Sequence[str]) -> str:
    """Advice for other animals than those that are known; with examples, unless there are too many names."""
    every, pairs = dict.fromkeys([*known, *own]), dict(_paired(known, own))
    if len(every) > _MANY_ANIMALS:
        return "name the animals to import with `individuals`, rename them in the files"
    example = " ".join(f"{name}={pairs[name]}" if name in pairs else name for name in known)
    return (
        f"if these are other animals, name all of them (`individuals={' '.join(every)}`); if not, say who is who, for "
        f"example `individuals={example}`"
    )


def _pairs(names: Sequence[str], own: Sequence[str]) -> str:
    return " ".join(f"{name}={other}" for name, other in _paired(names, own))


def _paired(names: Sequence[str], own: Sequence[str]) -> list[tuple[str, str]]:
    """(Name, name in the file), an example of who may be who, as far as there are animals left."""
    others = iter([name for name in own if name not in names])
    pairs = [(name, name if name in own else next(others, "")) for name in names]
    return [(name, other) for name, other in pairs if other]


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

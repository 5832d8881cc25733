"""Annotations with agents and targets, and their conversion to `PairLabels` of a recording's animals."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import Annotation, AnnotationStream, Triple, frames_of_ends
from ssl_behavior.recording import FrameTimes, PairLabels
from ssl_behavior.terminal import counted, listed

__all__ = ["Animals", "BehaviorKinds", "behavior_kinds", "pair_labels_from_annotation", "without_absent"]

BehaviorKinds = Mapping[str, frozenset[str]]
"""Behavior -> "self" and "other": whether animals direct it at themselves, at others, or both."""
_SELF, _OTHER = "self", "other"


@dataclass(frozen=True, kw_only=True)
class Animals:
    """Names of a recording's animals; `aliases` : further name -> name."""

    individuals: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """Number of an animal; -1 for an unknown name. "2" is mouse2, and case does not matter."""
        for one in (name, self.aliases.get(name, ""), f"mouse{name}" if name.isdecimal() else ""):
            if one in self.individuals:
                return self.individuals.index(one)
        alike = [number for number, own in enumerate(self.individuals) if own.casefold() == name.casefold()]
        return alike[0] if len(alike) == 1 else -1


def behavior_kinds(streams: Iterable[AnnotationStream]) -> BehaviorKinds:
    """Kinds of the behaviors of one stream in several files; one that never occurs may be both."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for one in streams:
        for word in one.vocabulary:
            kinds[word] |= set()
        for agent, target, label in zip(one.subject, one.target or one.subject, one.label.tolist(), strict=True):
            if target:
                kinds[one.vocabulary[label]].add(_SELF if agent == target else _OTHER)
    occurring = {word for one in streams for word in (one.vocabulary[label] for label in one.label.tolist())}
    alone = frozenset({_SELF})
    return {
        word: frozenset(own) or (alone if word in occurring else frozenset({_SELF, _OTHER}))
        for word, own in kinds.items()
    }


def pair_labels_from_annotation(
    annotation: Annotation,
    stream: str,
    animals: Animals,
    num_frames: int,
    kinds: BehaviorKinds,
    fps: float | None = None,
    times: FrameTimes | None = None,
) -> tuple[PairLabels, list[str]]:
    """A directed stream as labels of a recording, and sentences about what could not be taken.

    Seconds become the nearest frame, and a bout has at least one. Bouts that run past the tracks are clipped.

    Parameters
    ----------
    animals : of the recording.
    kinds : of the stream's behaviors in all files. A bout without a target is directed at its agent, unless its
        behavior is directed at others elsewhere. Of an annotation that does not state what was looked for and is
        complete, all behaviors were looked for, in all pairs of their kinds.
    fps, times : see `ssl_behavior.io.annotation.labels_from_annotation`.

    Raises
    ------
    InputError
        If an agent or target is none of the animals, or the annotation has stretches without annotation.
    """
    one = annotation.streams[stream]
    where = f"{annotation.where}: label stream {stream!r}"
    _refuse_stretches(one, num_frames, fps, where)
    ends = frames_of_ends(one, np.stack([one.start, one.stop]), annotation, fps, times)
    notices: list[str] = []
    bouts, vocabulary = _bouts(one, ends, animals, kinds, where, notices), _vocabulary(one, kinds)
    bouts = _inside(bouts, num_frames, where, notices)
    looked_for = _looked_for(one, bouts, vocabulary, animals, kinds, where, notices)
    asked = looked_for[tuple(bouts[:, :3].T)]
    if not asked.all():
        left = Counter(vocabulary[number] for number in bouts[~asked, 2].tolist())
        words = ", ".join(f"{word} ({count})" for word, count in left.items())
        notices.append(
            f"{where}: {counted(int((~asked).sum()), 'bout')} left out, of behaviors that were not looked for in these "
            f"pairs: {words}"
        )
    return PairLabels(
        vocabulary=vocabulary, bouts=bouts[asked], looked_for=None if looked_for.all() else looked_for,
        annotator=one.annotator,
    ), notices  # fmt: skip


def _vocabulary(one: AnnotationStream, kinds: BehaviorKinds) -> tuple[str, ...]:
    stated = (behavior for _, _, behavior in one.looked_for or ())
    more = kinds if one.complete and one.looked_for is None else ()
    return tuple(dict.fromkeys([*one.vocabulary, *stated, *more]))


def _refuse_stretches(one: AnnotationStream, num_frames: int, fps: float | None, where: str) -> None:
    end = num_frames / (one.fps or fps or math.inf) if one.seconds else num_frames
    inside = [(start, stop) for start, stop in one.not_annotated if start < end]
    if inside:
        start = f"{inside[0][0]:g} s" if one.seconds else f"frame {inside[0][0]:g}"
        raise InputError(
            f"{where}: it is not annotated from {start} on, where a bout does not end; labels with agents and targets "
            "have no such stretches: end every bout in the file"
        )


def _bouts(
    one: AnnotationStream, ends: np.ndarray, animals: Animals, kinds: BehaviorKinds, where: str, notices: list[str]
) -> np.ndarray:
    """int64 [bout, (agent, target, behavior, start, stop)] of the bouts whose animals are stated."""
    _check_names(one, animals, where)
    agents, targets = one.subject or ("",) * len(one), one.target or ("",) * len(one)
    rows, unknown = [], Counter[str]()
    for agent, target, label, start, stop in zip(agents, targets, one.label.tolist(), *ends.tolist(), strict=True):
        behavior = one.vocabulary[label]
        if not agent or (not target and _OTHER in kinds.get(behavior, ())):
            unknown[behavior] += 1
            continue
        who = animals.number(agent)
        rows.append((who, animals.number(target) if target else who, label, start, max(stop, start + 1)))
    if unknown:
        words = ", ".join(f"{word} ({count})" for word, count in unknown.items())
        notices.append(f"{where}: {counted(unknown.total(), 'bout')} without an agent or target left out: {words}")
    return np.array(rows, dtype=np.int64).reshape(-1, 5)


def _check_names(one: AnnotationStream, animals: Animals, where: str) -> None:
    """Refuse agents and targets that are none of the animals."""
    for role, names in (("agent", one.subject), ("target", one.target)):
        unknown = next((name for name in dict.fromkeys(names) if name and animals.number(name) < 0), None)
        if unknown is None:
            continue
        named = list(dict.fromkeys(name for name in (*one.subject, *one.target) if name))
        known = f"{counted(len(animals.individuals), 'animal')} ({', '.join(animals.individuals)})"
        if len(named) > len(animals.individuals):
            raise InputError(
                f"{where} is about {len(named)} animals ({', '.join(named)}), the tracks have {known}; import tracks "
                "of all of them, or remove the bouts of the others"
            )
        raise InputError(
            f"{where} has the {role} {unknown!r}, the tracks have {known}; use the names of the tracks, or assign them "
            "with `individuals`"
        )


def _inside(bouts: np.ndarray, num_frames: int, where: str, notices: list[str]) -> np.ndarray:
    """Bouts within the recording: clipped at its end, without those after it."""
    late, cut = bouts[:, 3] >= num_frames, bouts[:, 4] > num_frames
    if cut.any():
        notices.append(
            f"{where}: {counted(int(cut.sum()), 'bout')} annotated after the end of the tracks "
            f"({num_frames:,} frames), {int(late.sum())} dropped, {int((cut & ~late).sum())} cut off there"
        )
    kept = bouts[~late]
    kept[:, 4] = np.minimum(kept[:, 4], num_frames)
    return kept


def _looked_for(
    one: AnnotationStream,
    bouts: np.ndarray,
    vocabulary: Sequence[str],
    animals: Animals,
    kinds: BehaviorKinds,
    where: str,
    notices: list[str],
) -> np.ndarray:
    """What was looked for, bool [agent, target, behavior]."""
    size = len(animals.individuals)
    found = np.zeros((size, size, len(vocabulary)), dtype=bool)
    if one.looked_for is not None:
        unknown = _mark(found, one.looked_for, vocabulary, animals)
        if unknown:
            notices.append(
                f"{where}: behaviors were looked for in animals without tracks, which are left out: {listed(unknown)}"
            )
    elif one.complete:
        itself = np.eye(size, dtype=bool)
        for number, word in enumerate(vocabulary):
            own = kinds.get(word, frozenset())
            found[..., number] = (itself & (_SELF in own)) | (~itself & (_OTHER in own))
    else:
        found[tuple(bouts[:, :3].T)] = True
        notices.append(
            f"{where}: it is not known what was looked for (no table with behaviors_labeled lists the video), so only "
            "behaviors of pairs that occur are taken as looked for"
        )
    return found


def _mark(found: np.ndarray, triples: Sequence[Triple], vocabulary: Sequence[str], animals: Animals) -> list[str]:
    """Mark what was looked for; returns the names that are none of the animals."""
    unknown: dict[str, None] = {}
    for agent, target, behavior in triples:
        who, whom = animals.number(agent), animals.number(target)
        if min(who, whom) < 0:
            unknown |= dict.fromkeys(name for name in (agent, target) if animals.number(name) < 0)
        else:
            found[who, whom, list(vocabulary).index(behavior)] = True
    return list(unknown)


def without_absent(
    labels: PairLabels, individuals: Sequence[str], absent: Sequence[str], where: str
) -> tuple[PairLabels, list[str]]:
    """Labels in which nothing was looked for in absent animals, and sentences about what that changed.

    Parameters
    ----------
    individuals : animals of the labels.
    absent : animals of whom no point is observed.
    where : recording and label stream, for messages.

    Raises
    ------
    InputError
        If a bout's agent or target is absent.
    """
    gone = [number for number, name in enumerate(individuals) if name in absent]
    for role, column in (("agent", 0), ("target", 1)):
        concerned = np.isin(labels.bouts[:, column], gone)
        if concerned.any():
            bout = labels.bouts[np.flatnonzero(concerned)[0]].tolist()
            raise InputError(
                f"{where}: {counted(int(concerned.sum()), 'bout')}, such as {labels.vocabulary[bout[2]]!r} from frame "
                f"{bout[3]} on, have the {role} {individuals[bout[column]]!r}, of whom no point is observed in this "
                "recording; remove them from the labels, or choose the animals with `individuals`"
            )
    looked_for = labels.looked_for_of(len(individuals)).copy()
    asked = looked_for[gone].any() or looked_for[:, gone].any()
    if not asked:
        return labels, []
    looked_for[gone] = looked_for[:, gone] = False
    names = ", ".join(individuals[number] for number in gone)
    notice = f"labels of pairs with {names}, of whom no point is observed in this recording, are taken as not annotated"
    return replace(labels, looked_for=looked_for), [notice]

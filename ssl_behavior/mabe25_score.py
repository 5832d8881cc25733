"""Score of MABe 2025: F of each action, averaged over the actions of a lab, then over labs.

The rules are those of the competition's public metric (Kaggle, "MABe Challenge - Social Action Recognition in Mice"):

- Frames of an action are those of `range(start, stop)` of its bouts, pooled over the pairs and videos of a lab. The
  competition's tables state the last frame as stop, which its metric so does not count; pass their numbers as they are.
- Predictions of what was not looked for in their video, and in videos without true bouts, are ignored.
- Frames predicted twice for one action of a pair count once. Two actions of one pair in one frame are refused.
- A lab's actions are those with a true bout in it, also if nobody looked for it, and those predicted: an action that
  was looked for, is predicted and that nobody shows counts with F = 0, one that is not predicted does not count.

Departures: an action's name may hold "_" (the metric would take its last part), and no predictions at all give 0.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ssl_behavior.errors import InputError

__all__ = ["Mabe25Score", "VideoBout", "mabe25_score"]

_SELF = "self"
_Spans = list[tuple[int, int]]


class VideoBout(NamedTuple):
    """Row of a table of bouts; `target` is "self" or the agent where the agent directs the action at itself."""

    video: str
    agent: str
    target: str
    action: str
    start: int
    stop: int


_Key = tuple[str, str, str, str]
"""Video, agent, target and action."""


@dataclass(frozen=True)
class Mabe25Score:
    """The score, its mean of each lab, and F of each action: lab -> action -> F."""

    score: float
    labs: Mapping[str, float]
    actions: Mapping[str, Mapping[str, float]]


def mabe25_score(
    truth: Iterable[VideoBout],
    predictions: Iterable[VideoBout],
    looked_for: Mapping[str, Collection[tuple[str, str, str]]],
    labs: Mapping[str, str],
    beta: float = 1.0,
) -> Mabe25Score:
    """Score of predicted bouts.

    Parameters
    ----------
    looked_for : video -> (agent, target, action) of `behaviors_labeled`.
    labs : video -> lab.
    beta : weight of recall; 1 in the competition.

    Raises
    ------
    InputError
        If there are no true bouts, one's video has no lab or no list, a bout runs backwards, or a pair has two actions
        predicted in one frame.
    """
    true = _spans_of(truth)
    if not true:
        raise InputError("there are no true bouts: a score needs at least one")
    videos = dict.fromkeys(video for video, *_ in true)
    for video in videos:
        for name, known in (("lab", labs), ("list of what was looked for", looked_for)):
            if video not in known:
                raise InputError(f"video {video!r} has true bouts and no {name}; add it")
    asked = {video: {_without_self(*one) for one in looked_for[video]} for video in videos}
    claimed = {
        key: spans for key, spans in _spans_of(predictions).items() if key[0] in asked and key[1:] in asked[key[0]]
    }
    _refuse_conflicts(claimed)
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for key in dict.fromkeys([*true, *claimed]):
        own, other = true.get(key, []), claimed.get(key, [])
        hits = _shared(own, other)
        sums = counts[labs[key[0]]][key[3]]
        for place, number in enumerate((hits, _length(own) - hits, _length(other) - hits)):
            sums[place] += number
    actions = {lab: {action: _f(sums, beta) for action, sums in own.items()} for lab, own in counts.items()}
    means = {lab: sum(own.values()) / len(own) for lab, own in actions.items()}
    return Mabe25Score(sum(means.values()) / len(means), means, actions)


def _f(counts: Sequence[int], beta: float) -> float:
    hits, misses, false = counts
    if hits == 0:
        return 0.0
    return (1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * misses + false)


def _without_self(agent: str, target: str, action: str) -> tuple[str, str, str]:
    return agent, agent if target == _SELF else target, action


def _spans_of(bouts: Iterable[VideoBout]) -> dict[_Key, _Spans]:
    """Frames of each action of each pair, as spans that neither overlap nor touch."""
    spans: dict[_Key, _Spans] = defaultdict(list)
    for video, agent, target, action, start, stop in bouts:
        if start > stop:
            raise InputError(
                f"video {video!r}: a bout of {action!r} has the frames {start} to {stop}; it runs backwards"
            )
        spans[video, *_without_self(agent, target, action)].append((start, stop))
    return {key: _union(own) for key, own in spans.items()}


def _union(spans: _Spans) -> _Spans:
    made: _Spans = []
    for start, stop in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(made[-1][1], stop)
        elif start < stop:
            made.append((start, stop))
    return made


def _length(spans: _Spans) -> int:
    return sum(stop - start for start, stop in spans)


def _shared(one: _Spans, other: _Spans) -> int:
    """Number of frames in both of two unions."""
    shared = i = j = 0
    while i < len(one) and j < len(other):
        shared += max(0, min(one[i][1], other[j][1]) - max(one[i][0], other[j][0]))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return shared


def _refuse_conflicts(predictions: Mapping[_Key, _Spans]) -> None:
    """Refuse two actions of one pair in one frame."""
    pairs: dict[tuple[str, str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for (video, agent, target, action), spans in predictions.items():
        pairs[video, agent, target] += [(start, stop, action) for start, stop in spans]
    for (video, agent, target), bouts in pairs.items():
        last = (0, 0, "")
        for bout in sorted(bouts):
            if bout[0] < last[1]:
                raise InputError(
                    f"video {video!r}: {agent} → {target} has the actions {last[2]!r} and {bout[2]!r} in frame "
                    f"{bout[0]}, and MABe 2025 refuses two predictions of one pair in one frame; keep one"
                )
            last = bout

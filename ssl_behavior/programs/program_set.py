"""`ProgramSet`: evaluates task programs on windows, as attributes, their classes and standard scores.

Thresholds and spreads are robust against a few extreme values and many equal ones.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import permutations
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.pose_geometry import scale_of
from ssl_behavior.programs.builtin import PROGRAMS
from ssl_behavior.programs.config import ProgramsConfig
from ssl_behavior.programs.contract_checks import check_program, values_of
from ssl_behavior.programs.layout import Layout, PairMask, Poses, Subject, unit_pairs
from ssl_behavior.programs.pose import Animal, MissingOther, MissingRole, Pose
from ssl_behavior.programs.program import Program, ProgramFacts
from ssl_behavior.programs.user_file import programs_with_hash
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.terminal import counted
from ssl_behavior.units import Unit, actors_of
from ssl_behavior.views import present_pairs
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["FITTING_FRAMES", "Attributes", "ProgramSet", "natural_size", "quantile_thresholds", "robust_spread"]

# Pairs of normal quantiles, and how many standard deviations lie between them.
_SPREADS = ((0.1587, 2.0), (0.0228, 4.0))
_RARE = (0.00135, 6.0)
_GRID = 100


def quantile_thresholds(
    ordered: Float[Tensor, " frames"], num_classes: int, spread: float
) -> Float[Tensor, " threshold"]:
    """At most num_classes - 1 rising thresholds that split sorted values into classes of similar size.

    Values that differ by less than a hundredth of `spread` are the same (a gap of 0, a cosine of 1e-13). Where a
    quantile of many equal values would leave a class empty, the threshold is at the next value, and the classes above
    share what is left.

    >>> quantile_thresholds(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]), 3, spread=2.0)
    tensor([0.9900, 2.9900])
    """
    step = spread / _GRID
    rest, thresholds = torch.round(ordered / step), []
    for remaining in range(num_classes, 1, -1):
        threshold = rest[len(rest) // remaining]
        if threshold <= rest[0]:
            threshold = rest[min(int(torch.searchsorted(rest, rest[:1], right=True)), len(rest) - 1)]
        if threshold <= rest[0]:
            break
        thresholds.append((threshold - 0.5) * step)
        rest = rest[int(torch.searchsorted(rest, threshold)) :]
    return torch.stack(thresholds) if thresholds else ordered.new_zeros(0)


def robust_spread(ordered: Float[Tensor, " frames"]) -> float:
    """Robust standard deviation: the larger estimate from the normal quantiles at 1 and 2 standard deviations.

    Values that are mostly the same and now and then far away (an overlap) keep a spread that does not cut the far ones
    off. The quantiles at 3 decide only where all others agree: that far out are the tracker's errors.
    """
    last = len(ordered) - 1

    def between(low: float, width: float) -> float:
        return float(ordered[round((1 - low) * last)] - ordered[round(low * last)]) / width

    return max(between(*quantiles) for quantiles in _SPREADS) or between(*_RARE)


Attributes = Float[Tensor, "*batch time attribute"]

FITTING_FRAMES = 400_000
"""Frames that attributes are fitted on; those of an animal or a pair count once for each."""

_CHUNK_FRAMES = 65_536
_CLIP = 4.0
_MIN_SPREAD = 1e-3
_MIN_CLASS_SHARE = 1e-3
_MAX_LISTED = 3


class ProgramSet(nn.Module):
    """Programs as attributes of every frame. Fitted values are buffers, saved with the model.

    An attribute is a program's value for one animal ("speed.resident"), for the greater and the lesser of two anonymous
    animals ("speed.greater"), or for the pair ("nose_nose_distance"). Of a single animal, programs that need another
    one are left out. Of three animals or more, they are taken toward the nearest ("facing_angle.m1"), or toward each
    ("facing_angle.m1.m2", see `ProgramsConfig.others`), and those of anonymous animals are the greatest and the least
    of all known values ("speed.greatest").

    An embedding of one animal, or of an ordered pair, is described by attributes of that `unit`: "speed" and
    "facing_angle" (toward the nearest), or "speed.agent", "facing_angle.target" and "nose_nose_distance". Its windows
    say with `pairs` whom they are about.

    The cost of programs that need another animal grows with the number of pairs that count, that of the others with
    the number of animals.

    Parameters
    ----------
    config : which programs, units and classes.
    skeleton : of the recordings, with the names of the animals.
    fps : their frames per second.
    unit : what the attributes describe.

    Attributes
    ----------
    names, attribute_facts, subjects : of the attributes: name, program, and what follows the program's name.

    Raises
    ------
    InputError
        If none of the programs can run on this skeleton and this number of animals.
    """

    median: Tensor
    spread: Tensor
    thresholds: Tensor
    informative: Tensor
    body_length: Tensor
    in_cm: Tensor

    def __init__(self, config: ProgramsConfig, skeleton: Skeleton, fps: float, unit: Unit = "scene") -> None:
        super().__init__()
        self.config, self.skeleton, self.fps = config, skeleton, float(fps)
        self.layout = Layout(skeleton=skeleton, unit=unit, others=config.others)
        self.facts, self._left_out = _that_run(config, skeleton, float(fps))
        self.notices = self._left_out
        columns = [(facts, subject) for facts in self.facts for subject in self.layout.subjects(facts)]
        self.names = tuple(".".join([facts.name, *subject]) for facts, subject in columns)
        self.attribute_facts = tuple(facts for facts, _ in columns)
        self.subjects: tuple[Subject, ...] = tuple(subject for _, subject in columns)
        self.num_attributes = len(self.names)
        number = [len(config.thresholds.get(facts.name, [0.0] * (config.num_classes - 1))) for facts in self.facts]
        self.num_classes = max(number) + 1
        self.register_buffer("median", torch.zeros(self.num_attributes))
        self.register_buffer("spread", torch.ones(self.num_attributes))
        self.register_buffer("thresholds", self._given_thresholds())
        self.register_buffer("informative", torch.ones(self.num_attributes, dtype=torch.bool))
        self.register_buffer("body_length", torch.ones(()))
        self.register_buffer("in_cm", torch.zeros((), dtype=torch.bool))
        self._fitted: tuple[float, Literal["px", "cm"]] | None = None
        self.register_load_state_dict_post_hook(_clear_cache)

    def _given_thresholds(self) -> Float[Tensor, "attribute threshold"]:
        # A class that no value reaches is behind the greatest number there is: buffers stay finite.
        thresholds = torch.full((self.num_attributes, self.num_classes - 1), torch.finfo(torch.float32).max)
        for row, facts in zip(thresholds, self.attribute_facts, strict=True):
            given = self.config.thresholds.get(facts.name, ())
            row[: len(given)] = torch.tensor(given, dtype=row.dtype)
        return thresholds.to(torch.get_default_dtype())

    @property
    def unit(self) -> Literal["px", "cm"]:
        """Fitted unit of "length"."""
        return self._numbers[1]

    @property
    def units(self) -> tuple[str, ...]:
        """Units of each attribute, e.g. "cm/s"."""
        return tuple(facts.units_in(self.unit) for facts in self.attribute_facts)

    @property
    def _numbers(self) -> tuple[float, Literal["px", "cm"]]:
        """Body length and unit, cached: reading the buffers synchronizes with a GPU."""
        numbers = self._fitted or (float(self.body_length), "cm" if bool(self.in_cm) else "px")
        self._fitted = numbers
        return numbers

    @cached_property
    def _functions(self) -> tuple[Program, ...]:
        """Functions of the programs. A user's file runs here, on first use, never on loading a model."""
        custom = programs_with_hash(self.config.file, self.config.file_sha256) if self._has_custom else {}
        return tuple((PROGRAMS | custom)[facts.name] for facts in self.facts)

    @property
    def _has_custom(self) -> bool:
        return any(facts.name not in PROGRAMS for facts in self.facts)

    def evaluate(
        self,
        keypoints: Float[Tensor, "*batch time individual keypoint space"],
        arena: Float[Tensor, "*batch corner"],
        px_per_cm: Float[Tensor, "*batch"],
        pairs: PairMask | None = None,
    ) -> Attributes:
        """Keypoints in px -> attributes in the set's units; NaN = missing, on both sides. Differentiable.

        Parameters
        ----------
        pairs : the ordered pairs that count in each window; None = all. Attributes are of animals with a pair as its
            agent, toward its targets: those of other animals are unknown, and extremes are over these animals alone.
            A window of the unit animal has one agent, one of the unit pair has one pair.

        Raises
        ------
        InputError
            If the units are cm and a scale is 0, the user's file has changed, or there are more animals than the
            attributes are of. Exchangeable ones may be fewer.
        """
        shape = keypoints.shape[:-3]
        windows = keypoints.flatten(0, -5) if len(shape) > 1 else keypoints.unsqueeze(0)
        arena, scale = arena.expand(*shape[:-1], 4).reshape(-1, 4), px_per_cm.expand(shape[:-1]).reshape(-1)
        if self.unit == "cm":
            _check_scales(scale)
            arena = arena / scale.unsqueeze(-1)
        if pairs is not None:
            pairs = pairs.expand(*shape[:-1], -1, -1).reshape(-1, *pairs.shape[-2:])
        some = self._some(pairs, keypoints.shape[-3])
        together = max(1, _CHUNK_FRAMES // max(1, shape[-1]))
        picks = [slice(i, i + together) for i in range(0, max(1, len(windows)), together)]
        with torch.autocast(keypoints.device.type, enabled=False):
            lone = (self._lone(windows[pick], arena[pick], scale[pick]) for pick in picks)
            masks = (None if pairs is None else pairs[pick] for pick in picks)
            parts = (self._planes(Poses(own, mask, some)) for own, mask in zip(lone, masks, strict=True))
            values = self._joined(parts, picks, windows)
        return values.movedim(0, -1).reshape(*shape, self.num_attributes)

    def _joined(
        self, parts: Iterator[list[Tensor]], picks: Sequence[slice], windows: Tensor
    ) -> Float[Tensor, "attribute batch time"]:
        if torch.is_grad_enabled() and windows.requires_grad:
            return torch.cat([torch.stack(planes) for planes in parts], dim=1)
        # Written once, into place: at this size, memory is what costs.
        values = windows.new_empty(self.num_attributes, *windows.shape[:2])
        for pick, planes in zip(picks, parts, strict=True):
            torch.stack(planes, out=values[:, pick])
        return values

    def _some(self, pairs: PairMask | None, number: int) -> list[tuple[int, int]]:
        """The pairs that count in any window; where none are given, all of this number of animals.

        Raises
        ------
        InputError
            If there are more than the attributes are of, or animals that are told apart are fewer.
        """
        known = self.skeleton.num_individuals
        if number > known or (number < known and not self.skeleton.exchangeable):
            raise InputError(
                f"task programs: they measure {counted(known, 'animal')}, and these windows have {number}; name the "
                "store with the most animals first"
            )
        if pairs is not None:
            return [(agent, target) for agent, target in pairs.any(0).nonzero().tolist()]
        assert self.layout.unit == "scene" or number == 1, "attributes of an animal or a pair need `pairs`"
        return list(permutations(range(number), 2)) if number > 1 else [(0, 0)]

    def _lone(self, windows: Tensor, arena: Tensor, scale: Tensor) -> list[Pose]:
        """The pose of each animal alone, of some windows."""
        # Every coordinate a plane of its own in memory: all operations run along time. A matrix is transposed fast.
        planes = windows.reshape(-1, windows.shape[2:].numel()).t().contiguous().unflatten(1, windows.shape[:2])
        planes = planes / scale.unsqueeze(-1) if self.unit == "cm" else planes
        keypoints = planes.unflatten(0, windows.shape[2:]).permute(3, 4, 0, 1, 2)
        body_length, unit = self._numbers
        animals = [Animal(points, self.skeleton, self.fps) for points in keypoints.unbind(-3)]
        return [Pose(animal, None, arena, body_length, unit) for animal in animals]

    def _planes(self, poses: Poses) -> list[Float[Tensor, "batch time"]]:
        """Attributes of some windows, one plane each."""
        return [
            plane
            for facts, entry in zip(self.facts, self._functions, strict=True)
            for plane in self._values(facts, entry, poses)
        ]

    def _values(self, facts: ProgramFacts, entry: Program, poses: Poses) -> list[Tensor]:
        """The planes of one program's attributes."""
        measured = entry if entry.name in PROGRAMS else partial(values_of, entry, case="the recordings")
        try:
            return self.layout.values(facts, measured, poses)
        except (MissingRole, MissingOther):
            # Built-in ones are left out beforehand, a user's when it is fitted.
            return [poses.unknown for _ in self.layout.subjects(facts)]

    def measure(self, batch: WindowBatch, pairs: PairMask | None = None) -> Attributes:
        """Attributes of a batch, see `evaluate`; NaN for missing points and padding.

        Absent animals have no pairs: they change nothing.

        Parameters
        ----------
        pairs : as `ssl_behavior.views.pairs_of` gives them; None = all pairs of animals that are present.
        """
        keypoints, seen = batch.keypoints, batch.observed & batch.valid[..., None, None]
        if not bool(seen.all()):
            keypoints = keypoints.masked_fill(~seen.unsqueeze(-1), torch.nan)
        return self.evaluate(keypoints, batch.arena, batch.px_per_cm, self._present_pairs(batch, pairs))

    def _present_pairs(self, batch: WindowBatch, pairs: PairMask | None) -> PairMask | None:
        """The pairs of animals that are present; None = all."""
        if pairs is None:
            return None if bool(batch.present.all()) else present_pairs(batch.present)
        return pairs & batch.present.unsqueeze(-1) & batch.present.unsqueeze(-2)

    @torch.no_grad()
    def attributes(
        self, batch: WindowBatch, pairs: PairMask | None = None
    ) -> tuple[Attributes, Bool[Tensor, "*batch time attribute"]]:
        """Attributes of a batch, 0 where unknown, and the mask of known ones.

        Padding, missing points, animals without a pair, and attributes that are not informative are unknown.
        """
        values = self.measure(batch, pairs)
        known = values.isfinite() & self.informative & batch.valid.unsqueeze(-1)
        return values.masked_fill(~known, 0.0), known

    def standardized(self, values: Attributes) -> Attributes:
        """(value - median) / spread, clipped to ±4; the spread is a standard deviation where values are normal."""
        return ((values - self.median) / self.spread).clamp(-_CLIP, _CLIP)

    def classes(self, values: Attributes) -> Int[Tensor, "*batch time attribute"]:
        """The number of thresholds that a value reaches, 0 .. num_classes - 1."""
        number = torch.zeros(values.shape, dtype=torch.int64, device=values.device)
        for threshold in self.thresholds.unbind(-1):
            number += values >= threshold
        return number

    def invariant(self, transformations: Collection[str]) -> Bool[Tensor, " attribute"]:
        """Attributes that are invariant under all of the transformations."""
        needed = set(transformations)
        own = [set(facts.invariant) for facts in self.attribute_facts]
        if self.skeleton.exchangeable or self.skeleton.num_individuals == 1:
            own = [kept | {"swap"} for kept in own]
        elif self.skeleton.num_individuals > 2:
            # Of more than two, exchanging the animals exchanges the names.
            own = [kept - {"swap"} for kept in own]
        return torch.tensor([needed <= kept for kept in own], device=self.median.device)

    @torch.no_grad()
    def fit(self, reader: WindowReader) -> None:
        """Fit units, body length, thresholds, medians and spreads on the recordings; `notices` lists what is left out.

        Of more than 400,000 frames, some pieces drawn by a fixed seed. The user's programs are checked first.

        Raises
        ------
        InputError
            If a program breaks its contract, the units need a scale that a recording lacks, the body length cannot be
            measured, or all attributes are constant.
        """
        missing = self.check_custom()
        self.choose_unit(reader)
        self.fit_body_length(reader)
        self.informative.copy_(torch.tensor([facts.name not in missing for facts in self.attribute_facts]))
        values = self._training_values(reader)
        notices = [*self._left_out, *missing.values()]
        for column in self.informative.nonzero().flatten().tolist():
            notices += self._fit_attribute(column, values[:, column], self.names[column])
        if not bool(self.informative.any()):
            raise InputError(
                f"the programs {_some(self.config.names)} are all constant or unknown on the training recordings: "
                f"{_first(notices)}"
            )
        self.notices = tuple(notices)

    def choose_unit(self, reader: WindowReader) -> None:
        """Measure lengths in cm or px, as the configuration and the scales of the recordings say.

        Raises
        ------
        InputError
            If the units need a scale that a recording lacks.
        """
        self.in_cm.fill_(self._chosen_cm(reader))
        self._fitted = None

    def fit_body_length(self, reader: WindowReader) -> None:
        """Fit the body length in the chosen unit; with it, `evaluate` gives the values of a fitted set.

        Raises
        ------
        InputError
            If it cannot be measured.
        """
        self.body_length.fill_(_body_length(reader, self.skeleton, bool(self.in_cm)))
        self._fitted = None

    def check_custom(self) -> dict[str, str]:
        """Check the user's programs; name -> notice for each that needs a role, or an animal, that there is not.

        Raises
        ------
        InputError
            If a program breaks its contract.
        """
        missing = {}
        for entry in self._functions:
            if entry.name not in PROGRAMS:
                try:
                    check_program(entry, self.skeleton, self.fps)
                except (MissingRole, MissingOther) as error:
                    missing[entry.name] = f"{entry.name} is left out: {error}"
        return missing

    def _chosen_cm(self, reader: WindowReader) -> bool:
        without = [row.id for _, row in reader.sources if not row.px_per_cm]
        if self.config.units == "cm" and without:
            raise InputError(
                f"programs: units are cm, but the px per cm of {len(without)} of {len(reader.sources)} recordings is "
                f"not known ({without[0]!r}); import them with `px_per_cm`, or choose px"
            )
        return self.config.units != "px" and not without

    def _training_values(self, reader: WindowReader) -> Float[Tensor, "frames attribute"]:
        values, units = [], len(actors_of(self.layout.unit, self.skeleton.individuals))
        for piece in reader.pieces(FITTING_FRAMES // units):
            batch = piece.to(self.median.device, self.median.dtype)
            for pairs in unit_pairs(self.layout.unit, batch.present):
                found, known = self.attributes(batch, pairs)
                values.append(found.masked_fill(~known, torch.nan).flatten(0, 1))
        return torch.cat(values)

    def _fit_attribute(self, column: int, values: Float[Tensor, " frames"], name: str) -> list[str]:
        """Fit one column; the notices about it."""
        facts = self.attribute_facts[column]
        values = values[values.isfinite()].sort().values
        if not len(values):
            self.informative[column] = False
            return [f"{name} is left out: it is not known at any frame of the training recordings"]
        self.median[column] = values[(len(values) - 1) // 2]
        spread = robust_spread(values)
        if facts.name not in self.config.thresholds and spread > 0:
            found = quantile_thresholds(values, self.config.num_classes, spread)
            self.thresholds[column, : len(found)] = found
            self.thresholds[column, len(found) :] = torch.finfo(torch.float32).max
        shares = self._class_shares(column, values)
        same = spread <= _MIN_SPREAD * _natural_size(facts.units, values, float(self.body_length))
        if same or sum(share >= _MIN_CLASS_SHARE for share in shares) < 2:
            self.informative[column] = False
            units = facts.units_in(self.unit)
            value = f"the same on the training recordings, {float(self.median[column]):.4g} {units}"
            return [
                f"{name} is left out: it is (nearly) always {value if same else self._class_words(facts, shares, 1.0)}"
            ]
        self.spread[column] = spread
        if facts.name in self.config.thresholds and min(shares) == 0.0:
            return [f"{name}: no frame of the training recordings is {self._class_words(facts, shares, 0.0)}"]
        return []

    def _class_shares(self, column: int, values: Float[Tensor, " frames"]) -> list[float]:
        given = self.config.thresholds.get(self.attribute_facts[column].name)
        edges = self.thresholds[column, : len(given) if given else None]
        number = torch.bucketize(values, edges.contiguous(), right=True)
        return (torch.bincount(number, minlength=len(edges) + 1) / len(values)).tolist()

    def _class_words(self, facts: ProgramFacts, shares: Sequence[float], share: float) -> str:
        """Description of a class by its thresholds, for a class with about this share of the frames."""
        number = min(range(len(shares)), key=lambda i: abs(shares[i] - share))
        thresholds = list(self.config.thresholds.get(facts.name, []))
        return f"in class {number} of its thresholds {thresholds} {facts.units_in(self.unit)}"


def _clear_cache(module: nn.Module, _: Any) -> None:
    """Clear the cache after buffers are loaded."""
    assert isinstance(module, ProgramSet)
    module._fitted = None


def natural_size(units: str, body_length: float) -> float | None:
    """Scale of a unit: body length, 1 rad, 1 s or 1; None for other units."""
    if power := re.fullmatch(r"length(?:\^(\d))?(?:/s(?:\^\d)?)?", units):
        return body_length ** int(power[1] or 1)
    return 1.0 if re.fullmatch(r"1|s|rad(/s(\^\d)?)?", units) else None


def _natural_size(units: str, ordered: Float[Tensor, " frames"], body_length: float) -> float:
    """Scale of a unit; for units without a natural one, the size of the values."""
    size = natural_size(units, body_length)
    if size is not None:
        return size
    sizes = ordered.abs().sort().values
    return float(sizes[round(0.95 * (len(sizes) - 1))])


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MAX_LISTED
    return f"{list(names[:_MAX_LISTED])}{f' and {more} more' if more > 0 else ''}"


def _first(notices: Sequence[str]) -> str:
    """First of several sentences, and their number."""
    return f"{notices[0]}{f' (and {len(notices) - 1} more like it)' if len(notices) > 1 else ''}"


def _that_run(
    config: ProgramsConfig, skeleton: Skeleton, fps: float
) -> tuple[tuple[ProgramFacts, ...], tuple[str, ...]]:
    """Programs that can run: the skeleton has their roles, and the other animal. A notice for each other one."""
    number = skeleton.num_individuals
    keypoints = torch.zeros(3, min(number, 2), skeleton.num_keypoints, 2)
    pose = Pose.of(keypoints, skeleton, fps, torch.tensor([0.0, 0.0, 1.0, 1.0]), 1.0)
    kept, notices = [], []
    for facts in config.facts:
        if skeleton.exchangeable and number > 1 and not facts.each_animal and "swap" not in facts.invariant:
            raise InputError(
                f"program {facts.name!r} depends on which of the animals comes first, and those of skeleton "
                f"{skeleton.name!r} are anonymous; declare it with each_animal=True, or invariant under swap"
            )
        try:
            if facts.name in PROGRAMS:
                PROGRAMS[facts.name](pose)
                facts = replace(facts, needs_other=PROGRAMS[facts.name].needs_other)
        except (MissingRole, MissingOther) as error:
            notices.append(f"{facts.name} is left out: {error}")
        else:
            kept.append(facts)
    if not kept:
        raise InputError(f"none of the programs {_some(config.names)} can run: {_first(notices)}")
    return tuple(kept), tuple(notices)


def _check_scales(px_per_cm: Float[Tensor, " batch"]) -> None:
    unknown = (px_per_cm <= 0).nonzero().flatten().tolist()
    if unknown:
        raise InputError(
            f"programs are in cm, but the px per cm of window {unknown[0]} of {len(px_per_cm)} is not known; import "
            "its recording with `px_per_cm`, or train with units px"
        )


def _body_length(reader: WindowReader, skeleton: Skeleton, in_cm: bool) -> float:
    """The scene's scale, in cm where asked; over recordings of several px per cm, their mean by frames."""
    if not in_cm:
        return scale_of(reader, skeleton)
    individuals = None if skeleton.exchangeable else skeleton.individuals
    total = 0.0
    for px_per_cm in sorted({float(row.px_per_cm or 0.0) for _, row in reader.sources}):
        sources = [source for source in reader.sources if source[1].px_per_cm == px_per_cm]
        part = WindowReader(sources, 1, individuals=individuals)
        total += scale_of(part, skeleton) / px_per_cm * part.num_frames
    return total / reader.num_frames

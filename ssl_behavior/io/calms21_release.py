"""Folder of the CalMS21 release: find its parts, zipped or unpacked, and check that they are complete.

The record is data.caltech.edu/records/s0vdx-0k302 (doi:10.22002/D1.1991). Each part is a zip file and holds a folder of
its own name; beside `calms21_X.json` lie its task-programming features, `taskprog_features_X.json`.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ssl_behavior.errors import InputError
from ssl_behavior.io.json_streams import iterate_file
from ssl_behavior.io.reader_helpers import json_members, open_zip
from ssl_behavior.io.taskprog_features import TaskprogFeatures

__all__ = ["PARTS", "Part", "Release", "ReleaseFile", "check_release", "find_release", "release_features"]

URL = "https://data.caltech.edu/records/s0vdx-0k302"
_ABOUT = 0.05
"""How far a size known in megabytes only may be off; whether they are 1000^2 or 1024^2 bytes is not known either."""
_DEEPEST = 4
_TRACKS, _FEATURES = "calms21_", "taskprog_features_"
_CHUNK_BYTES = 1 << 20

Advance = Callable[[int], None]
"""Called with the number of bytes read since the last call."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One zip file of the release.

    Parameters
    ----------
    name : name of the zip file and of the folder in it.
    title : short description.
    files : names of its track files, without `calms21_` and `.json`.
    groups : the annotators or behaviors that each of these files has.
    size, md5 : of the zip file; size is 0 where it is not known.
    is_exact : False where the size is known in megabytes only.
    """

    name: str
    title: str
    files: tuple[str, ...]
    groups: tuple[str, ...]
    size: int
    md5: str
    is_exact: bool = False


PARTS: dict[str, Part] = {
    "task1": Part(
        name="task1_classic_classification",
        title="Task 1",
        files=("task1_train", "task1_test"),
        groups=("annotator-id_0",),
        size=457_357_950,
        md5="8a02654fddae28614ee24a6a082261b8",
        is_exact=True,
    ),
    "task2": Part(
        name="task2_annotation_styles",
        title="Task 2",
        files=("task2_train", "task2_test"),
        groups=tuple(f"annotator-id_{number}" for number in range(1, 6)),
        size=912_100_000,
        md5="c97e87e13e77ffb80c073e05c05a4683",
    ),
    "task3": Part(
        name="task3_new_behaviors",
        title="Task 3",
        files=("task3_train", "task3_test"),
        groups=(
            "approach", "disengaged", "groom", "intromission", "mount_attempt", "sniff_face", "whiterearing",
        ),
        size=556_200_000,
        md5="df59df02d069bab1cfc376cdc1a3925b",
    ),
    "unlabeled": Part(
        name="unlabeled_videos",
        title="learning from the unlabeled videos",
        files=tuple(f"unlabeled_videos_part{number}" for number in range(1, 5)),
        groups=("unlabeled_videos",),
        size=0,
        md5="35ab3acdeb231a3fe1536e38ad223b2e",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ReleaseFile:
    """A JSON file of the release: on disk, or as a member of a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked on the way; a damaged zip is an InputError."""
        if not self.member:
            with self.path.open("rb") as file:
                yield file
            return
        with open_zip(self.path) as archive, archive.open(self.member) as file:
            yield file


@dataclass(frozen=True)
class Release:
    """Parts of the release found in a folder.

    Parameters
    ----------
    tracks : part ("task1", "task2", "task3", "unlabeled") -> its track files that were found.
    features : part -> its files of task-programming features; may be none.
    notes : one sentence for each ignored file.
    """

    folder: Path
    tracks: Mapping[str, tuple[ReleaseFile, ...]]
    features: Mapping[str, tuple[ReleaseFile, ...]]
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> tuple[str, ...]:
        """Complete parts: all files of tracks were found."""
        return tuple(key for key, part in PARTS.items() if len(self.tracks[key]) == len(part.files))

    def archives(self) -> dict[str, Path]:
        """Zip file of each part; unpacked parts have none."""
        return {key: files[0].path for key, files in self.tracks.items() if files and files[0].member}

    def sources(self, parts: Collection[str] = tuple(PARTS)) -> list[Path]:
        """Files and zip files to import for `parts`, if found."""
        return list(dict.fromkeys(file.path for key in PARTS if key in parts for file in self.tracks[key]))

    def missing_part_notices(self) -> list[str]:
        """One sentence per incomplete part: what is missing, and what needs it."""
        return [_missing_part_notice(self, key) for key in PARTS if key not in self.whole]

    def require(self, parts: Collection[str]) -> None:
        """Raise InputError that names what is missing, unless `parts` are complete."""
        missing = [_missing_part_notice(self, key) for key in PARTS if key in parts and key not in self.whole]
        if missing:
            raise InputError("; ".join(missing))


def _missing_part_notice(release: Release, key: str) -> str:
    part, found = PARTS[key], {_stem(file) for file in release.tracks[key]}
    missing = [f"{_TRACKS}{name}.json" for name in part.files if name not in found]
    what = f"neither {part.name}.zip nor the folder {part.name}" if not found else f"no {', '.join(missing)}"
    return f"{release.folder} has {what}: {part.title} cannot be run without it; download {part.name}.zip from {URL}"


def _stem(file: ReleaseFile) -> str:
    name = PurePosixPath(file.member).name if file.member else file.path.name
    return name.removesuffix(".json").removeprefix(_TRACKS).removeprefix(_FEATURES)


def find_release(folder: str | Path) -> Release:
    """Find the parts of the CalMS21 release in a folder, zipped or unpacked, at any depth.

    If a part is there both zipped and unpacked, its unpacked files are read if they are complete.

    Raises
    ------
    InputError
        If there is no such folder or no part in it, a file is there twice, or a zip file is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {state}; give the folder that the CalMS21 release was downloaded to")
    notes: list[str] = []
    unpacked, zips = _walked(folder)
    tracks: dict[str, tuple[ReleaseFile, ...]] = {}
    features: dict[str, tuple[ReleaseFile, ...]] = {}
    for key, part in PARTS.items():
        chosen = _of_part(part, unpacked, zips.get(part.name), notes)
        tracks[key] = tuple(chosen[name] for name in _names(part, _TRACKS) if name in chosen)
        features[key] = tuple(chosen[name] for name in _names(part, _FEATURES) if name in chosen)
    if not any(tracks.values()):
        known = ", ".join(part.name for part in PARTS.values())
        raise InputError(
            f"{folder} has no part of the CalMS21 release; expected {known}, as zip files or unpacked; "
            f"download them from {URL}"
        )
    return Release(folder, tracks, features, tuple(notes))


def _names(part: Part, prefix: str) -> list[str]:
    return [f"{prefix}{name}.json" for name in part.files]


def _walked(folder: Path) -> tuple[dict[str, ReleaseFile], dict[str, Path]]:
    """Walk the folder: files of the release by name, and zip files by part."""
    wanted = {name for part in PARTS.values() for prefix in (_TRACKS, _FEATURES) for name in _names(part, prefix)}
    packed = {f"{part.name}.zip" for part in PARTS.values()}
    found: dict[str, Path] = {}
    for here, folders, files in os.walk(folder):
        deep = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and deep < _DEEPEST)
        for name in sorted((wanted | packed) & set(files)):
            if name in found:
                raise InputError(f"{name} is in {folder} twice, {found[name]} and {Path(here) / name}; keep one")
            found[name] = Path(here) / name
    unpacked = {name: ReleaseFile(path) for name, path in found.items() if name in wanted}
    return unpacked, {name.removesuffix(".zip"): path for name, path in found.items() if name in packed}


def _in_zip(path: Path, part: Part) -> dict[str, ReleaseFile]:
    wanted = {*_names(part, _TRACKS), *_names(part, _FEATURES)}
    try:
        with open_zip(path) as archive:
            members = [member.filename for member in json_members(archive)]
    except InputError as error:
        raise InputError(f"{error}; {_download_size(path, part)}") from None
    found = {PurePosixPath(member).name: ReleaseFile(path, member) for member in members}
    return {name: file for name, file in found.items() if name in wanted}


def _download_size(path: Path, part: Part) -> str:
    about = "" if part.is_exact else "about "
    expected = f"the release's has {about}{part.size:,}" if part.size else "it comes"
    return f"it has {path.stat().st_size:,} bytes, {expected} from {URL}"


def _of_part(
    part: Part, unpacked: Mapping[str, ReleaseFile], archive: Path | None, notes: list[str]
) -> dict[str, ReleaseFile]:
    """The files of a part by name, all from one place."""
    there = {name: unpacked[name] for name in (*_names(part, _TRACKS), *_names(part, _FEATURES)) if name in unpacked}
    if archive is None or all(name in there for name in _names(part, _TRACKS)):
        if archive is not None:
            notes.append(f"{archive}: skipped, because its tracks are there unpacked")
        return there
    if there:
        folder = next(iter(there.values())).path.parent
        notes.append(
            f"{folder}: skipped, because not all tracks of {part.name} are there unpacked; the zip file is read"
        )
    return _in_zip(archive, part)


def check_release(
    release: Release,
    hashes: bool = True,
    partial: bool = False,
    parts: Collection[str] = tuple(PARTS),
    advance: Advance | None = None,
) -> list[str]:
    """Check size and MD5 of the zip files, and that every annotator and behavior is present.

    Unpacked files have no sums to compare; their annotators and behaviors are checked, too. Every byte of
    the tracks of Tasks 1 to 3 is read.

    Parameters
    ----------
    hashes : compute MD5 sums too, of every byte of the zip files.
    partial : return notices about missing annotators or behaviors, instead of raising.
    parts : parts to check.

    Returns
    -------
    A sentence for each file that lacks an annotator or a behavior, if `partial`.

    Raises
    ------
    InputError
        If a zip file has another size or sum, or a file is damaged or lacks an annotator or a behavior.
    """
    for key, path in release.archives().items():
        if key in parts:
            _check_archive(path, PARTS[key], hashes, advance)
    notices = []
    for key, files in release.tracks.items():
        if key not in parts or key == "unlabeled":
            continue
        for file in files:
            problem = _group_problem(file, PARTS[key], _groups(file, advance))
            if problem and not partial:
                raise InputError(
                    f"{problem}; download {PARTS[key].name}.zip again from {URL}, or allow a partial release"
                )
            notices += [problem] if problem else []
    return notices


def _check_archive(path: Path, part: Part, hashes: bool, advance: Advance | None) -> None:
    size, again = path.stat().st_size, f"it was cut off, or is of another version: download it again from {URL}"
    if part.is_exact and size != part.size:
        raise InputError(f"{path} has {size:,} bytes, the release's {part.name}.zip has {part.size:,}; {again}")
    if part.size and abs(size - part.size) > _ABOUT * part.size:
        raise InputError(
            f"{path} has {size / 1e6:,.1f} MB, the release's {part.name}.zip has about {part.size / 1e6:,.1f}; {again}"
        )
    if not hashes:
        return
    digest = _md5(path, advance)
    if digest != part.md5:
        raise InputError(f"{path} has the MD5 sum {digest}, the release's {part.name}.zip has {part.md5}; {again}")


def _md5(path: Path, advance: Advance | None) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            if advance is not None:
                advance(len(chunk))
    return digest.hexdigest()


def _groups(file: ReleaseFile, advance: Advance | None) -> dict[str, int]:
    """Number of sequences in each group of a file."""
    counts: dict[str, int] = {}

    def seen(chunk: bytes) -> None:
        if advance is not None:
            advance(len(chunk))

    with file.open() as stream:
        for group, _, _ in iterate_file(stream.read, file.name, seen):
            counts[group] = counts.get(group, 0) + 1
    return counts


def _group_problem(file: ReleaseFile, part: Part, found: Mapping[str, int]) -> str:
    missing = [group for group in part.groups if group not in found]
    if not missing:
        return ""
    return f"{file.name} has no recording of {', '.join(missing)}; it has {', '.join(found) or 'none at all'}"


def release_features(release: Release, parts: Collection[str] = tuple(PARTS)) -> TaskprogFeatures:
    """The release's task-programming features of `parts`, for reading with the recordings of a store.

    Raises
    ------
    InputError
        If a part has none.
    """
    without = [PARTS[key].name for key in PARTS if key in parts and not release.features[key]]
    if without:
        raise InputError(
            f"{release.folder}: no {_FEATURES}*.json beside the tracks of {', '.join(without)}; download it from {URL}"
        )
    wanted = {(file.path, file.member) for key in parts for file in release.features[key]}
    features = TaskprogFeatures(release.folder)
    features.files = [file for file in features.files if (file.path, file.member) in wanted]
    return features

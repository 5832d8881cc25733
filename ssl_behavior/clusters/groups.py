"""Which recordings are of which animal and of which group: a person's CSV file."""

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.terminal import counted

__all__ = ["Groups", "read_groups"]

_RECORDING, _ANIMAL = "recording", "animal"
_FEWEST_ANIMALS = 2


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Recordings to compare.

    Parameters
    ----------
    factor : what the groups differ in, a column of the file.
    names : of the groups, as they first appear in the file.
    group, animal : of each recording that is compared, by its id.
    within : every animal was recorded in every group (days of one animal), so that it is compared with itself;
        otherwise each animal is in one group.
    notes : what was left out and why, a sentence each.
    """

    factor: str
    names: tuple[str, ...]
    group: Mapping[str, str]
    animal: Mapping[str, str]
    within: bool
    notes: tuple[str, ...] = ()

    @property
    def animals(self) -> dict[str, list[str]]:
        """Group -> its animals, in the file's order."""
        found: dict[str, dict[str, None]] = {name: {} for name in self.names}
        for recording, name in self.group.items():
            found[name][self.animal[recording]] = None
        return {name: list(animals) for name, animals in found.items()}


def read_groups(path: str | Path, recordings: Sequence[str], factor: str | None = None) -> Groups:
    """Read a CSV file with the columns `recording`, `animal` (without it, each recording is an animal), and factors.

    Parameters
    ----------
    recordings : ids of all recordings there are; those that the file does not name are left out, and noted.
    factor : the column that makes the groups; None = the only one there is.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, it names a recording twice or one that does not exist, there
        are fewer than two groups or fewer than two animals in one, or some animals are in one group, some in several.
    """
    path = Path(path)
    header, lines = _table(path)
    factor = _factor(path, header, factor)
    rows = {line[_RECORDING]: line for line in _checked(path, lines, recordings)}
    notes = []
    if missing := [id for id in recordings if id not in rows]:
        notes.append(f"{counted(len(missing), 'recording')} not in {path.name}: left out ({_some(missing)})")
    if blank := [id for id, line in rows.items() if not line[factor]]:
        notes.append(f"{counted(len(blank), 'recording')} without {factor}: left out ({_some(blank)})")
    if _ANIMAL not in header:
        notes.append(f"{path.name} has no column {_ANIMAL!r}: every recording is taken for another animal")
    kept = [id for id, line in rows.items() if line[factor]]
    animal = {id: rows[id].get(_ANIMAL, id) for id in kept}
    group = {id: rows[id][factor] for id in kept}
    return _designed(path, factor, group, animal, notes)


def _table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The header, and the lines by its names; commas, semicolons or tabs between cells."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the file of groups cannot be read ({error}); expected CSV in UTF-8") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        cells = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: this is no CSV of groups ({error})") from None
    cells = [(number, line) for number, line in cells if any(line)]
    if not cells:
        raise InputError(f"{path}: the file is empty; expected a line of column names (recording, animal, treatment)")
    header = [name.lower() if name.lower() in (_RECORDING, _ANIMAL) else name for name in cells[0][1]]
    if _RECORDING not in header or len(set(header)) < len(header):
        raise InputError(f"{path}: expected different column names, one of them {_RECORDING!r}, got {header}")
    for number, line in cells[1:]:
        if len(line) != len(header):
            raise InputError(f"{path}, line {number}: expected {len(header)} cells as in the header, got {len(line)}")
    return header, [dict(zip(header, line, strict=True)) for _, line in cells[1:]]


def _factor(path: Path, header: Sequence[str], factor: str | None) -> str:
    known = [name for name in header if name not in (_RECORDING, _ANIMAL)]
    if factor is None and len(known) == 1:
        return known[0]
    if factor is None or factor not in known:
        what = "--factor names the column to compare by" if factor is None else f"no column {factor!r} to compare by"
        raise InputError(f"{path}: {what}; the file has {known or 'none'}")
    return factor


def _checked(path: Path, lines: Sequence[dict[str, str]], recordings: Sequence[str]) -> Sequence[dict[str, str]]:
    seen: set[str] = set()
    for line in lines:
        id = line[_RECORDING]
        if id not in recordings:
            near = difflib.get_close_matches(id, recordings, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {_some(recordings)}"
            raise InputError(f"{path}: no recording {id!r} was clustered{hint}")
        if id in seen:
            raise InputError(f"{path}: recording {id!r} is there twice; a recording is of one animal and one group")
        if not line.get(_ANIMAL, id):
            raise InputError(f"{path}: recording {id!r} has no animal; name it, or leave the recording out")
        seen.add(id)
    return lines


def _designed(path: Path, factor: str, group: Mapping[str, str], animal: Mapping[str, str], notes: list[str]) -> Groups:
    """Decide whether animals are compared with each other or with themselves, and check that there are enough."""
    names = tuple(dict.fromkeys(group.values()))
    if len(names) < 2:
        raise InputError(f"{path}: {factor} must have at least two values to compare, got {list(names)}")
    of: dict[str, set[str]] = {}
    for id, name in group.items():
        of.setdefault(animal[id], set()).add(name)
    several = [one for one, found in of.items() if len(found) > 1]
    if several:
        whole = [one for one in of if len(of[one]) == len(names)]
        if len(whole) < max(_FEWEST_ANIMALS, len(of) / 2):
            raise InputError(
                f"{path}: animal {several[0]!r} is in several groups of {factor} ({sorted(of[several[0]])}), and most "
                f"animals are not in all of {list(names)}; compare animals that are all in one group each, or all in "
                "every group"
            )
        if partial := [one for one in of if one not in whole]:
            notes = [*notes, f"{counted(len(partial), 'animal')} not in every group: left out ({_some(partial)})"]
        group = {id: name for id, name in group.items() if animal[id] in whole}
        animal = {id: one for id, one in animal.items() if id in group}
    found = Groups(factor=factor, names=names, group=group, animal=animal, within=bool(several), notes=tuple(notes))
    for name, animals in found.animals.items():
        if len(animals) < _FEWEST_ANIMALS:
            raise InputError(
                f"{path}: group {name!r} of {factor} has {counted(len(animals), 'animal')} ({animals[0]!r}); a "
                "comparison needs at least two in each group, for one animal cannot tell how much animals differ"
            )
    return found


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")

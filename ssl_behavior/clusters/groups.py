"""Groups of animals to compare, from a table: the animal and the group of each recording, or of each acting animal."""

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.terminal import counted, quoted

__all__ = ["Groups", "groups_of", "read_groups"]

_RECORDING, _AGENT, _ANIMAL = "recording", "agent", "animal"
_FEWEST_ANIMALS = 2


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Recordings to compare.

    Parameters
    ----------
    factor : column of the file that defines the groups.
    names : names of the groups, in the order of the file.
    group, animal : id of a row (a recording, or an animal or pair of it) -> group and animal of each compared row.
    within : every animal was recorded in every group (days of one animal) and is compared with itself; otherwise each
        animal is in one group.
    notes : recordings and animals left out, and reasons, a sentence each.
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
        for id, name in self.group.items():
            found[name][self.animal[id]] = None
        return {name: list(animals) for name, animals in found.items()}


def read_groups(path: str | Path, rows: Sequence[EmbeddingRow], factor: str | None = None) -> Groups:
    """Read a CSV file with the columns `recording`, `animal` (without it, each recording is an animal), and factors.

    All animals and pairs of a recording have its group. With a column `agent`, a line is about one acting animal of a
    recording: animals of one recording can be in different groups, and without `animal` each of them is one.

    Parameters
    ----------
    rows : of the clustering; those missing in the file are left out with a note.
    factor : the column that defines the groups; None = the only one.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, a recording is unknown or repeated, there are fewer than two
        groups or fewer than two animals in a group, or some animals are in one group and some in several.
    """
    header, lines = _table(Path(path), _keys(rows))
    return _groups(Path(path).name, str(path), header, lines, rows, factor)


def groups_of(table: Any, rows: Sequence[EmbeddingRow], factor: str | None = None, name: str = "groups") -> Groups:
    """Groups from a table in memory: a pandas DataFrame, or a mapping of columns, as `read_groups` reads from a file.

    Parameters
    ----------
    name : of the argument, for messages.

    Raises
    ------
    InputError
        If it is no table, or as `read_groups`.
    """
    try:
        given = [(str(one), list(table[one])) for one in table]
        cells = list(zip(*(values for _, values in given), strict=True))
    except (TypeError, KeyError, ValueError, IndexError):
        raise InputError(
            f"`{name}` must be a CSV file, a data frame, or a mapping of columns of one length: recording, animal, and "
            "what to compare"
        ) from None
    header = [title.lower() if title.lower() in _keys(rows) else title for title, _ in given]
    if _RECORDING not in header or len(set(header)) < len(header):
        raise InputError(f"`{name}`: expected distinct columns, one of them {_RECORDING!r}, got {header}")
    lines = [dict(zip(header, map(_cell, line), strict=True)) for line in cells]
    return _groups(f"`{name}`", f"`{name}`", header, lines, rows, factor)


def _cell(value: Any) -> str:
    """Text of a cell; missing values of data frames are empty."""
    # pandas.NA is neither equal to itself nor unequal.
    missing = value is None or type(value).__name__ == "NAType" or value != value
    return "" if missing else str(value).strip()


def _keys(rows: Sequence[EmbeddingRow]) -> tuple[str, ...]:
    # Of scenes, a column "agent" is a factor such as a drug.
    return (_RECORDING, _ANIMAL) if not rows or rows[0].actors.unit == "scene" else (_RECORDING, _AGENT, _ANIMAL)


def _groups(
    title: str,
    path: str,
    header: Sequence[str],
    lines: list[dict[str, str]],
    rows: Sequence[EmbeddingRow],
    factor: str | None,
) -> Groups:
    """Groups of rows from the lines of a table; `path` says in errors where it is from, `title` in notes."""
    keys = _keys(rows)
    factor = _factor(path, header, factor, keys)
    of_agents = _AGENT in header and _AGENT in keys
    ids = {row.id: _name(row.recording, row.agent if of_agents else "") for row in rows}
    known = tuple(dict.fromkeys(ids.values()))
    table = _checked(path, lines, known, of_agents)
    what = "animal" if of_agents else "recording"
    notes = []
    if missing := [name for name in known if name not in table]:
        notes.append(f"{counted(len(missing), what)} not in {title}: left out ({quoted(missing)})")
    if blank := [name for name, line in table.items() if not line[factor]]:
        notes.append(f"{counted(len(blank), what)} without {factor}: left out ({quoted(blank)})")
    if _ANIMAL not in header:
        of = "every animal of every recording counts" if of_agents else "every recording counts"
        notes.append(f"{title} has no column {_ANIMAL!r}: {of} as a separate animal")
    group = {name: line[factor] for name, line in table.items() if line[factor]}
    animal = {name: table[name].get(_ANIMAL, name) for name in group}
    return _of_rows(_designed(path, factor, group, animal, notes), ids)


def _name(recording: str, agent: str) -> str:
    """What a line of the file is about, for messages: "cage3" or "cage3, m1"."""
    return f"{recording}, {agent}" if agent else recording


def _of_rows(groups: Groups, ids: Mapping[str, str]) -> Groups:
    """Groups of the rows, from groups of what the lines of the file are about; `ids`: row -> that."""
    rows: dict[str, list[str]] = {}
    for id, name in ids.items():
        rows.setdefault(name, []).append(id)
    own = [(id, name) for name in groups.group for id in rows[name]]
    return replace(
        groups,
        group={id: groups.group[name] for id, name in own},
        animal={id: groups.animal[name] for id, name in own},
    )


def _table(path: Path, keys: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """The header, and lines as dictionaries; cells are separated by commas, semicolons or tabs."""
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
        raise InputError(f"{path}, line {reader.line_num}: invalid CSV ({error})") from None
    cells = [(number, line) for number, line in cells if any(line)]
    if not cells:
        raise InputError(f"{path}: the file is empty; expected a line of column names (recording, animal, treatment)")
    header = [name.lower() if name.lower() in keys else name for name in cells[0][1]]
    if _RECORDING not in header or len(set(header)) < len(header):
        raise InputError(f"{path}: expected distinct column names, one of them {_RECORDING!r}, got {header}")
    for number, line in cells[1:]:
        if len(line) != len(header):
            raise InputError(f"{path}, line {number}: expected {len(header)} cells as in the header, got {len(line)}")
    return header, [dict(zip(header, line, strict=True)) for _, line in cells[1:]]


def _factor(path: str, header: Sequence[str], factor: str | None, keys: Sequence[str]) -> str:
    known = [name for name in header if name not in keys]
    if factor is None and len(known) == 1:
        return known[0]
    if factor is None or factor not in known:
        what = (
            "`factor` must name the column to compare by" if factor is None else f"no column {factor!r} to compare by"
        )
        raise InputError(f"{path}: {what}; the file has {known or 'none'}")
    return factor


def _checked(
    path: str, lines: Sequence[dict[str, str]], known: Sequence[str], of_agents: bool
) -> dict[str, dict[str, str]]:
    """Lines by what they are about, see `_name`; unknown and repeated ones are refused."""
    seen: dict[str, dict[str, str]] = {}
    what = "animal" if of_agents else "recording"
    for line in lines:
        name = _name(line[_RECORDING], line[_AGENT] if of_agents else "")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {quoted(known)}"
            raise InputError(f"{path}: {what} {name!r} was not clustered{hint}")
        if name in seen:
            had = "an animal of a recording" if of_agents else "a recording"
            raise InputError(f"{path}: {what} {name!r} is listed twice; {had} has one animal and one group")
        if not line.get(_ANIMAL, name):
            raise InputError(f"{path}: {what} {name!r} has no animal; give its name, or leave the {what} out")
        seen[name] = line
    return seen


def _designed(path: str, factor: str, group: Mapping[str, str], animal: Mapping[str, str], notes: list[str]) -> Groups:
    """Groups of a design between or within animals, with a check that there are enough animals."""
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
                f"{path}: animal {several[0]!r} is in several groups of {factor} ({sorted(of[several[0]])}), but most "
                f"animals are not in all of {list(names)}; put every animal in exactly one group, or every animal in "
                "all groups"
            )
        if partial := [one for one in of if one not in whole]:
            notes = [*notes, f"{counted(len(partial), 'animal')} not in every group: left out ({quoted(partial)})"]
        group = {id: name for id, name in group.items() if animal[id] in whole}
        animal = {id: one for id, one in animal.items() if id in group}
    found = Groups(factor=factor, names=names, group=group, animal=animal, within=bool(several), notes=tuple(notes))
    for name, animals in found.animals.items():
        if len(animals) < _FEWEST_ANIMALS:
            raise InputError(
                f"{path}: group {name!r} of {factor} has {counted(len(animals), 'animal')} ({animals[0]!r}); a "
                "comparison needs at least two in each group, because one animal shows no variation between animals"
            )
    return found

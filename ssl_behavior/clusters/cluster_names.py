"""Names of clusters: read from a table of the user, and made labels."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED, Labels

__all__ = ["STREAM", "cluster_labels", "cluster_names", "read_names"]


STREAM = "cluster"
"""What the label stream of clusters is called."""

_MOST_CLUSTERS = 32_767
_LONGEST_NUMBER = 10


def read_names(path: Path, num_clusters: int) -> dict[int, str]:
    """Read cluster names from JSON such as {"3": "chase"}, or from CSV with the columns cluster and name.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is not a cluster and its name.
    """
    names: dict[int, str] = {}
    for cluster, name in _pairs(path):
        if not (cluster.isdecimal() and len(cluster) < _LONGEST_NUMBER and int(cluster) < num_clusters):
            known = f"there are {num_clusters}, 0 to {num_clusters - 1}"
            raise InputError(f"{path}: {cluster[:60]!r} is not a cluster; {known}")
        if int(cluster) in names:
            raise InputError(f"{path}: cluster {cluster} has two names")
        if not name.strip():
            raise InputError(f"{path}: cluster {cluster} has an empty name; leave its line out to keep its number")
        names[int(cluster)] = name.strip()
    return names


def _pairs(path: Path) -> Iterable[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            return _csv_pairs(path, text)
        contents: Any = json.loads(text, object_pairs_hook=list)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as cluster names; expected JSON or .csv ({error})") from None
    if not text.lstrip().startswith("{") or not all(isinstance(name, str) for _, name in contents):
        raise InputError(f'{path}: expected JSON such as {{"3": "chase"}}, a name for each cluster')
    return contents


def _csv_pairs(path: Path, text: str) -> list[tuple[str, str]]:
    lines = [[cell.strip() for cell in line] for line in csv.reader(text.splitlines()) if any(line)]
    if lines and [cell.lower() for cell in lines[0]] == ["cluster", "name"]:
        lines = lines[1:]
    for number, line in enumerate(lines, start=1):
        if len(line) != 2:
            raise InputError(f"{path}: name {number} ({','.join(line)[:60]!r}): expected a cluster and its name")
    return [(cluster, name) for cluster, name in lines]


def cluster_names(num_clusters: int, names: Mapping[int, str] | None = None) -> tuple[str, ...]:
    """Name of each cluster: the given one, else cluster_N. Clusters with the same name are one behavior.

    >>> cluster_names(3, {1: "chase"})
    ('cluster_0', 'chase', 'cluster_2')

    Raises
    ------
    InputError
        If a given name is the default name of another cluster, or there are too many clusters for labels.
    """
    if num_clusters > _MOST_CLUSTERS:
        raise InputError(f"label files have at most {_MOST_CLUSTERS:,} behaviors, got {num_clusters:,} clusters")
    given = dict(names or {})
    for cluster, name in given.items():
        for other in range(num_clusters):
            if other not in given and name == f"cluster_{other}":
                raise InputError(
                    f"cluster {cluster} cannot have the name {name!r}: it is the default name of cluster {other}"
                )
    return tuple(given.get(cluster, f"cluster_{cluster}") for cluster in range(num_clusters))


def cluster_labels(clusters: np.ndarray, names: Sequence[str]) -> Labels:
    """Clusters int [time] as labels: a vocabulary of different names, in the order of the first cluster of each."""
    vocabulary = tuple(dict.fromkeys(names))
    numbers = np.array([*(vocabulary.index(name) for name in names), NOT_ANNOTATED], dtype=np.int16)
    return Labels(vocabulary=vocabulary, frames=numbers[clusters])

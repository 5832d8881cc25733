"""Neighbors from Python in one call."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from ssl_behavior.arguments import several
from ssl_behavior.bouts import Span
from ssl_behavior.embedding_space import SpaceConfig
from ssl_behavior.embeddings_folder import Embeddings, open_embeddings
from ssl_behavior.plots import search_hits
from ssl_behavior.retrieval.bout_list import BoutList
from ssl_behavior.retrieval.frame_index import FrameIndex, IndexConfig, build_index
from ssl_behavior.retrieval.search import (
    EXCLUDE_SECONDS,
    NearBout,
    Query,
    example_of,
    nearest_bouts,
    recording_of,
    searchable,
)
from ssl_behavior.terminal import counted, progress_if

__all__ = ["Neighbors", "index_beside", "neighbors"]

_BUILDING = Lock()
"""Two threads that search first do not build one index twice."""


class Neighbors(BoutList[NearBout]):
    """Bouts near to examples, the nearest first.

    Parameters
    ----------
    bouts : the bouts.
    rows : their rows in the embeddings.
    """

    def to_frame(self) -> Any:
        """A pandas DataFrame: recording, agent and target where rows have them, frames, seconds, distance.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return self._frame_with(nearest_frame="frame", distance="distance")

    def plot(self, **options: Any) -> Any:
        """Draw the bouts along the time of their recordings, with the distance as color.

        Parameters
        ----------
        options : arguments of `ssl_behavior.plots.search_hits`: title, ax.

        Raises
        ------
        InputError
            If there is no bout, or matplotlib is not installed.
        """
        return search_hits(self, **options)

    def _headline(self) -> str:
        return f"Neighbors: {counted(len(self), 'bout')}, the nearest first"

    def _facts(self) -> list[tuple[str, str]]:
        return [(str(bout), f"{bout.distance:.3f}") for bout in self]


def index_beside(embeddings: Path) -> Path:
    """Folder of the index of an embeddings folder."""
    # "." and ".." have no name to append to.
    path = embeddings.resolve() if embeddings.name in ("", "..") else embeddings
    return path.with_name(f"{path.name}.index")


def neighbors(
    embeddings: Embeddings | str | Path,
    query: str | Sequence[str],
    k: int = 10,
    *,
    unlike: str | Sequence[str] = (),
    agent: str = "",
    target: str = "",
    recordings: str | Sequence[str] = (),
    exclude_seconds: float = EXCLUDE_SECONDS,
    index: str | Path | None = None,
    overwrite: bool = False,
    verbose: bool = True,
) -> Neighbors:
    """Find the bouts nearest to examples. The first search builds an index beside the embeddings, and keeps it.

    Parameters
    ----------
    embeddings : embeddings, or their folder.
    query : examples "RECORDING:FRAME" or "RECORDING:START-STOP"; frames count from 0, STOP is excluded.
    k : number of bouts.
    unlike : examples to avoid, such as wrong hits of an earlier search.
    agent, target : animals of the examples, in embeddings of animals or pairs.
    recordings : search these recordings alone (ids or globs); empty = all.
    exclude_seconds : minimum time between hits and examples in one recording.
    index : folder of the index; None = beside the embeddings. For other settings of the index, build it with
        `ssl_behavior.retrieval.build_index`.
    overwrite : build the index again.
    verbose : print the progress of the index.

    Raises
    ------
    InputError
        If an example is not in the embeddings, `k` or `exclude_seconds` is no possible number, or the index belongs to
        other embeddings.
    """
    found = open_embeddings(embeddings)

    def examples(texts: str | Sequence[str], argument: str) -> tuple[Span, ...]:
        spans = [Span.parse(text, argument) for text in several(texts, argument)]
        return tuple(example_of(span, found, agent, target) for span in spans)

    asked = Query(examples(query, "query"), examples(unlike, "unlike"))
    ids = several(recordings, "recordings")
    rows = found.select(ids) if ids else found.rows
    searchable(found, asked, k, rows, exclude_seconds)
    folder = Path(index) if index is not None else index_beside(found.path)
    with _BUILDING:
        if (folder / "index.json").exists() and not overwrite:
            opened = FrameIndex.open(folder, found)
        else:
            with progress_if(verbose) as progress:
                opened = build_index(found, folder, SpaceConfig(unit=True), IndexConfig(), overwrite, progress)
    bouts = nearest_bouts(opened, asked, k, rows, exclude_seconds)
    return Neighbors(bouts, [recording_of(bout, found) for bout in bouts])

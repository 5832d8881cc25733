"""A report from Python in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_behavior.arguments import opened, several
from ssl_behavior.clusters import Clustering, load_frames
from ssl_behavior.clusters.cards import Cards
from ssl_behavior.configs import config_from_dict
from ssl_behavior.embeddings_folder import Embeddings, open_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.reports.gather import ReportConfig, gather_report
from ssl_behavior.reports.page import check_page, write_report
from ssl_behavior.reports.result_files import read_scores
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import progress_if

__all__ = ["report"]


def report(
    store: Store | str | Path,
    embeddings: Embeddings | str | Path,
    out: str | Path = "report.html",
    *,
    clusters: Clustering | str | Path | None = None,
    description: Cards | str | Path | None = None,
    results: str | Path | Sequence[str | Path] = (),
    recordings: str | Sequence[str] = (),
    overwrite: bool = False,
    verbose: bool = True,
    **options: Any,
) -> Path:
    """Write one HTML file: a map, ethograms, animated bouts beside similar ones, clusters, labels, results of probes.

    Parameters
    ----------
    store : of the recordings, or its folder.
    embeddings : of these recordings, or their folder.
    out : the file; it needs no network and no other file.
    clusters : of `cluster`, or their folder.
    description : of `describe` on these clusters, or its folder; without one, the report counts its own cards.
    results : results folders of probes or benchmarks.
    recordings : to show (ids or globs); empty = all.
    overwrite : replace a file that is there already.
    verbose : print the progress.
    options : further fields of `ReportConfig`: map, points, bouts, neighbors, programs, seed, title.

    Raises
    ------
    InputError
        If store, embeddings and clusters do not belong together, an argument is unknown, or `out` exists.
    """
    if description is not None and clusters is None:
        raise InputError("`description` describes clusters: give them as `clusters`, too")
    config = config_from_dict(ReportConfig, options, "report")
    page = Path(out)
    check_page(page, overwrite)
    recorded, source = open_store(store), open_embeddings(embeddings)
    folders, ids = several(results, "results"), several(recordings, "recordings")
    if isinstance(description, str | Path):
        description = Cards.load(Path(description))
    frames = None
    if clusters is not None:
        found = opened(clusters, Clustering, "clusters", load_frames)
        frames = found.frames if isinstance(found, Clustering) else found
    with progress_if(verbose) as progress:
        gathered = gather_report(
            recorded, source, config, rows=recorded.select(ids) if ids else None,
            clusters=frames, description=description,
            scores=[table for folder in folders for table in read_scores(Path(folder))], progress=progress,
        )  # fmt: skip
        progress("writing the page", 0, 0)
        write_report(gathered.report, page)
    return page

"""Clusters and their description from Python, each in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_behavior.arguments import check_number, opened, several, whole_number
from ssl_behavior.clusters.algorithms import DensityConfig, KMeansConfig
from ssl_behavior.clusters.cards import Cards, make_cards
from ssl_behavior.clusters.clustering import DENSITY_DIMS, Clustering, fit_clusters
from ssl_behavior.clusters.folder import MARKER, ClusteredStore, load_clustering, save_clustering
from ssl_behavior.clusters.frame_clusters import SmoothingConfig
from ssl_behavior.clusters.group_comparison import Profiles, ProfilesConfig, compare_profiles
from ssl_behavior.clusters.groups import groups_of, read_groups
from ssl_behavior.configs import config_from_dict
from ssl_behavior.embedding_space import SpaceConfig
from ssl_behavior.embeddings_folder import Embeddings, open_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free
from ssl_behavior.programs import ProgramsConfig, with_programs_of
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import progress_if

__all__ = ["METHODS", "cluster", "compare", "describe"]

METHODS = ("kmeans", "hdbscan")


def cluster(
    embeddings: Embeddings | str | Path,
    clusters: int | None = None,
    *,
    method: str = "kmeans",
    only: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    recordings: str | Sequence[str] = (),
    minimum_bout_seconds: float = SmoothingConfig.minimum_bout_seconds,
    dims: int | None = None,
    spherical: bool = False,
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
    verbose: bool = True,
    **options: Any,
) -> Clustering:
    """Find clusters of frames, and label all frames of all recordings.

    Parameters
    ----------
    embeddings : embeddings, or their folder.
    clusters : number of clusters of k-means (20); HDBSCAN finds it.
    method : "kmeans" or "hdbscan".
    only, without : column groups, names or globs; with neither, all but "time".
    recordings : fit on these recordings alone (ids or globs); all get labels. Empty = all.
    minimum_bout_seconds : shorter bouts become part of the longer bout beside them; 0 = keep all bouts.
    dims : principal components to cluster in; 0 = all columns, None = 128, or 5 for HDBSCAN.
    spherical : k-means by cosine similarity in place of the distance.
    seed : seed of all random numbers.
    out : folder to save the clusters in; None = not saved.
    overwrite : replace a folder that is there already.
    verbose : print the progress.
    options : further fields of `KMeansConfig` (n_init, sample) or `DensityConfig` (min_cluster_size, min_samples,
        cluster_selection_method, sample).

    Raises
    ------
    InputError
        If an argument is unknown or has no effect with the method, `out` exists, or as `fit_clusters`.
    """
    source = open_embeddings(embeddings)
    config = _config(method, clusters, spherical, options)
    check_number(minimum_bout_seconds, "minimum_bout_seconds")
    if out is not None:
        check_free(Path(out), overwrite, MARKER)
    most = DENSITY_DIMS if method == "hdbscan" else SpaceConfig.most_dims
    most = most if dims is None else whole_number(dims, "dims")
    space = SpaceConfig(only=several(only, "only"), without=several(without, "without"), most_dims=most, unit=spherical)
    ids = several(recordings, "recordings")
    rows = source.select(ids) if ids else None
    smoothing = SmoothingConfig(minimum_bout_seconds=minimum_bout_seconds)
    with progress_if(verbose) as progress:
        found = fit_clusters(source, config, space, smoothing, rows, seed, progress)
    if out is not None:
        save_clustering(found, out, overwrite)
    return found


def describe(
    clusters: Clustering | str | Path,
    embeddings: Embeddings | str | Path,
    store: Store | str | Path,
    *,
    examples: int = 5,
    programs: str | Path | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> Cards:
    """Describe every cluster: its share, bouts, typical bouts, known labels, and a sentence about what sets it apart.

    Parameters
    ----------
    clusters : of `cluster`, or their folder.
    embeddings : that were clustered, or their folder.
    store : of the recordings, or its folder.
    examples : number of typical bouts of each cluster.
    programs : Python file with further task programs to measure.
    seed : seed of all random numbers.
    verbose : print the progress.

    Raises
    ------
    InputError
        If clusters, embeddings and store do not belong together, or `examples` is negative.
    """
    examples = whole_number(examples, "examples")
    found = opened(clusters, Clustering, "clusters", load_clustering)
    source = open_embeddings(embeddings)
    found.check_labeled(source)
    clustered = ClusteredStore.of(found.frames, open_store(store))
    measured = ProgramsConfig() if programs is None else with_programs_of(ProgramsConfig(), Path(programs))
    with progress_if(verbose) as progress:
        return make_cards(
            clustered, found.space.blocks(source), found.model.centers, unit=found.space.config.unit,
            programs=measured, medoids=examples, seed=seed, progress=progress,
        )  # fmt: skip


def compare(
    clusters: Clustering | str | Path,
    groups: Any,
    factor: str | None = None,
    *,
    level: float = ProfilesConfig.level,
    permutations: int = ProfilesConfig.permutations,
    seed: int = 0,
) -> Profiles:
    """Compare groups of animals in their use of clusters: share of frames, bouts per minute, and length of bouts.

    The unit is the animal: its recordings are pooled. p values come from permutations of the animals' groups, q values
    from Benjamini and Hochberg over all clusters and pairs of groups, separately for each measure.

    Parameters
    ----------
    clusters : of `cluster`, or their folder.
    groups : CSV file, data frame, or mapping of columns: `recording`, `animal`, and factors such as `treatment`.
        Without `animal`, each recording is an animal.
    factor : column to compare by; None = the only one.
    level : false discovery rate of reported differences.
    permutations : maximum number of arrangements of the animals; above it, a random sample.
    seed : seed of all random numbers.

    Raises
    ------
    InputError
        If the table cannot be read, names unknown recordings, or has fewer than two groups or two animals in a group.
    """
    check_number(level, "level")
    settings = ProfilesConfig(level=level, permutations=whole_number(permutations, "permutations"), seed=seed)
    found = opened(clusters, Clustering, "clusters", load_clustering).frames
    of_file = isinstance(groups, str | Path)
    read = read_groups(groups, found.rows, factor) if of_file else groups_of(groups, found.rows, factor)
    return compare_profiles(found, read, settings)


def _config(
    method: str, clusters: int | None, spherical: bool, options: dict[str, Any]
) -> KMeansConfig | DensityConfig:
    if method not in METHODS:
        raise InputError(f"`method` must be one of {list(METHODS)}, got {method!r}")
    if method == "kmeans":
        given = {} if clusters is None else {"clusters": whole_number(clusters, "clusters", 1)}
        return config_from_dict(KMeansConfig, options | given, "cluster")
    if clusters is not None or spherical:
        name = "clusters" if clusters is not None else "spherical"
        raise InputError(f"`{name}` is for method='kmeans': leave it out, HDBSCAN finds the number by density")
    return config_from_dict(DensityConfig, options, "cluster")

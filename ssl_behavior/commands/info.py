"""The verb `info`: kind and contents of a folder that ssl-behavior wrote."""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ssl_behavior.errors import InputError
from ssl_behavior.files import read_contents, read_json
from ssl_behavior.terminal import counted, listed, make_console, make_table

if TYPE_CHECKING:
    from ssl_behavior.embeddings_folder import EmbeddingRow
    from ssl_behavior.store import Store

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Describe a folder: store, run, checkpoint, embeddings, index, clusters, their description, or results.

    Raises
    ------
    InputError
        If the folder is none of these, or is damaged.
    """
    parser = argparse.ArgumentParser(prog="ssl-behavior info", description="Describe a folder that ssl-behavior wrote.")
    parser.add_argument("path", metavar="PATH", type=Path)
    path = parser.parse_args(argv).path
    console = make_console()
    if path.is_file() and path.name in _KINDS:
        path = path.parent
    for name, describe in _KINDS.items():
        if (path / name).is_file():
            describe(path, console)
            return 0
    raise InputError(
        f"{path} is no store, run, checkpoint, embeddings, index, clusters, description or results folder (none of "
        f"{list(_KINDS)} in it)"
    )


def _table(console: Console, title: str, rows: Sequence[tuple[str, object]]) -> None:
    console.print(make_table(("", ""), [(name, str(value)) for name, value in rows], title, text=("",)))


def _store(path: Path, console: Console) -> None:
    from ssl_behavior.label_changes import label_changes
    from ssl_behavior.store import Store

    store = Store(path)
    seconds = sum(row.frames / row.fps for row in store.rows)
    subsets = sorted({row.subset for row in store.rows if row.subset})
    rows: list[tuple[str, object]] = [
        ("recordings", len(store)),
        ("frames", f"{store.num_frames:,} ({seconds / 3600:.2f} h)"),
        ("frames per second", ", ".join(f"{fps:.6g}" for fps in sorted({row.fps for row in store.rows}))),
        *_resampled(store),
        ("skeleton", f"{store.skeleton.name}: {', '.join(store.skeleton.keypoints)}"),
        ("animals", ", ".join(store.individuals) + (" (exchangeable)" if store.skeleton.exchangeable else "")),
        *_numbers_of_animals(store),
        ("confidence", "yes" if store.has_confidence else "no"),
        ("subsets", ", ".join(subsets) or "none"),
    ]
    for name, stream in store.streams.items():
        annotated = sum(name in row.annotators for row in store.rows)
        rows.append((f"labels {name}", f"{', '.join(stream.vocabulary)}; in {counted(annotated, 'recording')}"))
    rows += _pair_streams(store)
    changes = [(f"label change {number}", sentence) for number, sentence in enumerate(label_changes(path), start=1)]
    _table(console, f"store {path}", [*rows, ("fingerprint", store.fingerprint()[:16]), *changes])


def _pair_streams(store: "Store") -> list[tuple[str, object]]:
    """Label streams with agents and targets: behaviors, recordings, bouts and pairs that were looked for."""
    import numpy as np

    rows: list[tuple[str, object]] = []
    for name, stream in store.pair_streams.items():
        asked = np.zeros((len(store.individuals),) * 2, dtype=bool)
        for recording in stream.recordings:
            asked |= store.pair_labels(name, store.row(recording)).looked_for_of(len(asked)).any(axis=2)
        pairs = [f"{store.individuals[agent]} → {store.individuals[target]}" for agent, target in np.argwhere(asked)]
        rows.append(
            (
                f"labels {name}",
                f"{', '.join(stream.vocabulary)}; {counted(stream.num_bouts, 'bout')} with agent and target in "
                f"{counted(len(stream.recordings), 'recording')}; looked for in {listed(pairs)}",
            )
        )
    return rows


def _numbers_of_animals(store: "Store") -> list[tuple[str, object]]:
    """Numbers of animals of the recordings, and the absent ones, where not every recording has all."""
    if not any(row.absent for row in store.rows):
        return []
    numbers = Counter(len(store.individuals) - len(row.absent) for row in store.rows)
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in store.rows:
        if row.absent:
            lacking[row.absent].append(row.id)
    have = ", ".join(f"{number} in {counted(count, 'recording')}" for number, count in sorted(numbers.items()))
    absent = listed([f"{listed(names, 8)} in {listed(ids, 8)}" for names, ids in lacking.items()], 8, "; ")
    return [("animals per recording", have), ("absent animals", absent)]


def _resampled(store: "Store") -> list[tuple[str, object]]:
    """Frame rates of the sources of resampled recordings."""
    rows = [row for row in store.rows if row.source_fps is not None]
    if not rows:
        return []
    rates = sorted({(row.source_fps or 0.0, row.source_times is not None) for row in rows})
    named = ", ".join(f"{fps:.6g}" + " (measured times)" * measured for fps, measured in rates)
    some = "" if len(rows) == len(store) else f"; {len(rows)} of {counted(len(store), 'recording')}"
    return [("resampled", f"from {named} frames per second{some}")]


def _checkpoint_or_run(path: Path, console: Console) -> None:
    contents = read_json(path / "config.json", "a run or checkpoint")
    kind = contents.get("format") if isinstance(contents, dict) else None
    if kind == "ssl-behavior checkpoint":
        _checkpoint(path, console)
    elif kind == "ssl-behavior run":
        _run(path, contents, console)
    else:
        raise InputError(f"{path}/config.json is neither a run's nor a checkpoint's")


def _checkpoint(path: Path, console: Console) -> None:
    from ssl_behavior.checkpoint import load_checkpoint, read_checkpoint_config

    contents, method = read_checkpoint_config(path), load_checkpoint(path)
    before, after = method.receptive_field
    groups = ", ".join(f"{name} {width}" for name, width in method.channel_groups.items())
    more = [("on request", ", ".join(method.more_groups))] if method.more_groups else []
    rows: list[tuple[str, object]] = [
        ("method", contents["method"]),
        ("parameters", f"{sum(p.numel() for p in method.parameters()):,}"),
        ("embedding", f"{method.embedding_dim} columns ({groups})"),
        *more,
        ("sees", f"{before} frames back and {after} ahead, at {method.fps:g} frames per second"),
        ("skeleton", method.skeleton.name),
        *_labels(method),
        *((name, value) for name, value in contents["extra"].items()),
        ("fingerprint", method.fingerprint()[:16]),
    ]
    _table(console, f"checkpoint {path}", rows)


def _labels(method: object) -> list[tuple[str, object]]:
    """Label streams that a method trained with labels predicts."""
    from ssl_behavior.methods import Joint

    if not isinstance(method, Joint):
        return []
    facts = method.config.labels
    rows: list[tuple[str, object]] = [(f"labels {one.name}", ", ".join(one.classes)) for one in facts.streams]
    known = [name for name in facts.annotators if name]
    return rows + ([("annotators", ", ".join(known))] if known else [])


def _run(path: Path, contents: dict, console: Console) -> None:
    from ssl_behavior.checkpoint import find_checkpoint, list_checkpoints

    config = contents.get("config")
    if not isinstance(config, dict):
        raise InputError(f"{path}/config.json is damaged: it has no configuration")
    rows = [(key, config[key]) for key in ("algorithm", "steps", "seed") if key in config]
    rows += [(key, contents[key]) for key in ("git_commit", "versions") if key in contents]
    _table(
        console, f"run {path}", [*rows, ("checkpoints", ", ".join(p.name for p in list_checkpoints(path)) or "none")]
    )
    if list_checkpoints(path):
        _checkpoint(find_checkpoint(path, best=True), console)


def _embeddings(path: Path, console: Console) -> None:
    from ssl_behavior.embeddings_folder import Embeddings

    embeddings = Embeddings(path)
    rows: list[tuple[str, object]] = [
        ("recordings", len({row.recording for row in embeddings.rows})),
        *_unit(embeddings.rows),
        ("frames", f"{len(embeddings.array):,}"),
        ("columns", ", ".join(f"{name} {width}" for name, width in embeddings.groups.items())),
        ("type", embeddings.array.dtype),
        ("checkpoint", embeddings.checkpoint[:16]),
        ("store", embeddings.store[:16]),
    ]
    _table(console, f"embeddings {path}", rows)


def _unit(rows: "Sequence[EmbeddingRow]") -> list[tuple[str, object]]:
    """Unit of animals and pairs, with their names."""
    unit = rows[0].actors.unit if rows else "scene"
    if unit == "scene":
        return []
    return [
        ("unit", f"{unit}: {counted(len(rows), unit)} ({listed(list(dict.fromkeys(str(r.actors) for r in rows)))})")
    ]


def _fitted_on(ids: Sequence[str], rows: "Sequence[EmbeddingRow]") -> str:
    """Number of recordings, or of animals or pairs, that a clustering was fitted on."""
    unit = rows[0].actors.unit if rows else "scene"
    return counted(len(ids), "recording" if unit == "scene" else unit)


def _clusters(path: Path, console: Console) -> None:
    from ssl_behavior.clusters import load_clustering
    from ssl_behavior.clusters.algorithms import KMeansModel
    from ssl_behavior.embeddings_folder import count_rows

    clustering = load_clustering(path)
    model, frames, fitted = clustering.model, clustering.frames, clustering.fitted
    k_means, sizes = isinstance(model, KMeansModel), clustering.sizes / len(frames.labels)
    kept = clustering.space.config.kept(clustering.space.groups)
    rows: list[tuple[str, object]] = [
        ("method", "k-means" + " on the sphere" * clustering.space.config.unit if k_means else "HDBSCAN"),
        ("clusters", f"{clustering.num_clusters} (shares {sizes.max():.1%} to {sizes.min():.1%})"),
        ("in no cluster", f"{1 - sizes.sum():.1%} of the frames"),
        *((name, value) for name, value in asdict(clustering.config).items() if name != "clusters"),
        *((name, value) for name, value in asdict(clustering.smoothing).items()),
        ("seed", clustering.seed),
        ("space", f"{clustering.space.dim} dimensions of {', '.join(f'{name} {n}' for name, n in kept.items())}"),
        ("fitted on", f"{_fitted_on(fitted.recordings, frames.rows)}, {counted(fitted.frames, 'frame')}"),
        ("labels", f"{count_rows(frames.rows)}, {counted(len(frames.labels), 'frame')}"),
        ("checkpoint", clustering.space.checkpoint[:16]),
        ("store", clustering.store[:16]),
    ]
    _table(console, f"clusters {path}", rows)


def _index(path: Path, console: Console) -> None:
    from ssl_behavior.embedding_space import Space
    from ssl_behavior.retrieval.frame_index import read_facts

    facts, space = read_facts(path), Space.load(path)
    kept = space.config.kept(space.groups)
    found = f"{facts.recall:.1%} of the ten nearest frames, measured on {facts.recall_queries}"
    rows: list[tuple[str, object]] = [
        ("kind", f"{facts.kind} ({facts.factory})"),
        ("frames", f"{facts.frames:,}" + (f", every {facts.stride}" if facts.stride > 1 else "")),
        ("recordings", len(facts.recordings)),
        ("recall", found if facts.recall_queries else "exact"),
        ("distance", "cosine" if space.config.unit else "Euclidean"),
        ("space", f"{space.dim} dimensions of {', '.join(f'{name} {n}' for name, n in kept.items())}"),
        ("seed", facts.seed),
        ("checkpoint", space.checkpoint[:16]),
        ("store", facts.store[:16]),
    ]
    _table(console, f"index {path}", rows)


def _description(path: Path, console: Console) -> None:
    contents = read_contents(path, "cards.json", "cards", 1, ", or describe the clusters again", "a description")
    try:
        cards = [
            (f"cluster {card['cluster']} ({card['share']:.1%})", card["sentence"]) for card in contents["clusters"]
        ]
        frames = f"{counted(contents['num_recordings'], 'recording')}, {contents['num_frames']:,} frames"
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}/cards.json is damaged ({error!r}); describe the clusters again") from None
    _table(console, f"description {path}: {frames}", cards)


def _results(path: Path, console: Console) -> None:
    contents = read_json(path / "results.json", "a results folder")
    if not isinstance(contents, dict):
        raise InputError(f"{path}/results.json is damaged: expected a table of results, got {type(contents).__name__}")
    flat = [(key, value) for key, value in contents.items() if isinstance(value, (str, int, float))]
    _table(console, f"results {path}", flat)
    for table in contents.get("tables", []):
        scores = [(row["representation"], _headline(row["macros"][0])) for row in table["rows"]]
        _table(console, table["title"], scores)


def _headline(macro: dict) -> str:
    means = {"F1": macro["f1"]["mean"], "AP": macro["ap"]["mean"]}
    return ", ".join(f"{name} {'undefined' if mean is None else f'{mean:.3f}'}" for name, mean in means.items())


_KINDS: dict[str, Callable[[Path, Console], None]] = {
    "store.json": _store,
    "embeddings.json": _embeddings,
    "index.json": _index,
    "clusters.json": _clusters,
    "cards.json": _description,
    "results.json": _results,
    "config.json": _checkpoint_or_run,
}

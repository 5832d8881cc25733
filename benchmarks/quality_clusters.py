"""Clusters on real recordings: how much of S1 and S2 is in them, beside hand features and PCA of raw poses.

    python benchmarks/quality_clusters.py STORE EMBEDDINGS... --out DIR [--seeds 3]

STORE holds the 38 recordings of two rats, EMBEDDINGS are embeddings of it by encoders of several seeds. Spaces and
clusters are learned on recordings 01-30 without labels, and given to 31-38, where they are compared with the labels:
normalised mutual information and purity, against S1 on all annotated frames (its background "base" is a label like the
others), against S2 on the frames of its behaviours alone. Frames of no cluster (HDBSCAN) count as one of their own.
Clusterings: k-means with k = 10, 20, 50; one with 200 centroids, joined by Ward's hierarchy to 10, 20, 50; HDBSCAN of
20,000 frames in 5 dimensions. Bouts have at least .25 s. For each behaviour, the three clusters of k-means with k = 50
in which it is most overrepresented are chosen on 01-30, and what they hold of it is counted on 31-38.

What is in DIR already is not computed again. The last line of stdout is one JSON object.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probe.references import hand_features, raw_keypoints
from ssl_behavior.bouts import runs
from ssl_behavior.clusters import DensityConfig, KMeansConfig, SmoothingConfig
from ssl_behavior.clusters.algorithms import KMeansModel
from ssl_behavior.clusters.clustering import DENSITY_DIMS, fit_model
from ssl_behavior.clusters.embedding_quality import normalized_mutual_information, purity
from ssl_behavior.embedding_space import Space, SpaceConfig, sample_frames
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.files import write_json
from ssl_behavior.store import Store

NUMBERS = (10, 20, 50)
FINE = 200
TRAIN = 30
LEARNED = ("past_context", "future_context", "latent*")
RAW_DIMS = 16
BEST, LEAST_SHARE = 3, 0.02


def references(store: Store, folder: Path) -> dict[str, Embeddings]:
    """Hand features and raw poses of all recordings, as embeddings."""
    makers: dict[str, Callable[..., Any]] = {"hand": hand_features, "raw": raw_keypoints}
    found = {}
    for name, make in makers.items():
        out = folder / name
        if not out.exists():
            (array,) = make(store, store.rows[:TRAIN], folder / "features").arrays
            sequences = ((row.id, np.asarray(array[row.slice])) for row in store.rows)
            store_embeddings(out, store, store.rows, sequences, name, lambda: "reference", dtype="float32")
        found[name] = Embeddings(out)
    return found


def compared(
    store: Store, encoders: Sequence[Path], folder: Path, unit: bool = False, alone: bool = False
) -> dict[str, tuple[list[Embeddings], SpaceConfig]]:
    """Representation -> its embeddings, of several seeds where there are, and the space to look at them in.

    Parameters
    ----------
    alone : without hand features and raw poses.
    """
    learned = [Embeddings(path) for path in encoders]
    found = {"embedding": (learned, SpaceConfig(unit=unit))}
    if "latent" in learned[0].groups:
        found["learned columns"] = (learned, SpaceConfig(unit=unit, only=LEARNED))
    if not alone:
        made = references(store, folder)
        found["hand features"] = ([made["hand"]], SpaceConfig(unit=unit))
        found[f"raw poses, PCA-{RAW_DIMS}"] = ([made["raw"]], SpaceConfig(unit=unit, most_dims=RAW_DIMS))
    return found


def labels_of(store: Store, stream: str) -> np.ndarray:
    """Labels of all frames, int [frames]; -1 without annotation."""
    parts = []
    for row in store.rows:
        labels = store.recording(row.id).labels
        parts.append(np.asarray(labels[stream].frames) if stream in labels else np.full(row.frames, -1))
    return np.concatenate(parts)


def clusterings(points: np.ndarray, sample: np.ndarray, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, cluster of each frame by itself)."""
    for number in NUMBERS:
        model = fit_model(points[sample], KMeansConfig(clusters=number, sample=len(sample)), False, seed)
        yield f"k-means {number}", model.clusters(model.predict(points))
    config = KMeansConfig(clusters=FINE, sample=len(sample))
    whole = fit_model(points[sample], config, False, seed)
    assert isinstance(whole, KMeansModel)
    raw_labels = whole.predict(points)
    for number in NUMBERS:
        yield f"{FINE} joined to {number}", whole.cut(number).clusters(raw_labels)
    few = np.ascontiguousarray(points[:, :DENSITY_DIMS])
    density = DensityConfig()
    some = sample_frames_of(sample, density.sample, seed)
    yield "HDBSCAN", fit_model(few[some], density, False, seed).predict(few)


def sample_frames_of(frames: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Some of the frames, rising."""
    return np.sort(np.random.default_rng(seed).choice(frames, min(most, len(frames)), replace=False))


def scores(clusters: np.ndarray, store: Store, streams: dict[str, np.ndarray]) -> dict[str, Any]:
    """What a clustering of all frames, as bouts, has to do with the labels of 31-38."""
    held_out = np.arange(store.num_frames) >= store.rows[TRAIN].offset
    lengths = [(stop - start) / row.fps for row in store.rows[TRAIN:] for start, stop, one in runs(clusters[row.slice])]
    out: dict[str, Any] = {
        "clusters": int(clusters.max() + 1),
        "of_no_cluster": float((clusters[held_out] < 0).mean()),
        "median_bout_seconds": float(np.median(lengths)),
    }
    for name, labels in streams.items():
        known = held_out & (labels >= (1 if name == "S2" else 0))
        out[name] = {
            "nmi": normalized_mutual_information(labels[known], clusters[known]),
            "purity": purity(labels[known], clusters[known]),
            "commonest": float(np.bincount(labels[known]).max() / known.sum()),
            "frames": int(known.sum()),
        }
    return out


def holdings(clusters: np.ndarray, store: Store, streams: dict[str, np.ndarray]) -> dict[str, Any]:
    """Behaviour -> what its best clusters, chosen on 01-30, hold of it on 31-38."""
    held_out = np.arange(store.num_frames) >= store.rows[TRAIN].offset
    many, out = int(clusters.max() + 1), {}
    for stream, labels in streams.items():
        for number, behaviour in enumerate(store.streams[stream].vocabulary):
            if behaviour == store.streams[stream].background:
                continue
            shows = labels == number
            counts = [
                [np.bincount(clusters[part & of], minlength=many).astype(float) for of in (shows, labels >= 0)]
                for part in (~held_out, held_out)
            ]
            own, every = counts[0]
            share = own / own.sum()
            enriched = np.where(share >= LEAST_SHARE, share / np.maximum(every / every.sum(), 1e-9), 0)
            best = np.argsort(-enriched, kind="stable")[:BEST]
            own, every = counts[1]
            held = own[best].sum() / own.sum() if own.sum() else None
            size = every[best].sum() / every.sum()
            out[f"{stream} {behaviour}"] = {
                "frames": int(own.sum()), "clusters": best.tolist(), "share_held": held, "share_of_frames": float(size),
                "enrichment": None if held is None or not size else float(held / size),
                "precision": float(own[best].sum() / every[best].sum()) if every[best].sum() else None,
            }  # fmt: skip
    return out


def measure(
    embeddings: Embeddings, space: SpaceConfig, store: Store, streams: dict[str, np.ndarray], seed: int, sample: int
) -> dict[str, Any]:
    """All clusterings of one embedding with one seed."""
    rows = embeddings.rows[:TRAIN]
    fitted = Space.fit(embeddings, space, seed, rows)
    points = np.concatenate([block for _, block in fitted.blocks(embeddings)])
    smoothing, out = SmoothingConfig(), {}
    for name, raw_labels in clusterings(points, sample_frames(rows, sample, seed), seed):
        parts = [smoothing.without_short(raw_labels[row.slice], row.fps) for row in embeddings.rows]
        clusters = np.concatenate(parts)
        out[name] = scores(clusters, store, streams)
        if name == f"k-means {NUMBERS[-1]}":
            out["holdings"] = holdings(clusters, store, streams)
    return out


def summary(results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Representation -> clustering -> "mean ± standard deviation" of each score over the seeds."""

    def over(values: list[float]) -> str:
        return f"{np.mean(values):.3f} ± {np.std(values):.3f}"

    table: dict[str, Any] = {}
    for name, seeds in results.items():
        for clustering in (key for key in seeds[0] if key != "holdings"):
            own = [seed[clustering] for seed in seeds]
            table.setdefault(name, {})[clustering] = {
                **{f"{s} {m}": over([one[s][m] for one in own]) for s in ("S1", "S2") for m in ("nmi", "purity")},
                "clusters": [one["clusters"] for one in own],
                "of_no_cluster": over([one["of_no_cluster"] for one in own]),
                "median_bout_seconds": over([one["median_bout_seconds"] for one in own]),
            }
    return table


def print_tables(table: dict[str, Any], results: dict[str, list[dict[str, Any]]]) -> None:
    columns = ("S1 nmi", "S1 purity", "S2 nmi", "S2 purity", "of_no_cluster", "median_bout_seconds")
    for clustering in next(iter(table.values())):
        print(f"\n{clustering}\n| representation | {' | '.join(columns)} |")
        for name, rows in table.items():
            print(f"| {name} | {' | '.join(rows[clustering][column] for column in columns)} |")
    print("\nheld by the three best clusters of 50 (mean over seeds): share held | share of all frames | enrichment")
    for behaviour in next(iter(results.values()))[0]["holdings"]:
        line = [behaviour, str(next(iter(results.values()))[0]["holdings"][behaviour]["frames"])]
        for seeds in results.values():
            own = [seed["holdings"][behaviour] for seed in seeds]
            if any(one["enrichment"] is None for one in own):
                line.append("-")
                continue
            held, size, more = (
                np.mean([one[key] for one in own]) for key in ("share_held", "share_of_frames", "enrichment")
            )
            line.append(f"{held:.2f} of it in {size:.3f} ({more:.1f}x)")
        print("| " + " | ".join(line) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("embeddings", type=Path, nargs="+", help="of several seeds, without which there is no spread")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=50_000, help="frames that k-means learns from")
    parser.add_argument("--alone", action="store_true", help="without hand features and raw poses")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    store = Store(options.store)
    streams = {name: labels_of(store, name) for name in ("S1", "S2")}
    wanted = compared(store, options.embeddings, options.out, alone=options.alone)
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for name, (embeddings, space) in wanted.items():
            file = options.out / f"{name.replace(' ', '-')}-{seed}.json"
            if not file.exists():
                one = embeddings[seed % len(embeddings)]
                write_json(file, measure(one, space, store, streams, seed, options.sample))
            results.setdefault(name, []).append(json.loads(file.read_text()))
    table = summary(results)
    print_tables(table, results)
    print(json.dumps({"benchmark": "quality_clusters", "seeds": options.seeds, "results": table}))


if __name__ == "__main__":
    main()

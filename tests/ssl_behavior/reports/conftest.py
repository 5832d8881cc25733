"""Fixtures: three recordings with all inputs of a report (labels, embeddings, clusters, description, results)."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from ssl_behavior.clusters import load_frames
from ssl_behavior.clusters.cards import BoutLengths, Card, Cards
from ssl_behavior.clusters.distinctive import Difference
from ssl_behavior.clusters.enrichment import Enrichment
from ssl_behavior.clusters.unexplained import DiscoveredBout, DiscoveredCluster, Discovery
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.recording import Labels
from ssl_behavior.reports import ReportConfig, gather_report, read_profiles, read_scores, write_report
from ssl_behavior.store import Store, write_store

EVIL = "<img src=x onerror=window.hacked=1>"
"""A recording's name that would run where names are not escaped."""

FRAMES = {"walk": 211, EVIL: 307, "third/one": 101}
NUM_CLUSTERS, DIM = 5, 13
S1 = ("base", "attack</script><script>window.hacked=1</script>", "social & more")
S2 = ("rest", "bite")


@pytest.fixture(autouse=True)
def _single(_double_precision):
    """A report is drawn, not derived: in the precision in which it is used."""
    torch.set_default_dtype(torch.float32)


def runs_of(generator, count, frames):
    """One whole number below `count` for each frame, in runs of 9 to 40; each is another than the one before."""
    out, value = np.empty(frames, np.int32), 0
    start = 0
    while start < frames:
        stop = min(frames, start + int(generator.integers(9, 41)))
        value = (value + int(generator.integers(1, count))) % count
        out[start:stop] = value
        start = stop
    return out


def label_streams(generator, number, frames):
    streams = {"S1": Labels(vocabulary=S1, frames=runs_of(generator, len(S1), frames), background="base")}
    if number != 2:
        streams["S2"] = Labels(vocabulary=S2, frames=runs_of(generator, len(S2), frames), background="rest")
    return streams


@pytest.fixture(scope="session")
def folders(dyad, tmp_path_factory):
    """name -> folder: store, embeddings, clusters, described, results."""
    root, generator = tmp_path_factory.mktemp("report"), np.random.default_rng(3)
    recordings = [
        dyad(
            name, frames, skeleton="rat_dyads", seed=number, missing=0.15,
            labels=label_streams(generator, number, frames), confidence=generator.random((frames, 2, 5)),
        )
        for number, (name, frames) in enumerate(FRAMES.items())
    ]  # fmt: skip
    write_store(root / "store", recordings)
    store = Store(root / "store")
    labels = [runs_of(generator, NUM_CLUSTERS, frames) for frames in FRAMES.values()]
    centers = generator.normal(0, 4, (NUM_CLUSTERS, DIM))
    sequences = [
        (row.id, centers[own] + generator.normal(0, 1, (len(own), DIM)))
        for row, own in zip(store.rows, labels, strict=True)
    ]
    store_embeddings(root / "embeddings", store, store.rows, sequences, "latent", lambda: "c" * 64, "float32")
    write_clusters(root / "clusters", Embeddings(root / "embeddings"), np.concatenate(labels))
    write_description(root / "described", labels)
    write_results(root / "results")
    return {name: root / name for name in ("store", "embeddings", "clusters", "described", "results")}


def write_clusters(folder, embeddings, labels, number=NUM_CLUSTERS):
    folder.mkdir(exist_ok=True)
    np.save(folder / "labels.npy", labels.astype(np.int32))
    contents = {
        "format": "ssl-behavior clusters",
        "version": 2,
        "num_clusters": number,
        "recordings": [asdict(row) for row in embeddings.rows],
    }
    (folder / "clusters.json").write_text(json.dumps(contents))


def write_description(folder, labels):
    """As `ssl-behavior describe` writes it, with few differences."""
    folder.mkdir()
    start = int(np.flatnonzero(np.diff(labels[0]))[0]) + 1
    stop = start + int(np.flatnonzero(np.diff(labels[0][start:]))[0]) + 1
    bout = DiscoveredBout(
        cluster=int(labels[0][start]), recording="walk", start=start, stop=stop, surprise=2.5,
        behaviors={"S1": "social & more", "S2": ""},
    )  # fmt: skip
    cluster = DiscoveredCluster(
        cluster=4, score=0.25, explained=0.125, stream="S1", annotated=1.0, behavior="base", behavior_share=0.5,
        separation=None, seen=1.0, frames=100, bouts=12, recordings=3,
    )  # fmt: skip
    frames = np.bincount(np.concatenate(labels), minlength=NUM_CLUSTERS).tolist()
    cards = tuple(replace(card(number), frames=own) for number, own in enumerate(frames))
    Cards(
        num_frames=sum(FRAMES.values()), num_recordings=len(FRAMES), of_no_cluster=0, unit="px", body_length=None,
        anonymous=True, notes=("Described <b>briefly</b>.",), clusters=cards,
        discovery=Discovery(clusters=(cluster,), bouts=(bout, replace(bout, recording="elsewhere"))),
    ).save(folder)  # fmt: skip
    shares = np.random.default_rng(5).dirichlet(np.ones(NUM_CLUSTERS), 7)
    animals = [
        {"animal": f"rat{i}", "group": "control" if i < 4 else "drug<i>", "share": row.tolist()}
        for i, row in enumerate(shares)
    ]
    comparisons = [
        {
            "cluster": cluster, "measure": measure, "first": "control", "second": "drug<i>", "hedges_g": cluster / 2,
            "p": 0.01, "q": 0.01 + cluster / 10,
        }
        for measure in ("share", "bouts_per_minute") for cluster in range(NUM_CLUSTERS)
    ]  # fmt: skip
    profiles = {
        "format": "ssl-behavior profiles",
        "version": 1,
        "factor": "treatment",
        "level": 0.05,
        "notes": ["Few animals."],
        "animals": animals,
        "comparisons": comparisons,
    }
    (folder / "profiles.json").write_text(json.dumps(profiles))


def enrichment(behavior="social & more", cluster=0, both=40, of_cluster=100, expected=20.0):
    return Enrichment(
        stream="S1", behavior=behavior, background=False, cluster=cluster, both=both, of_behavior=both,
        of_cluster=of_cluster, annotated=500, expected=expected, log2_ratio=None, low=None, high=None, cluster_bouts=1,
        behavior_bouts=1, recordings=1,
    )  # fmt: skip


def card(cluster, **fields):
    labels = (enrichment(), enrichment("base", both=5), enrichment(both=0))
    difference = Difference(
        name="nose_tail_distance.greater", program="nose_tail_distance", of="greater", units="px", description="",
        known=100, share_known=1.0, bouts=12, difference=-1.5, error=0.1, median=40.0, usual=90.0, below=0.1,
    )  # fmt: skip
    made = Card(
        cluster=cluster, sentence=f"Sentence of <u>{cluster}</u>", frames=100, share=0.2, recordings=3, followers=(),
        bouts=BoutLengths(number=12, per_minute=1.0, lower=0.5, median=1.0, upper=2.0), to_none=0, to_end=0,
        labels=labels, differences=(difference,), shares={},
    )  # fmt: skip
    return replace(made, **fields)


def write_results(folder):
    folder.mkdir()
    summary = {"mean": 0.625, "std": 0.0125, "num_defined": 3}
    macro = {
        "name": "all",
        "ap": summary,
        "f1": summary,
        "ap_interval": {"low": 0.5, "high": 0.75},
        "f1_interval": None,
    }
    classes = {"attack": {"ap": summary}, "never": {"ap": {"mean": None, "std": None, "num_defined": 0}}}
    row = {
        "representation": "trained <encoder>",
        "percent": 100.0,
        "smoothed": True,
        "macros": [macro],
        "classes": classes,
    }
    contents = {
        "format": "ssl-behavior results", "task": {"name": "S1"}, "mode": "linear", "seeds": [0, 1, 2],
        "split": {"train": ["walk"], "evaluated": [EVIL, "third/one"]},
        "rows": [row, row | {"representation": "raw", "percent": 5.0}],
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(contents))


@pytest.fixture(scope="session")
def gather(folders):
    """A report of the folders, or of some of them."""

    def make(clusters=True, description=True, probe=True, rows=None, **config):
        store = Store(folders["store"])
        return gather_report(
            store,
            Embeddings(folders["embeddings"]),
            ReportConfig(**{"bouts": 20, "neighbors": 3, "programs": ("speed", "body_gap")} | config),
            rows=rows,
            clusters=load_frames(folders["clusters"]) if clusters else None,
            description=Cards.load(folders["described"]) if description else None,
            profiles=read_profiles(folders["described"]) if description else (),
            scores=read_scores(folders["results"]) if probe else (),
        )

    return make


@pytest.fixture(scope="session")
def gathered(gather):
    return gather()


@pytest.fixture(scope="session")
def page_file(gathered, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(gathered.report, path)
    return path

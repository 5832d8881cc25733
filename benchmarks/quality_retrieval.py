"""Neighbor search on real recordings: share of the ten nearest bouts with the behavior of the labeled examples.

    python benchmarks/quality_retrieval.py STORE EMBEDDINGS... --out DIR [--draws 20]

STORE holds the 38 recordings of two rats, EMBEDDINGS are embeddings of it by encoders of several seeds. A draw takes
five bouts of a behavior from recordings 01-30; encoders and spaces never saw a label. Each of them alone ("one"), and
the five together ("five"), ask an exact index for the ten nearest bouts. They are looked for in 31-38 ("held out"), and
in every annotated recording but those of the examples ("others"). Precision@10 is the share of found bouts in which the
behavior is what most annotated frames show; in brackets the same by the nearest frame of each bout; chance is the
behavior's share of the frames searched. Hand features and raw poses are compared by the same rules.

The last line of stdout is one JSON object.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from quality_clusters import TRAIN, compared, labels_of

from ssl_behavior.bouts import Span, runs
from ssl_behavior.embedding_space import SpaceConfig
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings
from ssl_behavior.retrieval import FrameIndex, IndexConfig, Query, build_index, nearest_bouts
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store

STREAM, BEHAVIORS = "S2", ("clinch", "keepdown", "lateralthreat", "uprightposture")
EXAMPLES, NEAREST = 5, 10
LEAST_SECONDS = 0.3


@dataclass(frozen=True)
class Case:
    """Five bouts of a behavior, and where to look for more."""

    behavior: str
    where: str
    examples: tuple[Span, ...]
    recordings: tuple[str, ...]


def cases(store: Store, labels: np.ndarray, draws: int) -> Iterator[Case]:
    """The draws of every behavior, the same for every representation."""
    annotated = [row for row in store.rows if (labels[row.slice] >= 0).any()]
    later = {row.id for row in store.rows[TRAIN:]}
    for behavior in BEHAVIORS:
        number = store.streams[STREAM].vocabulary.index(behavior)
        bouts = [
            Span(row.id, start, stop)
            for row in annotated
            for start, stop, label in runs(labels[row.slice])
            if row.id not in later and label == number and stop - start >= LEAST_SECONDS * row.fps
        ]
        for draw in range(draws):
            picks = numpy_generator(draw, "examples", behavior).choice(len(bouts), EXAMPLES, replace=False)
            examples = tuple(bouts[pick] for pick in picks)
            own = {example.recording for example in examples}
            yield Case(behavior, "held out", examples, tuple(row.id for row in annotated if row.id in later))
            yield Case(behavior, "others", examples, tuple(row.id for row in annotated if row.id not in own))


def shown_by(labels: np.ndarray, row: EmbeddingRow, start: int, stop: int) -> int:
    """What most annotated frames of a bout show; -1 where none is annotated."""
    own = labels[row.slice][start:stop]
    return int(np.bincount(own[own >= 0]).argmax()) if (own >= 0).any() else -1


def precision(
    index: FrameIndex, labels: np.ndarray, number: int, queries: Sequence[Query], rows: Sequence[EmbeddingRow]
) -> tuple[float, float]:
    """Shares of the found bouts that show the behavior: by most of their frames, and by the nearest one."""
    by_id = {row.id: row for row in rows}
    most, nearest = [], []
    for query in queries:
        for bout in nearest_bouts(index, query, NEAREST, rows):
            row = by_id[bout.recording]
            most.append(shown_by(labels, row, bout.start, bout.stop) == number)
            nearest.append(int(labels[row.slice][bout.frame]) == number)
    return float(np.mean(most)), float(np.mean(nearest))


def measure(index: FrameIndex, store: Store, labels: np.ndarray, draws: int) -> dict[str, dict[str, list[float]]]:
    """(behavior, where, number of examples) -> score -> its value in each draw."""
    found: dict[str, dict[str, list[float]]] = {}
    for case in cases(store, labels, draws):
        number = store.streams[STREAM].vocabulary.index(case.behavior)
        rows = [row for row in index.embeddings.rows if row.id in case.recordings]
        known = np.concatenate([labels[row.slice] for row in rows])
        chance = float((known == number).sum() / (known >= 0).sum())
        asked = {"one": [Query((one,)) for one in case.examples], "five": [Query(case.examples)]}
        for name, queries in asked.items():
            most, nearest = precision(index, labels, number, queries, rows)
            own = found.setdefault(f"{case.behavior}, {case.where}, {name}", {})
            for score, value in (("precision@10", most), ("by nearest frame", nearest), ("chance", chance)):
                own.setdefault(score, []).append(value)
    return found


def kept(
    file: Path, embeddings: Embeddings, space: SpaceConfig, store: Store, labels: np.ndarray, draws: int
) -> dict[str, dict[str, list[float]]]:
    """Measured once."""
    if not file.exists():
        index = build_index(embeddings, file.with_suffix(".index"), space, IndexConfig(kind="flat"), overwrite=True)
        file.write_text(json.dumps(measure(index, store, labels, draws)), encoding="utf-8")
    contents: dict[str, dict[str, list[float]]] = json.loads(file.read_text(encoding="utf-8"))
    return contents


def print_table(results: dict[str, list[dict[str, dict[str, list[float]]]]]) -> dict[str, Any]:
    """Mean over encoders and draws, ± the standard deviation of encoders' means where there are several."""
    table: dict[str, Any] = {}
    print(f"| precision@10 | chance | {' | '.join(results)} |")
    for key in next(iter(results.values()))[0]:
        line = []
        for name, seeds in results.items():
            means = [float(np.mean(seed[key]["precision@10"])) for seed in seeds]
            frame = [float(np.mean(seed[key]["by nearest frame"])) for seed in seeds]
            table.setdefault(name, {})[key] = {
                "precision@10": float(np.mean(means)), "over_encoders": float(np.std(means)),
                "over_draws": float(np.mean([np.std(seed[key]["precision@10"]) for seed in seeds])),
                "by_nearest_frame": float(np.mean(frame)),
            }  # fmt: skip
            spread = f" ± {np.std(means):.3f}" if len(means) > 1 else ""
            line.append(f"{np.mean(means):.3f}{spread} ({np.mean(frame):.3f})")
        chance = float(np.mean(next(iter(results.values()))[0][key]["chance"]))
        print(f"| {key} | {chance:.3f} | {' | '.join(line)} |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("embeddings", type=Path, nargs="+", help="of several seeds, without which there is no spread")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--alone", action="store_true", help="without hand features and raw poses")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    store = Store(options.store)
    labels = labels_of(store, STREAM)
    wanted = compared(store, options.embeddings, options.out, unit=True, alone=options.alone)
    results: dict[str, list[dict[str, dict[str, list[float]]]]] = {}
    for name, (several, space) in wanted.items():
        for number, embeddings in enumerate(several):
            label = f"{name.replace(' ', '-')}-{number}"

            file = options.out / f"{label}.json"
            results.setdefault(name, []).append(kept(file, embeddings, space, store, labels, options.draws))
    table = print_table(results)
    print(json.dumps({"benchmark": "quality_retrieval", "draws": options.draws, "results": table}))


if __name__ == "__main__":
    main()

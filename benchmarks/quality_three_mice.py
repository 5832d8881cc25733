"""Quality of embeddings of scenes, animals and pairs: aggression in events of three mice.

    python benchmarks/quality_three_mice.py EVENTS --out DIR [--seeds 3] [--steps N]

EVENTS is `events.npz`: windows of 130 frames at 50 per second around a contact of two of three mice, in the order
(who approaches, who is approached, bystander), and whether it is aggression (180) or not (290). Encoders learn from the
tracks alone, all units by turns; one from the windows of three, one from the three dyads in each of them. Both embed
the windows of three. An event is the mean and the standard deviation of its rows over the frames:

scene    of the scene
animal   of the three animals in the order of the events, side by side
pair     of approaching mouse -> approached mouse
both     of this pair and the pair the other way round, side by side

Beside them: 15 hand features of an event (speeds, lengths, turning, distances, facing, closing speed), the encoder's
inputs of the same pair, and the encoder untrained. Heads are logistic regressions whose penalty is chosen within the
training part, by recording; five folds by recording, shuffled by the seed; average precision of aggression over all
events, each scored by the head that did not learn from its recording. Chance is .383.
What DIR holds already is not made again. The last line of stdout is one JSON object.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from quality_rats import run
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.embedding import embed_recording
from ssl_behavior.files import read_json, write_json
from ssl_behavior.methods import Method
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store, write_store
from ssl_behavior.units import Actors
from ssl_behavior.windows import recording_window

FPS = 50.0
MICE = ("mouse1", "mouse2", "mouse3")
"""Of an event: who approaches, who is approached, the bystander."""
SKELETON = Skeleton(
    name="three_mice",
    keypoints=(
        "nose", "head", "left_ear", "left_shoulder", "neck", "right_ear", "right_shoulder", "left_haunch",
        "right_haunch", "tail_1", "tail_0", "tail_base", "tail_2", "tail_tip", "trunk",
    ),
    roles={
        "nose": "nose", "left_ear": "left_ear", "right_ear": "right_ear", "neck": "neck", "left_hip": "left_haunch",
        "right_hip": "right_haunch", "tail_base": "tail_base", "tail_middle": "tail_1", "tail_tip": "tail_tip",
    },
    edges=(
        ("nose", "head"), ("head", "neck"), ("neck", "trunk"), ("trunk", "tail_base"), ("tail_base", "tail_0"),
        ("tail_0", "tail_1"), ("tail_1", "tail_2"), ("tail_2", "tail_tip"), ("head", "left_ear"),
        ("head", "right_ear"), ("neck", "left_shoulder"), ("neck", "right_shoulder"), ("trunk", "left_haunch"),
        ("trunk", "right_haunch"),
    ),
    mirror_pairs=tuple((f"left_{part}", f"right_{part}") for part in ("ear", "shoulder", "haunch")),
    individuals=MICE,
    exchangeable=True,
)  # fmt: skip
WINDOWS = "method.summaries.windows", "method.encoder.mixer.windows"
LENGTHS = {"around_frames": "24,48,96", "past_frames": "24,48", "future_frames": "24,48"}
"""Windows of an event: it lasts 130 frames."""
PAIR = Actors(agent=MICE[0], target=MICE[1])
BACK = Actors(agent=MICE[1], target=MICE[0])
UNITS: dict[str, tuple[Actors, ...]] = {
    "scene": (Actors(),),
    "animal": tuple(Actors(agent=name) for name in MICE),
    "pair": (PAIR,),
    "both": (PAIR, BACK),
}
FOLDS = 5
PENALTIES = np.logspace(-4, 1, 6)
"""C of scikit-learn's logistic regression."""


def recordings(events: dict[str, np.ndarray], dyads: bool) -> Iterator[Recording]:
    """Recordings of the events, or of every two mice in them; points at exactly 0 were not seen."""
    for number, keypoints in enumerate(events["kp"].astype(np.float32)):
        keypoints = np.where((keypoints == 0).all(axis=-1, keepdims=True), np.nan, keypoints)
        for mice in combinations(range(3), 2) if dyads else [(0, 1, 2)]:
            names = MICE[: len(mice)]
            skeleton = SKELETON if len(mice) == 3 else _of_two()
            name = f"{number:03d}" + ("" if len(mice) == 3 else f"_{mice[0]}{mice[1]}")
            yield Recording(
                id=name, keypoints=keypoints[:, list(mice)], fps=FPS, skeleton=skeleton, individuals=names,
            )  # fmt: skip


def _of_two() -> Skeleton:
    return Skeleton.from_dict(SKELETON.to_dict() | {"individuals": MICE[:2]})


def hand_features(keypoints: np.ndarray) -> np.ndarray:
    """Features of an event's two mice, float64 [15]; keypoints are [time, mouse, keypoint, space], NaN = missing."""
    names = SKELETON.keypoints
    nose, head, tail = (keypoints[:, :, names.index(part)] for part in ("nose", "head", "tail_base"))
    center = np.nanmean(keypoints[:, :, :9], axis=2)
    speed = np.linalg.norm(np.diff(center, axis=0), axis=-1)
    axis = head - tail
    heading = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(heading[..., 1], heading[..., 0])
    turn = np.abs((np.diff(angle, axis=0) + np.pi) % (2 * np.pi) - np.pi)
    offset = center[:, 1] - center[:, 0]
    distance = np.linalg.norm(offset, axis=-1)
    toward = offset / distance[:, None]
    faces = np.sum(heading[:, 0] * toward, axis=-1), -np.sum(heading[:, 1] * toward, axis=-1)
    sniffs = [np.linalg.norm(nose[:, a] - tail[:, b], axis=-1) for a, b in ((0, 1), (1, 0))]
    length = np.linalg.norm(nose - tail, axis=-1)
    parts = [
        *np.nanmean(speed[:, :2], axis=0), *np.nanmax(speed[:, :2], axis=0), *np.nanmean(length[:, :2], axis=0),
        *np.nanmean(turn[:, :2], axis=0), np.nanmean(distance), np.nanmin(distance), *map(np.nanmin, sniffs),
        *map(np.nanmean, faces), -np.nanmean(np.diff(distance)),
    ]  # fmt: skip
    return np.nan_to_num(np.array(parts))


def of_event(rows: list[np.ndarray]) -> np.ndarray:
    """Mean and standard deviation over the frames, of several rows side by side."""
    return np.concatenate([part for one in rows for part in (one.mean(axis=0), one.std(axis=0))])


def embedded(method: Method, store: Store, actors: tuple[Actors, ...]) -> np.ndarray:
    return np.stack([of_event([embed_recording(method, one, actors=who) for who in actors]) for one in store])


@torch.no_grad()
def inputs(method: Method, store: Store) -> np.ndarray:
    """The encoder's standardized inputs of the approaching mouse toward the approached one."""
    featurizer = method.get_submodule("featurizer")
    rows = []
    for one in store:
        batch = recording_window(one, 0, one.num_frames)
        places, _ = featurizer.views(batch).of_agent(0, 1)
        rows.append(of_event([featurizer(batch)[0, :, places[0]].numpy()]))
    return np.stack(rows)


def average_precisions(features: np.ndarray, events: dict[str, np.ndarray], seed: int) -> float:
    """Average precision of aggression over all events, from five folds by recording."""
    aggression = events["agg_label"].astype(int)
    recording = np.unique([key.split("|")[1] for key in events["event_key"].tolist()], return_inverse=True)[1]
    score = np.zeros(len(aggression))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(features, aggression, recording):
        inner = list(GroupKFold(4).split(train, groups=recording[train]))
        head = make_pipeline(
            StandardScaler(),
            GridSearchCV(LogisticRegression(max_iter=500), {"C": PENALTIES}, cv=inner, scoring="average_precision"),
        )
        score[test] = head.fit(features[train], aggression[train]).predict_proba(features[test])[:, 1]
    return float(average_precision_score(aggression, score))


def pretrained(store: Path, out: Path, seed: int, steps: int | None) -> Path:
    """Run of the default recipe on a store of events, all units by turns."""
    windows = [part for key in WINDOWS for name, value in LENGTHS.items() for part in (f"--{key}.{name}", value)]
    run("pretrain", store, "--out", out, "--seed", seed, "--validation-share", 0, "--resume",
        "--method.units", "scene,animal,pair", "--data.window_frames", 132, "--data.batch_size", 48,
        "--method.part_frames", 0, *windows, *(["--steps", steps] if steps else []))  # fmt: skip
    return out


def table(events: dict[str, np.ndarray], out: Path, seeds: int, steps: int | None) -> dict[str, list[float]]:
    """Row -> average precision of each seed."""
    stores = {}
    for name, dyads in (("three", False), ("dyads", True)):
        if not (out / name).exists():
            write_store(out / name, recordings(events, dyads))
        stores[name] = Store(out / name)
    file = out / f"rows-{steps or 'default'}.json"
    rows: dict[str, dict[str, float]] = read_json(file, "scores of events") if file.exists() else {}

    def add(name: str, seed: int, make: Callable[[], np.ndarray]) -> None:
        own = rows.setdefault(name, {})
        if str(seed) not in own:
            own[str(seed)] = average_precisions(make(), events, seed)
            write_json(file, rows)
        print(name, seed, f"{own[str(seed)]:.3f}", flush=True)

    hand = np.stack([hand_features(one.keypoints) for one in stores["three"]])
    for seed in range(seeds):
        add("hand features", seed, lambda: hand)
        for trained in stores:
            method = load_checkpoint(pretrained(out / trained, out / f"{trained}-{seed}", seed, steps))
            if trained == "three":
                add("inputs of the pair", seed, lambda method=method: inputs(method, stores["three"]))  # type: ignore[misc]
            for state, encoder in ((f"trained on {trained}", method), (f"{trained}, untrained", method.fresh(seed))):
                for unit, actors in UNITS.items():
                    add(
                        f"{unit}, {state}", seed,
                        lambda encoder=encoder, actors=actors: embedded(encoder, stores["three"], actors),  # type: ignore[misc]
                    )  # fmt: skip
    wanted = [str(seed) for seed in range(seeds)]
    return {name: [own[seed] for seed in wanted] for name, own in rows.items() if {*wanted} <= own.keys()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    with np.load(options.events, allow_pickle=False) as file:
        events = {name: file[name] for name in file}
    options.out.mkdir(parents=True, exist_ok=True)
    rows = table(events, options.out, options.seeds, options.steps)
    print("\n| representation | average precision |\n|---|---|")
    for name, values in rows.items():
        print(f"| {name} | {np.mean(values):.3f} ± {np.std(values):.3f} |")
    print(json.dumps({"benchmark": "quality_three_mice", "seeds": options.seeds, "rows": rows}))


if __name__ == "__main__":
    main()

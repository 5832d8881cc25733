"""Quality of the default recipe, chosen on rats, on three other data sets, compared with their references.

    python benchmarks/quality_other_animals.py --data SHARED_DATA --out DIR [--only two_mice_22 mouse_boxes calms21]
        [--recipe NAME] [--seeds 3] [--steps N] [--bridge 30fps|6hz]

two_mice_22  Two mice with 22 keypoints, 2,632 frames of one video; eight overlapping labels that say which mouse acts,
             so the mice are named. Labels that never occur are left out.
mouse_boxes  Four videos of two mice as boxes of four body parts, whose centers are the keypoints. One video has labels;
             the others only pretrain. A box's column is no identity (it changes in 6 to 13 % of the frames), so boxes
             are linked to the nearest ones of the frame before, the mice are anonymous, and classes that differ only in
             which mouse acts are joined. Classes are scored that have ten positive frames or more in every fold.
calms21      Windows of 13 frames at 6 Hz from CalMS21; the encoder is pretrained on simulated mice alone.
             `--bridge 30fps` interpolates the windows linearly to 30 frames per second, and does the same to the
             simulated tracks, after thinning them to 6 Hz: both have lost the same. `--bridge 6hz` interpolates
             nothing: everything runs at 6 Hz. The middle frame is scored. A window of 3 s or 10 s holds 2 s there.

Neither mouse video states its frame rate. Both are taken for 30 per second: the mice of two_mice_22 move as many body
lengths per frame as CalMS21's at 30 per second (90th percentile .079 and .076), and three of the four videos of boxes
last 15 minutes at that rate. The rate only converts seconds into frames here.

Heads are logistic regressions, one label against the rest, each with the penalty that is best on folds within the
training part.
Folds are contiguous quarters with 2 s beside the test part left out of training; CalMS21's windows are split by group.
Average precision is the mean over the folds that show the label: pooled over folds it would fall below chance, for a
head learns a higher share of a label where its test part shows a lower one. Chance is the share of frames, alike.
"Inputs" are the encoder's inputs, standardized on what it was pretrained on. "Histograms" are the shares of frames
above six quantiles of every input within 1 s before, 1 s after, and 1, 3 and 10 s around. Of their principal components
64 are taken, and as many as the embedding has columns: heads standardize columns, so that of a short recording the many
small components drown the large ones. "Trained" and "untrained" are the learned columns of the embedding.
What DIR holds already is not made again, except probes. The last line of stdout is one JSON object.
"""

import argparse
import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality_rats import run
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold

from probe.references import PCA_DIM
from probe.representations import Frames
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.embedding import embed_recording
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.logistic import Design, fit_head
from ssl_behavior.methods import Method, method_name
from ssl_behavior.metrics import average_precision, macro, summarize
from ssl_behavior.numerics import Standardizer
from ssl_behavior.recording import Labels, Recording, observed_points
from ssl_behavior.skeleton import CALMS21, MOUSE_BOXES, Skeleton, save_skeleton
from ssl_behavior.store import Store, StoreRow, write_store
from ssl_behavior.windows import WindowReader, recording_window

FPS = 30
CALMS21_HZ = 6
GAP_SECONDS = 2.0
NUM_FOLDS = 4
MIN_POSITIVES = 10
STRIDES = {"two_mice_22": 2, "mouse_boxes": 3}
"""Every 2nd or 3rd frame is learned from and scored: neighbors say nearly the same."""
CENTERED_SECONDS = (1.0, 3.0, 10.0)
AROUND = [(seconds / 2, seconds / 2) for seconds in CENTERED_SECONDS]
QUANTILES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3)
"""Of ½‖W‖² beside the mean loss of a frame."""
TOLERANCE = 1e-6

TWO_MICE_22 = Skeleton(
    name="two_mice_22",
    keypoints=(
        "Nose", "Left_ear", "Right_ear", "Center_head", "Left_fhip", "Right_fhip", "Spine_1", "Spine_1-center",
        "Center", "Left_mid", "Right_mid", "Left_bhip", "Right_bhip", "Spine_center-2", "Spine_2", "Spine_2-base",
        "Tail_base", "Tail_1", "Tail_2", "Tail_3", "Tail_4", "Tail_tip",
    ),
    roles={
        "nose": "Nose", "left_ear": "Left_ear", "right_ear": "Right_ear", "head": "Center_head", "neck": "Spine_1",
        "center": "Center", "left_hip": "Left_bhip", "right_hip": "Right_bhip", "tail_base": "Tail_base",
        "tail_middle": "Tail_2", "tail_tip": "Tail_tip",
    },
    edges=(
        ("Nose", "Center_head"), ("Center_head", "Spine_1"), ("Spine_1", "Center"), ("Center", "Spine_2"),
        ("Spine_2", "Tail_base"), ("Tail_base", "Tail_2"), ("Tail_2", "Tail_tip"),
    ),
    mirror_pairs=tuple((f"Left_{part}", f"Right_{part}") for part in ("ear", "fhip", "mid", "bhip")),
    individuals=("individual1", "individual2"),
)  # fmt: skip

BOXES_CLASSES = (
    "nose-nose sniff", "mutual circle", "anogenital 1", "anogenital 2", "body sniff 1", "body sniff 2",
    "following 1", "following 2", "affiliative", "exploration",
)  # fmt: skip
"""The publication's names of the classes 0 to 9; the last is the background."""

Fold = tuple[np.ndarray, np.ndarray]
"""Positions of the training part and of the test part among the scored frames."""


@dataclass(frozen=True)
class Problem:
    """A data set: what the encoder is pretrained on, and the frames that heads are scored on."""

    store: Store
    scored: Store
    frames: Frames
    labels: np.ndarray
    """bool [frames, label]"""
    names: tuple[str, ...]
    folds: list[Fold]

    @property
    def recordings(self) -> list[Recording]:
        return [self.scored.recording(row.id) for row in self.frames.rows]


# --- stores -------------------------------------------------------------------------------------------------------


def two_mice_22(options: argparse.Namespace) -> Problem:
    folder, out = options.data / "two_mice_22", options.out / "two_mice_22"
    if not (out / "store").exists():
        out.mkdir(parents=True, exist_ok=True)
        save_skeleton(TWO_MICE_22, out / "skeleton.toml")
        (file,) = folder.glob("*.h5")
        run("import", file, "--fps", FPS, "--skeleton", out / "skeleton.toml", "--out", out / "store")
    store = Store(out / "store")
    header, *rows = csv.reader((folder / "test1_labels.csv").open(encoding="utf-8"))
    table = np.array(rows, dtype=float)
    assert (table[:, 0] == np.arange(store.num_frames)).all(), "the labels are not those of the tracks' frames"
    labels = table[:, 1:] > 0
    used = labels.any(axis=0)
    names = [name.removesuffix(" active") for name, kept in zip(header[1:], used, strict=True) if kept]
    frames = every_nth(store.rows[0], "two_mice_22")
    return Problem(store, store, frames, frames.take(labels[:, used]), tuple(names), quarters(frames.picks[0]))


def mouse_boxes(options: argparse.Namespace) -> Problem:
    path = options.out / "mouse_boxes" / "store"
    if not path.exists():
        write_store(path, map(boxes_recording, sorted((options.data / "mouse_boxes").glob("*.csv.gz"))))
    store = Store(path)
    row = store.row("A0153_1")
    number = store.labels("behavior")[row.slice]
    classes = np.array([name.rstrip(" 12") for name in store.stream("behavior").vocabulary])[number]
    names = [name for name in dict.fromkeys(classes[np.argsort(number, kind="stable")]) if name != BOXES_CLASSES[-1]]
    labels = np.stack([classes == name for name in names], axis=1)
    enough = (np.stack([part.sum(axis=0) for part in np.array_split(labels, NUM_FOLDS)]) >= MIN_POSITIVES).all(axis=0)
    frames = every_nth(row, "mouse_boxes")
    kept = tuple(name for name, wanted in zip(names, enough, strict=True) if wanted)
    return Problem(store, store, frames, frames.take(labels[:, enough]), kept, quarters(frames.picks[0]))


def every_nth(row: StoreRow, name: str) -> Frames:
    """Frames of one recording, see `STRIDES`."""
    stride = STRIDES[name]
    return Frames((row,), (np.arange(stride // 2, row.frames, stride),))


def boxes_recording(file: Path) -> Recording:
    """A CSV of boxes (left, top, width, height of four parts of two mice, then the class) as a recording."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        _, *rows = csv.reader(text)
    table = np.array([[float(cell or "nan") for cell in row] for row in rows], dtype=np.float32)
    boxes = table[:, 1:-1].reshape(-1, 2, MOUSE_BOXES.num_keypoints, 4)
    number = table[:, -1].astype(np.int16)
    labels = Labels(vocabulary=BOXES_CLASSES, frames=number, background=BOXES_CLASSES[-1])
    return Recording(
        id=file.name.removesuffix(".csv.gz"),
        keypoints=linked(boxes[..., :2] + boxes[..., 2:] / 2),
        fps=FPS,
        skeleton=MOUSE_BOXES,
        labels={"behavior": labels} if (number >= 0).any() else {},
        source=file.name,
        resolution_px=(1920, 1080),
    )


def linked(keypoints: np.ndarray) -> np.ndarray:
    """The two animals of [time, individual, keypoint, space] exchanged wherever that brings all points nearer to where
    they were last seen."""
    seen = observed_points(keypoints)[..., None]
    last = np.maximum.accumulate(np.where(seen, np.arange(len(keypoints))[:, None, None, None], 0), axis=0)
    held = np.take_along_axis(keypoints, last, axis=0)
    stay, swap = (
        np.nansum(np.linalg.norm(held[1:] - before, axis=-1), axis=(1, 2)) for before in (held[:-1], held[:-1, ::-1])
    )
    exchanged = np.cumsum(np.concatenate([[False], swap < stay])) % 2 == 1
    return np.where(exchanged[:, None, None, None], keypoints[:, ::-1], keypoints)


def calms21(options: argparse.Namespace) -> Problem:
    out = options.out / f"calms21-{options.bridge}"
    mice = options.out / "simulated"
    if not mice.exists():
        run("simulate", "--recordings", options.simulated, "--out", mice)
    if not (out / "store").exists():
        write_store(out / "store", (bridged(one, one.keypoints[:: FPS // CALMS21_HZ], options.bridge)
                                    for one in Store(mice)))  # fmt: skip
    with np.load(options.data / "calms21" / "task1_windows_6hz.npz") as arrays:
        windows, label, group = (arrays[name] for name in ("keypoints", "center_label", "group"))
    if not (out / "windows").exists():
        write_store(out / "windows", real_windows(windows.swapaxes(-1, -2), options.bridge))
    scored = Store(out / "windows")
    frames = Frames(tuple(scored.rows), tuple(np.array([row.frames // 2]) for row in scored.rows))
    names = ("investigation", "mount")
    labels = np.stack([label == name for name in names], axis=1)
    folds = list(GroupKFold(NUM_FOLDS).split(labels, groups=group))
    return Problem(Store(out / "store"), scored, frames, labels, names, folds)


def real_windows(windows: np.ndarray, bridge: str) -> Iterator[Recording]:
    for number, keypoints in enumerate(windows):
        whole = Recording(id=f"{number:04d}", keypoints=keypoints, fps=CALMS21_HZ, skeleton=CALMS21)
        yield bridged(whole, keypoints, bridge)


def bridged(recording: Recording, keypoints: np.ndarray, bridge: str) -> Recording:
    """The recording with tracks at 6 Hz, or with these interpolated to 30 frames per second; without labels."""
    if bridge == "30fps":
        keypoints, fps = interpolated(keypoints, FPS // CALMS21_HZ), FPS
    else:
        fps = CALMS21_HZ
    return replace(recording, keypoints=keypoints, fps=fps, confidence=None, labels={})


def interpolated(keypoints: np.ndarray, factor: int) -> np.ndarray:
    """Linear interpolation along the time: `factor` steps for each one, (time - 1) * factor + 1 frames."""
    place = np.arange((len(keypoints) - 1) * factor + 1) / factor
    before = np.minimum(place.astype(int), len(keypoints) - 2)
    weight = (place - before).astype(np.float32)[:, None, None, None]
    return keypoints[before] * (1 - weight) + keypoints[before + 1] * weight


def quarters(frame: np.ndarray) -> list[Fold]:
    """Contiguous folds of rising frame numbers; what is within the gap beside the test part is in neither."""
    positions, gap = np.arange(len(frame)), GAP_SECONDS * FPS
    return [
        (positions[(frame < frame[test[0]] - gap) | (frame > frame[test[-1]] + gap)], test)
        for test in np.array_split(positions, NUM_FOLDS)
    ]


# --- representations ----------------------------------------------------------------------------------------------


def embedded(method: Method, problem: Problem) -> np.ndarray:
    """The learned columns of the embedding at the scored frames."""
    whole = zip(problem.recordings, problem.frames.picks, strict=True)
    parts = [method.learned(torch.from_numpy(embed_recording(method, one)[pick])) for one, pick in whole]
    return torch.cat(parts).numpy()


@torch.no_grad()
def encoder_inputs(method: Method, problem: Problem) -> list[np.ndarray]:
    """What the encoder sees, [time, channel] of each scored recording.

    The two points of view are side by side; of anonymous animals, their mean and their maximum, as in the encoder.
    """
    store = problem.store
    config = getattr(method.config, "features", FeatureConfig())
    featurizer = Featurizer(config, store.skeleton).fit(WindowReader([(store, row) for row in store.rows], 1))

    def joined(views: torch.Tensor) -> torch.Tensor:
        if store.skeleton.exchangeable:
            return torch.cat([views.mean(dim=1), views.amax(dim=1)], dim=1)
        return views.flatten(1)

    whole = (recording_window(one, 0, one.num_frames) for one in problem.recordings)
    return [joined(featurizer(batch)[0]).numpy() for batch in whole]


def window_means(values: np.ndarray, frames: np.ndarray, before: int, after: int) -> np.ndarray:
    """Means of [time, channel] over frame - before .. frame + after, where they exist: float32 [frames, channel]."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    start, stop = np.maximum(frames - before, 0), np.minimum(frames + after + 1, len(values))
    return ((total[stop] - total[start]) / (stop - start)[:, None]).astype(np.float32)


def windowed(inputs: Sequence[np.ndarray], problem: Problem, seconds: Sequence[tuple[float, float]]) -> np.ndarray:
    """Means of the inputs at the scored frames over each (seconds before, seconds after), side by side."""
    fps = problem.scored.rows[0].fps
    sides = [(round(before * fps), round(after * fps)) for before, after in seconds]
    parts = [
        np.concatenate([window_means(values, pick, *side) for side in sides], axis=1)
        for values, pick in zip(inputs, problem.frames.picks, strict=True)
    ]
    return np.concatenate(parts)


def histograms(inputs: Sequence[np.ndarray], problem: Problem) -> np.ndarray:
    """Shares of frames above each quantile of every input in each window."""
    thresholds = np.quantile(np.concatenate(inputs), QUANTILES, axis=0)
    sides = [(1.0, 0.0), (0.0, 1.0), *AROUND]
    return np.concatenate(
        [windowed([values > threshold for values in inputs], problem, sides) for threshold in thresholds], axis=1
    )


def components(values: np.ndarray, fold: Fold, width: int) -> np.ndarray:
    """Principal components of the fold's training part, of all frames."""
    width = min(width, len(fold[0]), values.shape[1])
    pca = PCA(width, svd_solver="randomized", random_state=0).fit(values[fold[0]])
    return pca.transform(values)


# --- heads --------------------------------------------------------------------------------------------------------


def predictions(values: torch.Tensor, target: torch.Tensor, fold: Fold) -> np.ndarray:
    """Probabilities [penalty, test frame, label]; 0 for a label that the training part does not show."""
    train, test = (torch.from_numpy(part) for part in fold)
    learned = target[train].any(dim=0)
    scaling = Standardizer.fit(values[train])
    design = Design(
        scaling.transform_(values[train]), target[train][:, learned].to(torch.int8), "binary", balanced=False
    )
    held_out, head = scaling.transform_(values[test]), None
    found = np.zeros((len(PENALTIES), len(test), target.shape[1]), dtype=np.float32)
    for number, penalty in enumerate(PENALTIES):
        head = fit_head(design, penalty, head, tolerance=TOLERANCE)
        found[number][:, learned.numpy()] = head.probabilities(held_out).numpy()
    return found


def precisions(labels: np.ndarray, probability: np.ndarray) -> list[float | None]:
    """Average precision of every label, None where there is no positive frame."""
    return [average_precision(*columns) for columns in zip(labels.T, probability.T, strict=True)]


def chosen_penalties(values: torch.Tensor, target: torch.Tensor, folds: Sequence[Fold], number: int) -> np.ndarray:
    """Position of each label's best penalty, on the other folds within the training part of fold `number`.

    The strongest penalty where these show no positive frame.
    """
    train = folds[number][0]
    inner = [
        (np.intersect1d(train, other), np.intersect1d(train, test))
        for place, (other, test) in enumerate(folds)
        if place != number
    ]
    tried = [
        [precisions(target[fold[1]].numpy(), one) for one in predictions(values, target, fold)] for fold in inner
    ]  # fmt: skip
    return np.array([over_folds(found) for found in zip(*tried, strict=True)], dtype=float).argmax(axis=0)


def over_folds(found: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The mean of every label over the folds [fold, label] that show it."""
    return [macro(values) for values in zip(*found, strict=True)]


def scores(problem: Problem, values_of: Callable[[int], np.ndarray]) -> list[float | None]:
    """Average precision of every label, the mean over the folds.

    Parameters
    ----------
    values_of : from the number of a fold to the representation [frames, column], which may be fitted on its training
        part.
    """
    target, found = torch.from_numpy(problem.labels), []
    for number, fold in enumerate(problem.folds):
        values = torch.from_numpy(values_of(number))
        chosen = chosen_penalties(values, target, problem.folds, number)
        probability = predictions(values, target, fold)[chosen, :, np.arange(len(chosen))].T
        found.append(precisions(problem.labels[fold[1]], probability))
    return over_folds(found)


def chance(problem: Problem) -> list[float | None]:
    """The share of frames of every label, the mean over the folds that show it."""
    shares = [problem.labels[test].mean(axis=0) for _, test in problem.folds]
    return over_folds([[share or None for share in one.tolist()] for one in shares])


# --- results ------------------------------------------------------------------------------------------------------


def row(name: str, problem: Problem, dim: int, found: Sequence[Sequence[float | None]]) -> dict[str, Any]:
    """Mean and population standard deviation over the seeds of each label and of their mean."""
    columns = [*zip(*found, strict=True), [macro(values) for values in found]]
    summaries = zip([*problem.names, "mean"], map(summarize, columns), strict=True)
    return {"representation": name, "columns": dim, "AP": {key: (one.mean, one.std) for key, one in summaries}}


def reference_rows(method: Method, problem: Problem) -> Iterator[dict[str, Any]]:
    yield row("chance: share of frames", problem, 0, [chance(problem)])
    inputs = encoder_inputs(method, problem)
    now = windowed(inputs, problem, [(0.0, 0.0)])
    yield row("inputs now", problem, now.shape[1], [scores(problem, lambda _: now)])
    means = windowed(inputs, problem, AROUND)
    yield row("inputs, means over 1, 3, 10 s", problem, means.shape[1], [scores(problem, lambda _: means)])
    shares = histograms(inputs, problem)
    projected = [components(shares, fold, method.learned_dim) for fold in problem.folds]
    for width in (PCA_DIM, method.learned_dim):
        found = scores(problem, lambda fold, width=width: projected[fold][:, :width])
        yield row(f"PCA-{width} of histograms", problem, width, [found])


def results(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Pretrain, embed and probe one data set."""
    problem = PROBLEMS[name](options)
    recipe = ["--recipe", options.recipe] if options.recipe else []
    steps = ["--steps", options.steps] if options.steps else []
    methods = []
    for seed in range(options.seeds):
        out = problem.store.path.parent / f"{options.recipe or 'default'}-{seed}"
        run("pretrain", problem.store.path, "--out", out, *recipe, "--seed", seed,
            "--validation-share", 0, "--resume", *steps)  # fmt: skip
        methods.append(load_checkpoint(out))
    rows = list(reference_rows(methods[0], problem))
    untrained = [method.fresh(seed) for seed, method in enumerate(methods)]
    for title, encoders in (("untrained encoder", untrained), ("trained encoder", methods)):
        arrays = [embedded(method, problem) for method in encoders]
        found = [scores(problem, lambda _, array=array: array) for array in arrays]
        rows.append(row(title, problem, arrays[0].shape[1], found))
    return {
        "method": method_name(methods[0].config),
        "scored_frames": len(problem.labels),
        "positive_frames": dict(zip(problem.names, problem.labels.sum(axis=0).tolist(), strict=True)),
        "rows": rows,
    }


def markdown(name: str, result: dict[str, Any]) -> str:
    """A table of average precision: one row for each representation, one column for each label."""
    names = list(result["rows"][0]["AP"])
    lines = [
        f"{name}: average precision, {result['scored_frames']:,} frames, {result['method']}",
        "",
        "| " + " | ".join(["representation", "columns", *names]) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for one in result["rows"]:
        cells = [f"{mean:.3f}" + (f" ± {std:.3f}" if std else "") for mean, std in one["AP"].values()]
        lines.append("| " + " | ".join([one["representation"], str(one["columns"] or ""), *cells]) + " |")
    return "\n".join([*lines, ""])


PROBLEMS: dict[str, Callable[[argparse.Namespace], Problem]] = {
    problem.__name__: problem for problem in (two_mice_22, mouse_boxes, calms21)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets' folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--recipe", help="the package's default recipe if it is not named")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="the recipe's own number by default")
    parser.add_argument("--bridge", default="30fps", choices=["30fps", "6hz"], help="between 6 Hz and 30 per second")
    parser.add_argument("--simulated", type=int, default=20, metavar="N", help="recordings of simulated mice")
    options = parser.parse_args()
    summary: dict[str, Any] = {
        "benchmark": "quality_other_animals",
        "recipe": options.recipe or "default",
        "steps": options.steps,
        "seeds": options.seeds,
        "bridge": options.bridge,
    }
    for name in options.only:
        summary[name] = results(name, options)
        print(markdown(name, summary[name]), flush=True)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

"""Disk cache of predictions, so that an interrupted benchmark resumes and ensembles need no new training.

A folder holds `predictions.json` and one `.npy` [frames, classes] for each kind of probability, with the evaluated
recordings concatenated in the order of `predictions.json`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probe.calms21.systems.base import Problem, System, labels_digest
from probe.calms21.systems.system_runs import PostprocessingConfig, run_system
from probe.experiment import Predictions
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.splits import Split
from ssl_behavior.store import StoreRow

__all__ = ["Identity", "cached_predictions", "identity_of", "load_predictions", "save_predictions"]

FORMAT_VERSION = 1
CONTENTS = "predictions.json"
DTYPES = ("float32", "float16")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """All inputs of predictions, JSON-ready: the key of the cache.

    Labels of the evaluated recordings are not among them, because predictions do not depend on them.

    Parameters
    ----------
    store : fingerprint of the tracks.
    labels : SHA-256 of the training recordings' labels.
    task, steer, system, after : the task, the classes whose mean selects settings, the system, and its postprocessing.
        These names are keys of the file format.
    train, evaluate : recording ids.
    """

    store: str
    labels: str
    task: Mapping[str, Any]
    steer: Sequence[str]
    train: Sequence[str]
    evaluate: Sequence[str]
    system: Mapping[str, Any]
    after: Mapping[str, Any]
    seed: int

    @property
    def digest(self) -> str:
        """SHA-256 of all inputs."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def identity_of(
    system: System, problem: Problem, split: Split, seed: int, postprocessing: PostprocessingConfig
) -> Identity:
    """The identity of the predictions of `run_system` with these arguments."""
    identity = Identity(
        store=problem.store.fingerprint(),
        labels=labels_digest(problem, split.train),
        task=problem.task.to_dict(),
        steer=list(problem.selection.classes),
        train=[row.id for row in split.train],
        evaluate=[row.id for row in split.evaluate],
        system={"name": system.name, **system.settings},
        after=postprocessing.to_dict(),
        seed=seed,
    )
    # The JSON round trip turns tuples into lists, as in the file.
    return Identity(**json.loads(json.dumps(asdict(identity))))


def save_predictions(
    folder: Path, predictions: Predictions, identity: Identity, rows: Sequence[StoreRow], dtype: str = "float32"
) -> None:
    """Write predictions without linear heads; the folder exists whole or not at all.

    Parameters
    ----------
    rows : the evaluated recordings, in the order of the probabilities.
    dtype : "float32", or "float16" in half the space, with ties among the most confident frames.

    Raises
    ------
    InputError
        If the folder exists, or the dtype is another one.
    """
    if dtype not in DTYPES:
        raise InputError(f"predictions are kept as one of {list(DTYPES)}, got {dtype!r}")
    arrays = {**_named("probability", predictions.probability), **_named("treated", predictions.postprocessed)}
    with atomic_folder(Path(folder)) as partial:
        for name, (_, _, values) in arrays.items():
            np.save(partial / f"{name}.npy", values.astype(dtype))
        contents = {
            "format": "ssl-behavior predictions",
            "version": FORMAT_VERSION,
            "identity": asdict(identity),
            "digest": identity.digest,
            "recordings": [{"id": row.id, "frames": row.frames, "fps": row.fps} for row in rows],
            "classes": list(identity.task["classes"]),
            "arrays": {name: [group, key] for name, (group, key, _) in arrays.items()},
            "settings": {fit: list(values) for fit, values in predictions.settings.items()},
            "windows": {use: list(values) for use, values in predictions.windows.items()},
            "weights": list(predictions.weights),
            "num_train_frames": predictions.num_train_frames,
            "facts": dict(predictions.facts),
        }
        write_json(partial / CONTENTS, contents)


def _named(group: str, probability: Mapping[str, np.ndarray]) -> dict[str, tuple[str, str, np.ndarray]]:
    """File name -> group, key, values."""
    return {f"{group}-{key.replace(' ', '-')}": (group, key, values) for key, values in probability.items()}


def load_predictions(folder: Path, identity: Identity | None = None) -> Predictions:
    """The predictions that `save_predictions` wrote, in float32.

    Parameters
    ----------
    identity : the required identity; None = any.

    Raises
    ------
    InputError
        If the folder holds no predictions, is damaged, or its predictions have another identity.
    """
    folder = Path(folder)
    contents = read_contents(folder, CONTENTS, "predictions", FORMAT_VERSION, ", or predict again", "predictions")
    if identity is not None and contents.get("digest") != identity.digest:
        raise InputError(
            f"{folder} holds predictions of other settings ({_differences(contents, identity)}): choose another folder"
        )
    try:
        groups: dict[str, dict[str, np.ndarray]] = {"probability": {}, "treated": {}}
        num_frames = sum(one["frames"] for one in contents["recordings"])
        for name, (group, key) in contents["arrays"].items():
            groups[group][key] = _read(folder / f"{name}.npy", (num_frames, len(contents["classes"])))
        return Predictions(
            probability=groups["probability"],
            postprocessed=groups["treated"],
            settings={fit: tuple(values) for fit, values in contents["settings"].items()},
            windows={use: tuple(values) for use, values in contents["windows"].items()},
            heads={},
            num_train_frames=contents["num_train_frames"],
            weights=tuple(contents["weights"]),
            facts=contents["facts"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} is damaged ({error}): remove it, and predict again") from None


def _differences(contents: Mapping[str, Any], identity: Identity) -> str:
    found, wanted = contents.get("identity", {}), asdict(identity)
    return "different " + ", ".join(name for name, value in wanted.items() if found.get(name) != value)


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
    values = np.load(path, allow_pickle=False)
    if values.shape != shape:
        raise ValueError(f"{path.name} should have shape {list(shape)}, it has {list(values.shape)}")
    return values.astype(np.float32)


def cached_predictions(
    root: Path,
    system: System,
    problem: Problem,
    split: Split,
    seed: int,
    postprocessing: PostprocessingConfig | None = None,
    advance: Callable[[int], None] | None = None,
    on_lookup: Callable[[bool], None] = lambda found: None,
) -> Predictions:
    """Predictions of `run_system`, cached under `root` in one folder per identity.

    Parameters
    ----------
    on_lookup : called first, with True if the predictions are cached.

    Raises
    ------
    InputError
        If cached predictions are damaged, or training fails.
    """
    postprocessing = postprocessing or PostprocessingConfig()
    identity = identity_of(system, problem, split, seed, postprocessing)
    folder = Path(root) / identity.digest[:32]
    found = (folder / CONTENTS).exists()
    on_lookup(found)
    if not found:
        predictions = run_system(system, problem, split, seed, postprocessing, advance)
        save_predictions(folder, predictions, identity, split.evaluate)
    return load_predictions(folder, identity)

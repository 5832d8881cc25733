"""Small files of every format, written from scratch."""

import json
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

RAT_PARTS = ("top", "body", "tail", "tail-m", "tail-e")
TITLE = "Caltech Behavior Annotator - Annotation File"


def calms21_sequence(num_frames=11, seed=0, labels=None, annotator=0, vocab=None, scores=True):
    rng = np.random.default_rng(seed)
    values = {"keypoints": (rng.random((num_frames, 2, 2, 7)) * 500).round(3)}
    if scores:
        values["scores"] = rng.random((num_frames, 2, 7)).round(3)
    if labels is not None:
        values["annotations"] = np.asarray(labels)
        values["metadata"] = {
            "annotator-id": annotator,
            "vocab": vocab or {"attack": 0, "investigation": 1, "mount": 2, "other": 3},
        }
    return values


def as_lists(value):
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def write_calms21_json(path, contents):
    path.write_text(json.dumps(as_lists(contents), separators=(",", ":")))
    return path


def write_npy(path, contents, protocol=4):
    """As numpy.save(allow_pickle=True) writes a dictionary."""
    array = np.array(contents, dtype=object)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(array, file, protocol=protocol)
    return path


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def dlc_rows(individuals, parts, coords=("x", "y", "likelihood"), scorer="DLC_net"):
    columns = [(a, p, c) for a in individuals for p in parts for c in coords]
    rows = [["scorer", *[scorer] * len(columns)]]
    if individuals != ("",):
        rows.append(["individuals", *(c[0] for c in columns)])
    return [*rows, ["bodyparts", *(c[1] for c in columns)], ["coords", *(c[2] for c in columns)]]


def dlc_csv_text(values, individuals=("a", "b"), parts=RAT_PARTS, start=0, newline="\n"):
    """`values` [time, individual, keypoint, (x, y, likelihood)]; NaN is written as an empty cell."""
    lines = [",".join(row) for row in dlc_rows(individuals, parts)]
    for number, row in enumerate(values.reshape(len(values), -1), start=start):
        lines.append(",".join([str(number), *("" if np.isnan(v) else repr(float(v)) for v in row)]))
    return newline.join(lines) + newline


def write_dlc_csv(path, values, **kwargs):
    path.write_bytes(dlc_csv_text(values, **kwargs).encode())
    return path


def _columns(individuals, parts):
    return list(zip(*(row[1:] for row in dlc_rows(individuals, parts)), strict=True))


def write_dlc_h5_fixed(path, values, individuals=("a", "b"), parts=RAT_PARTS, start=0):
    names = _columns(individuals, parts)
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update({"pandas_type": b"frame", "nblocks": 1, "block0_items_nlevels": len(names[0])})
        for level, words in enumerate(zip(*names, strict=True)):
            unique = sorted(set(words))
            group[f"block0_items_level{level}"] = np.array(unique, dtype="S")
            group[f"block0_items_label{level}"] = np.array([unique.index(w) for w in words], dtype=np.int8)
        group["axis1"] = np.arange(start, start + len(values))
        group["block0_values"] = values.reshape(len(values), -1)
    return path


def write_dlc_h5_table(path, values, individuals=("a", "b"), parts=RAT_PARTS, start=0):
    names = _columns(individuals, parts)
    flat = values.reshape(len(values), -1)
    table = np.zeros(len(values), dtype=[("index", "<i8"), ("values_block_0", "<f8", (flat.shape[1],))])
    table["index"], table["values_block_0"] = np.arange(start, start + len(values)), flat
    with h5py.File(path, "w") as file:
        group = file.create_group("tracks")
        group.attrs["pandas_type"] = b"frame_table"
        group["table"] = table
        group["table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(names, protocol=0))
    return path


def caltech_text(streams, behaviors=("base", "aggression", "social", "other"), newline="\r\n"):
    lines = [TITLE, "", "Configuration file:"]
    lines += [f"{name}\t{chr(97 + i)}" for i, name in enumerate(behaviors)]
    for stream, intervals in streams.items():
        lines += ["", f"{stream}:\tstart\tend\ttype", "-" * 29]
        lines += [f"   \t{first}\t{last}\t{name}" for first, last, name in intervals]
    return newline.join([*lines, "  ", ""])


def tracks(num_frames=13, num_individuals=2, num_keypoints=5, seed=0):
    """Smooth walks in float64 [time, individual, keypoint, (x, y, likelihood)]."""
    rng = np.random.default_rng(seed)
    center = 300 + np.cumsum(rng.normal(size=(num_frames, num_individuals, 1, 2)), axis=0)
    body = center + rng.normal(size=(1, num_individuals, num_keypoints, 2)) * 40
    return np.concatenate([body, rng.uniform(0.5, 1, (*body.shape[:3], 1))], axis=-1).round(3)


@pytest.fixture
def make():
    """Everything above, as one namespace."""
    return SimpleNamespace(**{k: v for k, v in globals().items() if callable(v) and not k.startswith("_")})


@pytest.fixture(scope="session")
def excerpt(real_data) -> Path:
    return real_data / "calms21" / "calms21_task1_excerpt.json"

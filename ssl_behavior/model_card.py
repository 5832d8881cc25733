"""Model card of an encoder: what it reads and gives, how it was trained, what it is for and what it is not for."""

import re
from collections.abc import Mapping
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.methods import Method
from ssl_behavior.terminal import counted

__all__ = ["model_card"]

_LIBRARY = "ssl-behavior"
_USE = (
    "Frozen features for linear classifiers, nearest neighbors and clusters of behavior, in recordings of the same "
    "keypoints, animals and frame rate. Check a probe on labeled recordings of your own before you rely on it."
)
_LIMITS = (
    "Other species, keypoints, camera views and frame rates are other data than it was trained on. Identity swaps of "
    "the tracker become part of the embedding. An embedding describes what is seen in the tracks; it does not measure "
    "emotion or intent."
)


def model_card(
    method: Method,
    groups: Mapping[str, int],
    origin: Mapping[str, Any],
    license: str = "",
    description: str = "",
    name: str = "encoder",
) -> str:
    """Markdown with a YAML header as model hubs read it.

    Parameters
    ----------
    groups : column groups of the embedding: name -> number of columns.
    origin : `config.json` of the checkpoint: method, versions, and in `extra` the steps, scores on validation and the
        fingerprint of the training data; empty if unknown.
    license : license of the weights, such as "cc-by-4.0"; "" = not stated.
    description : what the animals were and did, and where the recordings come from.
    name : of the folder, for the example.

    Raises
    ------
    InputError
        If the license is no identifier.
    """
    if not isinstance(license, str) or (license and not re.fullmatch(r"[\w.+-]+", license)):
        raise InputError(f"`license` must be an identifier such as cc-by-4.0 or mit, got {license!r}")
    header = ["---", f"library_name: {_LIBRARY}", *([f"license: {license}"] if license else [])]
    header += ["tags:", "- animal-behavior", "- pose", "- self-supervised", "---"]
    sections = {
        f"Encoder of behavior: {origin.get('method', 'unknown method')}": description or _summary(groups),
        "Input": _input(method),
        "Output": _output(method, groups),
        "Training": _training(origin),
        "Intended use": _USE,
        "Limits": _LIMITS,
        "License": license or "Not stated by those who saved it: ask them before you share or publish the weights.",
        "Use": f'```python\nimport ssl_behavior\n\nencoder = ssl_behavior.Encoder.from_pretrained("{name}")\n'
        f'embeddings = encoder.transform(ssl_behavior.Store("store"))\n```',
    }
    title, *others = sections.items()
    body = [f"# {title[0]}", title[1], *(part for heading, text in others for part in (f"## {heading}", text))]
    return "\n".join(header) + "\n\n" + "\n\n".join(body) + "\n"


def _summary(groups: Mapping[str, int]) -> str:
    size = counted(sum(groups.values()), "number")
    return f"An encoder of pose tracks: one row of {size} for every frame."


def _input(method: Method) -> str:
    skeleton, (before, after) = method.skeleton, method.receptive_field
    animals = "anonymous, in any number" if skeleton.exchangeable else f"told apart: {', '.join(skeleton.individuals)}"
    if method.num_animals is not None:
        animals = f"{method.num_animals}: {', '.join(skeleton.individuals)}"
    rows = {
        "Keypoints": ", ".join(skeleton.keypoints),
        "Animals": animals,
        "Frames per second": f"{method.fps:g}",
        "Context": f"{before:,} frames before and {after:,} after each frame",
        "Missing points": "NaN; nothing needs to be filled in",
    }
    return _table(rows)


def _output(method: Method, groups: Mapping[str, int]) -> str:
    units = {"scene": "of the scene", "animal": "of each animal", "pair": "of each ordered pair of animals"}
    rows = "one for every frame: " + ", or ".join(units[unit] for unit in method.units)
    return _table({"Columns": ", ".join(f"{group} ({width})" for group, width in groups.items()), "Rows": rows})


def _training(origin: Mapping[str, Any]) -> str:
    extra: Mapping[str, Any] = origin.get("extra", {})
    # Parts of a loss, such as one for each horizon, have a slash in their names.
    scores = {
        f"Validation: {key.replace('_', ' ')}": "undefined" if value is None else f"{value:.4g}"
        for key, value in (extra.get("validation") or {}).items()
        if "/" not in key or key.startswith(("ap/", "f1/"))
    }
    versions = ", ".join(f"{name} {version}" for name, version in origin.get("versions", {}).items())
    rows = {
        "Method": str(origin.get("method", "unknown")),
        "Steps": f"{extra['step']:,}" if "step" in extra else "unknown",
        **scores,
        "Fingerprint of the training data": str(extra.get("data_fingerprint", "unknown")),
        "Versions": versions or "unknown",
    }
    return _table(rows) + "\n\nSettings of the network are in `config.json`."


def _table(rows: Mapping[str, str]) -> str:
    # A name of a keypoint may hold what ends a cell.
    cells = [[" ".join(text.replace("|", "\\|").split()) for text in row] for row in rows.items()]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in cells)])

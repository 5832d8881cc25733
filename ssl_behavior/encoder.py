"""Python interface to a trained encoder: `load` and `Encoder`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.embedding import Embeddings, embed_recording, embed_store, with_kept_groups
from ssl_behavior.methods import Method
from ssl_behavior.recording import Recording
from ssl_behavior.store import Store

__all__ = ["Encoder", "load"]


class Encoder:
    """A frozen encoder: recordings in, one embedding per frame out.

    Attributes
    ----------
    method : the network, in eval mode.
    groups : column groups of the embedding: name -> number of columns.

    Parameters
    ----------
    without : names or globs of column groups to leave out, e.g. ("features_*", "time") for learned columns alone.
    only : names or globs of column groups to keep, also of groups that are off by default, e.g. ("summary", "time").
    """

    def __init__(
        self, method: Method, device: str = "auto", without: Sequence[str] = (), only: Sequence[str] = ()
    ) -> None:
        self._chosen: dict[str, Any] = {"without": tuple(without), "only": tuple(only)}
        method, self.groups = with_kept_groups(method, without, only)
        self.method = method.to(choose_device(device)).eval()

    @property
    def dim(self) -> int:
        """Columns of an embedding."""
        return sum(self.groups.values())

    def embed(self, recording: Recording) -> np.ndarray:
        """Embedding of a recording: float32 [frames, dim], one row per frame.

        Raises
        ------
        InputError
            If keypoints, animals or frame rate are not those the encoder was made for.
        """
        return embed_recording(self.method, recording, **self._chosen)

    def embed_store(self, store: Store, out: str | Path, **options: Any) -> Embeddings:
        """Embed a store into a folder, in bounded memory; see `ssl_behavior.embedding.embed_store`."""
        return embed_store(self.method, store, out, **self._chosen | options)


def load(
    path: str | Path, device: str = "auto", best: bool = True, without: Sequence[str] = (), only: Sequence[str] = ()
) -> Encoder:
    """Load the encoder of a run or checkpoint folder; of a run, the best on validation, or with best=False the newest.

    `without` and `only` choose groups of columns, see `Encoder`.

    Raises
    ------
    InputError
        If there is no checkpoint, it is damaged, or it has no such columns.
    """
    return Encoder(load_checkpoint(path, best=best), device, without, only)

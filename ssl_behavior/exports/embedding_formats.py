"""The table of formats that embeddings are written in, by the ending of the file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ssl_behavior.embedding import EmbeddingRow, Embeddings, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.exports.columns import FrameColumn
from ssl_behavior.exports.frames import FRAME, RECORDING, SECONDS, ExportedFrames
from ssl_behavior.exports.h5ad import write_h5ad
from ssl_behavior.exports.npy import sidecar_of, write_npy
from ssl_behavior.exports.parquet import write_parquet
from ssl_behavior.files import check_free

__all__ = ["EMBEDDING_FORMATS", "EmbeddingFormat", "export_embeddings"]

Progress = Callable[[int], None]


@dataclass(frozen=True)
class EmbeddingFormat:
    """A format of embedding tables.

    Parameters
    ----------
    ending : of the file's name.
    write : writes frames to a path, telling how many it has written since the last time.
    words : whether it can hold words, such as labels, beside the numbers.
    module, extra : what has to be installed, and how it is called in `pip install 'ssl-behavior[extra]'`.
    """

    ending: str
    write: Callable[[Path, ExportedFrames, Progress], None]
    words: bool = True
    module: str = "numpy"
    extra: str = ""


EMBEDDING_FORMATS: dict[str, EmbeddingFormat] = {
    format.ending: format
    for format in (
        EmbeddingFormat(".npy", write_npy, words=False),
        EmbeddingFormat(".parquet", write_parquet, module="pyarrow", extra="store"),
        EmbeddingFormat(".h5ad", write_h5ad),
    )
}


def export_embeddings(
    embeddings: Embeddings,
    out: Path,
    *,
    rows: Sequence[EmbeddingRow] | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    columns: Sequence[FrameColumn] = (),
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> ExportedFrames:
    """Write a row per frame, recording after recording, in the memory of a block; whole or not at all.

    Parameters
    ----------
    rows : these recordings; None = all.
    only, without : column groups, see `kept_groups`.
    columns : what else is known of every frame.

    Raises
    ------
    InputError
        If `out` exists or has an unknown ending, a library is missing, two columns have one name, the format cannot
        hold what is asked for, or the disk is full.
    """
    format = _format_of(out)
    if columns and not format.words:
        names = ", ".join(column.name for column in columns)
        raise InputError(f"{out}: a {format.ending} file holds numbers alone, and no {names}; choose another ending")
    for path in (out, sidecar_of(out)) if format.ending == ".npy" else (out,):
        if path.resolve().parent == embeddings.path.resolve():
            raise InputError(f"{path} would lie among the embeddings that are exported: choose another --out")
        check_free(path, overwrite)
        if path.is_dir():
            raise InputError(f"{path} is a folder, so --overwrite leaves it alone: choose another --out")
    kept = kept_groups(embeddings.groups, without, only)
    frames = ExportedFrames(embeddings, list(embeddings.rows if rows is None else rows), kept, tuple(columns))
    _check_names(frames.names, [column.name for column in columns])
    format.write(out, frames, progress)
    return frames


def _format_of(out: Path) -> EmbeddingFormat:
    format = EMBEDDING_FORMATS.get(out.suffix.lower())
    if format is None:
        raise InputError(f"{out}: embeddings are written to files that end in {', '.join(EMBEDDING_FORMATS)}")
    if find_spec(format.module) is None:
        raise InputError(f"{format.ending} files need {format.module}: pip install 'ssl-behavior[{format.extra}]'")
    return format


def _check_names(numbers: Sequence[str], words: Sequence[str]) -> None:
    names = [RECORDING, FRAME, SECONDS, *words, *numbers]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two columns would be called {name!r}; leave one out (--streams, --groups, --without)")

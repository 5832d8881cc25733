"""Writing the 0/1 columns that SimBA takes as targets: a line per frame, a column per behaviour.

SimBA's `csv/targets_inserted/VIDEO.csv` holds a video's features and, after them, a column of 0 and 1 for each
classifier. Such columns come into it from a table without features, the one that DeepEthogram writes: frame numbers
from 0 in a first column without a name, a column "background" that is 1 where all others are 0, then the behaviours.
"""

from collections.abc import Sequence

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated import AnnotatedRecording, streams_of, told_apart
from ssl_behavior.recording import StreamFacts

__all__ = ["check_simba", "simba_csv"]

_BACKGROUND = "background"


def check_simba(streams: Sequence[StreamFacts]) -> None:
    """Refuse behaviours whose names cannot be columns of the table.

    Raises
    ------
    InputError
        Naming the behaviour.
    """
    for (_, behavior), name in told_apart(streams).items():
        if name == _BACKGROUND or not name.isprintable() or any(sign in name for sign in ',"') or name != name.strip():
            raise InputError(
                f"behaviour {behavior!r} cannot be a column for SimBA: it must be printable, without commas and "
                f"quotes, and not called {_BACKGROUND!r}; rename it, or choose another --format"
            )


def simba_csv(recording: AnnotatedRecording) -> str:
    """The table of one recording; a frame that is not annotated counts as background.

    Raises
    ------
    InputError
        See `check_simba`.
    """
    streams = streams_of([recording])
    check_simba(streams)
    shown = [recording.labels[stream.name].frames == number for stream in streams for number in stream.foreground]
    columns = np.array(shown, dtype=np.int8).reshape(len(shown), recording.num_frames)
    table = np.vstack([~columns.any(axis=0), columns]).astype(np.int8)
    kinds, kind = np.unique(table, axis=1, return_inverse=True)
    lines = [",".join(map(str, one)) for one in kinds.T.tolist()]
    header = ",".join(["", _BACKGROUND, *told_apart(streams).values()])
    return "\n".join([header, *(f"{frame},{lines[one]}" for frame, one in enumerate(kind.ravel().tolist())), ""])

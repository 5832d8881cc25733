"""The verb `resample`: the recordings of a store at another frame rate, as a new store."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl_behavior.recording import Recording
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import Progress

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the verb; 0 on success.

    Raises
    ------
    InputError
        For every user error.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.files import check_free
    from ssl_behavior.io.import_report import about_removed_bouts
    from ssl_behavior.recording import check_rate
    from ssl_behavior.store import Store, create_store
    from ssl_behavior.terminal import counted, echo, make_console, progress_bars

    check_rate(options.fps)
    store = Store(options.store)
    check_free(options.out, options.overwrite, "store.json")
    _check_apart(store, options.out)
    _check_needed(store, options.fps)
    console = make_console()
    notices: Counter[str] = Counter()
    removed: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
    with (
        progress_bars(console, transient=True) as progress,
        create_store(options.out, store.skeleton, store.individuals, options.overwrite) as writer,
    ):
        for recording in _resampled(store, options.fps, notices, removed, progress):
            writer.append(recording)
    for sentence in about_removed_bouts(removed):
        echo(console, f"  - {sentence}")
    for notice, count in notices.items():
        echo(console, f"  - {counted(count, 'recording')}: {notice}")
    echo(console, f"{options.out}: {counted(writer.num_frames, 'frame')} at {options.fps:.6g} per second")
    return 0


def _check_apart(store: "Store", out: Path) -> None:
    from ssl_behavior.errors import InputError

    source, target = store.path.resolve(), out.resolve()
    if target == source:
        raise InputError(f"{out} is the store itself, and `resample` writes a new one; choose another `out`")
    if target.is_relative_to(source):
        raise InputError(f"{out} lies inside the store {store.path}; choose another `out`")
    if source.is_relative_to(target):
        raise InputError(f"the store {store.path} lies inside {out}, which would be replaced; choose another `out`")


def _check_needed(store: "Store", fps: float) -> None:
    from ssl_behavior.errors import InputError
    from ssl_behavior.resampling import equal_rates

    if all(equal_rates(row.fps, fps) for row in store.rows):
        raise InputError(f"{store.path}: all recordings have {fps:.6g} frames per second already: nothing to resample")


def _resampled(
    store: "Store",
    fps: float,
    notices: Counter[str],
    removed: dict[str, dict[str, dict[str, tuple[int, int]]]],
    progress: "Progress",
) -> "Iterator[Recording]":
    """Recordings at another rate; counts their notices and, per recording, the bouts that were removed."""
    from ssl_behavior.resampling import removed_bouts, resample

    for recording in store:
        made = resample(recording, fps)
        kept = [f"{fps:.6g} frames per second already"] if made is recording else []
        notices.update([*kept, *made.notes])
        removed[made.id] = {
            name: removed_bouts(own, recording.frame_times, made.labels[name], made.frame_times)
            for name, own in recording.labels.items()
            if made is not recording
        }
        yield made
        progress("resampling", recording.num_frames, store.num_frames)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior resample",
        description="Write the recordings of a store at another frame rate into a new store: tracks are interpolated, "
        "labels are those of the majority of frames. Times stay those of the videos.",
    )
    parser.add_argument("store", metavar="STORE", type=Path)
    parser.add_argument("--fps", type=float, required=True, metavar="F", help="frames per second of the new store")
    parser.add_argument("--out", type=Path, required=True, metavar="NEW", help="store to write, a folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the store at --out")
    return parser

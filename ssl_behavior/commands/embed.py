"""`ssl-behavior embed`: one embedding per frame of a store."""

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Embed a store; an interrupted export goes on when the same command is given again.

    Raises
    ------
    InputError
        For every mistake a person can mend.
    """
    options = _parser().parse_args(argv)
    # Only now what takes seconds to import: --help is answered at once.
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ssl_behavior.checkpoint import load_checkpoint
    from ssl_behavior.device import choose_device, choose_precision, describe_device
    from ssl_behavior.embedding import embed_store
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import make_console

    console = make_console()
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    method = load_checkpoint(options.run, best=not options.last).to(device)
    store = Store(options.store)
    rows = store.select(options.recordings) if options.recordings else list(store.rows)
    console.print(f"{len(rows)} recordings on {describe_device(device, precision)}")
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("embedding", total=sum(row.frames for row in rows))
        embeddings = embed_store(
            method,
            store,
            options.out,
            dtype=options.dtype,
            rows=rows,
            overwrite=options.overwrite,
            precision=precision,
            progress=lambda frames: bar.advance(task, frames),
            without=options.without,
        )
    groups = ", ".join(f"{name} {width}" for name, width in embeddings.groups.items())
    console.print(
        f"{embeddings.array.shape[0]:,} frames x {embeddings.dim} ({groups}) as {embeddings.array.dtype} "
        f"in {options.out}",
        soft_wrap=True,
        markup=False,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior embed", description="Write one embedding per frame of every recording of a store."
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run or checkpoint folder")
    parser.add_argument("store", metavar="STORE", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the embeddings folder to make")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16", help="on disk (float16)")
    parser.add_argument("--recordings", nargs="+", metavar="ID", help="only these (ids or globs)")
    parser.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="leave out these columns (names or globs; `ssl-behavior info RUN` lists them), e.g. 'features_*' time",
    )  # fmt: skip
    parser.add_argument("--last", action="store_true", help="the newest checkpoint, not the best on validation")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "auto"), default="float32",
        help="of the computation; bfloat16 is faster and agrees to about two digits (float32)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser

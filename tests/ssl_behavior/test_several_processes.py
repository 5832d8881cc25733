"""`embed` and `assign` on two processes give the files of one, and end together when one fails.

One pair of processes runs all cases, one after the other: their start takes longer than the work.
"""

import contextlib
import errno
import io
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from ssl_behavior import cli
from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.embeddings_folder import EmbeddingsWriter
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.processes import Processes
from ssl_behavior.skeleton import SKELETONS, with_individuals
from ssl_behavior.store import write_store

LENGTHS = (53, 211, 2, 101, 157)
EMBED = ("embed", "run", "store", "--dtype", "float32", "--device", "cpu")
PAIRS = (*EMBED, "--unit", "pair", "--with-self")
CASES: dict[str, tuple[str, ...]] = {
    "scenes": (*EMBED, "--out", "scenes"),
    "pairs": (*PAIRS, "--out", "pairs"),
    "resumed": (*PAIRS, "--out", "resumed"),
    "interrupted": (*PAIRS, "--out", "interrupted"),
    "killed": (*PAIRS, "--out", "killed"),
    "full": (*EMBED, "--out", "full"),
    "a bug": (*EMBED, "--out", "bug"),
    "other files": (*EMBED, "--out", "others"),
    "not there": ("embed", "run", "nowhere", "--out", "nothing"),
    "no option": ("embed", "run", "store"),
    "features": (*EMBED[:3], "--format", "taskprog", "--out", "features.json"),
    "another verb": ("info", "store"),
    "assigned": ("assign", "clusters", "scenes", "--out", "assigned"),
}
FAULTS = {
    "interrupted": KeyboardInterrupt(),
    "killed": SystemExit(143),
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "a bug": ZeroDivisionError("ours"),
}
"""Raised by the second process in its second recording."""


def run(*arguments):
    """Exit code and output of a command."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            code = cli.main(arguments)
        except ZeroDivisionError as error:
            code = repr(error)
    return {"code": code, "error": said.getvalue(), "output": printed.getvalue()}


@contextlib.contextmanager
def writing(rank, case):
    """Both processes get recordings: the first one waits until the second one begins, or fails.

    Yields the rows that this process finished.
    """
    write, finish, finished, calls = EmbeddingsWriter.write, EmbeddingsWriter.finish_rows, [], []
    rows_of_a_recording = 4 if "pair" in CASES[case] else 1

    def slow_or_faulty(self, pick, span, values):
        calls.append(pick)
        mark, end = Path(f"{case} mark"), time.monotonic() + 20
        first = pick // rows_of_a_recording == calls[0] // rows_of_a_recording
        if rank == 1 and not (case in FAULTS and first):
            mark.touch()
            if case in FAULTS:
                raise FAULTS[case]
        while rank == 0 and not mark.exists() and time.monotonic() < end:
            time.sleep(0.01)
        write(self, pick, span, values)

    def finish_and_note(self, picks):
        finish(self, picks)
        finished.extend(picks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingsWriter, "write", slow_or_faulty)
        patch.setattr(EmbeddingsWriter, "finish_rows", finish_and_note)
        yield finished


def worker(rank, folder, ports):
    os.chdir(folder)
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", TORCHELASTIC_RUN_ID="test"
    )
    torch.set_num_threads(1)
    told = {}
    for case, arguments in CASES.items():
        os.environ["MASTER_PORT"] = str(ports[case])
        if case == "other files" and rank == 1:
            arguments = ("embed", "other_run", *arguments[2:])
        with writing(rank, case) as finished:
            told[case] = run(*arguments) | {"finished": finished}
    Path(f"told-{rank}.json").write_text(json.dumps(told), encoding="utf-8")


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def save_encoder(folder, skeleton, seed):
    encoder = EncoderConfig(
        stride=2, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1, 2)
    )
    config = CPCConfig(
        features=FeatureConfig(blocks=("pose", "relation")), encoder=encoder, horizons_frames=(4,), key_dim=3,
        units=("scene", "animal", "pair"),
    )  # fmt: skip
    torch.manual_seed(seed)
    method = CPC(config, skeleton, 30.0)
    method.featurizer.scale_px.fill_(60.0)
    save_checkpoint(folder, method.eval())


def interrupted_alone(folder, case):
    """What one process leaves of an export that is stopped in its third recording."""
    calls, write = [], EmbeddingsWriter.write

    def stop(self, pick, span, values):
        calls.append(pick)
        if len(calls) > 9:
            raise KeyboardInterrupt
        write(self, pick, span, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingsWriter, "write", stop)
        assert run(*CASES[case])["code"] == 130
    left = folder / f".{CASES[case][-1]}.unfinished"
    # The line of a process that was killed while it wrote it: no row of this recording counts.
    with (left / "finished-0.txt").open("a") as list_of_rows:
        list_of_rows.write("8 9 1")
    return left


def run_workers(folder, ports):
    """Both processes through all cases; they are ended if they hang."""
    workers = mp.start_processes(worker, args=(str(folder), ports), nprocs=2, start_method="spawn", join=False)
    end = time.monotonic() + 240
    try:
        while not workers.join(timeout=10):
            assert time.monotonic() < end, "the processes wait for each other"
    finally:
        for process in workers.processes:
            process.kill()


@pytest.fixture(scope="module")
def places(dyad, tmp_path_factory):
    """Folder with the results of two processes and, in `one`, of one; and what the two processes said."""
    folder, before = tmp_path_factory.mktemp("several"), torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_default_dtype(torch.float32)
        skeleton = with_individuals(SKELETONS["calms21"], ("m1", "m2"), exchangeable=True)
        made = [replace(dyad(f"r{n}", n, seed=n, missing=0.1), skeleton=skeleton, individuals=("m1", "m2"))
                for n in LENGTHS]  # fmt: skip
        write_store(folder / "store", made)
        for seed, name in enumerate(("run", "other_run")):
            save_encoder(folder / name, skeleton, seed)
        for name in ("scenes", "pairs"):
            assert run(*CASES[name][:-1], f"one/{name}")["code"] == 0
        cluster = ("cluster", "one/scenes", "--out", "clusters", "--clusters", "5")
        assert run(*cluster)["code"] == 0
        assert run("assign", "clusters", "one/scenes", "--out", "one/assigned")["code"] == 0
        interrupted_alone(folder, "resumed")
        ports = dict(zip(CASES, free_ports(len(CASES)), strict=True))
        run_workers(folder, ports)
        yield folder, [json.loads((folder / f"told-{rank}.json").read_text()) for rank in range(2)]
        torch.set_default_dtype(before)


def codes(told, case):
    return [one[case]["code"] for one in told]


def assert_same_files(one, two):
    names = sorted(path.name for path in one.iterdir())
    assert sorted(path.name for path in two.iterdir()) == names
    for name in names:
        assert (two / name).read_bytes() == (one / name).read_bytes(), name


@pytest.mark.parametrize(("case", "rows"), [("scenes", 5), ("pairs", 20), ("resumed", 12)])
def test_two_processes_write_the_bytes_of_one(case, rows, places):
    folder, told = places
    assert codes(told, case) == [0, 0], told
    assert_same_files(folder / "one" / ("scenes" if case == "scenes" else "pairs"), folder / case)
    shares = [one[case]["finished"] for one in told]
    # The resumed export had two recordings, of four rows each.
    first = 8 if case == "resumed" else 0
    assert all(shares) and sorted(pick for share in shares for pick in share) == list(range(first, first + rows))
    assert not (folder / f".{case}.unfinished").exists()


def test_an_export_that_two_processes_left_is_finished_by_one(places):
    folder, told = places
    assert codes(told, "interrupted") == [130, 130]
    done = {pick for one in told for pick in one["interrupted"]["finished"]}
    embedded, write = [], EmbeddingsWriter.write

    def note(self, pick, span, values):
        embedded.append(pick)
        write(self, pick, span, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_default_dtype(torch.float32)
        patch.setattr(EmbeddingsWriter, "write", note)
        assert run(*CASES["interrupted"])["code"] == 0
    assert done and sorted(embedded) == sorted(set(range(20)) - done)
    assert_same_files(folder / "one" / "pairs", folder / "interrupted")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("full", "full: the disk is full, and nothing of this write was kept"),
        ("other files", "this process has another checkpoint than the main process"),
        ("not there", "nowhere is not a store"),
        ("no option", "the following arguments are required: --out"),
        ("features", "--format taskprog is written by one process: start this command without torchrun"),
        ("another verb", "ssl-behavior info: this verb runs in one process: start it without torchrun"),
    ],
)
def test_an_error_in_one_process_ends_both_with_one_message(case, message, places):
    folder, told = places
    assert codes(told, case) == [2, 2], told
    assert told[0][case]["error"].count(message) == 1 and not told[1][case]["error"], told
    assert ("(process 1 of 2, on " in told[0][case]["error"]) == (case in ("full", "other files"))
    out = CASES[case][-1]
    assert case == "another verb" or out == "store" or not (folder / out).exists()


def test_a_signal_to_one_process_and_a_bug_of_one_end_both(places):
    _, told = places
    assert codes(told, "killed") == [143, 143] and not told[0]["killed"]["error"]
    assert codes(told, "a bug") == [1, "ZeroDivisionError('ours')"], "only the process with the bug has a traceback"


def test_two_processes_assign_like_one(places):
    folder, told = places
    assert codes(told, "assigned") == [0, 0], told
    assert_same_files(folder / "one" / "assigned", folder / "assigned")
    assert "written to assigned" in told[0]["assigned"]["output"] and not told[1]["assigned"]["output"]


def test_the_main_process_alone_prints(places):
    _, told = places
    assert "5 recordings on" in told[0]["scenes"]["output"] and "x 2 processes" in told[0]["scenes"]["output"]
    assert "100 %" in told[0]["scenes"]["output"]
    assert {one["output"] for one in told[1].values()} == {""}


def test_a_single_process_needs_no_others():
    alone = Processes()
    work = alone.share([3, 7, 5])
    assert list(work) == [0, 1, 2] and work.advance(4) == 4
    work.finish(lambda amount: pytest.fail("nobody else works"))
    alone.wait()
    alone.check()
    alone.check_same({"a": 1})
    assert alone.is_main and alone.from_main(lambda: [1]) == [1]
    with pytest.raises(InputError):
        alone.from_main(lambda: (_ for _ in ()).throw(InputError("no")))

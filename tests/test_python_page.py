"""The Python page runs: every block of docs/python.md, one after the other, on small recordings and few steps."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.io import write_npz
from ssl_behavior.recording import Labels
from tests.test_documents import ROOT, blocks

CLASSES = ("base", "social", "aggression")


@pytest.fixture
def recordings(dyad):
    """Six recordings with labels S1 in bouts of a second or more."""
    made = []
    for number in range(5, 11):
        # The page searches for bouts like frames 1250 to 1310 of vole_07.
        frames = 1400 if number == 7 else 400
        generator = np.random.default_rng(number)
        bouts = np.repeat(generator.integers(0, len(CLASSES), frames), generator.integers(30, 90, frames))[:frames]
        labels = {"S1": Labels(vocabulary=CLASSES, frames=bouts, background="base")}
        made.append(replace(dyad(f"vole_{number:02d}", frames, seed=number, missing=0.05), labels=labels))
    return made


PREAMBLE = """
import shutil
from pathlib import Path

import ssl_behavior as sb

recordings = list(sb.read("tracks", verbose=False))
train_recordings, test_recordings = recordings[:4], recordings[4:]
genotypes, cages = [0, 1] * 3, [0, 0, 1, 1, 2, 3]


def given(write_store, train):
    # What the page takes as given: a store and a run, where a block does not make them.
    for name, source, wanted in (("store", "my_store", not write_store), ("run", "my_encoder", not train)):
        shutil.rmtree(name, ignore_errors=True)
        if wanted and Path(source).exists():
            shutil.copytree(source, name)
"""


@pytest.mark.docs
def test_every_block_runs_as_a_user_runs_it(recordings, tmp_path):
    (tmp_path / "tracks").mkdir()
    for recording in recordings:
        write_npz(tmp_path / "tracks" / f"{recording.id}.npz", recording)
    parts = [PREAMBLE]
    for code in blocks(ROOT / "docs" / "python.md", "python"):
        parts.append(f"given({'write_store' in code}, {'train(' in code})")
        parts.append(re.sub(r"steps=\d+", "steps=2", code))
    program = tmp_path / "page.py"
    program.write_text("\n".join(parts))
    done = subprocess.run([sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "What to look at" in done.stdout and len(parts) == 21
    for made in ("my_store/store.json", "my_encoder/README.md", "my_clusters", "report.html", "run/checkpoints"):
        assert (tmp_path / made).exists()

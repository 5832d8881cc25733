"""
The tables of the CalMS21 paper
===============================

``ssl-behavior benchmark`` trains the systems of the CalMS21 paper and ours, and prints their scores beside the published
ones. This page runs it on simulated data in the layout of the release; with the release itself, only the folder changes.
"""

# %%
# The data
# --------
#
# The release is not part of this package (:doc:`/docs/calms21` says where it is). This makes a fiftieth of it,
# simulated, with the same files, groups and names.

from pathlib import Path

import ssl_behavior as sb
from ssl_behavior.simulate import simulate_calms21

release = simulate_calms21("release", scale=0.02, seed=0)
sorted(path.relative_to(release).as_posix() for path in release.rglob("*.json"))

# %%
# One task by hand
# ----------------
#
# Task 1 is a probe like any other: attack, investigation and mount, with the split of the release.

store = sb.read(release, out="store", verbose=False)
encoder = sb.pretrain(store, recipe="summaries_tiny", steps=100, out="run", verbose=False)
results = sb.probe(
    encoder, store, "calms21_task1", seeds=1, references="untrained", train_stride=8, out="task1", verbose=False
)
results.to_frame()[["representation", "class", "ap", "f1", "support"]]

# %%
results.plot("confusion")

# %%
results.plot("calibration")

# %%
# All systems, all tables
# -----------------------
#
# The benchmark is a command: it runs for hours at the papers' effort, keeps every prediction, and continues after an
# interruption. ``--effort minutes`` is a trial, here of four systems.

from ssl_behavior.cli import main

main(
    "benchmark calms21 release --out tables --effort minutes --pretrained summaries=run "
    "--systems fully_connected,conv1d,task2_as_run,summaries_linear".split()
)

# %%
# The tables are also files, with the numbers of every seed beside them:

print(Path("tables/results.md").read_text(encoding="utf-8")[:1900])

# %%
# These mice are simulated, so the numbers say nothing about real ones: compare systems on the release.
# :doc:`/docs/results` has what was measured on real recordings.

"""
A new behavior from ten examples
================================

You saw a behavior that nobody has labeled. Ten bouts are enough to find more of it. Two labeled recordings are enough
for a first classifier that labels the others.
"""

# %%
# Recordings and an encoder
# -------------------------
#
# Eight simulated videos; for recordings of your own, see :doc:`/docs/gallery/1_deeplabcut_to_clusters`. The encoder
# learns without labels.

import numpy as np

import ssl_behavior as sb

sb.simulate_tracks("videos", recordings=8, frames=3000, seed=2)
store = sb.read("videos", fps=30, out="store", verbose=False)
encoder = sb.pretrain(store, recipe="summaries_tiny", steps=200, out="run", verbose=False)
embeddings = encoder.embed_store(store, "embeddings")
store

# %%
# Ten examples
# ------------
#
# An example is a stretch of frames, ``RECORDING:START-STOP``; you would note it while watching videos. Here the examples
# are five bouts of *investigation* in each of two recordings, half a second to three seconds long, from the labels of
# the simulation.


def bouts_of(recording, behavior):
    """Start and stop of the bouts of a behavior; the stop is the first frame after it."""
    labels = store[recording].labels["behavior"]
    shown = np.concatenate([[False], labels.frames == labels.vocabulary.index(behavior), [False]])
    edges = np.flatnonzero(np.diff(shown))
    return list(zip(edges[::2], edges[1::2], strict=True))


watched = ["mouse001", "mouse002"]
examples = []
for name in watched:
    fitting = [(start, stop) for start, stop in bouts_of(name, "investigation") if 15 <= stop - start <= 90]
    examples += [f"{name}:{start}-{stop}" for start, stop in fitting[:5]]
examples

# %%
# More like these
# ---------------
#
# ``neighbors`` searches recordings for bouts whose embedding is similar to the examples; here, those that you have not
# watched.

others = [row.id for row in store.rows if row.id not in watched]
hits = sb.neighbors(embeddings, examples, k=20, recordings=others, verbose=False)
table = hits.to_frame()
table.head()

# %%
# The simulation knows the truth: how many of the frames in the hits are investigation, and how many would be by chance?


def share(recording, frames):
    labels = store[recording].labels["behavior"]
    return np.mean(labels.frames[frames] == labels.vocabulary.index("investigation"))


right = [share(hit.recording, slice(hit.start_frame, hit.stop_frame)) for hit in table.itertuples()]
chance = np.mean([share(name, slice(None)) for name in others])
print(f"in the hits: {np.mean(right):.0%} of the frames; in all frames: {chance:.0%}")

# %%
# A classifier from two labeled recordings
# ----------------------------------------
#
# Label the behavior in the recordings that you watched, and learn a linear classifier from them. ``probe`` scores it on
# recordings that it did not learn from, beside the same encoder without training.

split = {"train": watched, "test": others}
results = sb.probe(encoder, store, "behavior", split=split, seeds=1, references="untrained", out="probe", verbose=False)
results.to_frame()[["representation", "class", "ap", "f1", "support"]]

# %%
# Label everything
# ----------------
#
# The classifier labels all recordings. With ``out`` the labels are files, here a BORIS project in which you can correct
# them beside the videos.

labels = sb.annotate(encoder, store, results, minimum_bout_frames=8, out="labels", format="boris", verbose=False)
labels

# %%
labels.to_frame().head()

# %%
# Predicted labels below those of the simulation, in a recording that the classifier has not seen:

streams = {
    "labeled": store["mouse005"].labels["behavior"],
    "predicted": labels["mouse005"].labels["behavior"],
}
sb.plots.ethogram(streams, fps=30, title="mouse005")

# %%
# What to check
# -------------
#
# - Look at the hits before you trust them: the report plays them beside the examples (:doc:`/docs/report`).
# - The scores above are of six held-out recordings of one simulation. Hold out recordings of your own.
# - Corrected labels come back with ``ssl-behavior labels add store labels/project.boris --overwrite``, which replaces the
#   labels that are there (:doc:`/docs/import`).

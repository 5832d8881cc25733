"""
From a DeepLabCut project to clusters
=====================================

You have a folder of DeepLabCut files and no labels. At the end, every frame has a cluster, and every cluster a
description.
"""

# %%
# A folder of tracks
# ------------------
#
# This line writes six simulated videos of two mice as DeepLabCut leaves them. Skip it if you have a folder of your own.

import ssl_behavior as sb

sb.simulate_tracks("my_project", recordings=6, frames=3000, missing=0.05)

# %%
# Read it
# -------
#
# :func:`ssl_behavior.read` takes files or folders of any known format. DeepLabCut files do not state the frame rate, so
# you do. The report lists missing points, jumps and everything else to look at. With ``out``, the recordings stay in a
# folder, the *store*; the source files are never changed.

store = sb.read("my_project", fps=30, out="store")

# %%
store

# %%
# Pretrain an encoder
# -------------------
#
# The encoder learns from the tracks alone. 200 steps of the small recipe take half a minute and are enough for this
# page; for your recordings, leave ``recipe`` and ``steps`` out.

encoder = sb.pretrain(store, recipe="summaries_tiny", steps=200, out="run", verbose=False)
encoder

# %%
# Embed the frames
# ----------------
#
# One row of numbers for each frame, in a folder that NumPy opens without reading it into memory.

embeddings = encoder.embed_store(store, "embeddings")
print(embeddings)

# %%
# Cluster them
# ------------
#
# Each frame gets a cluster; bouts are at least a quarter of a second long. ``to_frame`` gives a pandas table.

clusters = sb.cluster(embeddings, 8, out="clusters", verbose=False)
clusters.to_frame().head()

# %%
# What do the mice do in each cluster? ``describe`` measures it.

cards = sb.describe(clusters, embeddings, store, verbose=False)
for card in cards.clusters:
    print(f"{card.cluster}: {card.sentence}")

# %%
# Plot them
# ---------
#
# Objects draw themselves. The map places frames by the two principal components of their embedding; the ethogram has the
# labels of the simulation above the clusters.

embeddings.plot(clusters)

# %%
clusters.plot("mouse001", store=store)

# %%
# Look at bouts
# -------------
#
# The report is one HTML file with a map of frames, moving skeletons of similar bouts, and an ethogram. It opens in a
# browser without a network.

sb.report(store, embeddings, "report.html", clusters=clusters, description=cards)

# %%
# Next: give the clusters names and open them in BORIS (:doc:`/docs/export`), or compare groups of animals
# (:doc:`/docs/gallery/3_compare_groups`).

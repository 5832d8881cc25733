"""
Compare two groups of animals
=============================

Do treated animals behave differently, and in what? The unit of such a comparison is the animal, not the frame and not
the recording.
"""

# %%
# Two groups
# ----------
#
# Twelve simulated residents, two short videos each. Six of them are "treated": they rest more and do not mount. Your own
# recordings would be a folder of track files, as in :doc:`/docs/gallery/1_deeplabcut_to_clusters`.

from dataclasses import replace

import ssl_behavior as sb
from ssl_behavior.simulate import equal_plans, write_dlc_folder

plans = []
for number, plan in enumerate(equal_plans(24, 1500, {"videos": 1.0}, missing=0.05)):
    animal = number % 12
    changes = {"temperament": "calm", "rest": 0.9} if animal >= 6 else {"temperament": "courting"}
    plan = replace(plan, profile=replace(plan.profile, **changes))
    plans.append(replace(plan, id=f"videos/animal{animal + 1:02d}_day{number // 12 + 1}"))
write_dlc_folder("videos", plans, seed=0)

# %%
# Clusters without labels
# -----------------------
#
# The encoder and the clusters know nothing of the groups. Train on recordings of both groups, or of neither: an
# encoder that has seen one group only may describe the other one badly.

store = sb.read("videos", fps=30, out="store", verbose=False)
encoder = sb.pretrain(store, recipe="summaries_tiny", steps=150, out="run", verbose=False)
embeddings = encoder.embed_store(store, "embeddings")
clusters = sb.cluster(embeddings, 8, verbose=False)

# %%
# The table of animals
# --------------------
#
# One line for each recording: its animal and its group. A CSV file or a data frame does as well.

recordings = [row.id for row in store.rows]
animals = [name.partition("_")[0] for name in recordings]
treatment = ["treated" if int(animal.removeprefix("animal")) > 6 else "control" for animal in animals]
table = {"recording": recordings, "animal": animals, "treatment": treatment}

# %%
# Compare
# -------
#
# The two recordings of an animal are pooled. p values come from exchanging animals between the groups. q values control
# the false discovery rate over all clusters, separately for each measure.

profiles = sb.compare(clusters, table)
profiles

# %%
frame = profiles.to_frame()
shares = frame[frame["measure"] == "share"].sort_values("p")
shares[["cluster", "mean_first", "mean_second", "difference", "low", "high", "hedges_g", "p", "q", "found"]]

# %%
profiles.plot()

# %%
# What are the clusters that differ?

cards = sb.describe(clusters, embeddings, store, verbose=False)
for number in shares.loc[shares["found"], "cluster"]:
    print(f"{number}: {cards.clusters[number].sentence}")

# %%
# A comparison without a difference
# ---------------------------------
#
# The same test on days, which do not differ in the simulation. All animals were recorded on both days, so each is
# compared with itself.

table["day"] = [name[-1] for name in recordings]
sb.compare(clusters, table, "day")

# %%
# How many animals are enough?
# ----------------------------
#
# Few animals allow few arrangements; ``compare`` then prints a note that no single cluster can be found. :doc:`/docs/explore` has
# the error rates of this test in simulated studies, and what happens when recordings are counted as animals.

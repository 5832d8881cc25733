"""
Write a task program
====================

A *task program* is a function of pose that measures what an expert looks at: a distance, a speed, an angle. Programs
describe clusters, and encoders can learn to predict them.
"""

# %%
# A program
# ---------
#
# Programs are in a file of their own. This one measures how far the tail bases of two animals are apart, which is little
# when they sit side by side. ``units`` names the unit; ``invariant`` says which changes of the scene do not change the
# value; with ``each_animal=False`` there is one value for the two animals.

from pathlib import Path

import ssl_behavior as sb

program_file = Path("mine.py")
program_file.write_text(
    '''
from ssl_behavior.programs import length, program


@program(units="length", invariant="translation rotation reflection swap", each_animal=False)
def tail_to_tail(pose):
    """Distance between the two tail bases."""
    return length(pose.own.tail_base - pose.other.tail_base)
'''
)

# %%
# Check it
# --------
#
# The check runs the program on random scenes: shape, missing points, and whether the value stays the same where you said
# so. In a terminal, ``ssl-behavior programs --programs mine.py`` does the same.

from ssl_behavior.programs import check_program, load_programs

programs, digest = load_programs(program_file)
for entry in programs.values():
    check_program(entry, sb.SKELETONS["calms21"], fps=30.0)
    print(f"{entry.facts.name}: {entry.facts.units_in('px')}, keeps its promises")

# %%
# A program that breaks a promise is refused with the case in which it did. This one says that a swap of the animals does
# not change it, but it measures one of them.

wrong = Path("wrong.py")
wrong.write_text(
    '''
from ssl_behavior.programs import program


@program(units="length/s", invariant="translation rotation reflection swap", each_animal=False)
def first_speed(pose):
    """Speed of the first animal."""
    return pose.own.speed
'''
)
try:
    for entry in load_programs(wrong)[0].values():
        check_program(entry, sb.SKELETONS["calms21"], fps=30.0)
except sb.InputError as error:
    print(error)

# %%
# Describe clusters with it
# -------------------------
#
# ``describe`` measures your programs beside the eighteen built-in ones.

sb.simulate_tracks("pairs", recordings=4, frames=1500, seed=4)
store = sb.read("pairs", fps=30, out="store", verbose=False)
encoder = sb.pretrain(store, recipe="summaries_tiny", steps=60, programs=program_file, out="run", verbose=False)
embeddings = encoder.embed_store(store, "embeddings")
clusters = sb.cluster(embeddings, 6, verbose=False)
cards = sb.describe(clusters, embeddings, store, programs=program_file, verbose=False)
for card in cards.clusters:
    print(f"{card.cluster}: {card.sentence}")

# %%
# Learn from it
# -------------
#
# ``pretrain(..., programs=...)``, as above, adds the program to what the encoder learns to predict. The run keeps a copy
# of the file; using the encoder later needs no file and runs no code from it.

sorted(path.name for path in Path("run").iterdir())

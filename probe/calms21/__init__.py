"""Tables 1 to 4 of the CalMS21 paper with our results, and the same tables for any labeled store.

`baselines` has the paper's supervised classifiers, `systems` the common interface of all systems. `plan` lists the
systems, `run` runs them and caches their predictions, `submission` serves the AIcrowd challenge.
"""

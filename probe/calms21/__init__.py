"""Tables 1 to 4 of the CalMS21 paper beside ours, and the same for any labeled store.

`baselines` are the paper's supervised classifiers, `systems` gives everything that fills a row one interface. `plan`
lists the rows, `run` runs them so that an interruption costs one row at most, `submission` is for the challenge.
"""

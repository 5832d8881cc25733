"""Tables 1 to 4 of the CalMS21 paper beside ours, and the same for any labeled store.

What is run (`plan`), running it so that an interruption costs one row at most (`run`), and the tables (`report`).
"""

"""The verbs of the command line that belong to the library; the jobs bring their own."""

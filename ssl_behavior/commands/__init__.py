"""Command-line verbs of the library. `pretrain` and `probe` have their own."""

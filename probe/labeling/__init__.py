"""Labeling application: search, correct and learn labels of a new behavior in the browser."""

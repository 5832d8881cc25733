"""Tests. A package, so that spawned processes find it before the `tests` that another library may install."""

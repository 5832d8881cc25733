"""Segments: a partition of all rows, with the means of their frames."""

import numpy as np

from probe.labeling.candidates import CandidateConfig, find_candidates, open_candidates


def test_segments_partition_every_row_and_hold_means(embeddings, tmp_path):
    found = find_candidates(embeddings, tmp_path / "segments")
    for number, row in enumerate(embeddings.rows):
        own = found.of_row(number)
        assert found.start[own][0] == 0 and found.stop[own][-1] == row.frames
        assert (found.start[own][1:] == found.stop[own][:-1]).all()
        assert (found.frames[own][:-1] == 45).all()
    segment = len(found) - 1
    row = found.rows[found.row[segment]]
    frames = np.arange(row.offset + found.start[segment], row.offset + found.stop[segment])
    np.testing.assert_allclose(
        found.points[segment], found.space.gather(embeddings, frames).mean(axis=0), rtol=1e-4, atol=1e-5
    )


def test_at_finds_the_segments_of_a_span(embeddings, tmp_path):
    found = find_candidates(embeddings, tmp_path / "segments")
    first = found.of_row(1).start
    assert found.at(1, 0, 1) == slice(first, first + 1)
    assert found.at(1, 44, 46) == slice(first, first + 2)
    assert found.at(1, 45, 90) == slice(first + 1, first + 2)


def test_segments_are_kept_and_made_anew_for_other_rows(embeddings, tmp_path):
    folder, rows = tmp_path / "segments", embeddings.rows
    made = find_candidates(embeddings, folder)
    again = open_candidates(embeddings, folder, rows)
    np.testing.assert_array_equal(again.points, made.points)
    assert open_candidates(embeddings, folder, rows[:2]) is None
    assert open_candidates(embeddings, folder, rows, CandidateConfig(seconds=1.0)) is None
    for name, content in (("points.npy", b"torn"), ("row.npy", b""), ("candidates.json", b"{")):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        assert open_candidates(embeddings, folder, rows) is None
        (folder / name).write_bytes(kept)
    np.save(folder / "points.npy", np.zeros((3, 3), np.float32))
    assert open_candidates(embeddings, folder, rows) is None
    assert len(find_candidates(embeddings, folder, rows[:2]).rows) == 2


def test_blocks_give_the_same_means(embeddings, tmp_path, monkeypatch):
    whole = find_candidates(embeddings, tmp_path / "whole")
    monkeypatch.setattr("probe.labeling.candidates._BLOCK_FRAMES", 100)
    parts = find_candidates(embeddings, tmp_path / "parts")
    np.testing.assert_allclose(parts.points, whole.points, rtol=1e-5, atol=1e-6)

import json

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.clusters import DensityConfig, load_clustering

FRAMES = (701, 503, 997, 809)


@pytest.fixture(scope="module")
def array(states):
    _, points = states(sum(FRAMES), num_states=5, dim=7)
    return np.concatenate([points, np.linspace(0, 1, len(points))[:, None]], axis=1).astype(np.float16)


@pytest.fixture
def embeddings(embeddings_of, array, tmp_path):
    return str(embeddings_of(tmp_path / "e[/m]", array, FRAMES, {"latent": 7, "time": 1}).path)


def test_clusters_are_found_told_and_given_to_other_recordings(embeddings, embeddings_of, array, tmp_path, capsys):
    out = str(tmp_path / "c[/i]")
    assert main(["cluster", embeddings, "--out", out, "--clusters", "5", "--recordings", "r[0-2]"]) == 0
    said = capsys.readouterr().out
    assert "3 recordings of" in said and "e[/m]" in said and "columns latent 7" in said and "5 clusters in" in said
    clustering = load_clustering(out)
    assert clustering.fitted.recordings == ("r0", "r1", "r2") and len(clustering.frames.labels) == sum(FRAMES)
    assert f"{clustering.sizes[0] / sum(FRAMES):.1%}" in said and "4 of 4" in said

    last = embeddings_of(tmp_path / "last", array[-809:], FRAMES[-1:], {"latent": 7, "time": 1})
    assert main(["assign", out, str(last.path), "--out", str(tmp_path / "a")]) == 0
    assigned = load_clustering(tmp_path / "a")
    np.testing.assert_array_equal(assigned.frames.labels, clustering.frames.labels[-809:])
    assert main(["assign", out, embeddings, "--out", str(tmp_path / "a"), "--clusters", "2", "--overwrite"]) == 0
    np.testing.assert_array_equal(load_clustering(tmp_path / "a").frames.labels, clustering.cut(2).frames.labels)
    assert main(["info", out]) == 0
    said = capsys.readouterr().out
    assert "k-means" in said and "3 recordings, 2,201 frames" in said and "c[/i]" in said and "latent 7" in said


def test_the_number_is_chosen_drawn_and_kept(embeddings, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    argv = ["cluster", embeddings, "--out", str(tmp_path / "c"), "--choose", "3,5,11", "--resamples", "2"]
    assert main([*argv, "--figure", str(tmp_path / "choice.png")]) == 0
    said = capsys.readouterr().out
    assert "suggested: 5, the most clusters whose stability" in said and "1.000 ± 0.000" in said
    assert load_clustering(tmp_path / "c").num_clusters == 5
    choice = json.loads((tmp_path / "c" / "choice.json").read_text())
    assert choice["suggested"] == 5 and [one["clusters"] for one in choice["numbers"]] == [3, 5, 11]
    assert (tmp_path / "choice.png").read_bytes().startswith(b"\x89PNG")
    assert main([*argv, "--clusters", "4", "--overwrite"]) == 0
    assert load_clustering(tmp_path / "c").num_clusters == 4


def test_every_option_reaches_the_clustering(embeddings, tmp_path):
    argv = ["--spherical", "--n-init", "2", "--sample", "1500", "--dims", "3", "--seed", "7",
            "--minimum-bout-seconds", "0.1", "--clusters", "4", "--without", "none*"]  # fmt: skip
    assert main(["cluster", embeddings, "--out", str(tmp_path / "c"), *argv]) == 2
    assert main(["cluster", embeddings, "--out", str(tmp_path / "c"), *argv[:-1], "time"]) == 0
    one = load_clustering(tmp_path / "c")
    assert (one.config.n_init, one.config.sample, one.config.clusters, one.seed) == (2, 1500, 4, 7)
    assert one.space.config.unit and one.space.config.most_dims == 3 and one.space.dim == 3
    assert one.smoothing.minimum_bout_seconds == 0.1
    argv = ["--method", "hdbscan", "--min-cluster-size", "31", "--min-samples", "3", "--sample", "1200",
            "--cluster-selection-method", "eom"]  # fmt: skip
    assert main(["cluster", embeddings, "--out", str(tmp_path / "h"), *argv]) == 0
    two = load_clustering(tmp_path / "h")
    assert two.config == DensityConfig(sample=1200, min_cluster_size=31, min_samples=3, cluster_selection_method="eom")
    assert two.space.config.most_dims == 5
    assert main(["info", str(tmp_path / "h")]) == 0


def test_quality_is_printed_and_kept(embeddings, embeddings_of, array, tmp_path, capsys):
    other = array.copy()
    other[:, 3:7] = np.random.default_rng(0).normal(size=(len(array), 4))
    other = embeddings_of(tmp_path / "other", other, FRAMES, {"latent": 7, "time": 1}, checkpoint="d" * 64)
    out = tmp_path / "q.json"
    argv = ["quality", embeddings, str(other.path), "--clusters", "5", "--sample", "701", "--out", str(out)]
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "near 1 s" in said and "neighbors shared" in said
    kept = json.loads(out.read_text())
    pair = kept["compared_with_first"][str(other.path)]
    assert 0.3 < pair["mutual_information"] < 1 and kept["embeddings"][embeddings]["dim"] == 7
    assert f"{pair['mutual_information']:.3f}" in said
    assert main(argv) == 2 and "q.json exists already" in capsys.readouterr().err
    assert main([*argv, "--overwrite"]) == 0
    assert main(["quality", embeddings]) == 0
    assert main([*argv[:-1], str(tmp_path), "--overwrite"]) == 2
    assert "is a folder: name a file to write the numbers to" in capsys.readouterr().err


def test_mistakes_are_one_sentence_and_nothing_is_made(embeddings, embeddings_of, array, tmp_path, capsys):
    out = tmp_path / "c"
    constant = str(embeddings_of(tmp_path / "constant", np.ones((97, 3), np.float16), (97,)).path)
    few = str(embeddings_of(tmp_path / "few", array[:11], (11,)).path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    (tmp_path / "mine.png").mkdir()
    mistakes = {
        "is not an embeddings folder": [str(tmp_path)],
        "no recording matches 'x*'": [embeddings, "--recordings", "x*"],
        "no columns 'walls'": [embeddings, "--groups", "walls"],
        "leaves nothing": [embeddings, "--without", "*"],
        "all numbers are the same": [constant],
        "cannot fit 20 clusters to 11 frames": [few],
        "--dims must be 0": [embeddings, "--dims", "-1"],
        "--clusters must be 1": [embeddings, "--clusters", "0"],
        "--min-cluster-size is for --method hdbscan": [embeddings, "--min-cluster-size", "5"],
        "--n-init is for --method kmeans": [embeddings, "--method", "hdbscan", "--n-init", "5"],
        "--figure is for --choose": [embeddings, "--figure", "x.png"],
        "expected a file that ends in": [embeddings, "--choose", "2,3", "--figure", "x.txt"],
        "--choose 2,many: expected numbers": [embeddings, "--choose", "2,many"],
        "--sample must be at least the number of clusters, 11, got 9": [
            embeddings,
            "--choose",
            "2,11",
            "--sample",
            "9",
        ],
        "mine.png is a folder: name a file to draw": [
            embeddings,
            "--choose",
            "2,3",
            "--figure",
            str(tmp_path / "mine.png"),
        ],
        "cannot suggest a number from one recording": [few, "--choose", "2,3"],
        "holds something else": [embeddings, "--out", str(tmp_path / "mine"), "--overwrite"],
    }
    for words, arguments in mistakes.items():
        assert main(["cluster", "--out", str(out), *arguments]) == 2, words
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said and not out.exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_assigning_mistakes_are_told(embeddings, embeddings_of, array, tmp_path, capsys):
    assert main(["cluster", embeddings, "--out", str(tmp_path / "c"), "--clusters", "5"]) == 0
    other = embeddings_of(tmp_path / "o", array, FRAMES, {"latent": 7, "time": 1}, checkpoint="d" * 64)
    mistakes = {
        "was made by another checkpoint": [str(tmp_path / "c"), str(other.path)],
        "is not a clusters folder": [embeddings, embeddings],
        "cannot be cut into 6 clusters": [str(tmp_path / "c"), embeddings, "--clusters", "6"],
        "exists already": [str(tmp_path / "c"), embeddings, "--out", str(tmp_path / "c")],
    }
    for words, arguments in mistakes.items():
        assert main(["assign", "--out", str(tmp_path / "a"), *arguments]) == 2
        assert words in capsys.readouterr().err and not (tmp_path / "a").exists()

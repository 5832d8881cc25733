import json

import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.reports import read_profiles, read_scores


def test_a_probe_as_a_table(folders):
    (scores,) = read_scores(folders["results"])
    assert scores.title == "S1, linear probe"
    assert scores.header == ("", "mean AP", "mean F1", "AP attack", "AP never")
    name, ap, f1, attack, never = scores.cells[0]
    assert name == "trained <encoder>, smoothed" and scores.cells[1][0] == "raw, smoothed, 5 % of the labels"
    assert ap == "0.625 ± 0.013 [0.500, 0.750]" and f1 == attack == "0.625 ± 0.013" and never == "undefined"
    assert scores.bars[0] == ("trained <encoder>, smoothed", 0.625, 0.0125, 0.5, 0.75)
    assert scores.score == "average precision, mean over classes" and "over 3 seeds" in scores.notes[0]


def test_a_benchmark_has_a_table_for_each_problem(folders, tmp_path):
    probe = json.loads((folders["results"] / "results.json").read_text())
    row = probe["rows"][0] | {"macros": [probe["rows"][0]["macros"][0] | {"name": "a+b"}]}
    tables = [{"title": "Task 1", "rows": [row]}, {"title": "empty", "rows": []}, {"title": "Task 2", "rows": [row]}]
    (tmp_path / "results.json").write_text(json.dumps({"format": "ssl-behavior benchmark", "tables": tables}))
    found = read_scores(tmp_path)
    assert [one.title for one in found] == ["Task 1", "Task 2"]
    assert found[0].header[1] == "a + b AP" and found[0].score == "average precision, a + b"


def test_invalid_results_raise(folders, tmp_path):
    with pytest.raises(InputError, match=r"it has no results\.json"):
        read_scores(folders["store"])
    (tmp_path / "results.json").write_text('{"format": "else"}')
    with pytest.raises(InputError, match="neither a probe nor a benchmark"):
        read_scores(tmp_path)
    (tmp_path / "results.json").write_text('{"format": "ssl-behavior results", "task": {"name": "x"}}')
    with pytest.raises(InputError, match="is damaged"):
        read_scores(tmp_path)


def test_profiles_of_a_description(folders):
    (profile,) = read_profiles(folders["described"])
    assert (profile.name, profile.groups.count("control"), profile.shares.shape) == ("treatment", 4, (7, 5))
    assert [test.effect for test in profile.tests] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert profile.tests[1].between == ("control", "drug<i>")


def test_a_description_without_groups_has_no_profiles(folders, tmp_path):
    assert read_profiles(tmp_path) == ()


def test_invalid_profiles_raise(folders, tmp_path):
    contents = json.loads((folders["described"] / "profiles.json").read_text())
    del contents["animals"]
    (tmp_path / "profiles.json").write_text(json.dumps(contents))
    with pytest.raises(InputError, match=r"profiles\.json is not as expected .*; describe the clusters again"):
        read_profiles(tmp_path)

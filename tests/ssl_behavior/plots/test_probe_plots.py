"""Plots of a probe show the numbers of `results.json`."""

import json
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.plots import annotator_matrix, bout_scores, calibration, confusion, few_label_curve
from ssl_behavior.plots.reliability import expected_calibration_error

COUNTS = [[6, 2, 0], [1, 3, 0], [0, 0, 0]]
BINS = {"frames": [8, 0, 4], "positive": [2, 0, 3], "probability": [0.125, None, 0.875]}


def bout_score(mean, low, high):
    interval = None if low is None else {"low": low, "high": high}
    return {"mean": mean, "std": 0.1, "num_defined": 2, "interval": interval, "by_seed": [mean, mean]}


BOUTS = {
    "f1_10": bout_score(0.9, 0.8, 0.95), "f1_25": bout_score(0.7, 0.6, 0.75), "f1_50": bout_score(0.5, 0.4, 0.6),
    "f1_75": bout_score(0.2, 0.1, 0.3), "onset": bout_score(0.3, 0.2, 0.6), "offset": bout_score(-0.1, -0.2, 0.0),
    "fragments": bout_score(2.0, 1.0, 3.0),
}  # fmt: skip
NO_BOUTS = {name: bout_score(0.0 if name.startswith("f1") else None, None, None) for name in BOUTS}


def row(name, percent, mean, undefined=(), **more):
    score = {"mean": mean, "std": 0.1, "num_defined": 2}
    scores = dict.fromkeys(("ap", "f1", "f1_balanced", "precision", "recall"), score)
    classes = {one: scores | {"support": 5} for one in ("attack", "mount", "other")}
    return {
        "representation": name, "percent": percent, "smoothed": False, "undefined": list(undefined), "classes": classes,
        "macros": [{"name": "all"} | scores], "by_seed": {one: {"ap": [0.5, 0.6]} for one in classes},
        "confusion": COUNTS, "calibration": {"attack": BINS, "other": BINS},
        "bouts": {"attack": BOUTS, "mount": NO_BOUTS},
    } | more  # fmt: skip


@pytest.fixture
def results():
    means = {"trained encoder": (0.9, 0.7, 0.4), "raw keypoints": (0.5, 0.3, None)}
    rows = [row(name, *one) for name, own in means.items() for one in zip((100.0, 5.0, 1.0), own, strict=True)]
    rows[2]["undefined"] = ["mount"]
    agreement = {"name": "agreement", "title": "share", "annotators": ["a", "b"], "values": [[1.0, 0.8], [0.8, 1.0]],
                 "rows": "", "columns": ""}  # fmt: skip
    transfer = agreement | {"name": "transfer", "values": [[0.6, 0.4], [None, None]], "rows": "of", "columns": "in"}
    return {
        "format": "ssl-behavior results", "version": 1, "rows": rows, "mode": "annotators",
        "task": {"name": "behavior", "kind": "multinomial", "background": "other"},
        "split": {"train": [f"r{n}" for n in range(60)]}, "annotators": [agreement, transfer],
    }  # fmt: skip


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_line_for_each_representation(results, ax, legend, pyplot):
    assert few_label_curve(results, "f1", ax=ax) is ax and not pyplot.get_fignums()
    dotted, trained, fewer, raw = (line.get_xydata().tolist() for line in ax.lines)
    assert trained == [[3, 0.7], [60, 0.9]] and fewer == [[1, 0.4]] and dotted == [*fewer, *trained]
    assert raw == [[3, 0.3], [60, 0.5]] and ax.lines[2].get_markerfacecolor() == "white"
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.6) and band[:, 1].max() == pytest.approx(1.0)
    assert legend(ax) == ["trained encoder", "raw keypoints", "mean over fewer classes"]
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "labeled recordings" and ax.get_ylabel() == "macro F1"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "3", "60"]


def test_encoders_are_compared_in_percent_and_by_class(results, ax, legend):
    few_label_curve({"A": results, "B": results}, "ap", behavior="attack", over="percent", ax=ax)
    assert legend(ax)[0] == "A: trained encoder" and len(legend(ax)) == 4
    assert ax.lines[0].get_xdata().tolist() == [1, 5, 100] and ax.get_ylabel() == "AP of attack"


def test_the_confusion_matrix_has_shares_of_rows_and_counts(results, ax, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(results))
    figure = ax.figure
    for given in (results, SimpleNamespace(results=results), tmp_path, str(tmp_path / "results.json")):
        figure.clear()
        ax = figure.subplots()
        confusion(given, ax=ax)
        image = ax.images[0].get_array()
        np.testing.assert_allclose(image[:2], [[0.75, 0.25, 0], [0.25, 0.75, 0]])
        assert np.ma.getmaskarray(image)[2].all()
    assert texts(ax)[:3] == ["75%\n6", "25%\n2", "0%\n0"] and texts(ax)[6] == "–"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["attack", "mount", "other"]
    assert ax.get_title(loc="left") == "trained encoder, frames of 2 seeds"


def test_the_reliability_diagram_has_mean_probability_and_share(results, ax, legend):
    calibration(results, "raw keypoints", classes=["attack"], percent=5.0, ax=ax)
    assert ax.lines[1].get_xydata().tolist() == [[0.125, 0.25], [0.875, 0.75]]
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0.125, 0.25], [0.875, 0.75]])
    sizes = ax.collections[0].get_sizes()
    assert sizes[0] > sizes[1] and expected_calibration_error(BINS) == 0.125
    assert legend(ax) == ["attack, ECE 0.125"] and ax.get_title(loc="left") == "raw keypoints, 12 frames of all seeds"


def test_the_legend_has_the_brier_score(results, ax, legend):
    results["rows"][0]["brier"] = {"attack": bout_score(0.0421, 0.03, 0.05)}
    calibration(results, ax=ax)
    assert legend(ax) == ["attack, ECE 0.125, Brier 0.042", "other, ECE 0.125"]


def test_bouts_have_f1_over_iou_and_errors_of_their_edges(results, ax, legend):
    figure = ax.figure
    assert bout_scores(results, ax=ax) is ax
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[0.1, 0.9], [0.25, 0.7], [0.5, 0.5], [0.75, 0.2]]
    band = left.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 0.1 and band[:, 1].max() == 0.95
    assert left.get_title(loc="left") == "trained encoder" and legend(right) == ["attack", "mount"]
    _, bar, point, *_ = right.lines
    assert bar.get_xdata().tolist() == [0.2, 0.6] and point.get_xdata().tolist() == [0.3]
    assert [text.get_text() for text in right.get_yticklabels()] == ["onset", "offset"] * 2
    # The first class is on top, and scores without a definition have no point.
    assert right.yaxis_inverted() and np.isnan(right.lines[6].get_xdata()).all()
    figure.canvas.draw()
    assert left.get_window_extent().x1 < right.get_window_extent().x0


def test_bouts_share_the_place_of_any_axes(results, pyplot, legend):
    ax = pyplot.figure(figsize=(8, 3)).add_axes((0.1, 0.2, 0.6, 0.7))
    bout_scores(results, "raw keypoints", classes="mount", percent=5.0, title="$a", ax=ax)
    right = ax.figure.axes[1]
    assert ax.get_position().x0 == 0.1 and right.get_position().x1 == pytest.approx(0.7)
    assert legend(right) == ["mount"] and ax.get_title(loc="left") == r"\$a"


def test_annotators_are_a_heat_map(results, ax):
    with pytest.raises(InputError, match="`order`: no annotator 'c'"):
        annotator_matrix(results, order=["b", "c"])
    annotator_matrix(results, order=["b", "a"], ax=ax)
    image = ax.images[0].get_array()
    assert image[0, 1] == 0.8 and np.ma.getmaskarray(image).diagonal().all() and texts(ax)[0] == "1.00"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["b", "a"]


def test_transfer_is_compared_within_rows(results, ax):
    annotator_matrix(results, "transfer", ax=ax)
    np.testing.assert_allclose(ax.images[0].get_array()[0], [0.1, -0.1])
    assert texts(ax) == ["0.600", "0.400", "–", "–"] and (ax.get_ylabel(), ax.get_xlabel()) == ("of", "in")


def changed(results, **more):
    return deepcopy(results) | more


@pytest.mark.parametrize("name", ["confusion", "calibration", "bouts"])
def test_results_of_an_older_version_say_what_to_do(name, results):
    for one in results["rows"]:
        del one[name]
    with pytest.raises(InputError, match=r"written before `probe` stored .* run `probe` again"):
        {"confusion": confusion, "calibration": calibration, "bouts": bout_scores}[name](results)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda r: confusion(r, "magic"), "`representation` 'magic': the results have 'trained encoder', "),
        (lambda r: confusion(r, percent=7.0), "`percent=7`: 'trained encoder' has the percents 100, 5, 1"),
        (lambda r: confusion(changed(r, rows=[row("a", 100.0, 0.5, confusion=None)])), "do not exclude each other"),
        (lambda r: calibration(r, classes=["sleep"]), "no probabilities of 'sleep'"),
        (lambda r: bout_scores(r, classes=["other"]), "no bouts of 'other'; the results have 'attack', 'mount'"),
        (lambda r: bout_scores(changed(r, rows=[row("a", 100.0, 0.5, bouts={})])), "no class of 'a' was learned"),
        (lambda r: few_label_curve(changed(r, rows=r["rows"][:1])), "one share of the labels"),
        (lambda r: few_label_curve(r, "accuracy"), "`score` must be one of"),
        (lambda r: few_label_curve(r, behavior="sleep"), "`behavior` 'sleep'"),
        (lambda r: few_label_curve(r, over="hours"), "`over` must be"),
        (lambda r: few_label_curve(changed(r, split={"parts": {}}), over="recordings"), "choose `over='percent'`"),
        (lambda r: few_label_curve({}), "`results` is empty"),
        (lambda r: annotator_matrix(r, "faces"), "`name` 'faces': the matrices of annotators are 'agreement', "),
        (lambda r: annotator_matrix(changed(r, mode="linear")), "`mode=linear`"),
        (lambda r: annotator_matrix({n: v for n, v in r.items() if n != "annotators"}), "written before"),
        (lambda _: confusion([1, 2]), "`results` must be what `probe` returns, .* got list"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(draw, message, results, pyplot):
    with pytest.raises(InputError, match=message):
        draw(results)
    assert not pyplot.get_fignums()

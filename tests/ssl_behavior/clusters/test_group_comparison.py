import json
from dataclasses import replace

import numpy as np
import pytest
from simulated_studies import PLANTED, StudyConfig, simulate_study

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.group_comparison import MEASURES, ProfilesConfig, compare_profiles
from ssl_behavior.clusters.groups import Groups
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError

QUICK = ProfilesConfig(permutations=1000, resamples=100)


def of(profiles, measure="share"):
    return [one for one in profiles.comparisons if one.measure == measure]


def discoveries(config, seeds, settings=QUICK):
    """For each study, which clusters' shares were found to differ."""
    found = []
    for seed in seeds:
        clusters, groups = simulate_study(config, seed)
        found.append({one.cluster for one in of(compare_profiles(clusters, groups, settings)) if one.found})
    return found


def false_share(found, planted=()):
    """Mean share of discoveries that are false."""
    return float(np.mean([len(one - set(planted)) / max(len(one), 1) for one in found]))


def test_values_are_those_of_an_animals_recordings_together(clusters):
    group = {"r0": "x", "r1": "x", "r2": "y"}
    groups = Groups(factor="f", names=("x", "y"), group=group, animal={"r0": "a", "r1": "a", "r2": "b"}, within=False)
    with_rates = FrameClusters(
        [replace(row, fps=fps) for row, fps in zip(clusters.rows, (30.0, 10.0, 30.0), strict=True)],
        clusters.labels, clusters.num_clusters,
    )  # fmt: skip
    found = compare_profiles(with_rates, groups, QUICK)
    assert found.cells == (("x", "a"), ("y", "b"))
    own = clusters.labels[: 101 + 53]
    seconds = 101 / 30 + 53 / 10
    for cluster in range(5):
        assert found.values["share"][0, cluster] == pytest.approx((own == cluster).mean())
        bouts = [
            (stop - start) / row.fps
            for row in with_rates.rows[:2]
            for start, stop, k in with_rates.bouts(row)
            if k == cluster
        ]
        assert found.values["bouts_per_minute"][0, cluster] == pytest.approx(len(bouts) / seconds * 60)
        median = found.values["median_bout_s"][0, cluster]
        assert median == pytest.approx(np.median(bouts)) if len(bouts) >= 3 else np.isnan(median)
    # One animal in each group: means are there, and nothing is tested.
    assert all(one.p is None and one.q is None and not one.found for one in found.comparisons)
    assert of(found)[0].of_first.mean == pytest.approx((own == 0).mean()) and of(found)[0].of_first.std is None


def test_splitting_recordings_does_not_make_more_animals():
    clusters, groups = simulate_study(StudyConfig(animals=4, recordings=1, minutes=4.0, ratio=3.0), 0)
    whole = compare_profiles(clusters, groups, QUICK)
    rows, group, animal = [], {}, {}
    for row in clusters.rows:
        for part in range(4):
            rows.append(EmbeddingRow(id=f"{row.id}-{part}", offset=row.offset + part * 600, frames=600, fps=row.fps))
            group[rows[-1].id], animal[rows[-1].id] = groups.group[row.id], groups.animal[row.id]
    parts = compare_profiles(
        FrameClusters(rows, clusters.labels, 20), replace(groups, group=group, animal=animal), QUICK
    )
    assert [(one.p, one.difference) for one in of(parts)] == [(one.p, one.difference) for one in of(whole)]
    assert whole.exact and whole.arrangements == 70


def test_what_cannot_be_found_is_said_before():
    clusters, groups = simulate_study(StudyConfig(animals=3, minutes=2.0), 0)
    (note,) = compare_profiles(clusters, groups, QUICK).notes
    assert note.startswith("with 3 and 3 animals no p value can be below 0.1: no difference can be found at 0.05")
    clusters, groups = simulate_study(StudyConfig(animals=5, minutes=2.0), 0)
    (note,) = compare_profiles(clusters, groups, QUICK).notes
    assert "among 20 clusters a single different one cannot be found at 0.05, only 4 or more together" in note
    clusters, groups = simulate_study(StudyConfig(animals=8, minutes=2.0), 0)
    assert compare_profiles(clusters, groups, ProfilesConfig(resamples=100)).notes == ()


def test_what_cannot_be_found_of_pairs_is_said_too():
    def notes(of_each, permutations):
        clusters, groups = simulate_study(StudyConfig(animals=9, recordings=1, minutes=2.0, num_clusters=2), 0)
        names = dict(zip(groups.group, np.repeat(["x", "y", "z", ""], [*of_each, 18 - sum(of_each)]), strict=True))
        names = {id: str(name) for id, name in names.items() if name}
        three = replace(groups, names=("x", "y", "z"), group=names)
        return compare_profiles(clusters, three, ProfilesConfig(permutations=permutations, resamples=100)).notes

    unsure, hopeless = notes((3, 3, 4), 5000)
    assert unsure.startswith("with 3 and 4 animals no p value can be below 0.029")
    assert hopeless.startswith("no p value of x and y can be as low as 0.05: the overall test") and "z" not in hopeless
    (note,) = notes((4, 4, 4), 40_000)
    assert note.startswith("with 4 and 4 animals no p value can be below 0.029: among 2 clusters and 3 pairs of groups")
    (note,) = notes((2, 2, 2), 1000)
    assert note.startswith("with 2 and 2 and 2 animals no p value can be below 0.067: no difference can be found")


def test_a_planted_difference_is_found_in_its_direction():
    clusters, groups = simulate_study(StudyConfig(animals=8, ratio=3.0), 0)
    found = compare_profiles(clusters, groups, QUICK)
    first, second = (of(found)[cluster] for cluster in PLANTED)
    assert {one.cluster for one in of(found) if one.found} == set(PLANTED)
    assert first.difference < 0 < second.difference and first.high < 0 < second.low
    assert first.hedges_g < -1 and first.cliffs_delta < -0.8 and first.q >= first.p
    assert (first.first, first.second, first.of_first.animals) == ("control", "treated", 8)
    assert {one.cluster for one in of(found, "bouts_per_minute") if one.found} == set(PLANTED)


def test_few_studies_in_which_nothing_is_planted():
    found = discoveries(StudyConfig(animals=6, minutes=5.0), range(10))
    assert sum(bool(one) for one in found) <= 2


def test_of_three_groups_all_are_tested_together_and_then_by_pairs():
    clusters, groups = simulate_study(StudyConfig(animals=12, recordings=1, minutes=6.0, ratio=4.0), 0)
    late = [id for id, name in groups.group.items() if name == "treated"][6:]
    third = dict(groups.group) | dict.fromkeys(late, "late")
    three = replace(groups, names=("control", "treated", "late"), group=third)
    found = compare_profiles(clusters, three, QUICK)
    assert {one.cluster for one in found.overall if one.found and one.measure == "share"} == set(PLANTED)
    pairs = {(one.first, one.second) for one in of(found) if one.found}
    assert pairs == {("control", "treated"), ("control", "late")}
    assert len(of(found)) == 3 * 20 and not any(one.found for one in of(found) if one.cluster not in PLANTED)


def test_days_of_one_animal_are_compared_within_it():
    """Animals differ much more than days do; only a comparison of each with itself can tell."""
    generator = np.random.default_rng(0)
    rows, labels, group, animal = [], [], {}, {}
    for number in range(9):
        base = generator.uniform(0.1, 0.8)
        for day, share in (("1", base), ("2", base + 0.05)):
            id = f"a{number}-{day}"
            rows.append(EmbeddingRow(id=id, offset=len(rows) * 4000, frames=4000, fps=10.0))
            labels.append(np.repeat(generator.permutation(400) < 400 * share, 10).astype(np.int32))
            group[id], animal[id] = day, f"a{number}"
    clusters = FrameClusters(rows, np.concatenate(labels), 2)
    groups = Groups(factor="day", names=("1", "2"), group=group, animal=animal, within=True)
    found = of(compare_profiles(clusters, groups, QUICK))[1]
    assert found.found and found.p == 2 / 2**9 and found.difference == pytest.approx(0.05, abs=0.01)
    as_if_others = replace(groups, animal={id: id for id in group}, within=False)
    assert not of(compare_profiles(clusters, as_if_others, QUICK))[1].found


def test_results_are_json_and_depend_on_the_seed_alone():
    clusters, groups = simulate_study(StudyConfig(animals=7, recordings=1, minutes=1.0, num_clusters=30), 1)
    first = compare_profiles(clusters, groups, QUICK).to_dict()
    text = json.dumps(first, allow_nan=False)
    assert text == json.dumps(compare_profiles(clusters, groups, QUICK).to_dict(), allow_nan=False)
    assert text != json.dumps(compare_profiles(clusters, groups, replace(QUICK, seed=1)).to_dict(), allow_nan=False)
    assert first["design"] == "between animals" and len(first["animals"]) == 14
    assert len(first["comparisons"]) == 30 * len(MEASURES)
    # In a minute, a median of fewer than three bouts is none.
    assert any(value is None for one in first["animals"] for value in one["median_bout_s"])


@pytest.mark.parametrize(
    "wrong", [{"level": 0.0}, {"level": 1.0}, {"permutations": 99}, {"resamples": 10}]
)  # fmt: skip
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(InputError, match=f"`{next(iter(wrong))}` must be"):
        ProfilesConfig(**wrong)


@pytest.mark.parametrize("wrong", [{"animals": 0}, {"ratio": 0.0}, {"num_clusters": 1}, {"spread": -1.0}])
def test_studies_that_make_no_sense(wrong):
    with pytest.raises(InputError, match="a study"):
        StudyConfig(**wrong)


@pytest.mark.slow
def test_two_hundred_studies_with_and_without_a_difference():
    """The false discovery rate is at most the level (and what chance adds in 200 studies); what is planted is found."""
    chance = 3 * np.sqrt(0.05 * 0.95 / 200)
    nothing = discoveries(StudyConfig(animals=8), range(200))
    assert false_share(nothing) <= 0.05 + chance
    planted = discoveries(StudyConfig(animals=10, ratio=2.0), range(200))
    assert false_share(planted, PLANTED) <= 0.05 + chance
    power = np.mean([len(one & set(PLANTED)) / len(PLANTED) for one in planted])
    assert power > 0.9

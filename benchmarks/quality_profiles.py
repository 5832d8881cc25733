"""False discovery rate and power of group profiles, on simulated studies of two groups of animals.

    python benchmarks/quality_profiles.py [--studies 200]

Each study has 20 clusters and two recordings of ten minutes per animal (`simulated_studies.py`). In some
nothing is planted; in others two clusters exchange their frequencies in the second group. Reported over the studies,
for shares of frames at a false discovery rate of 0.05: the share of false among the found clusters (its mean is the
false discovery rate), how many of the planted ones are found, how often the 95 % interval of a difference that is 0
holds 0, and, for each of the other two measures, the false discovery rate again. Last, the same with every recording
counted as a separate animal, the error that the test over animals avoids. The last line of stdout is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from simulated_studies import PLANTED, StudyConfig, simulate_study

from ssl_behavior.clusters.group_comparison import (
    MEASURES,
    Comparison,
    Profiles,
    ProfilesConfig,
    compare_profiles,
)
from ssl_behavior.clusters.groups import Groups

STUDIES = {
    "nothing, 4 animals": StudyConfig(animals=4),
    "nothing, 8 animals": StudyConfig(animals=8),
    "nothing, 12 animals": StudyConfig(animals=12),
    "twice as often, 6 animals": StudyConfig(animals=6, ratio=2.0),
    "twice as often, 8 animals": StudyConfig(animals=8, ratio=2.0),
    "twice as often, 10 animals": StudyConfig(animals=10, ratio=2.0),
    "twice as often, 14 animals": StudyConfig(animals=14, ratio=2.0),
    "half as often again, 14 animals": StudyConfig(animals=14, ratio=1.5),
}
AS_ANIMALS = StudyConfig(animals=8, recordings=4, minutes=5.0)
SETTINGS = ProfilesConfig(permutations=2000, resamples=500)


def recordings_as_animals(groups: Groups) -> Groups:
    """Study with every recording as a separate animal, a common mistake."""
    return replace(groups, animal={id: id for id in groups.group})


def results(config: StudyConfig, number: int, apart: bool = False) -> Iterator[Profiles]:
    for seed in range(number):
        clusters, groups = simulate_study(config, seed)
        groups = recordings_as_animals(groups) if apart else groups
        yield compare_profiles(clusters, groups, replace(SETTINGS, seed=seed))


def false_share(comparisons: Sequence[Comparison], planted: Sequence[int]) -> float:
    found = [one.cluster for one in comparisons if one.found]
    return sum(cluster not in planted for cluster in found) / max(len(found), 1)


def summary(config: StudyConfig, number: int, apart: bool = False) -> dict[str, Any]:
    planted = PLANTED if config.ratio != 1 else ()
    false: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    found, held, small = [], [], []
    for profiles in results(config, number, apart):
        for measure in MEASURES:
            own = [one for one in profiles.comparisons if one.measure == measure]
            false[measure].append(false_share(own, planted))
        share = [one for one in profiles.comparisons if one.measure == "share"]
        found += [one.found for one in share if one.cluster in planted]
        held += [one.low <= 0 <= one.high for one in share if one.cluster not in planted]
        small += [one.p <= 0.05 for one in share if one.cluster not in planted]
    rate = np.array(false["share"])
    return {
        "false_discovery_rate": round(float(rate.mean()), 3),
        "standard_error": round(float(rate.std(ddof=1) / np.sqrt(number)), 3),
        "power": round(float(np.mean(found)), 3) if found else None,
        "interval_holds_zero": round(float(np.mean(held)), 3),
        "p_at_most_0.05": round(float(np.mean(small)), 3),
        "false_discovery_rate_bouts_per_minute": round(float(np.mean(false["bouts_per_minute"])), 3),
        "false_discovery_rate_median_bout_s": round(float(np.mean(false["median_bout_s"])), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    options = parser.parse_args()
    began = time.perf_counter()
    found: dict[str, Any] = {}
    for name, config in STUDIES.items():
        found[name] = summary(config, options.studies)
        print(name, found[name], flush=True)
    for name, apart in (("by animals", False), ("by recordings", True)):
        found[f"nothing, 8 animals of 4 recordings, {name}"] = summary(AS_ANIMALS, options.studies, apart)
        print(name, found[f"nothing, 8 animals of 4 recordings, {name}"], flush=True)
    seconds = round(time.perf_counter() - began)
    print(json.dumps({"benchmark": "quality_profiles", "studies": options.studies, "seconds": seconds} | found))


if __name__ == "__main__":
    main()

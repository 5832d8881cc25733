"""Speed of one to four animals: features of all their views, and a training step on scenes, animals and pairs.

    python benchmarks/bench_groups.py [--animals 4 3 2 1] [--windows 16] [--frames 1024] [--repeats 5]

Ceilings, in turn with each job, are those of `bench_encoder.py`. A view is one animal toward another: one to four
animals have 1, 2, 6 and 12. The largest group comes first, because virtual machines are slow to hand over memory the
first time. The last line of stdout is one JSON object.
"""

import argparse
import json
from dataclasses import replace

import torch
from bench_encoder import bench_steps, mice, time_features, windows

from pretrain.recipes import RECIPES
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.features import Featurizer
from ssl_behavior.units import UNITS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--animals", type=int, nargs="+", default=[4, 3, 2, 1], choices=[1, 2, 3, 4])
    parser.add_argument("--windows", type=int, default=16, help="of the feature benchmark")
    parser.add_argument("--frames", type=int, default=1024, help="of each of these windows")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device, config = choose_device(options.device), RECIPES["summaries"]()
    config = replace(config, method=replace(config.method, units=UNITS))
    groups = {}
    for animals in options.animals:
        batch = windows(options.windows, options.frames, animals).to(device)
        featurizer = Featurizer(config.method.features, mice(1, animals).skeleton).to(device)
        featurizer.scale_px.fill_(60.0)
        features = time_features(featurizer, batch, options.repeats)
        views = featurizer.views(batch).number
        groups[animals] = {
            "views": views,
            "features": features | {"values_per_s": features["frames_per_s"] * views * featurizer.num_channels},
            **bench_steps(config, device, options.repeats, animals),
        }
    result = {
        "benchmark": "groups",
        "machine": describe_device(device, choose_precision("auto", device)),
        "torch": torch.__version__,
        "animals": groups,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

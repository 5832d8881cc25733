"""Speed of the supervised window classifiers, compared with the machine's ceiling, and projected time of the tables.

    python benchmarks/bench_systems.py [--seconds 4] [--systems conv1d lstm ...]

Each network learns from and predicts simulated mice with its published settings for a few seconds. Its operations are
counted, so its share of the ceiling (convolutions of 256 channels, forward and backward, measured before and after) can
be told, and the time that Tables 1 to 4 would take in full: on this machine as measured, and on one H200 as the longer
of arithmetic at 100 TFLOP/s, a tenth of its published dense bf16 rate, and starting every kernel of a step, at 8 µs
each, which is what such small networks spend their time on there. This is a projection, not a measurement.
Joint and pretrained encoders are measured by `bench_encoder.py`. The last line of stdout is one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from probe.calms21.baselines import BASELINES, BaselineConfig, assemble_inputs
from probe.calms21.baselines.augmentation import augment
from probe.calms21.baselines.inputs import Inputs
from probe.calms21.baselines.networks import Lstm
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.seeds import torch_generator
from ssl_behavior.simulate import simulate_recording
from ssl_behavior.store import write_store

TASK1_TRAIN, TASK1_TEST = 507_738, 262_107
TASK2_TRAIN, TASK2_TEST = 540_000, 540_000
TASK3_TRAIN, TASK3_TEST = 300_000, 250_000
"""Frames of CalMS21's tasks; those of Task 1 are known, of Task 2 six ten-minute videos for each of five annotators, of
Task 3 a guess by the size of its zip file."""
H200_FLOPS = 100e12
KERNEL_SECONDS = 8e-6
TABLES = {
    "fully_connected": (TASK1_TRAIN * 15, TASK1_TEST),
    "lstm": (TASK1_TRAIN * 20, TASK1_TEST),
    "self_attention": (TASK1_TRAIN * 20, TASK1_TEST),
    "single_frame": (TASK1_TRAIN * 15, TASK1_TEST),
    "conv1d_causal": (TASK1_TRAIN * 15, TASK1_TEST),
    # Task 1 with and without features.
    "conv1d": (2 * TASK1_TRAIN * 15, 2 * TASK1_TEST),
    # The parent, and what is fine-tuned from it: as described, as run and with features.
    "conv1d_augmented": (
        TASK1_TRAIN * 50 + 3 * (TASK2_TRAIN * 15 + TASK3_TRAIN * 50), TASK1_TEST + 3 * (TASK2_TEST + TASK3_TEST),
    ),
    # Once on everything, once in two halves.
    "msg3d": ((1 + 1) * TASK3_TRAIN * 12 // 32, (1 + 2) * TASK3_TEST),
}  # fmt: skip
"""System -> frames learned from and frames predicted for one seed of Tables 1 to 4."""


class KernelCounter(TorchDispatchMode):
    """Counts operations that compute something, backward included: no views, no allocations.

    A lower bound where one operation is many kernels, such as the LSTM.
    """

    FREE = frozenset(
        (
            "view",
            "_unsafe_view",
            "reshape",
            "transpose",
            "t",
            "squeeze",
            "unsqueeze",
            "permute",
            "expand",
            "slice",
            "select",
            "detach",
            "alias",
            "as_strided",
            "split",
            "split_with_sizes",
            "chunk",
            "unbind",
            "unfold",
            "empty",
            "empty_like",
            "empty_strided",
            "new_empty",
            "new_empty_strided",
        )
    )

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ not in self.FREE
        return func(*args, **(kwargs or {}))


def ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of convolutions, forward and backward: the best of five."""
    conv = torch.nn.Conv1d(256, 256, 5, padding=2, device=device, dtype=dtype)
    x = torch.randn(32, 256, 256, device=device, dtype=dtype, requires_grad=True)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        conv(x).sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 3 * 2 * 32 * 256 * 256 * 256 * 5 / (time.perf_counter() - start))
    return best


def rate(job: Callable[[], int], seconds: float) -> float:
    """Items per second of a job that says how many it did; the first call does not count."""
    job()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += job()
    return done / (time.perf_counter() - start)


def bench(config: BaselineConfig, inputs: Inputs, precision: torch.dtype, seconds: float) -> dict[str, float]:
    """Frames per second of training and of prediction, and operations per frame of training."""
    device, generator = inputs.values.device, torch_generator(0, "bench", device=str(inputs.values.device))
    network = config.network.build(inputs.layout, config.window.num_samples, 4, torch_generator(0, "init")).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    before, after = config.window.receptive_field
    first = min(inputs.starts.values())
    target = torch.arange(config.batch_size, device=device) % 4
    sizes = torch.tensor([[1024.0, 570.0]], device=device).expand(config.batch_size, -1)

    def step() -> int:
        network.train()
        places = first + torch.randint(0, 4_000, (config.batch_size,), device=device)
        windows = config.window.gather(inputs.values, places)
        if config.augment is not None:
            windows = augment(windows, inputs.layout, config.augment, sizes, generator)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = network(windows, generator)
        loss = F.cross_entropy(logits.float(), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return config.batch_size

    def predict() -> int:
        network.eval()
        with torch.inference_mode():
            frames = 512 if config.predict_stride > 1 else 2048
            network.slide(inputs.values[first - before : first + frames + after], config.window)
        return frames * config.predict_stride

    with FlopCounterMode(display=False) as counter:
        step()
    with KernelCounter() as kernels:
        step()
    with KernelCounter() as predicting:
        predicted = predict()
    return {
        "training_frames_per_s": rate(step, seconds),
        "predicted_frames_per_s": rate(predict, seconds),
        "kernels_per_step": kernels.count,
        "kernels_per_predicted_frame": predicting.count / predicted,
        "batch_size": config.batch_size,
        "training_flops_per_frame": counter.get_total_flops() / config.batch_size + lstm_flops(network, config),
        "parameters": sum(p.numel() for p in network.parameters()),
    }


def lstm_flops(network: torch.nn.Module, config: BaselineConfig) -> float:
    """Operations of training on a window in recurrent layers, which the counter does not know."""
    layers = [module for module in network.modules() if isinstance(module, Lstm)]
    weights = sum(layer.input_weight.numel() + layer.state_weight.numel() for layer in layers)
    return 3 * 2 * config.window.num_samples * weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--seconds", type=float, default=4.0, help="for each measurement")
    options = parser.parse_args()
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    torch.manual_seed(0)
    best = ceiling(device, precision)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", [simulate_recording(0, 8_000)])
        for name in options.systems:
            config = BASELINES[name]
            inputs = assemble_inputs(store, store.rows, store.rows, config.window, observed=False).to(device)
            found[name] = bench(config, inputs, precision, options.seconds)
            print(name, {key: round(value, 1) for key, value in found[name].items()}, flush=True)
    best = max(best, ceiling(device, precision))
    here, accelerator = 0.0, 0.0
    for name, values in found.items():
        learned, predicted = TABLES[name]
        values["share_of_ceiling"] = values["training_frames_per_s"] * values["training_flops_per_frame"] / best
        values["hours_of_one_seed"] = (
            learned / values["training_frames_per_s"] + predicted / values["predicted_frames_per_s"]
        ) / 3600
        here += values["hours_of_one_seed"]
        arithmetic = (learned + predicted / 3) * values["training_flops_per_frame"] / H200_FLOPS
        started = learned / values["batch_size"] * values["kernels_per_step"]
        started += predicted * values["kernels_per_predicted_frame"]
        starting = started * KERNEL_SECONDS
        values["h200_hours_of_one_seed"] = max(arithmetic, starting) / 3600
        accelerator += values["h200_hours_of_one_seed"]
    print(json.dumps({
        "benchmark": "systems", "device": describe_device(device, precision), "torch": torch.__version__,
        "ceiling_gflops": best / 1e9, "systems": found, "hours_of_tables_one_seed": here,
        "hours_of_tables_five_seeds": 5 * here, "h200_hours_of_tables_five_seeds": 5 * accelerator,
    }))  # fmt: skip


if __name__ == "__main__":
    main()

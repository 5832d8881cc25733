"""Speed of features, training steps and embedding, each beside a ceiling measured in the same run.

    python benchmarks/bench_encoder.py [--recipe cpc_mabe2021] [--encoder-of RECIPE] [--repeats 7] [--profile]

A ceiling is the machine's speed, at that moment, on the operation that dominates a job: for features, reading and
writing the same arrays once; for a training step and embedding, convolutions of the recipe's widths, forward and
backward (forward only for embedding), in the recipe's best precision. Steps and ceilings alternate, and ratios are
taken pair by pair, so drift of the machine's speed cancels.
The last line of stdout is one JSON object.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from timing import in_turn
from torch.utils.flop_counter import FlopCounterMode

from pretrain.config import RunConfig
from pretrain.recipes import RECIPES
from ssl_behavior.cli import use_large_pages
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.features import MABE2021_FEATURES, Featurizer
from ssl_behavior.methods import METHODS, method_name
from ssl_behavior.methods.base import Method
from ssl_behavior.recording import Recording
from ssl_behavior.simulate import GroupPlan, simulate_plan, simulate_recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowBatch, WindowReader, recording_window

use_large_pages()


def mice(frames: int, number: int = 2) -> Recording:
    """Simulated mice with identities where there are two; more or fewer are anonymous."""
    if number == 2:
        return simulate_recording(0, frames)
    return simulate_plan(GroupPlan(id="group", num_frames=frames, num_mice=number, labeled=False), 0)


def windows(count: int, frames: int, animals: int = 2) -> WindowBatch:
    """Simulated mice, cut into windows."""
    recording = mice(count * frames, animals)
    batch = recording_window(recording, 0, count * frames)
    fields = {"keypoints": batch.keypoints, "observed": batch.observed, "valid": batch.valid, "frame": batch.frame}
    cut = {name: value[0].unflatten(0, (count, frames)) for name, value in fields.items()}
    each = {name: getattr(batch, name).expand(count) for name in ("length", "fps", "px_per_cm")}
    wide = {name: getattr(batch, name).expand(count, -1) for name in ("arena", "present")}
    return WindowBatch(**cut, **each, **wide)


def bench_features(frames: int, repeats: int) -> dict[str, float]:
    """The 37 features and 16 components of the MABe 2021 winner, one animal's view of two mice."""
    featurizer = Featurizer(MABE2021_FEATURES, SKELETONS["calms21"], first_only=True)
    return time_features(featurizer, windows(frames // 512, 512), repeats)


def time_features(featurizer: Featurizer, batch: WindowBatch, repeats: int) -> dict[str, float]:
    """Frames per second, beside reading the keypoints and reading and writing the features once."""
    frames, device = batch.valid.numel(), batch.valid.device

    def job() -> None:
        with torch.inference_mode():
            featurizer(batch)
        _wait(device)

    source = torch.empty_like(featurizer(batch))

    def ceiling() -> None:
        torch.add(batch.keypoints, 1.0)
        torch.add(source, 1.0)
        _wait(device)

    own, best, ratio = in_turn(job, ceiling, repeats)
    return {"frames_per_s": frames / own, "read_write_frames_per_s": frames / best, "share_of_read_write": 1 / ratio}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def conv_flops(batch: int, dim: int, steps: int) -> int:
    """Multiply-adds of one kernel-3 convolution, counted as two operations each."""
    return 2 * batch * steps * 3 * dim * dim


def make_ceiling(
    batch: int, dim: int, steps: int, precision: torch.dtype, device: torch.device, backward: bool
) -> tuple[Callable[[], None], int]:
    """Four kernel-3 convolutions in a row, and the operations they take."""
    convs = [torch.nn.Conv1d(dim, dim, 3, padding=1, device=device, dtype=precision) for _ in range(4)]
    x = torch.randn(batch, dim, steps, device=device, dtype=precision, requires_grad=backward)

    def job() -> None:
        with torch.set_grad_enabled(backward):
            y = x
            for conv in convs:
                y = conv(y)
            if backward:
                y.backward(torch.ones_like(y))
        _wait(device)

    return job, len(convs) * conv_flops(batch, dim, steps) * (3 if backward else 1)


def new_method(config: RunConfig, device: torch.device, animals: int = 2) -> Method:
    """Untrained, its inputs fitted to a simulated recording."""
    recording = mice(4096, animals)
    method = METHODS[method_name(config.method)](config.method, recording.skeleton, 30.0)
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", [recording])
        method.fit_inputs(WindowReader([(store, store.rows[0])], 1))
    return method.to(device)


def with_encoder_of(config: RunConfig, other: RunConfig) -> RunConfig:
    """The objectives of one recipe on the encoder, the inputs and the windows of another."""
    method = replace(config.method, encoder=other.method.encoder, features=other.method.features)
    return replace(config, method=method, data=other.data)


def ceiling_shape(config: RunConfig) -> tuple[int, int, int]:
    """Windows, channels and steps of the convolutions that make the ceiling: the method's own, as near as may be."""
    data, method = config.data, config.method
    if not hasattr(method, "encoder"):
        windows = data.window_frames // method.window_frames
        return data.batch_size * windows, method.gru_dim, method.window_frames
    return data.batch_size, method.encoder.contexter_dim, data.window_frames // method.encoder.stride


def bench_steps(config: RunConfig, device: torch.device, repeats: int, animals: int = 2) -> dict[str, dict[str, float]]:
    """A training step and a pass of embedding, in operations per second, beside the convolution ceiling."""
    torch.manual_seed(0)
    method = new_method(config, device, animals)
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-4)
    batch = windows(config.data.batch_size, config.data.window_frames, animals).to(device)
    precision = choose_precision("auto", device)

    def step() -> None:
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss = method.loss(batch, torch.Generator().manual_seed(0)).total
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        _wait(device)

    def embed() -> None:
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
            method.embed(batch)
        _wait(device)

    shape, results = ceiling_shape(config), {}
    for name, job, backward in (("step", step, True), ("embedding", embed, False)):
        with FlopCounterMode(display=False) as counter:
            job()
        flops = counter.get_total_flops()
        ceiling, ceiling_flops = make_ceiling(*shape, precision, device, backward)
        own, best, ratio = in_turn(job, ceiling, repeats)
        frames = config.data.batch_size * config.data.window_frames
        results[name] = {
            "frames_per_s": frames / own,
            "gflops": flops / own / 1e9,
            "ceiling_gflops": ceiling_flops / best / 1e9,
            "share_of_ceiling": flops / ceiling_flops / ratio,
            "seconds": own,
        }
    return results


def profile(config: RunConfig, device: torch.device) -> str:
    """Where the time of a step goes, by operation."""
    method = new_method(config, device)
    batch = windows(config.data.batch_size, config.data.window_frames).to(device)
    precision = choose_precision("auto", device)
    for measured in (False, True):
        with torch.profiler.profile(activities=None if measured else [torch.profiler.ProfilerActivity.CPU]) as profiler:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                loss = method.loss(batch, torch.Generator().manual_seed(0)).total
            loss.backward()
    return profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=44)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="cpc_mabe2021", choices=sorted(RECIPES))
    parser.add_argument(
        "--encoder-of", choices=["cpc", "cpc_mabe2021"], help="measure the recipe's objectives on this one's encoder"
    )
    parser.add_argument("--frames", type=int, default=65_536, help="of the feature benchmark")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--profile", action="store_true", help="also print where the time of a step goes")
    options = parser.parse_args()
    device, config = choose_device(options.device), RECIPES[options.recipe]()
    if options.encoder_of:
        config = with_encoder_of(config, RECIPES[options.encoder_of]())
    if options.profile:
        print(profile(config, device))
    result = {
        "benchmark": "encoder",
        "recipe": options.recipe,
        "encoder_of": options.encoder_of or options.recipe,
        "machine": describe_device(device, choose_precision("auto", device)),
        "torch": torch.__version__,
        "features": bench_features(options.frames, options.repeats),
        **bench_steps(config, device, options.repeats),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

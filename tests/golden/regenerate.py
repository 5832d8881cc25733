"""Twenty steps of every method on a made-up recording: the numbers that a change must not move unknowingly.

    python tests/golden/regenerate.py

writes them anew; the difference in the JSON files is part of the review.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ssl_behavior.augment import AugmentConfig
from ssl_behavior.features import FeatureConfig
from ssl_behavior.labeled_windows import LabeledBatch, LabeledReader, Sampling, StreamFacts
from ssl_behavior.methods import METHODS, CPCConfig
from ssl_behavior.methods.conv_base import EmbeddingConfig
from ssl_behavior.methods.joint import JointConfig, LabelsConfig
from ssl_behavior.methods.summary_prediction import SummaryPredictionConfig
from ssl_behavior.methods.task_programming import TaskProgrammingConfig
from ssl_behavior.methods.task_programming_conv import CPCProgramsConfig, TaskProgrammingConvConfig
from ssl_behavior.methods.task_programming_heads import HeadsConfig, TrajectoryConfig
from ssl_behavior.nn import EncoderConfig, MixerConfig
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.programs import ProgramsConfig
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.seeds import torch_generator
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store
from ssl_behavior.trajectory_coder import StateConfig
from ssl_behavior.window_statistics import SummariesConfig, WindowsConfig
from ssl_behavior.windows import WindowBatch, WindowReader, recording_window

FOLDER = Path(__file__).parent
STEPS, WINDOW_FRAMES, WINDOWS = 20, 48, 5

SCENE = SceneConfig(fill_gap_frames=3, hold_frames=5, max_jump=1.5)
CONV = {
    "features": FeatureConfig(
        blocks=("pose", "distances", "relation", "motion", "visibility"),
        lags_frames=(1, 5), distance_components=3, clip=5.0, scene=SCENE,
    ),
    "encoder": EncoderConfig(
        stride=2, animals="pooled", latent_dim=7, embedder_dim=11, embedder_kernels=(3,), contexter_dim=13,
        contexter_kernel=3, contexter_second_kernel=1, contexter_dilations=(1, 2), directions="both",
    ),
    "augment": AugmentConfig(reflect=0.5, swap=0.5, drop_keypoints=0.1, drop_frames=8, jitter_px=0.5),
}  # fmt: skip
PREDICTION = {
    "horizons_frames": (2, 6), "key_dim": 5, "temperature": 0.1, "own_negatives_every": 2, "own_guard_frames": 4,
}  # fmt: skip
PROGRAMS = ProgramsConfig(names=("speed", "facing_angle", "nose_nose_distance", "wall_distance"), num_classes=3)
MOVED = AugmentConfig(
    reflect=0.5, swap=0.0, drop_keypoints=0.1, drop_frames=8, jitter_px=0.5, rotate=0.5, translate=0.5
)
HEADS = HeadsConfig(regression=1.0, classification=0.5, contrastive=0.2, projection_dim=3, temperature=0.1)
TAUGHT = CONV | {
    "augment": MOVED, "programs": PROGRAMS, "heads": HEADS, "context_horizons_frames": (0, 4),
    "trajectory": TrajectoryConfig(
        likelihood=1.0, kl=1.0, consistency=0.5, latent_dim=4, free_bits=0.03, frames=9, steps_per_window=5,
        hidden_dim=12,
    ),
}  # fmt: skip
WINDOWS_AROUND = WindowsConfig(around_frames=(6, 18), past_frames=(8,), future_frames=(4,))
CONFIGS = {
    "cpc": CPCConfig(**CONV, **PREDICTION),
    "summaries": SummaryPredictionConfig(
        features=CONV["features"], augment=CONV["augment"],
        encoder=EncoderConfig(
            stride=2, animals="pooled", latent_dim=7, directions="none",
            mixer=MixerConfig(view_dim=9, dim=11, dilations=(1,), windows_dim=5, windows=WINDOWS_AROUND, blocks=1,
                              quantiles=(0.2, 0.5, 0.8), codes=12),
        ),
        embedding=EmbeddingConfig(feature_window_frames=(), extras=()),
        summaries=SummariesConfig(windows=WINDOWS_AROUND, components=10),
        drop_channels=0.2, drop_spans=0.1, span_frames=6, every_steps=2, whitening=0.5, part_frames=20,
    ),
    "task_programming": TaskProgrammingConfig(
        state=StateConfig(pose_components=3, scene=SCENE), programs=PROGRAMS, augment=MOVED, window_frames=15,
        gru_dim=9, fc_dim=8, latent_dim=5, likelihood=1.0, kl=1.0, free_bits=0.03, augmented=1.0, consistency=2.0,
        action_noise=0.1, heads=HEADS, extras=("time",),
    ),
    "task_programming_conv": TaskProgrammingConvConfig(**TAUGHT),
    "cpc_programs": CPCProgramsConfig(**TAUGHT, **PREDICTION, cpc=0.7),
    "joint": JointConfig(
        **CONV, **PREDICTION, cpc=0.7, embedding=EmbeddingConfig(feature_window_frames=(9,), extras=("time", "walls")),
        labels=LabelsConfig(
            streams=(StreamFacts(name="what", classes=("near", "far", "other"), background="other"),),
            annotators=("a", "b"), weight=0.8, balanced=True, smoothing=0.2, reads="embedding", hidden_dim=9,
            dropout=0.0, input_dropout=0.0,
        ),
    ),
}  # fmt: skip
"""Complete, so that other defaults do not move the numbers."""


def made_up_recording() -> Recording:
    """Two mice on circles of their own, stretching as they go, with points missing now and then."""
    generator = np.random.default_rng(0)
    frames, body = 307, np.array([(50, 0), (36, 12), (37, -13), (25, 0), (-20, 14), (-21, -15), (-35, 0)], float)
    angle = np.arange(frames)[:, None] * [0.05, -0.08] + [0.0, 2.0]
    center = np.stack([300 + 110 * np.cos(angle), 250 + 90 * np.sin(angle)], axis=-1)
    points = body * (1 + 0.2 * np.sin(3 * angle))[..., None, None] + generator.normal(0, 1, (frames, 2, 7, 2))
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    turned = np.stack([points[..., 0] * cos - points[..., 1] * sin, points[..., 0] * sin + points[..., 1] * cos], -1)
    keypoints = (turned + center[:, :, None]).astype(np.float32)
    keypoints[generator.random(keypoints.shape[:3]) < 0.1] = np.nan
    labels = Labels(vocabulary=("near", "far", "other"), frames=np.arange(frames) // 11 % 4 - 1, annotator="b")
    skeleton = SKELETONS["calms21"]
    return Recording(id="golden", keypoints=keypoints, fps=30.0, skeleton=skeleton, labels={"what": labels})


def batch_at(recording: Recording, step: int) -> LabeledBatch:
    """The windows of one step; the last reaches beyond the end of the recording."""
    starts = [(41 * step + 59 * i) % (recording.num_frames - 20) for i in range(WINDOWS)]
    parts = [recording_window(recording, start, WINDOW_FRAMES).to("cpu", torch.float64) for start in starts]
    values = {name: torch.cat([getattr(p, name) for p in parts]) for name in WindowBatch.__dataclass_fields__}
    labels = torch.full((WINDOWS, WINDOW_FRAMES, 1), -1)
    for row, start in zip(labels, starts, strict=True):
        known = torch.from_numpy(recording.labels["what"].frames[start : start + WINDOW_FRAMES])
        row[: len(known), 0] = known
    return LabeledBatch(**values, labels=labels, annotator=torch.ones(WINDOWS, dtype=torch.int64))


def losses(name: str) -> list[float]:
    """The loss of each of the first steps of a method, in double precision on the processor."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return list(_descend(name))
    finally:
        torch.set_default_dtype(before)


def _descend(name: str) -> Iterator[float]:
    recording = made_up_recording()
    torch.manual_seed(0)
    method = METHODS[name](CONFIGS[name], recording.skeleton, recording.fps)
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", [recording])
        method.fit_inputs(_reader(store, getattr(CONFIGS[name], "labels", None)))
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    for step in range(STEPS):
        loss = method.loss(batch_at(recording, step), torch_generator(0, "golden", step)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def _reader(store: Store, labels: LabelsConfig | None) -> WindowReader:
    sources = [(store, store.rows[0])]
    if labels is None:
        return WindowReader(sources, WINDOW_FRAMES)
    return LabeledReader(sources, WINDOW_FRAMES, {(str(store.path), "golden")}, labels, Sampling())


def main() -> None:
    """Write every method's losses."""
    for name in CONFIGS:
        (FOLDER / f"{name}.json").write_text(json.dumps({"losses": losses(name)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

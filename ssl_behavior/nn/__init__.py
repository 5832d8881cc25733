"""Networks, without losses."""

from ssl_behavior.nn.annotator_head import AnnotatorHead
from ssl_behavior.nn.conv import ConvStack, Direction, ResidualBlock, TemporalConv, receptive_field
from ssl_behavior.nn.encoder import (
    Contexters,
    Embedder,
    EncoderConfig,
    MixerConfig,
    MixingEmbedder,
    WindowBlock,
    make_embedder,
    pad_to_multiple,
    step_mean,
    to_frames,
    window_mean,
)
from ssl_behavior.nn.recurrent import RecurrentEncoder, TrajectoryDecoder

__all__ = [
    "AnnotatorHead",
    "Contexters",
    "ConvStack",
    "Direction",
    "Embedder",
    "EncoderConfig",
    "MixerConfig",
    "MixingEmbedder",
    "RecurrentEncoder",
    "ResidualBlock",
    "TemporalConv",
    "TrajectoryDecoder",
    "WindowBlock",
    "make_embedder",
    "pad_to_multiple",
    "receptive_field",
    "step_mean",
    "to_frames",
    "window_mean",
]

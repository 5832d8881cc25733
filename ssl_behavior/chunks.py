"""Whole recordings through an encoder, piece by piece, with the numbers of one pass."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.methods import Method
from ssl_behavior.windows import WindowBatch

__all__ = ["CHUNK_FRAMES", "chunked"]

CHUNK_FRAMES = 6144


def chunked(
    method: Method,
    compute: Callable[[WindowBatch], Float[Tensor, "batch time latent"]],
    read: Callable[[int, int], WindowBatch],
    num_frames: int,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """What `method` computes of every frame of a recording, chunk by chunk: (frames, float32 [time, latent]).

    Each chunk is read with as many frames more as the encoder reaches to either side, so the numbers are those of one
    pass over the whole recording.

    Parameters
    ----------
    compute : from windows to one row per frame, in eval mode and without gradients.
    read : (first frame, number of frames) -> a batch of one window.
    """
    device = next(method.parameters()).device
    before, after = (-(-side // method.alignment) * method.alignment for side in method.reach)
    chunk_frames = -(-chunk_frames // method.alignment) * method.alignment
    training = method.training
    method.eval()
    try:
        for start in range(0, num_frames, chunk_frames):
            stop = min(start + chunk_frames, num_frames)
            first, last = max(0, start - before), min(num_frames, stop + after)
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                values = compute(read(first, last - first).to(device))[0, start - first : stop - first]
            yield slice(start, stop), values.float().cpu().numpy()
    finally:
        method.train(training)

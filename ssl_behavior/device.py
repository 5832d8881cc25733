"""Choice of the device and of the precision; `auto` adapts both to the machine."""

import os
import platform
from pathlib import Path

import torch

from ssl_behavior.errors import InputError

__all__ = ["DEVICES", "PRECISIONS", "choose_device", "choose_precision", "describe_device"]

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str = "auto") -> torch.device:
    """Device by name; `auto` prefers CUDA, then Apple's MPS, then the CPU.

    Under torchrun each process takes the CUDA device of its LOCAL_RANK.

    Raises
    ------
    InputError
        If the name is unknown, or this machine (or this build of torch) has no such device.
    """
    if name not in DEVICES:
        raise InputError(f"unknown device {name!r}; known: {list(DEVICES)}")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available[name]:
        there = sorted(device for device, there in available.items() if there)
        raise InputError(f"`device` {name}: torch {torch.__version__} finds no such device here; it has {there}")
    if name == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of the heavy operations: `auto` is bfloat16 where `device` is fast at it, else float32.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if name == "auto":
        return torch.bfloat16 if _fast_at_bfloat16(device) else torch.float32
    if name not in PRECISIONS:
        raise InputError(f"unknown precision {name!r}; known: {['auto', *PRECISIONS]}")
    return PRECISIONS[name]


def _fast_at_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    # torch has no public question for these two; older and other builds may lack them.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


def describe_device(device: torch.device, precision: torch.dtype | None = None) -> str:
    """One line such as "AMD EPYC 9654, 2 threads, bfloat16"."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        text = f"{torch.cuda.get_device_name(device)}, {memory:.0f} GiB"
    elif device.type == "mps":
        text = f"{_processor()} GPU (MPS)"
    else:
        threads = torch.get_num_threads()
        text = f"{_processor()}, {threads} thread{'s' * (threads != 1)}"
    return text if precision is None else f"{text}, {str(precision).removeprefix('torch.')}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or "CPU"

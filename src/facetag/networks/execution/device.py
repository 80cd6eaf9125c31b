"""Which processor the nets run on, and in which precision."""

import logging
import os

import torch

from facetag.errors import UsageError

_log = logging.getLogger(__name__)


def torch_device(name: str) -> torch.device:
    """The device of a `--device` option.

    Raises:
        UsageError: it is not a device, or CUDA is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or (kind == "cpu" and number):
        raise UsageError(f"{name!r} is not a device", "use auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return torch.device("cpu")
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    if index >= torch.cuda.device_count():
        raise UsageError(f"there is no CUDA device {index}", "use --device cpu, or install a CUDA build of torch")
    return torch.device("cuda", index)


def device_name(device: torch.device) -> str:
    """A device as people know it: `cpu`, or `cuda:0 (NVIDIA H100)`."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def is_half(precision: str, device: torch.device) -> bool:
    """Whether `precision` is bfloat16 rather than float32; says so where a CPU has no instructions for it.

    Raises:
        UsageError: it is neither, or the GPU has no bfloat16.
    """
    if precision not in ("float32", "bfloat16"):
        raise UsageError(f"{precision!r} is not a precision", "use float32 or bfloat16")
    half = precision == "bfloat16"
    if half and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UsageError(f"{device} has no bfloat16", "use --precision float32")
    has_it = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    if half and device.type == "cpu" and not has_it():
        _log.info("this processor has no bfloat16: float32 would be faster")
    return half

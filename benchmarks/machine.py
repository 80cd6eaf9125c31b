"""What a machine can do at best: matrix products, decoding, and what a model's nets ask of it."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from facetag.images.decode import read_image
from facetag.model import Model
from facetag.networks.locally_shared import LocallyShared
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.stages import answers
from facetag.predictor import FaceTagger

SIDE = 1024  #: of the matrices
CHANNELS, MAP = 256, 64  #: of the convolution, and the side of its map
REPEATS = 20  #: in one turn


def product_seconds() -> float:
    """Seconds a multiply-add in a product of float32 matrices SIDE x SIDE, on as many threads as torch uses."""
    one, other = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    return _seconds(partial(torch.mm, one, other, out=torch.empty(SIDE, SIDE))) / SIDE**3


def convolution_seconds() -> float:
    """Seconds a multiply-add in a 3 x 3 convolution of CHANNELS to as many over MAP x MAP; some processors do these
    faster than matrix products."""
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.rand(1, CHANNELS, MAP, MAP).contiguous(memory_format=torch.channels_last)
    return _seconds(partial(layer, maps)) / (layer.weight.numel() * MAP**2)


def _seconds(work: Callable[[], object]) -> float:
    """Of one of REPEATS calls after one that is not timed."""
    with torch.inference_mode():
        work()
        start = time.perf_counter()
        for _ in range(REPEATS):
            work()
    return (time.perf_counter() - start) / REPEATS


def decoding_seconds(files: Sequence[Path], threads: int) -> float:
    """Seconds to read and decode these files as facetag does."""
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(_decode, files):
            pass
    return time.perf_counter() - start


def _decode(file: Path) -> None:
    read_image(str(file))  # the pixels are not kept


def multiply_adds(model: Model, files: Sequence[Path]) -> float:
    """Multiply-adds of a model's nets an image, in a real run over these files: mirror images, views and what fills
    up groups of fixed size are in it, the scaling of pictures and the SVMs are not."""
    tagger = FaceTagger(model, device="cpu", workers=1)
    reading = ReadSettings(batch=tagger.reading.batch)
    with counting(nets_of(model)) as counted:
        for _ in answers(map(str, files), tagger.cascade, reading):
            pass
    return sum(counted) / len(files)


def nets_of(model: Model) -> list[nn.Module]:
    """All nets of a model."""
    lnets = [lnet.net for lnet in (model.lnet_o, model.lnet_s) if lnet]
    return [*lnets, *([model.center_net] if model.center_net else []), model.anet]


@contextmanager
def counting(nets: Sequence[nn.Module]) -> Iterator[list[int]]:
    """A list to which every call of a layer with weights adds its multiply-adds, as long as this lasts.

    torch's FlopCounterMode counts the same, as a test holds, but in its own thread alone, where no real run looks at
    images. What it does not know counts for nothing there, and here is an error.
    """
    counted: list[int] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        counted.append(multiply_adds_of(layer, output))

    with ExitStack() as hooks:
        for net in nets:
            for layer in net.modules():
                if list(layer.parameters(recurse=False)):
                    hooks.callback(layer.register_forward_hook(note).remove)
        yield counted


def multiply_adds_of(layer: nn.Module, output: Tensor) -> int:
    """What a layer's output took.

    Raises:
        TypeError: it is a layer that cannot be counted.
    """
    if isinstance(layer, LocallyShared):  # its output may be pooled already
        return len(output) * layer.weight.numel() * layer.cell**2
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return output.numel() * layer.weight[0].numel()
    raise TypeError(f"{type(layer).__name__} is not counted yet")


def pixels_of(file: Path) -> int:
    """Pixels of an image file."""
    height, width = read_image(str(file)).pixels.shape[:2]
    return height * width


def processor() -> str:
    """The processor's name, as Linux says it or as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

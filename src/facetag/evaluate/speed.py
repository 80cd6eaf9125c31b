"""How fast the interweaved operation and the cascade are (paper, sections 3.2 and 5), counted and timed.

What is compared is timed in turns within one run, so that whatever else the machine does falls on both alike.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from facetag.geometry import Box
from facetag.images.resample import Image, resize
from facetag.localization.base import Localizer
from facetag.networks.anet import HEIGHT, WIDTH, ANet
from facetag.networks.locally_shared import windows_of
from facetag.tagger import Tagger

STEP = 8  #: pixels between neighbouring windows
IMAGE_SIZE = 300  #: pixels of the paper's image
PATCHES = 128  #: patches that the plain net sees at once


@dataclass(frozen=True)
class Counts:
    """Multiply-adds from a region to the features of all its windows, three ways.

    Attributes:
        patches: every window cropped and run alone.
        shipped: C1 and C2 once, C3 and C4 where a window reads them.
        full_maps: the paper's: C1 and C2 once, every bank of C3 and C4 over its whole map.
    """

    patches: int
    shipped: int
    full_maps: int


@dataclass(frozen=True)
class Comparison:
    """The interweaved operation beside patch by patch on one kind of region.

    Attributes:
        name: of the regions.
        windows: in one region.
        counts: multiply-adds a region.
        patches, shipped: median seconds a region.
        difference, full_difference: largest difference of a C4 response from patch by patch's over the largest
            response, of the shipped path and of the paper's full maps.
    """

    name: str
    windows: int
    counts: Counts
    patches: float
    shipped: float
    difference: float
    full_difference: float


@dataclass(frozen=True)
class SpeedReport:
    """Comparisons, and seconds a 300x300 image or its face in the cascade.

    Attributes:
        device, threads: where it ran.
        localization: one image alone, LNet_o and LNet_s.
        heads: head squares that LNet_s looked at in it.
        features: of one face, when as many as the tagger's batch are seen at once.
        features_alone: of one face alone.
    """

    device: str
    threads: int
    comparisons: tuple[Comparison, ...]
    localization: float
    heads: int
    features: float
    features_alone: float


def multiply_adds(net: ANet, height: int, width: int) -> Counts:
    """Count from the layers' shapes, for a region of this size in pixels and windows STEP apart; FC included."""
    shared, rows, columns = _shared(net, height, width)
    patch_shared, _, _ = _shared(net, HEIGHT, WIDTH)
    local = net.c3.weight.numel() * net.c3.cell**2 + net.c4.weight.numel() * net.c4.cell**2
    count = ((height - HEIGHT) // STEP + 1) * ((width - WIDTH) // STEP + 1)
    head = net.fc.weight.numel()
    c3_rows, c3_columns = rows - net.c3.size + 1, columns - net.c3.size + 1
    full = net.c3.weight.numel() * c3_rows * c3_columns
    full += net.c4.weight.numel() * (c3_rows // 2 - 1) * (c3_columns // 2 - 1)
    return Counts(count * (patch_shared + local + head), shared + count * (local + head), shared + full + count * head)


def compare(net: ANet, name: str, regions: Tensor, repeats: int) -> Comparison:
    """Time and compare both paths on regions (N, 3, H, W) in [0, 1]; the net and they are on one device."""
    count, _, height, width = regions.shape
    with torch.inference_mode():
        patches = net.local(net.shared(_patches(regions))).c4
        shipped = net.windows(regions, STEP).c4.flatten(0, 2)
        full = net.windows_reference(regions).flatten(0, 2)
        slow, fast = medians([lambda: patch_by_patch(net, regions), lambda: interweaved(net, regions)], repeats)
    return Comparison(
        name=name,
        windows=len(patches) // count,
        counts=multiply_adds(net, height, width),
        patches=slow / count,
        shipped=fast / count,
        difference=_difference(shipped, patches),
        full_difference=_difference(full, patches),
    )


def patch_by_patch(net: ANet, regions: Tensor) -> Tensor:
    """Features (windows, 160) of every window, each cropped and run through the plain net."""
    return torch.cat([net(part) for part in torch.split(_patches(regions), PATCHES)])


def interweaved(net: ANet, regions: Tensor) -> Tensor:
    """The same features in one pass."""
    maps = net.windows(regions, STEP)
    return net.features(maps.mapped(lambda part: part.flatten(0, 2)))


def _comparisons(net: ANet, batch: int, device: torch.device, repeats: int) -> tuple[Comparison, ...]:
    """Of the paper's ANet: a wide net has no patches, as its views are slices of one map by their very definition."""
    rng = torch.Generator().manual_seed(0)
    views = torch.rand(batch, 3, HEIGHT + 2 * STEP, WIDTH + 2 * STEP, generator=rng).to(device)
    whole = torch.rand(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=rng).to(device)
    return (
        compare(net, "nine views of a face", views, repeats),
        compare(net, f"every window of {IMAGE_SIZE}x{IMAGE_SIZE}", whole, max(repeats // 2, 1)),
    )


def measure_speed(localizer: Localizer, tagger: Tagger, image_given: Image, repeats: int = 9) -> SpeedReport:
    """Time both paths on nine views and on every window of a 300x300 image, and the cascade on `image_given` at
    300x300.

    Args:
        image_given: (H, W, 3) uint8; how long localization takes depends on the heads in it.
    """
    extract, device = tagger.extract, tagger.extract.device
    net, batch = extract.anet, tagger.settings.batch
    comparisons = _comparisons(net, batch, device, repeats) if isinstance(net, ANet) else ()
    image = resize(image_given, IMAGE_SIZE, IMAGE_SIZE)
    region = tagger.region(image, Box.around(IMAGE_SIZE / 2, IMAGE_SIZE / 2, 0.8 * IMAGE_SIZE / 2, IMAGE_SIZE / 2))
    localization, features, alone = medians(
        [lambda: localizer.dominant([image]), lambda: extract([region] * batch), lambda: extract([region])], repeats
    )
    heads = len(localizer.head_regions([image])[0])
    return SpeedReport(str(device), torch.get_num_threads(), comparisons, localization, heads, features / batch, alone)


def medians(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each function over `repeats` rounds of one turn each, after a round that is not measured."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for index, function in enumerate(functions):
            _settle()
            start = time.perf_counter()
            function()
            _settle()
            if turn:
                times[index].append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def smooth_image(side: int = IMAGE_SIZE, seed: int = 0) -> Image:
    """A picture of random smooth colours (side, side, 3), for timing without a photograph at hand."""
    return resize(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8), side, side)


def _settle() -> None:
    """CUDA answers before it is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _patches(regions: Tensor) -> Tensor:
    """Every window, cropped: (N, 3, H, W) -> (N * windows, 3, 55, 47), row-major."""
    return windows_of(regions, HEIGHT, WIDTH, STEP).flatten(0, 2).contiguous()


def _shared(net: ANet, height: int, width: int) -> tuple[int, int, int]:
    """Multiply-adds of C1 and C2 over a region, rows and columns of the pooled C2 map."""
    total = 0
    for layer in (net.c1, net.c2):
        height, width = _size(layer, height), _size(layer, width)
        total += layer.weight.numel() * height * width
        height, width = height // 2, width // 2
    return total, height, width


def _size(layer: nn.Conv2d, side: int) -> int:
    return side - layer.kernel_size[0] + 1


def _difference(answer: Tensor, truth: Tensor) -> float:
    return float((answer - truth).abs().max() / truth.abs().max())

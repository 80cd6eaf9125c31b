"""Pictures through a net, a fixed number at once, each answered as if it had come alone."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facetag.networks.execution.gpu import GpuFunction

#: (N, ..., 3, H, W) in [0, 1] on the device -> (N, ...). What answers a GPU neither waits for it nor brings it numbers.
Function = Callable[[Tensor], Tensor]


class Forward:
    """A net, or what it answers in some way, on a device.

    For another number of pictures at once a convolution takes another kernel, which sums in another order; so groups
    are filled up to one number, and no answer depends on its company. A GPU is given group after group while the
    answers of those before are on their way, each thread that asks in a stream of its own, and repeats what it did for
    shapes that come again as CUDA graphs; there the net's weights have to stay in their place.

    Args:
        function: what is asked of the net; its answers are float32.
        half: it computes in bfloat16 where autocast does.
        graphs: CUDA graphs may be made of it: it does not wait for the GPU inside.
    """

    def __init__(self, function: Function, device: torch.device, half: bool = False, graphs: bool = True) -> None:
        self._answer = partial(_answered, function, half)
        self._of_gpu = GpuFunction(self._answer, device, graphs) if device.type == "cuda" else None

    def __call__(self, images: NDArray[np.uint8], together: int) -> Iterator[NDArray[np.float32]]:
        """The answer to each of equally large pictures, so many at once: (N, ..., H, W, 3) -> N times (...)."""
        starts = range(0, len(images), together)
        groups = (_filled(images[start : start + together], together) for start in starts)
        for start, answer in zip(starts, self._answers(groups), strict=True):
            yield from answer[: len(images) - start]

    def _answers(self, groups: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        if self._of_gpu is not None:
            return self._of_gpu(groups)
        return (self._answer(torch.from_numpy(group)).numpy() for group in groups)


@torch.inference_mode()
def _answered(function: Function, half: bool, pixels: Tensor) -> Tensor:
    """(N, ..., H, W, 3) uint8 on the device -> (N, ...) float32 there."""
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        return function(pixels.movedim(-1, -3).float().div_(255)).float()


def _filled(group: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A group of so many, zeros for those that it lacks."""
    filling = np.zeros((size - len(group), *group.shape[1:]), np.uint8)
    return np.ascontiguousarray(np.concatenate([group, filling]) if len(filling) else group)

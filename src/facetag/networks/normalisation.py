"""Local response normalisation, fast, and batch normalisation folded away (NETWORKS: LRN of C1 and C2)."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def local_response_normalisation(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """x / (k + alpha / size * sum of the squares of `size` neighbouring channels) ** beta.

    The same numbers as torch.nn.functional.local_response_norm, which on a CPU costs more than all the
    convolutions of LNet together; here the sum is one convolution over channels with a banded matrix.

    Shape: x (N, C, H, W) -> (N, C, H, W).

    >>> x = torch.rand(1, 7, 2, 2)
    >>> same = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2.0)
    >>> bool(torch.allclose(local_response_normalisation(x, 5, 1e-4, 0.75, 2.0), same))
    True
    """
    channels = x.shape[1]
    offset = torch.arange(channels, device=x.device)
    distance = offset[None, :] - offset[:, None]  # torch pads size // 2 before and (size - 1) // 2 behind
    band = ((distance >= -(size // 2)) & (distance <= (size - 1) // 2)).to(x.dtype)
    scale = F.conv2d(x * x, band[:, :, None, None]).mul(alpha / size).add(k)
    if beta == 0.75:  # two square roots cost a fraction of a power
        root = scale.rsqrt()
        return x * root * root.sqrt()
    return x * scale.pow(-beta)


class LocalResponseNorm(nn.Module):
    """AlexNet's constants, for activations of AlexNet's scale (inputs of 255 grey levels)."""

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, C, H, W) -> (N, C, H, W)."""
        return local_response_normalisation(x, self.size, self.alpha, self.beta, self.k)


@torch.no_grad()
def fold_batch_normalisation(convolution: Layer, norm: Norm) -> Layer:
    """One convolution or linear layer, of the same type and place, that answers what both answer in evaluation mode.

    >>> convolution, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval()
    >>> folded, x = fold_batch_normalisation(convolution, norm), torch.rand(2, 3, 8, 8)
    >>> bool(torch.allclose(folded(x), norm(convolution(x)), atol=1e-5))
    True
    """
    assert norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean if convolution.bias is None else convolution.bias - norm.running_mean
    folded = copy.deepcopy(convolution)
    folded.weight.mul_(factor.reshape(-1, *[1] * (folded.weight.ndim - 1)))
    folded.bias = nn.Parameter(norm.bias + shift * factor)
    return folded


def fold_sequential(layers: nn.Sequential) -> None:
    """A layer and the batch normalisation right behind it, if that is what these are, become one in place."""
    if len(layers) != 2 or not isinstance(norm := layers[1], Norm):
        return
    layer = layers[0]
    folded: nn.Module
    if isinstance(layer, nn.Conv2d):
        folded = fold_batch_normalisation(layer, norm)
    else:
        assert isinstance(layer, nn.Linear)
        folded = fold_batch_normalisation(layer, norm)
    layers.__dict__["_modules"].clear()
    layers.append(folded)

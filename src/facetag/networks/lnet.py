"""LNet: five convolutions with globally shared filters (paper, section 3.1, Eqs. 1 and 2; Fig. 3 a, b).

LNet+, LNet_o and LNet_s share this structure. What it answers is the map h(5) of C5; a response map is its
weighted mean over channels, and cell k of it is centred on pixel 16 k + 17.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from facetag.errors import UsageError
from facetag.networks.normalisation import LocalResponseNorm, fold_batch_normalisation

STRIDE = 16  #: pixels between neighbouring cells of C5
FIRST_CENTER = 17  #: index of the pixel at the centre of cell 0
CHANNELS = 256  #: of C5
MIN_SIZE = 67  #: the smallest side that leaves a pooled C2 of 3 cells

#: (filters, size, stride, padding) of C1 to C5
LAYERS = ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (CHANNELS, 3, 1, 1))

Normalisation = Literal["response", "batch", "folded"]


@dataclass(frozen=True)
class LNetSettings:
    """Which normalisation: the paper's local `response`, `batch`, or `folded` (batch, folded away for use)."""

    normalisation: Normalisation = "response"


def map_size(input_size: int) -> int:
    """Cells of C5 along a side of this many pixels.

    >>> map_size(227), map_size(300)
    (13, 17)
    """
    c1 = (input_size - 11) // 4 + 1
    pooled = (c1 - 3) // 2 + 1
    return (pooled - 3) // 2 + 1


class LNet(nn.Module):
    """C1 to C5, with max-pooling after C1 and C2.

    Shape: RGB images (N, 3, H, W), upright, in [0, 1], sides >= 67 -> h(5) (N, 256, map_size(H), map_size(W)),
    after ReLU and before C5's pool.

    >>> LNet()(torch.rand(1, 3, 67, 83)).shape
    torch.Size([1, 256, 3, 4])
    """

    mean: Tensor

    def __init__(self, settings: LNetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or LNetSettings()
        normalisation = self.settings.normalisation
        # Response normalisation needs AlexNet's input scale; otherwise unit variance.
        self.scale = 255.0 if normalisation == "response" else 4.0
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.45))
        layers: list[nn.Module] = []
        inputs = 3
        for index, (filters, size, stride, padding) in enumerate(LAYERS):
            layers.append(nn.Conv2d(inputs, filters, size, stride, padding, bias=normalisation != "batch"))
            if normalisation == "batch":
                layers.append(nn.BatchNorm2d(filters))
            layers.append(nn.ReLU(inplace=True))
            if index < 2 and normalisation == "response":
                layers.append(LocalResponseNorm())
            if index < 2:
                layers.append(nn.MaxPool2d(3, 2))
            inputs = filters
        self.layers = nn.Sequential(*layers)
        self._initialise()

    def _initialise(self) -> None:
        convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        for index, layer in enumerate(convolutions):
            if self.settings.normalisation == "response":  # as in AlexNet [10]
                nn.init.normal_(layer.weight, std=0.01)
                assert layer.bias is not None
                nn.init.constant_(layer.bias, float(index in (1, 3, 4)))
            else:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layers((images - self.mean) * self.scale)
        return result

    def folded(self) -> "LNet":
        """The same function (in evaluation mode) with batch normalisation folded into the convolutions."""
        if self.settings.normalisation != "batch":
            return self
        result = LNet(LNetSettings("folded"))
        result.mean = self.mean.clone()
        modules = iter(self.layers)
        layers: list[nn.Module] = []
        for layer in modules:
            if isinstance(layer, nn.Conv2d):
                norm = next(modules)
                assert isinstance(norm, nn.BatchNorm2d)
                layer = fold_batch_normalisation(layer, norm)
            layers.append(layer)
        result.layers = nn.Sequential(*layers)
        return result.train(self.training)


def weighted_sum(features: Tensor, weights: Tensor) -> Tensor:
    """The map that localizes: the sum over channels of weight x response. Shape: (N, C, H, W), (C,) -> (N, H, W).

    Equal weights 1 / C give the paper's average of the channels; the weights of one output of a pooled linear head give
    that output's class activation map, of either sign.

    Not einsum: it becomes a matrix product, and a BLAS sums in an order that depends on the batch.

    >>> weighted_sum(torch.ones(2, 4, 3, 5), torch.full((4,), 0.25)).shape
    torch.Size([2, 3, 5])
    """
    return (features * weights[:, None, None]).sum(1)


@dataclass(frozen=True)
class HeadSettings:
    """What stands on C5 while an LNet is trained.

    Attributes:
        pooling: `flatten` = C5's own 3 x 3 max-pool, cells kept (the paper; one input size);
            `average` = the mean over the map (any input size);
            `peak` = each cell has its own logits and their log-mean-exp is the picture's: one cell that is sure
            suffices, so that cells learn to answer for what lies under them (any input size, no hidden layers).
        hidden: widths of the fully-connected layers before the outputs; LNet+ in the paper has (4096, 4096).
        dropout: probability, after each hidden layer (or before the outputs when there is none).
        input_size: pixels of the square input; matters for `flatten`.

    Raises:
        UsageError: `peak` with hidden layers.
    """

    pooling: Literal["flatten", "average", "peak"] = "flatten"
    hidden: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    input_size: int = 227

    def __post_init__(self) -> None:
        if self.pooling == "peak" and self.hidden:
            raise UsageError(f"a head that pools by peak has no hidden layers {self.hidden}", "set hidden = []")


class Transpose(nn.Module):
    """(N, C, cells) -> (N, cells, C)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.transpose(1, 2)


class Head(nn.Module):
    """Fully-connected layers on C5 (paper, section 4): object categories for LNet+, attributes for LNet_o and LNet_s.

    Shape: h(5) (N, 256, H, W) -> logits (N, outputs). Dropped once the net is trained.

    >>> Head(40, HeadSettings("peak", hidden=()))(torch.rand(2, 256, 13, 17)).shape
    torch.Size([2, 40])
    """

    def __init__(self, outputs: int, settings: HeadSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or HeadSettings()
        if settings.pooling == "flatten":
            cells = (map_size(settings.input_size) - 3) // 2 + 1
            self.pool: nn.Module = nn.Sequential(nn.MaxPool2d(3, 2), nn.Flatten())
            width = CHANNELS * cells * cells
        elif settings.pooling == "peak":
            self.pool = nn.Sequential(nn.Flatten(2), Transpose())
            width = CHANNELS
        else:
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            width = CHANNELS
        layers: list[nn.Module] = []
        for hidden in settings.hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(settings.dropout)]
            width = hidden
        if not settings.hidden:
            layers.append(nn.Dropout(settings.dropout))
        self.hidden = nn.Sequential(*layers)
        self.outputs = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.outputs(self.hidden(self.pool(features)))
        if self.settings.pooling == "peak":  # (N, cells, outputs)
            return logits.float().logsumexp(1) - math.log(logits.shape[1])
        return logits

    def channel_weights(self, output: int) -> Tensor:
        """Weights (256,) of one output's class activation map; a head that flattens or has hidden layers has none."""
        assert self.settings.pooling != "flatten" and not self.settings.hidden
        return self.outputs.weight[output].detach().clone()


class ClassifyingLNet(nn.Module):
    """An LNet and its head, as trained: LNet+ on object categories, LNet_o and LNet_s on attributes.

    Shape: images (N, 3, H, W) in [0, 1] -> logits (N, outputs).

    >>> net = ClassifyingLNet(40, LNetSettings("batch"), HeadSettings("average", hidden=()))
    >>> net(torch.rand(2, 3, 67, 67)).shape
    torch.Size([2, 40])
    """

    def __init__(self, outputs: int, lnet: LNetSettings, head: HeadSettings) -> None:
        super().__init__()
        self.lnet = LNet(lnet)
        self.head = Head(outputs, head)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.head(self.lnet(images))
        return result

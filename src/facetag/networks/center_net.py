"""CenterNet: one small fully convolutional network that answers where faces are and how large, in a single pass.

It is not part of the paper. Plain 3x3 convolutions go down to stride 32 and a feature pyramid comes back to stride 8,
where every cell answers how likely a face's centre lies in it, and where exactly and how large that face is
(Zhou et al., "Objects as Points", 2019). It learns from composed scenes, whose faces lie where they were put.
"""

import copy
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetag.errors import UsageError
from facetag.networks.normalisation import fold_sequential

STRIDE = 8  #: pixels between neighbouring cells of the maps; cell k is centred on pixel 8 k + 4
DEEPEST = 32  #: pixels between cells of the coarsest level: inputs have sides that are multiples of it
OUTPUTS = 5  #: logit of a face's centre; offset of the centre from the cell's, x and y, in cells; log width, log height
RIGHT = 1  #: which of them points to the right
PRIOR = 0.01  #: probability of a centre in a cell that the untrained network answers


@dataclass(frozen=True)
class CenterNetSettings:
    """Structure.

    Attributes:
        widths: channels at strides 2, 4, 8, 16 and 32.
        blocks: residual blocks at strides 8, 16 and 32.
        neck: channels of the pyramid from stride 32 back to stride 8.
        normalisation: `batch`, or `folded` (batch, folded away for use).

    Raises:
        UsageError: there are not five widths and three numbers of blocks, or one is out of its range.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    blocks: tuple[int, ...] = (1, 1, 1)
    neck: int = 64
    normalisation: Literal["batch", "folded"] = "batch"

    def __post_init__(self) -> None:
        sizes = (*self.widths, self.neck)
        if len(self.widths) != 5 or not all(1 <= size <= 1024 for size in sizes):
            raise UsageError(f"widths = {self.widths}, neck = {self.neck} of the net", "each 1 to 1024, five and one")
        if len(self.blocks) != 3 or not all(0 <= blocks <= 64 for blocks in self.blocks):
            raise UsageError(f"blocks = {self.blocks} of the net", "give three, each 0 to 64")


class Convolution(nn.Sequential):
    """A convolution and its normalisation until it is folded. Shape: (N, C, H, W) -> (N, filters, H/s, W/s)."""

    def __init__(self, inputs: int, filters: int, size: int, stride: int = 1, normalised: bool = True) -> None:
        convolution = nn.Conv2d(inputs, filters, size, stride, size // 2, bias=not normalised)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_in", nonlinearity="relu")
        super().__init__(convolution, *([nn.BatchNorm2d(filters)] if normalised else []))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose answer is added to their input. Shape: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int, normalised: bool = True) -> None:
        super().__init__()
        self.first = Convolution(channels, channels, 3, normalised=normalised)
        self.second = Convolution(channels, channels, 3, normalised=normalised)
        if normalised:  # a new block passes its input on, so that deep networks begin to learn as shallow ones do
            norm = self.second[1]
            assert isinstance(norm, nn.BatchNorm2d)
            nn.init.constant_(norm.weight, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x), inplace=True)), inplace=True)


class CenterNet(nn.Module):
    """Shape: RGB (N, 3, H, W), upright, in [0, 1], sides multiples of 32 -> (N, 5, H / 8, W / 8), see OUTPUTS.

    >>> CenterNet()(torch.zeros(2, 3, 64, 96)).shape
    torch.Size([2, 5, 8, 12])
    """

    def __init__(self, settings: CenterNetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or CenterNetSettings()
        normalised = settings.normalisation == "batch"
        widths, neck = settings.widths, settings.neck
        self.stem = Convolution(3, widths[0], 3, 2, normalised=normalised)
        self.entry = Convolution(widths[0], widths[1], 3, 2, normalised=normalised)
        self.downs = nn.ModuleList(
            Convolution(widths[level], widths[level + 1], 3, 2, normalised=normalised) for level in (1, 2, 3)
        )
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width, normalised) for _ in range(blocks)))
            for width, blocks in zip(widths[2:], settings.blocks, strict=True)
        )
        self.laterals = nn.ModuleList(Convolution(width, neck, 1, normalised=normalised) for width in widths[2:])
        self.smooth = nn.ModuleList(Convolution(neck, neck, 3, normalised=normalised) for _ in range(2))
        self.last = Convolution(neck, neck, 3, normalised=normalised)
        self.outputs = nn.Conv2d(neck, OUTPUTS, 1)
        nn.init.normal_(self.outputs.weight, std=0.01)
        assert self.outputs.bias is not None
        nn.init.zeros_(self.outputs.bias)
        with torch.no_grad():
            self.outputs.bias[0] = -torch.log(torch.tensor(1 / PRIOR - 1))
            self.outputs.bias[3:] = 1.5  # a face of some 36 pixels

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.stem(images.mul(4).sub_(2)), inplace=True)
        x = F.relu(self.entry(x), inplace=True)
        maps = []
        for down, level in zip(self.downs, self.levels, strict=True):
            x = level(F.relu(down(x), inplace=True))
            maps.append(x)
        back = F.relu(self.laterals[2](maps[2]), inplace=True)
        for level_below, smooth in zip((1, 0), self.smooth, strict=True):
            lateral = self.laterals[level_below](maps[level_below])
            back = F.relu(smooth(F.interpolate(back, scale_factor=2.0) + F.relu(lateral, inplace=True)), inplace=True)
        result: Tensor = self.outputs(F.relu(self.last(back), inplace=True))
        return result

    def folded(self) -> "CenterNet":
        """The same function (in evaluation mode) with batch normalisation folded into the convolutions."""
        if self.settings.normalisation == "folded":
            return self
        result = copy.deepcopy(self)
        result.settings = replace(self.settings, normalisation="folded")
        for module in list(result.modules()):
            if isinstance(module, Convolution):
                fold_sequential(module)
        return result

"""The student: one small fully convolutional net that answers where faces are and how large, in a single look.

It is no part of the paper. It learns from composed scenes, whose faces lie where they were put, and from what the
LNets answer on photographs (`training.distill`). What it answers are maps with a cell every 8 pixels.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetag.errors import UsageError
from facetag.networks.normalisation import fold_batch_normalisation

STRIDE = 8  #: pixels between neighbouring cells of the maps; cell k is centred on pixel 8 k + 4
DEEPEST = 32  #: pixels between cells of the coarsest layer: inputs have sides that are multiples of it
OUTPUTS = 4  #: logit of a face's middle, log of its height, offset of its middle from the cell's (x, y); in cells
RIGHT = 2  #: which of them points to the right
RARE = 0.01  #: chance of a middle in a cell that the untrained net answers


@dataclass(frozen=True)
class StudentSettings:
    """Structure.

    Attributes:
        widths: channels at strides 2, 4, 8, 16 and 32.
        depths: separable blocks at strides 4, 8, 16 and 32.
        neck: channels of the way back to stride 8.
        normalisation: `batch`, or `folded` (batch, folded away for use).

    Raises:
        UsageError: there are not five widths and four depths, or one is out of its range.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    depths: tuple[int, ...] = (1, 3, 3, 3)
    neck: int = 64
    normalisation: Literal["batch", "folded"] = "batch"

    def __post_init__(self) -> None:
        sizes = (*self.widths, self.neck)
        if len(self.widths) != 5 or not all(1 <= size <= 1024 for size in sizes):
            raise UsageError(
                f"widths = {self.widths}, neck = {self.neck} of the student", "each 1 to 1024, five and one"
            )
        if len(self.depths) != 4 or not all(1 <= depth <= 64 for depth in self.depths):
            raise UsageError(f"depths = {self.depths} of the student", "give four, each 1 to 64")


class Convolution(nn.Sequential):
    """A convolution, its normalisation until it is folded, and ReLU. Shape: (N, C, H, W) -> (N, filters, H/s, W/s)."""

    def __init__(
        self, inputs: int, filters: int, size: int, stride: int = 1, groups: int = 1, normalised: bool = True
    ) -> None:
        convolution = nn.Conv2d(inputs, filters, size, stride, size // 2, groups=groups, bias=not normalised)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_in", nonlinearity="relu")
        norms = [nn.BatchNorm2d(filters)] if normalised else []
        super().__init__(convolution, *norms, nn.ReLU(inplace=True))


def separable(inputs: int, filters: int, size: int, stride: int, normalised: bool) -> nn.Sequential:
    """A convolution of each channel for itself, then one across channels."""
    return nn.Sequential(
        Convolution(inputs, inputs, size, stride, groups=inputs, normalised=normalised),
        Convolution(inputs, filters, 1, normalised=normalised),
    )


class Student(nn.Module):
    """Shape: RGB (N, 3, H, W), upright, in [0, 1], sides multiples of 32 -> (N, 4, H / 8, W / 8), see OUTPUTS."""

    def __init__(self, settings: StudentSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or StudentSettings()
        normalised = settings.normalisation == "batch"
        widths, neck = settings.widths, settings.neck
        self.stem = Convolution(3, widths[0], 3, 2, normalised=normalised)
        self.stages = nn.ModuleList()
        for number, depth in enumerate(settings.depths):
            size = 5 if number >= 2 else 3  # where cells are few, a larger reach costs little
            first = separable(widths[number], widths[number + 1], size, 2, normalised)
            rest = [separable(widths[number + 1], widths[number + 1], size, 1, normalised) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(first, *rest))
        self.laterals = nn.ModuleList(Convolution(width, neck, 1, normalised=normalised) for width in widths[2:])
        self.smooth = nn.ModuleList(separable(neck, neck, 3, 1, normalised) for _ in range(2))
        self.last = separable(neck, neck, 3, 1, normalised)
        self.outputs = nn.Conv2d(neck, OUTPUTS, 1)
        nn.init.normal_(self.outputs.weight, std=0.01)
        assert self.outputs.bias is not None
        nn.init.zeros_(self.outputs.bias)
        with torch.no_grad():
            self.outputs.bias[0] = -torch.log(torch.tensor(1 / RARE - 1))

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images.mul(4).sub_(2))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        back = self.laterals[2](maps[3])
        for level, smooth in zip((1, 0), self.smooth, strict=True):
            back = smooth(F.interpolate(back, scale_factor=2.0) + self.laterals[level](maps[level + 1]))
        result: Tensor = self.outputs(self.last(back))
        return result

    def folded(self) -> "Student":
        """The same function (in evaluation mode) with batch normalisation folded into the convolutions."""
        if self.settings.normalisation == "folded":
            return self
        result = copy.deepcopy(self)
        result.settings = StudentSettings(self.settings.widths, self.settings.depths, self.settings.neck, "folded")
        for module in list(result.modules()):
            if isinstance(module, Convolution):
                convolution, norm, activation = module
                assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
                folded = fold_batch_normalisation(convolution, norm)
                module.__dict__["_modules"].clear()
                module.extend([folded, activation])
        return result

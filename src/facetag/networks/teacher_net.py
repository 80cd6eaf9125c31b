"""TeacherNet: a residual network larger than any ANet, whose soft answers ANet learns from. It is never shipped.

It is not part of the paper. It sees the very x_f that the wide ANet sees and answers the attributes themselves
(Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from facetag.errors import UsageError
from facetag.networks.center_net import Convolution, ResidualBlock


@dataclass(frozen=True)
class TeacherSettings:
    """Structure.

    Attributes:
        widths: channels at strides 4, 8, 16 and 32.
        blocks: residual blocks at each of them.

    Raises:
        UsageError: there are not four widths and four numbers of blocks, or one is out of its range.
    """

    widths: tuple[int, ...] = (32, 96, 256, 384)
    blocks: tuple[int, ...] = (1, 2, 2, 1)

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or not all(1 <= width <= 1024 for width in self.widths):
            raise UsageError(f"widths = {self.widths} of the teacher", "give four, each 1 to 1024")
        if len(self.blocks) != 4 or not all(0 <= blocks <= 64 for blocks in self.blocks):
            raise UsageError(f"blocks = {self.blocks} of the teacher", "give four, each 0 to 64")


class TeacherNet(nn.Module):
    """Shape: x_f, RGB (N, 3, H, W), upright, in [0, 1] -> logits (N, outputs).

    >>> import torch
    >>> TeacherNet(40, TeacherSettings())(torch.rand(2, 3, 128, 112)).shape
    torch.Size([2, 40])
    """

    def __init__(self, outputs: int, settings: TeacherSettings, dropout: float = 0.0) -> None:
        super().__init__()
        stem = nn.Conv2d(3, settings.widths[0], 6, 4, 1, bias=False)
        nn.init.kaiming_normal_(stem.weight, nonlinearity="relu")
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(settings.widths[0])]
        for level, (width, blocks) in enumerate(zip(settings.widths, settings.blocks, strict=True)):
            if level:
                layers.append(Convolution(settings.widths[level - 1], width, 3, 2))
            layers += [nn.ReLU(inplace=True), *(ResidualBlock(width) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.outputs = nn.Linear(settings.widths[-1], outputs)

    def forward(self, regions: Tensor) -> Tensor:
        pooled = self.layers(regions * 4 - 2).mean((2, 3))
        result: Tensor = self.outputs(self.dropout(pooled))
        return result

"""WideANet: ANet at twice the pixels, with a look at nearly the whole head.

It is not part of the paper, but keeps its idea: filters shared globally first, C3 and C4 locally (section 3.2), and
every view is a slice of maps that are answered once (Fig. 5). What differs: plain convolutions with batch
normalisation go to stride 8 in place of C1 and C2, and a second branch with globally shared filters sees all of x_f,
for hair, hats, necks and earrings.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetag.networks.anet import FEATURES, ANetSettings, Frame, Maps
from facetag.networks.center_net import Convolution, ResidualBlock
from facetag.networks.locally_shared import LocallyShared, windows_of
from facetag.networks.normalisation import fold_sequential

STRIDE = 8  #: pixels between neighbouring cells of the shared map
ROWS, COLUMNS = 12, 10  #: cells of a view, as the pooled C2 map of the paper's window has
CONTEXT = (4, 3)  #: rows and columns to which the context branch is pooled

#: A view is 96 x 80 pixels; x_f has 16 more on every side.
WIDE = Frame(height=ROWS * STRIDE, width=COLUMNS * STRIDE, margin=16, step=STRIDE)


class WideANet(nn.Module):
    """Shape: x_f, RGB (N, 3, 128, 112), upright, in [0, 1] -> features of its middle view (N, 160), after ReLU.

    >>> WideANet()(torch.rand(2, 3, 128, 112)).shape
    torch.Size([2, 160])
    """

    frame = WIDE

    def __init__(self, settings: ANetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or ANetSettings(kind="wide", normalisation="batch")
        normalised = settings.normalisation == "batch"
        low, mid, *deep = settings.widths
        before, after, *beyond = settings.blocks
        self.stem = _stem(settings.stem, low, normalised)
        self.first = nn.Sequential(*(ResidualBlock(low, normalised) for _ in range(before)))
        self.down = Convolution(low, mid, 3, 2, normalised=normalised)
        self.second = nn.Sequential(*(ResidualBlock(mid, normalised) for _ in range(after)))
        self.deeper = Convolution(mid, deep[0], 3, 2, normalised=normalised)
        self.third = nn.Sequential(*(ResidualBlock(deep[0], normalised) for _ in range(beyond[0])))
        self.deepest: nn.Module | None = None
        if len(deep) > 1:
            narrowed = Convolution(deep[0], deep[1], 3, 2, normalised=normalised)
            blocks = (ResidualBlock(deep[1], normalised) for _ in range(beyond[1]))
            self.deepest = nn.Sequential(narrowed, nn.ReLU(inplace=True), *blocks)
        self.c3 = LocallyShared(mid, 64, size=3, rows=5, columns=4, cell=2, normalised=normalised)
        self.c4 = LocallyShared(64, 80, size=2, rows=4, columns=3, cell=1, normalised=normalised)
        inputs = 64 * 5 * 4 + 80 * 4 * 3 + deep[-1] * CONTEXT[0] * CONTEXT[1]
        self.fc = nn.Sequential(nn.Linear(inputs, FEATURES), *([nn.BatchNorm1d(FEATURES)] if normalised else []))

    def shared(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """What all views have in common: x_f (N, 3, 128, 112) -> map (N, C, 16, 14), context (N, D, 4, 3)."""
        x = self.first(F.relu(self.stem(regions * 4 - 2)))
        x = self.second(F.relu(self.down(x)))
        context = self.third(F.relu(self.deeper(x)))
        if self.deepest is not None:
            context = self.deepest(context)
        return x, F.adaptive_avg_pool2d(context, CONTEXT)

    def local(self, cells: Tensor, context: Tensor) -> Maps:
        """C3 and C4 of single views: cells (N, C, 12, 10) of the shared map, context (N, D, 4, 3) -> Maps."""
        c3 = F.relu(self.c3(cells, pooled=True))
        return Maps(c3, F.relu(self.c4(c3)), context)

    def features(self, maps: Maps) -> Tensor:
        """FC: Maps (N, ...) -> (N, 160)."""
        assert maps.context is not None
        parts = [part.flatten(1) for part in (maps.c3, maps.c4, maps.context)]
        return F.relu(self.fc(torch.cat(parts, dim=1)))

    def fc_weights(self) -> Maps:
        """As of `ANet`: (160, 64, 5, 4), (160, 80, 4, 3) and, for the context, (160, channels, 4, 3)."""
        first = self.fc[0]
        assert isinstance(first, nn.Linear)
        weight, behind_c3, behind_c4 = first.weight.detach(), 64 * 5 * 4, 64 * 5 * 4 + 80 * 4 * 3
        context = weight[:, behind_c4:].reshape(FEATURES, -1, *CONTEXT)
        return Maps(
            weight[:, :behind_c3].reshape(-1, 64, 5, 4), weight[:, behind_c3:behind_c4].reshape(-1, 80, 4, 3), context
        )

    def forward(self, regions: Tensor) -> Tensor:
        cells, context = self.shared(regions)
        top, left = (self.frame.margin // STRIDE,) * 2
        return self.features(self.local(cells[:, :, top : top + ROWS, left : left + COLUMNS], context))

    def views(self, regions: Tensor, positions: Tensor, step: int = STRIDE) -> Maps:
        """Some views of x_f in one pass: C3 and C4 run over slices of the one shared map.

        Shape: (N, 3, 128, 112) -> Maps with leading (N, V).

        Args:
            positions: (V, 2) the first row and column of each view in the shared map, each 0 to 4.
        """
        assert step == STRIDE, "views start on cells of the shared map"
        cells, context = self.shared(regions)
        tiles = windows_of(cells, ROWS, COLUMNS, 1)[:, positions[:, 0], positions[:, 1]]
        local = self.local(tiles.flatten(0, 1), context)
        c3, c4 = (part.reshape(*tiles.shape[:2], *part.shape[1:]) for part in local[:2])
        return Maps(c3, c4, context[:, None].expand(-1, tiles.shape[1], -1, -1, -1))

    def folded(self) -> "WideANet":
        """The same function (in evaluation mode) with batch normalisation folded into the layers before it."""
        if self.settings.normalisation == "folded":
            return self
        result = copy.deepcopy(self)
        result.settings = replace(self.settings, normalisation="folded")
        for module in list(result.modules()):
            if isinstance(module, LocallyShared):
                module.fold()
            elif isinstance(module, nn.Sequential):
                fold_sequential(module)
        return result


def _stem(width: int, low: int, normalised: bool) -> nn.Sequential:
    """From pixels to stride 4, by way of stride 2 where that has channels; the last ReLU is left to who asks."""
    if width:
        entry = Convolution(3, width, 3, 2, normalised=normalised)
        return nn.Sequential(entry, nn.ReLU(inplace=True), Convolution(width, low, 3, 2, normalised=normalised))
    stem = nn.Conv2d(3, low, 6, 4, 1, bias=not normalised)
    nn.init.kaiming_normal_(stem.weight, nonlinearity="relu")
    return nn.Sequential(stem, *([nn.BatchNorm2d(low)] if normalised else []))

"""ANet: attributes from a face region (paper, section 3.2; Fig. 3 c).

C1 and C2 share their filters globally, C3 and C4 locally, FC answers 160 features. A region larger than 55 x 47
holds several windows; the interweaved operation answers all of them in one pass.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetag.errors import UsageError
from facetag.networks.locally_shared import LocallyShared, interweaved_reference, windows_of
from facetag.networks.normalisation import fold_batch_normalisation

HEIGHT, WIDTH = 55, 47  #: pixels of one window
POOLED_STEP = 4  #: pixels between neighbouring cells of the pooled C2 map
FEATURES = 160


class Frame(NamedTuple):
    """Pixels of the window that a net describes, of what it has to see on every side beyond it, and of the smallest
    step between two windows."""

    height: int
    width: int
    margin: int
    step: int


@dataclass(frozen=True)
class ANetSettings:
    """Structure.

    Attributes:
        fc_inputs: of the paper's: C4 alone (Fig. 3), or C3's pooled map as well, as in DeepID2 on which ANet is
            modelled. The wide net has both and the context.
        kind: `paper` (Fig. 3 c), or `wide`, which sees twice the pixels and nearly the whole head (WideANet).
        stem: of the wide net: channels at stride 2; 0 = one convolution goes straight to stride 4.
        widths, blocks: of the wide net: channels and residual blocks at strides 4, 8, 16 and, where there is a fourth,
            32.
        normalisation: before the ReLU of C3, C4 and FC (and of all convolutions of the wide net): `none`, `batch`, or
            `folded` (batch, folded away for use).

    Raises:
        UsageError: there are not as many widths as numbers of blocks, three or four, or one is out of its range; a wide
            net is to learn without normalisation.
    """

    fc_inputs: Literal["c4", "c3_c4"] = "c4"
    kind: Literal["paper", "wide"] = "paper"
    stem: int = 0
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (1, 1, 1)
    normalisation: Literal["none", "batch", "folded"] = "none"

    def __post_init__(self) -> None:
        if not 0 <= self.stem <= 1024:
            raise UsageError(f"stem = {self.stem} of ANet", "give 0 to 1024")
        if len(self.widths) not in (3, 4) or not all(1 <= width <= 1024 for width in self.widths):
            raise UsageError(f"widths = {self.widths} of ANet", "give three or four, each 1 to 1024")
        if len(self.blocks) != len(self.widths) or not all(0 <= blocks <= 64 for blocks in self.blocks):
            raise UsageError(f"blocks = {self.blocks} of ANet", "give as many as widths, each 0 to 64")
        if self.kind == "wide" and self.normalisation == "none":
            raise UsageError("a wide ANet needs normalisation", 'set normalisation = "batch"')


class Maps(NamedTuple):
    """What FC sees of windows: pooled C3 (..., 60, 5, 4) and C4 (..., 80, 4, 3), after ReLU; of the wide net also the
    context (..., channels, 4, 3), which all windows of a face have in common."""

    c3: Tensor
    c4: Tensor
    context: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Maps":
        """The same change of every part."""
        return Maps(change(self.c3), change(self.c4), None if self.context is None else change(self.context))


class ANet(nn.Module):
    """Shape: RGB faces (N, 3, 55, 47), upright, in [0, 1] -> features (N, 160), after ReLU.

    >>> ANet()(torch.rand(2, 3, 55, 47)).shape
    torch.Size([2, 160])
    """

    frame = Frame(HEIGHT, WIDTH, margin=0, step=POOLED_STEP)

    def __init__(self, settings: ANetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ANetSettings()
        normalised = self.settings.normalisation == "batch"
        self.c1 = nn.Conv2d(3, 20, 4)
        self.c2 = nn.Conv2d(20, 40, 3)
        self.c3 = LocallyShared(40, 60, size=3, rows=5, columns=4, cell=2, normalised=normalised)
        self.c4 = LocallyShared(60, 80, size=2, rows=4, columns=3, cell=1, normalised=normalised)
        inputs = 80 * 4 * 3 + (60 * 5 * 4 if self.settings.fc_inputs == "c3_c4" else 0)
        self.fc = nn.Linear(inputs, FEATURES)
        for layer in (self.c1, self.c2, self.fc):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.norm = nn.BatchNorm1d(FEATURES) if normalised else None

    def shared(self, images: Tensor) -> Tensor:
        """C1 and C2 with their pools: images (N, 3, H, W) -> pooled C2 (N, 40, about H / 4, about W / 4)."""
        x = F.relu(F.max_pool2d(self.c1(images * 2 - 1), 2))  # the same as the other way round, on a quarter of it
        return F.relu(F.max_pool2d(self.c2(x), 2))

    def local(self, pooled: Tensor) -> Maps:
        """C3 and C4 of single windows: pooled C2 (N, 40, 12, 10) -> Maps."""
        c3 = F.relu(self.c3(pooled, pooled=True))
        return Maps(c3, F.relu(self.c4(c3)))

    def features(self, maps: Maps) -> Tensor:
        """FC: Maps (N, ...) -> (N, 160)."""
        inputs = maps.c4.flatten(1)
        if self.settings.fc_inputs == "c3_c4":
            inputs = torch.cat([maps.c3.flatten(1), inputs], dim=1)
        answers = self.fc(inputs)
        return F.relu(answers if self.norm is None else self.norm(answers))

    def fc_weights(self) -> Maps:
        """What FC's 160 features weigh each answer of C3 and C4 by, of a net without normalisation or a folded one:
        (160, 60, 5, 4) and (160, 80, 4, 3); 0 for C3 where FC does not see it."""
        weight, count = self.fc.weight.detach(), 60 * 5 * 4
        if self.settings.fc_inputs != "c3_c4":
            weight = F.pad(weight, (count, 0))
        return Maps(weight[:, :count].reshape(-1, 60, 5, 4), weight[:, count:].reshape(-1, 80, 4, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.local(self.shared(images)))

    def windows(self, regions: Tensor, step: int = 8) -> Maps:
        """Every 55 x 47 window of larger regions in one pass: the interweaved operation as shipped.

        C1 and C2 run once over the whole region; C3 and C4 run only where a window reads them. For each window
        the answer is that of cropping it and running the plain net.

        Shape: (N, 3, H, W) -> Maps with leading (N, I, J), I = (H - 55) // step + 1, J = (W - 47) // step + 1.
        `step` in pixels, a multiple of 4 (a cell of the pooled C2 map).

        >>> maps = ANet().windows(torch.rand(1, 3, 71, 55))
        >>> maps.c3.shape, maps.c4.shape
        (torch.Size([1, 3, 2, 60, 5, 4]), torch.Size([1, 3, 2, 80, 4, 3]))
        """
        assert step % POOLED_STEP == 0, "windows must start on cells of the pooled C2 map"
        tiles = windows_of(self.shared(regions), 12, 10, step // POOLED_STEP)
        count, high, wide = tiles.shape[:3]
        maps = self.local(tiles.reshape(count * high * wide, *tiles.shape[3:]))
        return maps.mapped(lambda part: part.reshape(count, high, wide, *part.shape[1:]))

    def views(self, regions: Tensor, positions: Tensor, step: int = 8) -> Maps:
        """Some windows of larger regions: Maps with leading (N, V).

        Args:
            positions: (V, 2) row and column of each window among those of `windows`.
        """
        return select_views(self.windows(regions, step), positions)

    def folded(self) -> "ANet":
        """The same function (in evaluation mode) with batch normalisation folded into the filters before it."""
        if self.settings.normalisation != "batch":
            return self
        result = copy.deepcopy(self)
        result.settings = replace(self.settings, normalisation="folded")
        result.c3.fold()
        result.c4.fold()
        assert result.norm is not None
        result.fc, result.norm = fold_batch_normalisation(result.fc, result.norm), None
        return result

    def windows_reference(self, regions: Tensor) -> Tensor:
        """C4 of `windows(regions, step=8)` by the paper's full interweaved maps: (N, I, J, 80, 4, 3)."""
        return interweaved_reference(self.shared(regions), self.c3, self.c4)


def select_views(maps: Maps, positions: Tensor) -> Maps:
    """Maps with leading (N, I, J) -> (N, V), the windows at positions (V, 2)."""
    return maps.mapped(lambda part: part[:, positions[:, 0], positions[:, 1]])


def block_scores(c4: Tensor) -> Tensor:
    """Eq. (5): the largest response in each window's block, (N, I, J, 80, 4, 3) -> (N, I, J).

    >>> block_scores(torch.rand(1, 3, 2, 80, 4, 3)).shape
    torch.Size([1, 3, 2])
    """
    return c4.flatten(3).amax(3)

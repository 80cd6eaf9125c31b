"""ANet: attributes from a face region (paper, section 3.2; Fig. 3 c).

C1 and C2 share their filters globally, C3 and C4 locally, FC answers 160 features. A region larger than 55 x 47
holds several windows; the interweaved operation answers all of them in one pass.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetag.networks.locally_shared import LocallyShared, interweaved_reference, windows_of

HEIGHT, WIDTH = 55, 47  #: pixels of one window
POOLED_STEP = 4  #: pixels between neighbouring cells of the pooled C2 map
FEATURES = 160


@dataclass(frozen=True)
class ANetSettings:
    """`fc_inputs`: C4 alone (Fig. 3), or C3's pooled map as well, as in DeepID2 on which ANet is modelled."""

    fc_inputs: Literal["c4", "c3_c4"] = "c4"


class Maps(NamedTuple):
    """What FC sees of windows: pooled C3 (..., 60, 5, 4) and C4 (..., 80, 4, 3), after ReLU."""

    c3: Tensor
    c4: Tensor


class ANet(nn.Module):
    """Shape: RGB faces (N, 3, 55, 47), upright, in [0, 1] -> features (N, 160), after ReLU.

    >>> ANet()(torch.rand(2, 3, 55, 47)).shape
    torch.Size([2, 160])
    """

    def __init__(self, settings: ANetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ANetSettings()
        self.c1 = nn.Conv2d(3, 20, 4)
        self.c2 = nn.Conv2d(20, 40, 3)
        self.c3 = LocallyShared(40, 60, size=3, rows=5, columns=4, cell=2)
        self.c4 = LocallyShared(60, 80, size=2, rows=4, columns=3, cell=1)
        inputs = 80 * 4 * 3 + (60 * 5 * 4 if self.settings.fc_inputs == "c3_c4" else 0)
        self.fc = nn.Linear(inputs, FEATURES)
        for layer in (self.c1, self.c2, self.fc):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

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
        return F.relu(self.fc(inputs))

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
        return Maps(*(part.reshape(count, high, wide, *part.shape[1:]) for part in maps))

    def windows_reference(self, regions: Tensor) -> Tensor:
        """C4 of `windows(regions, step=8)` by the paper's full interweaved maps: (N, I, J, 80, 4, 3)."""
        return interweaved_reference(self.shared(regions), self.c3, self.c4)


def block_scores(c4: Tensor) -> Tensor:
    """Eq. (5): the largest response in each window's block, (N, I, J, 80, 4, 3) -> (N, I, J).

    >>> block_scores(torch.rand(1, 3, 2, 80, 4, 3)).shape
    torch.Size([1, 3, 2])
    """
    return c4.flatten(3).amax(3)


class AttributeNet(nn.Module):
    """ANet with one sigmoid an attribute, as fine-tuned. Shape: faces (N, 3, 55, 47) -> logits (N, outputs).

    >>> AttributeNet(40, ANetSettings())(torch.rand(2, 3, 55, 47)).shape
    torch.Size([2, 40])
    """

    def __init__(self, outputs: int, settings: ANetSettings, dropout: float = 0.0) -> None:
        super().__init__()
        self.anet = ANet(settings)
        self.dropout = nn.Dropout(dropout)
        self.outputs = nn.Linear(FEATURES, outputs)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.outputs(self.dropout(self.anet(images)))
        return result


class IdentityNet(nn.Module):
    """ANet with one output an identity, as pre-trained. Shape: faces -> (features (N, 160), logits (N, identities)).

    The classifier sees the features through batch normalisation, the similarity loss sees them bare. Without it, with
    thousands of classes of a few images each, the first thing that is learned is to silence all features, which costs
    both losses least, and ReLU never lets them back.

    >>> features, logits = IdentityNet(7, ANetSettings())(torch.rand(2, 3, 55, 47))
    >>> features.shape, logits.shape
    (torch.Size([2, 160]), torch.Size([2, 7]))
    """

    def __init__(self, identities: int, settings: ANetSettings, dropout: float = 0.0) -> None:
        super().__init__()
        self.anet = ANet(settings)
        self.dropout = nn.Dropout(dropout)
        self.neck = nn.BatchNorm1d(FEATURES)
        self.outputs = nn.Linear(FEATURES, identities)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.anet(images)
        return features, self.outputs(self.dropout(self.neck(features)))

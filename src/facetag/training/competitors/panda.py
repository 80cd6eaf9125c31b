"""PANDA (Zhang et al. 2014) carried over to faces as the paper did it: a small CNN for each part, whose features are
joined for one linear SVM an attribute.

Other than published: the parts are fixed boxes of a face and not poselets, nets are smaller (three convolutions, 64
features a part) and see 48 pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.geometry import Box
from facetag.images.resample import crop
from facetag.training.competitors.placement import PARTS, FaceBoxes, placed
from facetag.training.examples import read_rgb
from facetag.training.fit import Features, Labels

NAMES = ("whole", "eyes", "nose", "mouth", "hair", "chin")
SIDE = 48  #: pixels of a part
WIDTH = 64  #: features of a part

Crops = NDArray[np.uint8]


@dataclass(frozen=True)
class PandaSettings:
    """How the nets are trained.

    Attributes:
        least_steps: steps at least, however few images there are.
    """

    epochs: int = 4
    least_steps: int = 200
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.01
    seed: int = 0


class PartNet(nn.Module):
    """One part: (N, 3, 48, 48) in [-1, 1] -> features (N, 64), and from these the attributes' logits."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten(),
            nn.Linear(64 * 36, WIDTH), nn.ReLU(),
        )  # fmt: skip
        self.outputs = nn.Linear(WIDTH, len(ATTRIBUTES))

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        features: Tensor = self.maps(images)
        return features


def part_crops(paths: Sequence[Path], boxes: FaceBoxes | None, report: Callable[[int, int], None]) -> Crops:
    """Every part of each image: (N, P, 48, 48, 3).

    Args:
        boxes: a detector's, which has one of each image (PANDA-w); None for the aligned frame's places (PANDA-l).
    """
    crops = np.zeros((len(paths), len(NAMES), SIDE, SIDE, 3), np.uint8)
    for index, path in enumerate(paths):
        image, face = read_rgb(str(path)), None if boxes is None else boxes.found(path)
        for number, name in enumerate(NAMES):
            crops[index, number] = crop(image, _part_box(name, boxes, face), SIDE, SIDE)
        report(index + 1, len(paths))
    return crops


def train_panda(
    crops: Crops,
    labels: Labels,
    settings: PandaSettings,
    report: Callable[[int, int], None],
    left_out: Sequence[str] = (),
) -> list[PartNet]:
    """A net for each part, each with its own loss over all attributes, with bfloat16 where the processor has it.

    Shape: crops (N, P, 48, 48, 3), labels (N, A).

    Args:
        left_out: attributes that teach nothing, new ones to the nets.
    """
    learned = np.setdiff1d(np.arange(len(ATTRIBUTES)), attribute_indices(tuple(left_out)))
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    nets = [PartNet().to(memory_format=torch.channels_last) for _ in NAMES]  # type: ignore[call-overload]
    parameters = [each for net in nets for each in net.parameters()]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.decay)
    steps = max(settings.epochs * len(crops) // settings.batch, settings.least_steps)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps)
    truth = torch.from_numpy(labels.astype(np.float32))
    for step, rows in enumerate(_batches(len(crops), settings.batch, steps, rng)):
        images = _flipped(crops[rows], rng)
        losses = (_loss(net, images[:, part], truth[rows], learned) for part, net in enumerate(nets))
        loss = sum(losses, torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        report(step + 1, steps)
    return [net.eval() for net in nets]


@torch.inference_mode()
def panda_features(nets: Sequence[PartNet], crops: Crops, batch: int = 256) -> Features:
    """The features of all parts, joined: (N, P * 64)."""
    parts = []
    for start in range(0, len(crops), batch):
        seen = crops[start : start + batch]
        with torch.autocast("cpu", torch.bfloat16):
            found = [net(_pixels(seen[:, part])).float() for part, net in enumerate(nets)]
        parts.append(torch.cat(found, dim=1).numpy())
    return np.concatenate(parts)


def _part_box(name: str, boxes: FaceBoxes | None, face: Box | None) -> Box:
    if boxes is None:
        return PARTS[name]
    assert face is not None, "images without a box are left out before"
    return placed(PARTS[name], face, boxes.usual)


def _loss(net: PartNet, images: Crops, truth: Tensor, learned: NDArray[np.int64]) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        logits = net.outputs(net(_pixels(images)))
    return F.binary_cross_entropy_with_logits(logits[:, learned].float(), truth[:, learned])


def _pixels(images: Crops) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) in [-1, 1], channels last."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _flipped(crops: Crops, rng: np.random.Generator) -> Crops:
    """Half of the faces mirrored; each part is as wide on both sides of the face."""
    mirrored = rng.random(len(crops)) < 0.5
    crops[mirrored] = crops[mirrored, :, :, ::-1]
    return crops


def _batches(count: int, batch: int, steps: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """So many batches, epoch after epoch, each in an order of its own."""
    size = min(batch, count)
    a_round = count // size
    rounds = [rng.permutation(count)[: a_round * size].reshape(a_round, size) for _ in range(-(-steps // a_round))]
    return list(np.concatenate(rounds)[:steps])

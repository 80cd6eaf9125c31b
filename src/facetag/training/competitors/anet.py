"""ANet from few images: with and without identities before (paper, Fig. 13 and Table 1)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.networks.anet_heads import AttributeNet
from facetag.tagger import FeatureExtractor
from facetag.training.cascade import start_from
from facetag.training.checkpoint import BEST, load_best
from facetag.training.examples import Faces
from facetag.training.finetune import FaceTask
from facetag.training.fit import Features
from facetag.training.loop import RunOptions, train
from facetag.training.propose import aligned_boxes
from facetag.training.recipe import FaceStage, Recipe
from facetag.training.ship import region_features

LEAST_EPOCHS = 6
VALIDATED = 64  #: of the training faces; what is kept is the last epoch, so they decide nothing


@dataclass(frozen=True)
class AnetStart:
    """Where a training begins.

    Attributes:
        name: of the system, in figures.
        identities: the folder of the stage anet_identities; None = from nothing.
    """

    name: str
    recipe: Recipe
    identities: Path | None = None

    def digest(self) -> str:
        """Of the weights that it begins from."""
        return "" if self.identities is None else hashlib.sha256((self.identities / BEST).read_bytes()).hexdigest()

    def stage(self, faces: int, steps: int) -> FaceStage:
        """The recipe's stage on faces of the aligned frame alone, for at least LEAST_EPOCHS and so many steps."""
        stage = self.recipe.anet_attributes
        batch = min(stage.loop.batch, faces)
        loop = replace(stage.loop, batch=batch, epochs=max(LEAST_EPOCHS, -(-steps // (faces // batch))), keep="last")
        return replace(
            stage, boxes="aligned", labeled_images=0, half_images=False, utkface=0, teacher_weight=0.0, loop=loop
        )


def train_anet(
    start: AnetStart,
    paths: Sequence[Path],
    values: NDArray[np.int8],
    folder: Path,
    steps: int,
    device: torch.device,
    report: Callable[[int, int], None],
) -> AttributeNet:
    """ANet with its outputs, fine-tuned on aligned images with labels (N, A) by at least so many steps.

    Raises:
        DataError: there are no identities to start from.
    """
    stage = start.stage(len(paths), steps)
    torch.manual_seed(stage.loop.seed)
    net = AttributeNet(len(ATTRIBUTES), start.recipe.anet, stage.dropout)
    if start.identities is not None:
        start_from(start.identities, net, "anet")
    faces, some = (_faces(start, stage, paths[:count], values[:count], net) for count in (len(paths), VALIDATED))
    options = RunOptions(device=device, report=lambda row: _say(row, report))
    train(FaceTask("anet", net, stage, faces, some), stage.loop, folder, options)
    load_best(folder, net)
    return net.eval().requires_grad_(False)


def anet_features(start: AnetStart, net: AttributeNet, paths: Sequence[Path], device: torch.device) -> Features:
    """What SVMs see of aligned images: (N, D)."""
    extract = FeatureExtractor(net.anet.folded(), start.recipe.tagger, device)
    return region_features(extract, list(paths), aligned_boxes(len(paths)), RunOptions(device=device))


def _faces(
    start: AnetStart, stage: FaceStage, paths: Sequence[Path], values: NDArray[np.int8], net: AttributeNet
) -> Faces:
    named, targets = [str(path) for path in paths], torch.from_numpy(values.astype(np.float32))
    settings = (start.recipe.tagger, stage.jitter, stage.colour, stage.loop.seed, net.anet.frame)
    return Faces(named, aligned_boxes(len(named)), targets, *settings)


def _say(row: dict[str, object], report: Callable[[int, int], None]) -> None:
    if "step" in row and "of" in row:
        report(int(str(row["step"])), int(str(row["of"])))

"""The student's training: on composed scenes, whose faces lie where they were put, and on what the LNets find.

No box that a human drew is learned from. On photographs the LNets' sure faces are the student's faces, about doubtful
ones nothing is said, and elsewhere being wrong counts little, since the LNets miss small faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from facetag.datasets.augment import ColourSettings, jitter_colour
from facetag.datasets.celeba import CelebA
from facetag.datasets.crowds import Crowd, compose_crowd, crop_crowd, hide_parts
from facetag.datasets.sampling import shuffled_batches
from facetag.datasets.scenes import SceneComposer
from facetag.geometry import Box
from facetag.images.resample import Image
from facetag.method import detection_metrics as recall
from facetag.method.middles import find_middles, wanted_maps
from facetag.method.windows import suppress_doubles
from facetag.networks.student import STRIDE, Student
from facetag.training.examples import VALIDATION_EPOCH, Place, read_rgb
from facetag.training.finetune import composer, split_training
from facetag.training.pretrain import in_batches
from facetag.training.propose import Boxes, as_box
from facetag.training.recipe import StudentStage

RATIO = 0.8  #: width of a face over its height, as boxes of eyes, nose and mouth have it
LEAST = -4.0  #: logits of middles that validation looks at
RATE = 0.1  #: false positives an image
IOU = 0.5


@dataclass(frozen=True)
class Photographs:
    """Photographs and what the LNets found in each: faces, and boxes that may be faces."""

    paths: Sequence[str]
    faces: Sequence[Sequence[Box]]
    doubtful: Sequence[Sequence[Box]]


def taught(paths: Sequence[str], found: Boxes, sure: float, doubt: float) -> Photographs:
    """What rows of (which photograph, x, y, width, height, score) teach: scores from `sure` on are faces, from `doubt`
    on doubtful, lower ones nothing."""
    faces: list[list[Box]] = [[] for _ in paths]
    doubtful: list[list[Box]] = [[] for _ in paths]
    for row in found:
        if row[5] >= doubt:
            (faces if row[5] >= sure else doubtful)[int(row[0])].append(as_box(row[1:]))
    return Photographs(paths, faces, doubtful)


class Lessons(Dataset[Any]):
    """((epoch, index)) -> image uint8 (side, side, 3), wanted maps (6, side / 8, side / 8).

    A share of them are crops of photographs, any one at any index; the others are composed around head `index`.
    """

    def __init__(self, scenes: SceneComposer, photographs: Photographs, stage: StudentStage) -> None:
        self.scenes, self.photographs, self.stage = scenes, photographs, stage

    def __len__(self) -> int:
        return len(self.scenes.heads)

    def __getitem__(self, place: Place) -> tuple[Image, Tensor]:
        crowd, far = self.crowd(*place)
        cells = self.scenes.settings.side // STRIDE
        maps = wanted_maps(crowd.faces, crowd.doubtful, (cells, cells), STRIDE, far).stacked()
        return np.ascontiguousarray(crowd.image), torch.from_numpy(maps)

    def crowd(self, epoch: int, index: int) -> tuple[Crowd, float]:
        """The picture, and how much being wrong counts where no face is near."""
        rng = np.random.default_rng((self.stage.loop.seed, epoch, index, 3))
        if not self.photographs.paths or rng.random() >= self.stage.photographs:
            return compose_crowd(self.scenes, epoch, index), 1.0
        number = int(rng.integers(len(self.photographs.paths)))
        side, settings = self.scenes.settings.side, self.scenes.settings
        heights = (0.09 * side, 0.8 * side)
        image = read_rgb(self.photographs.paths[number])
        shown = crop_crowd(image, self.photographs.faces[number], self.photographs.doubtful[number], rng, side, heights)
        hide_parts(shown.image, shown.faces, rng, settings.hidden)
        return replace(shown, image=jitter_colour(shown.image, rng, settings.colour)), self.stage.far


class StudentTask:
    """Kept by recall of composed faces of held-out identities, at IoU 0.5 and 0.1 false positives an image."""

    name = "student"
    metric = "recall"

    def __init__(
        self, data: CelebA, backgrounds: Sequence[Sequence[str]], photographs: Photographs, stage: StudentStage
    ) -> None:
        self.stage = stage
        torch.manual_seed(stage.loop.seed)
        self.model: nn.Module = Student(stage.net)
        split, seed = split_training(data, stage.held_out), stage.loop.seed
        self.examples = Lessons(composer(split.train, backgrounds, stage.scenes, seed), photographs, stage)
        plain = replace(stage.scenes, colour=ColourSettings())
        scenes = composer(split.validation, backgrounds, plain, seed + 1)
        self.validation = Lessons(scenes, Photographs((), (), ()), stage)

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        loop = self.stage.loop
        return shuffled_batches(len(self.examples), loop.batch, loop.seed, epoch, rank, world)

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        return middle_loss(model(images).float(), targets[0], self.stage.size_weight)

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        located = []
        maps = [model(images).float().cpu().numpy() for images, _ in in_batches(self.validation, device)]
        for index, answered in enumerate(np.concatenate(maps)):
            located.append(_located(answered, self.validation.crowd(VALIDATION_EPOCH, index)[0]))
        reached = recall.recall_by_false_positives(located, (RATE,), IOU)[0]
        return {"recall": float(np.nan_to_num(reached))}  # without any face to find, none was found


def _located(maps: NDArray[np.float32], crowd: Crowd) -> recall.Located:
    """What the maps answer beside what is there; boxes of doubtful faces are neither right nor wrong."""
    found = find_middles(maps, STRIDE, RATIO, LEAST)
    boxes, scores = [one.box for one in found], [one.logit for one in found]
    kept = suppress_doubles(boxes, scores, 0.3)
    clear = [i for i in kept if all(boxes[i].iou(box) < IOU for box in crowd.doubtful)]
    return recall.Located([boxes[i] for i in clear], [scores[i] for i in clear], crowd.faces)


def middle_loss(maps: Tensor, wanted: Tensor, size_weight: float) -> Tensor:
    """Focal loss of the middles and relative errors of box sides and places, a face.

    Shape: maps (N, 4, H, W) as the student answers them, wanted (N, 6, H, W) as `Wanted.stacked` -> scalar.
    """
    heat, heat_weight, near, size, right, down = wanted.unbind(1)
    logit = maps[:, 0]
    chance = torch.sigmoid(logit)
    middle = (heat == 1).float()
    hit = -middle * (1 - chance).square() * F.logsigmoid(logit)
    miss = -(1 - middle) * (1 - heat).pow(4) * chance.square() * F.logsigmoid(-logit)
    focal = (heat_weight * (hit + miss)).sum() / middle.sum().clamp_min(1)
    moved = ((maps[:, 2] - right).abs() + (maps[:, 3] - down).abs()) / size.exp()
    wrong = near * ((maps[:, 1] - size).abs() + moved)
    return focal + size_weight * wrong.sum() / near.sum().clamp_min(1)

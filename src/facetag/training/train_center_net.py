"""Training of the centre network on detection scenes, whose faces lie where they were put.

The heatmap has the penalty-reduced focal loss of CornerNet and CenterNet, boxes have one minus their IoU and the errors
of their sides' logs. The first epochs may show smaller scenes, which take less time.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from facetag.datasets.boxed_images import BoxedFiles, BoxedImages
from facetag.datasets.detection_scenes import DetectionScene, DetectionSceneComposer, TightImages
from facetag.datasets.image_pool import ImagePool, build_pool
from facetag.datasets.negatives import Negatives, piece_around
from facetag.datasets.sampling import shuffled_batches
from facetag.images.resample import Image
from facetag.method import detection_metrics
from facetag.method.center_heatmap import find_centers, heatmap_targets
from facetag.method.windows import nms
from facetag.networks.center_net import STRIDE, CenterNet
from facetag.training.data import DataFolder
from facetag.training.examples import VALIDATION_EPOCH, EpochIndex, read_rgb
from facetag.training.finetune import split_training
from facetag.training.pretrain import in_batches
from facetag.training.recipe import CenterNetStage

LEAST = -4.0  #: logits of centres that validation looks at
RATE = 0.1  #: false positives an image
IOU = 0.5
NMS_IOU = 0.4
BOXES = "boxes.json"  #: in the stage's folder: which boxes file it learned from
HEAD_PIXELS, SCENE_PIXELS, IMAGE_PIXELS = 240, 420, 640  #: of the longer side of decoded heads, scenes and photographs


def detection_composers(
    data: DataFolder, pools: Path, stage: CenterNetStage
) -> tuple[DetectionSceneComposer, DetectionSceneComposer]:
    """What composes the scenes to learn from and, of held-out identities, to validate on; pictures are kept decoded in
    `pools`.

    Raises:
        DataError: there are no heads or no scenes without people, or no negatives.csv or hard_heads.csv where the
            stage wants it.
    """
    splits = [split_training(data.celeba(), stage.held_out)]
    if (half := data.half_head_images()) is not None:
        splits.append(split_training(half, stage.held_out))

    def pool(name: str, paths: Sequence[str], longest: int) -> ImagePool:
        return build_pool(paths, pools / name, read_rgb, longest)

    groups, negatives = data.backgrounds(), data.negatives() if stage.negatives else None
    if negatives:
        groups = _with_negatives(groups, negatives)
    starts = np.cumsum([0, *map(len, groups)])
    scenes = pool("scenes", [path for group in groups for path in group], SCENE_PIXELS)
    tight = [
        TightImages(pool(f"tight_{files.name}", files.paths, HEAD_PIXELS), files.boxes) for files in data.tight_images()
    ]
    weighted = [(int(start), len(group), 1.0) for start, group in zip(starts, groups, strict=False)]
    files = {
        name: [str(path) for split in splits for path in getattr(split, name).paths] for name in ("train", "validation")
    }
    heads, held = (pool(name, paths, HEAD_PIXELS) for name, paths in files.items())
    missed = data.hard_heads() if stage.scenes.hard_heads else frozenset()
    hard = [number for number, path in enumerate(files["train"]) if path in missed]
    pieces = None if negatives is None else _pieces(negatives, pools)
    seed = stage.loop.seed
    composer = DetectionSceneComposer(heads, tight, scenes, weighted, stage.scenes, seed, pieces, hard)
    return composer, replace(composer, heads=held, seed=seed + 1, hard=())


def _with_negatives(groups: Sequence[Sequence[str]], negatives: Negatives) -> list[list[str]]:
    """Groups of scenes without the pictures that show a face after all, and a further group of those where nets were
    wrong."""
    shown = {str(path) for path in negatives.with_faces}
    wrong = sorted({str(path) for path, _ in negatives.positions})
    kept = [[path for path in group if path not in shown] for group in groups]
    return [group for group in (*kept, wrong) if group]


def _pieces(negatives: Negatives, pools: Path) -> TightImages:
    """The pictures around the places where nets were wrong."""
    pieces = [piece_around(read_rgb(str(path)), position) for path, position in negatives.positions]
    names = [str(index) for index in range(len(pieces))]
    digest = hashlib.sha256(repr(negatives.positions).encode()).hexdigest()
    pool = build_pool(names, pools / f"negatives_{digest[:12]}", lambda name: pieces[int(name)][0], HEAD_PIXELS)
    return TightImages(pool, [position for _, position in pieces])


def boxed_images(files: BoxedFiles, pools: Path, stage: CenterNetStage) -> BoxedImages:
    """The photographs of a boxes file, kept decoded in `pools`."""
    pool = build_pool(files.paths, pools / f"boxed_{files.digest[:12]}", read_rgb, IMAGE_PIXELS)
    return BoxedImages(pool, files.boxes, files.unsure, stage.scenes, stage.loop.seed)


class SceneSamples(Dataset[Any]):
    """((epoch, index)) -> image uint8 (side, side, 3), heatmap targets (7, side / 8, side / 8).

    A fraction of the samples are photographs with boxes, where there are any.
    """

    def __init__(
        self,
        composer: DetectionSceneComposer,
        count: int,
        small_size: int,
        small_epochs: int,
        boxed: BoxedImages | None = None,
        fraction: float = 0.0,
    ) -> None:
        self.composer, self.count, self.boxed, self.fraction = composer, count, boxed, fraction
        self.small_size, self.small_epochs = small_size, small_epochs

    def __len__(self) -> int:
        return self.count

    def scene(self, epoch: int, index: int) -> DetectionScene:
        source: DetectionSceneComposer | BoxedImages = self.composer
        if self.boxed is not None and np.random.default_rng((epoch, index, 7)).random() < self.fraction:
            source = self.boxed
        if epoch < self.small_epochs:
            source = replace(source, settings=replace(source.settings, input_size=self.small_size))
        return source.compose(epoch, index)

    def __getitem__(self, key: EpochIndex) -> tuple[Image, Tensor]:
        scene = self.scene(*key)
        cells = scene.image.shape[0] // STRIDE
        targets = heatmap_targets(scene.faces, scene.ignored, (cells, cells), STRIDE)
        return np.ascontiguousarray(scene.image), torch.from_numpy(targets.stacked())


class CenterNetTask:
    """Kept by recall of the faces in composed scenes of held-out identities, at IoU 0.5 and 0.1 false an image."""

    name = "center_net"
    metric = "recall"

    def __init__(
        self,
        training: DetectionSceneComposer,
        validation: DetectionSceneComposer,
        stage: CenterNetStage,
        boxed: BoxedImages | None = None,
    ) -> None:
        self.stage = stage
        torch.manual_seed(stage.loop.seed)
        self.model: nn.Module = CenterNet(stage.net)
        small = (stage.small_size, stage.small_epochs)
        self.examples = SceneSamples(training, stage.scenes_per_epoch, *small, boxed, stage.boxed_images)
        self.validation = SceneSamples(validation, stage.validation, stage.scenes.input_size, 0)

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        loop = self.stage.loop
        return shuffled_batches(len(self.examples), loop.batch, loop.seed, epoch, rank, world)

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        return center_loss(model(images).float(), targets[0], self.stage.box_weight)

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        located, position = [], 0
        for images, _ in in_batches(self.validation, device, batch=32):
            for maps in model(images).float().cpu().numpy():
                located.append(_located(maps, self.validation.scene(VALIDATION_EPOCH, position)))
                position += 1
        reached = detection_metrics.recall_by_false_positives(located, (RATE,), IOU)[0]
        return {"recall": float(np.nan_to_num(reached))}  # without any face to find, none was found


def _located(maps: Any, scene: DetectionScene) -> detection_metrics.Located:
    """What the maps answer next to what is there; boxes on ignore regions are neither right nor wrong."""
    found = find_centers(maps, STRIDE, LEAST)
    boxes, scores = [one.box for one in found], [one.logit for one in found]
    kept = nms(boxes, scores, NMS_IOU)
    clear = [i for i in kept if all(boxes[i].iou(box) < IOU for box in scene.ignored)]
    return detection_metrics.Located([boxes[i] for i in clear], [scores[i] for i in clear], scene.faces)


def center_loss(maps: Tensor, targets: Tensor, box_weight: float) -> Tensor:
    """Focal loss of the heatmap and the errors of boxes near centres, each a face.

    Shape: maps (N, 5, H, W) as the centre network answers them, targets (N, 7, H, W) as `HeatmapTargets.stacked` ->
    scalar.
    """
    heat, heat_weight, near = targets[:, 0], targets[:, 1], targets[:, 2]
    logit = maps[:, 0]
    probability = torch.sigmoid(logit)
    center = (heat == 1).float()
    hit = -center * (1 - probability).square() * F.logsigmoid(logit)
    miss = -(1 - center) * (1 - heat).pow(4) * probability.square() * F.logsigmoid(-logit)
    focal = (heat_weight * (hit + miss)).sum() / center.sum().clamp_min(1)
    chosen = near > 0
    found, target, weight = (values.movedim(1, -1)[chosen] for values in (maps[:, 1:], targets[:, 3:], targets[:, 2:3]))
    wrong = 1 - box_iou(found, target) + (found[:, 2:] - target[:, 2:]).abs().mean(1)
    return focal + box_weight * (weight[:, 0] * wrong).sum() / near.sum().clamp_min(1)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes as (x, y of the centre, log width, log height). Shape: (K, 4) twice -> (K,)."""
    size_a, size_b = a[:, 2:].clamp(max=6).exp(), b[:, 2:].exp()
    high = torch.minimum(a[:, :2] + size_a / 2, b[:, :2] + size_b / 2)
    low = torch.maximum(a[:, :2] - size_a / 2, b[:, :2] - size_b / 2)
    common = (high - low).clamp_min(0).prod(1)
    return common / (size_a.prod(1) + size_b.prod(1) - common)

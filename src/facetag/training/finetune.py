"""Fine-tuning by attributes (paper, section 4): LNet_o on x_o, LNet_s on x_s, ANet on x_f.

The three are trained one after the other, each on what the one before proposes ("separately", section 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.datasets.augment import ColourSettings
from facetag.datasets.celeba import CelebA, hold_out_identities
from facetag.datasets.sampling import shuffled_batches
from facetag.datasets.scenes import SceneComposer, SceneSettings
from facetag.datasets.tags import TagLabels
from facetag.datasets.utkface import Person, attribute_labels
from facetag.errors import DataError
from facetag.method.attribute_metrics import average_precision
from facetag.model import RespondingLNet
from facetag.networks.anet import Frame
from facetag.networks.anet_heads import AttributeNet
from facetag.networks.execution.layout import channels_last
from facetag.networks.lnet import CHANNELS, ClassifyingLNet, HeadSettings, LNetSettings
from facetag.networks.losses import attribute_loss, distillation_loss
from facetag.networks.teacher_net import TeacherNet
from facetag.tagger import TaggerSettings
from facetag.training.checkpoint import load_best
from facetag.training.examples import Faces, HeadRegionCrops, MixedFaces, Scenes, read_rgb
from facetag.training.living import living_units
from facetag.training.pretrain import in_batches, require_both_parts
from facetag.training.propose import Boxes, chip_boxes
from facetag.training.recipe import CropStage, FaceStage, JitterSettings, SceneStage

OUTPUTS = len(ATTRIBUTES) + 1  #: the forty and "any of them"
ANY = len(ATTRIBUTES)


@dataclass(frozen=True)
class Split:
    """Training identities of CelebA (partition 0), and those held out of them to validate."""

    train: CelebA
    validation: CelebA


def split_training(data: CelebA, fraction: float) -> Split:
    """Partition 0 cut by identity.

    Raises:
        DataError: a part is empty, or there are no identities.
    """
    nets = data.subset(0)
    held = hold_out_identities(nets.identities, fraction, seed=0)
    require_both_parts(held, fraction, "pictures of partition 0")
    return Split(nets.select(~held), nets.select(held))


def composer(data: CelebA, backgrounds: Sequence[Sequence[str]], scenes: SceneSettings, seed: int) -> SceneComposer:
    """Composes scenes from the heads of these images."""
    return SceneComposer(read_rgb, [str(path) for path in data.paths], data.attributes, backgrounds, scenes, seed)


class LNetTask:
    """LNet_o or LNet_s on pictures with image-level tags, all of them or these; kept by mean average precision on
    held-out identities."""

    metric = "average_precision"

    def __init__(
        self,
        name: str,
        stage: SceneStage | CropStage,
        lnet: LNetSettings,
        examples: Any,
        validation: Any,
        input_size: int,
        tags: Sequence[str] = (),
    ) -> None:
        self.name, self.stage = name, stage
        torch.manual_seed(stage.loop.seed)
        self.tags = attribute_indices(tags or ATTRIBUTES)
        self.model: nn.Module = ClassifyingLNet(OUTPUTS, lnet, replace(stage.head, input_size=input_size))
        self.examples, self.validation = examples, validation

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        loop = self.stage.loop
        return shuffled_batches(len(self.examples), loop.batch, loop.seed, epoch, rank, world)

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        logits, tags, weight = model(images).float(), targets[0], self.stage.any_weight
        attributes = attribute_loss(logits[:, self.tags], tags[:, self.tags])
        anything = attribute_loss(logits[:, ANY], tags[:, ANY])
        return (ANY * attributes + weight * anything) / (ANY + weight)

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        logits, tags = [], []
        for images, labels in in_batches(self.validation, device):
            logits.append(model(images).float().cpu().numpy())
            tags.append(labels.numpy())
        precision = average_precision(np.concatenate(logits), np.concatenate(tags) > 0.5)
        return {"average_precision": float(np.nanmean(precision[self.tags])), "any": float(precision[ANY])}


class FaceTask:
    """ANet, or its teacher, on face regions, validated by mean accuracy on held-out identities.

    Labels below 0 are unknown. A `teacher` is shown the same regions as its pupil.
    """

    metric = "accuracy"

    def __init__(
        self,
        name: str,
        net: AttributeNet | TeacherNet,
        stage: FaceStage,
        examples: Faces | MixedFaces,
        validation: Faces,
        teacher: TeacherNet | None = None,
    ) -> None:
        self.name = name
        self.model: nn.Module = net
        self.stage, self.examples, self.validation, self.teacher = stage, examples, validation, teacher
        self.learned = np.ones(len(ATTRIBUTES), bool)
        self.learned[attribute_indices(stage.left_out)] = False

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        loop = self.stage.loop
        return shuffled_batches(len(self.examples), loop.batch, loop.seed, epoch, rank, world)

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        if not self.stage.mixup:
            return self._loss(model(images), images, targets[0])
        alpha = torch.tensor(self.stage.mixup)
        fraction = float(torch.distributions.Beta(alpha, alpha).sample())
        mixed = images.lerp(images.flip(0), fraction)
        logits = model(mixed)
        own, other = (self._loss(logits, mixed, labels) for labels in (targets[0], targets[0].flip(0)))
        return own.lerp(other, fraction)

    def _loss(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        learned = torch.from_numpy(self.learned).to(images.device)
        logits, labels = logits.float()[:, learned], labels[:, learned]
        if self.teacher is not None:
            with torch.no_grad():
                answers = self.teacher.to(images.device)(images).float().sigmoid()[:, learned]
            return distillation_loss(logits, labels, answers, self.stage.teacher_weight)
        known = labels >= 0
        return attribute_loss(logits[known], labels[known])

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        logits, labels = [], []
        for images, tags in in_batches(self.validation, device, batch=256):
            logits.append(model(images).float().cpu().numpy())
            labels.append(tags.numpy() > 0.5)
        scores, truth = (np.concatenate(each)[:, self.learned] for each in (logits, labels))
        precision = average_precision(scores, truth)
        figures = {"accuracy": float(((scores > 0) == truth).mean()), "average_precision": float(np.nanmean(precision))}
        if not isinstance(model, AttributeNet):
            return figures
        batches = (images for images, _ in in_batches(self.validation, device, batch=256))
        return {**figures, **living_units(model.anet, batches)}


def scene_task(data: CelebA, backgrounds: Sequence[Sequence[str]], stage: SceneStage, lnet: LNetSettings) -> LNetTask:
    """LNet_o on composed whole images."""
    split, seed = split_training(data, stage.held_out), stage.loop.seed
    plain = replace(stage.scenes, colour=ColourSettings())
    examples = Scenes(composer(split.train, backgrounds, stage.scenes, seed))
    validation = Scenes(composer(split.validation, backgrounds, plain, seed + 1))
    return LNetTask("lnet_o", stage, lnet, examples, validation, stage.scenes.input_size, stage.tags)


def crop_task(
    composers: tuple[SceneComposer, SceneComposer], squares: tuple[Boxes, Boxes], stage: CropStage, lnet: LNetSettings
) -> LNetTask:
    """LNet_s on the crops that LNet_o proposes; composers and squares of training and of validation."""
    still = replace(stage, colour=ColourSettings(), shift=0.0, scale=1.0, others=0.0, rounds=1)
    examples = HeadRegionCrops(composers[0], squares[0], stage)
    validation = HeadRegionCrops(composers[1], squares[1], still)
    return LNetTask("lnet_s", stage, lnet, examples, validation, stage.input_size)


def responding(folder: Path, lnet: LNetSettings, stage: SceneStage | CropStage, input_size: int) -> RespondingLNet:
    """The trained LNet of a stage's folder, ready for use: folded, rounded to fp16 as it will be saved."""
    head = replace(stage.head, input_size=input_size)
    trained = ClassifyingLNet(OUTPUTS, lnet, head)
    load_best(folder, trained)
    weights, bias = response_weights(trained, stage.response, head)
    net = trained.lnet.eval().folded().half().float().requires_grad_(False)
    return RespondingLNet(channels_last(net), weights.half().float(), bias)


def response_weights(trained: ClassifyingLNet, response: str, head: HeadSettings) -> tuple[Tensor, float]:
    """Channel weights of the response map and the bias of its score."""
    if response == "mean":
        return torch.full((CHANNELS,), 1 / CHANNELS), 0.0
    return trained.head.channel_weights(ANY), trained.head.outputs.bias[ANY].item()


def labeled_image_examples(
    paths: Sequence[str], labels: TagLabels, boxes: Boxes, tagger: TaggerSettings, frame: Frame, stage: FaceStage
) -> Faces:
    """Face windows of photographs with the labels that they have, -1 for others; those without a box are left out.

    Raises:
        DataError: none has a box.
    """
    found = ~np.isnan(boxes[:, 0])
    if not found.any():
        raise DataError(
            f"no face was found in any of {len(paths)} labelled photographs", "train what finds them longer"
        )
    targets = torch.from_numpy(labels.values[found].astype(np.float32))
    chosen = [path for path, is_found in zip(paths, found, strict=True) if is_found]
    return Faces(chosen, boxes[found], targets, tagger, stage.jitter, stage.colour, stage.loop.seed, frame)


def utkface_examples(people: Sequence[Person], tagger: TaggerSettings, frame: Frame, stage: FaceStage) -> Faces:
    """Faces of UTKFace, each where its chips have it, with Male and Young; -1 for all other attributes."""
    targets = torch.from_numpy(attribute_labels(people, stage.young_below).astype(np.float32))
    paths, boxes = [str(person.path) for person in people], chip_boxes(len(people))
    return Faces(paths, boxes, targets, tagger, stage.jitter, stage.colour, stage.loop.seed, frame)


def face_examples(
    data: CelebA, boxes: Boxes, tagger: TaggerSettings, frame: Frame, stage: FaceStage, jittered: bool
) -> Faces:
    """Face windows of these images with their forty attributes; images without a box are left out.

    Raises:
        DataError: no image has a box.
    """
    found = ~np.isnan(boxes[:, 0])
    if not found.any():
        use = "train" if jittered else "validate"
        raise DataError(
            f"no face was found in any of {len(data)} pictures to {use} ANet on",
            "train them longer, or change held_out in the recipe",
        )
    targets = torch.from_numpy(data.attributes[found].astype(np.float32))
    paths, seed = chosen_paths(data, found), stage.loop.seed
    if not jittered:
        return Faces(paths, boxes[found], targets, tagger, JitterSettings(), ColourSettings(), seed, frame)
    return Faces(paths, boxes[found], targets, tagger, stage.jitter, stage.colour, seed, frame, stage.tight)


def chosen_paths(data: CelebA, mask: NDArray[np.bool_]) -> list[str]:
    """Paths of the images where the mask is set."""
    return [str(data.paths[index]) for index in np.flatnonzero(mask)]

"""Pre-training (paper, section 4): LNet+ on object categories, ANet on identities."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from facetag.datasets.augment import ColourSettings
from facetag.datasets.celeba import CelebA, hold_out_identities
from facetag.datasets.folders import ClassFolders
from facetag.datasets.sampling import IdentityBatches, shuffled_batches
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.errors import DataError
from facetag.method.verification import Verification, verify
from facetag.networks.anet import ANetSettings
from facetag.networks.anet_heads import IdentityNet
from facetag.networks.lnet import ClassifyingLNet, LNetSettings
from facetag.networks.losses import category_loss, contrastive_loss, identity_loss
from facetag.tagger import TaggerSettings
from facetag.training.data import DataFolder
from facetag.training.examples import VALIDATION_EPOCH, Faces, ObjectImages
from facetag.training.living import living_units
from facetag.training.loop import Outcome, RunOptions, leave_signals_alone, to_input, train
from facetag.training.propose import Boxes
from facetag.training.recipe import IdentityStage, JitterSettings, ObjectStage, Recipe


def held_out(count: int, fraction: float, seed: int = 0) -> NDArray[np.bool_]:
    """Which of `count` examples validate: a fixed random share of them."""
    return np.random.default_rng(seed).permutation(count) < round(count * fraction)


def require_both_parts(validates: NDArray[np.bool_], fraction: float, what: str) -> None:
    """Refuse a split (N,) that would train or validate on nothing.

    Raises:
        DataError: a part is empty.
    """
    if validates.all() or not validates.any():
        use = "train" if validates.all() else "validate"
        raise DataError(
            f"held_out = {fraction} leaves none of {len(validates)} {what} to {use} on",
            "change held_out in the recipe, or bring more",
        )


def in_batches(examples: Any, device: torch.device, batch: int = 128, workers: int = 1) -> Any:
    """(images in [0, 1], targets ...) of all validation examples, in order."""
    keys = [(VALIDATION_EPOCH, index) for index in range(len(examples))]
    sampler = [keys[start : start + batch] for start in range(0, len(keys), batch)]
    loader = DataLoader(examples, batch_sampler=sampler, num_workers=workers, worker_init_fn=leave_signals_alone)
    for images, *targets in loader:
        yield to_input(images, device), *targets


class ObjectTask:
    """LNet+ with its head on object categories; kept by accuracy on held-out pictures."""

    name = "lnet_plus"
    metric = "accuracy"

    def __init__(self, data: ClassFolders, lnet: LNetSettings, stage: ObjectStage) -> None:
        self.stage = stage
        torch.manual_seed(stage.loop.seed)  # the weights that training starts from
        self.model: nn.Module = ClassifyingLNet(
            len(data.class_names), lnet, replace(stage.head, input_size=stage.input_size)
        )
        labels = np.asarray(data.labels, np.int64)
        validates = held_out(len(labels), stage.held_out)
        require_both_parts(validates, stage.held_out, "object pictures")
        self.examples = self._images(data.paths, labels, ~validates, stage.crops, stage.colour)
        self.validation = self._images(data.paths, labels, validates, "center", ColourSettings())

    def _images(
        self,
        paths: Sequence[Any],
        labels: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        crops: Any,
        colour: ColourSettings,
    ) -> ObjectImages:
        kept = np.flatnonzero(chosen)
        names = [str(paths[index]) for index in kept.tolist()]
        return ObjectImages(names, labels[kept], self.stage.input_size, crops, colour, self.stage.loop.seed)

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        loop = self.stage.loop
        return shuffled_batches(len(self.examples), loop.batch, loop.seed, epoch, rank, world)

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        return category_loss(model(images).float(), targets[0])

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        right = total = 0
        for images, categories in in_batches(self.validation, device):
            right += int((model(images).argmax(1).cpu() == categories).sum())
            total += len(categories)
        return {"accuracy": right / max(total, 1)}


def _of_first(identities: NDArray[np.int64], people: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which images (N,) are of a random `count` of the people; 0 = of any of them."""
    order = np.random.default_rng(0).permutation(people)
    return np.isin(identities, order[: count or len(order)])


class IdentityTask:
    """ANet with its head on training identities; kept by how well it tells pairs of held-out people."""

    name = "anet_identities"
    metric = "auc"

    def __init__(
        self, data: CelebA, boxes: Boxes, anet: ANetSettings, tagger: TaggerSettings, stage: IdentityStage
    ) -> None:
        self.stage = stage
        held = hold_out_identities(data.identities, stage.held_out, seed=0)
        require_both_parts(held, stage.held_out, "pictures of partition 0")
        chosen = ~held & _of_first(data.identities, np.unique(data.identities[~held]), stage.identities)
        people, numbers = np.unique(data.identities[chosen], return_inverse=True)
        self.numbers = numbers
        torch.manual_seed(stage.loop.seed)
        self.model: nn.Module = IdentityNet(len(people), anet, stage.dropout)
        still = JitterSettings()
        self.examples = self._faces(data, boxes, chosen, numbers, tagger, stage.jitter, stage.colour)
        self.validation, self.known = (
            self._faces(data, boxes, part, data.identities[part], tagger, still, ColourSettings())
            for part in (held, chosen & _of_first(data.identities, people, len(np.unique(data.identities[held]))))
        )

    def _faces(
        self,
        data: CelebA,
        boxes: Boxes,
        chosen: NDArray[np.bool_],
        numbers: NDArray[np.int64],
        tagger: TaggerSettings,
        jitter: JitterSettings,
        colour: ColourSettings,
    ) -> Faces:
        paths = [str(data.paths[index]) for index in np.flatnonzero(chosen).tolist()]
        targets = torch.from_numpy(np.asarray(numbers, np.int64))
        return Faces(paths, boxes[chosen], targets, tagger, jitter, colour, self.stage.loop.seed)

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        stage = self.stage
        sampler = IdentityBatches(self.numbers, stage.people, stage.images, stage.loop.seed, rank, world)
        rounds = range(epoch * stage.rounds, (epoch + 1) * stage.rounds)
        return [batch for turn in rounds for batch in sampler.batches(turn)]

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        stage = self.stage
        features, logits = (each.float() for each in model(images))
        loss = identity_loss(features, logits, targets[0], stage.similarity_weight)
        if stage.contrastive_weight:
            loss = loss + stage.contrastive_weight * contrastive_loss(features, targets[0], stage.temperature)
        return loss

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Pairs of held-out people and, beside them, of as many whom it was trained on; units that live."""
        assert isinstance(model, IdentityNet)
        held, trained = (self._verified(model, faces, device) for faces in (self.validation, self.known))
        batches = (images for images, _ in in_batches(self.validation, device))
        figures = {"auc": held.auc, "verification": held.accuracy, "verification_of_trained": trained.accuracy}
        defined = {name: figure for name, figure in figures.items() if not np.isnan(figure)}
        return {**defined, **living_units(model.anet, batches)}

    def _verified(self, model: nn.Module, faces: Faces, device: torch.device) -> Verification:
        parts = [(model(images)[0].float().cpu().numpy(), people) for images, people in in_batches(faces, device)]
        return verify(np.concatenate([part for part, _ in parts]), np.concatenate([people for _, people in parts]))


def pretrain_lnet(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Train LNet+ in run/lnet_plus on the object sets of a data folder.

    Raises:
        DataError: no object sets, or too few pictures to hold some out.
    """
    task = ObjectTask(DataFolder(data).objects(), recipe.lnet, recipe.lnet_plus)
    return train(task, recipe.lnet_plus.loop, run / task.name, options)


def pretrain_anet(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Train ANet in run/anet_identities on the training identities of a data folder's CelebA.

    Its faces lie where the aligned frame has them: the paper follows [23], which pre-trains on aligned faces.

    Raises:
        DataError: no CelebA images, labels or identities, or too few identities to hold some out.
    """
    nets = DataFolder(data).celeba().subset(0)
    box = np.array([ALIGNED_FACE.x, ALIGNED_FACE.y, ALIGNED_FACE.width, ALIGNED_FACE.height, 1.0], np.float32)
    task = IdentityTask(nets, np.tile(box, (len(nets), 1)), recipe.anet, recipe.tagger, recipe.anet_identities)
    return train(task, recipe.anet_identities.loop, run / task.name, options)

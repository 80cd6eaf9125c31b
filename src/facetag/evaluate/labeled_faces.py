"""Labelled images that figures are made of, CelebA's or a user's own, and what ANet answers for their faces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facetag.datasets.celeba import CelebA
from facetag.datasets.columns import read_rows
from facetag.datasets.tags import labeled_images_of, load_tags_csv
from facetag.errors import DataError, UsageError
from facetag.evaluate.attributes import Locate
from facetag.evaluate.image_batches import Progress, no_progress, read_batches
from facetag.networks.anet_heads import AnyANet, build_anet
from facetag.pipeline.stages import regions_of
from facetag.tagger import Tagger
from facetag.training.checkpoint import best_state
from facetag.training.recipe import Recipe

IDENTITY = "identity"  #: a column of a user's labels: who is shown, in any words
LAYERS = ("c3", "c4", "context", "fc")  #: of ANet; the context is the wide net's alone


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """N images.

    Attributes:
        values: (N, A), A all attributes: 1 present, 0 absent, -1 unknown.
        identities: (N,) images of one person have one number; an image of nobody known has a number of its own.
    """

    paths: list[Path]
    values: NDArray[np.int8]
    identities: NDArray[np.int64]

    def select(self, rows: NDArray[np.int64]) -> "LabeledImages":
        """These images."""
        return LabeledImages([self.paths[row] for row in rows], self.values[rows], self.identities[rows])


@dataclass(frozen=True, eq=False)
class Activations:
    """What ANet answers for the M faces that were found.

    Attributes:
        rows: (M,) which of the images these are.
        windows: (M, H, W, 3) what the net saw.
        layers: of each net by its name, the (M, D) answers of each layer behind its ReLU.
    """

    rows: NDArray[np.int64]
    windows: NDArray[np.uint8]
    layers: Mapping[str, Mapping[str, NDArray[np.float32]]]


def celeba_images(part: CelebA) -> LabeledImages:
    """CelebA's, with its identities where it has them."""
    identities = np.arange(len(part)) if part.identity_ids is None else part.identity_ids
    return LabeledImages(part.paths, part.attributes, identities)


def own_images(labels: Path, folder: Path) -> LabeledImages:
    """A user's: the CSV is that of `facetag eval tags`, with a column `identity` where persons are known.

    Raises:
        DataError: the file or one of its images is not what it should be.
    """
    given, paths = labeled_images_of(load_tags_csv(labels), folder)
    persons = [row.get(IDENTITY, "") or f"\n{line}" for line, row in read_rows(labels, (), (IDENTITY,))]
    return LabeledImages(paths, given.values, np.unique(persons, return_inverse=True)[1].astype(np.int64))


def identity_anet(run: Path, recipe: Recipe) -> AnyANet:
    """ANet of a run as it was right after pre-training by identities.

    Raises:
        DataError: the run has none, or one of another recipe.
    """
    state = best_state(run / "anet_identities")
    anet = build_anet(recipe.anet)
    try:
        anet.load_state_dict({key[5:]: value for key, value in state.items() if key.startswith("anet.")})
    except RuntimeError:
        raise DataError(f"{run} was trained by another recipe than {recipe.name}", "name its recipe") from None
    return anet.eval().requires_grad_(False).folded()


def activations(
    paths: Sequence[Path], locate: Locate, tagger: Tagger, nets: Mapping[str, AnyANet], progress: Progress = no_progress
) -> Activations:
    """The answers of nets for the highest-scoring face of each image, in one view, the tagger's scale nearest to 1.

    Raises:
        DataError: an image cannot be read, or no face is found in any.
        UsageError: the nets do not see the same pixels.
    """
    if len({net.frame for net in nets.values()} | {tagger.model.anet.frame}) > 1:
        raise UsageError("these nets see windows of different sizes", "compare a model with a run of its own recipe")
    device = tagger.extract.device
    for net in nets.values():
        net.to(device)
    rows: list[int] = []
    windows: list[NDArray[np.uint8]] = []
    answers: dict[str, list[dict[str, Tensor]]] = {name: [] for name in nets}
    for indices, regions in found_regions(paths, locate, tagger, progress):
        seen = net_windows(tagger, regions)
        rows += indices
        windows.append(seen)
        for name, net in nets.items():
            answers[name].append(layers_of(net, to_images(seen, device)))
    if not rows:
        raise DataError(f"no face was found in any of {len(paths)} images", "choose other images, or another model")
    layers = {
        name: {layer: torch.cat([part[layer] for part in parts]).numpy() for layer in parts[0]}
        for name, parts in answers.items()
    }
    return Activations(np.array(rows), np.concatenate(windows), layers)


def found_regions(
    paths: Sequence[Path], locate: Locate, tagger: Tagger, progress: Progress = no_progress
) -> Iterator[tuple[list[int], list[NDArray[np.uint8]]]]:
    """x_f of the highest-scoring face of each image where one is found, batch by batch: which images, and their x_f."""
    first = 0
    for images in read_batches(paths, progress, side=0):
        located = locate(images)
        indices = [index for index, found in enumerate(located) if found]
        regions = [x_f for at in indices for x_f in regions_of(tagger, images[at], [located[at][0].box])]
        if indices:
            yield [first + index for index in indices], regions
        first += len(images)


def face_features(
    paths: Sequence[Path], locate: Locate, tagger: Tagger, progress: Progress = no_progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """In which of the images a face was found (M,), and what the SVMs see of it: h_a (M, D).

    Raises:
        DataError: an image cannot be read, or no face is found in any.
    """
    rows: list[int] = []
    features: list[NDArray[np.float32]] = []
    for indices, regions in found_regions(paths, locate, tagger, progress):
        rows += indices
        features.append(tagger.extract(regions))
    if not rows:
        raise DataError(f"no face was found in any of {len(paths)} images", "choose other images, or another model")
    return np.array(rows), np.concatenate(features)


def net_windows(tagger: Tagger, regions: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """What ANet is trained to see, cut out of x_f at the scale nearest to 1: (N, H, W, 3)."""
    settings, frame = tagger.settings, tagger.model.anet.frame
    scale = int(np.argmin(np.abs(np.array(settings.scales) - 1)))
    cut = max(settings.margin - frame.margin, 0)
    high, wide = frame.height + 2 * frame.margin, frame.width + 2 * frame.margin
    return np.stack([x_f[scale, cut : cut + high, cut : cut + wide] for x_f in regions])


def to_images(windows: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(windows).to(device).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def layers_of(anet: AnyANet, images: Tensor) -> dict[str, Tensor]:
    """Every layer of LAYERS that the net has, (N, D) on the CPU, for windows (N, 3, H, W) of `net_windows`."""
    center = torch.full((1, 2), anet.frame.margin // anet.frame.step)
    maps = anet.views(images, center, anet.frame.step).mapped(lambda part: part[:, 0])
    answers = {"c3": maps.c3, "c4": maps.c4, "context": maps.context, "fc": anet.features(maps)}
    return {layer: answer.flatten(1).float().cpu() for layer, answer in answers.items() if answer is not None}

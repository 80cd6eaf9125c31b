"""Pictures as the nets are trained on them: torch datasets over the paths and labels of facetag.datasets.

An example is asked for by (epoch, index); its chance comes from (seed, epoch, index) alone.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facetag.datasets.augment import (
    ColourSettings,
    center_square,
    flip,
    jitter_colour,
    one_of_ten_crops,
    random_square,
)
from facetag.datasets.scenes import SceneComposer, log_uniform
from facetag.datasets.utkface import CHIP_FACE, CHIP_SIZE
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.resample import Image, crop
from facetag.networks.anet import ANet, Frame
from facetag.tagger import TaggerSettings, face_window
from facetag.training.propose import Boxes, as_box
from facetag.training.recipe import CropStage, JitterSettings

#: The epoch whose pictures validate: no training epoch reaches it.
VALIDATION_EPOCH = 1_000_000

EpochIndex = tuple[int, int]


def read_rgb(path: str) -> Image:
    """The upright RGB pixels of one picture of a training set."""
    return read_image(path).pixels


class ObjectImages(Dataset[Any]):
    """Object pictures with their category: ((epoch, index)) -> image uint8 (side, side, 3), category."""

    def __init__(
        self,
        paths: Sequence[str],
        categories: NDArray[np.int64],
        input_size: int,
        crops: Literal["ten", "random", "center"],
        colour: ColourSettings,
        seed: int = 0,
    ) -> None:
        self.paths, self.categories, self.input_size = paths, categories, input_size
        self.crops, self.colour, self.seed = crops, colour, seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: EpochIndex) -> tuple[Image, int]:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        image = read_rgb(self.paths[index])
        if self.crops == "center":
            image = center_square(image, self.input_size)
        elif self.crops == "ten":
            image = one_of_ten_crops(image, rng, self.input_size)
        else:
            image = flip(random_square(image, rng, self.input_size, smallest=0.5), rng)
        return np.ascontiguousarray(jitter_colour(image, rng, self.colour)), int(self.categories[index])


class Scenes(Dataset[Any]):
    """Composed whole images: ((epoch, index)) -> image uint8 (side, side, 3), tags (A + 1,)."""

    def __init__(self, composer: SceneComposer) -> None:
        self.composer = composer

    def __len__(self) -> int:
        return len(self.composer.heads)

    def __getitem__(self, key: EpochIndex) -> tuple[Image, Tensor]:
        scene = self.composer.compose(*key)
        return scene.image, torch.from_numpy(scene.attributes)


class HeadRegionCrops(Dataset[Any]):
    """Head-shoulder crops x_s: ((epoch, index)) -> image uint8 (side, side, 3), tags (A + 1,).

    Epoch e shows the scenes of round e modulo the rounds that LNet_o was asked about, each cropped where LNet_o saw
    its strongest head; on a bare scene that is a hard negative. Where LNet_o saw nothing, the whole scene is the crop.
    """

    def __init__(self, composer: SceneComposer, squares: Boxes, stage: CropStage) -> None:
        self.composer, self.squares, self.stage = composer, squares, stage

    def __len__(self) -> int:
        return len(self.composer.heads)

    def __getitem__(self, key: EpochIndex) -> tuple[Image, Tensor]:
        epoch, index = key
        rng = np.random.default_rng((self.stage.loop.seed, epoch, index, 1))
        turn = epoch % self.stage.rounds
        scene = self.composer.compose(turn, index)
        row = self.squares[turn * len(self) + index]
        input_size = scene.image.shape[0]
        square = Box(0, 0, input_size, input_size) if np.isnan(row[0]) else as_box(row)
        moved, tags = self._jittered(square, rng), scene.attributes
        if rng.random() < self.stage.others:
            factor = log_uniform(rng, self.stage.nearest, self.stage.furthest)
            moved, tags = moved.enlarged(factor if rng.random() < 0.5 else 1 / factor), np.zeros_like(tags)
        image = flip(crop(scene.image, moved, self.stage.input_size, self.stage.input_size), rng)
        return jitter_colour(np.ascontiguousarray(image), rng, self.stage.colour), torch.from_numpy(tags)

    def _jittered(self, square: Box, rng: np.random.Generator) -> Box:
        shift, scale = self.stage.shift * square.width, np.log(self.stage.scale)
        moved = square.shifted(rng.uniform(-shift, shift), rng.uniform(-shift, shift))
        return moved.enlarged(float(np.exp(rng.uniform(-scale, scale))))


def as_chip(image: Image, box: Box) -> tuple[Image, Box]:
    """The image cut as tightly around the face as UTKFace cuts its own, and the box in what is left."""
    scale = box.height / CHIP_FACE.height
    chip = Box(box.x - CHIP_FACE.x * scale, box.y - CHIP_FACE.y * scale, CHIP_SIZE * scale, CHIP_SIZE * scale)
    high, wide = image.shape[:2]
    left, top = int(np.clip(chip.x, 0, wide - 1)), int(np.clip(chip.y, 0, high - 1))
    right, bottom = int(np.clip(chip.right, left + 1, wide)), int(np.clip(chip.bottom, top + 1, high))
    return image[top:bottom, left:right], box.shifted(-left, -top)


class MixedFaces(Dataset[Any]):
    """Examples, and beside them others so many times an epoch, with other chance each time: ((epoch, index)) -> one."""

    def __init__(self, examples: "Faces | MixedFaces", others: "Faces", times: int = 1) -> None:
        self.examples, self.others, self.times = examples, others, times

    def __len__(self) -> int:
        return len(self.examples) + self.times * len(self.others)

    def __getitem__(self, key: EpochIndex) -> tuple[Image, Tensor]:
        epoch, index = key
        if index < len(self.examples):
            return self.examples[epoch, index]
        turn, index = divmod(index - len(self.examples), len(self.others))
        return self.others[epoch * self.times + turn, index]


class Faces(Dataset[Any]):
    """Face regions: ((epoch, index)) -> image uint8 (H, W, 3), target (attributes (A,) or an identity).

    A region is the frame's window with its margin, 55 x 47 pixels of the paper's ANet. A fraction `tight` of the images
    is cut `as_chip` before.
    """

    def __init__(
        self,
        paths: Sequence[str],
        boxes: Boxes,
        targets: Tensor,
        tagger: TaggerSettings,
        jitter: JitterSettings,
        colour: ColourSettings,
        seed: int,
        frame: Frame = ANet.frame,
        tight: float = 0.0,
    ) -> None:
        self.frame, self.tight = frame, tight
        assert len(paths) == len(boxes) == len(targets)
        self.paths, self.boxes, self.targets, self.tagger = paths, boxes, targets, tagger
        self.jitter, self.colour, self.seed = jitter, colour, seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: EpochIndex) -> tuple[Image, Tensor]:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        image, box = read_rgb(self.paths[index]), as_box(self.boxes[index])
        if self.tight and rng.random() < self.tight:
            image, box = as_chip(image, box)
        frame = self.frame
        window = face_window(box, self.tagger, frame)
        width, height = frame.width + 2 * frame.margin, frame.height + 2 * frame.margin
        jitter, pixel = self.jitter, window.height / frame.height
        dx, dy = rng.uniform(-jitter.shift, jitter.shift, 2) * pixel
        factor = float(np.exp(rng.uniform(-1, 1) * np.log(jitter.scale)))
        turn = rng.uniform(-jitter.rotation, jitter.rotation)
        region = window.shifted(dx, dy).enlarged(factor * width / frame.width, factor * height / frame.height)
        face = crop(image, region, width, height, turn)
        face = flip(face, rng) if epoch < VALIDATION_EPOCH else face
        return jitter_colour(np.ascontiguousarray(face), rng, self.colour), self.targets[index]

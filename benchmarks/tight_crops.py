"""How many tight face pictures are found: UTKFace's squares, CelebA cut around the face, and pieces without a face.

    python benchmarks/tight_crops.py --models fast --limit 200
    python benchmarks/tight_crops.py --sizes 64 200 --limit 400 --faceless data/objects/miniimagenet

For each size of the longer side and each model, at its score: percent of pictures in which a face is found, in which it
is the only one, and in which the best box is right (centred within 0.2 of a UTKFace picture; IoU of 0.6 or more with
the face that a cut of CelebA shows). Of pieces of images without people: percent in which something is found.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facetag.datasets.celeba import load_celeba
from facetag.datasets.folders import list_images
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.evaluate.image_batches import evenly, load_pixels
from facetag.geometry import Box
from facetag.images.resample import Image, resize
from facetag.localization.base import Localizer
from facetag.predictor import FaceTagger

SIZES = (64, 200, 600)
CUTS = (0.8, 1.0, 1.2, 1.5)  #: sides of a cut over the height of the face
CENTRED, IOU = 0.2, 0.6


@dataclass(frozen=True, eq=False)
class Crop:
    """A picture and the face that it shows, None where it shows none."""

    image: Image
    face: Box | None


def of_size(image: Image, size: int) -> Image:
    factor = size / max(image.shape[:2])
    return resize(image, max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))


def utkface(data: Path, size: int, limit: int) -> Iterator[Crop]:
    """Whole pictures; the face is their middle."""
    paths = list_images(data / "utkface")
    for index in evenly(len(paths), limit):
        image = of_size(load_pixels(Path(paths[index])), size)
        yield Crop(image, Box(0, 0, image.shape[1], image.shape[0]))


def celeba(data: Path, size: int, limit: int, cut: float) -> Iterator[Crop]:
    """Squares of aligned pictures of partition 1 around the face."""
    paths = load_celeba(data / "celeba").subset(1).paths
    side = round(cut * ALIGNED_FACE.height)
    for index in evenly(len(paths), limit):
        image = load_pixels(Path(paths[index]))
        frame = Box.around(*ALIGNED_FACE.center, side, side).clipped(image.shape[1], image.shape[0])
        left, top, right, bottom = (round(edge) for edge in (frame.x, frame.y, frame.right, frame.bottom))
        part = of_size(np.ascontiguousarray(image[top:bottom, left:right]), size)
        factor = part.shape[0] / (bottom - top)
        face = ALIGNED_FACE.shifted(-left, -top).scaled(factor)
        yield Crop(part, face.clipped(part.shape[1], part.shape[0]))


def pieces(folder: Path, size: int, limit: int) -> Iterator[Crop]:
    """Random squares of images without people."""
    paths = list_images(folder)
    for index in evenly(len(paths), limit):
        image, rng = load_pixels(Path(paths[index])), np.random.default_rng(index)
        side = int(min(image.shape[:2]) * rng.uniform(0.3, 1))
        top, left = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
        yield Crop(of_size(np.ascontiguousarray(image[top : top + side, left : left + side]), size), None)


def figures(finder: Localizer, crops: Sequence[Crop], is_right: Callable[[Box, Crop], bool]) -> tuple[float, ...]:
    """Percent found, found once, and with a right best box."""
    found = [finder([crop.image])[0] for crop in crops]
    shown = [
        [face.box.clipped(crop.image.shape[1], crop.image.shape[0]) for face in faces]
        for crop, faces in zip(crops, found, strict=True)
    ]
    right = [bool(boxes) and is_right(boxes[0], crop) for boxes, crop in zip(shown, crops, strict=True)]
    rows = ([len(boxes) > 0 for boxes in shown], [len(boxes) == 1 for boxes in shown], right)
    return tuple(100 * float(np.mean(row)) for row in rows)


def is_centred(box: Box, crop: Crop) -> bool:
    (x, y), (height, width) = box.center, crop.image.shape[:2]
    return abs(x / width - 0.5) <= CENTRED and abs(y / height - 0.5) <= CENTRED


def overlaps(box: Box, crop: Crop) -> bool:
    return crop.face is not None and box.iou(crop.face) >= IOU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--faceless", type=Path, help="folder of images without people; default: scene15 under --data")
    parser.add_argument("--models", nargs="+", default=["fast"])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--limit", type=int, default=200)
    asked = parser.parse_args()
    faceless = asked.faceless or asked.data / "backgrounds" / "scene15"
    finders = {name: FaceTagger(name, device="cpu").localizer for name in asked.models}
    print("percent found, found once, right; of pieces: percent in which something is found, and once")
    for size in asked.sizes:
        kinds: dict[str, tuple[Iterator[Crop], Callable[[Box, Crop], bool]]] = {
            "UTKFace": (utkface(asked.data, size, asked.limit), is_centred),
            **{f"CelebA, {cut} faces": (celeba(asked.data, size, asked.limit, cut), overlaps) for cut in CUTS},
            "no face": (pieces(faceless, size, asked.limit), overlaps),
        }
        for kind, (crops, is_right) in kinds.items():
            shown = list(crops)
            for name, finder in finders.items():
                cells = "".join(f"{value:8.1f}" for value in figures(finder, shown, is_right))
                print(f"{size:5} px  {kind:18}{Path(name).name:>20}{cells}", flush=True)


if __name__ == "__main__":
    main()

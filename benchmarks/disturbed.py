"""Which faces are still found when photographs are disturbed: in bad light, noise, blur, behind glasses and masks.

    python benchmarks/disturbed.py --models fast --half test

Photographs with one face, spread evenly over the half (`--limit`), each disturbed in one way at a time and looked at as
`facetag predict` does. For each way and model: percent of the faces found at IoU 0.5 by the boxes of at least the
model's score, percent at 0.1 false positives an image, and how many boxes an image hold none at the model's score.
Boxes and faces are compared as far as the picture shows them.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from facetag.datasets.webfaces import AnnotatedImage
from facetag.evaluate.image_batches import evenly, load_pixels
from facetag.evaluate.localization import IOUS, RATES, Examined, load_annotated_images, measure_localization
from facetag.geometry import Box
from facetag.images.resample import Image
from facetag.localization.base import Localizer
from facetag.predictor import FaceTagger


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture and the one face in it."""

    image: Image
    face: Box


def toned(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Shown], Shown]:
    """Every pixel by itself; values 0 to 255 in and out."""
    return lambda shown: replace(
        shown, image=np.clip(np.rint(change(shown.image.astype(float))), 0, 255).astype(np.uint8)
    )


def noise(shown: Shown) -> Shown:
    generator = np.random.default_rng(shown.image.shape[:2])
    return toned(lambda pixels: pixels + generator.normal(0, 30, pixels.shape))(shown)


def blur(shown: Shown) -> Shown:
    """By a twentieth of the face's height."""
    return replace(shown, image=cv2.GaussianBlur(shown.image, (0, 0), 0.05 * shown.face.height).astype(np.uint8))


def sunglasses(shown: Shown) -> Shown:
    image, face = shown.image.copy(), shown.face
    for across in (0.27, 0.73):
        middle = round(face.x + across * face.width), round(face.y + 0.3 * face.height)
        cv2.ellipse(image, middle, (round(0.24 * face.width), round(0.16 * face.height)), 0, 0, 360, (20, 20, 25), -1)
    return replace(shown, image=image)


def mask(shown: Shown) -> Shown:
    image, face = shown.image.copy(), shown.face
    corners = np.array([(0.02, 0.52), (0.5, 0.42), (0.98, 0.52), (0.85, 0.95), (0.5, 1.08), (0.15, 0.95)])
    places = np.rint((face.x, face.y) + corners * (face.width, face.height)).astype(np.int32)
    cv2.fillPoly(image, [places], (160, 190, 200))
    return replace(shown, image=image)


def turned(shown: Shown) -> Shown:
    """By 40 degrees about the face's middle, to either side."""
    angle = 40 if sum(shown.image.shape) % 2 else -40
    matrix = cv2.getRotationMatrix2D(shown.face.center, angle, 1)
    size = shown.image.shape[1::-1]
    return replace(
        shown, image=cv2.warpAffine(shown.image, matrix, size, borderMode=cv2.BORDER_REFLECT).astype(np.uint8)
    )


def cut(shown: Shown) -> Shown:
    """The picture ends at 72 percent of the face's width."""
    face = shown.face
    end = max(round(face.x + 0.72 * face.width), 1)
    return Shown(np.ascontiguousarray(shown.image[:, :end]), Box(face.x, face.y, end - face.x, face.height))


def close(shown: Shown) -> Shown:
    """Nothing but the face."""
    face, side = shown.face, shown.face.height / 1.05
    frame = Box.around(*face.center, side, side).clipped(shown.image.shape[1], shown.image.shape[0])
    left, top, right, bottom = (round(value) for value in (frame.x, frame.y, frame.right, frame.bottom))
    return Shown(np.ascontiguousarray(shown.image[top:bottom, left:right]), face.shifted(-left, -top))


WAYS: dict[str, Callable[[Shown], Shown]] = {
    "undisturbed": lambda shown: shown,
    "dark, an eighth of the light": toned(lambda pixels: 30 * (pixels / 255) ** 1.3),
    "haze, a quarter of the contrast": toned(lambda pixels: 0.25 * pixels + 170),
    "noise, sigma 30": noise,
    "blurred, a twentieth of the face": blur,
    "sunglasses": sunglasses,
    "mask": mask,
    "turned by 40 degrees": turned,
    "cut off at 72 % of the width": cut,
    "nothing but the face": close,
}


def figures(
    finder: Localizer, photographs: Sequence[AnnotatedImage], way: Callable[[Shown], Shown]
) -> tuple[float, ...]:
    """Recall at the score, recall at 0.1 false positives an image, false positives an image at the score."""
    examined = []
    for photograph in photographs:
        shown = way(Shown(load_pixels(photograph.path), photograph.boxes[0]))
        high, wide = shown.image.shape[:2]
        found = [replace(face, box=face.box.clipped(wide, high)) for face in finder.every([shown.image])[0]]
        truth = replace(photograph, boxes=(shown.face.clipped(wide, high),))
        examined.append(Examined(truth, found, max(shown.image.shape[:2])))
    single = measure_localization(examined, finder.settings.score).single
    row = IOUS.index(0.5)
    return 100 * single.kept[row], 100 * single.at_rates[row, RATES.index(0.1)], single.false_positives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=Path("data/webfaces"))
    parser.add_argument("--boxes", type=Path)
    parser.add_argument("--half", choices=("tune", "test", "all"), default="tune")
    parser.add_argument("--models", nargs="+", default=["fast"])
    parser.add_argument("--limit", type=int, default=250)
    asked = parser.parse_args()
    single = load_annotated_images(asked.images, asked.boxes, asked.half).single
    chosen = [single[index] for index in evenly(len(single), asked.limit)]
    finders = {name: FaceTagger(name, device="cpu").localizer for name in asked.models}
    print(
        f"{len(chosen)} photographs of {asked.half}; found at the score and at 0.1 false positives an image, percent;"
    )
    print("false positives an image at the score")
    print(" " * 34 + "".join(f"{Path(name).name:>24}" for name in finders))
    for title, way in WAYS.items():
        cells = [figures(finder, chosen, way) for finder in finders.values()]
        print(f"{title:34}" + "".join(f"{at:10.1f}{rate:7.1f}{false:7.2f}" for at, rate, false in cells), flush=True)


if __name__ == "__main__":
    main()

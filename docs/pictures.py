"""The pictures of docs/examples.md, drawn again by the shipped models.

    python docs/pictures.py

Photographs of data sets are not ours to show, so hard cases are made of those in examples/photos: turned, hidden, dark,
blurred, tiny, huge, cut off, crowded. Then `facetag eval localization --sheet` and `facetag eval tags --sheet` draw
them as they would draw anybody's.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag import FaceTagger

HERE = Path(__file__).resolve().parent
PHOTOS = HERE.parent / "examples" / "photos"
SIDE = 320  #: pixels of a hard case
GREY = (172, 170, 168)
SHRUNK = 0.6  #: sheets, to be small files

Picture = NDArray[np.uint8]
XYWH = tuple[float, float, float, float]

ASTRONAUT: XYWH = (180.0, 66.0, 88.0, 124.0)
CAMERA: XYWH = (182.0, 110.0, 80.0, 100.0)
WOMAN = {"Male": 0, "Eyeglasses": 0, "Wearing_Hat": 0, "Smiling": 1, "No_Beard": 1, "Bald": 0, "Young": 1}
MAN = {"Male": 1, "Eyeglasses": 0, "Wearing_Hat": 0, "No_Beard": 1, "Bald": 0}


@dataclass(frozen=True, eq=False)
class Case:
    """A picture with the boxes of its faces and what is known of the one face, if it has one."""

    picture: Picture
    boxes: Sequence[XYWH] = ()
    tags: dict[str, int] = field(default_factory=dict)

    def seen(self, change: Callable[[Picture], NDArray[np.generic]]) -> "Case":
        """With other pixels in the same places."""
        return replace(self, picture=np.clip(change(self.picture), 0, 255).astype(np.uint8))

    def without(self, *names: str) -> "Case":
        """What cannot be seen any more is not known."""
        return replace(self, tags={name: value for name, value in self.tags.items() if name not in names})

    def hidden(self, top: float, bottom: float, colour: int = 20) -> "Case":
        """A bar over the face, from and to these shares of its height."""
        x, y, width, height = self.boxes[0]
        picture = self.picture.copy()
        rows = slice(max(round(y + top * height), 0), round(y + bottom * height))
        picture[rows, max(round(x - 0.1 * width), 0) : round(x + 1.1 * width)] = colour
        return replace(self, picture=picture)


def photograph(name: str) -> Picture:
    found = cv2.imread(str(PHOTOS / name), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


def placed(
    picture: Picture, box: XYWH, height: float, angle: float = 0.0, at: tuple[float, float] = (0.5, 0.42)
) -> Case:
    """A square of the photograph in which the face has this share of the side as its height, turned clockwise by
    degrees about its middle, which lies at these shares of the side; beyond the photograph it is grey."""
    x, y, width, tall = box
    scale = height * SIDE / tall
    middle = (x + width / 2, y + tall / 2)
    matrix = cv2.getRotationMatrix2D(middle, -angle, scale)
    matrix[:, 2] += np.array(at) * SIDE - middle
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.5 / scale) if scale < 1 else picture
    moved = cv2.warpAffine(blurred, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=GREY)
    upright = angle % 180 == 0
    input_sizes = np.array([width, tall]) * scale if upright else np.full(2, (width + tall) / 2 * scale)
    corner = np.array(at) * SIDE - input_sizes / 2
    return Case(np.asarray(moved, np.uint8), [(corner[0], corner[1], input_sizes[0], input_sizes[1])])


def compressed(picture: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def crowd(picture: Picture, box: XYWH, across: int) -> Case:
    """So many by so many of the same face."""
    one = placed(picture, box, 0.62)
    small = SIDE // across
    cell = cv2.resize(one.picture, (small, small), interpolation=cv2.INTER_AREA)
    x, y, width, height = (side * small / SIDE for side in one.boxes[0])
    boxes = [(small * i + x, small * j + y, width, height) for j in range(across) for i in range(across)]
    return Case(np.asarray(np.tile(cell, (across, across, 1)), np.uint8), boxes)


def hard_cases() -> Iterator[Case]:
    """From easy to hard, kind by kind."""
    astronaut, camera = photograph("astronaut.jpg"), photograph("camera.jpg")

    def woman(height: float = 0.35, angle: float = 0.0, at: tuple[float, float] = (0.5, 0.42)) -> Case:
        return replace(placed(astronaut, ASTRONAUT, height, angle, at), tags=WOMAN)

    plain, noise = woman(), np.random.default_rng(0).normal(0, 40, (SIDE, SIDE, 3))
    yield from (plain, woman(0.2), woman(0.08), woman(0.05), woman(0.8, at=(0.5, 0.5)), woman(1.3, at=(0.5, 0.5)))
    yield from (woman(angle=angle) for angle in (15, 30, 60, 90, 180))
    yield from (woman(0.5, at=at) for at in ((0.0, 0.5), (0.5, 0.0), (0.9, 0.95)))
    yield plain.hidden(0.25, 0.45).without("Eyeglasses")
    yield plain.hidden(0.55, 1.05).without("Smiling", "No_Beard")
    yield plain.hidden(-0.2, 0.5).without("Eyeglasses", "Wearing_Hat", "Bald")
    yield plain.seen(lambda pixels: pixels * 0.12)
    yield plain.seen(lambda pixels: pixels * 2.5)
    yield plain.seen(lambda pixels: 255 - pixels)
    yield plain.seen(lambda pixels: pixels * 0.25 + 185)
    yield plain.seen(lambda pixels: pixels + noise)
    yield plain.seen(lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 5))
    yield plain.seen(lambda pixels: compressed(pixels, 4))
    yield plain.seen(lambda pixels: cv2.medianBlur(pixels, 11) // 64 * 80)
    yield replace(placed(camera, CAMERA, 0.35), tags=MAN)
    yield crowd(astronaut, ASTRONAUT, 4)
    yield crowd(astronaut, ASTRONAUT, 9)
    yield Case(cv2.resize(photograph("cat.jpg"), (SIDE, SIDE)).astype(np.uint8))
    yield Case(np.asarray(astronaut[300:510, 230:440]))


def write_cases(folder: Path) -> None:
    """The pictures, boxes.csv and tags.csv."""
    boxes, tags = [("file", "x", "y", "width", "height")], [("file", *WOMAN)]
    for number, case in enumerate(hard_cases()):
        name = f"{number:02}.png"
        cv2.imwrite(str(folder / name), case.picture)
        boxes += [(name, *(f"{value:.1f}" for value in box)) for box in case.boxes]  # type: ignore[misc]
        if len(case.boxes) == 1:
            tags.append((name, *(str(case.tags.get(tag, "")) for tag in WOMAN)))
    for file, rows in (("boxes.csv", boxes), ("tags.csv", tags)):
        with (folder / file).open("w", newline="") as opened:
            csv.writer(opened).writerows(rows)


def facetag(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "facetag", *map(str, words), "-q"], check=True)


def keep(picture: Picture, path: Path) -> None:
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    print(path)


def draw_hard(out: Path, model: str) -> None:
    """Two sheets: boxes of all hard cases, and the surest wrong tags."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        write_cases(folder)
        sheets = {name: folder / f"{name}.png" for name in ("boxes", "mistakes")}
        common = ("--images", folder, "--half", "all", "--model", model, "--sheet")
        facetag("eval", "localization", "--boxes", folder / "boxes.csv", *common, sheets["boxes"])
        facetag("eval", "tags", folder / "tags.csv", *common, sheets["mistakes"])
        for name, path in sheets.items():
            sheet = cv2.resize(cv2.imread(str(path)), None, fx=SHRUNK, fy=SHRUNK, interpolation=cv2.INTER_AREA)
            keep(np.asarray(sheet, np.uint8), out / f"{name}.jpg")


def draw_found(out: Path) -> None:
    """What both models find in the photographs themselves, and the response maps of `faithful`."""
    parts = []
    with TemporaryDirectory() as made:
        for model, names in (("fast", ("astronaut", "camera")), ("faithful", ("astronaut",))):
            facetag("predict", *(PHOTOS / f"{name}.jpg" for name in names), "--model", model,
                    "--draw", Path(made) / model, "--out", Path(made) / f"{model}.csv")  # fmt: skip
            parts += [sorted((Path(made) / model).rglob(f"{name}*"))[0] for name in names]
        drawn = [cv2.imread(str(part)) for part in parts]
    widths = [round(each.shape[1] * 420 / each.shape[0]) for each in drawn]
    row = [cv2.resize(each, (w, 420), interpolation=cv2.INTER_AREA) for each, w in zip(drawn, widths, strict=True)]
    keep(np.hstack(row).astype(np.uint8), out / "found.jpg")


def draw_readme(out: Path) -> None:
    """The picture of README: one photograph, its face's box, and its tags but for judgements."""
    tagger = FaceTagger("fast", device="cpu")
    shown = [name for name in tagger.attributes if name not in tagger.model.groups["judgement"]]
    image = FaceTagger(tagger.model, device="cpu", attributes=shown)(PHOTOS / "astronaut.jpg").draw()
    image.save(out / "readme.jpg", quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "pictures")
    parser.add_argument("--model", default="fast", help="of the hard cases")
    asked = parser.parse_args()
    draw_readme(asked.out)
    draw_found(asked.out)
    draw_hard(asked.out, asked.model)


if __name__ == "__main__":
    main()

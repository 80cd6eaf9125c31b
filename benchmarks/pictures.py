"""The photographs that taggers are timed on: a folder of N files, and one of 2 N with the same and as many more."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from facetag.errors import DataError
from facetag.evaluate.image_batches import evenly
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.discover import discover
from facetag.images.resample import Image, crop

PHOTOGRAPH = Path(__file__).resolve().parent.parent / "examples" / "photos" / "astronaut.jpg"
AROUND = Box.around(225, 190, 380, 380)  #: pixels of it: its one face and what is around it
QUALITY = 90


@dataclass(frozen=True)
class Pictures:
    """One set.

    Attributes:
        title: what it shows.
        short, long: the folders of N files and of 2 N.
        count: N.
    """

    title: str
    short: Path
    long: Path
    count: int

    @property
    def files(self) -> list[Path]:
        """All 2 N files."""
        return sorted(self.long.iterdir())


def made(folder: Path, side: int, count: int) -> Pictures:
    """2 x `count` squares of PHOTOGRAPH, `side` pixels wide, each moved, resized and coloured a little otherwise."""
    photograph = read_image(str(PHOTOGRAPH)).pixels
    generator = np.random.default_rng(side)
    encoded = (encode(variant(photograph, side, generator)) for _ in range(2 * count))
    return _written(folder, f"{side}x{side}, one face", encoded, count)


def variant(photograph: Image, side: int, generator: np.random.Generator) -> Image:
    """(side, side, 3): at most 8 pixels of the photograph aside, 3 % larger or smaller, 6 % brighter a channel."""
    box = AROUND.shifted(*generator.uniform(-8, 8, 2)).enlarged(generator.uniform(0.97, 1.03))
    picture = crop(photograph, box, side, side) * generator.uniform(0.94, 1.06, 3)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def encode(picture: Image) -> bytes:
    """As JPEG."""
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    assert done
    return data.tobytes()


def sampled(folder: Path, photographs: Path, count: int) -> Pictures:
    """2 x `count` JPEG files spread evenly over a folder, none twice; fewer where there are not so many.

    Raises:
        DataError: there are not even two, or no such folder.
    """
    found = list(discover([str(photographs)], extensions=("jpg", "jpeg"))) if photographs.is_dir() else []
    chosen = [Path(found[index]).read_bytes() for index in evenly(len(found), 2 * count)]
    distinct = list({sha256(data).digest(): data for data in chosen}.values())
    if len(distinct) < 2:
        raise DataError(f"{photographs} does not hold two different JPEG files", "name a folder of photographs")
    return _written(folder, f"photographs of {photographs.name}", distinct, len(distinct) // 2)


def _written(folder: Path, title: str, encoded: Iterable[bytes], count: int) -> Pictures:
    pictures = Pictures(title, folder / "short", folder / "long", count)
    pictures.short.mkdir(parents=True)
    pictures.long.mkdir()
    for number, data in enumerate(islice(encoded, 2 * count)):
        file = pictures.long / f"{number:06}.jpg"
        file.write_bytes(data)
        if number < count:
            _same(file, pictures.short / file.name)
    return pictures


def _same(file: Path, other: Path) -> None:
    """A second name, or a copy where the system has no second names."""
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)

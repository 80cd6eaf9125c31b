"""The models that ship, on photographs that may be redistributed (examples/photos/CREDITS.md)."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.orient import INVERSE, upright
from facetag.images.resample import Image, resize
from facetag.localization.base import Localizer
from facetag.localization.center_localizer import localizer_of
from facetag.model import Model, load_model
from facetag.tagger import Tagger

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
ASTRONAUT = Box(171, 52, 110, 138)  #: her face in astronaut.jpg by the rule of eyes, nose and mouth


@pytest.fixture(scope="module", params=["faithful", "fast", "fast-box-free"])
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(request.param)


@pytest.fixture(scope="module")
def localizer(model: Model) -> Localizer:
    return localizer_of(model)


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return read_image(str(PHOTOS / "astronaut.jpg")).pixels


def canvas_with_face(astronaut: Image, width: int, height: int, share: float) -> tuple[Image, Box]:
    """The astronaut on a smooth canvas, her face `share` of the longer side, and where it is."""
    factor = share * max(width, height) / ASTRONAUT.height
    head = astronaut[0:300, 60:380]
    scaled = resize(head, round(head.shape[1] * factor), round(head.shape[0] * factor))
    ramp = np.linspace(60, 180, width, dtype=np.float32)[None, :, None]
    image = np.repeat(np.repeat(ramp, height, axis=0), 3, axis=2).astype(np.uint8)
    face = ASTRONAUT.shifted(-60, 0).scaled(factor)
    left, top = round(width / 2 - face.center[0]), round(height / 2 - face.center[1])
    matrix = np.array([[1, 0, left], [0, 1, top]], np.float32)
    cv2.warpAffine(scaled, matrix, (width, height), dst=image, borderMode=cv2.BORDER_TRANSPARENT)
    return image, face.shifted(left, top)


def test_the_astronaut_is_found_and_smiles(model: Model, localizer: Localizer, astronaut: Image) -> None:
    (found,) = localizer.dominant([astronaut])
    assert found[0].score >= localizer.settings.score
    assert found[0].box.iou(ASTRONAUT) >= 0.5
    tagger = Tagger(model)
    present = tagger([tagger.region(astronaut, found[0].box)]).present[0]
    tags = {name for name, is_present in zip(ATTRIBUTES, present, strict=True) if is_present}
    assert {"Smiling", "No_Beard", "Young"} <= tags
    assert not {"Bald", "Male", "Mustache", "Goatee", "Gray_Hair", "Eyeglasses", "Wearing_Hat"} & tags


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.6, 0.9])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (4000, 3000)])
def test_a_face_of_any_size_has_its_box(
    localizer: Localizer, astronaut: Image, width: int, height: int, share: float
) -> None:
    image, face = canvas_with_face(astronaut, width, height, share)
    (found,) = localizer([image])
    assert found, "a face was pasted there"
    assert found[0].box.iou(face) >= 0.5
    assert len(found) == 1


def test_grey_and_colour_agree_on_the_box(localizer: Localizer, astronaut: Image) -> None:
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    ((colour, *_), (without, *_)) = localizer.dominant([astronaut, grey])
    assert colour.box.iou(without.box) >= 0.7


def save_turned(image: Image, orientation: int, path: Path) -> None:
    """Save the image as a camera that was held so would: turned pixels, and EXIF tag 274 that says how."""
    exif = PIL.Image.Exif()
    exif[274] = orientation
    turned = np.ascontiguousarray(upright(image, INVERSE[orientation]))
    PIL.Image.fromarray(turned).save(path, exif=exif, quality=100, subsampling=0)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_all_orientations_of_the_stored_file_give_the_same_box(
    localizer: Localizer, astronaut: Image, tmp_path: Path, suffix: str
) -> None:
    image = astronaut[:400, :480]  # not square, so that a turn not undone cannot go unseen
    for orientation in range(1, 9):
        save_turned(image, orientation, tmp_path / f"{orientation}{suffix}")
    shown = [read_image(str(tmp_path / f"{orientation}{suffix}")).pixels for orientation in range(1, 9)]
    assert {pixels.shape for pixels in shown} == {image.shape}
    boxes = [found[0].box for found in localizer.dominant(shown)]
    if suffix == ".png":
        assert all(np.array_equal(pixels, image) for pixels in shown)
        assert all(box == boxes[0] for box in boxes)
    else:  # what JPEG loses depends on how the picture is turned; as little as it can, as only the turn is tested
        assert all(np.abs(pixels.astype(int) - image).mean() < 0.5 for pixels in shown)
        assert all(box.iou(boxes[0]) >= 0.9 for box in boxes)


def test_a_cat_is_answered(localizer: Localizer) -> None:
    """Whether its face is one is left open: the paper's people are the only ones that LNets know."""
    image = read_image(str(PHOTOS / "cat.jpg")).pixels
    (found,) = localizer([image])
    frame = Box(0, 0, image.shape[1], image.shape[0])
    assert all(localizer.settings.score <= face.score <= 1 and face.box.intersection(frame) > 0 for face in found)


@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (40, 2000)])
def test_a_tiny_or_narrow_picture_is_answered(localizer: Localizer, shape: tuple[int, int]) -> None:
    assert localizer([np.full((*shape, 3), 128, np.uint8)]) == [[]]


def test_scenes_without_a_face_have_none(localizer: Localizer) -> None:
    scenes = [read_image(str(PHOTOS / name)).pixels for name in ("coffee.jpg",)]
    scenes += [np.full((300, 400, 3), level, np.uint8) for level in (0, 90, 255)]
    found = list(itertools.chain.from_iterable(localizer(scenes)))
    assert not found

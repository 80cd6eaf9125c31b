from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.errors import DataError
from facetag.evaluate.attributes import Tagged, aligned_faces, measure_attributes, tag_images, training_fractions
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.tagger import Tags

SIZE = len(ATTRIBUTES)


class GreyTagger:
    """Every probability of a picture is its grey level / 255; the region is the picture and the box asked for."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []

    def fraction(self, box):
        return 1.0

    def region(self, image, box):
        self.boxes.append(box)
        return image

    def __call__(self, regions):
        probabilities = np.repeat([[region[0, 0, 0] / 255] for region in regions], SIZE, axis=1)
        return Tags(probabilities, probabilities >= 0.5)


def write_greys(folder: Path, levels) -> list[Path]:
    paths = [folder / f"{index}.png" for index in range(len(levels))]
    for path, level in zip(paths, levels, strict=True):
        path.write_bytes(cv2.imencode(".png", np.full((6, 5, 3), level, np.uint8))[1].tobytes())
    return paths


def test_the_surest_face_of_each_picture_is_tagged(tmp_path):
    box = Box(1, 2, 3, 4)

    def locate(photos):
        return [[Detection(box, 0.75)] if photo.pixels[0, 0, 0] < 250 else [] for photo in photos]

    tagger = GreyTagger()
    tagged = tag_images(write_greys(tmp_path, [51, 255, 204]), locate, tagger)
    assert tagged.faces == [Detection(box, 0.75), None, Detection(box, 0.75)]
    assert tagger.boxes == [box, box]
    assert tagged.found.tolist() == [True, False, True]
    assert tagged.probabilities[:, 0] == pytest.approx([0.2, np.nan, 0.8], nan_ok=True)
    assert tagged.present[:, 7].tolist() == [False, False, True]


def test_no_picture_with_a_face(tmp_path):
    tagged = tag_images(write_greys(tmp_path, [1, 2]), lambda images: [[] for _ in images], GreyTagger())
    assert not tagged.found.any() and np.isnan(tagged.probabilities).all()


def test_crops_take_the_fixed_box(tmp_path):
    tagger = GreyTagger()
    tagged = tag_images(write_greys(tmp_path, [51] * 33), aligned_faces, tagger)
    assert tagger.boxes == [ALIGNED_FACE] * 33
    assert measure_attributes(tagged, np.zeros((33, SIZE), np.int8), np.zeros(SIZE)).overlap == 1


def test_figures_by_hand():
    """Three pictures, the second without a face: it counts as the majority value, and as the share as probability."""
    shifted = ALIGNED_FACE.shifted(ALIGNED_FACE.width / 2, 0)  # IoU 1/3
    faces = [Detection(ALIGNED_FACE, 0.9), None, Detection(shifted, 0.8)]
    probabilities = np.repeat([[0.9], [np.nan], [0.2]], SIZE, axis=1)
    present = np.repeat([[True], [False], [False]], SIZE, axis=1)
    labels = np.repeat(np.array([[1], [1], [0]], np.int8), SIZE, axis=1)
    labels[1, 1] = 0
    shares = np.full(SIZE, 0.7)
    shares[1] = 0.3
    report = measure_attributes(Tagged(faces, probabilities, present), labels, shares)
    assert (report.images, report.missed) == (3, 1)
    assert report.overlap == pytest.approx((1 + 1 / 3) / 2)
    assert report.positives[:2].tolist() == [2, 1]
    assert report.metrics.accuracy[:2].tolist() == [1, 1]
    assert report.metrics.majority[:2] == pytest.approx([2 / 3, 2 / 3])
    assert report.metrics.calibration_error[:2] == pytest.approx([(0.1 + 0.3 + 0.2) / 3, (0.1 + 0.3 + 0.2) / 3])


def test_groups_are_measured_apart():
    """Two women, one young and one not, and a young man; all are told to be all that can be."""
    male, young = ATTRIBUTES.index("Male"), ATTRIBUTES.index("Young")
    labels = np.ones((3, SIZE), np.int8)
    labels[:2, male], labels[1, young], labels[1, :10] = 0, 0, 0
    tagged = Tagged([Detection(ALIGNED_FACE, 0.9)] * 3, np.full((3, SIZE), 0.8), np.ones((3, SIZE), bool))
    groups = {group.name: group for group in measure_attributes(tagged, labels, np.full(SIZE, 0.7)).groups}
    assert {name: group.images for name, group in groups.items()} == {
        "Male, Young": 1, "not Male, Young": 1, "not Male, not Young": 1,
    }  # fmt: skip
    assert groups["Male, Young"].metrics.means()["accuracy"] == 1
    assert groups["not Male, Young"].metrics.means()["accuracy"] == pytest.approx(39 / 40)
    assert groups["not Male, not Young"].metrics.means()["accuracy"] == pytest.approx(28 / 40)


def test_without_any_face_all_is_the_majority():
    labels = np.random.default_rng(0).integers(0, 2, (9, SIZE)).astype(np.int8)
    tagged = Tagged([None] * 9, np.full((9, SIZE), np.nan), np.zeros((9, SIZE), bool))
    report = measure_attributes(tagged, labels, np.linspace(0, 1, SIZE))
    assert report.metrics.accuracy.tolist() == report.metrics.majority.tolist()
    assert np.isnan(report.overlap)


def test_shares_are_of_the_training_partition():
    attributes = np.zeros((4, SIZE), np.int8)
    attributes[0, 0] = attributes[2, 1] = 1
    data = SimpleNamespace(attributes=attributes, partition=np.array([0, 0, 1, 2]))
    assert training_fractions(data)[:2].tolist() == [0.5, 0]
    with pytest.raises(DataError, match="no training picture"):
        training_fractions(SimpleNamespace(attributes=attributes, partition=np.array([1, 1, 1, 2])))

from pathlib import Path

import numpy as np
import pytest
from small_celeba import BLOND, SMILING, write_celeba

from facetag.datasets.celeba import load_celeba
from facetag.errors import DataError
from facetag.geometry import Box
from facetag.training.competitors.linear import fit_calibrated
from facetag.training.competitors.panda import PandaSettings, panda_features, part_crops, train_panda
from facetag.training.competitors.placement import FaceBoxes, load_face_boxes


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def test_nets_of_parts_learn_what_is_in_them(tmp_path: Path) -> None:
    data = load_celeba(write_celeba(tmp_path / "celeba", (120, 60, 60)))
    train, fitting, test = (data.subset(part) for part in range(3))
    settings = PandaSettings(epochs=1, least_steps=25, batch=24)
    nets = train_panda(part_crops(train.paths, None, quiet), train.attributes == 1, settings, quiet)
    seen, unseen = (panda_features(nets, part_crops(each.paths, None, quiet)) for each in (fitting, test))
    svm = fit_calibrated(seen, fitting.attributes == 1, fitting.identities)
    right = ((svm.probabilities(unseen) >= 0.5) == (test.attributes == 1)).mean(0)
    assert right[BLOND] > 0.9 and right[SMILING] > 0.9 and right.mean() < 0.75


def test_parts_by_a_detector_lie_where_those_by_landmarks_do_when_its_box_is_the_usual(tmp_path: Path) -> None:
    path = load_celeba(write_celeba(tmp_path / "celeba", (1, 1, 1))).paths[0]
    usual = Box(40, 70, 90, 90)
    here, there = (
        part_crops([path], FaceBoxes({path.name: box}, usual), quiet) for box in (usual, usual.shifted(20, 0))
    )
    assert np.array_equal(here, part_crops([path], None, quiet)) and not np.array_equal(here, there)


def test_the_usual_box_is_the_median_of_training_images(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("file,x,y,width,height,score\na,10,10,8,8,3\na,0,0,1,1,2\nb,20,10,8,8,1\nc,,,,,\nd,12,10,9,8,1\n")
    found = load_face_boxes(boxes, [Path(name) for name in "abcd"])
    assert found.usual == Box(12, 10, 8, 8) and found.found(Path("x/c")) is None
    assert found.found(Path("x/a")) == Box(10, 10, 8, 8)
    with pytest.raises(DataError, match="no box of a training image"):
        load_face_boxes(boxes, [Path("c")])

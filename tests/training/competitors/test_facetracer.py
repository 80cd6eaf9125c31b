import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.feature import hog
from small_celeba import BLOND, SMILING, write_celeba

from facetag.attributes import ATTRIBUTES
from facetag.datasets.celeba import load_celeba
from facetag.errors import FacetagError
from facetag.training.competitors.facetracer import (
    block_columns,
    block_gradients,
    block_names,
    boost,
    describe_all,
    train_facetracer,
)


def test_gradients_are_scikit_images_in_one_go() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 48), np.uint8)
    assert block_gradients(grey) == pytest.approx(hog(grey, 9, (8, 8), (2, 2), feature_vector=False), abs=1e-4)


def test_each_attribute_takes_the_blocks_that_tell_it(tmp_path: Path) -> None:
    data = load_celeba(write_celeba(tmp_path / "celeba", (100, 1, 40)))
    train, test = data.subset(0), data.subset(2)
    features, columns = describe_all(train.paths, lambda *_: None), block_columns(train.paths[0])
    learned = train_facetracer(features, train.attributes == 1, train.identities, columns)
    answers = learned.probabilities(describe_all(test.paths, lambda *_: None)) >= 0.5
    right = (answers == (test.attributes == 1)).mean(0)
    assert right[BLOND] > 0.95 and right[SMILING] > 0.95 and right.mean() < 0.7
    names = np.array([name.split()[-1] for name in block_names()])
    assert set(names[learned.chosen[BLOND]]) <= {"hair", "forehead", "whole"}
    assert set(names[learned.chosen[SMILING]]) <= {"mouth", "cheeks", "chin", "nose", "whole"}
    assert learned.chosen.shape == (len(ATTRIBUTES), len(names)) and learned.chosen.sum(1).max() <= 8


def test_boosting_takes_what_mends_the_errors_of_what_was_taken() -> None:
    labels = np.array([[True], [True], [True], [False], [False], [False]])
    first = np.array([True, True, False, False, False, False])
    second = np.array([False, False, True, False, False, False])
    like_first = first.copy()
    decisions = np.stack([first, like_first, second], axis=1)[:, :, None]
    assert boost(decisions, labels, rounds=2).tolist() == [[True, False, True]]


def test_without_scikit_image_one_line_says_how_to_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(FacetagError, match=r"FaceTracer needs scikit-image; pip install 'facetag\[figures\]'"):
        block_gradients(np.zeros((16, 16), np.uint8))

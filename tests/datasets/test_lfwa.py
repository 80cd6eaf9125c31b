import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from lfwa_files import LABELS, NAMES, PLUS, write_labels, write_split

from facetag.attributes import ATTRIBUTES
from facetag.datasets.lfwa import load_lfwa, load_lfwa_plus
from facetag.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "lfw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lfw" / name).write_bytes(b"")
    order = np.random.default_rng(1).permutation(40)
    write_labels(tmp_path / "lfw_att_40.mat", [ATTRIBUTES[i].replace("_", " ") + " " for i in order], LABELS[:, order])
    write_labels(tmp_path / "lfw_att_73.mat", PLUS, LABELS[:, :3])
    write_split(tmp_path / "indices_train_test.mat", [1, 2, 5], [3, 4])
    return tmp_path


def test_forty_attributes_in_our_order_with_the_split(root: Path) -> None:
    data = load_lfwa(root)
    assert data.paths == [root / "lfw" / name for name in NAMES]
    assert data.attribute_names == ATTRIBUTES
    assert data.attributes.dtype == np.int8 and np.array_equal(data.attributes, LABELS)
    assert data.train.tolist() == [True, True, False, False, True]
    assert data.people == ["Ann_Li", "Ann_Li", "Bo_Ek", "Cy_Io", "Cy_Io"]
    assert data.summary()[0] == "5 images with 40 attributes: 3 for SVMs, 2 to test"


def test_the_further_attributes_keep_their_names(root: Path) -> None:
    data = load_lfwa_plus(root)
    assert data.attribute_names == ("Male", "Middle_Aged", "Color_Photo")
    assert np.array_equal(data.attributes, LABELS[:, :3])


def test_missing_images_are_counted_and_other_folders_of_lfw_found(root: Path) -> None:
    (root / "lfw").rename(root / "lfw-deepfunneled")
    (root / "lfw-deepfunneled" / NAMES[1]).unlink()
    data = load_lfwa(root)
    assert data.missing == 1
    assert data.paths == [root / "lfw-deepfunneled" / name for name in NAMES if name != NAMES[1]]
    assert data.train.tolist() == [True, False, False, True]
    assert np.array_equal(data.attributes, LABELS[[0, 2, 3, 4]])


@pytest.mark.parametrize("train", [[0, 1, 4], [1, 2, 6], [1, 2], [1, 2, 3], [1.5, 2, 5]])
def test_a_split_that_is_not_of_these_images_is_refused(train: list[int], root: Path) -> None:
    write_split(root / "indices_train_test.mat", train, [3, 4])
    with pytest.raises(DataError, match=r"indices_train_test\.mat: its two halves are not the 5 images"):
        load_lfwa(root)


def test_wrong_attributes_labels_and_names_are_refused(root: Path) -> None:
    path = root / "lfw_att_40.mat"
    write_labels(path, PLUS, LABELS[:, :3])
    with pytest.raises(DataError, match="its 3 attributes are not the forty"):
        load_lfwa(root)
    write_labels(path, ATTRIBUTES, LABELS[:, :39])
    with pytest.raises(DataError, match="label is not 5 x 40 of 0 and 1"):
        load_lfwa(root)
    write_labels(path, ATTRIBUTES, LABELS * 2)
    with pytest.raises(DataError, match="label is not 5 x 40 of 0 and 1"):
        load_lfwa(root)


@pytest.mark.parametrize("key", ["name", "AttrName", "label"])
def test_a_file_without_a_part_or_with_another_kind_of_it_is_refused(key: str, root: Path) -> None:
    with h5py.File(root / "lfw_att_40.mat", "r+") as file:
        del file[key]
    with pytest.raises(DataError, match=rf"lfw_att_40\.mat has no {key}"):
        load_lfwa(root)
    with h5py.File(root / "lfw_att_40.mat", "r+") as file:
        file.create_dataset(key, data=np.zeros(3))
    with pytest.raises(DataError, match=rf"{key} is not a (list of texts|matrix of numbers)"):
        load_lfwa(root)


@pytest.mark.parametrize("file", ["lfw_att_40.mat", "indices_train_test.mat"])
def test_missing_and_older_mat_files_are_named(file: str, root: Path) -> None:
    (root / file).write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DataError, match=re.escape(file) + " is not a MATLAB 7.3 file"):
        load_lfwa(root)
    (root / file).unlink()
    with pytest.raises(DataError, match=re.escape(file) + " is missing"):
        load_lfwa(root)


def test_without_h5py_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"needs h5py; pip install 'facetag\[lfwa\]'"):
        load_lfwa(root)

"""LFWA and LFWA+ (paper, section 5): LFW's 13,233 images with 40 attributes, and with the 73 of LFWA+.

Labels and split are MATLAB 7.3 files, which are HDF5: matrices come transposed, strings as references to arrays of
UTF-16 code units, indices count from 1, and paths have backslashes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError

#: Where LFW's images are looked for under the root, one folder per person in each.
IMAGE_FOLDERS = ("lfw", "lfw-deepfunneled", "lfw-funneled", "lfw_funneled", ".")

SPLIT_FILE = "indices_train_test.mat"

_AGAIN = "take the file from the original download again"

#: What h5py lets through on hostile bytes.
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Lfwa:
    """N images with A attributes.

    Attributes:
        paths: N image files.
        attributes: (N, A) int8 in {0, 1}.
        attribute_names: A names; ATTRIBUTES in their order for LFWA, the file's own for LFWA+.
        train: (N,) whether the image is to train SVMs; the others are to test.
        people: N names, as LFW's folders have them.
        missing: rows without an image, left out above.
    """

    paths: list[Path]
    attributes: NDArray[np.int8]
    attribute_names: tuple[str, ...]
    train: NDArray[np.bool_]
    people: list[str]
    missing: int

    def select(self, mask: NDArray[np.bool_]) -> "Lfwa":
        """The images where the mask (N,) is set, in the same order."""
        assert mask.dtype == bool and mask.shape == (len(self.paths),)
        kept = np.flatnonzero(mask)
        return replace(
            self,
            paths=[self.paths[i] for i in kept],
            attributes=self.attributes[mask],
            train=self.train[mask],
            people=[self.people[i] for i in kept],
        )

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        count, train = len(self.paths), int(self.train.sum())
        return [
            f"{count} images with {len(self.attribute_names)} attributes: {train} for SVMs, {count - train} to test",
            f"{self.missing} label rows have no image",
        ]


def load_lfwa(root: Path) -> Lfwa:
    """The forty attributes of `lfw_att_40.mat`, in the order of ATTRIBUTES.

    Raises:
        DataError: images, a .mat file or h5py missing, a file that is not what it should be; one line with the remedy.
    """
    path = root / "lfw_att_40.mat"
    data = _load(root, path)
    if sorted(data.attribute_names) != sorted(ATTRIBUTES):
        raise DataError(f"{path}: its {len(data.attribute_names)} attributes are not the forty of CelebA", _AGAIN)
    order = [data.attribute_names.index(name) for name in ATTRIBUTES]
    return replace(data, attributes=data.attributes[:, order], attribute_names=ATTRIBUTES)


def load_lfwa_plus(root: Path) -> Lfwa:
    """The attributes of `lfw_att_73.mat`, under its own names.

    Raises:
        DataError: as `load_lfwa`.
    """
    return _load(root, root / "lfw_att_73.mat")


def find_lfw_images(root: Path) -> Path:
    """The folder under root that holds LFW's folders of people.

    Raises:
        DataError: there is none.
    """
    for folder in (root / name for name in IMAGE_FOLDERS):
        if folder.is_dir() and any(re.fullmatch(r".+_\d{4}\.jpg", path.name) for path in folder.glob("*_*/*.jpg")):
            return folder
    raise DataError(f"{root} has no images in lfw/<person>/", "extract lfw.tgz there, or run `facetag data arrange`")


def _load(root: Path, path: Path) -> Lfwa:
    """Rows of a label file that have their image."""
    folder = find_lfw_images(root)
    with _open(path) as file:
        names = _strings(file, path, "name")
        columns = [name.strip().replace(" ", "_") for name in _strings(file, path, "AttrName")]
        labels = _matrix(file, path, "label").T
    if labels.shape != (len(names), len(columns)) or not np.isin(labels, (0, 1)).all():
        raise DataError(f"{path}: label is not {len(names)} x {len(columns)} of 0 and 1", _AGAIN)
    train = _train_mask(root / SPLIT_FILE, len(names))
    parts = [PureWindowsPath(name).parts for name in names]
    if any(len(part) != 2 for part in parts):
        raise DataError(f"{path}: a name is not a person's folder and a file", _AGAIN)
    paths = [folder.joinpath(*part) for part in parts]
    present = np.array([path.is_file() for path in paths])
    if not present.any():
        raise DataError(f"{path} names none of the images in {folder}", "put labels and images of LFW together")
    data = Lfwa(
        paths, labels.astype(np.int8), tuple(columns), train, [part[0] for part in parts], int((~present).sum())
    )
    return data.select(present)


def _train_mask(path: Path, count: int) -> NDArray[np.bool_]:
    """Which of `count` rows train; every row is in one half."""
    with _open(path) as file:
        halves = [_matrix(file, path, key).ravel() for key in ("indices_img_train", "indices_img_test")]
    if sorted(np.concatenate(halves).tolist()) != list(range(1, count + 1)):
        raise DataError(f"{path}: its two halves are not the {count} images of the label file", _AGAIN)
    mask = np.zeros(count, dtype=bool)
    mask[halves[0].astype(np.int64) - 1] = True
    return mask


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The file as h5py shows it; what h5py raises of a damaged one, now or later, is a DataError."""
    try:
        h5py = import_module("h5py")
    except ImportError:
        raise DataError(f"{path} needs h5py", "pip install 'facetag[lfwa]'") from None
    if not path.is_file():
        raise DataError(f"{path} is missing", "copy it from the LFWA download")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _DAMAGE:
        raise DataError(f"{path} is not a MATLAB 7.3 file, or damaged", _AGAIN) from None


def _matrix(file: Any, path: Path, key: str) -> NDArray[Any]:
    """A numeric matrix as it is stored."""
    values = _stored(file, path, key)
    if values.ndim != 2 or values.dtype.kind not in "bifu":
        raise DataError(f"{path}: {key} is not a matrix of numbers", _AGAIN)
    return values


def _strings(file: Any, path: Path, key: str) -> list[str]:
    """A cell array of strings."""
    references = _stored(file, path, key)
    if references.dtype.kind != "O":
        raise DataError(f"{path}: {key} is not a list of texts", _AGAIN)
    arrays = [file[reference][()] for reference in references.ravel()]
    return [np.asarray(array, dtype=np.uint16).tobytes().decode("utf-16-le", "replace") for array in arrays]


def _stored(file: Any, path: Path, key: str) -> NDArray[Any]:
    if key not in file or not hasattr(file[key], "dtype"):
        raise DataError(f"{path} has no {key}", _AGAIN)
    return np.asarray(file[key][()])

"""Folders of images: one folder per class (objects, people), or scenes without classes.

A class is known by its folder's name, so the same WordNet id, or the same name, in two roots is one class.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from facetag.errors import DataError

#: Suffixes of what a data set's folder holds as images, in lower case.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True)
class ClassFolders:
    """N images with their classes.

    Attributes:
        paths: N image files, class after class.
        labels: (N,) index into class_names.
        class_names: sorted; each has at least one image.
    """

    paths: list[Path]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        sizes = np.bincount(self.labels)
        return [
            f"{len(self.paths)} images in {len(self.class_names)} classes, {sizes.min()} to {sizes.max()} in each",
        ]


@dataclass(frozen=True)
class Scenes:
    """Images without labels."""

    paths: list[Path]

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        return [f"{len(self.paths)} images"]


def load_folders(roots: Sequence[Path]) -> ClassFolders:
    """All images of root/<class>/ (and folders below), for all roots together.

    Raises:
        DataError: a root is missing or has no folder with images.
    """
    images: dict[str, list[Path]] = {}
    for root in roots:
        found = {name: _images_below(root / name) for name in _class_names(root)}
        if not any(found.values()):
            raise DataError(
                f"{root} has no folder with images", "put the images of each class into a folder of its name"
            )
        for name, paths in found.items():
            images.setdefault(name, []).extend(paths)
    class_names = tuple(sorted(name for name, paths in images.items() if paths))
    labels = np.repeat(np.arange(len(class_names)), [len(images[name]) for name in class_names])
    return ClassFolders([path for name in class_names for path in images[name]], labels, class_names)


def load_class_folder(root: Path) -> ClassFolders:
    """`load_folders` of one root: object categories, or one folder per person."""
    return load_folders([root])


def list_images(folder: Path) -> list[Path]:
    """All images in a folder and below, sorted, hidden ones left out; a linked folder below is not followed.

    Raises:
        DataError: the folder is missing or has none.
    """
    images = _images_below(folder)
    if not images:
        raise DataError(f"{folder} has no images", f"put some there ({' '.join(IMAGE_SUFFIXES)})")
    return images


def load_scenes(root: Path) -> Scenes:
    """`list_images` as a data set."""
    return Scenes(list_images(root))


def is_image_name(name: str) -> bool:
    """Whether a file's name says image; hidden files do not count."""
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def image_names(folder: Path) -> list[str]:
    """Names of the images directly in a folder, sorted; a link whose file is gone is not there.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_image_name(entry.name) and entry.is_file())
    except OSError as error:
        _refuse(error)


def _class_names(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        _refuse(error)


def _images_below(folder: Path) -> list[Path]:
    paths: list[Path] = []
    for where, folders, _ in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(where, name) for name in image_names(Path(where))]
    return paths


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: {error.strerror or error}", "check the path and its permissions") from None

"""Turns what a user has (folders, archives, flat copies, Kaggle's CSV files) into the layouts that the loaders read.

A layout is a function from where a file stands in the source to where it belongs, or to nowhere. Sources are never
changed and nothing that is there already is replaced, so a broken run is finished by running it again.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facetag.datasets import loader
from facetag.datasets.archives import entries
from facetag.datasets.folders import is_image_name
from facetag.datasets.webfaces import GROUND_TRUTH
from facetag.errors import DataError, UsageError

Rule = Callable[[PurePosixPath], PurePosixPath | None]


@dataclass(frozen=True)
class Arranged:
    """What `arrange` did: files put in place, files that were there already, files that the layout has no use for."""

    placed: int
    kept: int
    ignored: int


def arrange(kind: str, source: Path, dest: Path, link: bool = True) -> Arranged:
    """Put the files of source that belong to a data set of this kind (a key of LAYOUTS) into dest.

    Files of a folder are linked or copied, files in archives are extracted.

    Raises:
        UsageError: no such kind.
        DataError: source is missing, broken, or holds nothing of this kind.
    """
    location, expected = _layout(kind)
    placed = kept = ignored = 0
    for entry in entries(source, without=dest):
        target = location(entry.location)
        if target is None:
            ignored += 1
        elif os.path.lexists(dest / target):
            kept += 1
        else:
            entry.put(dest / target, link)
            placed += 1
    if not placed and not kept:
        raise DataError(f"{source} holds nothing of {kind}", f"expected: {expected}")
    return Arranged(placed, kept, ignored)


def check(kind: str, root: Path) -> list[str]:
    """What the loader of this kind finds under root, a line each.

    Raises:
        UsageError: no such kind.
        DataError: the data set cannot be loaded; says why and what to do.
    """
    _layout(kind)
    return loader(kind)(root).summary()


def _layout(kind: str) -> tuple[Rule, str]:
    if kind not in LAYOUTS:
        raise UsageError(f"no data set is called {kind!r}", f"one of {', '.join(LAYOUTS)}")
    return LAYOUTS[kind]


_CELEBA_LABELS = re.compile(
    r"(list_attr_celeba|identity_CelebA|list_bbox_celeba|list_landmarks(_align)?_celeba|list_eval_partition)\.(txt|csv)"
)


def _celeba(location: PurePosixPath) -> PurePosixPath | None:
    """Anno/, Eval/, Img/img_align_celeba/ and Img/img_celeba/."""
    if _CELEBA_LABELS.fullmatch(location.name):
        return PurePosixPath("Eval" if location.name.startswith("list_eval") else "Anno", location.name)
    if re.fullmatch(r"\d{6}\.(jpg|png)", location.name):
        for folder in reversed(location.parts[:-1]):  # the innermost name counts
            if folder.startswith("img_align_celeba"):
                return PurePosixPath("Img", "img_align_celeba", location.name)
            if folder.startswith("img_celeba"):
                return PurePosixPath("Img", "img_celeba", location.name)
    return None


_LFW_LABELS = ("lfw_att_40.mat", "lfw_att_73.mat", "indices_train_test.mat", "lfw_attributes.txt")


def _lfw(location: PurePosixPath) -> PurePosixPath | None:
    """lfw/<person>/<person>_0001.jpg, and labels beside lfw."""
    if location.name in _LFW_LABELS:
        return PurePosixPath(location.name)
    person = location.parent.name
    if person and re.fullmatch(re.escape(person) + r"_\d{4}\.jpg", location.name):
        return PurePosixPath("lfw", person, location.name)
    return None


#: Caltech-101's faces would teach LNet+ the answer, and its background is no category.
_NOT_OBJECTS = ("Faces", "Faces_easy", "BACKGROUND_Google")


def _objects(location: PurePosixPath) -> PurePosixPath | None:
    """<class>/<image>; a WordNet id anywhere above is the class (ImageNet, Tiny ImageNet)."""
    wordnet = next((part for part in reversed(location.parts[:-1]) if re.fullmatch(r"n\d{8}", part)), None)
    if wordnet is None and re.match(r"ILSVRC2012_(val|test)_", location.name):
        return None  # ImageNet's validation images come without folders, so without classes
    if location.parent.name in _NOT_OBJECTS:
        return None
    return _class(wordnet or location.parent.name, location)


def _people(location: PurePosixPath) -> PurePosixPath | None:
    """<person>/<image>."""
    return _class(location.parent.name, location)


def _class(name: str, location: PurePosixPath) -> PurePosixPath | None:
    return PurePosixPath(name, location.name) if name and is_image_name(location.name) else None


def _backgrounds(location: PurePosixPath) -> PurePosixPath | None:
    """Images in the folders that they were in."""
    return PurePosixPath(*location.parts[1:] or location.parts) if is_image_name(location.name) else None


def _webfaces(location: PurePosixPath) -> PurePosixPath | None:
    """Photographs and boxes in one folder."""
    wanted = location.name in ("boxes.csv", GROUND_TRUTH) or re.fullmatch(r"pic\d+\.jpg", location.name)
    return PurePosixPath(location.name) if wanted else None


_CELEBA_EXPECTED = (
    "a folder or archive img_align_celeba or img_celeba (extract .7z files first), and list_attr_celeba.txt or .csv"
)
_LFW_EXPECTED = "folders of people (lfw.tgz), lfw_att_40.mat and indices_train_test.mat, or lfw_attributes.txt"

#: kind -> where each file belongs, and what a source of that kind looks like. The kinds are those of DATASETS.
LAYOUTS: dict[str, tuple[Rule, str]] = {
    "celeba": (_celeba, _CELEBA_EXPECTED),
    "celeba-wild": (_celeba, _CELEBA_EXPECTED),
    "lfwa": (_lfw, _LFW_EXPECTED),
    "lfwa-plus": (_lfw, _LFW_EXPECTED),
    "lfw-kumar": (_lfw, _LFW_EXPECTED),
    "objects": (_objects, "images in one folder (or tar) per class"),
    "people": (_people, "images in one folder per person"),
    "backgrounds": (_backgrounds, "images"),
    "webfaces": (_webfaces, f"pic*.jpg of Caltech_WebFaces.tar, and boxes.csv or {GROUND_TRUTH}"),
}

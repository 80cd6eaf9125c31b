"""Where the training data of a data folder lies (docs: `facetag data`): celeba/, objects/<set>/, backgrounds/<set>/."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.celeba import CelebA, load_celeba
from facetag.datasets.columns import read_rows
from facetag.datasets.detection_scenes import TIGHT_FACE
from facetag.datasets.folders import ClassFolders, list_images, load_folders
from facetag.datasets.negatives import Negatives, load_negatives
from facetag.datasets.tags import TagLabels, joined, labeled_images_of, load_tags_csv
from facetag.datasets.utkface import Person, load_utkface
from facetag.datasets.utkface import Use as UTKUse
from facetag.datasets.webfaces import Use, use_of
from facetag.errors import DataError
from facetag.geometry import Box
from facetag.images.decode import read_image


@dataclass(frozen=True)
class TightFiles:
    """Files of pictures that one face fills, and its box in each as fractions of width and height."""

    name: str
    paths: list[str]
    boxes: list[Box]


@dataclass(frozen=True)
class DataFolder:
    """The folder that training commands are given."""

    root: Path

    def celeba(self) -> CelebA:
        """Aligned CelebA under celeba/."""
        return load_celeba(self.root / "celeba")

    def objects(self) -> ClassFolders:
        """All sets of object categories under objects/, classes of one WordNet id merged."""
        return load_folders(list(self._sets("objects")))

    def backgrounds(self) -> list[list[str]]:
        """Pictures without faces, a group a set: backgrounds/ and those sets of objects/ that show few people."""
        groups = [list_images(folder) for folder in self._sets("backgrounds")]
        groups += [list_images(folder) for folder in self._sets("objects") if folder.name in FACELESS_OBJECTS]
        return [[str(path) for path in group] for group in groups]

    def negatives(self) -> Negatives:
        """Where nets saw a face that is none, by negatives.csv.

        Raises:
            DataError: the file is missing or malformed.
        """
        return load_negatives(self.root / "negatives.csv")

    def hard_heads(self) -> frozenset[str]:
        """Files of heads that a net did not find, by hard_heads.csv, whose names are seen from this folder.

        Raises:
            DataError: the file is missing or malformed, or names none.
        """
        file = self.root / "hard_heads.csv"
        found = frozenset(str(self.root / row["file"]) for _, row in read_rows(file, ("file",)))
        if not found:
            raise DataError(f"{file} names no head", "write it with studies/hard_heads.py")
        return found

    def half_head_images(self) -> CelebA | None:
        """CelebA at half its size under celeba_half/, where that is there."""
        folder = self.root / "celeba_half"
        return load_celeba(folder) if folder.is_dir() else None

    def tight_images(self) -> list[TightFiles]:
        """Pictures that one face fills: UTKFace's under utkface/ that are not to test on, whose frame says where the
        face is, and those of the sets under identities/ in which a boxes.csv (`facetag localize`) has one face."""
        utkface = self.root / "utkface"
        found = []
        if utkface.is_dir():
            paths = [str(person.path) for person in load_utkface(utkface).people if person.use != "test"]
            found.append(TightFiles("utkface", paths, [TIGHT_FACE] * len(paths)))
        identities = self.root / "identities"
        return found + [_boxed_files(file) for file in sorted(identities.glob("*/boxes.csv"))]

    def labeled_images(self, use: Use) -> tuple[list[str], TagLabels]:
        """Those of the tuning halves of webfaces/ and of the sets under photographs/ that their tags.csv has labels of,
        and these: two of three for ANet to learn from, the third to calibrate on.

        Raises:
            DataError: WebFaces' file is missing, one is malformed, names a photograph that is not there, or there are
                none for this.
        """
        sets = [labeled_images_of(load_tags_csv(file), file.parent, "tune") for file in self._tags_files()]
        labels, paths = joined([each for each, _ in sets]), list(chain.from_iterable(found for _, found in sets))
        known = [row for row, values in enumerate(labels.values) if (values >= 0).any() and use_of(paths[row]) == use]
        if not known:
            raise DataError(f"{self._tags_files()[0]} has no label to {use} on", "label more, or use none")
        return [str(paths[row]) for row in known], labels.select(known)

    def _tags_files(self) -> list[Path]:
        """The labels of WebFaces, and those of other photographs where there are any."""
        return [self.root / "webfaces" / "tags.csv", *sorted((self.root / "photographs").glob("*/tags.csv"))]

    def utkface(self, use: UTKUse) -> list[Person]:
        """The faces of UTKFace under utkface/ that are for this use.

        Raises:
            DataError: there are none.
        """
        people = load_utkface(self.root / "utkface").of_use(use)
        if not people:
            raise DataError(f"{self.root / 'utkface'} has no face to {use} on", "bring more of UTKFace")
        return people

    def set_names(self, objects: bool) -> list[str]:
        """Names of the sets that LNets learn from, each once, sorted: those that serve as scenes, and with `objects`
        those of object categories as well."""
        folders = {part: self.root / part for part in ("objects", "backgrounds")}
        found = [path for folder in folders.values() if folder.is_dir() for path in folder.iterdir() if path.is_dir()]
        scenes = {path.name for path in found if path.parent.name == "backgrounds" or path.name in FACELESS_OBJECTS}
        return sorted({path.name for path in found} if objects else scenes)

    def _sets(self, name: str) -> Iterator[Path]:
        folder = self.root / name
        found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if not found:
            raise DataError(f"{folder} has no data set in it", "arrange one with `facetag data arrange`")
        yield from found


#: Object sets whose pictures serve as scenes too. Imagenette is left out: many of its pictures show people.
FACELESS_OBJECTS = ("caltech101", "miniimagenet")


def _boxed_files(file: Path) -> TightFiles:
    """The pictures of a boxes file with one face each."""
    tight = TightFiles(file.parent.name, [], [])
    for name, boxes in load_boxes_csv(file).items():
        path = file.parent / name
        if len(boxes) == 1 and path.is_file():
            height, width = read_image(str(path)).pixels.shape[:2]
            tight.paths.append(str(path))
            tight.boxes.append(boxes[0].scaled(1 / width, 1 / height))
    return tight

"""Where the faces of a batch of photographs are: found by the LNets, brought by the user, or known from the frame."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facetag.datasets.scenes import ALIGNED_FACE
from facetag.formats.path_encoding import unescape
from facetag.geometry import Box
from facetag.localization.base import Detection, Localizer
from facetag.pipeline.loader import Photo
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import ImageRecord

ALIGNED_WIDTH, ALIGNED_HEIGHT = 178, 218  #: pixels of CelebA's aligned pictures


@dataclass(frozen=True)
class Found:
    """The faces of one photograph, the surest first, and one line about them; mostly empty."""

    faces: tuple[Detection, ...]
    warning: str = ""


Finder = Callable[[Sequence[Photo], Stopwatch], list[Found]]


def located_by(localizer: Localizer, dominant: bool = False) -> Finder:
    """A Finder that asks a localizer for all faces, or for the paper's single one (`Localizer.dominant`)."""

    def find(photos: Sequence[Photo], clock: Stopwatch) -> list[Found]:
        faces = localizer.detect(photos, "dominant" if dominant else "all", lambda name: clock.stage(Stage(name)))
        return [Found(tuple(each)) for each in faces]

    return find


def aligned(photos: Sequence[Photo], clock: Stopwatch) -> list[Found]:
    """Each photograph is one face in CelebA's aligned frame, of any size: its box is known."""
    factors = [(photo.width / ALIGNED_WIDTH, photo.height / ALIGNED_HEIGHT) for photo in photos]
    return [Found((Detection(ALIGNED_FACE.scaled(*factor), 1.0),)) for factor in factors]


class GivenBoxes:
    """A Finder that knows the user's boxes (`datasets.boxes.load_boxes_csv`), in the order of the file.

    A name in the file belongs to the photograph whose path it is, seen from where the photographs' own paths are, or
    else from the current folder, or else from the one that the file lies in; it may be written raw or as facetag writes
    paths. A photograph that the file does not name has no face, and its record says why. A box that lies wholly outside
    its photograph is left out, and the record says so.

    Args:
        folder: that photographs' paths are seen from; empty for the current one.

    Attributes:
        unused: names in the file that no photograph has asked for.
    """

    def __init__(self, boxes: Mapping[str, Sequence[Box]], file: Path, folder: str = "") -> None:
        self._boxes = boxes
        self._file = file
        self._folder = Path.cwd() / folder
        self.unused = set(boxes)
        self._places: dict[str, str] = {}
        for seen_from in (self._folder, Path.cwd(), file.absolute().parent):
            for spell in (str, unescape):
                for name in boxes:
                    self._places.setdefault(_place(seen_from, spell(name)), name)

    def __call__(self, photos: Sequence[Photo], clock: Stopwatch) -> list[Found]:
        return list(map(self._find, photos))

    def note(self, record: ImageRecord) -> None:
        """This input was answered, now or in an earlier run: its name in the file has been asked for."""
        self.unused.discard(self._places.get(_place(self._folder, record.path), ""))

    def _find(self, photo: Photo) -> Found:
        name = self._places.get(_place(self._folder, photo.path))
        if name is None:
            return Found((), f"not in {self._file.name}")
        self.unused.discard(name)
        frame = Box(0, 0, photo.width, photo.height)
        inside = tuple(Detection(box, 1.0) for box in self._boxes[name] if box.intersection(frame) > 0)
        outside = len(self._boxes[name]) - len(inside)
        return Found(inside, f"{outside} of its boxes outside the picture" if outside else "")


def _place(folder: Path, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name))

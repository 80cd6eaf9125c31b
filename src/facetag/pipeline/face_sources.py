"""Where the faces of a batch of photographs are: found by the LNets, brought by the user, or known from the frame."""

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facetag.datasets.scenes import ALIGNED_FACE
from facetag.formats.path_encoding import unescape
from facetag.geometry import Box
from facetag.localization.base import Detection, Localizer
from facetag.pipeline.items import LoadedImage
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import ImageResult

ALIGNED_WIDTH, ALIGNED_HEIGHT = 178, 218  #: pixels of CelebA's aligned pictures


@dataclass(frozen=True)
class Found:
    """The faces of one photograph, the surest first, and one line about them; mostly empty."""

    faces: tuple[Detection, ...]
    warning: str = ""


FaceSource = Callable[[Sequence[LoadedImage], Stopwatch], list[Found]]


def located_by(localizer: Localizer, dominant: bool = False) -> FaceSource:
    """A Finder that asks a localizer for all faces, or for the paper's single one (`Localizer.dominant`)."""

    def find(images: Sequence[LoadedImage], clock: Stopwatch) -> list[Found]:
        faces = localizer.detect(images, "dominant" if dominant else "all", lambda name: clock.stage(Stage(name)))
        return [Found(tuple(each)) for each in faces]

    return find


def aligned(images: Sequence[LoadedImage], clock: Stopwatch) -> list[Found]:
    """Each photograph is one face in CelebA's aligned frame, of any size: its box is known."""
    factors = [(image.width / ALIGNED_WIDTH, image.height / ALIGNED_HEIGHT) for image in images]
    return [Found((Detection(ALIGNED_FACE.scaled(*factor), 1.0),)) for factor in factors]


class GivenBoxes:
    """A Finder that knows the user's boxes (`datasets.boxes.load_boxes_csv`), in the order of the file.

    A name in the file belongs to the photograph whose path it is, seen from where the photographs' own paths are, or
    else from the current folder, or else from the one that the file lies in; it may be written raw or as facetag writes
    paths. A photograph that the file does not name has no face, and its record says why. A box that lies wholly outside
    its photograph is left out, and the record says so.

    Args:
        folder: that photographs' paths are seen from; empty for the current one.
        digest: SHA-256 of the file's bytes, in hexadecimal.

    Attributes:
        unused: names in the file that no photograph has asked for.
        unnamed: photographs that the file does not name, so far.
    """

    def __init__(self, boxes: Mapping[str, Sequence[Box]], file: Path, folder: str = "", digest: str = "") -> None:
        self._boxes = boxes
        self._file = file
        self.digest = digest
        self.unnamed = 0
        self._folder = Path.cwd() / folder
        self.unused = set(boxes)
        self._names: dict[str, tuple[str, ...]] = {}
        for seen_from in (self._folder, Path.cwd(), file.absolute().parent):
            for spell in (str, unescape):
                found: dict[str, tuple[str, ...]] = {}
                for name in boxes:  # `a.jpg` and `./a.jpg` are one
                    resolved = _resolved(seen_from, spell(name))
                    found[resolved] = (*found.get(resolved, ()), name)
                self._names = found | self._names
        self._composed: dict[str, str | None] = {}  # systems differ in how they write accents: None where both exist
        for resolved, names in self._names.items():
            key = unicodedata.normalize("NFC", resolved)
            other = self._composed.get(key, resolved)
            self._composed[key] = None if other is None or self._names[other] != names else resolved

    @property
    def is_unused(self) -> bool:
        """Whether no photograph has asked for any of its names."""
        return len(self.unused) == len(self._boxes)

    def _named(self, path: str) -> tuple[str, ...]:
        """The names in the file that a photograph has; mostly one."""
        resolved = _resolved(self._folder, path)
        if resolved in self._names:
            return self._names[resolved]
        other = self._composed.get(unicodedata.normalize("NFC", resolved))
        return () if other is None or _are_two(resolved, other) else self._names[other]

    def __call__(self, images: Sequence[LoadedImage], clock: Stopwatch) -> list[Found]:
        return list(map(self._find, images))

    def note(self, record: ImageResult) -> None:
        """This input was answered, now or in an earlier run: its name in the file has been asked for."""
        names = self._named(record.path)
        self.unnamed += not names
        self.unused.difference_update(names)

    def _find(self, image: LoadedImage) -> Found:
        names = self._named(image.path)
        if not names:
            return Found((), f"not in {self._file.name}")
        self.unused.difference_update(names)
        size = image.width, image.height
        boxes = [box for name in names for box in self._boxes[name]]
        inside = tuple(Detection(box, 1.0) for box in boxes if _is_seen(box.clipped(*size)))
        outside = len(boxes) - len(inside)
        return Found(inside, f"{outside} of its boxes outside the picture" if outside else "")


def _is_seen(box: Box) -> bool:
    """Whether a box, cut to its image, is still one when it is written to a tenth of a pixel."""
    return min(box.width, box.height) >= 0.05


def _are_two(path: str, other: str) -> bool:
    """Whether two files lie there; where a system takes accents for the same however they are written, it is one."""
    try:
        return not os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _resolved(folder: Path, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name))

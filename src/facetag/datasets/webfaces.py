"""Caltech 10k WebFaces: whole photographs with face boxes, to choose thresholds on and to measure localization.

The set has no boxes of its own but eyes, nose and mouth (`WebFaces_GroundThruth.txt`). `boxes.csv` beside the
photographs is read when it is there, else boxes are made from those points. Several photographs are in the set twice
under two names; only the first counts.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.folders import image_names
from facetag.errors import DataError
from facetag.geometry import Box

Half = Literal["tune", "test"]
Use = Literal["train", "calibrate"]
Point = NDArray[np.float64]  # (2,) x y

GROUND_TRUTH = "WebFaces_GroundThruth.txt"  # so spelt by its authors


@dataclass(frozen=True)
class AnnotatedImage:
    """One photograph.

    Attributes:
        boxes: its faces, pixels of the upright image; may reach outside it.
        half: `split_half` of the file.
    """

    path: Path
    boxes: tuple[Box, ...]
    half: Half


@dataclass(frozen=True)
class WebFaces:
    """Distinct photographs with boxes, sorted by name, and what was left out.

    Attributes:
        missing: photographs with boxes but without a file.
        duplicates: files with the very bytes of an earlier one.
        without_boxes: files that nobody gave boxes.
    """

    images: list[AnnotatedImage]
    missing: int
    duplicates: int
    without_boxes: int

    def of_half(self, half: Half) -> list[AnnotatedImage]:
        """The photographs to choose on ("tune") or to measure on ("test")."""
        return [annotated_image for annotated_image in self.images if annotated_image.half == half]

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        halves = Counter(annotated_image.half for annotated_image in self.images)
        faces = [len(annotated_image.boxes) for annotated_image in self.images]
        return [
            f"{len(faces)} photographs: {halves['tune']} to tune on, {halves['test']} to test on",
            f"{sum(faces)} faces, {faces.count(1)} photographs with one",
            f"left out: {self.duplicates} duplicates, {self.without_boxes} files without boxes",
            f"{self.missing} photographs with boxes have no file",
        ]


def load_webfaces(root: Path) -> WebFaces:
    """The photographs directly in root that have boxes.

    Raises:
        DataError: no photographs, no boxes, or none of the photographs has boxes.
    """
    files = image_names(root)
    if not files:
        raise DataError(f"{root} has no photographs", "put the files of Caltech_WebFaces.tar there")
    boxes = _boxes(root)
    annotated_images: list[AnnotatedImage] = []
    seen: set[bytes] = set()
    listed = [name for name in files if name in boxes]
    for name in listed:
        digest = content_digest(root / name)
        if digest not in seen:
            seen.add(digest)
            annotated_images.append(AnnotatedImage(root / name, tuple(boxes[name]), half_of(digest)))
    if not listed:
        raise DataError(
            f"{root}: none of its {len(files)} images has boxes", "the file column holds names as in the folder"
        )
    return WebFaces(
        annotated_images, len(boxes) - len(listed), len(listed) - len(annotated_images), len(files) - len(listed)
    )


def split_half(path: Path) -> Half:
    """Which half of the set a file belongs to, by its content alone: "tune" when its SHA-256 is even in the first byte.

    Raises:
        DataError: the file cannot be read.
    """
    return half_of(content_digest(path))


def use_of(path: Path) -> Use:
    """What a labelled photograph of the tuning half is for, by its content alone: "calibrate" when three divides the
    second byte of its SHA-256, so one of three.

    Raises:
        DataError: the file cannot be read.
    """
    return "train" if content_digest(path)[1] % 3 else "calibrate"


def box_of_points(left_eye: Point, right_eye: Point, mouth: Point) -> Box:
    """The face box of three points, pixels; not clipped to the photograph.

    It is 0.8 as wide as high, and as high as three times the distance of the eyes or 2.4 times the drop from eyes to
    mouth, whichever is more. Its middle is the points' mean across and halfway from eyes to mouth down.
    """
    eyes = (left_eye + right_eye) / 2
    height = max(3.0 * float(np.hypot(*(right_eye - left_eye))), 2.4 * float(mouth[1] - eyes[1]))
    center_x = float(left_eye[0] + right_eye[0] + mouth[0]) / 3
    return Box.around(center_x, float(eyes[1] + mouth[1]) / 2, 0.8 * height, height)


def read_ground_truth(path: Path) -> dict[str, list[Box]]:
    """Boxes by photograph from lines of a name and x y of left eye, right eye, nose and mouth.

    Raises:
        DataError: the file is missing or a line is malformed; names file and line.
    """
    boxes: dict[str, list[Box]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", "check the path and its permissions") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, points = _points(path, number, line)
            boxes.setdefault(name, []).append(box_of_points(points[0], points[1], points[3]))
    return boxes


def _points(path: Path, number: int, line: str) -> tuple[str, NDArray[np.float64]]:
    """The photograph's name and its (4, 2) points."""
    name, *fields = line.split()
    try:
        points = np.array([float(field) for field in fields])
    except ValueError:
        points = np.empty(0)
    if points.size != 8 or not np.isfinite(points).all() or not np.hypot(*(points[2:4] - points[:2])) > 0:
        raise DataError(f"{path}, line {number}: not a name and four points", f"take {GROUND_TRUTH} as it was released")
    return name, points.reshape(4, 2)


def _boxes(root: Path) -> dict[str, list[Box]]:
    if (root / "boxes.csv").is_file():
        return load_boxes_csv(root / "boxes.csv")
    if (root / GROUND_TRUTH).is_file():
        return read_ground_truth(root / GROUND_TRUTH)
    raise DataError(f"{root} has neither boxes.csv nor {GROUND_TRUTH}", "put one of them beside the photographs")


def content_digest(path: Path) -> bytes:
    """SHA-256 of the file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", "check the path and its permissions") from None


def half_of(digest: bytes) -> Half:
    """`split_half` of the file with this digest."""
    return "test" if digest[0] % 2 else "tune"

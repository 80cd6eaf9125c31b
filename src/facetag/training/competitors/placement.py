"""Where the parts of a face lie: by the landmarks of the aligned frame, or by a detector's box alone.

Aligned CelebA images have their eyes, nose and mouth at the same place, so that a part is a box of that frame. From a
detector the same boxes are carried over by the box that it usually gives to a face of that frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facetag.datasets.boxes import load_boxes_csv
from facetag.errors import DataError
from facetag.geometry import Box

#: Head with hair, in pixels of the aligned 178x218 image.
HEAD = Box(14, 14, 150, 200)

#: Parts in that frame: eyes lie at (69, 111) and (108, 111), the nose at (88, 136), the mouth's ends at (71, 152) and
#: (106, 152).
PARTS: Mapping[str, Box] = {
    "whole": HEAD,
    "hair": Box(24, 16, 130, 80),
    "forehead": Box(50, 68, 78, 36),
    "eyes": Box(46, 92, 86, 38),
    "nose": Box(64, 104, 50, 46),
    "cheeks": Box(38, 118, 102, 40),
    "mouth": Box(56, 134, 66, 38),
    "chin": Box(50, 152, 78, 48),
}


@dataclass(frozen=True)
class FaceBoxes:
    """A detector's boxes by the file's name, and what it usually says of an aligned face."""

    boxes: Mapping[str, Box]
    usual: Box

    def found(self, path: Path) -> Box | None:
        """The detector's box of this image, None where it found none."""
        return self.boxes.get(path.name)


def placed(part: Box, face: Box, usual: Box) -> Box:
    """A part of the aligned frame carried over by a detector's box.

    >>> placed(Box(10, 10, 5, 5), Box(0, 0, 20, 40), Box(10, 10, 10, 20))
    Box(x=0.0, y=0.0, width=10.0, height=10.0)
    """
    across, down = face.width / usual.width, face.height / usual.height
    left, top = face.x + (part.x - usual.x) * across, face.y + (part.y - usual.y) * down
    return Box(left, top, part.width * across, part.height * down)


def load_face_boxes(path: Path, training: Sequence[Path]) -> FaceBoxes:
    """Each image's first box of a CSV in which the surest comes first; what is usual are medians over the training
    images.

    Raises:
        DataError: the file is not what it should be, or has no box of any training image.
    """
    found = {name: boxes[0] for name, boxes in load_boxes_csv(path).items() if boxes}
    known = [found[each.name] for each in training if each.name in found]
    if not known:
        raise DataError(f"{path} has no box of a training image", "let the detector look at partition 0 as well")
    rows = np.array([(box.x, box.y, box.width, box.height) for box in known])
    return FaceBoxes(found, Box(*map(float, np.median(rows, axis=0))))

"""Small pictures of faces, read from their photos once each."""

import base64
from collections.abc import Callable, Iterable

from facetag.errors import ImageError
from facetag.formats.report.summary import Shown
from facetag.images.crops import crop, jpeg, thumbnail
from facetag.images.decode import read_image

SIDE = 96  #: pixels of a thumbnail's longer side
_QUALITY = 78

#: (path, number of the face) -> a data URL.
Thumbnails = dict[tuple[str, int], str]


def thumbnails(faces: Iterable[Shown], open_as: Callable[[str], str]) -> tuple[Thumbnails, int]:
    """Pictures of these faces, and how many photos could not be read; their faces have none.

    Args:
        open_as: where the photo of a record's path lies.
    """
    by_path: dict[str, dict[int, Shown]] = {}
    for face in faces:
        by_path.setdefault(face.path, {})[face.number] = face
    images: Thumbnails = {}
    missing = 0
    for path in sorted(by_path):
        try:
            pixels = read_image(open_as(path), raw="preview").pixels
        except ImageError:
            missing += 1
            continue
        for number, face in by_path[path].items():
            data = jpeg(thumbnail(crop(pixels, face.box), SIDE), _QUALITY)
            images[path, number] = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    return images, missing

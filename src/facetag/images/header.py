"""What an image file says before its pixels."""

import io
from io import BytesIO
from typing import cast

from facetag.errors import UnreadableImage
from facetag.images.decode import _DAMAGE, _is_camera_raw, _opener_for, _orientation
from facetag.images.file_types import CAMERA_RAW, HEAD_BYTES, TIFF, kind_of_file
from facetag.images.raw import preview_of


def stored_orientation(path: str) -> int:
    """EXIF orientation of an image file, as decoding heeds it; of camera raw, that of its preview. No pixel is decoded.

    Raises:
        OSError: the file cannot be read.
        ImageError: it is no image that is decoded here, or its header is damaged.
    """
    with open(path, "rb") as stream:
        head = stream.read(HEAD_BYTES)
        if kind_of_file(head, path) in (CAMERA_RAW, TIFF):
            data = head + stream.read()
            if _is_camera_raw(data, path):
                return _of_preview(data)
        kind, opener = _opener_for(head, path)
        stream.seek(0)
        try:
            with opener(cast(BytesIO, stream)) as image:
                return _orientation(image)
        except _DAMAGE as error:
            raise UnreadableImage(f"its {kind} header is damaged") from error


def _of_preview(data: bytes) -> int:
    preview, otherwise = preview_of(data)
    try:
        with _opener_for(preview[:HEAD_BYTES])[1](io.BytesIO(preview)) as image:
            return _orientation(image, otherwise)
    except _DAMAGE as error:
        raise UnreadableImage("damaged preview in the camera raw file") from error

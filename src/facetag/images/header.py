"""What an image file says before its pixels."""

from io import BytesIO
from typing import cast

from facetag.errors import UnreadableImage
from facetag.images.decode import _DAMAGE, _opener_for, _orientation
from facetag.images.file_types import HEAD_BYTES


def stored_orientation(path: str) -> int:
    """EXIF orientation of an image file, as decoding heeds it; no pixel is decoded.

    Raises:
        OSError: the file cannot be read.
        ImageError: it is no image that is decoded here, or its header is damaged.
    """
    with open(path, "rb") as stream:
        kind, opener = _opener_for(stream.read(HEAD_BYTES))
        stream.seek(0)
        try:
            with opener(cast(BytesIO, stream)) as image:
                return _orientation(image)
        except _DAMAGE as error:
            raise UnreadableImage(f"its {kind} header is damaged") from error

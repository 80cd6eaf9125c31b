"""Whether this installation decodes each kind of image: a small picture of each is made in memory and read back."""

import io

import numpy as np
from PIL import Image

from facetag.errors import UnreadableImage, UnsupportedImage
from facetag.images.decode import decode
from facetag.images.file_types import HEIC

_COLOUR, _SIZE, _NEAR = (200, 100, 40), 16, 12


def sample(kind: str) -> bytes:
    """A file of that kind: a square of one colour.

    Raises:
        UnsupportedImage: HEIC without its extra.
    """
    image, file = Image.new("RGB", (_SIZE, _SIZE), _COLOUR), io.BytesIO()
    if kind == HEIC:
        try:
            from pillow_heif import from_pillow
        except ImportError as error:
            raise UnsupportedImage("HEIC needs an extra", "pip install 'facetag[heic]'") from error
        from_pillow(image).save(file)
    else:
        image.save(file, kind)
    return file.getvalue()


def try_kind(kind: str) -> None:
    """Make and decode a picture of one of kinds.KINDS.

    Raises:
        UnsupportedImage: its extra is not installed.
        UnreadableImage: what comes back is another picture.
    """
    pixels = decode(sample(kind)).pixels
    if pixels.shape != (_SIZE, _SIZE, 3) or np.abs(pixels - np.array(_COLOUR)).max() > _NEAR:
        raise UnreadableImage(f"{kind} does not decode to the picture that was stored", "install pillow again")

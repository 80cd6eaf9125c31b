"""The preview that a camera put into its raw file: a JPEG that shows what the camera's own screen did.

digiKam's face detection takes it too, where it has 1,600 pixels on its longer side or half of the raw image's; else it
develops the raw image at half its size (its facepreviewloader.cpp and previewtask.cpp).
"""

import io

from facetag.errors import UnreadableImage, UnsupportedImage

#: LibRaw's turns of a raw image -> EXIF orientation.
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}


def preview_of(data: bytes) -> tuple[bytes, int]:
    """The JPEG of the largest preview, and the raw image's EXIF orientation, for one that does not say its own.

    Raises:
        UnsupportedImage: the extra is missing, or the camera put none in that is a JPEG.
        UnreadableImage: it is no raw file that LibRaw reads.
    """
    try:
        import rawpy
    except ImportError as error:
        raise UnsupportedImage("camera raw needs an extra", "pip install 'facetag[raw]'") from error
    try:
        with rawpy.imread(io.BytesIO(data)) as image:
            preview, flip = image.extract_thumb(), image.sizes.flip
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
        raise UnsupportedImage("camera raw without a preview is not supported", "convert it to JPEG or PNG") from error
    except rawpy.LibRawError as error:
        raise UnreadableImage("damaged camera raw file") from error
    if preview.format != rawpy.ThumbFormat.JPEG:
        raise UnsupportedImage("camera raw without a JPEG preview is not supported", "convert it to JPEG or PNG")
    return bytes(preview.data), _ORIENTATIONS.get(flip, 1)

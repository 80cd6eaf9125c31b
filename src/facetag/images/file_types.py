"""What kind of image bytes are, by their first bytes; names decide nothing but what a folder offers.

No imaging library is met here, so that looking through a folder costs none.
"""

#: How many leading bytes `kind_of` may look at.
HEAD_BYTES = 64

#: Name endings that say image, without the dot.
EXTENSIONS = frozenset((
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "tif", "tiff", "gif",
    "avif", "avifs", "heic", "heics", "heif", "heifs", "hif",
))  # fmt: skip

#: Kinds that this project decodes (HEIC with the extra).
KINDS = JPEG, PNG, WEBP, BMP, TIFF, GIF, AVIF, HEIC = "JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF", "HEIC"

#: What `pipeline.drawing` begins its JPEGs with: a comment, so that a drawing is no input later.
DRAWN = b"\xff\xd8\xff\xfe\x00\x12drawn by facetag"

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"IIRS", "camera raw"),
    (b"MMOR", "camera raw"),
    (b"IIU\0", "camera raw"),
)
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}
_BRANDS: tuple[tuple[frozenset[bytes], str], ...] = (
    (frozenset((b"avif", b"avis")), AVIF),
    (frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")), HEIC),
    (frozenset((b"crx ",)), "camera raw"),
)


def kind_of(head: bytes) -> str:
    """The kind of image that begins with these bytes; "" when they begin none.

    Kinds that are images but never decoded here (JPEG XL, Photoshop, camera raw ...) are named as well,
    so that a user learns what was left untagged.

    Args:
        head: the first HEAD_BYTES bytes, or fewer in a shorter file.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return BMP
    if head[:2] == b"II" and head[8:10] == b"CR":
        return "camera raw"
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), "")


def _kind_of_brands(head: bytes) -> str:
    """ISO base media files say what they are in a list of four-letter brands."""
    end = min(int.from_bytes(head[:4], "big"), HEAD_BYTES, len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, end - 3, 4)}
    return next((kind for known, kind in _BRANDS if brands & known), "")

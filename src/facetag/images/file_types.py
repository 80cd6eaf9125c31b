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

#: Kinds that are decoded where the user names a file, or a folder offers it by its name; by content alone, folders
#: offer none of them.
NAMED = PNM, ICO, TGA = "PNM", "ICO", "TGA"

CAMERA_RAW = "camera raw"

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
    (b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (b"IIRO", CAMERA_RAW),
    (b"IIRS", CAMERA_RAW),
    (b"MMOR", CAMERA_RAW),
    (b"IIU\0", CAMERA_RAW),
)
#: Kinds that are not decoded and that no folder offers by content; a user who names such a file learns what it is.
_NAMED_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"P7\n", "PAM"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"\0\0\2\0", "a cursor"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"AT&TFORM", "DjVu"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"/* XPM */", "XPM"),
    (b"BPG\xfb", "BPG"),
    (b"FLIF", "FLIF"),
    (b"gimp xcf", "XCF"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"FOVb", CAMERA_RAW),
    (b"\0MRM", CAMERA_RAW),
    *((b"\x0a" + version + b"\1", "PCX") for version in (b"\0", b"\2", b"\3", b"\4", b"\5")),
    *((b"\x01\xda" + rle + depth, "SGI") for rle in (b"\0", b"\1") for depth in (b"\1", b"\2")),
)
MOST_ICONS = 256  #: pictures in an ICO
_TGA_ENDINGS = (".tga", ".icb", ".vda", ".vst")
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}
_BRANDS: tuple[tuple[frozenset[bytes], str], ...] = (
    (frozenset((b"avif", b"avis")), AVIF),
    (frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")), HEIC),
    (frozenset((b"crx ",)), CAMERA_RAW),
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
        return CAMERA_RAW
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), "")


def kind_of_file(head: bytes, name: str = "") -> str:
    """The kind of a file that is to be read: that of `kind_of`, one of NAMED, or one that is not decoded.

    A TGA begins with nothing that would tell it from other bytes, so its name has to say it too.

    Args:
        name: the file's; its ending counts.
    """
    if kind := kind_of(head):
        return kind
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b" ", b"\t", b"\n", b"\r", b"#"):
        return PNM
    if head[:4] == b"\0\0\1\0" and 0 < int.from_bytes(head[4:6], "little") <= MOST_ICONS and head[9:10] == b"\0":
        return ICO
    if name.lower().endswith(_TGA_ENDINGS) and _is_tga(head):
        return TGA
    return next((kind for signature, kind in _NAMED_SIGNATURES if head.startswith(signature)), "")


def _is_tga(head: bytes) -> bool:
    has_palette, image_type, depth = head[1:2], head[2:3], head[16:17]
    return (
        len(head) > 18
        and has_palette in (b"\0", b"\1")
        and image_type in (b"\1", b"\2", b"\3", b"\x09", b"\x0a", b"\x0b")
        and depth in (b"\x01", b"\x08", b"\x0f", b"\x10", b"\x18", b"\x20")
    )


def _kind_of_brands(head: bytes) -> str:
    """ISO base media files say what they are in a list of four-letter brands."""
    end = min(int.from_bytes(head[:4], "big"), HEAD_BYTES, len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, end - 3, 4)}
    return next((kind for known, kind in _BRANDS if brands & known), "")

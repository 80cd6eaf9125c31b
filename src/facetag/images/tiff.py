"""TIFF as bytes and tags: what its pixels are, which of them are understood, and a file without other tags."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ImagePalette
from PIL.TiffImagePlugin import TiffImageFile

WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
SEPARATE = 2  #: each colour in a plane of its own

#: Tags by their names in the specification, of which the pixels depend.
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS, SAMPLE_FORMAT = 256, 257, 258, 259, 262, 277, 278, 339
SUBFILE_TYPE, ORIENTATION, PLANES, TILE_HEIGHT, DNG_VERSION = 254, 274, 284, 323, 50706
FILL_ORDER, COLOUR_MAP = 266, 320
_PIXELS = frozenset((
    254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 330, 332,
    338, 339, 340, 341, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532, 50706,
))  # fmt: skip

_PHOTOMETRICS = {
    0: "white-is-zero", 1: "grey", 2: "RGB", 3: "palette", 4: "transparency mask", 5: "CMYK", 6: "YCbCr",
    8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "colour filter array", 32844: "LogL", 32845: "LogLuv",
    34892: "linear raw",
}  # fmt: skip
_COMPRESSIONS = {
    6: "old JPEG", 7: "JPEG", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG", 34933: "PNG",
    33003: "JPEG 2000", 33005: "JPEG 2000", 34676: "LogLuv", 34677: "LogLuv", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL", 32809: "ThunderScan", 32908: "PixarFilm", 32909: "PixarLog", 34661: "JBIG",
}  # fmt: skip
_BIG_ENDIAN = re.compile(r"^([FI];\d+)B")  #: of Pillow's names for how pixels lie in a file: F;32BF, I;16BS
_UNDERSTOOD = {1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946, 34925, 50000}


@dataclass(frozen=True)
class Layout:
    """Where the first directory of a file is.

    Attributes:
        order: "<" or ">", as struct has it.
        is_big: BigTIFF, of 64-bit offsets.
        at: of its first entry.
        count: of its entries.
    """

    order: str
    is_big: bool
    at: int
    count: int

    @property
    def size(self) -> int:
        """Bytes of an entry."""
        return 20 if self.is_big else 12

    def entries(self, data: bytes) -> Iterator[bytes]:
        """Each entry, as long as they are whole."""
        for number in range(self.count):
            entry = data[self.at + number * self.size : self.at + (number + 1) * self.size]
            if len(entry) < self.size:
                return
            yield entry


def layout_of(data: bytes) -> Layout:
    """The first directory.

    Raises:
        struct.error: there is none.
    """
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    is_big = version == 43
    (offset,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
    if offset > len(data):
        raise struct.error("the directory lies behind the end")
    (count,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, offset)
    return Layout(order, is_big, offset + (8 if is_big else 2), min(count, 1 << 16))


def first_values(data: bytes) -> dict[int, int]:
    """Tag -> its value, of those in the first directory that hold one whole number."""
    layout, values = layout_of(data), {}
    for entry in layout.entries(data):
        tag, kind = struct.unpack_from(f"{layout.order}HH", entry)
        if kind in (3, 4, 16) and (kind != 16 or layout.is_big):
            code = {3: "H", 4: "I", 16: "Q"}[kind]
            (values[tag],) = struct.unpack_from(f"{layout.order}{code}", entry, 12 if layout.is_big else 8)
    return values


def longest_list(data: bytes) -> int:
    """How many values the longest tag has of those that the pixels depend on; 0 of a file without a directory."""
    try:
        layout = layout_of(data)
    except struct.error:
        return 0
    code = f"{layout.order}HH{'Q' if layout.is_big else 'I'}"
    tags = (struct.unpack_from(code, entry) for entry in layout.entries(data))
    return max((count for tag, _, count in tags if tag in _PIXELS), default=0)


def is_camera_raw(data: bytes) -> bool:
    """Whether the first image is a thumbnail, as in NEF and ARW, or the file a DNG."""
    try:
        layout = layout_of(data)
    except struct.error:
        return False
    tags = {struct.unpack_from(f"{layout.order}H", entry)[0] for entry in layout.entries(data)}
    return DNG_VERSION in tags or first_values(data).get(SUBFILE_TYPE) == 1


def without_metadata(data: bytes, keeps_orientation: bool) -> bytes:
    """The same pixels with a directory of the tags that they depend on, put behind the rest."""
    try:
        layout = layout_of(data)
    except struct.error:
        return data
    tags = _PIXELS if keeps_orientation else _PIXELS - {ORIENTATION}
    kept = [
        entry for entry in layout.entries(data) if struct.unpack_from(f"{layout.order}H", entry)[0] in tags
    ]  # fmt: skip
    if len(kept) == layout.count:
        return data
    data += bytes(len(data) % 2)
    count, offset = struct.Struct(f"{layout.order}{'Q' if layout.is_big else 'H'}"), "Q" if layout.is_big else "I"
    directory = count.pack(len(kept)) + b"".join(kept) + struct.pack(f"{layout.order}{offset}", 0)
    start = struct.pack(f"{layout.order}{offset}", len(data))
    head = 8 if layout.is_big else 4
    return data[:head] + start + data[head + len(start) :] + directory


def unsupported(data: bytes) -> str:
    """What kind of TIFF it is that is not decoded here; "" for one that is, or should be."""
    if data[:4] == b"MM\0+":
        return "big-endian BigTIFF"
    try:
        values = first_values(data)
    except struct.error:
        return ""
    compression, photometric = values.get(COMPRESSION, 1), values.get(PHOTOMETRIC)
    if compression not in _UNDERSTOOD:
        return f"TIFF with {_COMPRESSIONS.get(compression, f'compression {compression}')}"
    if photometric is not None and photometric not in (0, 1, 2, 3, 5, 6):
        return f"TIFF of {_PHOTOMETRICS.get(photometric, f'photometric interpretation {photometric}')} pixels"
    if values.get(PLANES) == SEPARATE and values.get(SAMPLES, 1) not in (1, 3):
        return "TIFF of such planes"
    return ""


def expect_native_order(image: TiffImageFile) -> None:
    """Have the pixels of an opened TIFF that libtiff unpacks taken in this machine's order of bytes, which it gives.

    Pillow knows that of unsigned 16 bits alone, and turns the bytes of big-endian floats and signed numbers once more.
    """
    image.tile = [
        tile._replace(args=(_BIG_ENDIAN.sub(r"\1N", tile.args[0]), *tile.args[1:]))
        if tile.codec_name == "libtiff" and isinstance(tile.args, tuple)
        else tile
        for tile in image.tile
    ]


def expect_narrow_palette(image: TiffImageFile) -> None:
    """Have a palette taken for one of eight bits a channel where no value of it needs more, as libtiff does.

    Some programs write such, and by the specification's sixteen bits it would be all but black.
    """
    colours = image.tag_v2.get(COLOUR_MAP, ())
    if image.mode in ("P", "PA") and max(colours, default=256) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def refused_pixels(tags: Any, mode: str) -> str:
    """What is not understood of an opened TIFF's pixels; "" when all is.

    Args:
        tags: Pillow's `tag_v2`.
        mode: Pillow's, in which it would hand over the pixels.
    """
    photometric, formats = tags.get(PHOTOMETRIC), set(tags.get(SAMPLE_FORMAT, (UNSIGNED,)))
    if photometric is None and tags.get(COMPRESSION, 1) not in (6, 7):
        return "TIFF that does not say what its pixels mean"
    deep = mode in ("I", "F") or mode.startswith("I;16")
    if deep and photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        return f"TIFF of deep {_PHOTOMETRICS.get(photometric, 'unknown')} pixels"
    if deep and tags.get(FILL_ORDER) == 2 and tags.get(COMPRESSION, 1) == 1:
        return "TIFF of deep pixels in reversed bits"
    if not deep and formats != {UNSIGNED}:
        return "TIFF of signed 8-bit pixels"
    if tags.get(PLANES) == SEPARATE and tags.get(SAMPLES, 1) > 1:  # every plane is taken for one of eight bits
        return "TIFF of such planes" if set(tags.get(BITS, (1,))) != {8} or mode == "LA" else ""  # alpha's is not met
    return ""

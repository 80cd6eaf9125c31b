"""Image bytes to upright RGB pixels; with discover, the only place that opens image files.

Pillow's readers are called by kind, not through `Image.open`, which warns of large images by a process-wide limit and
keeps to itself why a reader refused. OpenCV decodes a JPEG some 25 % faster, but its libjpeg writes to standard error.

What an ordinary file gives is decided in one attempt. Only of a refused one it is asked what it is, and whether its
pixels are sound without what is damaged or beside them.
"""

import ctypes
import io
import logging
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from facetag.errors import ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.images import bmp, jpeg, tiff
from facetag.images.file_types import (
    AVIF,
    BMP,
    CAMERA_RAW,
    GIF,
    HEAD_BYTES,
    HEIC,
    ICO,
    JPEG,
    MOST_ICONS,
    PNG,
    PNM,
    TGA,
    TIFF,
    WEBP,
    kind_of_file,
)
from facetag.images.metadata import without_metadata
from facetag.images.orient import is_turned, upright
from facetag.images.pixels import MOST_BYTES, budget, bytes_to_decode, load_rgb, rgb_of
from facetag.images.raw import preview_of
from facetag.remote import reading as remote
from facetag.remote.url import Url, as_url

#: Raised whenever some file is decoded otherwise than before.
DECODER_VERSION = 5
#: Version -> kinds whose answers of the version before no longer hold; besides them, all that failed or had a warning.
#: Version 5 reads a few damaged JPEGs and odd PNGs otherwise, for which all the others are not asked again.
CHANGED: dict[int, frozenset[str]] = {
    2: frozenset((TIFF,)),
    3: frozenset((TIFF,)),
    4: frozenset((TIFF,)),
    5: frozenset((TIFF,)),
}
MAX_PIXELS = 200_000_000  #: six bytes each are 1.2 GB, which an ordinary laptop has to spare
_SMALL = 8 << 20  #: bytes at a URL that are not worth a request of their own for the first of them
#: Pieces of a file that a reader may ask for: photographs have some hundreds, and each costs microseconds.
MOST_PIECES = 300_000
MOST_COMMENTS = 1_000  #: in a PNM of digits; each costs Pillow a copy of a megabyte
MAX_BYTES = 1 << 31  #: of a file; MAX_PIXELS of 16 bits, uncompressed, have little over half as many

Opener = Callable[[io.BytesIO], ImageFile.ImageFile]

_OPENERS: dict[str, Opener] = {
    JPEG: JpegImagePlugin.JpegImageFile,
    PNG: PngImagePlugin.PngImageFile,
    WEBP: WebPImagePlugin.WebPImageFile,
    BMP: BmpImagePlugin.BmpImageFile,
    TIFF: TiffImagePlugin.TiffImageFile,
    GIF: GifImagePlugin.GifImageFile,
    AVIF: AvifImagePlugin.AvifImageFile,
    PNM: PpmImagePlugin.PpmImageFile,
    ICO: IcoImagePlugin.IcoImageFile,
    TGA: TgaImagePlugin.TgaImageFile,
}

Raw = Literal["refuse", "preview"]
_PREVIEW = "the preview that the camera put into its raw file"  #: what is said of each

#: What Pillow's readers let through on hostile bytes.
_DAMAGE = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    RuntimeError, AssertionError, BufferError, struct.error, zlib.error,
)  # fmt: skip


def _silence_readers() -> None:
    """What Pillow and libtiff remark about odd files reaches neither the user's terminal nor a decision here.

    Pillow has no words for libtiff's handlers, so they are set in the copy that Pillow has loaded.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    library = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if hasattr(library, name):
            library[name](None)


_silence_readers()  # once, at import: a switch thrown for each image would be seen by other threads


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image in memory.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright, C-contiguous, writable.
        width, height: of the whole image, upright; `pixels` has these unless it was decoded smaller.
        warning: one line; empty unless something was amiss that did not keep the pixels from being used.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    warning: str = ""


@dataclass(frozen=True, eq=False)
class File:
    """A file's bytes.

    Attributes:
        data: all of them, or the first HEAD_BYTES of a file that is not `whole`: those are no image's.
        size, mtime_ns: of the file, as the system said before they were read; of a URL see `remote.reading`.
    """

    data: bytes
    whole: bool
    size: int
    mtime_ns: int


def read_image(path: str, *, max_pixels: int = MAX_PIXELS, strict: bool = False, raw: Raw = "refuse") -> Decoded:
    """Read a file and decode it; see `read_file` and `decode`, which say what is raised."""
    return decode(read_file(path, raw).data, max_pixels=max_pixels, strict=strict, name=path, raw=raw)


def read_file(path: str, raw: Raw = "refuse") -> File:
    """Read a file, or what lies at a URL.

    The path goes through Python alone, so every name that the system allows works. The rest of a file is read only
    when its first bytes say image that is decoded here; FIFOs, devices and folders are never opened. `raw` as for
    `decode`.

    Raises:
        UnreadableImage: no such file, no permission, not a regular file, or a disk or server that does not give it.
        UnsupportedImage: a URL needs what is not installed.
        ImageTooLarge: more than MAX_BYTES, or than memory holds.
    """
    try:
        if url := as_url(path):
            return _read_url(url, raw)
        _refuse_what_is_no_file(path)
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            data = stream.read(HEAD_BYTES)
            whole = _is_decodable(data, path, raw)
            if whole and status.st_size > MAX_BYTES:
                raise ImageTooLarge(f"{status.st_size} bytes are over {MAX_BYTES}", "make it smaller")
            if whole:
                stream.seek(0)
                data = stream.read()
            return File(data, whole, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UnreadableImage(error.strerror or "cannot be read") from error
    except ValueError as error:
        raise UnreadableImage("no file can have this name") from error
    except MemoryError as error:
        raise ImageTooLarge("not enough memory to read the file") from error


def _read_url(url: Url, raw: Raw) -> File:
    """What is not small is asked for its first bytes first."""
    stamp = remote.stamp_before(url)
    data = remote.read(url, HEAD_BYTES if stamp.size > _SMALL else MAX_BYTES + 1)
    whole = _is_decodable(data[:HEAD_BYTES], url, raw)
    if whole and max(stamp.size, len(data)) > MAX_BYTES:
        raise ImageTooLarge(f"{max(stamp.size, len(data))} bytes are over {MAX_BYTES}", "make it smaller")
    if whole and stamp.size > _SMALL:
        data = remote.read(url, MAX_BYTES)
    size, mark = remote.mark_of(stamp)
    return File(data if whole else data[:HEAD_BYTES], whole, size, mark)


def mark_of(path: str) -> tuple[int, int] | None:
    """Size and time of change in ns, by which a file is known again unopened; of a URL, what its server says for that.
    None of what is not there, or cannot be known again."""
    if url := as_url(path):
        return remote.mark_now(url)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _is_decodable(head: bytes, name: str, raw: Raw) -> bool:
    if raw == "preview" and kind_of_file(head, name) == CAMERA_RAW:
        return True
    try:
        _opener_for(head, name)
    except ImageError:
        return False
    return True


def _refuse_what_is_no_file(path: str) -> None:
    """A folder gets here when it cannot be listed: the system then says why."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()
    if not stat.S_ISREG(mode):
        raise UnreadableImage("not a regular file")


def decode(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    strict: bool = False,
    min_size: int = 0,
    name: str = "",
    raw: Raw = "refuse",
    claim: Callable[[int], None] = lambda taken: None,
) -> Decoded:
    """Decode an image file's bytes to upright RGB.

    EXIF orientation is applied. Transparent pixels are laid on white. Greyscale, palette and CMYK become RGB; 16-bit
    becomes 8-bit by its full range; floats and 32-bit integers are taken as [0, 1] or [0, 255] when they lie
    inside, else stretched from their least to their largest. Of several frames the first counts, of an ICO the largest.
    A JPEG that is damaged or ends early is used as far as it goes, and bad metadata is left out; the warning says so.
    The pixels are a function of the bytes alone, and any number of threads may decode at once.

    Args:
        max_pixels: images of more are refused by their header, before their pixels are allocated, and so are those that
            take more than MOST_BYTES for each pixel of it (or of what is not vast) while they are decoded.
        strict: refuse whatever would have a warning.
        min_size: a JPEG is decoded at a half, a quarter or an eighth of its size when its longer side still has so many
            pixels then, which takes a fraction of the time; 0 = whole.
        name: the file's; a TGA is known by it alone.
        raw: "preview" decodes the JPEG that a camera put into its raw file.
        claim: told, once the header is read, how many bytes the pixels will take; it may wait until there is room.

    Raises:
        UnreadableImage: empty, not an image, or damaged.
        UnsupportedImage: an image of a kind that is not decoded here.
        ImageTooLarge: more than max_pixels, or more than memory holds.
    """
    attempt = _Attempt(max_pixels, min_size, claim)
    is_preview = raw == "preview" and _is_camera_raw(data, name)
    try:
        decoded = _decode_preview(data, attempt) if is_preview else _decode(data, name, attempt)
    except MemoryError as error:
        raise ImageTooLarge("not enough memory to decode the image") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLarge("more pixels than Pillow decodes at once") from error
    if strict and decoded.warning:
        raise UnreadableImage(decoded.warning, "leave out --strict to use it nevertheless")
    if is_preview:
        decoded = replace(decoded, warning="; ".join(filter(None, (_PREVIEW, decoded.warning))))
    return decoded


def _decode_preview(data: bytes, attempt: "_Attempt") -> Decoded:
    preview, orientation = preview_of(data)
    try:
        return _decode(preview, "", attempt, orientation)
    except UnreadableImage as error:
        raise UnreadableImage("damaged preview in the camera raw file") from error


def _decode(data: bytes, name: str, attempt: "_Attempt", orientation: int = 1) -> Decoded:
    """At once, or else without what keeps its reader from it; `orientation` is that of a file that names none."""
    kind = _opener_for(data[:HEAD_BYTES], name)[0]
    try:
        return attempt.decode(kind, data, orientation)
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        if kind == BMP:
            _refuse_large(*bmp.size_of(data), attempt.max_pixels)
            if common := bmp.in_common_layout(data):
                return _decode(common, name, attempt, orientation)
        _refuse_unsupported(kind, data, error)
        for part, warning in _sound_parts(kind, data):
            try:
                decoded = attempt.decode(kind, part, orientation)
            except (*_DAMAGE, Image.DecompressionBombError):
                continue
            return replace(decoded, warning=warning)
        if isinstance(error, Image.DecompressionBombError):
            raise
        raise UnreadableImage(f"damaged {kind} file") from error


def _opener_for(head: bytes, name: str = "") -> tuple[str, Opener]:
    """The kind that a file begins as, and what opens it."""
    kind = kind_of_file(head, name)
    if kind in _OPENERS:
        return kind, _OPENERS[kind]
    if kind == HEIC:
        return kind, _heic_opener()
    if kind:
        raise UnsupportedImage(f"{kind} is not supported", "convert it to JPEG or PNG")
    raise UnreadableImage("not an image" if head else "the file is empty")


def _heic_opener() -> Opener:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnsupportedImage("HEIC needs an extra", "pip install 'facetag[heic]'") from error
    opener: Opener = HeifImageFile
    return opener


def _is_camera_raw(data: bytes, name: str) -> bool:
    kind = kind_of_file(data[:HEAD_BYTES], name)
    return kind == CAMERA_RAW or (kind == TIFF and tiff.is_camera_raw(data))


def _refuse_unsupported(kind: str, data: bytes, error: Exception) -> None:
    """A refused file may be whole, and of a kind of its kind that is not decoded here."""
    what = ""
    if kind == JPEG:
        what = jpeg.unsupported(data)
    elif kind == TIFF:
        is_unknown = any(phrase in str(error) for phrase in ("unknown pixel mode", "unknown raw mode"))
        what = tiff.unsupported(data) or ("TIFF with such pixels" if is_unknown else "")
    elif kind == TGA and data[16:17] == b"\x0f":
        what = "TGA of 15 bits"
    elif kind in (BMP, ICO):
        what = bmp.unsupported(data, str(error))
    if what:
        raise UnsupportedImage(f"{what} is not supported", "convert it to JPEG or PNG") from error


def _sound_parts(kind: str, data: bytes) -> Iterator[tuple[bytes, str]]:
    """What to try in place of a refused file, the most first, with what is amiss with each."""
    if kind == JPEG:
        yield from _sound_jpegs(data, "")
    for stripped in without_metadata(kind, data):
        warning = f"damaged metadata of the {kind} left out"
        yield stripped, warning
        if kind == JPEG:
            yield from _sound_jpegs(stripped, f"{warning}; ")


def _sound_jpegs(data: bytes, before: str) -> Iterator[tuple[bytes, str]]:
    try:
        with _OPENERS[JPEG](io.BytesIO(data)) as image:
            coded = _inspected(image, data)
    except _DAMAGE:
        return
    yield from ((part, before + warning) for part, warning in jpeg.sound_parts(data, coded))


def _inspected(image: ImageFile.ImageFile, data: bytes) -> jpeg.Coded:
    """Of a JPEG that was opened, and so read up to its coded data."""
    assert isinstance(image, JpegImagePlugin.JpegImageFile) and image.fp is not None
    return jpeg.inspect(data, image.fp.tell(), image.layers, bool(image.info.get("progressive")))


def _feed(image: ImageFile.ImageFile, data: bytes, coded: jpeg.Coded) -> jpeg.Feed | None:
    """What hands a JPEG to its decoder; none where Pillow does, to which it is said how."""
    if coded.end:
        feed = jpeg.Feed(data, coded.end)
        image.load_read = feed.read  # type: ignore[attr-defined]
        return feed
    if jpeg.is_arithmetic(data):
        image.decodermaxblock = len(data)
    return None


class _Stream(io.BytesIO):
    """A file that is read in so many pieces only; a small one can have millions, and take minutes."""

    _pieces = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._pieces += 1
        _refuse_pieces(self._pieces)
        return super().read(size)


@dataclass(frozen=True, eq=False)
class _Attempt:
    """Decodes with the settings of `decode`; a file may need several."""

    max_pixels: int
    min_size: int
    claim: Callable[[int], None]

    def decode(self, kind: str, data: bytes, orientation: int = 1) -> Decoded:
        """`orientation` is that of a file that names none."""
        opener = _opener_for(data[:HEAD_BYTES])[1] if kind not in _OPENERS else _OPENERS[kind]
        if kind == ICO:
            _refuse_large_icons(data, self.max_pixels)
        if kind == PNM and data[1:2] in b"123" and data.count(b"#") > MOST_COMMENTS:
            raise UnreadableImage(f"a PNM of more than {MOST_COMMENTS} comments", "convert it to JPEG or PNG")
        if kind == TIFF:
            _refuse_pieces(tiff.longest_list(data))
        with opener(_Stream(data)) as image:
            width, height = image.size
            _refuse_large(width, height, self.max_pixels)
            _refuse_camera_raw(image)
            warning, feed = "", None
            if kind == JPEG:
                coded = _inspected(image, data)
                if coded.warning == jpeg.MANY_SCANS:
                    fewer = data[: coded.sound] + jpeg.END
                    return replace(self.decode(kind, fewer, orientation), warning=coded.warning)
                warning, feed = coded.warning and jpeg.ODD, _feed(image, data, coded)
                if self.min_size:
                    _shrink(image, self.min_size)
            self._claim(kind, image, width, height)
            stored = load_rgb(kind, image)
            if feed and not feed.is_sound:
                warning = jpeg.ODD
            orientation = _orientation(image, orientation)
        pixels = upright(stored, orientation)
        return Decoded(pixels, *((height, width) if is_turned(orientation) else (width, height)), warning)

    def _claim(self, kind: str, image: ImageFile.ImageFile, width: int, height: int) -> None:
        taken, most = bytes_to_decode(kind, image, width, height), budget(self.max_pixels)
        if taken > most:
            reason = f"{width}x{height} takes {taken / 1e6:.0f} MB to decode, over {MOST_BYTES} bytes a pixel allowed"
            raise ImageTooLarge(reason, "raise --max-pixels")
        self.claim(taken)


def _refuse_pieces(count: int) -> None:
    if count > MOST_PIECES:
        raise UnreadableImage(f"a file of more than {MOST_PIECES} pieces", "convert it to JPEG or PNG")


def _refuse_large(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width}x{height} is over {max_pixels} pixels", "raise --max-pixels")


def _refuse_large_icons(data: bytes, max_pixels: int) -> None:
    """An ICO says of each of its pictures that it is 256 pixels at most, and its reader believes the picture itself."""
    for entry in range(min(int.from_bytes(data[4:6], "little"), MOST_ICONS)):
        at = int.from_bytes(data[18 + 16 * entry : 22 + 16 * entry], "little")
        is_png = data[at : at + 4] == b"\x89PNG"
        size = struct.unpack_from(">II", data, at + 16) if is_png else struct.unpack_from("<ii", data, at + 4)
        _refuse_large(abs(size[0]), abs(size[1]) // (1 if is_png else 2), max_pixels)


def _shrink(image: ImageFile.ImageFile, min_size: int) -> None:
    """Have a JPEG decoded smaller: its blocks of 8 x 8 can come as 4 x 4, 2 x 2 or 1."""
    factor = next((each for each in (8, 4, 2) if max(image.size) >= each * min_size), 1)
    if factor > 1:
        image.draft(image.mode, (max(image.width // factor, 1), max(image.height // factor, 1)))


def _refuse_camera_raw(image: ImageFile.ImageFile) -> None:
    """NEF, ARW and DNG files are TIFFs whose first image is a thumbnail; tagging that would pass for the photograph."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (
        image.tag_v2.get(tiff.SUBFILE_TYPE) == 1 or tiff.DNG_VERSION in image.tag_v2
    ):
        raise UnsupportedImage("camera raw is not supported", "convert it to JPEG or PNG, or use --raw preview")


def _orientation(image: Image.Image, otherwise: int = 1) -> int:
    """EXIF orientation; where it is absent or its block is damaged another: that alone spoils no photograph."""
    try:
        return int(image.getexif().get(tiff.ORIENTATION, otherwise))
    except _DAMAGE:
        return otherwise


def upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of an image that Pillow has opened, turned by its EXIF orientation.

    Raises:
        UnreadableImage: its file is damaged.
    """
    try:
        return upright(rgb_of(image), _orientation(image))
    except _DAMAGE as error:
        raise UnreadableImage("damaged image") from error

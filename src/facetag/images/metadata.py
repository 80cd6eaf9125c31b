"""Files without what is not pixels: for when a reader refuses sound pixels because of what lies beside them.

EXIF and XMP stay where they are sound, for they tell which way is up, and so does whatever changes colours: Adobe's
transform in a JPEG, transparency in a PNG, a GIF's graphic control.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from facetag.images import jpeg
from facetag.images.file_types import AVIF, GIF, HEIC, JPEG, PNG, TIFF, WEBP
from facetag.images.tiff import without_metadata as tiff_without_metadata

MOST_METADATA = 1 << 20  #: bytes of one EXIF or XMP that is kept

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_PNG_PIXELS = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
_WEBP_PIXELS = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"))
_WEBP_CHUNK = re.compile(rb"VP8 |VP8L|ALPH|ANIM|ANMF")
_WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC, EXIF, XMP
_ITEM_TYPE = re.compile(rb"(infe.{8})(Exif|mime|uri )", re.DOTALL)


def without_metadata(kind: str, data: bytes) -> Iterator[bytes]:
    """What to try in place of a file that was refused: first with its sound EXIF and XMP, then without any metadata
    and transparency.

    Nothing comes of a kind that has none, or of a file that lost nothing.
    """
    strip = _STRIPPERS.get(kind)
    tried = {data}
    for keeps_orientation in (True, False):
        stripped = strip(data, keeps_orientation) if strip else data
        if stripped not in tried:
            tried.add(stripped)
            yield stripped


def _jpeg(data: bytes, keeps_orientation: bool) -> bytes:
    kept, end = [data[:2]], 0
    for code, begin, ends in jpeg.segments(data):
        end = ends
        if _is_kept(code, data[begin:ends].lstrip(b"\xff")[3:], keeps_orientation):
            kept.append(data[begin:ends])
    return b"".join(kept) + data[end:] if end else data


def _is_kept(code: int, body: bytes, keeps_orientation: bool) -> bool:
    """JFIF and Adobe's segment say how colours are coded, once they are whole."""
    if code == 0xE0:
        return body.startswith(b"JFIF\0") and len(body) >= 14
    if code == 0xEE:
        return body.startswith(b"Adobe") and len(body) >= 12
    if code == 0xE1:
        return keeps_orientation and body.startswith((_EXIF, _XMP))
    return not (0xE0 <= code <= 0xEF or code == 0xFE)


def _png(data: bytes, keeps_orientation: bool) -> bytes:
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 12 + size
        if name in _PNG_PIXELS or _is_sound_chunk(data[at + 4 : end], keeps_orientation):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _is_sound_chunk(chunk: bytes, keeps_orientation: bool) -> bool:
    """Of a chunk that is no pixels' (its name, body and checksum): whether it is worth keeping, and whole."""
    name, body, crc = chunk[:4], chunk[4:-4], chunk[-4:]
    is_xmp = name == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0\0")
    wanted = keeps_orientation and len(body) <= MOST_METADATA and (name in (b"tRNS", b"eXIf") or is_xmp)
    return wanted and zlib.crc32(name + body).to_bytes(4, "big") == crc


def _webp(data: bytes, keeps_orientation: bool) -> bytes:
    kept, at, flags = [], 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if end > len(data) and name not in _WEBP_PIXELS and (found := _WEBP_CHUNK.search(data, at + 8)):
            at = found.start()  # its size is wrong, and pixels lie behind it
            continue
        chunk = data[at:end]
        if name in _WEBP_PIXELS or (name == b"EXIF" and keeps_orientation and len(chunk) == end - at):
            kept.append(chunk)
            flags |= 0x08 * (name == b"EXIF")
        at = end
    if kept and kept[0].startswith(b"VP8X") and len(kept[0]) > 8:
        changed = kept[0][8] & ~_WEBP_METADATA_FLAGS | flags
        kept[0] = kept[0][:8] + bytes((changed,)) + kept[0][9:]
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _gif(data: bytes, keeps_orientation: bool) -> bytes:
    """Of extensions before the first frame only whole graphic controls stay; all behind it is no matter."""
    if len(data) < 13:
        return data
    at = 13 + (3 << (data[10] & 7) + 1) * (data[10] >> 7)
    kept = [data[:at]]
    while data[at : at + 1] == b"!":
        end = at + 2
        while end < len(data) and data[end]:
            end += 1 + data[end]
        end += 1
        if data[at + 1 : at + 3] == b"\xf9\x04" and end == at + 8:
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def _items(data: bytes, keeps_orientation: bool) -> bytes:
    """AVIF and HEIC turn by properties of the image itself; other items become ones that nobody knows."""
    head, sep, rest = data.partition(b"mdat")
    return _ITEM_TYPE.sub(rb"\1free", head) + sep + rest


_STRIPPERS: dict[str, Callable[[bytes, bool], bytes]] = {
    JPEG: _jpeg,
    PNG: _png,
    WEBP: _webp,
    GIF: _gif,
    AVIF: _items,
    HEIC: _items,
    TIFF: tiff_without_metadata,
}

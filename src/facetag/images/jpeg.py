"""JPEG as bytes: where its coded data stop being sound, and what kinds of it nobody decodes here.

A decoder stops at the first marker that may not stand in coded data, and often refuses all that came before. So such a
file is cut there and ended properly: a baseline image then lacks its lower part, a progressive one its finest details.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

END = b"\xff\xd9"
#: Scans that are decoded: each passes over the whole image, and a small file can hold thousands. Encoders write ten.
MOST_SCANS = 100

TRUNCATED = "truncated JPEG, decoded as far as it goes"
DAMAGED = "damaged JPEG, decoded up to the damage"
ODD = "JPEG with damaged coded data"
MANY_SCANS = f"JPEG of more than {MOST_SCANS} scans, decoded as far as these go"

_EOI, _SOS, _DHT, _DQT, _DNL, _DRI, _COM = 0xD9, 0xDA, 0xC4, 0xDB, 0xDC, 0xDD, 0xFE
_TABLES = (_DHT, _DQT, _DRI, _COM, 0xCC)
_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7))
_DECODED_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
_ARITHMETIC_FRAMES = {0xC9, 0xCA}
_SCAN = re.compile(rb"\xff\xda")
_RESTART, _RESTARTS = re.compile(rb"\xff([\xd0-\xd7])"), bytes(range(0xD0, 0xD8))
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)  # neither stuffing nor a restart
_TABLE_CLASSES, _TABLE_NUMBERS, _CODE_SPACE = 2, 4, 1 << 16
_PIECE = 1 << 16
_SPARE = 16  #: bytes before the end of coded data that a decoder may leave: some encoders write a few too many
_FILLING = b"\xff\0" * 16  #: a decoder looks ahead by eight bytes


@dataclass(frozen=True)
class Coded:
    """What was seen of the coded data.

    Attributes:
        sound: bytes of the file before the first fault, all where there is none.
        warning: what is amiss there; empty when nothing is.
        boundaries: where tables and scans between the first and the fault begin, ascending: safe places to cut.
        end: of the coded data, where `Feed` can tell by it; else 0.
    """

    sound: int
    warning: str = ""
    boundaries: tuple[int, ...] = ()
    end: int = 0


def inspect(data: bytes, start: int, layers: int, is_progressive: bool) -> Coded:
    """Look through coded data for what may not stand in them, and for their end.

    Args:
        start: of the coded data of the first scan, behind its header.
        layers: components of the frame.
    """
    one_scan = not is_progressive and data[start - 4 - 2 * layers] == layers
    boundaries: list[int] = []
    at, scans = start, 1
    while found := _MARKER.search(data, at):
        code, begins = found[1][0], found.start()
        if code == _EOI and one_scan:
            warning = "" if _are_in_order(_RESTART.findall(data, start, begins)) else ODD
            return Coded(len(data), warning, end=0 if is_arithmetic(data) else begins)
        if code == _EOI:
            return Coded(len(data), "", tuple(boundaries))
        length = _length_of_segment(data, found.end(), code, layers, is_progressive)
        if length == 0 or (one_scan and code != _DNL):
            ends_early = code in (_SOS, *_TABLES) and found.end() + max(_length(data, found.end()), 2) > len(data)
            fault = Coded(begins, TRUNCATED if ends_early else DAMAGED, tuple(boundaries))
            return fault if one_scan else _bounded(fault, data, scans)
        scans += code == _SOS
        if scans > MOST_SCANS:
            return Coded(begins, MANY_SCANS, tuple(boundaries))
        boundaries.append(begins)
        at = found.end() + length
    return Coded(len(data), TRUNCATED, tuple(boundaries))


def _bounded(fault: Coded, data: bytes, scans: int) -> Coded:
    """The fault, or the scan that is one too many: a decoder may pass over the one and read all of the others."""
    if found := next(islice(_SCAN.finditer(data, fault.sound), MOST_SCANS - scans, None), None):
        return replace(fault, sound=found.start(), warning=MANY_SCANS)
    return fault


def _are_in_order(restarts: list[bytes]) -> bool:
    """Whether restarts are numbered from 0 to 7, again and again."""
    return b"".join(restarts) == (_RESTARTS * (len(restarts) // 8 + 1))[: len(restarts)]


class Feed:
    """Hands the file to a decoder in pieces, and so sees whether it ends where the coded data do.

    Damage that may stand in coded data is taken for other blocks, and hardly ever for as many. libjpeg notices and
    goes on, and Pillow does not say so.

    Attributes:
        is_sound: whether it did, once the picture is decoded.
    """

    def __init__(self, data: bytes, end: int) -> None:
        """`end` as in Coded."""
        self.is_sound = False
        self._pieces = self._cut(data, end)

    def read(self, size: int) -> bytes:
        """The next piece, of any size; as Pillow's `load_read`."""
        return next(self._pieces, b"")

    def _cut(self, data: bytes, end: int) -> Iterator[bytes]:
        last = max(end - _SPARE, 0)
        for at in range(0, last, _PIECE):
            yield data[at : min(at + _PIECE, last)]
        self.is_sound = True
        yield data[last:end] + _FILLING
        self.is_sound = False
        yield data[end:]


def _length(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _length_of_segment(data: bytes, at: int, code: int, layers: int, is_progressive: bool) -> int:
    """Bytes of a segment that may stand between scans; 0 for one that may not, or is no whole one."""
    length = _length(data, at)
    body = data[at + 2 : at + length]
    if length < 2 or len(body) != length - 2:
        return 0
    if code == _SOS:
        return length if _is_scan(body, layers, is_progressive) else 0
    if code == _DHT:
        return length if _are_huffman_tables(body) else 0
    if code == _DQT:
        return length if len(body) % 65 == 0 or len(body) % 129 == 0 else 0
    return length if code in _TABLES or (code == _DNL and len(body) == 2) else 0


def _is_scan(body: bytes, layers: int, is_progressive: bool) -> bool:
    count = body[0] if body else 0
    if not 1 <= count <= layers or len(body) != 4 + 2 * count:
        return False
    first, last, bits = body[-3:]
    if not is_progressive:
        return True
    spectral = last == 0 if first == 0 else first <= last <= 63 and count == 1
    high, low = bits >> 4, bits & 15
    return spectral and low <= 13 and (high == 0 or high == low + 1)


def _are_huffman_tables(body: bytes) -> bool:
    while body:
        kind, counts = body[0], body[1:17]
        total = 17 + sum(counts)
        space = sum(count << (15 - row) for row, count in enumerate(counts))
        known = kind >> 4 < _TABLE_CLASSES and kind & 15 < _TABLE_NUMBERS
        if len(counts) < 16 or len(body) < total or space > _CODE_SPACE or not known:
            return False
        body = body[total:]
    return True


def sound_parts(data: bytes, coded: Coded) -> Iterator[tuple[bytes, str]]:
    """What to try in place of a file that was refused, the most first, with what is amiss with each."""
    warning = coded.warning or TRUNCATED
    yield data[: coded.sound] + END, warning
    for cut in reversed(coded.boundaries[-4:]):
        yield data[:cut] + END, warning


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, begin, end) of each segment before the coded data, the scan's header last; as far as they are whole."""
    at = 2
    while found := _MARKER.search(data, at):
        end = found.end() + _length(data, found.end())
        code = found[1][0]
        if end < found.end() + 2 or end > len(data) or code == _EOI:
            return
        yield code, found.start(), end
        if code == _SOS:
            return
        at = end


def is_arithmetic(data: bytes) -> bool:
    """Whether it is coded so: libjpeg wants the whole of such a file at once."""
    return any(code in _ARITHMETIC_FRAMES for code, _, _ in segments(data))


def unsupported(data: bytes) -> str:
    """What kind of JPEG it is that is not decoded here; "" for one that is."""
    for code, begin, _ in segments(data):
        if code not in _FRAMES:
            continue
        body = data[data.index(bytes((0xFF, code)), begin) + 4 :]
        bits, components = (body[0], body[5]) if len(body) > 5 else (8, 3)
        if code in (0xC3, 0xC7, 0xCB, 0xCF):
            return "lossless JPEG"
        if code == 0xF7:
            return "JPEG-LS"
        if code not in _DECODED_FRAMES:
            return "hierarchical JPEG"
        if bits != 8:
            return f"JPEG of {bits} bits"
        return "" if components in (1, 3, 4) else f"JPEG of {components} components"
    return ""

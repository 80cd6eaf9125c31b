"""A folder of a thousand files such as an archive of decades holds them, and what is to become of each.

`make` writes them; FAMILIES says what there is. Whole photographs have contrast, in which tests/models.py finds faces.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facetag.images.orient import INVERSE, upright
from facetag.results import Status
from models import GREY

OK, NO_FACE, UNREADABLE, UNSUPPORTED, TOO_LARGE = (
    Status.OK, Status.NO_FACE, Status.UNREADABLE, Status.UNSUPPORTED, Status.TOO_LARGE,
)  # fmt: skip

File = tuple[bytes, bytes, Status]  #: name, content, what is to become of it

SEEDS = 4
SUFFIXES = (b"jpg", b"JPEG", b"png", b"webp", b"bmp", b"tif", b"gif", b"avif", b"jfif", b"heic")
MAGIC = {
    b"jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
    b"png": b"\x89PNG\r\n\x1a\n",
    b"gif": b"GIF89a\x40\0\x30\0\0\0\0",
    b"tif": b"II*\0\x08\0\0\0",
    b"webp": b"RIFF\x99\0\0\0WEBPVP8 ",
    b"bmp": b"BM" + struct.pack("<IIII", 99, 0, 54, 40),
    b"avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
}


def photograph(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    coarse = np.random.default_rng(seed % SEEDS).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned() -> Iterator[File]:
    """Every EXIF orientation in every kind that carries one; all of one kind show the same upright picture."""
    for turn, (kind, options) in product(range(1, 9), LOSSLESS.items()):
        exif = Image.Exif()
        exif[274] = turn
        stored = Image.fromarray(upright(np.asarray(photograph(0)), INVERSE[turn]))
        yield f"{turn}.{kind}".encode(), encoded(stored, kind, exif=exif, **options), OK


LOSSLESS: dict[str, dict[str, object]] = {
    "PNG": {}, "TIFF": {}, "WebP": {"lossless": True}, "JPEG": {"quality": 90}, "AVIF": {"speed": 10},
}  # fmt: skip


def frames(seed: int) -> dict[str, object]:
    """New ones each time: Pillow leaves a format's traces in the pictures that it appends."""
    return {"save_all": True, "append_images": [photograph(seed + 1), photograph(seed + 2)]}


def modes() -> Iterator[File]:
    """Every kind of pixels and of file that is converted, not refused."""
    for seed in range(SEEDS):
        image = photograph(seed)
        grey = image.convert("L")
        deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        alpha = Image.new("L", image.size, 200)
        for name, picture, kind, options in (
            ("cmyk.jpg", image.convert("CMYK"), "JPEG", {}),
            ("grey.jpg", grey, "JPEG", {}),
            ("progressive.jpg", image, "JPEG", {"progressive": True}),
            ("several.mpo", image, "MPO", frames(seed)),
            ("16-bit.png", deep, "PNG", {}),
            ("16-bit.tif", deep, "TIFF", {}),
            ("float.tif", grey.convert("F"), "TIFF", {}),
            ("grey-alpha.png", Image.merge("LA", (grey, alpha)), "PNG", {}),
            ("alpha.png", Image.merge("RGBA", (*image.split(), alpha)), "PNG", {}),
            ("palette.png", image.quantize(16), "PNG", {}),
            ("palette-clear.png", image.quantize(16), "PNG", {"transparency": 3}),
            ("palette.bmp", image.quantize(16), "BMP", {}),
            ("bits.png", image.convert("1"), "PNG", {}),
            ("bits.tif", image.convert("1"), "TIFF", {"compression": "group4"}),
            ("lzw.tif", image, "TIFF", {"compression": "tiff_lzw"}),
            ("pages.tif", image, "TIFF", frames(seed)),
            ("still.gif", image, "GIF", {}),
            ("moving.gif", image, "GIF", frames(seed)),
            ("moving.webp", image, "WEBP", frames(seed)),
            ("moving.png", image, "PNG", frames(seed)),
            ("still.avif", image, "AVIF", {"speed": 10}),
            ("moving.avif", image, "AVIF", {"speed": 10, **frames(seed)}),
        ):
            yield f"{seed}-{name}".encode(), encoded(picture, kind, **options), OK


def bare() -> Iterator[File]:
    """Photographs of nothing at all."""
    for number, kind in product(range(8), ("PNG", "BMP", "TIFF")):
        nothing = Image.new("RGB", (32 + number, 32), (GREY,) * 3)
        yield f"{number}.{kind}".encode(), encoded(nothing, kind), NO_FACE


def cut() -> Iterator[File]:
    """Files that end early: JPEGs are used as far as they go, all others and mere beginnings are refused."""
    for seed, part, progressive in product(range(SEEDS), (60, 70, 80, 90, 99), (False, True)):
        whole = encoded(photograph(seed, 96, 72), "JPEG", progressive=progressive)
        yield f"{seed}-{part}-{progressive:d}.jpg".encode(), whole[: len(whole) * part // 100], OK
    for kind, share in product(("PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF", "JPEG"), range(10)):
        whole = encoded(photograph(share), kind)
        most = 30 if kind == "JPEG" else len(whole) // 2
        yield f"{share}.{kind}".encode(), whole[: 12 + (most - 12) * share // 10], UNREADABLE


def empty() -> Iterator[File]:
    for number, suffix in product(range(14), SUFFIXES):
        yield b"%d.%s" % (number, suffix), b"", UNREADABLE


def garbage() -> Iterator[File]:
    """Bytes of no meaning, bare and behind the first bytes of each kind."""
    rng = np.random.default_rng(1)
    for number, suffix in product(range(15), SUFFIXES):
        yield b"%d.%s" % (number, suffix), b"\0" + rng.bytes(int(rng.integers(1, 3000))), UNREADABLE
    for number, (suffix, magic) in product(range(15), MAGIC.items()):
        noise = rng.bytes(int(rng.integers(20, 3000))).replace(b",", b".")  # a comma begins a frame of a GIF
        yield b"magic-%d.%s" % (number, suffix), magic + noise, UNREADABLE


def enormous() -> Iterator[File]:
    """Little files that ask for 900 million pixels."""
    side = 30_000
    chunk = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = MAGIC[b"png"] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png += struct.pack(">I", 4) + b"IDAT" + bytes(8)
    bmp = b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, side, side, 1, 24, *[0] * 6)
    gif = b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", side, side) + b"\3\1\x11\0\2\x11\0\3\x11\0"
    jpeg = MAGIC[b"jpg"] + frame + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0"
    lossless = b"\x2f" + struct.pack("<I", (1 << 14) - 1 | ((1 << 14) - 1) << 14) + bytes(20)  # WebP's largest
    webp = b"RIFF" + struct.pack("<I", 12 + len(lossless)) + b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless
    tiff = encoded(photograph(0), "TIFF").replace(struct.pack("<I", 64), struct.pack("<I", side), 1)
    tiff = tiff.replace(struct.pack("<I", 48), struct.pack("<I", side), 1)
    files = {b"png": png, b"bmp": bmp, b"gif": gif + b"\x08", b"jpg": jpeg, b"webp": webp, b"tif": tiff}
    for number, (suffix, content) in product(range(5), files.items()):
        yield b"%d.%s" % (number, suffix), content, TOO_LARGE


def spoilt() -> Iterator[File]:
    """Sound pixels beside bad metadata, and JPEGs with damage in the middle: used, with a warning."""
    for seed in range(SEEDS):
        png, jpeg = (encoded(photograph(seed), kind) for kind in ("PNG", "JPEG"))
        for name, body in ((b"gAMA", b"\0"), (b"iCCP", b"p\0\0" + zlib.compress(bytes(2_000_000)))):
            chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            yield b"%d-%s.png" % (seed, name), png[:33] + chunk + png[33:], OK
        yield b"%d-crc.png" % seed, png[:33] + b"\0\0\0\1tEXta\0\0\0\0" + png[33:], OK
        for marker, body in ((b"\xe2", b"ICC_PROFILE\0"), (b"\xe0", b"JFIF"), (b"\xee", b"Adobe")):
            segment = b"\xff" + marker + struct.pack(">H", len(body) + 2) + body
            yield b"%d-%s.jpg" % (seed, body[:4]), jpeg[:2] + segment + jpeg[2:], OK
        for progressive in (False, True):
            large = bytearray(encoded(photograph(seed, 640, 480), "JPEG", quality=95, progressive=progressive))
            at = len(large) * 7 // 10
            large[at : at + 400] = np.random.default_rng(seed).bytes(400)
            yield b"%d-middle-%d.jpg" % (seed, progressive), bytes(large), OK


def unread() -> Iterator[File]:
    """Whole files of kinds that their kind's reader does not take."""
    jpeg = encoded(photograph(0), "JPEG")
    at = jpeg.index(b"\xff\xc0")
    yield b"12-bit.jpg", jpeg[: at + 4] + b"\x0c" + jpeg[at + 5 :], UNSUPPORTED
    yield b"lossless.jpg", jpeg[: at + 1] + b"\xc3" + jpeg[at + 2 :], UNSUPPORTED
    yield b"bigtiff.tif", b"MM\0+\0\x08\0\0" + bytes(60), UNSUPPORTED
    tiff = encoded(photograph(0), "TIFF")
    at = tiff.index(struct.pack("<HHI", 259, 3, 1)) + 8
    yield b"webp.tif", tiff[:at] + struct.pack("<H", 50001) + tiff[at + 2 :], UNSUPPORTED
    bmp = encoded(photograph(0), "BMP")
    yield b"2-bit.bmp", bmp[:28] + b"\2" + bmp[29:], UNSUPPORTED


def foreign() -> Iterator[File]:
    """Images of kinds that are not decoded; they say so, whatever they are called."""
    starts = (b"8BPS\0\1", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cjP  \r\n\x87\n", b"v/1\x01",
              b"II*\0\x10\0\0\0CR\2\0", b"FUJIFILMCCD-RAW ", b"IIU\0", b"\0\0\0\x18ftypcrx ")  # fmt: skip
    for number, start in product(range(8), starts):
        yield b"%d-%d.jpg" % (number, starts.index(start)), start + bytes(90), UNSUPPORTED
        yield b"%d-%d" % (number, starts.index(start)), start + bytes(90), UNSUPPORTED
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90)
    yield b"phone.heic", heic, UNREADABLE if find_spec("pillow_heif") else UNSUPPORTED


def misnamed() -> Iterator[File]:
    """Names that lie: text called a picture is refused, a picture called anything is tagged."""
    for number, suffix in product(range(8), SUFFIXES):
        text = (b"hello\n", b"<html><body>404</body></html>", b'{"a": 1}', b"%PDF-1.7\n")[number % 4]
        yield b"text-%d.%s" % (number, suffix), text, UNREADABLE
    for suffix in (*SUFFIXES, b"txt", b"mp4", b"pdf", b"xmp", b"jpg~", b"0", b""):
        yield b"jpeg." + suffix, encoded(photograph(1), "JPEG"), OK
        yield b"bitmap." + suffix, encoded(photograph(2), "BMP"), OK


def names() -> Iterator[File]:
    """Every legal file name."""
    picture = encoded(photograph(3), "PNG")
    for name in (
        b"new\nline", b"\nfirst", b"return\r", b"tab\t", b"bell\x07", b"escape\x1b[31m", b"\x7f", b"\xff\xfe",
        b"caf\xe9", b"\xc3", b"\xed\xa0\x80", "日本語".encode(), "👩‍👩‍👧‍👦".encode(), "\N{GRINNING FACE}".encode(),
        "e\u0301".encode(), "\u202egnp".encode(), "\u2028".encode(), "\x85".encode(), "\ufeffmark".encode(),
        "Ａ".encode(), b" ", b"  two ", b"-rf", b"--out=x", b"=1+1", b"@x", b'"', b"'", b",", b";", b'a,b"c', b"`id`",
        b"$(id)", b"%s%n", b"{}", b"*", b"[a]", b"?", b"|", b"<b>", b"&amp;", b"#", b"~", b"\\", rb"\x0a", rb"\\xff",
        b"C:\\a", b"nul", b"a...", b"None", b"n" * 246, "ñ".encode() * 123, "🙂".encode() * 61,
    ):  # fmt: skip
        yield name + b".png", picture, OK


FAMILIES: dict[bytes, Callable[[], Iterator[File]]] = {
    b"turned": turned, b"modes": modes, b"bare": bare, b"cut": cut, b"empty": empty, b"garbage": garbage,
    b"enormous": enormous, b"spoilt": spoilt, b"unread": unread, b"foreign": foreign, b"misnamed": misnamed,
    b"names \xff\n\xf0\x9f\x98\x80": names,
}  # fmt: skip


@dataclass
class Hostile:
    """What lies in a folder.

    Attributes:
        inputs: path below the folder (os.fsdecode) -> what is to become of it, in the order of discovery.
        beside: how many other files lie there that are no inputs.
    """

    folder: Path
    inputs: dict[str, Status] = field(default_factory=dict)
    next_to: int = 0

    def add(self, path: bytes, status: Status) -> Path:
        name = os.fsdecode(path)
        assert name not in self.inputs
        inputs = {**self.inputs, name: status}
        self.inputs = {key: inputs[key] for key in sorted(inputs, key=lambda key: os.fsencode(key).split(b"/"))}
        return self.folder / name


def make(folder: Path) -> Hostile:
    """Write the thousand, links, a FIFO and files that are no images among them."""
    made = Hostile(folder)
    for family, files in FAMILIES.items():
        (folder / os.fsdecode(family)).mkdir(parents=True)
        for name, content, status in files():
            made.add(family + b"/" + name, status).write_bytes(content)
    _links(made)
    _next_to(made)
    return made


def _links(made: Hostile) -> None:
    links = made.folder / "links"
    links.mkdir()
    made.add(b"links/dangling.jpg", UNREADABLE).symlink_to("nowhere")
    made.add(b"links/itself.jpg", UNREADABLE).symlink_to("itself.jpg")
    made.add(b"links/to-a-file.jpg", OK).symlink_to("../misnamed/jpeg.txt")
    (links / "loop").symlink_to("..")
    (links / "loop.jpg").symlink_to(".")
    (links / "fifo.jpg").symlink_to("../fifo.jpg")
    os.mkfifo(made.folder / "fifo.jpg")
    (made.folder / "folder.jpg").mkdir()


def _next_to(made: Hostile) -> None:
    """Sidecars, lists and tables, by several names, also in the folders of photographs."""
    texts = {
        "0.jpg.xmp": "<x:xmpmeta/>", "list.txt": "a.jpg\n", "boxes.csv": "file,x,y,width,height\n", "a.json": "{}",
        "Thumbs.db": "\0", "movie.mp4": "\0\0\0\x18ftypmp42", "README": "photos", "archive.zip": "PK\3\4",
    }  # fmt: skip
    for folder, (name, text) in product((made.folder, made.folder / "modes", made.folder / "empty"), texts.items()):
        (folder / name).write_text(text)
        made.next_to += 1

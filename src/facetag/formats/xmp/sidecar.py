"""The sidecar of an image: where it lies, and how it is replaced whole or not at all."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal

from facetag.errors import FacetagError, SidecarError, writing
from facetag.formats.destination import sync
from facetag.formats.keywords import keywords_of
from facetag.formats.xmp.keywords import set_keywords
from facetag.formats.xmp.packet import MAX_BYTES, Packet
from facetag.formats.xmp.regions import remove_regions, set_regions
from facetag.images.header import stored_orientation
from facetag.remote.url import as_url
from facetag.results import ImageResult

ENDING = ".xmp"
Naming = Literal["xmp", "xmp-stem"]  #: IMG.jpg.xmp, or IMG.xmp where no other file is called IMG

_CREATED = "facetag:created"  #: of a file that facetag made, and that may go again when nothing is left in it


def tag_sidecar(path: str, record: ImageResult, orientation: int) -> bool:
    """Put an image's keywords and face regions into its sidecar, which is made where there is none.

    What others wrote stays, what facetag wrote earlier is replaced. An image without faces loses what is ours.

    Args:
        path: of the sidecar.
        orientation: of the image's EXIF.

    Returns:
        False when the regions had to be left out, because those of others are of an image of another shape.

    Raises:
        SidecarError: the sidecar that is there cannot be used; it stays as it is.
        FacetagError: it cannot be written.
    """
    data = _read(path)
    if data is None and not record.faces:
        return True
    packet = Packet(data)
    set_keywords(packet, keywords_of(record))
    fits = set_regions(packet, record, orientation)
    if data is None:
        packet.set_text(_CREATED, "True")
    _put(path, packet, data)
    return fits


def untag_sidecar(path: str, dry_run: bool = False) -> bool:
    """Take all that is facetag's out of a sidecar; one that facetag made and nobody else wrote to goes.

    Args:
        dry_run: only say whether there is anything.

    Returns:
        Whether something was ours.

    Raises:
        SidecarError: the sidecar cannot be used.
        FacetagError: it cannot be written.
    """
    data = _read(path)
    if data is None:
        return False
    packet = Packet(data)
    before = packet.canonical()
    set_keywords(packet, ())
    remove_regions(packet)
    created = packet.text(_CREATED)
    packet.remove(_CREATED)
    if packet.canonical() == before or dry_run:
        return packet.canonical() != before
    if created and packet.is_empty():
        with writing(path):
            os.unlink(path)
    else:
        _put(path, packet, data)
    return True


class SidecarNames:
    """Names the sidecars of images.

    With `xmp-stem` an image whose name differs from another file's in its extension alone keeps the long name, so that
    no two images share one sidecar.
    """

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._folder = ""
        self._stems: Counter[str] = Counter()

    def __call__(self, image: str) -> str:
        """The path of an image's sidecar."""
        folder, file = os.path.split(image)
        stem, extension = os.path.splitext(file)
        if self._naming == "xmp" or not extension:
            return image + ENDING
        if self._stems_of(folder)[stem.lower()] > 1:
            return image + ENDING
        return os.path.join(folder, stem + ENDING)

    def _stems_of(self, folder: str) -> Counter[str]:
        """How many files of a folder are called alike; images come folder by folder, so one is remembered."""
        if folder != self._folder or not self._stems:
            files = (os.path.splitext(file) for file in os.listdir(folder or "."))
            self._stems = Counter(stem.lower() for stem, extension in files if extension.lower() != ENDING)
            self._folder = folder
        return self._stems


class Sidecars:
    """Tags the sidecar of each image that it is told of; what goes wrong is said of that image, and the run goes on.

    Attributes:
        written: sidecars that lie there and are as they should be; an image without faces needs none.
        refused: images whose sidecar could not be used or written.
    """

    noun = "sidecars"

    def __init__(self, naming: Naming, open_as: Callable[[str], str], warn: Callable[[str], None]) -> None:
        """`open_as` says where the image of a record's path lies."""
        self.written = self.refused = 0
        self._name = SidecarNames(naming)
        self._open_as = open_as
        self._warn = warn

    def __call__(self, record: ImageResult) -> None:
        """Tag one image's sidecar; that of an image that could not be read stays as it is."""
        if record.status.is_failure:
            return
        image = self._open_as(record.path)
        try:
            if as_url(image):
                raise SidecarError("it does not lie on this machine", "fetch it, or leave out --sidecar")
            path = self._name(image)
            if not tag_sidecar(path, record, stored_orientation(image) if record.faces else 1):
                self._warn(f"{path}: its regions are of an image of another shape, so that no face was added to them")
            self.written += os.path.lexists(path)
        except (FacetagError, OSError) as error:
            self.refused += 1
            reason = str(error) if isinstance(error, FacetagError) else error.strerror
            self._warn(f"no sidecar for {image}: {reason}")


def sidecars_of(path: str) -> Iterator[str]:
    """The sidecars that an image, or a folder and all below it, has; links are not followed."""
    if path.lower().endswith(ENDING):
        yield path
    elif os.path.isdir(path):
        for folder, folders, files in os.walk(path):
            folders.sort(key=os.fsencode)
            yield from (os.path.join(folder, file) for file in sorted(files, key=os.fsencode) if _is_named(file))
    else:
        both = dict.fromkeys((path + ENDING, os.path.splitext(path)[0] + ENDING))
        yield from (each for each in both if os.path.lexists(each))


def _is_named(file: str) -> bool:
    return file.lower().endswith(ENDING)


def _read(path: str) -> bytes | None:
    """A sidecar's bytes, None where there is none. Links and what is no file are not followed or opened."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise SidecarError("a link, folder or device has its name", "move it away")
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SidecarError(f"{path}: {error.strerror}", "check its permissions") from error


def _put(path: str, packet: Packet, before: bytes | None) -> None:
    """Write a sidecar when it changed: under another name, synced and renamed, with the mode of the one before."""
    data = packet.to_bytes(ours=bool(packet.text(_CREATED)))
    if before is not None and packet.canonical() == Packet(before).canonical():
        return
    folder, file = os.path.split(path)
    # always the same for one sidecar, so that what a killed run left goes with the next
    temporary = os.path.join(folder, f".facetag.{hashlib.sha256(os.fsencode(file)).hexdigest()[:16]}.tmp")
    with writing(path):
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        mode = 0o666 if before is None else stat.S_IMODE(os.lstat(path).st_mode)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        try:
            with open(os.open(temporary, flags, mode), "wb") as stream:
                stream.write(data)
                if before is not None:
                    os.fchmod(stream.fileno(), mode)
                    _give_to_owner(stream.fileno(), path)
                stream.flush()
                sync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _give_to_owner(descriptor: int, path: str) -> None:
    """A sidecar that root re-tags stays its owner's."""
    owner = os.lstat(path)
    if (owner.st_uid, owner.st_gid) != (os.getuid(), os.getgid()):
        with suppress(OSError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

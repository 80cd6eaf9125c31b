"""Face regions of the Metadata Working Group: fractions of the image as its file stores it, before EXIF turns it.

A region of ours carries a digest of itself in its extensions. One that somebody has named, moved or described since is
theirs: it stays, and a face that it covers gets no second one.
"""

import hashlib
from collections.abc import Sequence

from facetag.formats.keywords import keyword
from facetag.formats.xmp.packet import Element, Packet, array_of, child, drop, entries, field, name, structure
from facetag.geometry import Box
from facetag.images.orient import is_turned, stored_box
from facetag.results import ImageResult

REGIONS, LIST, DIMENSIONS = "mwg-rs:Regions", "mwg-rs:RegionList", "mwg-rs:AppliedToDimensions"
SAME = 0.5  #: intersection over union from which two regions are of one face
_SHAPE = 0.01  #: how far two ratios of width to height may be apart
_EXTENSIONS, _MARK = "mwg-rs:Extensions", "facetag:digest"


def set_regions(packet: Packet, record: ImageResult, orientation: int) -> bool:
    """Replace our regions by those of an image's faces; without faces all that are ours go.

    Args:
        orientation: of EXIF, that turns the stored image upright.

    Returns:
        False when the regions of others are of an image of another shape, so that ours would not fit among them.

    Raises:
        SidecarError: the regions that are there are no list.
    """
    theirs = remove_regions(packet)
    size = (record.height, record.width) if is_turned(orientation) else (record.width, record.height)
    known = [box for each in theirs if field(each, "mwg-rs:Type") == "Face" and (box := _area(each))]
    boxes = ((_fractions(face.box, record, orientation), face.tags) for face in record.faces)
    new = [(box, tags) for box, tags in boxes if box and all(box.iou(other) < SAME for other in known)]
    if not new:
        return True
    if theirs and not _fits(packet.property(REGIONS), size):
        return False
    array = _array(packet, size, bool(theirs))
    for box, tags in new:
        _add(array, box, [keyword(tag) for tag in tags])
    return True


def remove_regions(packet: Packet) -> list[Element]:
    """Take our regions away, and the property when it held nothing else.

    Returns:
        The regions of others.

    Raises:
        SidecarError: the regions that are there are no list.
    """
    regions = packet.property(REGIONS)
    listed = None if regions is None else structure(regions).find(name(LIST))
    if listed is None:
        return []
    array = array_of(listed, LIST)
    for item in entries(array):
        if _is_ours(item):
            drop(item)
    if not len(array) and all(each.tag in (name(LIST), name(DIMENSIONS)) for each in structure(regions)):
        packet.remove(REGIONS)
    return entries(array)


def _is_ours(item: Element) -> bool:
    extensions = structure(item).find(name(_EXTENSIONS))
    return extensions is not None and field(extensions, _MARK) == _digest(item)


def _digest(item: Element) -> str:
    """Of all that a region says, however it is written down; its extensions left out."""
    said = sorted(_said(structure(item), ""))
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _said(holder: Element, path: str) -> list[str]:
    said = [f"{path}{key}={value}" for key, value in holder.attrib.items() if key != name("rdf:parseType")]
    for below in holder:
        if below.tag == name(_EXTENSIONS) or not isinstance(below.tag, str):
            continue
        inner = structure(below)
        if len(inner) or inner.attrib:
            said += _said(inner, f"{path}{below.tag}/")
        else:
            said.append(f"{path}{below.tag}={below.text or ''}")
    return said


def _fits(regions: Element, size: tuple[int, int]) -> bool:
    """Whether regions that are there speak of an image of this shape; those that do not say are believed."""
    dimensions = structure(regions).find(name(DIMENSIONS))
    if dimensions is None:
        return True
    try:
        width, height = (float(field(dimensions, f"stDim:{side}")) for side in "wh")
        return abs(width / height * size[1] / size[0] - 1) < _SHAPE
    except (ValueError, ZeroDivisionError, OverflowError):
        return False


def _array(packet: Packet, size: tuple[int, int], others: bool) -> Element:
    """The list to put regions into; where there are no others it is of an image of this size."""
    regions = packet.property(REGIONS)
    if regions is not None and others:
        return array_of(structure(regions).find(name(LIST)), LIST)
    packet.remove(REGIONS)
    made = child(packet.add(REGIONS), "rdf:Description")
    width, height = map(str, size)
    child(made, DIMENSIONS, stDim__w=width, stDim__h=height, stDim__unit="pixel")
    return child(child(made, LIST), "rdf:Bag")


def _add(array: Element, box: Box, tags: Sequence[str]) -> None:
    """One region; nested rdf:Description is the one form that every reader knows."""
    item = child(array, "rdf:li")
    region = child(item, "rdf:Description")
    region.set(name("mwg-rs:Type"), "Face")
    if tags:
        region.set(name("mwg-rs:Description"), ", ".join(tags))
    x, y, width, height = (f"{side:.6f}" for side in (*box.center, box.width, box.height))
    child(region, "mwg-rs:Area", stArea__x=x, stArea__y=y, stArea__w=width, stArea__h=height, stArea__unit="normalized")
    extensions = child(child(region, _EXTENSIONS), "rdf:Description")
    extensions.set(name(_MARK), _digest(item))


def _area(item: Element) -> Box | None:
    """A region as fractions; None for points, circles and what is no region."""
    area = structure(item).find(name("mwg-rs:Area"))
    try:
        if area is None or field(area, "stArea:unit") not in ("normalized", ""):
            return None
        x, y, width, height = (float(field(area, f"stArea:{side}")) for side in "xywh")
    except ValueError:
        return None
    return Box.around(x, y, width, height)


def _fractions(box: Box, record: ImageResult, orientation: int) -> Box | None:
    """The part of a box inside the stored image, as fractions of it; None where nothing is."""
    inside = box.clipped(record.width, record.height)
    if not inside.area:
        return None
    return stored_box(inside.scaled(1 / record.width, 1 / record.height), 1, 1, orientation)

"""An XMP packet: read without trusting it, changed in place, written back with everything that is not ours."""

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from facetag.errors import SidecarError

MAX_BYTES = 8 << 20  #: of a sidecar; real ones have some kilobytes, those with a long editing history a megabyte

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OWN = "http://ns.facetag.invalid/1.0/"  #: the properties that say which entries are facetag's
PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": RDF,
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "facetag": OWN,
}

_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="{PREFIXES["x"]}" x:xmptk="facetag">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
#: byte order mark -> encoding, the longer marks first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_DECLARATION = re.compile(r"^\s*<\?xml\s[^>]*\?>")
_ARRAYS = ("Bag", "Seq", "Alt")

#: An element of lxml, which has no types.
Element = Any

for _prefix, _uri in PREFIXES.items():
    etree.register_namespace(_prefix, _uri)  # else lxml calls those of attributes ns0, ns1 ...


def name(prefixed: str) -> str:
    """The XML name of `dc:subject` and its like, as lxml spells it.

    >>> name("dc:subject")
    '{http://purl.org/dc/elements/1.1/}subject'
    """
    prefix, _, local = prefixed.partition(":")
    return f"{{{PREFIXES[prefix]}}}{local}"


class Packet:
    """The properties of one image, in the order of the file.

    A property is an element below some rdf:Description, or an attribute of one. What is not asked for by name is
    neither looked at nor changed.
    """

    def __init__(self, data: bytes | None = None) -> None:
        """Parse a packet; None begins an empty one.

        Raises:
            SidecarError: the bytes are no XMP, or hold what could harm a reader.
        """
        self._root = _parsed(_EMPTY if data is None else _text(data))
        self._rdf = self._root if self._root.tag == name("rdf:RDF") else self._root.find(name("rdf:RDF"))
        if self._rdf is None or self._root.tag not in (name("rdf:RDF"), name("x:xmpmeta"), name("x:xapmeta")):
            raise SidecarError("it is no XMP", "move it away")

    def to_bytes(self, ours: bool = False) -> bytes:
        """UTF-8; indented and with all prefixes in one place when the white space in it is `ours`."""
        if ours:
            etree.indent(self._root, " ")
        top = PREFIXES if ours else None
        etree.cleanup_namespaces(self._root, top_nsmap=top, keep_ns_prefixes=sorted(_prefixes(self._root)))
        data: bytes = etree.tostring(self._root.getroottree(), encoding="utf-8")
        return data

    def canonical(self) -> bytes:
        """The same for packets that say the same in the same order."""
        data: bytes = etree.tostring(self._root, method="c14n", exclusive=True)
        return data

    def is_empty(self) -> bool:
        """Whether no property is left."""
        return not any(
            len(description) or any(key != name("rdf:about") for key in description.attrib)
            for description in self._descriptions()
        )

    def property(self, prefixed: str) -> Element | None:
        """The element of a property; None where there is none."""
        found = (description.find(name(prefixed)) for description in self._descriptions())
        return next((element for element in found if element is not None), None)

    def text(self, prefixed: str) -> str:
        """A simple property; empty where there is none."""
        for description in self._descriptions():
            if prefixed_value := description.get(name(prefixed)):
                return str(prefixed_value)
        element = self.property(prefixed)
        return "" if element is None else element.text or ""

    def set_text(self, prefixed: str, text: str) -> None:
        """Set a simple property."""
        self.remove(prefixed)
        self._home().set(name(prefixed), text)

    def add(self, prefixed: str) -> Element:
        """A new element for a property that is not there."""
        return _child(self._home(), prefixed)

    def remove(self, prefixed: str) -> None:
        """Remove a property, wherever it stands."""
        for description in self._descriptions():
            description.attrib.pop(name(prefixed), None)
            for element in description.findall(name(prefixed)):
                drop(element)

    def items(self, prefixed: str) -> list[Element]:
        """The rdf:li elements of a list.

        Raises:
            SidecarError: the property is no list.
        """
        element = self.property(prefixed)
        if element is None:
            if self.text(prefixed):
                raise SidecarError(f"its {prefixed} is no list", "mend it with the program that wrote it")
            return []
        return entries(array_of(element, prefixed))

    def texts(self, prefixed: str) -> list[str]:
        """The texts of a list."""
        return [item.text or "" for item in self.items(prefixed)]

    def append(self, prefixed: str, texts: Sequence[str], kind: str = "Bag") -> None:
        """Put texts behind those of a list, which is made where there is none."""
        if not texts:
            return
        element = self.property(prefixed)
        array = _child(self.add(prefixed), f"rdf:{kind}") if element is None else array_of(element, prefixed)
        for text in texts:
            _child(array, "rdf:li").text = text

    def _descriptions(self) -> Iterator[Element]:
        return iter(self._rdf.findall(name("rdf:Description")))

    def _home(self) -> Element:
        """The description that takes what is new."""
        first = next(self._descriptions(), None)
        if first is not None:
            return first
        made = _child(self._rdf, "rdf:Description")
        made.set(name("rdf:about"), "")
        return made


def array_of(element: Element, prefixed: str) -> Element:
    """The rdf:Bag, Seq or Alt of a list property.

    Raises:
        SidecarError: it has none.
    """
    arrays = [child for child in element if child.tag in map(name, (f"rdf:{kind}" for kind in _ARRAYS))]
    if len(arrays) != 1:
        raise SidecarError(f"its {prefixed} is no list", "mend it with the program that wrote it")
    return arrays[0]


def entries(array: Element) -> list[Element]:
    """The rdf:li elements of an array; comments between them are none."""
    return list(array.iterchildren(name("rdf:li")))


def structure(element: Element) -> Element:
    """What holds the fields of a structure: an rdf:Description inside, or the element itself."""
    inner = element.find(name("rdf:Description"))
    return element if inner is None else inner


def field(element: Element, prefixed: str) -> str:
    """A simple field of a structure, as attribute or as element; empty where there is none."""
    holder = structure(element)
    value = holder.get(name(prefixed))
    if value is not None:
        return str(value)
    child = holder.find(name(prefixed))
    return "" if child is None else (child.text or "")


def drop(element: Element) -> None:
    """Remove an element and leave the white space around it."""
    parent, before = element.getparent(), element.getprevious()
    if element.tail and element.tail.strip():  # no XMP has text there, but it is not ours to lose
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
    parent.remove(element)


def child(parent: Element, prefixed: str, **attributes: str) -> Element:
    """A new element; attributes are called like `stArea__x`."""
    made = _child(parent, prefixed)
    for key, value in attributes.items():
        made.set(name(key.replace("__", ":").replace("_", "-")), value)
    return made


def _child(parent: Element, prefixed: str) -> Element:
    prefix = prefixed.partition(":")[0]
    return etree.SubElement(parent, name(prefixed), nsmap={prefix: PREFIXES[prefix]})


def _prefixes(root: Element) -> set[str]:
    """Those that the file declares: somebody may name one inside a text."""
    return {prefix for element in root.iter() if isinstance(element.tag, str) for prefix in element.nsmap if prefix}


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise SidecarError(f"it has more than {MAX_BYTES >> 20} MB", "move it away")
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SidecarError("it is no UTF-8", "move it away") from error


def _parsed(text: str) -> Element:
    """The root element. A document type is refused before any parser sees it: no XMP has one, and entities are made
    there."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SidecarError("it declares a document type or entities", "move it away")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(_DECLARATION.sub("", text).encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SidecarError("it is no XML", "move it away") from error

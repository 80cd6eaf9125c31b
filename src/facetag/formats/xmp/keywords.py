"""Keywords in the three lists that photo managers read, ours told apart from everybody else's.

What facetag adds to a list stands once more in a list of its own (`facetag:subject` beside `dc:subject`). A re-tag
takes those away and nothing else. A keyword that was there before facetag added it is not in that list, and stays.

digiKam and Immich read `digiKam:TagsList` alone where it exists, else `lr:hierarchicalSubject`, else flat keywords.
So a list that facetag begins holds the keywords of the lists that it would hide as well, marked as its own.
"""

from collections.abc import Sequence

from facetag.formats.keywords import ROOT
from facetag.formats.xmp.packet import Packet, drop

SUBJECT, LIGHTROOM, DIGIKAM = "dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList"
_OWN = {SUBJECT: "facetag:subject", LIGHTROOM: "facetag:hierarchicalSubject", DIGIKAM: "facetag:TagsList"}
_SEPARATORS = {LIGHTROOM: "|", DIGIKAM: "/"}
_KINDS = {SUBJECT: "Bag", LIGHTROOM: "Bag", DIGIKAM: "Seq"}


def set_keywords(packet: Packet, keywords: Sequence[str]) -> None:
    """Replace our keywords by these; none takes away all that is ours.

    Raises:
        SidecarError: one of the lists is no list.
    """
    own = {listed: packet.texts(_OWN[listed]) for listed in _OWN}
    for listed in _OWN:
        _remove(packet, listed, own[listed])
    flat, light = packet.texts(SUBJECT), packet.texts(LIGHTROOM)
    copies = {
        SUBJECT: [],
        LIGHTROOM: flat,
        DIGIKAM: [each.replace("|", "/") for each in light] + _unnamed(flat, light, "|"),
    }
    for listed in _OWN:
        separator = _SEPARATORS.get(listed)
        ours = [f"{ROOT}{separator}{each}" for each in keywords] if separator else list(keywords)
        wanted = [*_hidden(packet.texts(listed), copies[listed], own[listed], separator), *ours] if ours else []
        _add(packet, listed, wanted)


def _hidden(theirs: Sequence[str], copies: Sequence[str], own: Sequence[str], separator: str | None) -> list[str]:
    """Keywords of other lists that this list would hide: all where it is ours alone, else those that we had copied."""
    missing = _unnamed(copies, theirs, separator or "|")
    return [each for each in missing if not theirs or each in own]


def _unnamed(keywords: Sequence[str], paths: Sequence[str], separator: str) -> list[str]:
    """Keywords that no path has as a step."""
    steps = {step for path in paths for step in path.split(separator)} | set(paths)
    return [each for each in keywords if each not in steps]


def _remove(packet: Packet, listed: str, texts: Sequence[str]) -> None:
    if texts:
        for item in packet.items(listed):
            if (item.text or "") in texts:
                drop(item)
        if not packet.items(listed):
            packet.remove(listed)
    packet.remove(_OWN[listed])


def _add(packet: Packet, listed: str, texts: Sequence[str]) -> None:
    there = set(packet.texts(listed))
    new = [text for text in dict.fromkeys(texts) if text not in there]
    packet.append(listed, new, _KINDS[listed])
    packet.append(_OWN[listed], new)

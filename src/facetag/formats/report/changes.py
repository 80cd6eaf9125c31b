"""What changed from one output to another: inputs, faces, boxes and tags."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult

SAME = 0.5  #: intersection over union from which two boxes are of one face
MOVED = 0.9  #: below it a box has moved

#: What a change is called -> what a reader is told of it.
KINDS = {
    "input_gained": "inputs that only the new output has",
    "input_lost": "inputs that only the old output has",
    "status": "inputs with another status",
    "face_gained": "faces gained",
    "face_lost": "faces lost",
    "face_moved": f"faces whose box moved (intersection over union below {MOVED})",
    "tag_gained": "tags gained",
    "tag_lost": "tags lost",
}


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        path: of the input.
        kind: of KINDS.
        old_face, new_face: its number in the outputs, from 1; 0 when there is none.
        attribute: of a tag; a tag that became unsure, or ceased to be, is lost or gained.
        old, new: the statuses, boxes `x y width height` or probabilities.
    """

    path: str
    kind: str
    old_face: int = 0
    new_face: int = 0
    attribute: str = ""
    old: str = ""
    new: str = ""


@dataclass
class Totals:
    """How much was compared, and how much changed.

    Attributes:
        inputs, faces: that both outputs have.
        kinds: changes by kind.
        tags: (attribute, kind) -> tags gained and lost.
    """

    inputs: int = 0
    faces: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    tags: Counter[tuple[str, str]] = field(default_factory=Counter)


def changes(old: Iterable[ImageResult], new: Iterable[ImageResult], totals: Totals) -> Iterator[Change]:
    """The changes, input by input, counted into `totals` as they come."""
    for before, after in _paired(old, new):
        for change in _of_input(before, after, totals):
            totals.kinds[change.kind] += 1
            if change.attribute:
                totals.tags[change.attribute, change.kind] += 1
            yield change


def _paired(
    old: Iterable[ImageResult], new: Iterable[ImageResult]
) -> Iterator[tuple[ImageResult | None, ImageResult | None]]:
    """The records of each path together. Both are read side by side, so that outputs of one order need no memory."""
    waiting_old: dict[str, ImageResult] = {}
    waiting_new: dict[str, ImageResult] = {}
    for before, after in zip_longest(old, new):
        if before and after and before.path == after.path:
            yield before, after
            continue
        if before:
            waiting_old[before.path] = before
        if after:
            waiting_new[after.path] = after
        for path in {each.path for each in (before, after) if each}:
            if path in waiting_old and path in waiting_new:
                yield waiting_old.pop(path), waiting_new.pop(path)
    yield from ((record, None) for record in waiting_old.values())
    yield from ((None, record) for record in waiting_new.values())


def _of_input(before: ImageResult | None, after: ImageResult | None, totals: Totals) -> Iterator[Change]:
    if before is None or after is None:
        record = before or after
        assert record
        kind = "input_lost" if before else "input_gained"
        status = record.status.value
        yield Change(record.path, kind, old=status if before else "", new=status if after else "")
        return
    totals.inputs += 1
    if before.status is not after.status:
        yield Change(before.path, "status", old=before.status.value, new=after.status.value)
    pairs = _matched(before.faces, after.faces)
    totals.faces += len(pairs)
    for number in range(1, len(before.faces) + 1):
        if number in pairs:
            yield from _of_face(before, after, number, pairs[number])
        else:
            yield Change(before.path, "face_lost", number, old=_phrase(before.faces[number - 1].box))
    for number in sorted(set(range(1, len(after.faces) + 1)).difference(pairs.values())):
        yield Change(before.path, "face_gained", 0, number, new=_phrase(after.faces[number - 1].box))


def _of_face(before: ImageResult, after: ImageResult, number: int, other: int) -> Iterator[Change]:
    old, new = before.faces[number - 1], after.faces[other - 1]
    if old.box.iou(new.box) < MOVED:
        yield Change(before.path, "face_moved", number, other, "", _phrase(old.box), _phrase(new.box))
    for name in old.probabilities:
        if name in new.probabilities and (name in old.tags) != (name in new.tags):
            kind = "tag_lost" if name in old.tags else "tag_gained"
            probabilities = (f"{face.probabilities[name]:.4f}" for face in (old, new))
            yield Change(before.path, kind, number, other, name, *probabilities)


def _matched(old: tuple[FaceResult, ...], new: tuple[FaceResult, ...]) -> dict[int, int]:
    """Old numbers -> new numbers of faces at the same place, the largest overlap first."""
    overlaps = sorted(
        (
            (before.box.iou(after.box), -one, -other)
            for one, before in enumerate(old, 1)
            for other, after in enumerate(new, 1)
        ),
        reverse=True,
    )
    pairs: dict[int, int] = {}
    for overlap, one, other in overlaps:
        if overlap >= SAME and -one not in pairs and -other not in pairs.values():
            pairs[-one] = -other
    return pairs


def _phrase(box: Box) -> str:
    return " ".join(f"{side:.1f}" for side in (box.x, box.y, box.width, box.height))

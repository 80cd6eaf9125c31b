"""Records as one line of JSON and back, to the last bit: what the journal holds."""

import json
import math
from collections.abc import Mapping
from typing import Any

from facetag.formats.path_encoding import escape, unescape
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status


def record_to_json(record: ImageResult) -> str:
    """A record as compact ASCII JSON; the path is spelt as in `formats.path_encoding`."""
    values = {
        "path": escape(record.path),
        "status": record.status.value,
        "error": record.error,
        "size": [record.width, record.height],
        "faces": [_face_values(face) for face in record.faces],
    }
    return json.dumps(values, separators=(",", ":"), allow_nan=False)


def record_from_json(text: str) -> ImageResult:
    """The record that `record_to_json` wrote.

    Raises:
        ValueError: the text is none.
    """
    try:
        values = json.loads(text, parse_constant=_refuse)
        width, height = (_of(int, side) for side in values["size"])
        faces = tuple(_face(face) for face in _of(list, values["faces"]))
        path, error = unescape(_of(str, values["path"])), _of(str, values["error"])
        return ImageResult(path, Status(values["status"]), error, width, height, faces)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"no record of facetag: {error}") from error


def _face_values(face: FaceResult) -> dict[str, Any]:
    box = face.box
    return {
        "box": [box.x, box.y, box.width, box.height],
        "score": face.score,
        "probabilities": face.probabilities,
        "tags": face.tags,
        "unsure": face.unsure,
    }


def _face(values: Mapping[str, Any]) -> FaceResult:
    x, y, width, height = (_real(side) for side in values["box"])
    probabilities = {name: _real(value) for name, value in values["probabilities"].items()}
    tags, unsure = (tuple(_of(str, name) for name in values[key]) for key in ("tags", "unsure"))
    return FaceResult(Box(x, y, width, height), _real(values["score"]), probabilities, tags, unsure)


def _of(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of facetag's")

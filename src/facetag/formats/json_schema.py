"""The JSON Schema of what JSON and JSON Lines hold; it states the spelling of paths and the shard key too."""

from collections.abc import Sequence
from typing import Any

from facetag.attributes import ATTRIBUTES
from facetag.results import SCHEMA_VERSION, Status

_PATH = (
    r"The input as it was given, or as --relative-to names it, / between folders. A backslash is doubled; every byte "
    r"that is no UTF-8, or belongs to a control character or a line separator, is \xNN with two lower-case hexadecimal "
    r"digits; all else stands as it is. So it is one line, and the bytes of the name can be had back. Its shard, of n "
    r"shards, is 1 + (the first 8 bytes of the SHA-256 of this text's UTF-8, as a big-endian number) modulo n."
)
#: ECMA 262 and Python understand it alike.
_PATH_PATTERN = r"^(?:[^\\\u0000-\u001f\u007f-\u009f\u2028\u2029]|\\\\|\\x[0-9a-f]{2})*$"
_VERSION_NOTE = "Raised when a reader of the older form would misread the newer one."
_FACES = "The surest first; locating alone leaves out tags, unsure and probabilities, in all faces alike."


def json_schema(attributes: Sequence[str] = ATTRIBUTES) -> dict[str, Any]:
    """The schema (draft 2020-12) of a JSON document and of a line of JSON Lines, by a model of these attributes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"facetag's answers, schema version {SCHEMA_VERSION}",
        "description": "JSON is an array of inputs, in order; a line of JSON Lines is one input. CSV, TSV and Parquet "
        "say the same in columns of these names, a row a face and at least one an input: face counts from 1 to faces.",
        "oneOf": [{"type": "array", "items": {"$ref": "#/$defs/input"}}, {"$ref": "#/$defs/input"}],
        "$defs": {"input": _input(), "face": _face(), "attribute": {"enum": list(attributes)}},
    }


def _input() -> dict[str, Any]:
    size = {"type": ["integer", "null"], "minimum": 1, "description": "Pixels, upright; null when unknown."}
    properties = {
        "schema_version": {"const": SCHEMA_VERSION, "description": _VERSION_NOTE},
        "path": {"type": "string", "pattern": _PATH_PATTERN, "description": _PATH},
        "status": {"enum": [status.value for status in Status], "description": "What became of the input."},
        "error": {"type": "string", "description": "Of a failure, or a warning; one line, mostly empty."},
        "image_width": size,
        "image_height": size,
        "faces": {"type": "array", "items": {"$ref": "#/$defs/face"}, "description": _FACES},
    }
    has_faces = {"if": {"properties": {"status": {"const": Status.OK.value}}}}
    counts = {"then": {"properties": {"faces": {"minItems": 1}}}, "else": {"properties": {"faces": {"maxItems": 0}}}}
    return _object(properties) | has_faces | counts


def _face() -> dict[str, Any]:
    pixels = "Pixels of the upright image, to a tenth; a box may reach outside."
    properties = {
        **{name: {"type": "number", "description": pixels} for name in ("x", "y")},
        **{name: {"type": "number", "minimum": 0, "description": pixels} for name in ("width", "height")},
        "score": {
            "type": "number",
            "description": "Of the localisation, larger is surer; 1 for a box that was brought.",
        },
        "tags": _attributes("The attributes decided present."),
        "unsure": _attributes("Those too near their threshold to be decided; never among the tags."),
        "probabilities": {
            "type": "object",
            "description": "The calibrated probability of each attribute that was asked for.",
            "propertyNames": {"$ref": "#/$defs/attribute"},
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
    }
    located = ["x", "y", "width", "height", "score"]
    together = {name: ["tags", "unsure", "probabilities"] for name in ("tags", "unsure", "probabilities")}
    return _object(properties) | {"required": located, "dependentRequired": together}


def _attributes(description: str) -> dict[str, Any]:
    items = {"$ref": "#/$defs/attribute"}
    return {"type": "array", "items": items, "uniqueItems": True, "description": description}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

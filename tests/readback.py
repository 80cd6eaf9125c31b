"""The documents that writers write, back to records; told apart from the writers, so that both must be right."""

import csv
import json
from dataclasses import replace

from facetag.batch.paths import unescape
from facetag.geometry import Box
from facetag.records import SCHEMA_VERSION, FaceRecord, ImageRecord, Status


def read_csv(text):
    records = []
    for row in csv.DictReader(text.splitlines(keepends=True), strict=True):
        assert row["schema_version"] == str(SCHEMA_VERSION)
        face = _table_face(row)
        if row["face"] in ("", "1"):
            size = int(row["image_width"] or 0), int(row["image_height"] or 0)
            faces = (face,) if face else ()
            records.append(ImageRecord(unescape(row["path"]), Status(row["status"]), row["error"], *size, faces))
        else:
            last = records.pop()
            assert last.path == unescape(row["path"]) and int(row["face"]) == len(last.faces) + 1
            records.append(replace(last, faces=(*last.faces, face)))
    return records


def _table_face(row):
    if row["face"] == "":
        return None
    box = Box(*(float(row[name]) for name in ("x", "y", "width", "height")))
    if "tags" not in row:
        return FaceRecord(box, float(row["score"]))
    names = list(row)[list(row).index("tags") + 1 :]
    probabilities = {name: float(row[name]) for name in names}
    return FaceRecord(box, float(row["score"]), probabilities, tuple(filter(None, row["tags"].split(";"))))


def read_json(text):
    return list(map(_record, json.loads(text)))


def read_jsonl(text):
    return [_record(json.loads(line)) for line in text.split("\n") if line]


def _record(value):
    assert value["schema_version"] == SCHEMA_VERSION
    faces = tuple(map(_face, value["faces"]))
    size = value["image_width"] or 0, value["image_height"] or 0
    return ImageRecord(unescape(value["path"]), Status(value["status"]), value["error"], *size, faces)


def _face(value):
    box = Box(value["x"], value["y"], value["width"], value["height"])
    return FaceRecord(box, value["score"], value.get("probabilities", {}), tuple(value.get("tags", ())))


READERS = {"csv": read_csv, "json": read_json, "jsonl": read_jsonl}

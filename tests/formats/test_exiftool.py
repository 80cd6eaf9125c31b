"""The tables that ExifTool reads: their form, and that the real one writes what they say."""

import csv
import io
import json
import shutil
import subprocess

import pytest
from documents import written
from PIL import Image

from facetag.errors import UsageError
from facetag.formats.readers import read_records
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status


def record(path, *tags, status=Status.OK):
    faces = (FaceResult(Box(0, 0, 9, 9), 0.9, dict.fromkeys(tags, 0.9), tags),) if tags else ()
    return ImageResult(path, status, "", 64, 48, faces)


def test_a_row_has_its_source_file_first_and_lists_as_fields():
    records = [record('a, "b".jpg', "Smiling", "Wearing_Hat"), record("c.jpg", status=Status.NO_FACE)]
    rows = list(csv.reader(io.StringIO(written("exiftool-csv", records).decode(), newline="")))
    assert rows == [
        ["SourceFile", "XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList"],
        ['a, "b".jpg', "Smiling, Wearing Hat", "facetag|Smiling, facetag|Wearing Hat",
         "facetag/Smiling, facetag/Wearing Hat"],
        ["c.jpg", "", "", ""],
    ]  # fmt: skip


def test_json_says_the_same():
    first, second = json.loads(written("exiftool-json", [record("é\n.jpg", "Bald"), record("\udcff.jpg")]))
    assert first == {
        "SourceFile": "é\n.jpg",
        "XMP-dc:Subject": ["Bald"],
        "XMP-lr:HierarchicalSubject": ["facetag|Bald"],
        "XMP-digiKam:TagsList": ["facetag/Bald"],
    }
    assert second == {"SourceFile": "\\xff.jpg"}
    assert json.loads(written("exiftool-json", [])) == []


@pytest.mark.parametrize("name", ["exiftool-csv", "exiftool-json"])
def test_they_are_not_read_back(tmp_path, name):
    with pytest.raises(UsageError, match=rf"^{name} holds no whole answers; read an output in one of csv, tsv"):
        next(read_records(str(tmp_path / "tags"), name))


@pytest.mark.system
@pytest.mark.parametrize(("name", "option"), [("exiftool-csv", "-csv+="), ("exiftool-json", "-json+=")])
def test_the_real_exiftool_writes_them_into_images_and_reads_them_back(tmp_path, name, option):
    assert shutil.which("exiftool"), "apt-get install libimage-exiftool-perl"

    def exiftool(*arguments):
        command = ["exiftool", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    for file in ("a b.jpg", "é, c.jpg", "none.jpg"):
        Image.new("RGB", (64, 48)).save(tmp_path / file)
    exiftool("-q", "-overwrite_original", "-XMP-dc:Subject=human", "a b.jpg", "none.jpg")
    records = [record("a b.jpg", "Smiling", "Wearing_Hat"), record("é, c.jpg", "Bald"), record("none.jpg")]
    (tmp_path / "tags").write_bytes(written(name, records))
    exiftool("-q", "-overwrite_original", "-sep", ", ", f"{option}tags", *(each.path for each in records))
    read = json.loads(exiftool("-json", "-G1", "-XMP:all", *(each.path for each in records)))
    assert [each.get("XMP-dc:Subject") for each in read] == [["human", "Smiling", "Wearing Hat"], "Bald", "human"]
    assert read[0]["XMP-digiKam:TagsList"] == ["facetag/Smiling", "facetag/Wearing Hat"]
    assert read[1]["XMP-lr:HierarchicalSubject"] == "facetag|Bald" and "XMP-digiKam:TagsList" not in read[2]

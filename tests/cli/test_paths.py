"""`facetag paths`: names as the system has them, of the inputs that are asked for."""

import os

import pytest
from documents import written

from facetag import cli
from facetag.errors import ExitCode
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

NAMES = ("Blurry", "Smiling")


def face(*tags):
    return FaceResult(Box(0, 0, 9, 9), 0.9, dict.fromkeys(NAMES, 0.5), tags)


RECORDS = [
    ImageResult(os.fsdecode(b"a\n\xff\\.jpg"), Status.OK, "", 64, 48, (face("Smiling"), face("Blurry"))),
    ImageResult("b.jpg", Status.OK, "", 64, 48, (face("Blurry", "Smiling"),)),
    ImageResult("c.jpg", Status.NO_FACE, "", 64, 48),
    ImageResult("d.jpg", Status.UNREADABLE, "no"),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--print0",), b"a\n\xff\\.jpg\0b.jpg\0c.jpg\0d.jpg\0"),
        (("--tag", "Smiling", "-0"), b"a\n\xff\\.jpg\0b.jpg\0"),
        (("--tag", "Smiling", "--without", "Blurry", "-0"), b"a\n\xff\\.jpg\0"),
        (("--tag", "Smiling,Blurry"), b"b.jpg\n"),
        (("--status", "no_face", "--status", "unreadable"), b"c.jpg\nd.jpg\n"),
    ],
)
@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_paths_come_byte_for_byte(tmp_path, capfdbinary, name, options, expected):
    output = tmp_path / f"tags.{name}"
    output.write_bytes(written(name, RECORDS, NAMES))
    assert cli.run(["paths", str(output), *options]) == ExitCode.OK
    assert capfdbinary.readouterr().out == expected


def test_an_unknown_tag_is_one_line(tmp_path, capfd):
    assert cli.run(["paths", "x.csv", "--tag", "Happy"]) == ExitCode.USAGE
    assert "no attribute or group is called 'Happy'" in capfd.readouterr().err

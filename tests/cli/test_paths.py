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


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("Happy", "no attribute or group is called 'Happy'; did you mean "),
        ("Bald", "no attribute or group is called 'Bald'; did you mean "),  # not of this output
        ("hair", "no attribute or group is called 'hair'; did you mean "),
    ],
)
def test_a_tag_that_the_output_does_not_answer_is_one_line(tmp_path, capfd, tag, said):
    (tmp_path / "tags.csv").write_bytes(written("csv", RECORDS, NAMES))
    assert cli.run(["paths", str(tmp_path / "tags.csv"), "--tag", tag]) == ExitCode.USAGE
    assert said in capfd.readouterr().err


def test_groups_are_those_attributes_that_the_output_answers(tmp_path, capfd):
    (tmp_path / "tags.csv").write_bytes(written("csv", RECORDS, NAMES))
    assert cli.run(["paths", str(tmp_path / "tags.csv"), "--tag", "EXPRESSION", "--without", "picture"]) == ExitCode.OK
    assert capfd.readouterr().out.endswith(".jpg\n")


def test_attributes_of_ones_own_are_asked_for_by_name(tmp_path, capfd):
    faces = tuple(
        FaceResult(Box(0, 0, 9, 9), 0.9, {"Red Beanie": share}, tags)
        for share, tags in ((0.1, ()), (0.9, ("Red Beanie",)))
    )
    records = [ImageResult(f"{number}.jpg", Status.OK, "", 64, 48, (face,)) for number, face in enumerate(faces)]
    (tmp_path / "tags.jsonl").write_bytes(written("jsonl", records, ("Red Beanie",)))
    assert cli.run(["paths", str(tmp_path / "tags.jsonl"), "--tag", "red beanie"]) == ExitCode.OK
    assert capfd.readouterr().out == "1.jpg\n"


def test_an_output_of_boxes_alone_has_no_tags(tmp_path, capfd):
    boxes = [ImageResult("a.jpg", Status.OK, "", 64, 48, (FaceResult(Box(0, 0, 9, 9), 0.9),))]
    (tmp_path / "boxes.csv").write_bytes(written("csv", boxes, None))
    assert cli.run(["paths", str(tmp_path / "boxes.csv"), "--tag", "Smiling"]) == ExitCode.USAGE
    assert "this output has boxes alone" in capfd.readouterr().err

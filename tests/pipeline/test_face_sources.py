import os
from dataclasses import replace

import numpy as np
import pytest
from photographs import smooth_image

from facetag.datasets.boxes import load_boxes_csv
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.localization.center_localizer import CenterLocalizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.pipeline.face_sources import Found, GivenBoxes, aligned, located_by
from facetag.pipeline.items import LoadedImage
from facetag.pipeline.stages import Cascade, record_of, untagged
from facetag.pipeline.timing import Stage, Stopwatch
from models import center_model, random_model


def photo(path, width=100, height=80):
    return LoadedImage(path, np.zeros((height, width, 3), np.uint8))


def boxes_of(found):
    return [face.box for face in found.faces]


class Given(GivenBoxes):
    """Needs no clock."""

    def __call__(self, photos):
        return super().__call__(photos, Stopwatch())


def given(path, text, folder=""):
    path.write_bytes(text)
    return Given(load_boxes_csv(path), path, folder)


def test_the_aligned_frame_is_scaled_to_each_picture():
    native, double = aligned([photo("a", 178, 218), photo("b", 356, 218)], Stopwatch())
    assert boxes_of(native) == [Box(43, 74, 92, 116)]
    assert boxes_of(double) == [Box(86, 74, 184, 116)]
    assert native.faces[0].score == 1.0


@pytest.mark.parametrize("path", ["in/a.jpg", "./in//a.jpg", "in/../in/a.jpg", "{}/in/a.jpg"])
def test_names_are_seen_from_the_current_folder(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    find = given(tmp_path / "b.csv", b"file,x,y,width,height\nin/a.jpg,1,2,30,40\nin/a.jpg,50,2,30,40\n")
    (found,) = find([photo(path.format(tmp_path))])
    assert boxes_of(found) == [Box(1, 2, 30, 40), Box(50, 2, 30, 40)]
    assert (found.warning, find.unused) == ("", set())


def test_names_are_seen_from_the_folder_of_the_file_after_that(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    monkeypatch.chdir(tmp_path)
    find = given(tmp_path / "set" / "b.csv", b"file,x,y,width,height\na.jpg,1,2,3,4\nset/a.jpg,5,6,7,8\nc.jpg,,,,\n")
    here, below, empty = find([photo("a.jpg"), photo("set/a.jpg"), photo("set/c.jpg")])
    assert boxes_of(here) == [Box(1, 2, 3, 4)]
    assert boxes_of(below) == [Box(5, 6, 7, 8)]
    assert (boxes_of(empty), empty.warning) == ([], "")


def test_names_are_raw_or_as_facetag_writes_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = rb"a\\b.jpg,1,2,3,4" + b"\n" + rb"c\xff.jpg,5,6,7,8" + b"\nd\xe9.jpg,1,1,1,1\n"
    find = given(tmp_path / "b.csv", b"path,x,y,width,height\n" + rows)
    names = [rb"a\b.jpg", b"c\xff.jpg", b"d\xe9.jpg"]
    assert all(found.faces for found in find([photo(os.fsdecode(name)) for name in names]))


def test_names_are_seen_from_where_paths_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = b"file,x,y,width,height\na.jpg,1,2,3,4\nin/a.jpg,5,6,7,8\n"
    find = given(tmp_path / "b.csv", rows, "in")
    (found,) = find([photo("a.jpg")])
    assert boxes_of(found) == [Box(1, 2, 3, 4)]


@pytest.mark.parametrize(("written", "here"), [("e\u0301.jpg", "\u00e9.jpg"), ("\u00e9.jpg", "e\u0301.jpg")])
def test_names_match_whether_accents_are_composed_or_not(tmp_path, monkeypatch, written, here):
    monkeypatch.chdir(tmp_path)
    find = given(tmp_path / "b.csv", f"file,x,y,width,height\n{written},1,2,3,4\n".encode())
    (found,) = find([photo(here)])
    assert (boxes_of(found), found.warning, find.unused) == ([Box(1, 2, 3, 4)], "", set())


def test_of_two_names_that_differ_in_accents_alone_each_has_its_own_boxes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "e\u0301.jpg,1,2,3,4\n\u00e9.jpg,5,6,7,8\no\u0302\u0301.jpg,1,1,1,1\n\u00f4\u0301.jpg,2,2,2,2\n"
    find = given(tmp_path / "b.csv", f"file,x,y,width,height\n{rows}".encode())
    apart, composed, neither = find([photo("e\u0301.jpg"), photo("\u00e9.jpg"), photo("\u1ed1.jpg")])
    assert (boxes_of(apart), boxes_of(composed)) == ([Box(1, 2, 3, 4)], [Box(5, 6, 7, 8)])
    assert neither.warning == "not in b.csv"  # two names could mean it


def test_boxes_of_a_photograph_do_not_go_to_another_whose_name_differs_in_accents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("e\u0301.jpg", "\u00e9.jpg"):
        (tmp_path / name).touch()
    find = given(tmp_path / "b.csv", "file,x,y,width,height\n\u00e9.jpg,1,2,3,4\n".encode())
    apart, composed = find([photo("e\u0301.jpg"), photo("\u00e9.jpg")])
    assert (boxes_of(apart), apart.warning, boxes_of(composed)) == ([], "not in b.csv", [Box(1, 2, 3, 4)])


def test_two_spellings_of_a_name_are_one_photograph(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = f"a.jpg,1,2,3,4\n./a.jpg,5,6,7,8\n{tmp_path}/a.jpg,,,,\nb.jpg,1,1,1,1\n"
    find = given(tmp_path / "b.csv", f"file,x,y,width,height\n{rows}".encode())
    (found,) = find([photo("a.jpg")])
    assert (boxes_of(found), find.unused) == ([Box(1, 2, 3, 4), Box(5, 6, 7, 8)], {"b.jpg"})


def test_a_photograph_that_the_file_does_not_name_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    find = given(tmp_path / "b.csv", b"file,x,y,width,height\na.jpg,1,2,3,4\n")
    (found,) = find([photo("A.jpg")])
    assert (boxes_of(found), found.warning) == ([], "not in b.csv")
    assert find.unused == {"a.jpg"}


def test_boxes_outside_the_picture_are_left_out_and_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    find = given(tmp_path / "b.csv", b"file,x,y,width,height\na,99,79,9,9\na,100,0,9,9\na,-9,0,9,9\n")
    (found,) = find([photo("a")])
    assert boxes_of(found) == [Box(99, 79, 9, 9)]
    assert found.warning == "2 of its boxes outside the picture"


@pytest.mark.parametrize(
    ("localizer", "stages"),
    [
        (LNetLocalizer(random_model()), {Stage.LNET_O, Stage.LNET_S}),
        (CenterLocalizer(center_model()), {Stage.CENTER_NET}),
    ],
)
def test_a_localizer_finds_all_faces_or_the_surest_and_the_time_goes_to_its_nets(localizer, stages):
    photos = [LoadedImage(str(seed), smooth_image(seed)) for seed in range(2)]
    images = [one.pixels for one in photos]
    for dominant, expected in ((False, localizer(images)), (True, localizer.dominant(images))):
        clock = Stopwatch()
        found = located_by(localizer, dominant)(photos, clock)
        assert [list(one.faces) for one in found] == expected and all(expected)
        assert {stage for stage, seconds in clock.seconds.items() if seconds} == stages


def test_the_surest_is_found_under_a_head_that_is_not_sure():
    photos = [LoadedImage(str(seed), smooth_image(seed)) for seed in range(2)]
    images = [one.pixels for one in photos]
    model = random_model()
    localizer = LNetLocalizer(model, settings=replace(LNetLocalizer(model).settings, head_region_score=0.9999999))
    assert not any(localizer.head_regions(images))
    found = located_by(localizer, dominant=True)(photos, Stopwatch())
    assert [list(one.faces) for one in found] == localizer.dominant(images) and all(one.faces for one in found)


def test_boxes_are_written_as_far_as_they_are_shown(tmp_path):
    """Found ones and a user's own, and those read back."""
    shown = photo("a.png", 60, 40)
    faces = (Detection(Box(-10, -5, 50, 60), 0.5), Detection(Box(10, 5, 20, 30), 0.4))
    record = record_of(shown, Found(faces), tuple(map(untagged, faces)))
    assert [face.box for face in record.faces] == [Box(0, 0, 40, 40), Box(10, 5, 20, 30)]
    find = given(tmp_path / "b.csv", b"file,x,y,width,height\na.png,-10,-5,50,60\na.png,-3e9,-3e9,6e9,6e9\n")
    (found,) = find([shown])
    assert found.faces[0].box == Box(-10, -5, 50, 60), "tags are read from all of it"
    record = record_of(shown, found, tuple(map(untagged, found.faces)))
    assert [face.box for face in record.faces] == [Box(0, 0, 40, 40), Box(0, 0, 60, 40)]
    rows = "".join(f"a.png,{box.x},{box.y},{box.width},{box.height}\n" for box in (face.box for face in record.faces))
    (again,) = given(tmp_path / "c.csv", f"file,x,y,width,height\n{rows}".encode())([shown])
    assert [face.box for face in again.faces] == [face.box for face in record.faces]
    cascade = Cascade(lambda photos, clock: [Found(faces)], min_face=35.0)
    assert [face.box for face in cascade([shown])[0].faces] == [Box(0, 0, 40, 40)]
    assert Cascade(lambda photos, clock: [Found(faces)], min_face=41.0)([shown])[0].faces == ()

"""`predict --sidecar`, `--crop-dir` and `facetag untag` from end to end, on pictures that the test makes."""

import io
import os
import sqlite3
import sys
from contextlib import closing

import cv2
import pytest
from photographs import make_photographs, smooth_image
from PIL import Image

from facetag import cli
from facetag.errors import ExitCode
from facetag.formats.readers import read_records
from facetag.formats.xmp.packet import Packet
from facetag.geometry import Box
from facetag.images.crops import crop, crop_name
from facetag.images.discover import discover
from facetag.results import Status


@pytest.fixture
def facetag(model_folder, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACETAG_PREDICT_MODEL", str(model_folder))
    make_photographs(tmp_path / "photos", 3)

    def run(*arguments):
        code = cli.run(list(map(str, arguments)))
        return (code, *capfd.readouterr())

    return run


def subjects(path):
    return Packet(path.read_bytes()).texts("dc:subject")


def test_a_run_writes_sidecars_and_crops_and_untag_takes_the_sidecars_back(facetag, tmp_path):
    photos, faces = tmp_path / "photos", tmp_path / "photos" / "faces"
    code, _, err = facetag("predict", "photos", "--out", "tags.csv", "--sidecar", "xmp", "--crop-dir", faces)
    records = list(read_records("tags.csv"))
    count = sum(len(record.faces) for record in records)
    assert code == ExitCode.OK and [record.status for record in records] == [Status.OK] * 3
    assert "3 sidecars" in err and f"{count} crops" in err
    for record in records:
        tags = {tag.replace("_", " ") for face in record.faces for tag in face.tags}
        assert set(subjects(tmp_path / f"{record.path}.xmp")) == tags
        for number, face in enumerate(record.faces, 1):
            with Image.open(faces / crop_name(record.path, number)) as saved:
                meant = crop(smooth_image(0), face.box).shape[1::-1]
                assert not saved.getexif() and saved.size == pytest.approx(meant, abs=1)
    assert len(os.listdir(faces)) == count

    before = {path: path.stat().st_mtime_ns for path in photos.glob("*.xmp")}
    assert facetag("predict", "photos", "--out", "tags.csv", "--sidecar", "xmp")[0] == ExitCode.OK
    assert {path: path.stat().st_mtime_ns for path in photos.glob("*.xmp")} == before, "known answers, same sidecars"
    assert len(list(read_records("tags.csv"))) == 3, "crops and sidecars are no inputs"

    code, out, err = facetag("untag", "photos", "--dry-run")
    assert len(out.splitlines()) == 3 and "3 sidecars would change" in err and len(list(photos.glob("*.xmp"))) == 3
    assert facetag("untag", "photos")[0] == ExitCode.OK and not list(photos.glob("*.xmp"))


def test_other_thresholds_reach_the_sidecars_without_a_new_look(facetag, tmp_path):
    command = ["predict", "photos", "--out", "tags.csv", "--sidecar", "xmp-stem", "--attributes", "Smiling,Male"]
    facetag(*command, "--threshold", "Smiling=0", "--threshold", "Male=1")
    sidecar = tmp_path / "photos" / "000000.xmp"
    assert subjects(sidecar) == ["Smiling"]
    facetag(*command, "--threshold", "Smiling=1", "--threshold", "Male=0")
    assert subjects(sidecar) == ["Male"]


def test_a_sidecar_that_is_refused_is_named_and_makes_the_exit_code_3(facetag, tmp_path):
    (tmp_path / "photos" / "000001.jpg.xmp").write_text("<!DOCTYPE x>")
    code, _, err = facetag("predict", "photos", "--out", "tags.csv", "--sidecar", "xmp")
    assert code == ExitCode.SOME_FAILED and "2 sidecars, 1 not written" in err
    assert "no sidecar for photos/000001.jpg: it declares a document type" in err
    assert len(list(read_records("tags.csv"))) == 3
    assert facetag("predict", "photos", "--out", "b.csv", "--sidecar", "xmp", "--fail-on", "never")[0] == ExitCode.OK
    code, out, err = facetag("untag", "photos")
    assert code == ExitCode.SOME_FAILED and len(out.splitlines()) == 2 and "000001.jpg.xmp: it declares" in err


def test_names_of_crops_neither_collide_nor_escape_and_are_no_inputs(tmp_path):
    paths = ["a/b.jpg", "a_b.jpg", "../b.jpg", "b.jpg", "/etc/passwd", "..", "n" * 300, "\udcff.jpg", "a\nb"]
    names = [crop_name(path, number) for path in paths for number in (1, 12)]
    assert len(set(names)) == len(names)
    assert all(os.path.basename(name) == name and len(name) < 120 and name.isprintable() for name in names)


def test_a_crop_is_cut_at_the_frame_and_never_empty():
    pixels = smooth_image(1, 40, 30)
    assert crop(pixels, Box(-10, -10, 20, 20), 1.0).shape == (10, 10, 3)
    assert crop(pixels, Box(500, 500, 9, 9)).shape == (1, 1, 3)
    assert crop(pixels, Box(10, 10, 0, 0)).shape == (1, 1, 3)


def test_a_planted_link_is_not_written_through(facetag, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    faces = tmp_path / "faces"
    faces.mkdir()
    name = crop_name("photos/000000.jpg", 1)
    (faces / name).symlink_to(victim)
    (faces / f".{name}.tmp").symlink_to(victim)
    facetag("predict", "photos/000000.jpg", "--crop-dir", "faces")
    assert victim.read_text() == "mine" and cv2.imread(str(faces / name)) is not None
    assert list(discover(["faces"])) == []


def test_a_dry_run_prints_every_name_in_every_locale(facetag, tmp_path, monkeypatch):
    (tmp_path / "photos" / "\u65e5\u672c.jpg").write_bytes((tmp_path / "photos" / "000000.jpg").read_bytes())
    printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    assert facetag("predict", "photos", "--out", "tags.csv", "--dry-run")[0] == ExitCode.OK
    assert "photos/\u65e5\u672c.jpg\n".encode() in printed.buffer.getvalue()


def test_a_dry_run_tells_what_would_be_read_and_changes_nothing(facetag, tmp_path):
    def everything():
        files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and "sqlite" not in path.name]
        with closing(sqlite3.connect(tmp_path / "tags.csv.facetag.sqlite")) as journal:
            return [(path, path.read_bytes()) for path in files], list(journal.iterdump())

    before = set(tmp_path.rglob("*"))
    code, out, err = facetag("predict", "photos", "--out", "tags.csv", "--dry-run", "--sidecar", "xmp")
    assert code == ExitCode.OK and out.split() == [f"photos/00000{number}.jpg" for number in range(3)]
    assert "3 inputs: 0 kept, 0 changed, 3 new" in err and set(tmp_path.rglob("*")) == before
    facetag("predict", "photos", "--out", "tags.csv")
    (tmp_path / "photos" / "000001.jpg").write_bytes((tmp_path / "photos" / "000000.jpg").read_bytes() + b"more")
    (tmp_path / "photos" / "new.jpg").write_bytes((tmp_path / "photos" / "000000.jpg").read_bytes())
    before = everything()
    _, out, err = facetag("predict", "photos", "--out", "tags.csv", "--dry-run")
    assert out.split() == ["photos/000001.jpg", "photos/new.jpg"]
    assert "4 inputs: 2 kept, 1 changed, 1 new; 2 would be read" in err and everything() == before
    with open("tags.csv.facetag.sqlite", "rb") as journal:
        assert journal.read(20)[18:] == b"\1\1"  # plain: reading one with a log leaves files beside it
    assert len(facetag("predict", "photos", "--out", "tags.csv", "--dry-run", "--overwrite")[1].split()) == 4

"""`facetag predict` and `facetag localize` from end to end, on pictures that the tests make and random weights."""

import hashlib
import json
import os
import struct
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from photographs import picture, png, save
from PIL import Image
from readback import read_bytes, read_csv, read_json, read_jsonl

from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.errors import ExitCode
from facetag.formats.json_schema import json_schema
from facetag.formats.readers import READERS
from facetag.geometry import Box
from facetag.images.orient import INVERSE, upright
from facetag.results import Status
from models import GREY

#: name -> status; what a folder of photographs may hold.
HOSTILE = {
    b"a-truncated.jpg": Status.OK,
    b"b-empty.jpg": Status.UNREADABLE,
    b"c-text.jpg": Status.UNREADABLE,
    b"d-png-called.jpg": Status.OK,
    **{f"e-turned-{turn}.png".encode(): Status.OK for turn in range(1, 9)},
    b"f-new\nline.png": Status.OK,
    b"g-\xff\xfe.png": Status.OK,
    rb"h-back\slash\x0a.png": Status.OK,
    b"i-tiny.png": Status.OK,
    b"j-grey.png": Status.OK,
    b"k-16-bit.png": Status.OK,
    b"l-cmyk.jpg": Status.OK,
    b"m-nothing.png": Status.NO_FACE,
    b"n-huge.bmp": Status.TOO_LARGE,
    b"o-photoshop": Status.UNSUPPORTED,
    b"p-" + b"n" * 244 + b".png": Status.OK,
}


@pytest.fixture
def hostile(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = {name[:1].decode(): folder / os.fsdecode(name) for name in HOSTILE}
    save(paths["a"], picture(1, 200, 300), format="JPEG")
    paths["a"].write_bytes(paths["a"].read_bytes()[:-2000])
    paths["b"].touch()
    paths["c"].write_text("not an image\n")
    png(paths["d"], 2)
    for turn in range(1, 9):
        tags = Image.Exif()
        tags[274] = turn
        stored = Image.fromarray(upright(picture(3), INVERSE[turn]))
        stored.save(folder / f"e-turned-{turn}.png", exif=tags)
    for letter in "fghp":
        png(paths[letter], 4)
    png(paths["i"], 5, height=16, width=16)
    save(paths["j"], picture(6)[..., 0])
    save(paths["k"], picture(7)[..., 0].astype(np.uint16) * 257)
    Image.fromarray(picture(8)).convert("CMYK").save(paths["l"])
    save(paths["m"], np.full((90, 120, 3), GREY, np.uint8))
    paths["n"].write_bytes(b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 20000, 20000, 1, 24, *[0] * 6))
    paths["o"].write_bytes(b"8BPS\0\1" + bytes(90))
    (folder / "notes.txt").write_text("a sidecar")
    (folder / ".hidden.png").touch()
    return folder


def test_every_input_of_a_hostile_folder_has_its_row_and_the_run_goes_on(facetag, hostile):
    code, out, err = facetag("predict", "photos", "missing.jpg", "--out", "photos/tags.csv", "-v")
    assert (code, out) == (ExitCode.SOME_FAILED, "")
    records = read_csv((hostile / "tags.csv").read_text(encoding="utf-8"))
    expected = {os.fsdecode(b"photos/" + name): status for name, status in HOSTILE.items()}
    expected["missing.jpg"] = Status.UNREADABLE
    assert {record.path: record.status for record in records} == expected
    assert [record.path for record in records] == sorted(expected, key=lambda p: (p == "missing.jpg", os.fsencode(p)))
    assert all(record.error for record in records if record.status.is_failure)
    assert records[0].error == "truncated JPEG, decoded as far as it goes"
    assert err.count("\nfacetag: photos/") == 5 and "\nfacetag: missing.jpg: unreadable: No such file" in err
    assert f"{len(expected)} inputs: 18 ok (" in err
    assert "4 other" in err  # notes.txt, and the journal, its log and the lock of this very run


def test_all_orientations_have_the_same_boxes_and_tags(facetag, hostile):
    _, out, _ = facetag("predict", *sorted(hostile.glob("e-*")), "--format", "jsonl")
    turned = read_jsonl(out)
    assert len(turned) == 8 and turned[0].faces
    assert all((r.width, r.height, r.faces) == (120, 90, turned[0].faces) for r in turned)


def test_the_same_bytes_whatever_the_batch_and_the_workers(facetag, hostile):
    documents = {facetag("predict", "photos", "--batch", b, "--workers", w)[1] for b, w in [(1, 1), (3, 4), (16, 1)]}
    assert len(documents) == 1


def test_every_format_says_the_same(facetag, tmp_path):
    (tmp_path / "in").mkdir()
    png("in/a.png", 1)
    save("in/b.png", np.full((90, 120, 3), GREY, np.uint8))
    read = []
    for name in READERS:
        assert facetag("predict", "in", "--out", f"tags.{name}")[0] == ExitCode.OK
        read.append(read_bytes(name, (tmp_path / f"tags.{name}").read_bytes()))
    Draft202012Validator(json_schema()).validate(json.loads((tmp_path / "tags.json").read_bytes()))
    assert [record.status for record in read[0]] == [Status.OK, Status.NO_FACE]
    assert all(records == read[0] for records in read[1:])


def test_localize_finds_the_same_faces_without_attributes(facetag):
    png("a.png")
    (tagged,) = read_csv(facetag("predict", "a.png")[1])
    (located,) = read_csv(facetag("localize", "a.png")[1])
    assert [(face.box, face.score) for face in located.faces] == [(face.box, face.score) for face in tagged.faces]
    assert len(tagged.faces) > 1 and all(face.probabilities == {} for face in located.faces)
    (dominant,) = read_json(facetag("localize", "a.png", "--faces", "dominant", "--format", "json")[1])
    assert dominant.faces == located.faces[:1]
    least = sorted(face.box.height for face in located.faces)[1]
    (large,) = read_csv(facetag("localize", "a.png", "--min-face", least)[1])
    assert [f.box for f in large.faces] == [f.box for f in located.faces if f.box.height >= least] != []


def test_attributes_can_be_chosen_and_cut_elsewhere(facetag):
    png("a.png")
    (full,) = read_csv(facetag("predict", "a.png")[1])
    words = ["--attributes", "hair,Male", "--attributes", "Young", "--exclude-attributes", "Bald", "--threshold"]
    code, out, _ = facetag("predict", "a.png", *words, "hair=0,Male=1")
    names = [name for name in ATTRIBUTES if name in {*GROUPS["hair"], "Male", "Young"} - {"Bald"}]
    assert code == ExitCode.OK and out.split("\r\n")[0].endswith(",tags,unsure," + ",".join(names))
    (chosen,) = read_csv(out)
    for some, every in zip(chosen.faces, full.faces, strict=True):
        assert some.probabilities == {name: every.probabilities[name] for name in names}
        assert {*GROUPS["hair"]} - {"Bald"} <= set(some.tags)
        assert "Male" not in some.tags and ("Young" in some.tags) == ("Young" in every.tags)


def test_boxes_that_the_user_brings(facetag, tmp_path):
    for name in "abc":
        png(f"{name}.png")
    rows = "a.png,10,20,30,40\na.png,50.5,5,30,40\nb.png,,,,\nz.png,1,1,1,1\n"
    (tmp_path / "boxes.csv").write_text("file,x,y,width,height\n" + rows)
    code, out, err = facetag("predict", "a.png", "b.png", "c.png", "--boxes", "boxes.csv", "--format", "json")
    a, b, c = read_json(out)
    assert code == ExitCode.OK
    assert [(face.box, face.score) for face in a.faces] == [(Box(10, 20, 30, 40), 1), (Box(50.5, 5, 30, 40), 1)]
    assert (b.status, b.error, c.status, c.error) == (Status.NO_FACE, "", Status.NO_FACE, "not in boxes.csv")
    assert "1 image named in boxes.csv was not among the inputs" in err
    assert "1 input is not named in boxes.csv" in err
    assert facetag("predict", "a.png", "--boxes", "none.csv")[::2] == (
        ExitCode.FATAL, "facetag: error: none.csv: No such file or directory; check the path and its permissions\n",
    )  # fmt: skip


@pytest.mark.parametrize("out", ["tags.csv", "-"])
def test_boxes_of_other_images_are_refused(facetag, tmp_path, out):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    (tmp_path / "boxes.csv").write_text("file,x,y,width,height\nof_others.jpg,1,2,30,40\n")
    code, _, err = facetag("predict", "a.png", "--boxes", "boxes.csv", "--format", "csv", "--out", out)
    assert code == 2 and err.splitlines()[-1] == (
        "facetag: error: no input has a name that boxes.csv has; "
        "write its names as the inputs are named, or use --relative-to"
    )
    assert not (tmp_path / "tags.csv").exists()


@pytest.mark.timing
def test_boxes_from_a_pipe_are_read_once_and_known_by_their_bytes(facetag, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    os.mkfifo(tmp_path / "pipe")
    found = []
    for text in ("file,x,y,width,height\na.png,1,2,30,40\n", "file,x,y,width,height\na.png,5,6,30,40\n"):
        writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,), daemon=True)
        writer.start()
        assert facetag("predict", "a.png", "--boxes", "pipe", "--out", "tags.json")[0] == 0
        writer.join(10)
        assert not writer.is_alive()
        (answer,) = json.loads((tmp_path / "tags.json").read_text())
        found.append(answer["faces"][0]["x"])
        record = json.loads((tmp_path / "tags.json.run.json").read_text())
        assert record["basis"]["boxes"] == hashlib.sha256(text.encode()).hexdigest()
    assert found == [1, 5]


def test_our_own_table_is_a_boxes_file(facetag, tmp_path):
    name = os.fsdecode(b"new\n\xff\\.png")
    png(name)
    _, out, _ = facetag("predict", name)
    (tmp_path / "faces.csv").write_text(out, encoding="utf-8", newline="")
    _, again, _ = facetag("predict", name, "--boxes", "faces.csv")
    first, second = read_csv(out)[0], read_csv(again)[0]
    assert first.path == second.path == name
    assert [face.box for face in first.faces] == [face.box for face in second.faces] != []


def test_aligned_pictures_need_no_search(facetag):
    png("a.png", height=218, width=178)
    png("b.png", height=436, width=356)
    a, b = read_csv(facetag("predict", "--aligned", "a.png", "b.png")[1])
    assert [face.box for face in a.faces] == [Box(43, 74, 92, 116)]
    assert [face.box for face in b.faces] == [Box(86, 148, 184, 232)]


def test_drawings_are_made_for_what_was_looked_at(facetag, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        png(f"{folder}/a.png")
    code, _, _ = facetag("localize", "x", "y", "none.png", "--draw", "drawn", "--out", "faces.json")
    assert code == ExitCode.SOME_FAILED
    sizes = [cv2.imread(str(path)).shape for path in (tmp_path / "drawn").iterdir()]
    assert sizes == [(480, 3 * 640, 3)] * 2
    for _ in range(2):  # the drawings of the first are no photographs of the second
        code, _, err = facetag("predict", "--aligned", "x", "--draw", "x/boxes", "--out", "tags.csv")
        assert code == ExitCode.OK and "facetag: 1 input: 1 ok" in err
    assert [cv2.imread(str(path)).shape for path in (tmp_path / "x" / "boxes").iterdir()] == [(480, 640, 3)]


def test_lists_and_what_is_left_alone_in_folders(facetag, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.png", "in/b.png", "in/c.gif", "in/deep/d.png", "new\nline.png"):
        png(name)
    (tmp_path / "list").write_bytes(b"new\nline.png\0in\0")
    words = ["--files-from", "list", "-0", "--no-recursive", "--exclude", "b*", "--ext", "png,jpg", "--format", "jsonl"]
    code, out, _ = facetag("localize", "in/deep/d.png", *words)
    assert [record.path for record in read_jsonl(out)] == ["in/deep/d.png", "new\nline.png", "in/a.png"]
    assert code == ExitCode.OK
    code, out, err = facetag("localize", "--files-from", "nolist", "--out", "x.csv")
    assert (code, err.splitlines()[-1]) == (
        ExitCode.FATAL, "facetag: error: nolist: No such file or directory; name a file that holds paths",
    )  # fmt: skip
    assert not (tmp_path / "x.csv").exists()


def test_reading_can_be_stricter(facetag):
    save("a.jpg", picture(0, 200, 300), format="JPEG")
    with open("a.jpg", "r+b") as file:
        file.truncate(os.path.getsize("a.jpg") - 2000)
    assert read_csv(facetag("localize", "a.jpg")[1])[0].status is Status.OK
    assert read_csv(facetag("localize", "a.jpg", "--strict")[1])[0].status is Status.UNREADABLE
    assert read_csv(facetag("localize", "a.jpg", "--max-pixels", 59999)[1])[0].status is Status.TOO_LARGE


def test_quiet_says_nothing_and_otherwise_all_but_data_is_on_stderr(facetag, tmp_path):
    png("a.png")
    code, out, err = facetag("localize", "a.png", "-q", "--format", "json")
    assert (code, err) == (ExitCode.OK, "")
    json.loads(out)
    _, out, err = facetag("localize", "a.png", "--out", "faces.json")
    assert out == ""
    first, summary, last = err.splitlines()
    assert (first, last) == ("facetag: model random, device cpu", "facetag: wrote faces.json")
    assert summary.startswith("facetag: 1 input: 1 ok (") and summary.endswith(" images/s")
    (tmp_path / "empty").mkdir()
    code, out, err = facetag("localize", "empty", "--format", "json")
    assert (code, out) == (ExitCode.OK, "[]\n") and "no image was found" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "no/tags.csv"], "cannot write no/tags.csv: No such file or directory"),
        (["--device", "tpu"], "'tpu' is not a device"),
        (["--draw", "a.png"], "--draw a.png is an input too, and drawings are none; draw into another folder"),
    ],
)
def test_what_keeps_a_run_from_starting_is_one_line(facetag, words, message):
    png("a.png")
    code, out, err = facetag("localize", "a.png", *words)
    assert code in (ExitCode.FATAL, ExitCode.USAGE) and out == ""
    assert message in err.splitlines()[-1] and "Traceback" not in err


def test_a_model_that_is_not_there_or_altered_is_refused(facetag, model_folder, tmp_path):
    png("a.png")
    assert facetag("predict", "a.png", model="nowhere")[0] == ExitCode.FATAL
    altered = tmp_path / "altered"
    altered.mkdir()
    for file in model_folder.iterdir():
        (altered / file.name).write_bytes(file.read_bytes())
    weights = bytearray((altered / "anet.safetensors").read_bytes())
    weights[-1] ^= 1
    (altered / "anet.safetensors").write_bytes(weights)
    code, _, err = facetag("predict", "a.png", model=altered)
    assert code == ExitCode.FATAL and "anet.safetensors is not the file" in err and err.count("\n") == 1


NO_SOCKETS = """
import socket, sys
class Refused(socket.socket):
    def __init__(self, *_, **__): raise AssertionError("a socket was asked for")
socket.socket = Refused
from facetag import cli
sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.mark.process
def test_no_network_is_touched_and_a_reader_may_leave(model_folder, tmp_path):
    """One process for both, as starting torch is what takes the time."""
    png(tmp_path / "a.png")
    command = [sys.executable, "-c", NO_SOCKETS, "predict", "a.png", "b.png", "--model", str(model_folder), "-q"]
    ended = subprocess.run([*command, "--out", "tags.csv"], cwd=tmp_path, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (ExitCode.SOME_FAILED, b"")
    assert [line.split(b": ")[:2] for line in ended.stderr.splitlines()] == 2 * [[b"facetag", b"error"]]
    assert [r.status for r in read_csv((tmp_path / "tags.csv").read_text())] == [Status.OK, Status.UNREADABLE]
    closed = ["sh", "-c", '"$@" >&-', "sh", sys.executable, "-m", "facetag", *command[3:]]
    ended = subprocess.run(closed, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == ExitCode.FATAL
    assert "cannot write standard output" in ended.stderr and ended.stderr.count("\n") == 1
    ours, theirs = os.pipe()
    os.close(ours)
    ended = subprocess.run(command, cwd=tmp_path, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (ended.returncode, ended.stderr) == (ExitCode.OK, b"")


def test_no_output_replaces_a_photograph_or_what_is_read(facetag, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    png(photos / "a.png")
    before = (photos / "a.png").read_bytes()
    (tmp_path / "list.txt").write_text("photos/a.png\n")
    (tmp_path / "boxes.csv").write_text("path,x,y,width,height\nphotos/a.png,1,1,30,40\n")
    for words, message in (
        (("photos", "--out", "photos/a.png"), "photos/a.png is a PNG picture and would be replaced"),
        (("--files-from", "list.txt", "--out", "list.txt"), "list.txt is read and would be replaced"),
        (("photos", "--boxes", "boxes.csv", "--out", "boxes.csv"), "boxes.csv is read and would be replaced"),
    ):
        code, _, err = facetag("predict", *words, "--format", "csv")
        assert code == ExitCode.USAGE and err.splitlines() == [f"facetag: error: {message}; name another file"]
    assert (photos / "a.png").read_bytes() == before and (tmp_path / "list.txt").read_text() == "photos/a.png\n"


def test_drawings_of_an_earlier_run_are_no_inputs(facetag, tmp_path):
    (tmp_path / "photos").mkdir()
    png(tmp_path / "photos" / "a.png")
    for words in (("--draw", "photos/drawn"), ()):
        code, out, _ = facetag("predict", "photos", *words)
        assert code == ExitCode.OK and {record.path for record in read_csv(out)} == {"photos/a.png"}
    assert len(list((tmp_path / "photos" / "drawn").iterdir())) == 1

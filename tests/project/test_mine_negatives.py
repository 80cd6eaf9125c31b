"""The list of hard negatives is what a model answers, less the pictures that show a face."""

import csv
import sys

import mine_negatives
import numpy as np
import pytest
from PIL import Image

from facetag.datasets.negatives import load_negatives
from facetag.images.decode import read_image

ASTRONAUT = "examples/photos/astronaut.jpg"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A set of two pictures without people, one of which shows somebody after all."""
    monkeypatch.setattr(mine_negatives, "HERE", tmp_path)
    for name in ("hills", "towns"):
        (tmp_path / "data" / "backgrounds" / name).mkdir(parents=True)
    (tmp_path / "data" / "objects" / "lines").mkdir(parents=True)
    root = mine_negatives.Path(__file__).parents[2]
    Image.fromarray(read_image(str(root / ASTRONAUT)).pixels).save(tmp_path / "data/backgrounds/hills/man.png")
    Image.fromarray(np.full((90, 90, 3), 90, np.uint8)).save(tmp_path / "data/backgrounds/towns/bare.png")
    Image.fromarray(np.full((90, 90, 3), 90, np.uint8)).save(tmp_path / "data/objects/lines/bare.png")
    return tmp_path / "data"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mine_negatives.py", *map(str, arguments)])
    mine_negatives.main()


def test_places_are_found_shown_kept_and_counted(data, tmp_path, monkeypatch, capsys):
    candidates, negatives, faces = (tmp_path / name for name in ("candidates.csv", "negatives.csv", "faces.csv"))
    run(monkeypatch, "find", "--data", data, "--out", candidates)
    rows = list(csv.DictReader(candidates.read_text().splitlines()))
    assert {row["file"] for row in rows} == {"backgrounds/hills/man.png"} and float(rows[0]["score"]) > 0.5
    run(monkeypatch, "show", "--data", data, "--candidates", candidates, "--out", tmp_path / "sheets")
    sheet = read_image(str(tmp_path / "sheets" / "0.png")).pixels
    assert sheet.shape == (88, 76 * 20, 3) and sheet[:76, :76].std() > 20

    faces.write_text("file\n")
    kept = data / "negatives.csv"
    run(monkeypatch, "keep", "--candidates", candidates, "--faces", faces, "--out", kept)
    assert len(load_negatives(kept).positions) == len(rows)
    capsys.readouterr()
    run(monkeypatch, "count", "--data", data, "--candidates", kept)
    table = [line.split("\t") for line in capsys.readouterr().out.strip().splitlines()]
    assert ["hills", str(len(rows)), str(len(rows))] in table

    faces.write_text("file\nbackgrounds/hills/man.png\n")
    run(monkeypatch, "keep", "--candidates", candidates, "--faces", faces, "--out", negatives)
    left = load_negatives(negatives)
    assert left.positions == [] and left.with_faces == {tmp_path / "backgrounds/hills/man.png"}


def test_pictures_in_which_another_detector_sees_a_face_are_left_out(tmp_path, monkeypatch, capsys):
    candidates, found, faces, out = (
        tmp_path / name for name in ("candidates.csv", "found.csv", "faces.csv", "out.csv")
    )
    rows = [f"hills/{name}.png,1,2,30,40,0.9,hills" for name in ("man", "doll", "bare")]
    candidates.write_text("\n".join(["file,x,y,width,height,score,kind", *rows]) + "\n")
    found.write_text(
        "file,x,y,width,height,score\nhills/man.png,1,2,30,40,0.6\nhills/doll.png,1,2,9,9,0.1\nhills/bare.png,,,,,\n"
    )
    faces.write_text("file\n")
    run(monkeypatch, "keep", "--candidates", candidates, "--faces", faces, "--found", found, "--out", out)
    assert capsys.readouterr().out == "2 places; 1 pictures with a face left out\n"
    left = load_negatives(out)
    assert {path.name for path, _ in left.positions} == {"doll.png", "bare.png"}
    assert {path.name for path in left.with_faces} == {"man.png"}

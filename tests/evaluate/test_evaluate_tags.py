import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facetag.attributes import ATTRIBUTES
from facetag.cli.commands.eval import app
from facetag.datasets.tags import TagLabels, labeled_images_of, load_tags_csv
from facetag.datasets.webfaces import split_half
from facetag.errors import DataError
from facetag.evaluate.attributes import Tagged, tag_images
from facetag.evaluate.report import plain_text, tag_json, tag_tables
from facetag.evaluate.sheet import BAD, GOOD, mistake_tiles
from facetag.evaluate.tags import measure_tags
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.localization.center_localizer import localizer_of
from facetag.model import load_model
from facetag.tagger import Tagger

MALE, SMILING = ATTRIBUTES.index("Male"), ATTRIBUTES.index("Smiling")
FACE = Detection(Box(10, 10, 20, 25), 0.9)


def write(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_labels_are_present_absent_or_unknown(tmp_path):
    labels = load_tags_csv(write(tmp_path, "smiling,whatever,path,Male\n1,x,a.jpg,-1\n,y,b.jpg, 0\n"))
    assert labels.files == ["a.jpg", "b.jpg"]
    assert labels.attributes == [MALE, SMILING]
    assert labels.values[:, [MALE, SMILING]].tolist() == [[0, 1], [0, -1]]
    assert (np.delete(labels.values, [MALE, SMILING], axis=1) == -1).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: needs the column file once"),
        ("file,Male\n", "has no rows"),
        ("file,Men\na.jpg,1\n", "line 1: no column is called like an attribute"),
        ("file,Male,male\na.jpg,1,1\n", "line 1: needs the column male once"),
        ("file,Male\na.jpg,0.7\n", "line 2: '0.7' is no label"),
        ("file,Male\na.jpg,1\na.jpg,0\n", "line 3: a.jpg has a row already"),
        ("file,Male\n,1\n", "line 2: no file name"),
        ("file,Male\na.jpg\n", "line 2: 1 fields where 2 belong"),
    ],
)
def test_what_is_no_label_is_one_line(tmp_path, text, says):
    with pytest.raises(DataError, match=says):
        load_tags_csv(write(tmp_path, text))


def answers(*rows: dict[int, float] | None) -> Tagged:
    """Probabilities by attribute, 0.1 where not said; None where no face was found."""
    probabilities = np.full((len(rows), len(ATTRIBUTES)), np.nan)
    for place, row in enumerate(rows):
        if row is not None:
            probabilities[place] = [row.get(index, 0.1) for index in range(len(ATTRIBUTES))]
    faces = [None if row is None else FACE for row in rows]
    return Tagged(faces, probabilities, np.nan_to_num(probabilities) >= 0.5)


def labelled(*rows: dict[int, int]) -> TagLabels:
    values = np.array([[row.get(index, -1) for index in range(len(ATTRIBUTES))] for row in rows], np.int8)
    files = [f"{place}.png" for place in range(len(rows))]
    return TagLabels(files, sorted({index for row in rows for index in row}), values)


def test_what_nobody_can_say_and_what_was_not_found_counts_for_nothing():
    labels = labelled({MALE: 1, SMILING: 1}, {MALE: 0}, {MALE: 1}, {MALE: 1, SMILING: 0}, {MALE: 0, SMILING: -1})
    tagged = answers({MALE: 0.9, SMILING: 0.2}, {MALE: 0.8}, {MALE: 0.3}, None, {MALE: 0.1, SMILING: 0.9})
    report = measure_tags(tagged, labels)
    assert (report.images, report.missed) == (5, 1)
    male, smiling = report.rows
    assert (male.name, male.images, male.positives) == ("Male", 4, 2)
    assert (male.recall, male.specificity, male.metrics.accuracy[0]) == (0.5, 0.5, 0.5)
    assert (smiling.images, smiling.recall) == (1, 0)
    assert np.isnan(smiling.specificity)
    text = plain_text(tag_tables(report)[0])
    assert "5 photographs, 1 without a face found" in text
    assert text.splitlines()[-1].split()[:5] == ["Smiling", "1", "1", "0.0", "-"]
    assert tag_json(report)["attributes"]["Male"]["balanced_accuracy"] == 0.5


def test_no_face_and_no_label():
    with pytest.raises(DataError, match="no photograph with a face has a label"):
        measure_tags(answers(None), labelled({MALE: 1}))


def write_pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{place}.png" for place in range(count)]
    for place, path in enumerate(paths):
        picture = np.random.default_rng(place).integers(0, 256, (60, 50, 3), np.uint8)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return paths


def test_the_surest_mistakes_come_first(tmp_path):
    paths = write_pictures(tmp_path, 4)
    labels = labelled({MALE: 0, SMILING: 1}, {MALE: 0}, {MALE: 1}, {MALE: 1})
    tagged = answers({MALE: 0.7, SMILING: 0.9}, {MALE: 0.95}, {MALE: 0.9}, None)
    first, second = mistake_tiles(paths, tagged, labels, 9)
    assert first.lines == [("Male 0.95", BAD)]
    assert second.lines == [("Male 0.70", BAD), ("Smiling 0.90", GOOD)]
    assert [box for box, _ in first.boxes] == [FACE.box]
    assert len(mistake_tiles(paths, tagged, labels, 1)) == 1


def test_photographs_of_a_half(tmp_path):
    paths = write_pictures(tmp_path, 8)
    labels = labelled(*({MALE: 1} for _ in paths))
    chosen, where = labeled_images_of(labels, tmp_path, "tune")
    assert where == [path for path in paths if split_half(path) == "tune"]
    assert chosen.files == [path.name for path in where] and len(chosen.values) == len(where)
    assert labeled_images_of(labels, tmp_path)[1] == paths
    (tmp_path / "7.png").unlink()
    with pytest.raises(DataError, match=r"7\.png is not there"):
        labeled_images_of(labels, tmp_path)


def test_a_tile_shows_its_surest_mistake_above_all_others(tmp_path):
    paths = write_pictures(tmp_path, 1)
    labels = labelled(dict.fromkeys(range(len(ATTRIBUTES)), 0))
    tagged = answers({**dict.fromkeys(range(9), 0.55), MALE: 0.99, SMILING: 0.4})
    (tile,) = mistake_tiles(paths, tagged, labels, 1)
    assert tile.lines[0] == ("Male 0.99", BAD)
    assert [text.split()[1] for text, _ in tile.lines[1:10]] == ["0.55"] * 9
    assert tile.lines[10] == ("Smiling 0.40", GOOD)


def test_the_command(tmp_path, model_folder):
    write_pictures(tmp_path, 3)
    words = ["--images", tmp_path, "--model", model_folder, "--quiet"]
    sheet, figures = tmp_path / "sheet.png", tmp_path / "figures.json"

    def ask(labels: Path) -> tuple[dict, str]:
        result = CliRunner().invoke(app, ["tags", *map(str, [labels, *words, "--sheet", sheet, "--json", figures])])
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith(f"model random, labels {labels}, half all, precision float32\n")
        return json.loads(figures.read_text()), result.stderr

    localizer, tagger = localizer_of(load_model(str(model_folder))), Tagger(load_model(str(model_folder)))
    said = tag_images([tmp_path / f"{place}.png" for place in range(3)], localizer.dominant, tagger).present
    right = [f"{place}.png,{row[MALE]:d},{row[SMILING]:d}\n" for place, row in enumerate(said)]
    data, error = ask(write(tmp_path, "file,Male,Smiling\n" + "".join(right)))
    assert (data["photographs"], data["half"]) == (3, "all")
    assert {row["accuracy"] for row in data["attributes"].values()} == {1.0}
    assert set(data["attributes"]) == {"Male", "Smiling"}
    assert not sheet.exists() and "no answer is wrong" in error
    wrong = [f"{place}.png,{not row[MALE]:d},\n" for place, row in enumerate(said)]
    data, error = ask(write(tmp_path, "file,Male,Smiling\n" + "".join(wrong)))
    assert data["attributes"]["Male"]["accuracy"] == 0
    assert set(data["attributes"]) == {"Male"} and sheet.exists() and error == ""

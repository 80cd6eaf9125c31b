import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.datasets.webfaces import AnnotatedImage
from facetag.evaluate import report
from facetag.evaluate.attributes import AttributeReport, GroupReport
from facetag.evaluate.box_calibration import BoxCalibration, CenterBoxCalibration, Fitted, Scoring
from facetag.evaluate.localization import Examined, measure_localization
from facetag.evaluate.report import Table, plain_text, to_json
from facetag.evaluate.speed import Comparison, Counts, SpeedReport
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.localization.center_localizer import CenterLocalizerSettings
from facetag.localization.lnet_localizer import LocalizerSettings
from facetag.localization.response_maps import PeakSettings
from facetag.method.attribute_metrics import AttributeMetrics
from facetag.settings import settings_from

FACE = Box(0, 0, 40, 50)
EXAMINED = [
    Examined(AnnotatedImage(Path("a"), (FACE,), "tune"), [Detection(FACE, 0.75)], 100),
    Examined(AnnotatedImage(Path("b"), (FACE, FACE.shifted(80, 0)), "tune"), [], 200),
]


def attribute_report() -> AttributeReport:
    size = len(ATTRIBUTES)
    half = np.full(size, 0.5)
    f1 = half.copy()
    f1[0] = math.nan
    metrics = AttributeMetrics(np.linspace(0, 1, size), half, f1, half, half, half, half)
    return AttributeReport(4, 1, 0.625, metrics, np.arange(size), [GroupReport("Male, not Young", 3, metrics)])


def test_columns_are_aligned_and_nothing_trails():
    table = Table("Title", ("name", "x"), [("a", "1.0"), ("longer", "-")])
    assert plain_text(table) == "Title\nname      x\na       1.0\nlonger    -"


def test_json_has_null_for_what_is_not_defined_and_plain_numbers():
    text = to_json({"a": math.nan, "b": np.float64(1 / 3), "c": np.int64(3), "d": np.array([1, 2]), "e": (True, "é")})
    assert json.loads(text) == {"a": None, "b": 0.3333333, "c": 3, "d": [1, 2], "e": [True, "é"]}


def test_attribute_table():
    table, groups = report.attribute_tables(attribute_report())
    assert groups.rows == [("Male, not Young", "3", "50.0", "50.0", "50.0", "50.0", "50.0", "50.0")]
    assert groups.columns[2:] == table.columns[1:]
    assert table.title.startswith("4 pictures, 1 without a face found (decided as the commoner values)")
    assert "0.62" in table.title
    assert len(table.rows) == 41
    assert table.rows[0] == (ATTRIBUTES[0], "0.0", "50.0", "50.0", "-", "50.0", "50.0")
    assert table.rows[-1][:2] == ("mean", "50.0")
    assert len(table.columns) == len(table.rows[0])
    warned, _ = report.attribute_tables(attribute_report(), "careful")
    assert warned.title == f"{table.title}\ncareful"


def test_attribute_json_keys_every_metric_by_attribute():
    data = json.loads(to_json(report.attribute_json(attribute_report())))
    assert list(data["attributes"]) == list(ATTRIBUTES)
    assert data["attributes"]["Young"]["accuracy"] == 1
    assert data["attributes"]["Young"]["positives"] == 39
    assert data["attributes"][ATTRIBUTES[0]]["f1"] is None
    assert data["groups"]["Male, not Young"]["pictures"] == 3 and data["groups"]["Male, not Young"]["accuracy"] == 0.5
    assert data["mean"]["accuracy"] == 0.5 and data["mean_iou_with_aligned_box"] == 0.625


def test_localization_tables():
    overview, *others = report.localization_tables(measure_localization(EXAMINED, 0.5))
    assert overview.rows[0] == ("photographs with one face", "1", "1", "0", "0.00", "100.0")
    assert overview.rows[1] == ("all photographs", "2", "3", "1", "0.00", "50.0")
    assert [len(table.rows) for table in others] == [7, 13, 7, 13]
    for table in others:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert others[2].rows[2] == ("0.5", *["33.3"] * 7)
    assert ("0.2-0.3 of the longer side", "2", "0.0") in others[3].rows
    assert ("32-64 px", "3", "33.3") in others[3].rows
    assert ("256+ px", "0", "-") in others[3].rows


def test_localization_json():
    data = json.loads(to_json(report.localization_json(measure_localization(EXAMINED, 0.5))))
    whole = data["all"]
    assert (data["score"], whole["faces"], whole["empty"], whole["surest_box_centred_in_a_face"]) == (0.5, 3, 1, 0.5)
    assert whole["recall_by_iou"]["0.5"] == whole["recall_by_iou_and_false_positives"]["0.7"]["0.01"] == 0.3333333
    assert whole["recall_by_pixels"]["32-64"] == {"faces": 3, "recall": 0.3333333}
    assert whole["recall_by_share_of_longer_side"]["0.9+"] == {"faces": 0, "recall": None}
    assert data["single"]["photographs"] == 1


def test_speed_tables():
    comparison = Comparison("nine views", 9, Counts(200, 100, 400), 0.004, 0.001, 0.0, 2e-7)
    interweaved, stages = report.speed_tables(SpeedReport("cpu", 2, (comparison,), 0.035, 3, 0.014, 0.02))
    assert "cpu, 2 threads" in interweaved.title
    assert interweaved.rows == [("nine views", "9", "2.00", "0.50", "4.00", "1.00", "4.00", "0e+00", "2e-07")]
    assert len(interweaved.columns) == 9
    assert [row[1] for row in stages.rows] == ["35.00", "14.00", "20.00"]
    data = report.speed_json(SpeedReport("cpu", 2, (comparison,), 0.035, 3, 0.014, 0.02))
    assert json.loads(to_json(data))["comparisons"][0]["counts"] == {"patches": 200, "shipped": 100, "full_maps": 400}


def test_the_printed_convention_is_a_recipes_localizer():
    head = Fitted(PeakSettings(threshold=0.1, refine=2, height=51.23456789), 0.9, 0.75)
    face = Fitted(PeakSettings(smooth=1.0, ratio=0.8, right=-0.02, down=0.31, mirror=True), 0.8, 0.7)
    convention = BoxCalibration(100, head, face, Scoring(1.5, -0.123456789, 0.6, 0.85))
    text = report.box_calibration_toml(convention)
    settings = settings_from(LocalizerSettings, tomllib.loads(text)["localizer"], "text")
    assert settings.head_region == PeakSettings(threshold=0.1, refine=2, height=51.235)
    assert settings.face == face.settings
    assert (settings.slope, settings.offset, settings.score) == (1.5, -0.12346, 0.6)
    assert "# Fitted on 100 photographs" in text and "# head_region: recall at IoU 0.5 90.0 %" in text
    assert "# score: 85.0 % of the faces found at 0.1 false positives an image" in text
    data = json.loads(to_json(report.box_calibration_json(convention)))
    assert data["scoring"] == {"slope": 1.5, "offset": -0.1234568, "score": 0.6, "recall": 0.85}
    assert data["face"]["settings"]["down"] == 0.31 and data["head"]["recall"] == pytest.approx(0.9)


def test_the_convention_of_heads_alone_says_nothing_of_faces_and_scores():
    alone = BoxCalibration(7, Fitted(PeakSettings(), 0.9, 0.75), None, None)
    values = tomllib.loads(report.box_calibration_toml(alone))["localizer"]
    assert set(values) == {"head_region"}
    assert settings_from(LocalizerSettings, values, "text").head_region == PeakSettings()
    data = json.loads(to_json(report.box_calibration_json(alone)))
    assert data["face"] is data["scoring"] is None and data["head"]["recall"] == 0.9


def test_the_printed_convention_of_a_centre_network_is_a_recipes_section():
    fitted = CenterLocalizerSettings(input_size=192, height=1.23456789, right=-0.02, down=0.31, slope=9.0, score=0.9)
    convention = CenterBoxCalibration(50, fitted, Scoring(1.5, -0.123456789, 0.6, 0.85))
    text = report.box_calibration_toml(convention)
    values = tomllib.loads(text)
    assert set(values) == {"center_localizer"}
    settings = settings_from(CenterLocalizerSettings, values["center_localizer"], "text")
    assert (settings.height, settings.right, settings.down) == (1.2346, -0.02, 0.31)
    assert (settings.slope, settings.offset, settings.score) == (1.5, -0.12346, 0.6)
    assert text.startswith("# Fitted on 50 photographs with one face.\n")
    assert "# score: 85.0 % of the faces found at 0.1 false positives an image" in text
    data = json.loads(to_json(report.box_calibration_json(convention)))
    assert data["photographs"] == 50 and data["settings"]["input_size"] == 192
    assert data["scoring"] == {"slope": 1.5, "offset": -0.1234568, "score": 0.6, "recall": 0.85}

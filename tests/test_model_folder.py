"""Attributes and groups are a model's own."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facetag import FaceTagger, cli, read_results
from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.errors import ExitCode, ModelError
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model import load_model, save_model
from facetag.model_folder import attributes_of, find_model, read_description, read_facts
from models import CARD, tiny_model

NAMES = ("Laughing", "Hat", "Beard")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of three attributes of its own."""
    made = tiny_model()
    svm = LinearSVM(made.svm.weights[:3], made.svm.bias[:3], made.svm.mean, made.svm.scale)
    calibration = Calibration(made.calibration.slope[:3], made.calibration.intercept[:3])
    own = replace(
        made,
        svm=svm,
        calibration=calibration,
        thresholds=np.array([0.5, 0.25, 0.75]),
        attributes=NAMES,
        groups={"worn": ("Hat",)},
    )
    folder = tmp_path_factory.mktemp("models") / "own"
    save_model(own, folder, CARD)
    return folder


def test_a_model_answers_its_own_attributes(folder):
    tagger = FaceTagger(folder, device="cpu", aligned=True, attributes=["WORN", "beard"])
    assert load_model(str(folder)).groups == {"worn": ("Hat",)} and tagger.attributes == ("Hat", "Beard")
    (face,) = tagger(np.zeros((218, 178, 3), np.uint8)).faces
    assert tuple(face.probabilities) == ("Hat", "Beard")
    assert face.tags == tuple(n for n, least in (("Hat", 0.25), ("Beard", 0.75)) if face.probabilities[n] >= least)


def test_the_commands_speak_of_its_attributes(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)).save("a.png")
    words = ["a.png", "--model", str(folder), "--aligned", "--threshold", "hat=0.4", "--device", "cpu"]
    assert cli.run(["predict", *words, "--out", "a.csv", "-q"]) == ExitCode.OK
    (result,) = read_results("a.csv", NAMES)
    assert tuple(result.faces[0].probabilities) == NAMES
    assert cli.run(["predict", *words, "--attributes", "Smiling"]) == ExitCode.USAGE
    assert "no attribute or group is called 'Smiling'" in capsys.readouterr().err
    assert cli.run(["schema", "--model", str(folder)]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["$defs"]["attribute"]["enum"] == list(NAMES)
    assert cli.run(["attributes", "--model", str(folder)]) == ExitCode.OK
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["Laughing", "0.5000"], ["Hat", "worn", "0.2500"], ["Beard", "0.7500"]
    ]  # fmt: skip


def test_the_shipped_models_have_celebas_forty(capsys):
    for name in ("fast", "fast-box-free", "faithful"):
        assert attributes_of(read_description(find_model(name))) == (ATTRIBUTES, GROUPS)
    assert cli.run(["attributes"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 41 and lines[0].split() == ["ATTRIBUTE", "GROUP", "THRESHOLD"]
    assert lines[1].split()[:2] == ["5_o_Clock_Shadow", "facial_hair"]


def test_a_description_without_attributes_is_of_celebas_forty():
    assert attributes_of({}) == (ATTRIBUTES, GROUPS)
    assert attributes_of({"attributes": ["Hat"]}) == (("Hat",), {})


@pytest.mark.parametrize(
    "description",
    [
        {"attributes": ["Hat", "Hat"]},
        {"attributes": ["a,b"]},
        {"attributes": [1]},
        {"attributes": []},
        {"attributes": ["Hat"], "groups": {"worn": "Hat"}},
        {"attributes": ["Hat"], "groups": {"worn": [["Hat"]]}},
        {"attributes": ["Hat"], "groups": {"worn": ["Shoe"]}},
        {"attributes": ["Hat"], "groups": ["Hat"]},
    ],
)
def test_malformed_attributes_are_said(description):
    with pytest.raises(ModelError, match="attributes or groups"):
        attributes_of(description)


def test_a_description_of_any_depth_is_one_line(tmp_path):
    for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit()):  # some can be read, but not written
        text = '{"format": 2, "name": "deep", "x": ' + "[" * depth + "]" * depth + "}"
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ModelError):
            read_facts(str(tmp_path))

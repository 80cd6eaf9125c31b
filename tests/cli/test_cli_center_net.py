"""The commands with a model behind a centre network, on pictures that the tests make and random weights."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import run_eval as run
from photographs import picture, png, save
from readback import read_bytes, read_csv, read_jsonl

from facetag import cli
from facetag.attributes import ATTRIBUTES
from facetag.errors import ExitCode, UsageError
from facetag.evaluate import box_calibration, speed
from facetag.evaluate.box_calibration import CenterBoxCalibration, Scoring
from facetag.localization.center_localizer import localizer_of
from facetag.model import save_model
from facetag.networks.execution.device import is_half
from models import CARD, center_model


def test_predict_and_localize_find_what_the_centre_network_finds(facetag, center_folder):
    png("a.png")
    code, out, _ = facetag("localize", "a.png", model=center_folder)
    (located,) = read_csv(out)
    assert code == ExitCode.OK and all(face.probabilities == {} for face in located.faces)
    image = picture()
    (expected,) = localizer_of(center_model())([image])
    shown = [face.box.clipped(image.shape[1], image.shape[0]) for face in expected]
    assert [face.score for face in located.faces] == pytest.approx([face.score for face in expected], abs=1e-3)
    assert [face.box.height for face in located.faces] == pytest.approx([box.height for box in shown], abs=0.1)
    (tagged,) = read_csv(facetag("predict", "a.png", model=center_folder)[1])
    assert [(face.box, face.score) for face in tagged.faces] == [(face.box, face.score) for face in located.faces]
    assert len(tagged.faces) > 1 and all(tuple(face.probabilities) == ATTRIBUTES for face in tagged.faces)
    (dominant,) = read_csv(facetag("predict", "a.png", "--faces", "dominant", model=center_folder)[1])
    assert dominant.faces == tagged.faces[:1]


def test_a_thorough_search_is_another_question(facetag, model_folder, tmp_path):
    known = center_model()
    settings = {
        **known.localizer,
        "input_size": 64,
        "small": 64,
        "finer_sizes": [96],
        "triggers": [30.0],
        "thorough": [128],
    }
    model = tmp_path / "searching"
    save_model(replace(known, localizer=settings), model, CARD)
    png("a.png")
    found = {}
    for faces in ("all", "thorough"):
        code, out, _ = facetag("localize", "a.png", "--faces", faces, model=model)
        assert code == ExitCode.OK
        (found[faces],) = read_csv(out)
    assert len(found["thorough"].faces) > len(found["all"].faces)
    for faces in ("all", "thorough"):  # the second does not go on from the first
        facetag("localize", "a.png", "--out", "a.csv", "--faces", faces, model=model)
        assert read_csv(Path("a.csv").read_text())[0].faces == found[faces].faces
    code, _, said = facetag("localize", "a.png", "--faces", "thorough", model=model_folder)
    assert code == ExitCode.USAGE and "has LNets; use --model fast" in said


def test_the_same_bytes_whatever_the_batch_and_the_workers(facetag, center_folder, tmp_path):
    (tmp_path / "in").mkdir()
    for number, (height, width) in enumerate([(90, 120), (120, 90), (90, 120), (16, 16), (200, 300)]):
        save(f"in/{number}.png", picture(number, height, width))
    documents = {
        facetag("localize", "in", "--batch", batch, "--workers", workers, model=center_folder)[1]
        for batch, workers in [(1, 1), (3, 2)]
    }
    assert len(documents) == 1 and documents.pop().count("ok") >= 5


def test_another_model_is_another_basis(facetag, model_folder, center_folder, tmp_path):
    png("a.png")
    answers = []
    for folder in (model_folder, center_folder):
        assert facetag("localize", "a.png", "--out", "faces.jsonl", model=folder)[0] == ExitCode.OK
        answers.append(read_bytes("jsonl", (tmp_path / "faces.jsonl").read_bytes()))
    assert answers[0] != answers[1]


@pytest.mark.parametrize("kind", ["lnets", "center_net"])
def test_bfloat16_answers_nearly_the_same_and_asks_anew(facetag, model_folder, center_folder, tmp_path, kind):
    png("a.png")
    folder = model_folder if kind == "lnets" else center_folder
    answers = []
    for precision in ("float32", "bfloat16"):
        code, _, said = facetag("predict", "a.png", "--precision", precision, "--out", "tags.jsonl", model=folder)
        assert code == ExitCode.OK and "1 of 1" not in said
        (record,) = read_bytes("jsonl", (tmp_path / "tags.jsonl").read_bytes())
        answers.append(record.faces[0])
    whole, half = answers
    assert whole.score != half.score  # what finds faces is in bfloat16 too
    assert whole.box.iou(half.box) > 0.8 and abs(whole.score - half.score) < 0.05
    differences = [abs(whole.probabilities[name] - half.probabilities[name]) for name in ATTRIBUTES]
    assert 0 < max(differences) < 0.1


def test_localize_takes_the_precision_too(facetag, center_folder):
    png("a.png")
    whole, half = (facetag("localize", "a.png", "--precision", p, model=center_folder) for p in ("float32", "bfloat16"))
    assert whole[0] == half[0] == ExitCode.OK and whole[1] != half[1]


def test_a_gpu_without_bfloat16_is_refused_and_a_processor_without_it_told(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(UsageError, match=r"^cuda:0 has no bfloat16; use --precision float32$"):
        is_half("bfloat16", torch.device("cuda", 0))
    for supported in (lambda: False, lambda: True):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", supported)
        caplog.clear()
        assert is_half("bfloat16", torch.device("cpu")) and not is_half("float32", torch.device("cpu"))
        assert ("float32 would be faster" in caplog.text) is not supported()


def test_drawings_of_a_centre_network_are_of_boxes_alone(facetag, center_folder, tmp_path):
    png("a.png")
    code, out, _ = facetag("localize", "a.png", "--draw", "drawn", "--format", "jsonl", model=center_folder)
    assert code == ExitCode.OK and read_jsonl(out)[0].faces
    assert len(list((tmp_path / "drawn").iterdir())) == 1


def test_model_verify_and_info_of_a_centre_network(center_folder, capsys):
    assert cli.run(["model", "verify", str(center_folder)]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("center_net: whole, digest ")
    assert cli.run(["model", "info", str(center_folder)]) == ExitCode.OK
    assert '"input_size": 128' in capsys.readouterr().out


def test_eval_localization(photographs, center_folder):
    result = run("localization", "--images", photographs, "--half", "all", "--model", center_folder, "--json", "-")
    data = json.loads(result.stdout)
    assert (data["model"], data["score"], data["all"]["photographs"]) == ("center_net", 0.5, 6)


def test_eval_attributes(celeba, center_folder):
    result = run("attributes", "--data", celeba, "--model", center_folder, "--limit", 1, "--json", "-", "--quiet")
    data = json.loads(result.stdout)
    assert (data["pictures"], data["mode"], set(data["attributes"])) == (1, "cascade", set(ATTRIBUTES))
    assert data["mean_iou_with_aligned_box"] < 1


def test_eval_speed(center_folder, monkeypatch):
    monkeypatch.setattr(speed, "IMAGE_SIZE", 72)
    result = run("speed", "--model", center_folder, "--repeats", 1)
    assert result.exit_code == 0 and "localisation" in result.stdout


def test_eval_convention_prints_the_section_of_a_centre_network(photographs, center_folder, monkeypatch):
    def fit(localizer, chosen, progress, heads_alone):
        assert not heads_alone and localizer.settings.input_size == 128
        return CenterBoxCalibration(len(chosen), localizer.settings, Scoring(1.5, 0.25, 0.6, 0.8))

    monkeypatch.setattr(box_calibration, "fit_box_calibration", fit)
    result = run("convention", "--images", photographs, "--model", center_folder, "--limit", 2, "--quiet")
    settings = tomllib.loads(result.stdout)["center_localizer"]
    assert (settings["height"], settings["slope"], settings["score"]) == (1, 1.5, 0.6)

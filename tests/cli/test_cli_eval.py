import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import pytest
import torch
from commands import run_eval as run

from facetag.attributes import ATTRIBUTES
from facetag.cli.commands import eval as eval_commands
from facetag.cli.commands import measuring
from facetag.datasets.webfaces import split_half
from facetag.errors import DataError, FacetagError, ModelError, UsageError
from facetag.evaluate import box_calibration
from facetag.evaluate.box_calibration import BoxCalibration, Fitted, Scoring
from facetag.evaluate.card import BEGIN, END
from facetag.localization.response_maps import PeakSettings


@pytest.mark.parametrize("mode", ["cascade", "crops"])
def test_attributes(celeba, model_folder, tmp_path, mode):
    out = tmp_path / "figures.json"
    result = run("attributes", "--data", celeba.parent, "--model", model_folder, "--mode", mode, "--json", out)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"model random, partition test, mode {mode}, precision float32"
    assert lines[2].startswith("2 pictures, ")
    assert sum(line.startswith("mean ") for line in lines) == 1
    assert sum(group["pictures"] for group in json.loads(out.read_text())["groups"].values()) == 2
    assert "2/2 pictures" in result.stderr
    data = json.loads(out.read_text())
    assert (data["pictures"], data["partition"], data["mode"]) == (2, "test", mode)
    assert set(data["attributes"]) == set(ATTRIBUTES)
    assert data["mean_iou_with_aligned_box"] == 1 if mode == "crops" else data["mean_iou_with_aligned_box"] < 1
    arguments = ("--data", celeba.parent, "--model", model_folder, "--mode", mode, "--partition", "val")
    assert "careful: SVMs and thresholds were fitted" not in result.stdout
    assert "careful: SVMs and thresholds were fitted" in run("attributes", *arguments).stdout


@pytest.mark.parametrize(("partition", "careful"), [("val", "SVMs and thresholds were fitted"), ("test", None)])
def test_robustness(celeba, model_folder, tmp_path, partition, careful):
    out = tmp_path / "figures.json"
    arguments = ("--model", model_folder, "--partition", partition, "--seed", 3, "--json", out, "--limit", 1)
    result = run("robustness", "--data", celeba.parent, *arguments)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"model random, partition {partition}, seed 3"
    assert lines[2].startswith("1 aligned pictures, ")
    assert (careful in lines[3]) if careful else lines[3].startswith("disturbance ")
    assert lines[-1].startswith("shrunk face 20 px high ")
    data = json.loads(out.read_text())
    assert (data["pictures"], data["partition"], data["seed"]) == (1, partition, 3)
    assert data["disturbances"][0]["kind"] == "undisturbed"


@pytest.mark.parametrize("command", ["robustness", "speed"])
def test_robustness_and_speed_are_drawn_and_have_a_page(celeba, model_folder, tmp_path, command):
    where = ("--data", celeba.parent, "--limit", 1) if command == "robustness" else ("--repeats", 1)
    drawn, page, table = tmp_path / "drawn.png", tmp_path / "page.html", tmp_path / "numbers.csv"
    result = run(command, *where, "--model", model_folder, "--picture", drawn, "--page", page, "--csv", table)
    assert result.exit_code == 0
    assert min(cv2.imread(str(drawn)).shape[:2]) > 300
    assert "data:image/png;base64," in page.read_text() and "http" not in page.read_text().replace("http-equiv", "")
    assert table.read_text().startswith("name,value\n")


def test_json_alone_on_standard_output(celeba, model_folder):
    arguments = ("--model", model_folder, "--partition", "val", "--limit", 1, "--json", "-", "--quiet")
    result = run("attributes", "--data", celeba, *arguments)
    assert json.loads(result.stdout)["pictures"] == 1
    assert result.stderr == ""


def test_localization_of_a_half_with_a_sheet(photographs, model_folder, tmp_path):
    for half in ("tune", "test", "all"):
        expected = [path for path in photographs.glob("*.png") if half in ("all", split_half(path))]
        arguments = ("--half", half, "--model", model_folder, "--json", "-", "--sheet", tmp_path / f"{half}.png")
        result = run("localization", "--images", photographs, "--boxes", photographs / "boxes.csv", *arguments)
        data = json.loads(result.stdout)
        assert data["half"] == half
        assert data["all"]["photographs"] == len(expected) > 0
        assert (tmp_path / f"{half}.png").stat().st_size > 1000


def test_localization_is_of_the_tuning_half_unless_asked(photographs, model_folder):
    result = run("localization", "--images", photographs, "--model", model_folder)
    assert result.stdout.startswith("model random, half tune, faces all, precision float32, missing 0, duplicates 0\n")
    assert "photographs with one face: recall (percent) by IoU" in result.stdout


def test_convention_prints_a_recipes_sections(photographs, model_folder, monkeypatch):
    """What is fitted is another test's business: a random net responds anywhere."""

    def fit(localizer, chosen, progress, heads_alone):
        assert not heads_alone and localizer.settings.input_sizes == (99, 195)
        head, face = (Fitted(PeakSettings(height=height), 0.9, 0.7) for height in (50.0, 60.0))
        return BoxCalibration(len(chosen), head, face, Scoring(1.5, 0.25, 0.6, 0.8))

    monkeypatch.setattr(box_calibration, "fit_box_calibration", fit)
    result = run("convention", "--images", photographs, "--model", model_folder, "--limit", 2, "--quiet")
    settings = tomllib.loads(result.stdout)["localizer"]
    assert settings["head_region"]["height"] == 50 and settings["face"]["height"] == 60
    assert (settings["slope"], settings["offset"], settings["score"]) == (1.5, 0.25, 0.6)
    assert "# Fitted on 2 photographs" in result.stdout


def test_convention_cannot_be_fitted_on_the_test_half(photographs, model_folder):
    result = run("convention", "--images", photographs, "--model", model_folder, "--half", "test")
    assert result.exit_code == 2


def test_what_cannot_be_written_is_said_before_anything_is_computed(photographs, tmp_path):
    no_model = ("localization", "--images", photographs, "--model", "no model is asked for")
    with pytest.raises(UsageError, match="not a folder"):
        run(*no_model, "--json", tmp_path / "nowhere" / "figures.json")
    with pytest.raises(UsageError, match="a sheet cannot be written"):
        run(*no_model, "--sheet", tmp_path / "sheet.txt")


@pytest.fixture
def carded(model_folder, tmp_path) -> Path:
    """The random model with a card that has a measured section."""
    folder = shutil.copytree(model_folder, tmp_path / "a model")
    (folder / "CARD.md").write_text(f"# Card\n{BEGIN}\nearlier figures\n{END}\n")
    return folder


def test_the_card_holds_the_command_that_makes_its_figures(celeba, carded):
    assert run("attributes", "--data", celeba, "--model", carded, "--mode", "crops", "--card").exit_code == 0
    card = (carded / "CARD.md").read_text()
    assert f"By `facetag eval attributes --partition test --mode crops --model '{carded}' --card`." in card
    assert "| mean |" in card and "earlier figures" not in card


def test_a_card_is_refused_figures_of_some_pictures(celeba, carded):
    before = (carded / "CARD.md").read_text()
    with pytest.raises(UsageError, match="leave out --limit"):
        run("attributes", "--data", celeba, "--model", carded, "--card", "--limit", 1)
    assert (carded / "CARD.md").read_text() == before


def test_a_card_is_refused_figures_of_another_precision(celeba, carded):
    with pytest.raises(UsageError, match="leave out --precision"):
        run("attributes", "--data", celeba, "--model", carded, "--card", "--precision", "bfloat16")


@pytest.mark.parametrize("command", ["attributes", "localization"])
def test_precision_is_that_of_all_nets(celeba, photographs, model_folder, monkeypatch, command):
    made = []
    making = measuring.cascade_of
    monkeypatch.setattr(eval_commands, "cascade_of", lambda *words: made.append(making(*words)) or made[-1])
    where = ("--data", celeba) if command == "attributes" else ("--images", photographs)
    assert run(command, *where, "--model", model_folder, "--limit", 1, "--precision", "bfloat16").exit_code == 0
    ((_, localizer, tagger),) = made
    assert localizer.dtype == torch.bfloat16 and tagger.extract.half


def test_a_card_that_cannot_be_written_is_said_before_anything_is_computed(tmp_path, carded):
    command = ("attributes", "--data", tmp_path / "no data is asked for", "--model", carded, "--card")
    (carded / "CARD.md").write_text("# Card\n")
    with pytest.raises(ModelError, match="no measured section"):
        run(*command)
    (carded / "CARD.md").unlink()
    with pytest.raises(FacetagError, match=r"cannot write .*CARD\.md: No such file"):
        run(*command)
    (carded / "CARD.md").mkdir()
    with pytest.raises(FacetagError, match=r"cannot write .*CARD\.md: Is a directory"):
        run(*command)


def test_json_that_cannot_be_written_is_one_line(celeba, model_folder, tmp_path):
    with pytest.raises(FacetagError, match=r"^cannot write .*: Is a directory; "):
        run("attributes", "--data", celeba, "--model", model_folder, "--mode", "crops", "--json", tmp_path)


def test_no_data_is_said(tmp_path, model_folder):
    with pytest.raises(DataError):
        run("attributes", "--data", tmp_path, "--model", model_folder)


@pytest.mark.process
def test_help_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from facetag.cli.commands.eval import app\n"
        "for command in ('attributes', 'robustness', 'localization', 'speed', 'convention'):\n"
        "    result = CliRunner().invoke(app, [command, '--help'])\n"
        "    assert 'facetag eval ' + command in result.stdout, result.stdout\n"
        "assert not {'torch', 'cv2', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

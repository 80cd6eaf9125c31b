import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import run_eval as run
from lfwa_files import LABELS, NAMES, write_labels, write_split
from small_celeba import BLOND, write_celeba
from typer.testing import CliRunner

from facetag.attributes import ATTRIBUTES
from facetag.cli.commands.finetune import app as finetune
from facetag.errors import DataError, UsageError
from facetag.evaluate import competitors, plots
from facetag.evaluate.transfer import LEFT_OUT
from facetag.model import load_model
from facetag.networks.anet_heads import AttributeNet, IdentityNet
from facetag.training.checkpoint import BEST, save_best
from facetag.training.competitors.panda import PandaSettings
from facetag.training.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celeba(tmp_path_factory.mktemp("data") / "celeba", (60, 40, 24))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything."""
    monkeypatch.setattr(plots, "DOTS", 40)
    monkeypatch.setattr(competitors, "PANDA", PandaSettings(epochs=1, least_steps=4, batch=16))


def boxes_of(data: Path, path: Path) -> Path:
    """A detector that finds all but the last face."""
    names = sorted(each.name for each in (data / "img_align_celeba").iterdir())
    rows = [f"{name},40,70,90,90,5" for name in names[:-1]] + [f"{names[-1]},,,,,"]
    path.write_text("\n".join(["file,x,y,width,height,score", *rows]) + "\n")
    return path


def test_table_1_has_every_system_and_a_rerun_learns_nothing_anew(data, work, model_folder, tmp_path, monkeypatch):
    boxes, page, numbers = boxes_of(data, tmp_path / "haar.csv"), tmp_path / "table.html", tmp_path / "table.csv"
    asked = ("--data", data, "--work", work, "--model", model_folder, "--mode", "crops", "--boxes", boxes, "--quiet")
    result = run("table", *asked, "--page", page, "--csv", numbers, "--json", tmp_path / "table.json")
    assert result.exit_code == 0
    found = json.loads((tmp_path / "table.json").read_text())
    assert list(found["systems"]) == ["PANDA-w", "constant", "FaceTracer", "PANDA-l", "random, fixed boxes"]
    assert [each["missed"] for each in found["systems"].values()] == [1, 0, 0, 0, 0]
    assert found["persons"] == 9 and found["systems"]["PANDA-w"]["learned_from"] == 60
    tracer = found["systems"]["FaceTracer"]
    assert tracer["attributes"]["Blond_Hair"]["accuracy"] > 0.9
    limits = tracer["intervals"]["accuracy"]
    assert limits["low"] <= limits["value"] <= limits["high"]
    assert found["systems"]["random, fixed boxes"]["behind_the_last"]["value"] == 0
    rows = {row["name"]: row["value"] for row in csv.DictReader(numbers.read_text().splitlines())}
    assert float(rows["systems/constant/means/accuracy"]) == pytest.approx(
        found["systems"]["constant"]["means"]["accuracy"], abs=1e-6
    )
    assert all(text.startswith(("data:", "#")) for text in re.findall(r'(?:src|href)="([^"]{,40})', page.read_text()))
    for name in ("describe_all", "train_facetracer"):
        monkeypatch.setattr(competitors.facetracer, name, None)
    monkeypatch.setattr(competitors.panda, "train_panda", None)
    again = run("table", *asked, "--json", "-")
    assert json.loads(again.stdout)["systems"] == found["systems"]


def test_accuracy_grows_with_the_training_set(data, work, model_folder, tmp_path):
    options = ("--data", data, "--work", work, "--size", 10, "--quiet", "--picture", tmp_path / "sizes.png")
    result = run("sizes", *options, "--model", model_folder, "--json", "-")
    points = json.loads(result.stdout)["points"]
    assert [(point["system"], point["images"]) for point in points] == [
        ("FaceTracer", 10), ("FaceTracer", 60), ("PANDA-l", 10), ("PANDA-l", 100),
        ("SVMs on random's features", 10), ("SVMs on random's features", 40),
    ]  # fmt: skip
    assert points[0]["accuracy"]["value"] < points[1]["accuracy"]["value"]
    assert cv2.imread(str(tmp_path / "sizes.png")).shape[1] > 300


def test_anets_learn_from_few_images_too_with_and_without_identities(data, work, tmp_path, monkeypatch):
    recipe, run_folder = load_recipe("faithful"), tmp_path / "run"
    identities = IdentityNet(3, recipe.anet)
    (run_folder / "anet_identities").mkdir(parents=True)
    save_best(run_folder / "anet_identities", identities, {"step": 1})
    monkeypatch.setattr(competitors, "STEPS", 2)
    asked = ("--data", data, "--work", work, "--size", 30, "--system", "constant", "--run", run_folder, "--quiet")
    found = json.loads(run("sizes", *asked, "--json", "-").stdout)["points"]
    assert [(point["system"], point["images"]) for point in found] == [
        ("ANet from nothing", 30), ("ANet from nothing", 100),
        ("ANet from identities", 30), ("ANet from identities", 100),
    ]  # fmt: skip
    assert found[0]["accuracy"] != found[2]["accuracy"]
    monkeypatch.setattr(competitors, "train_anet", None)
    assert json.loads(run("sizes", *asked, "--json", "-").stdout)["points"] == found
    fewer = json.loads(run("sizes", *asked, "--anet-images", 99, "--json", "-").stdout)["points"]
    assert [point["images"] for point in fewer] == [30, 30]
    (run_folder / "anet_identities" / BEST).unlink()
    with pytest.raises(DataError, match="anet_identities"):
        run("sizes", *asked)


def test_attributes_that_no_net_learned_are_learned_by_svms_alone(data, work, tmp_path, monkeypatch):
    learned = []
    train = competitors.panda.train_panda
    monkeypatch.setattr(competitors.panda, "train_panda", lambda *given: learned.append(given[-1]) or train(*given))
    boxes, page, folder = boxes_of(data, tmp_path / "haar.csv"), tmp_path / "transfer.html", tmp_path / "run"
    (folder / "anet_attributes").mkdir(parents=True)
    save_best(folder / "anet_attributes", AttributeNet(len(ATTRIBUTES), load_recipe("faithful").anet), {"step": 1})
    asked = ("--data", data, "--work", work, "--run", f"ours={folder}", "--boxes", boxes, "--quiet")
    names = ("--left-out", "Blond_Hair", "--left-out", "smiling")
    found = json.loads(run("transfer", *asked, *names, "--json", "-", "--page", page).stdout)
    assert list(found["systems"]) == [
        "constant", "FaceTracer", "PANDA-w", "PANDA-l", "ours, every layer", "ours",
    ]  # fmt: skip
    tracer = found["systems"]["FaceTracer"]
    assert found["systems"]["ours"]["behind_the_last"]["value"] == 0
    assert tracer["learned_from"] == 40 and set(tracer["attributes"]) == {"Blond_Hair", "Smiling"}
    assert tracer["attributes"]["Blond_Hair"]["accuracy"] > 0.9
    assert learned == [("Blond_Hair", "smiling")] * 2 and "Blond_Hair" in page.read_text()
    with pytest.raises(UsageError, match="Blonde"):
        run("transfer", *asked, "--left-out", "Blonde")
    with pytest.raises(UsageError, match="PANDA-w takes its parts from a detector's boxes"):
        run("transfer", "--data", data, "--work", work, "--quiet", "--system", "PANDA-w")


def test_what_is_left_out_is_what_the_study_leaves_out() -> None:
    assert load_recipe(str(ROOT / "studies" / "left_out.toml")).anet_attributes.left_out == LEFT_OUT


def test_what_is_asked_for_must_be_there(data, work, tmp_path):
    asked = ("--data", data, "--work", work, "--quiet")
    with pytest.raises(UsageError, match="no system Panda; name one of constant"):
        run("table", *asked, "--system", "Panda")
    with pytest.raises(UsageError, match="PANDA-w takes its parts from a detector's boxes; give them by --boxes"):
        run("table", *asked, "--system", "PANDA-w")
    with pytest.raises(UsageError, match="nothing to compare"):
        run("sizes", *asked, "--system", "constant")
    with pytest.raises(DataError, match="no image of partition 1"):
        run("table", "--data", write_celeba(tmp_path / "celeba", (3, 0, 3)), "--quiet")


def test_errors_by_sex_and_age(data, model_folder, tmp_path):
    where = ("--data", data, "--mode", "crops", "--quiet", "--page", tmp_path / "groups.html")
    found = json.loads(run("groups", "--model", model_folder, *where, "--json", "-").stdout)
    assert found["faces"]["women"] + found["faces"]["men"] == found["images"] == 24
    assert set(found["attributes"]["Bald"]) >= {"women", "men", "aged", "young", "sex_gap", "sex_low", "age_high"}
    assert found["impossible"][0].keys() == {"first", "second", "answered", "labeled"}


def test_peers_stand_beside_a_model(photographs, model_folder, tmp_path):
    peer = tmp_path / "peer.csv"
    rows = [f"{seed}.png,30,20,80,80,{seed}" for seed in range(6)]
    peer.write_text("\n".join(["file,x,y,width,height,score", *rows]) + "\n")
    asked = ("--images", photographs, "--boxes", photographs / "boxes.csv", "--half", "all", "--quiet")
    result = run("peers", *asked, "--model", model_folder, "--peer", f"Haar={peer}", "--json", "-")
    found = json.loads(result.stdout)["detectors"]
    assert list(found) == ["Haar", "random"]
    assert found["Haar"]["recall_of_all_boxes"][-1] == 1  # moved by its convention, its boxes are the true ones
    peer.write_text("\n".join(["file,x,y,width,height,score", *rows[:5]]) + "\n")
    with pytest.raises(DataError, match=r"no row of 1 of the photographs, 5\.png among them"):
        run("peers", *asked, "--peer", f"Haar={peer}")
    with pytest.raises(UsageError, match=r"--peer haar\.csv is not NAME=PATH"):
        run("peers", *asked, "--peer", "haar.csv")
    with pytest.raises(UsageError, match="nobody to measure"):
        run("peers", *asked)


def test_response_maps_by_pairs(photographs, model_folder, center_folder, tmp_path):
    page = tmp_path / "maps.html"
    models = ("--model", model_folder, "--model", center_folder)
    result = run("maps", photographs / "0.png", photographs / "1.png", *models, "--page", page, "--json", "-")
    found = json.loads(result.stdout)["photographs"]
    assert [each["name"] for each in found] == ["0.png", "1.png"] and len(found[0]["inside"]) == 2
    assert page.read_text().count("<img ") == 1
    with pytest.raises(UsageError, match="nobody's maps to look at"):
        run("maps", photographs / "0.png")


def test_response_maps_are_measured_against_true_boxes(photographs, model_folder, center_folder, tmp_path):
    asked = ("--images", photographs, "--boxes", photographs / "boxes.csv", "--half", "all", "--limit", 3, "--quiet")
    drawn = tmp_path / "fractions.png"
    found = json.loads(run("maps", *asked, "--model", model_folder, "--picture", drawn, "--json", "-").stdout)
    fractions = found["localizers"]["random"]
    assert found["photographs"] == 3 and 0 < fractions["inside"] < 1 and 0 < found["area"] < 1
    assert cv2.imread(str(drawn)) is not None
    with pytest.raises(UsageError, match="has no response maps; name a model whose localizer is LNets"):
        run("maps", *asked, "--model", center_folder)


def test_lfwa_from_its_files_to_its_figures(model_folder, tmp_path):
    rng = np.random.default_rng(0)
    for name in NAMES:
        path = tmp_path / "lfw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (160, 160)))
    write_labels(tmp_path / "lfw_att_40.mat", ATTRIBUTES, LABELS)
    write_labels(tmp_path / "lfw_att_73.mat", ("Asian", "Middle Aged"), LABELS[:, :2])
    write_split(tmp_path / "indices_train_test.mat", [1, 2, 5], [3, 4])
    asked = ("attributes", "--lfwa", tmp_path, "--model", model_folder, "--quiet", "--json", "-")
    found = json.loads(run(*asked).stdout)
    assert found["images"] == 2 and found["data"] == "LFWA" and found["trained"] + found["missed"] <= 5
    assert set(found["attributes"]) == set(ATTRIBUTES) and 0 <= found["means"]["accuracy"] <= 1
    assert list(json.loads(run(*asked, "--lfwa-plus").stdout)["attributes"]) == ["Asian", "Middle_Aged"]


def test_a_new_attribute_is_learned_on_frozen_features_and_answered(data, model_folder, tmp_path):
    labels, out = tmp_path / "mine.csv", tmp_path / "mine"
    lines = (data / "list_attr_celeba.txt").read_text().splitlines()[2:]
    rows = [(line.split()[0], line.split()[1 + BLOND]) for line in lines]
    labels.write_text("file,Yellow_Band\n" + "".join(f"{name},{value}\n" for name, value in rows))
    given = ("--attributes", labels, "--images", data / "img_align_celeba", "--model", model_folder, "--out", out)
    result = CliRunner().invoke(finetune, ["svm", *map(str, given), "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0
    before, after = load_model(str(model_folder)), load_model(str(out))
    assert after.attributes == (*ATTRIBUTES, "Yellow_Band") and after.name == "mine"
    features = np.random.default_rng(0).normal(size=(3, before.svm.mean.size)).astype(np.float32)
    assert after.svm.scores(features)[:, :-1] == pytest.approx(before.svm.scores(features), abs=1e-4)
    assert "| Yellow_Band | " in (out / "CARD.md").read_text()
    here = ("--images", data / "img_align_celeba", "--model", out, "--quiet")
    (row,) = json.loads(run("tags", labels, *here, "--json", "-").stdout)["attributes"].items()
    assert row[0] == "Yellow_Band" and row[1]["photographs"] > 100 and 0 <= row[1]["accuracy"] <= 1
    asked = ("--data", data, "--model", out, "--mode", "crops", "--quiet", "--json", "-")
    assert set(json.loads(run("attributes", "--partition", "test", *asked).stdout)["attributes"]) == set(ATTRIBUTES)
    assert json.loads(run("groups", *asked).stdout)["images"] == 24
    asked = ("--data", data, "--model", out, "--partition", "val", "--json", "-")
    assert sum(map(len, json.loads(run("grouping", *asked).stdout)["groups"])) == len(ATTRIBUTES)
    with pytest.raises(UsageError, match="--attributes writes a new model"):
        CliRunner().invoke(finetune, ["svm", *map(str, given)], catch_exceptions=False)
